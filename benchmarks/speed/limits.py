"""(i) How close the kernels come to what this machine can do."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.peers.client import Process, cores
from benchmarks.speed import kernels
from benchmarks.speed.contest import environment_of
from benchmarks.speed.problems import INPUTS, arrays, case_of
from benchmarks.speed.rows import OK, Row, save, seconds_text

TITLE = "Close to the limit"
TEXT = """\
Rates of this machine and times of xbar's kernels, in one process run per precision. Operations and
bytes are counted by formula (benchmarks/speed/kernels.py), what the method needs; a kernel's bound
is the longer of operations / (rate of a matrix product of its own size) and, where its arrays do
not fit into the cache, bytes / copy bandwidth. *fraction*: bound / time."""
LARGE, COPY_BYTES, STEPS, PASSES = 2048, 2**28, 200, 20
ROWS, COLS, BATCH = 65, 100, 100
SIDE = 256  # of the array whose transfer matrix is made from tiles
V_0 = 0.1  # voltage of the sinh law [V]: half of the drive


def seconds_of(call: Callable[[], Any], least_s: float) -> float:
    """Median of calls over `least_s` seconds, after one to warm up."""
    import jax

    jax.block_until_ready(call())
    times: list[float] = []
    while sum(times) < least_s or len(times) < 3:
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def rates(precision: str, least_s: float, scale: int = 1) -> dict[str, float]:
    """Matrix products [flop/s], large and small inside a scan, and copy [byte/s, read + write].

    `scale` divides the sizes of the large product and of the copy (for short runs).
    """
    import jax
    import jax.numpy as jnp

    dtype, highest = jnp.dtype(precision), jax.lax.Precision.HIGHEST
    size = LARGE // scale

    def product(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.matmul(a, b, precision=highest)

    def scanned(a: jax.Array, b: jax.Array) -> jax.Array:
        return jax.lax.scan(lambda x, _: (product(a, x), None), b, None, length=STEPS)[0]

    square = jnp.eye(size, dtype=dtype) + 1 / size
    compiled = jax.jit(product)
    large_s = seconds_of(lambda: compiled(square, square), least_s)
    found = {"matmul_large": 2.0 * size**3 / large_s}
    for cols in (ROWS, COLS):
        a, b = jnp.eye(ROWS, dtype=dtype), jnp.ones((ROWS, cols), dtype)
        run = jax.jit(scanned)
        spent = seconds_of(lambda run=run, a=a, b=b: run(a, b), least_s)
        found[f"matmul_65x{cols}"] = 2.0 * STEPS * ROWS**2 * cols / spent
    x = jnp.ones(COPY_BYTES // scale // dtype.itemsize, dtype)
    # Several passes over the same memory in one call, else fresh pages are what is measured.
    shift = jax.jit(lambda x: jax.lax.fori_loop(0, PASSES, lambda k, x: x + 1, x))
    found["copy"] = 2.0 * PASSES * x.nbytes / seconds_of(lambda: shift(x), least_s)
    return found


def measure(precision: str, least_s: float, scale: int) -> dict[str, Any]:
    """Runs in xbar's process: rates, and times of the kernels."""
    import jax
    import jax.numpy as jnp

    import xbar as xb
    from benchmarks.peers import by_xbar

    dtype = jnp.dtype(precision)
    case = case_of(arrays(BATCH, ROWS, COLS))
    single = by_xbar.functions(case, xb.CG(), dtype)
    sweep = by_xbar.functions(case, xb.ColumnSweep(), dtype)
    g, data = jnp.asarray(case.g, dtype), jnp.asarray(case.data, dtype)
    steps = jax.jit(jax.vmap(single["steps"]))(g)
    t = jax.jit(single["transfer"])(g[0])
    large = case_of(arrays(1, SIDE, SIDE))
    tiled = by_xbar.functions(large, None, dtype)["transfer"]
    v = jnp.asarray(case.v, dtype)
    r, far = jnp.ones((), dtype), jnp.asarray(50.0, dtype)

    def bent(g: jax.Array) -> Any:
        return xb.solve(xb.Crossbar(xb.cells.Sinh(g, V_0), xb.Wires(r, r)), v, throw=False)

    def at_both_ends(g: jax.Array) -> Any:
        lines = xb.Wires(r, r, source_far=far, sense_far=far)
        return xb.solve(xb.Crossbar(g, lines), v, xb.CG(), throw=False)

    newton, ends = jax.jit(jax.vmap(bent))(g), jax.jit(jax.vmap(at_both_ends))(g)
    counts = {
        "CG": float(jnp.mean(steps)),
        "Newton": float(jnp.mean(newton.steps)),
        "in Newton": float(jnp.mean(newton.inner_steps)),
        "two-ended": float(jnp.mean(ends.steps)),
    }
    calls = {
        "CG, one array": (jax.jit(single["solve"]), g[0]),
        "CG, 100 arrays": (jax.jit(jax.vmap(single["solve"])), g),
        "CG, transfer matrix": (jax.jit(single["transfer"]), g[0]),
        "ColumnSweep, transfer matrix": (jax.jit(sweep["transfer"]), g[0]),
        "apply T to the images": (jax.jit(lambda t: data @ t.T), t),
        "Newton, 100 arrays of sinh cells": (jax.jit(jax.vmap(lambda g: bent(g).i_out)), g),
        "two-ended lines, 100 arrays": (jax.jit(jax.vmap(lambda g: at_both_ends(g).i_out)), g),
        f"tiles, transfer matrix of {SIDE}x{SIDE}": (
            jax.jit(tiled),
            jnp.asarray(large.g[0], dtype),
        ),
    }
    times = {name: seconds_of(lambda f=f, x=x: f(x), least_s) for name, (f, x) in calls.items()}
    return {"rates": rates(precision, least_s, scale), "times": times, "counts": counts}


