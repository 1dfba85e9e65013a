"""Errors of the solvers over random circuits, against exact rational arithmetic.

Run `python benchmarks/accuracy/solvers.py`; it rewrites solvers.md beside it. The circuits are
those of the test suite (tests/circuits.py): 1x1 to 5x4, log-uniform values of three regimes with
open cells and zero segments sprinkled in, seeded.
"""

import platform
import sys
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import xbar as xb

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
import circuits

SHAPES = [(1, 1), (1, 5), (5, 1), (3, 5), (5, 4)]
PER_CASE = 40  # circuits per shape and regime: 600 in all
SOLVERS = {"CG": xb.CG(), "ColumnSweep": xb.ColumnSweep(), "Auto (default)": xb.Auto()}


def batch(rows: int, cols: int, regime: str, dtype: type) -> list[circuits.Circuit]:
    """The circuits of one case, their numbers rounded to the precision that is tested."""
    rng = np.random.default_rng([rows, cols, sorted(circuits.REGIMES).index(regime)])
    drawn = [circuits.random_circuit(rng, rows, cols, regime) for _ in range(PER_CASE)]
    return [circuits.Circuit(*(part.astype(dtype) for part in c)) for c in drawn]


def solved(solver: xb.AbstractSolver, cases: list[circuits.Circuit]) -> tuple[np.ndarray, ...]:
    """Cell currents of all circuits, and which results were successful."""
    stacked = circuits.Circuit(*(jnp.asarray(np.stack(part)) for part in zip(*cases, strict=True)))

    def one(c: circuits.Circuit) -> tuple[jax.Array, jax.Array]:
        wires = xb.Wires(c.word_line, c.bit_line, c.source, c.sense)
        sol = xb.solve(xb.Crossbar(c.g, wires), c.v_in, solver, throw=False)
        return sol.i_cell, sol.result == xb.RESULTS.successful

    i_cell, ok = jax.jit(jax.vmap(one))(stacked)
    return np.asarray(i_cell, np.float64), np.asarray(ok)


def errors(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Largest error of any cell or output current, relative to the largest current."""
    out = []
    for ours, exact in zip(found, expected, strict=True):
        wrong = max(np.max(np.abs(ours - exact)), np.max(np.abs((ours - exact).sum(0))))
        out.append(wrong / (circuits.largest_current(exact) or 1.0))
    return np.array(out)


def rows_of(regime: str, dtype: type) -> list[str]:
    """Table rows of one regime and precision."""
    found: dict[str, list[np.ndarray]] = {"Dense": [], **{name: [] for name in SOLVERS}}
    marked = dict.fromkeys(found, 0)
    for shape in SHAPES:
        cases = batch(*shape, regime, dtype)
        dense, ok = solved(xb.Dense(), cases)
        exact = np.stack([circuits.exact(c)[0] for c in cases])
        found["Dense"].append(errors(dense, exact)[ok])
        marked["Dense"] += int(np.sum(~ok))
        for name, solver in SOLVERS.items():
            ours, ok = solved(solver, cases)
            found[name].append(errors(ours, exact)[ok])
            marked[name] += int(np.sum(~ok))
    lines = []
    for name, parts in found.items():
        e = np.concatenate(parts)
        total = e.size + marked[name]
        lines.append(
            f"| {regime} | {np.dtype(dtype).name} | {name} | {np.median(e):.0e} "
            f"| {np.percentile(e, 99):.0e} | {np.max(e):.0e} | {marked[name]} of {total} |"
        )
    return lines


HEAD = """\
# Errors of the solvers

{count} random circuits per precision, 1x1 to 5x4, open cells and wires of 0 ohm among them. Error:
worst cell or output current against exact rational arithmetic, relative to the circuit's largest
current, over the results that the solver calls successful. *marked*: results that missed the
solver's own tolerance (1e-10 in float64, 1e-5 in float32) and say so.

Cells and wires: {regimes}.

In float32 the error estimates see no more than float32 does: among extreme circuits a few results
pass that are worse than 1e-5. Use float64 there.

Written by benchmarks/accuracy/solvers.py with jax {jax}, numpy {numpy}, Python {python}, {machine}.

| regime | precision | solver | median | 99 % | worst | marked |
|---|---|---|---|---|---|---|
"""


def main() -> None:
    """Measure and write the table."""
    jax.config.update("jax_enable_x64", True)
    regimes = "; ".join(
        f"{name} {g[0]:g} to {g[1]:g} S, {r[0]:g} to {r[1]:g} ohm"
        for name, (g, r) in circuits.REGIMES.items()
    )
    head = HEAD.format(
        count=len(SHAPES) * PER_CASE * len(circuits.REGIMES),
        regimes=regimes,
        jax=version("jax"),
        numpy=version("numpy"),
        python=platform.python_version(),
        machine=platform.machine(),
    )
    rows = [
        row for d in (np.float64, np.float32) for r in circuits.REGIMES for row in rows_of(r, d)
    ]
    Path(__file__).with_suffix(".md").write_text(head + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
