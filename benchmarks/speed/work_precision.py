"""(g) Work against precision: time and measured error of every solver, tolerance and peer."""

from collections.abc import Sequence

from benchmarks.peers import CONTESTANTS
from benchmarks.speed import figures
from benchmarks.speed.contest import Effort, Entry, contest
from benchmarks.speed.problems import all_on, arrays, case_of
from benchmarks.speed.rows import Row, save, seconds_text, table

TITLE = "Work and precision"
TEXT = """\
Column currents of one 65x100 array for one input: `mild` is 10 kOhm to 1 MOhm with 1 Ohm wires,
`severe` all cells on (10 kOhm) with 20 Ohm wires. Every xbar solver over its tolerances, in both
precisions, and every peer. A row's bound is the tolerance that was asked for, or else 1e-10 (peers,
float64 defaults) and 1e-5 (float32 defaults)."""
TOLERANCES = {"float64": (1e-3, 1e-5, 1e-7, 1e-9, 1e-11), "float32": (1e-3, 1e-4, 1e-5, 1e-6)}
DEFAULTS = {"float64": 1e-10, "float32": 1e-5}


def run(quick: bool) -> None:
    effort, rows = Effort.of(quick), []
    kinds = {"mild": case_of(arrays(8, 65, 100), 1.0), "severe": case_of(all_on(8, 65, 100), 20.0)}
    for name, case in kinds.items():
        rows += contest("g", name, "solve", case, _entries(quick), effort)
    _draw(rows, list(kinds), quick)
    text = TEXT + "\n\n" + figures.reference_to("work_precision", _caption(rows))
    body = table(rows, (("xbar", "float64"), ("xbar", "float32")))
    save("work_precision", TITLE, text, rows, body, quick=quick)


def _entries(quick: bool) -> list[Entry]:
    entries = []
    for precision, tolerances in TOLERANCES.items():
        entries.append(Entry("xbar", precision=precision, bound=DEFAULTS[precision]))
        for rtol in tolerances[::2] if quick else tolerances:
            settings = {"solver": "CG", "rtol": rtol}
            label = f"xbar, CG rtol={rtol:.0e}"
            entries.append(Entry("xbar", label, precision, bound=rtol, settings=settings))
        settings = {"solver": "ColumnSweep"}
        label = "xbar, ColumnSweep"
        entries.append(
            Entry("xbar", label, precision, bound=DEFAULTS[precision], settings=settings)
        )
    peers = [n for n, c in CONTESTANTS.items() if n not in ("xbar", "ngspice")]
    return entries + [Entry(name) for name in peers]


def _draw(rows: Sequence[Row], kinds: Sequence[str], quick: bool) -> None:
    figure, panels = figures.new(len(kinds))
    for axes, kind in zip(panels, kinds, strict=True):
        mine = [r for r in rows if r.case == kind and r.fine]
        figures.lines(axes, [_grouped(r) for r in mine], lambda r: r.error, lambda r: r.seconds)
        axes.set_title(kind)
        axes.set_xlabel("error, relative to the largest column current")
        axes.set_ylabel("time of one solve [s]")
    figures.finish(figure, panels[0], "work_precision", quick)


def _grouped(row: Row) -> Row:
    """The same row under its solver's name, so that tolerances make one line."""
    return Row(**{**vars(row), "contestant": row.contestant.partition(" rtol")[0]})


def _caption(rows: Sequence[Row]) -> str:
    parts = []
    for kind in dict.fromkeys(row.case for row in rows):
        right = [r for r in rows if r.case == kind and r.fine and r.error <= 1e-10]
        if right:
            best = min(right, key=lambda r: r.seconds)
            parts.append(f"{kind}: {best.contestant} ({seconds_text(best.seconds)})")
    return "Fastest within 1e-10: " + "; ".join(parts) + "."
