"""(f) How long the first call of each entry point takes to compile, per solver."""

from typing import Any

from benchmarks.peers.client import FailedError, Process, cores
from benchmarks.speed.contest import environment_of
from benchmarks.speed.problems import arrays, case_of
from benchmarks.speed.rows import OK, Row, save, seconds_text

TITLE = "Compile time"
TEXT = """\
Seconds to trace and compile each entry point for a size that was not seen before (65x100, `Dense`
16x16), 1 Ohm wires; without XLA's persistent cache. `solve_all` is a batch of 100 arrays. The
fastest of {repeats} processes counts."""
SOLVERS = (None, "CG", "ColumnSweep", "Dense")
POINTS = ("solve", "solve_all", "transfer", "gradient", "gradient_data")


def measure(solver: str | None, points: list[str], precision: str) -> dict[str, Any]:
    """Runs in xbar's process: compile times [s] by entry point."""
    import jax
    import jax.numpy as jnp

    from benchmarks.peers import by_xbar

    by_xbar.start()
    size = (16, 16) if solver == "Dense" else (65, 100)
    case, dtype = case_of(arrays(1, *size)), jnp.dtype(precision)
    chosen = by_xbar.functions(case, by_xbar.solver_of({"solver": solver}), dtype)
    one = jax.ShapeDtypeStruct(size, dtype)
    found = {}
    for point in points:
        function, like = chosen[point.removesuffix("_all")], one
        if point.endswith("_all"):
            function, like = jax.vmap(function), jax.ShapeDtypeStruct((100, *size), dtype)
        found[point] = by_xbar.compiled(function, like)[1]
    return {"seconds": found}


def run(quick: bool) -> None:
    rows, repeats = [], 1 if quick else 3
    points = list(POINTS[:3] if quick else POINTS)
    for solver in SOLVERS:
        for precision in ("float64",) if quick else ("float64", "float32"):
            try:
                seconds, status = _fastest(solver, points, precision, repeats), OK
            except FailedError as failure:
                seconds, status = {}, f"failed: {failure}"
            name = "xbar" if solver is None else f"xbar, {solver}"
            for point in points:
                row = Row("f", "16x16" if solver == "Dense" else "65x100", point, name, precision)
                row.compile_s = row.seconds = seconds.get(point, row.seconds)
                row.calls, row.status = repeats, status
                rows.append(row)
    save("compile_time", TITLE, TEXT.format(repeats=repeats), rows, _table(rows), quick=quick)


def _fastest(
    solver: str | None, points: list[str], precision: str, repeats: int
) -> dict[str, float]:
    found = []
    for _ in range(repeats):
        with Process("xbar", cores(), environment_of(precision, 1)) as process:
            args = {"solver": solver, "points": points, "precision": precision}
            request = {"module": "compile_time", "function": "measure", "args": args}
            found.append(process.ask(do="measure", **request)["seconds"])
    return {point: min(one[point] for one in found) for point in points}


def _table(rows: list[Row]) -> str:
    points = list(dict.fromkeys(row.op for row in rows))
    lines = [
        "| solver | precision | " + " | ".join(points) + " |",
        "|---" * (2 + len(points)) + "|",
    ]
    for name, precision in dict.fromkeys((r.contestant, r.precision) for r in rows):
        mine = [r for r in rows if (r.contestant, r.precision) == (name, precision)]
        cells = [seconds_text(r.seconds) if r.fine else r.status for r in mine]
        lines.append(f"| {name} | {precision} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