def run(quick: bool) -> None:
    rows, parts = [], []
    for precision in ("float64", "float32"):
        with Process("xbar", cores(), environment_of(precision, 1)) as process:
            args = {"precision": precision, "least_s": 0.05 if quick else 1.0,
                    "scale": 8 if quick else 1}  # fmt: skip
            found = process.ask(do="measure", module="limits", function="measure", args=args)
        parts.append(_table(precision, found, rows))
    save("limits", TITLE, TEXT, rows, "\n".join(parts), quick=quick)


def counted(precision: str, counts: dict[str, float]) -> dict[str, tuple[float, float, float]]:
    """Operations, bytes and working set of each kernel that `measure` times."""
    size = 8 if precision == "float64" else 4
    side = min(ROWS, COLS)
    by_cg = {
        "CG, one array": (counts["CG"], 1),
        "CG, 100 arrays": (counts["CG"], BATCH),
        "CG, transfer matrix": (counts["CG"], side),
        "two-ended lines, 100 arrays": (counts["two-ended"], BATCH),
    }
    found = {}
    for name, (steps, n) in by_cg.items():
        moved = kernels.cg_bytes(ROWS, COLS, steps, n, size)
        # On a processor the arrays of a batch come one after the other.
        held = kernels.cg_held(ROWS, COLS, n if n == side else 1, size)
        found[name] = kernels.cg_flops(ROWS, COLS, steps, n), moved, held
    steps, inner = counts["Newton"], counts["in Newton"]
    found["Newton, 100 arrays of sinh cells"] = (
        kernels.newton_flops(ROWS, COLS, steps, inner, BATCH),
        kernels.cg_bytes(ROWS, COLS, steps + inner, BATCH, size),
        kernels.cg_held(ROWS, COLS, 1, size),
    )
    moved = kernels.sweep_bytes(ROWS, COLS, size)
    found["ColumnSweep, transfer matrix"] = (kernels.sweep_flops(ROWS, COLS), moved, moved)
    moved = kernels.tiles_bytes(SIDE, size)
    found[f"tiles, transfer matrix of {SIDE}x{SIDE}"] = (kernels.tiles_flops(SIDE), moved, moved)
    moved = kernels.apply_bytes(ROWS, COLS, INPUTS, size)
    found["apply T to the images"] = (kernels.apply_flops(ROWS, COLS, INPUTS), moved, moved)
    return found


def _table(precision: str, found: dict[str, Any], rows: list[Row]) -> str:
    rate, counts = found["rates"], found["counts"]
    many = ", ".join(f"{name} {count:.3g}" for name, count in counts.items())
    lines = [
        f"## {precision}",
        "",
        "| rate | |",
        "|---|---|",
        *(f"| {name.replace('_', ', ')} | {value / 1e9:.1f} "
          f"{'GB/s read + write' if name == 'copy' else 'GFLOP/s'} |"
          for name, value in rate.items()),
        "",
        f"Steps (means): {many}.",
        "",
        "| kernel | time | operations | bytes | GFLOP/s | bound | fraction | held by |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, (flops, moved, working) in counted(precision, counts).items():
        # Applying T to all images is one large product, the rest are many small ones.
        large = name.startswith(("apply", "tiles"))
        best = rate["matmul_large" if large else "matmul_65x100"]
        spent, by_flops = found["times"][name], flops / best
        least = kernels.bound(flops, moved, working, best, rate["copy"], kernels.cache_bytes())
        held = "memory" if least > by_flops else "matrix products"
        lines.append(
            f"| {name} | {seconds_text(spent)} | {flops / 1e6:.3g} M | {moved / 1e6:.3g} MB "
            f"| {flops / spent / 1e9:.1f} | {seconds_text(least)} | {least / spent:.0%} "
            f"| {held if least > 0.5 * spent else 'neither explains half of it'} |"
        )
        shape = f"{SIDE}x{SIDE}" if name.startswith("tiles") else f"{ROWS}x{COLS}"
        row = Row("i", shape, name, "xbar", precision, seconds=spent, status=OK)
        row.threads = len(cores())
        row.extra = f"flops={flops:.6g} bytes={moved:.6g} fraction={least / spent:.3g}"
        rows.append(row)
    for name, value in rate.items():
        rows.append(Row("i", "rate", name, "JAX", precision, status=OK, extra=f"per_s={value:.6g}"))
    return "\n".join(lines) + "\n"
