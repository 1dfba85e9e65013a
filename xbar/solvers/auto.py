"""The default solver: conjugate gradients where they are fast, direct elimination elsewhere.

Two things decide, per array: a bound on the steps that `CG` will need, from the largest eigenvalue
of ``A = I + drop . g`` (at most ``max(A 1)``, since A has no negative entries), and the measured
error bound after `CG`. What CG cannot do within its tolerance goes to `ColumnSweep`.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool

from xbar.solvers.base import AbstractSolver, Answer, Problem, Voltages, check_rtol, default_rtol
from xbar.solvers.cg import CG, MARGIN
from xbar.solvers.column_sweep import ColumnSweep

# Memory that the fallback may take for its factors; larger arrays stay with CG.
MAX_FALLBACK_BYTES = 2**31


class Auto(AbstractSolver):
    """`CG`, and `ColumnSweep` for arrays on which CG misses the tolerance or would be slow.

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
        if not _fallback_fits(problem):
            return jnp.asarray(True)
        largest_eigenvalue = 1 + jnp.max(problem.drop(problem.g))
        digits = jnp.log(2 / (MARGIN * default_rtol(self.rtol, problem.g.dtype)))
        return jnp.sqrt(largest_eigenvalue) * digits / 2 <= CG().limit(problem)

    def cell_voltages(self, state: Bool[Array, ""], problem: Problem, e: Voltages) -> Answer:
        """Try CG where it is worth it, then repair what is left."""
        cg = CG(rtol=self.rtol)
        answer = cg.cell_voltages(None, problem, jnp.where(state, e, 0))
        answer = Answer(u=answer.u, ok=answer.ok & state, steps=answer.steps)
        if not _fallback_fits(problem):
            return answer
        return _repair(ColumnSweep(rtol=self.rtol), problem, e, answer)


def _fallback_fits(problem: Problem) -> bool:
    rows, cols = problem.g.shape
    return 3 * cols * rows**2 * problem.g.dtype.itemsize <= MAX_FALLBACK_BYTES


def _repair(direct: ColumnSweep, problem: Problem, e: Voltages, answer: Answer) -> Answer:
    """Solve directly if any input failed.

    In a batch of arrays this is a loop with a real branch, so that only the arrays that need it
    pay for it, and the factors of one array at a time are in memory.
    """

    @jax.custom_batching.sequential_vmap
    def repair(problem: Problem, e: Voltages, answer: Answer) -> Answer:
        def solve_directly() -> Answer:
            found = direct.cell_voltages(direct.factor(problem), problem, e)
            return Answer(u=found.u, ok=found.ok, steps=answer.steps)

        return lax.cond(jnp.all(answer.ok), lambda: answer, solve_directly)

    return repair(problem, e, answer)
