"""Conjugate gradients on the cell voltages: the method for mild to severe voltage drop.

`A = I + drop . g` is self-adjoint and positive in the inner product ``<a, b> = sum(g a b)``, so
conjugate gradients in that product solve ``A u = e`` (Hestenes and Stiefel, 1952). One step costs
one application of `drop`. The number of steps grows with the square root of A's largest
eigenvalue, which ``max(A 1)`` bounds (A has no negative entries).

The recurrence's own residual drifts away from the true one by rounding; each pass therefore ends
with the true residual, and a further pass works on what is left, as iterative refinement does.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int

from xbar.solvers.base import (
    AbstractSolver,
    Answer,
    Problem,
    Voltages,
    check_rtol,
    default_rtol,
    error_bound,
    relative_change,
)

# Within a pass the residual shrinks to a tenth of the tolerance, so that rounding has room.
MARGIN = 0.1
# Further passes help only where rounding spoilt the first; more than these never did in tests.
MAX_PASSES = 4


class CG(AbstractSolver):
    """Conjugate gradients in the inner product weighted by the conductances.

    Args:
        rtol: bound on the error of every current, relative to the largest current of the input;
            None means 1e-10 in float64 and 1e-5 in float32.
        max_steps: steps per pass after which the result is marked `tolerance_missed`;
            None means ``100 + 10 (rows + cols)``.

    Raises:
        ValueError: an option out of range.
    """

    rtol: float | None = eqx.field(static=True, default=None)
    max_steps: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_rtol("CG", self.rtol)
        if self.max_steps is not None and not (
            isinstance(self.max_steps, int) and self.max_steps > 0
        ):
            raise ValueError(f"CG.max_steps: got {self.max_steps!r}, needs a positive integer")

    def limit(self, problem: Problem) -> int:
        """Steps allowed per pass."""
        return self.max_steps or 100 + 10 * sum(problem.g.shape)

    def factor(self, problem: Problem) -> None:
        """Nothing to prepare beyond the line operator."""

    def cell_voltages(self, state: None, problem: Problem, e: Voltages) -> Answer:
        """Iterate from ``u = e``, exact where wires are zero or cells open."""
        rtol = default_rtol(self.rtol, e.dtype)
        limit = self.limit(problem)

        def unfinished(state: _Pass) -> Bool[Array, ""]:
            return jnp.any(~state.ok) & (state.number < MAX_PASSES)

        def one_pass(state: _Pass) -> _Pass:
            u, steps, converged = _iterate(problem, state, e, MARGIN * rtol, limit)
            bound = error_bound(problem.g, u, problem.residual(e, u))
            # The bound is pessimistic where drop is severe. A pass that converged has found the
            # error of the one before, and leaves a smaller one.
            measured = relative_change(problem.g, u, u - state.u) + MARGIN * rtol
            shown = converged & (state.number > 0) & (measured <= rtol)
            return _Pass(
                u=u,
                ok=state.ok | (bound <= rtol) | shown,
                steps=state.steps + steps,
                number=state.number + 1,
            )

        n = e.shape[0]
        start = _Pass(e, jnp.zeros(n, bool), jnp.zeros(n, int), jnp.zeros((), int))
        last = lax.while_loop(unfinished, one_pass, start)
        return Answer(u=last.u, ok=last.ok, steps=last.steps)


class _Pass(NamedTuple):
    u: Voltages
    ok: Bool[Array, " n"]
    steps: Int[Array, " n"]
    number: Int[Array, ""]


class _Iterate(NamedTuple):
    u: Voltages
    residual: Voltages
    direction: Voltages
    squared: Float[Array, " n"]  # <residual, residual>
    active: Bool[Array, " n"]
    steps: Int[Array, " n"]


def _iterate(
    problem: Problem, start: _Pass, e: Voltages, rtol: float, limit: int
) -> tuple[Voltages, Int[Array, " n"], Bool[Array, " n"]]:
    """One run of the recurrence: voltages, steps, and which inputs reached `rtol` by its account.

    Inputs that are already right stay as they are.
    """
    g = problem.g

    def step(it: _Iterate) -> _Iterate:
        i_cell = g * it.direction
        image = it.direction + problem.drop(i_cell)
        curvature = jnp.sum(i_cell * image, axis=(-2, -1))
        size = jnp.where(it.active, it.squared / jnp.where(curvature == 0, 1, curvature), 0)
        u = it.u + size[:, None, None] * it.direction
        residual = it.residual - size[:, None, None] * image
        squared = jnp.sum(g * residual**2, axis=(-2, -1))
        turn = squared / jnp.where(it.squared == 0, 1, it.squared)
        return _Iterate(
            u=u,
            residual=residual,
            direction=residual + turn[:, None, None] * it.direction,
            squared=squared,
            active=it.active & (error_bound(g, u, residual) > rtol),
            steps=it.steps + it.active,
        )

    def unfinished(it: _Iterate) -> Bool[Array, ""]:
        return jnp.any(it.active) & (jnp.max(it.steps) < limit)

    residual = problem.residual(e, start.u)
    first = _Iterate(
        u=start.u,
        residual=residual,
        direction=residual,
        squared=jnp.sum(g * residual**2, axis=(-2, -1)),
        active=~start.ok & (error_bound(g, start.u, residual) > rtol),
        steps=jnp.zeros(len(e), int),
    )
    last = lax.while_loop(unfinished, step, first)
    return last.u, last.steps, ~last.active
