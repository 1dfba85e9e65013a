"""(j) Severe drop and values over nine decades: one input at 65x65 and 256x256."""

from benchmarks.speed.contest import Effort, Entry, called_directly, contest, xbar
from benchmarks.speed.problems import all_on, case_of, decades
from benchmarks.speed.rows import save, table

TITLE = "Severe drop"
TEXT = """\
Column currents for one input where conjugate gradients take many steps or fail: cells of 100 Ohm
behind segments of as much and of ten times that, and conductances log-uniform over nine decades
(1 nS to 1 S) behind segments of 10 Ohm. *called directly*: `xb.solve` on known numbers, outside of
`jit`, where sparse elimination on the host stands behind `CG` in arrays of more than 32 lines;
*xbar* is the same call compiled by the caller, where `ColumnSweep` does. float64 to 1e-10 of the
largest column current."""


def run(quick: bool) -> None:
    effort, rows = Effort.of(quick).large(), []
    for size in (33, 90) if quick else (65, 256):
        on = 100 * all_on(4, size, size)  # 100 Ohm
        wide = decades(4, size, size)
        for name, g, r in (
            ("100 Ohm cells, 100 Ohm", on, 100.0),
            ("100 Ohm cells, 1 kOhm", on, 1e3),
            ("nine decades, 10 Ohm", wide, 10.0),
        ):
            entries = [
                called_directly(),
                Entry("xbar"),
                xbar("ColumnSweep"),
                *(Entry(peer) for peer in ("cholmod", "sparsax", "klujax", "splu")),
                Entry("crosssim_loop"),
            ]
            case = case_of(g, r, inputs=1)
            rows += contest("j", f"{size}x{size}, {name}", "solve", case, entries, effort)
    baselines = ((called_directly().name, "float64"), ("xbar", "float64"))
    save("severe", TITLE, TEXT, rows, table(rows, baselines), quick=quick)
