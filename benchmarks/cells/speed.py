"""What Newton's method costs beside a linear solve, a fixed point and ngspice.

    python -m benchmarks.cells.speed [--arrays 100] [--images 1797]

Writes benchmarks/results/cells.md. Times are of the processor, all threads together: what a busy
machine changes least. "linear" is `xbar.CG` on arrays whose cells have the same small-signal
conductances.
"""

import argparse
import os
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import xbar as xb
from benchmarks.sensitivity.timing import in_turn
from benchmarks.speed.machine import description
from xbar import cells, spice
from xbar.corrected import secant
from xbar.solvers.base import problem_of

OUT = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "cells.md"
ROWS, COLS, READ = 65, 100, 0.2
REPEATS = 3


def drawn(rng, count, rows=ROWS, cols=COLS, low=1e-6, high=1e-4):
    return jnp.asarray(np.exp(rng.uniform(np.log(low), np.log(high), (count, rows, cols))))


def inputs(rng, count, rows=ROWS):
    """Half of the rows silent, the last at full scale, as images and a bias row have it."""
    v = rng.uniform(0, READ, (count, rows)) * (rng.uniform(size=(count, rows)) < 0.5)
    v[:, -1] = READ
    return jnp.asarray(v)


def linear(g, v, r):
    found = xb.solve(xb.Crossbar(g, xb.Wires(r, r)), v, xb.CG(), throw=False)
    return found.i_out, found.steps


def newton(g, v, r, v_0):
    found = xb.solve(xb.Crossbar(cells.Sinh(g, v_0), xb.Wires(r, r)), v, throw=False)
    return found.i_out, found.steps, found.inner_steps, found.result == xb.RESULTS.successful


def batches(count):
    """Many arrays, one input each."""
    rng = np.random.default_rng(0)
    g, v = drawn(rng, count), inputs(rng, count)
    by_cg = jax.jit(jax.vmap(linear, (0, 0, None)))
    by_newton = jax.jit(jax.vmap(newton, (0, 0, None, None)))
    slope = jax.grad(lambda g, v, r, v_0: jnp.sum(newton(g, v, r, v_0)[0] ** 2))
    both = jax.jit(
        jax.vmap(
            lambda g, v, r, v_0: (newton(g, v, r, v_0), slope(g, v, r, v_0)), (0, 0, None, None)
        )
    )
    yield "| ohm | V / v_0 | steps, most | inner / linear's | time / linear | gradient / value |"
    yield "|---|---|---|---|---|---|"
    for r in (1.0, 5.0):
        steps = float(jnp.mean(by_cg(g, v, r)[1]))
        for v_0 in (0.4, 0.2, 0.1, 0.05):
            times = in_turn(
                {
                    "linear": lambda r=r: by_cg(g, v, r),
                    "newton": lambda r=r, v_0=v_0: by_newton(g, v, r, v_0),
                    "gradient": lambda r=r, v_0=v_0: both(g, v, r, v_0),
                },
                REPEATS,
            )
            value = times["newton"].processor
            _, mine, inner, ok = by_newton(g, v, r, v_0)
            assert bool(jnp.all(ok))
            yield (
                f"| {r:g} | {READ / v_0:g} | {float(jnp.mean(mine)):.1f}, {int(jnp.max(mine))} | "
                f"{float(jnp.mean(inner)) / steps:.2f} | "
                f"{value / times['linear'].processor:.2f} | "
                f"{times['gradient'].processor / value:.2f} |"
            )


def data_set(count):
    """All images through one array: exactly, and by the corrected transfer matrix."""
    rng = np.random.default_rng(1)
    g, v = drawn(rng, 1)[0], inputs(rng, count).T

    def array(v_0):
        return xb.Crossbar(cells.Sinh(g, v_0), xb.Wires(1.0, 1.0))

    exact = jax.jit(lambda v_0: xb.solve(array(v_0), v, throw=False).i_out)
    fast = jax.jit(lambda v_0: xb.corrected_currents(array(v_0), v, throw=False))
    yield "| v_0 [V] | exact [s] | corrected [s] | error told | error found | secant T alone |"
    yield "|---|---|---|---|---|---|"
    for v_0 in (0.5, 0.25, 0.1):
        times = in_turn({"exact": lambda x=v_0: exact(x), "fast": lambda x=v_0: fast(x)}, 1)
        right, found = exact(v_0), fast(v_0)
        largest = jnp.max(jnp.abs(right))
        t = xb.transfer(xb.Crossbar(secant(array(v_0).cells, 0.7 * READ), array(v_0).wires))
        alone = jnp.max(jnp.abs(t @ v - right)) / largest
        off = jnp.max(jnp.abs(found.i_out - right)) / largest
        a, b = times["exact"], times["fast"]
        yield (
            f"| {v_0:g} | {a.processor:.2f}, {a.wall:.2f} | {b.processor:.2f}, {b.wall:.2f} | "
            f"{float(found.error):.1e} | {float(off):.1e} | {float(alone):.1e} |"
        )


