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
    calls = {
        "CG, one array": (jax.jit(single["solve"]), g[0]),
        "CG, 100 arrays": (jax.jit(jax.vmap(single["solve"])), g),
        "CG, transfer matrix": (jax.jit(single["transfer"]), g[0]),
        "ColumnSweep, transfer matrix": (jax.jit(sweep["transfer"]), g[0]),
        "apply T to the images": (jax.jit(lambda t: data @ t.T), t),
    }
    times = {name: seconds_of(lambda f=f, x=x: f(x), least_s) for name, (f, x) in calls.items()}
    return {"rates": rates(precision, least_s, scale), "times": times, "steps": int(jnp.max(steps))}


def run(quick: bool) -> None:
    rows, parts = [], []
    for precision in ("float64", "float32"):
        with Process("xbar", cores(), environment_of(precision, 1)) as process:
            args = {"precision": precision, "least_s": 0.05 if quick else 1.0,
                    "scale": 8 if quick else 1}  # fmt: skip
            found = process.ask(do="measure", module="limits", function="measure", args=args)
        parts.append(_table(precision, found, rows))
    save("limits", TITLE, TEXT, rows, "\n".join(parts), quick=quick)


def counted(precision: str, steps: int) -> dict[str, tuple[float, float, float]]:
    """Operations, bytes and working set of each kernel that `measure` times."""
    size = 8 if precision == "float64" else 4
    one, many = (ROWS, COLS, steps), (ROWS, COLS, steps, BATCH)
    side = (ROWS, COLS, steps, min(ROWS, COLS))
    shapes = {"CG, one array": one, "CG, 100 arrays": many, "CG, transfer matrix": side}
    found = {
        name: (
            kernels.cg_flops(*shape),
            kernels.cg_bytes(*shape, itemsize=size),
            kernels.cg_held(ROWS, COLS, *shape[3:], itemsize=size),
        )
        for name, shape in shapes.items()
    }
    moved = kernels.sweep_bytes(ROWS, COLS, size)
    found["ColumnSweep, transfer matrix"] = (kernels.sweep_flops(ROWS, COLS), moved, moved)
    moved = kernels.apply_bytes(ROWS, COLS, INPUTS, size)
    found["apply T to the images"] = (kernels.apply_flops(ROWS, COLS, INPUTS), moved, moved)
    return found


def _table(precision: str, found: dict[str, Any], rows: list[Row]) -> str:
    rate, steps = found["rates"], found["steps"]
    lines = [
        f"## {precision}",
        "",
        "| rate | |",
        "|---|---|",
        *(f"| {name.replace('_', ', ')} | {value / 1e9:.1f} "
          f"{'GB/s read + write' if name == 'copy' else 'GFLOP/s'} |"
          for name, value in rate.items()),
        "",
        f"| kernel | time | operations | bytes | GFLOP/s | bound | fraction | held by ({steps} CG "
        "steps) |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, (flops, moved, working) in counted(precision, steps).items():
        # Applying T to all images is one large product, the rest are many small ones.
        best = rate["matmul_large" if name.startswith("apply") else "matmul_65x100"]
        spent, by_flops = found["times"][name], flops / best
        least = kernels.bound(flops, moved, working, best, rate["copy"], kernels.cache_bytes())
        held = "memory" if least > by_flops else "matrix products"
        lines.append(
            f"| {name} | {seconds_text(spent)} | {flops / 1e6:.3g} M | {moved / 1e6:.3g} MB "
            f"| {flops / spent / 1e9:.1f} | {seconds_text(least)} | {least / spent:.0%} "
            f"| {held if least > 0.5 * spent else 'neither explains half of it'} |"
        )
        row = Row("i", "65x100", name, "xbar", precision, seconds=spent, status=OK)
        row.threads = len(cores())
        row.extra = f"flops={flops:.6g} bytes={moved:.6g} fraction={least / spent:.3g}"
        rows.append(row)
    for name, value in rate.items():
        rows.append(Row("i", "rate", name, "JAX", precision, status=OK, extra=f"per_s={value:.6g}"))
    return "\n".join(lines) + "\n"
