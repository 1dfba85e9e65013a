"""Single stuck cells of arrays whose cells bend: how far the linearised update is off, and steps.

    python -m benchmarks.cells.faults [--side 24] [--faults 60]

Writes benchmarks/results/cells_faults.md: counts and errors, no times.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import xbar as xb
from benchmarks.cells.speed import drawn, inputs
from xbar import cells
from xbar import sensitivity as sens

OUT = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "cells_faults.md"
V_0 = (0.5, 0.25, 0.1, 0.05)
STUCK = {"on": 1e-4, "off": 1e-6}  # siemens, the ends of the range that cells are drawn from
WIRES = {"mild": 1.0, "severe": 20.0}  # ohm of a segment


@jax.jit
def anew(g, v, v_0, r, at, stuck):
    """Newton's steps, and output currents, of each faulty array solved from the drive."""

    def one(fault):
        mask = jnp.zeros(g.shape, bool).at[fault[0], fault[1]].set(True)
        law = cells.Where(mask, cells.Ohmic(jnp.full(g.shape, stuck)), cells.Sinh(g, v_0))
        found = xb.solve(xb.Crossbar(law, xb.Wires(r, r)), v)
        return found.steps, found.i_out

    return jax.lax.map(one, at)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=24)
    parser.add_argument("--faults", type=int, default=60)
    asked = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(0)
    g, v = drawn(rng, 1, asked.side, asked.side)[0], inputs(rng, 1, asked.side)[0]
    chosen = rng.choice(asked.side**2, min(asked.faults, asked.side**2), replace=False)
    at = np.stack(np.divmod(chosen, asked.side), axis=-1)
    lines = [
        f"# {len(at)} single stuck cells of a {asked.side}x{asked.side} array, float64",
        "",
        "Off: what the linearised update misses, relative to the largest change by the fault. "
        "Steps are Newton's to 1e-10: from the linearised voltages, and from the drive.",
        "",
        "| ohm | stuck | v_0 [V] | off: median, worst | steps: mean, most | anew: mean, most |",
        "|---|---|---|---|---|---|",
    ]
    for r in WIRES.values():
        for word, stuck in STUCK.items():
            for v_0 in V_0:
                array = xb.Crossbar(cells.Sinh(g, jnp.asarray(v_0)), xb.Wires(r, r))
                found = sens.nonlinear_cell_faults(array, v, stuck, at)
                steps, right = anew(g, v, v_0, r, jnp.asarray(at), stuck)
                off = jnp.max(jnp.abs(right - found.i_out)) / jnp.max(jnp.abs(right))
                assert off <= 1e-9, off
                row = (
                    f"| {r:g} | {word} | {v_0:g} | "
                    f"{float(jnp.median(found.off)):.1e}, {float(jnp.max(found.off)):.1e} | "
                    f"{float(jnp.mean(found.steps)):.1f}, {int(jnp.max(found.steps))} | "
                    f"{float(jnp.mean(steps)):.1f}, {int(jnp.max(steps))} |"
                )
                lines.append(row)
                print(row, flush=True)
                OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