@jax.jit
def fixed_point(g, v, r, v_0, rtol):
    """A peer's method: from the full drive, ``u += gamma (e - drop(I(u)) - u)``.

    gamma is 1, and 2 % less from the start again each time it diverges or takes too long.
    """
    problem, law = problem_of(jnp.zeros_like(g), xb.Wires(r, r)), cells.Sinh(g, v_0)
    e = jnp.broadcast_to(v[:, None], g.shape)
    most = jnp.where(rtol > 1e-4, 100, 1000)

    def residual(u):
        return e - problem.drop(law.current(u)) - u

    def attempt(state):
        gamma, total, tries, *_ = state

        def going(now):
            _, k, size = now
            return (size > rtol * READ) & (k < most) & (size < 1e6)

        def step(now):
            u, k, _ = now
            u = u + gamma * residual(u)
            return u, k + 1, jnp.max(jnp.abs(residual(u)))

        u, k, size = jax.lax.while_loop(going, step, (e, 0, jnp.max(jnp.abs(residual(e)))))
        return 0.98 * gamma, total + k, tries + 1, size <= rtol * READ, u

    def again(state):
        return ~state[3] & (state[0] > 1e-2)

    start = (jnp.ones(()), 0, 0, jnp.asarray(False), e)
    _, total, tries, ok, u = jax.lax.while_loop(again, attempt, start)
    return jnp.sum(law.current(u), axis=0), total, tries, ok


CASES = {
    # name: v_0 [V], ohm, cells [S], drive [V]
    "mild": (0.25, 1.0, (1e-6, 1e-4), 0.2),
    "drop of a half": (0.25, 10.0, (1e-6, 1e-4), 1.0),
    "severe": (0.1, 10.0, (1e-5, 1e-3), 1.0),
}


def peers(side=64, small=24):
    """One array and one input: Newton, the fixed point, ngspice."""
    yield "| case | Newton: steps, inner, ms | fixed point to 1e-3 | to 1e-6 | ngspice, 24x24 |"
    yield "|---|---|---|---|---|"
    run = jax.jit(newton)
    for name, (v_0, r, (low, high), volts) in CASES.items():
        rng = np.random.default_rng(0)
        g = drawn(rng, 1, side, side, low, high)[0]
        v = jnp.asarray(rng.uniform(0, volts, side))
        args = (g, v, jnp.asarray(r), jnp.asarray(v_0))
        times = in_turn(
            {
                "newton": lambda args=args: run(*args),
                1e-3: lambda args=args: fixed_point(*args, 1e-3),
                1e-6: lambda args=args: fixed_point(*args, 1e-6),
            },
            REPEATS,
        )
        i_out, steps, inner, _ = run(*args)
        cells_ = [f"{int(steps)}, {int(inner)}, {1e3 * times['newton'].processor:.1f}"]
        for rtol in (1e-3, 1e-6):
            theirs, total, tries, ok = fixed_point(*args, rtol)
            off = float(jnp.max(jnp.abs(theirs - i_out)) / jnp.max(jnp.abs(i_out)))
            text = f"{int(total)} steps, {int(tries)} starts, {1e3 * times[rtol].processor:.1f} ms"
            cells_.append(f"{text}, error {off:.0e}" if bool(ok) else f"no answer ({text})")
        cells_.append(by_ngspice(g[:small, :small], v[:small], r, v_0))
        yield f"| {name} | " + " | ".join(cells_) + " |"


def by_ngspice(g, v, r, v_0):
    array = xb.Crossbar(cells.Sinh(g, v_0), xb.Wires(r, r))
    ours, start = xb.solve(array, v), time.perf_counter()
    try:
        theirs = spice.run_array(array, v, timeout_s=120)
    except spice.SpiceError as error:
        return f"no answer: {str(error)[:60]}"
    seconds = time.perf_counter() - start
    off = float(jnp.max(jnp.abs(ours.i_out - theirs.i_out)) / jnp.max(jnp.abs(theirs.i_out)))
    return f"{seconds:.1f} s, xbar differs by {off:.0e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arrays", type=int, default=100)
    parser.add_argument("--images", type=int, default=1797)
    asked = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    about = description()
    lines = [
        "# Cells that are not resistors",
        "",
        f"{about['machine']}, {about['cores']} cores shared with other work (load "
        f"{os.getloadavg()[0]:.0f}), jax {about['jax']}, float64. Ratios of times vary by a half "
        "from run to run on such a machine; counts and errors do not.",
    ]
    sections = {
        f"{asked.arrays} arrays of {ROWS}x{COLS} sinh cells, one input each": batches(asked.arrays),
        f"{asked.images} inputs of one {ROWS}x{COLS} array, 1 ohm": data_set(asked.images),
        "One 64x64 array, beside a fixed point as CrossSim has it, re-coded here": peers(),
    }
    for title, rows in sections.items():
        lines += ["", f"## {title}", ""]
        for row in rows:
            lines.append(row)
            print(row, flush=True)
        OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
