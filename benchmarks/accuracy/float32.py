"""Errors of float32 on arrays of ordinary size, and what they are of differences of currents.

Run `python benchmarks/accuracy/float32.py`; it writes benchmarks/results/float32.md. A neuron's
signal is i_plus - i_minus of neighbouring columns, which keeps the error of the currents while the
signal itself may be small.
"""

import platform
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import xbar as xb

SEEDS = 20
# name: rows, cols, lowest and highest resistance of a cell [ohm], wire segment [ohm], bound
CASES = {
    "mild: 65x100, 10 kOhm to 1 MOhm, 1 Ohm": (65, 100, 1e4, 1e6, 1.0, 2e-6),
    "65x100, 10 kOhm to 1 MOhm, 5 Ohm": (65, 100, 1e4, 1e6, 5.0, 2e-6),
    "128x128, 10 kOhm to 1 MOhm, 1 Ohm": (128, 128, 1e4, 1e6, 1.0, 2e-6),
    "severe: 65x100, all 10 kOhm, 20 Ohm": (65, 100, 1e4, 1e4, 20.0, 1e-5),
    "severe: 128x128, all 10 kOhm, 100 Ohm": (128, 128, 1e4, 1e4, 100.0, 1e-5),
    "severe: 64x64, all 100 Ohm, 10 Ohm": (64, 64, 1e2, 1e2, 10.0, 1e-5),
    "severe: 64x64, 100 Ohm to 10 kOhm, 10 Ohm": (64, 64, 1e2, 1e4, 10.0, 1e-5),
}
HEAD = """\
# Errors of float32

Worst of {seeds} seeded arrays with seeded inputs in 0 to 0.2 V, the default solver in float32
against the same in float64 (1e-10): currents relative to the largest current, and differences
`i_plus - i_minus` of neighbouring columns relative to the largest difference.

Written by benchmarks/accuracy/float32.py with jax {jax}, Python {python}, {machine}.

| circuits | bound | `solve`: currents | differences | `transfer @ v`: currents | differences |
|---|---|---|---|---|---|
"""


def currents(g: jax.Array, wire: jax.Array, v_in: jax.Array) -> jax.Array:
    """Output currents by `solve` and by `transfer`, (2, cols) [A]."""
    array = xb.Crossbar(g, xb.Wires(wire, wire))
    return jnp.stack([xb.solve(array, v_in).i_out, xb.transfer(array) @ v_in])


def errors(rows: int, cols: int, r_low: float, r_high: float, wire: float) -> np.ndarray:
    """Worst errors: by `solve` and by `transfer`, of currents and of differences, (2, 2)."""
    compiled = jax.jit(currents)
    found = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        g = 1 / np.exp(rng.uniform(np.log(r_low), np.log(r_high), (rows, cols)))
        v_in = rng.uniform(0, 0.2, rows)
        # Numbers that float32 holds exactly: the error is the solver's alone.
        g, v_in = (x.astype(np.float32) for x in (g, v_in))
        rough = compiled(g, np.float32(wire), v_in)
        exact = compiled(g.astype(float), float(wire), v_in.astype(float))
        pairs = [(rough, exact)]
        pairs.append(tuple(x.astype(float)[:, 0::2] - x[:, 1::2] for x in pairs[0]))
        found.append([jnp.max(jnp.abs(a - b), axis=1) / jnp.max(jnp.abs(b)) for a, b in pairs])
    return np.max(np.asarray(found), axis=0).T


def main() -> None:
    """Measure and write the table."""
    jax.config.update("jax_enable_x64", True)
    lines = []
    for name, (*case, bound) in CASES.items():
        by_solve, by_transfer = errors(*case)
        failed = " (failed)" if max(by_solve[0], by_transfer[0]) > bound else ""
        numbers = " | ".join(f"{e:.1e}" for e in (*by_solve, *by_transfer))
        lines.append(f"| {name} | {bound:.0e}{failed} | {numbers} |")
    head = HEAD.format(
        seeds=SEEDS,
        jax=version("jax"),
        python=platform.python_version(),
        machine=platform.machine(),
    )
    path = Path(__file__).parents[1] / "results" / "float32.md"
    path.write_text(head + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
