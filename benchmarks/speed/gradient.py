"""(c) Gradients of a scalar over every cell: one input, many arrays, a data set through T."""

from collections.abc import Sequence

from benchmarks.speed.contest import Effort, Entry, contest, everyone
from benchmarks.speed.problems import INPUTS, arrays, case_of
from benchmarks.speed.rows import Row, number, ratio, save, table

TITLE = "Gradients over every cell"
TEXT = f"""\
L = 1/2 sum (i_out / 1 mA)^2 of a 65x100 array, 1 Ohm wires, and dL/dg of all 6,500 cells.
`gradient`: one input; `gradient_all`: the same for 100 different arrays, all cores busy, time per
array; `gradient_data`: L averaged over {INPUTS:,} inputs, through the transfer matrix. sparsax and
klujax differentiate; for klujax, CHOLMOD and splu the adjoint solve was also written by hand, on
the factor that is there, and the faster counts. float64 to 1e-10, float32 to 1e-5 of the largest
derivative."""
SINGLE = 1e-5
FORWARD = {"gradient": "solve", "gradient_all": "solve_all", "gradient_data": "transfer"}


def run(quick: bool) -> None:
    effort, rows = Effort.of(quick), []
    for op, forward in FORWARD.items():
        n = (4 if quick else 100) if op == "gradient_all" else 8
        case = case_of(arrays(n, 65, 100))
        entries = everyone(op)
        # The forward operation runs beside the gradient, for the ratio of the two.
        entries += [Entry(e.contestant, e.label, e.precision, op=forward) for e in entries]
        for entry in entries:
            if entry.precision == "float32":
                entry.bound = SINGLE
        name = f"{n} arrays 65x100" if op == "gradient_all" else "65x100"
        rows += contest("c", name, op, case, entries, effort)
    gradients = [row for row in rows if row.op in FORWARD]
    baselines = (("xbar", "float64"), ("xbar", "float32"))
    body = table(gradients, baselines) + "\n" + _ratios(gradients, rows)
    save("gradient", TITLE, TEXT, rows, body, quick=quick)


def _ratios(gradients: Sequence[Row], rows: Sequence[Row]) -> str:
    lines = [
        "## A gradient's time in forward solves (of the data set: in transfer matrices)",
        "",
        "| contestant | precision | " + " | ".join(FORWARD) + " |",
        "|---|---|---|---|---|",
    ]
    for name, precision in dict.fromkeys((r.contestant, r.precision) for r in gradients):
        cells = []
        for op, forward in FORWARD.items():
            mine = [r for r in rows if (r.contestant, r.precision) == (name, precision)]
            over = next((r for r in mine if r.op == op), None)
            same = [r for r in mine if over is not None and r.case == over.case]
            under = next((r for r in same if r.op == forward), None)
            times = None if over is None else ratio(over, under)
            cells.append("" if times is None else number(times, ".2f"))
        lines.append(f"| {name} | {precision} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
