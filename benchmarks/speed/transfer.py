"""(b) Transfer matrices: of one and of 100 arrays of 65x100, and of larger arrays."""

from benchmarks.speed.contest import Effort, contest, everyone, xbar
from benchmarks.speed.problems import arrays, case_of
from benchmarks.speed.rows import save

TITLE = "Transfer matrices"
TEXT = """\
T of an array (what one volt on each row drives into each column), from conductances to T, 1 Ohm
wires. Peers solve for all inputs, or for all outputs where these are fewer, with one
factorization. `transfer_all`: 100 different arrays, all cores busy, time per array. float64 to
1e-10, float32 to 2e-6 of the largest entry (a sample of T's columns is checked)."""
SINGLE = 2e-6


def run(quick: bool) -> None:
    effort, rows = Effort.of(quick), []
    for n, op in ((8, "transfer"), (4 if quick else 100, "transfer_all")):
        case = case_of(arrays(n, 65, 100))
        name = "65x100" if op == "transfer" else f"{n} arrays 65x100"
        entries = [*everyone(op), xbar("CG"), xbar("ColumnSweep")]
        rows += contest("b", name, op, case, _allow(entries), effort)
    for size in (128,) if quick else (128, 256, 512):
        case = case_of(arrays(2, size, size))
        slow = ["badcrossbar", "crosssim_loop"] if size > 128 else []
        entries = everyone("transfer", without=slow)
        entries = _allow([*entries, xbar("CG"), xbar("ColumnSweep")])
        if size < 512:
            rows += contest("b", f"{size}x{size}", "transfer", case, entries, effort.large())
            continue
        for entry in entries:  # one by one, as together they would not fit into memory
            rows += contest("b", f"{size}x{size}", "transfer", case, [entry], effort.large())
    save("transfer", TITLE, TEXT, rows, quick=quick)


def _allow(entries: list) -> list:
    for entry in entries:
        if entry.precision == "float32":
            entry.bound = SINGLE
    return entries
