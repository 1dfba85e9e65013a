"""The default solver: which method for which array and how many inputs (docs/choosing.md).

`CG` takes time in proportion to the inputs and to the steps that the drop costs; `ColumnSweep`
first eliminates the array, whatever the drop, and then takes little for each input; tiles give
nothing but the transfer matrix, and that of a large array by far the fastest. So

- a few inputs: `CG`, unless its bound on the steps, from the largest eigenvalue of ``A = I + drop .
  g`` (at most ``max(A 1)``, since A has no negative entries), is past its limit; whatever misses
  the tolerance goes to `ColumnSweep`, in large arrays to its lean form (`xbar.solvers.lean_sweep`);
- more than `MANY_INPUTS` inputs at once, or the transfer matrix of an array of up to `TILED_SIDE`
  cells on its shorter side: `ColumnSweep`;
- the transfer matrix of a larger one: tiles, checked on one random input by the first rule;
- arrays for whose factors there is no room: `CG`, or tiles.
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool

from xbar.solvers import lean_sweep
from xbar.solvers.base import (
    AbstractSolver,
    Answer,
    Problem,
    Transfer,
    Voltages,
    check_rtol,
    default_rtol,
    transfer_agrees,
    transfer_by_cells,
)
from xbar.solvers.batching import repaired
from xbar.solvers.cg import CG, MARGIN
from xbar.solvers.column_sweep import ColumnSweep, factor_bytes
from xbar.solvers.tiles import tiled_transfer

# Memory that the sweep may take for its factors; larger arrays stay with CG.
MAX_FALLBACK_BYTES = 2**31
# Up to so many are repaired in less memory where the sweep's factors are large (`lean_sweep`).
FEW_INPUTS = 4
# Where that repair takes long, CG is tried up to so many times its limit: real circuits take far
# fewer steps than the bound.
PATIENCE = 16
# Where factoring and one pass over all inputs takes less than CG on each (benchmarks/log.md).
MANY_INPUTS = 24
# Where a sweep over columns takes as long as dividing and conquering, whose compilation takes
# longer: 5 to 10 s (benchmarks/log.md).
TILED_SIDE = 96


class Auto(AbstractSolver):
    """`CG` or `ColumnSweep`, whichever is the faster and gets there.

    Args:
        rtol: bound on the error of every current, relative to the largest current of the input;
            None means 1e-10 in float64 and 1e-5 in float32.

    Raises:
        ValueError: an option out of range.
    """

    rtol: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_rtol("Auto", self.rtol)

    def factor(self, problem: Problem) -> Bool[Array, ""]:
        """Whether CG is worth trying: its step bound is within its limit."""
        if not _sweep_fits(problem):
            return jnp.asarray(True)
        largest_eigenvalue = 1 + jnp.max(problem.drop(problem.g))
        digits = jnp.log(
            2 / (MARGIN[problem.g.dtype.name] * default_rtol(self.rtol, problem.g.dtype))
        )
        limit = CG().limit(problem) * (PATIENCE if lean_sweep.in_blocks(problem) else 1)
        return jnp.sqrt(largest_eigenvalue) * digits / 2 <= limit

    def cell_voltages(self, state: Bool[Array, ""], problem: Problem, e: Voltages) -> Answer:
        """Try CG where it is worth it, then repair what is left."""
        direct = ColumnSweep(self.rtol)

        def solve_directly(problem: Problem, e: Voltages) -> Answer:
            if len(e) <= FEW_INPUTS and lean_sweep.is_worth_it(problem):
                return lean_sweep.cell_voltages(problem, e, default_rtol(self.rtol, e.dtype))
            return direct.cell_voltages(direct.factor(problem), problem, e)

        fits = _sweep_fits(problem)
        if fits and len(e) > MANY_INPUTS:
            return solve_directly(problem, e)
        answer = CG(self.rtol).cell_voltages(None, problem, jnp.where(state, e, 0))
        answer = Answer(u=answer.u, ok=answer.ok & state, steps=answer.steps)
        if not fits:
            return answer
        return repaired(jnp.all(answer.ok), answer, solve_directly, problem, e)

    def transfer(
        self, state: Bool[Array, ""], problem: Problem
    ) -> tuple[Transfer, Bool[Array, ""]]:
        """By columns or by tiles; if a check fails, input by input."""
        if min(problem.g.shape) <= TILED_SIDE:
            direct = ColumnSweep(self.rtol)
            return direct.transfer(direct.factor(problem), problem)
        found = self._by_tiles(problem)

        def by_cells(problem: Problem) -> tuple[Array, Array]:
            return transfer_by_cells(self, self.factor(problem), problem)

        return repaired(found[1], found, by_cells, problem)

    @property
    def own_transfer(self) -> Callable[[Problem], tuple[Transfer, Bool[Array, ""]]]:
        """By columns or by tiles."""

        def own(problem: Problem) -> tuple[Transfer, Bool[Array, ""]]:
            if min(problem.g.shape) <= TILED_SIDE:
                return ColumnSweep(self.rtol).own_transfer(problem)
            return self._by_tiles(problem)

        return own

    def _by_tiles(self, problem: Problem) -> tuple[Array, Array]:
        matrix, rtol = tiled_transfer(problem), default_rtol(self.rtol, problem.g.dtype)
        fixed = lax.stop_gradient(problem)
        state = self.factor(fixed)
        return matrix, transfer_agrees(self, state, fixed, lax.stop_gradient(matrix), rtol)


def _sweep_fits(problem: Problem) -> bool:
    return 1.5 * factor_bytes(problem) <= MAX_FALLBACK_BYTES
