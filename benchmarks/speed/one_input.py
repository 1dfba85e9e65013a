"""(a) One input: one 65x100 array, and 100 different ones, 1 Ohm and 5 Ohm; 1,000 small ones."""

from benchmarks.speed.contest import Effort, Entry, contest, everyone
from benchmarks.speed.problems import arrays, case_of
from benchmarks.speed.rows import save

SHAPE = (65, 100)
LANES = 8  # arrays that CG takes side by side on a CPU
TITLE = "One input"
TEXT = """\
Column currents of 65x100 arrays (10 kOhm to 1 MOhm, 2 % stuck on and 2 % stuck off) for one input,
from conductances to currents. `solve`: one array at a time; `solve_all`: 100 different arrays, all
cores busy, time per array; 1,000 of 16x16 and of 32x32 likewise, by `batch_map` as it is and with
`chunk=8`. float64 to 1e-10, float32 to 1e-6
of the largest column current."""


def side_by_side(precision: str) -> Entry:
    """xbar with as many small arrays at a time as its solver works on together."""
    return Entry("xbar", f"xbar, chunk={LANES}", precision, settings={"chunk": LANES})


def run(quick: bool) -> None:
    effort, rows = Effort.of(quick), []
    for r in (1.0, 5.0):
        case = case_of(arrays(8, *SHAPE), r)
        slow = ["ngspice"] if quick or r != 1.0 else []  # it needs seconds per solve
        entries = everyone("solve", without=slow)
        rows += contest("a", f"65x100, {r:g} Ohm", "solve", case, entries, effort)
        many = case_of(arrays(10 if quick else 100, *SHAPE), r)
        name = f"{len(many.g)} arrays 65x100, {r:g} Ohm"
        rows += contest("a", name, "solve_all", many, everyone("solve_all"), effort)
    for side in (16, 32):
        many = case_of(arrays(50 if quick else 1000, side, side))
        name = f"{len(many.g)} arrays {side}x{side}, 1 Ohm"
        entries = [*everyone("solve_all"), *map(side_by_side, ("float64", "float32"))]
        rows += contest("a", name, "solve_all", many, entries, effort)
    save("one_input", TITLE, TEXT, rows, quick=quick)
