"""What an update of a transfer matrix takes beside a new solution, for `xbar.sensitivity.cost`.

    python -m benchmarks.sensitivity.update_cost

Measures both, and the coupling of all cells, on arrays of the digits network's sizes (10 kOhm to
1 MOhm, 1 Ohm wires, float64), one core, least processor time of several calls; writes
results/update_cost.csv, which a test holds the model against, and prints the constants of the model
that fit best.
"""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import lax
from scipy.optimize import nnls

import xbar as xb
from benchmarks.sensitivity.timing import in_turn
from benchmarks.speed.machine import description
from xbar import sensitivity as sens
from xbar.sensitivity import cost

TABLE = Path(__file__).parents[1] / "results" / "update_cost.csv"
SHAPES = (65, 100), (51, 40), (21, 16)
CELLS = 1, 8, 64, 200, 400, 800
REPEATS = 9
SOLVED = 16  # arrays per call


def sets_per_call(k: int) -> int:
    """Many small ones: what a call costs by itself is shared by thousands of sets in practice."""
    return min(256, max(8, 2000 // k))


@jax.jit
def solved_anew(array: xb.Crossbar, g: jax.Array) -> jax.Array:
    """Transfer matrix of each of some arrays with the same wires, one after the other."""
    return lax.map(lambda g: xb.transfer(xb.Crossbar(g, array.wires)), g)


def measured(shape: tuple[int, int]) -> list[dict]:
    """Rows of the table for arrays of one shape."""
    rng = np.random.default_rng(0)
    g = np.exp(rng.uniform(np.log(1e-6), np.log(1e-4), (SOLVED, *shape)))
    array = xb.Crossbar(g[0], xb.Wires(1.0, 1.0))
    response, known = sens.response(array), sens.coupling(array)
    calls, members = {("resolve", 0): partial(solved_anew, array, jnp.asarray(g))}, {}
    for k in (k for k in CELLS if k <= g[0].size):
        count = members["update", k] = sets_per_call(k)
        flat = np.stack([rng.permutation(g[0].size)[:k] for _ in range(count)])
        cells = np.stack(np.unravel_index(flat, shape), -1)
        g_new = np.where(rng.random((count, k)) < 0.5, 1e-4, 1e-6)
        calls["update", k] = partial(sens.changed_transfers, response, known, cells, g_new)
    members |= {("resolve", 0): SOLVED, ("coupling", 0): 1}
    calls["coupling", 0] = partial(sens.coupling, array)
    return [
        {
            "rows": shape[0],
            "cols": shape[1],
            "what": key[0],
            "cells": key[1],
            "seconds": f"{found.processor / members[key]:.4g}",
        }
        for key, found in in_turn(calls, REPEATS).items()
    ]


def fitted(rows: list[dict]) -> dict[str, np.ndarray]:
    """The constants of the model, by least squares of relative errors."""
    terms = {
        "update": lambda row, shape: cost.update_terms(shape, row["cells"]),
        "resolve": lambda _, shape: cost.resolve_terms(shape),
        "coupling": lambda _, shape: cost.coupling_terms(shape),
    }
    constants = {}
    for what, of in terms.items():
        chosen = [row for row in rows if row["what"] == what]
        seconds = np.array([float(row["seconds"]) for row in chosen])
        known = np.array([of(row, (row["rows"], row["cols"])) for row in chosen], float)
        constants[what] = nnls(known / seconds[:, None], np.ones(len(seconds)))[0]
    return constants


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    rows = [row for shape in SHAPES for row in measured(shape)]
    where = description()
    pd.DataFrame([row | where for row in rows]).to_csv(TABLE, index=False)
    print(TABLE.read_text())
    for what, constants in fitted(rows).items():
        print(what, *(f"{c:.3g}" for c in constants))


if __name__ == "__main__":
    main()
