"""(e) Wires from 0 to 100 Ohm per segment at 256x256, all cells on: time and steps."""

from collections.abc import Sequence

from benchmarks.speed import figures
from benchmarks.speed.contest import Effort, Entry, contest, xbar
from benchmarks.speed.problems import all_on, case_of
from benchmarks.speed.rows import Row, save, seconds_text, table

TITLE = "Wires from none to severe"
TEXT = """\
Column currents for one input, all cells on (10 kOhm), every xbar solver that fits, the two fastest
sparse peers, for which wires of 0 Ohm have no matrix, and CrossSim's loop, re-coded. float64 to
1e-10, float32 to 1e-6 of the largest column current up to 1 Ohm and to 1e-5 above."""
OHMS = (0.0, 0.1, 1.0, 5.0, 20.0, 100.0)


def run(quick: bool) -> None:
    effort, rows, size = Effort.of(quick), [], 48 if quick else 256
    for r in OHMS[:4] if quick else OHMS:
        case = case_of(all_on(4, size, size), r, inputs=1)
        single = 1e-6 if r <= 1 else 1e-5
        entries = [
            Entry("xbar"),
            Entry("xbar", precision="float32", bound=single),
            xbar("CG"),
            xbar("ColumnSweep"),
        ]
        entries += [xbar("Ideal")] if r == 0 else []
        for entry in entries:
            entry.settings = {**entry.settings, "steps": True}
        entries += [Entry("cholmod"), Entry("sparsax"), Entry("crosssim_loop")]
        rows += contest("e", f"{size}x{size} all on, {r:g} Ohm", "solve", case, entries, effort)
    _draw(rows, quick)
    text = TEXT + "\n\n" + figures.reference_to("wires", _caption(rows)) + _steps(rows)
    baselines = (("xbar", "float64"), ("xbar", "float32"))
    save("wires", TITLE, text, rows, table(rows, baselines), quick=quick)


def _ohm(row: Row) -> float:
    return float(row.case.rpartition(", ")[2].partition(" ")[0])


def _steps(rows: Sequence[Row]) -> str:
    """Time and steps over the wires, one line per contestant."""
    ohms = sorted({_ohm(row) for row in rows})
    lines = [
        "| contestant | precision | " + " | ".join(f"{r:g} Ohm" for r in ohms) + " |",
        "|---" * (2 + len(ohms)) + "|",
    ]
    for name, precision in dict.fromkeys((r.contestant, r.precision) for r in rows):
        cells = []
        for ohm in ohms:
            mine = [r for r in rows
                    if (r.contestant, r.precision, _ohm(r)) == (name, precision, ohm)]  # fmt: skip
            steps = f", {mine[0].steps} steps" if mine and mine[0].steps not in ("", 0) else ""
            right = bool(mine) and mine[0].fine
            failed = "failed" if mine else ""
            cells.append(seconds_text(mine[0].seconds) + steps if right else failed)
        lines.append(f"| {name} | {precision} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _draw(rows: Sequence[Row], quick: bool) -> None:
    figure, (axes,) = figures.new(1)
    # 0 Ohm has no place on a logarithmic axis; it is drawn at a tenth of the smallest.
    figures.lines(axes, rows, lambda r: _ohm(r) or 0.01, lambda r: r.seconds)
    axes.set_xlabel("resistance of a segment [Ohm] (0 Ohm drawn at 0.01)")
    axes.set_ylabel("time of one solve [s]")
    figures.finish(figure, axes, "wires", quick)


def _caption(rows: Sequence[Row]) -> str:
    parts = []
    for precision in ("float64", "float32"):
        ours = [r for r in rows if (r.contestant, r.precision) == ("xbar", precision)]
        right = [r.seconds for r in ours if r.fine and _ohm(r) > 0]
        if right:
            parts.append(
                f"{precision}: {len([r for r in ours if r.fine])} of {len(ours)} right, above 0 "
                f"Ohm the slowest {max(right) / min(right):.3g} times as long as the fastest"
            )
    return "xbar's default solver, " + "; ".join(parts) + "."
