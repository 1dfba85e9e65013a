"""Conjugate gradients on the cell voltages: the method for mild to severe voltage drop.

`A = I + drop . g` is self-adjoint and positive in the inner product ``<a, b> = sum(g a b)``, so
conjugate gradients in that product solve ``A u = e`` (Hestenes and Stiefel, 1952). One step costs
one application of `drop`. The number of steps grows with the square root of A's largest
eigenvalue, which ``max(A 1)`` bounds (A has no negative entries).

The recurrence's own residual drifts away from the true one by rounding; each pass therefore ends
with the true residual, and a further pass works on what is left, as iterative refinement does. So
the passes themselves need not be precise: for arrays too large for the processor's cache they run
in float32, which is half the data to move, and only the refinement is in float64.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int

from xbar.solvers.base import (
    AbstractSolver,
    Answer,
    Correction,
    Problem,
    Transfer,
    Voltages,
    allowed_residual,
    check_rtol,
    default_rtol,
    error_bound,
    problem_of,
    relative_change,
    transfer_by_cells,
)
from xbar.solvers.batching import per_array

# Within a pass the residual shrinks to a part of the tolerance, so that rounding has room; float32,
# whose tolerance is a few hundred roundings, needs more of it (2e-6 in mild drop: tests).
MARGIN = {"float64": 0.3, "float32": 0.1}
# Further passes help only where rounding spoilt the first; more than these never did in tests.
MAX_PASSES = 4
# Passes in float32, for arrays of at least so many cells, each to this much of its first residual.
ROUGH_CELLS = 2**18
ROUGH_PASSES = 4
ROUGH_REDUCTION = 1e-6


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
        rtol, limit = default_rtol(self.rtol, e.dtype), self.limit(problem)
        return per_array(lambda problem, e: _cell_voltages(problem, e, rtol, limit))(problem, e)

    def correction(
        self, problem: Problem, residual: Float[Array, "rows cols"], reduction: Float[Array, ""]
    ) -> Correction:
        """One run of the recurrence from zero."""
        return _correction(problem, residual, reduction, self.limit(problem))

    def transfer(self, state: None, problem: Problem) -> tuple[Transfer, Bool[Array, ""]]:
        """Solve for every unit drive."""
        rtol = default_rtol(self.rtol, problem.g.dtype)
        if problem.g.dtype == jnp.float64:
            # The largest current of a unit drive is the driven line's own, many times those that
            # make up the matrix. (float32 has no digits to spare for that.)
            rtol = max(0.1 * rtol, 1e-14)
        return transfer_by_cells(CG(rtol, self.max_steps), state, problem)


class _Pass(NamedTuple):
    u: Voltages
    residual: Voltages
    ok: Bool[Array, " n"]
    steps: Int[Array, " n"]
    number: Int[Array, ""]


def _cell_voltages(problem: Problem, e: Voltages, rtol: float, limit: int) -> Answer:
    """Passes until every drive is right, or no more are worth it."""
    within = MARGIN[e.dtype.name] * rtol

    def refined(state: _Pass, working: Problem, passes: int) -> _Pass:
        def unfinished(state: _Pass) -> Bool[Array, ""]:
            return jnp.any(~state.ok) & (state.number < passes)

        def one_pass(state: _Pass) -> _Pass:
            change, steps, converged = _iterate(working, state, within, limit)
            u = state.u + change
            residual = problem.residual(e, u)
            # The bound is pessimistic where drop is severe. A pass that converged has found the
            # error of the one before, and leaves a smaller one.
            measured = relative_change(problem.g, u, change) + within
            shown = converged & (state.number > 0) & (measured <= rtol)
            right = error_bound(problem.g, u, residual) <= rtol
            return _Pass(u, residual, right | shown, state.steps + steps, state.number + 1)

        return lax.while_loop(unfinished, one_pass, state._replace(number=jnp.zeros((), int)))

    n = e.shape[0]
    residual = -problem.drop(problem.g * e)
    right = error_bound(problem.g, e, residual) <= within
    state = _Pass(e, residual, right, jnp.zeros(n, int), jnp.zeros((), int))
    if problem.g.size >= ROUGH_CELLS and problem.g.dtype == jnp.float64:
        rough = problem_of(problem.g.astype(jnp.float32), problem.wires)
        state = refined(state, rough, ROUGH_PASSES)
    state = refined(state, problem, MAX_PASSES)
    return Answer(u=state.u, ok=state.ok, steps=state.steps)


class _Iterate(NamedTuple):
    change: Voltages
    residual: Voltages
    direction: Voltages
    squared: Float[Array, " n"]  # <residual, residual>
    allowed: Float[Array, " n"]  # what it has to come down to
    active: Bool[Array, " n"]
    steps: Int[Array, " n"]


def _iterate(
    problem: Problem, start: _Pass, rtol: float, limit: int
) -> tuple[Voltages, Int[Array, " n"], Bool[Array, " n"]]:
    """One run of the recurrence in the precision of `problem`, from the residual of `start` on.

    Returns the change of the voltages, the steps, and which drives reached `rtol` by its account;
    those that are already right stay as they are. The residual that is allowed depends on the
    largest current, which takes as long to find as the rest of a step's sums: it is found anew only
    when the residual has come down to what an earlier estimate allowed.
    """
    g = problem.g
    size = jnp.max(jnp.abs(start.residual), axis=(-2, -1), keepdims=True)
    size = jnp.where(size == 0, 1, size)  # brings small residuals clear of underflow
    residual = (start.residual / size).astype(g.dtype)
    squared = jnp.sum(g * residual**2, axis=(-2, -1))
    rough = g.dtype != start.residual.dtype
    least = ROUGH_REDUCTION**2 * squared if rough else jnp.zeros_like(squared)

    def step(it: _Iterate) -> _Iterate:
        i_cell = g * it.direction
        image = it.direction + problem.drop(i_cell)
        curvature = jnp.sum(i_cell * image, axis=(-2, -1))
        length = jnp.where(it.active, it.squared / jnp.where(curvature == 0, 1, curvature), 0)
        residual = it.residual - length[:, None, None] * image
        squared = jnp.sum(g * residual**2, axis=(-2, -1))
        turn = squared / jnp.where(it.squared == 0, 1, it.squared)
        return _Iterate(
            change=it.change + length[:, None, None] * it.direction,
            residual=residual,
            direction=residual + turn[:, None, None] * it.direction,
            squared=squared,
            allowed=it.allowed,
            active=it.active & (squared > it.allowed),
            steps=it.steps + it.active,
        )

    def unfinished(it: _Iterate) -> Bool[Array, ""]:
        return jnp.any(it.active) & (jnp.max(it.steps) < limit)

    def estimate(it: _Iterate) -> _Iterate:
        u = (start.u / size).astype(g.dtype) + it.change
        allowed = jnp.maximum(allowed_residual(g, u, rtol), least)
        return it._replace(allowed=allowed, active=~start.ok & (it.squared > allowed))

    n = len(squared)
    first = _Iterate(
        change=jnp.zeros_like(residual),
        residual=residual,
        direction=residual,
        squared=squared,
        allowed=jnp.zeros_like(squared),
        active=jnp.ones(n, bool),
        steps=jnp.zeros(n, int),
    )
    last = lax.while_loop(
        unfinished, lambda it: estimate(lax.while_loop(unfinished, step, it)), estimate(first)
    )
    return size * last.change, last.steps, ~last.active


class _Run(NamedTuple):
    u: Float[Array, "rows cols"]
    residual: Float[Array, "rows cols"]
    direction: Float[Array, "rows cols"]
    squared: Float[Array, ""]  # <residual, residual>
    steps: Int[Array, ""]


def _correction(
    problem: Problem, right: Float[Array, "rows cols"], reduction: Float[Array, ""], limit: int
) -> Correction:
    """Solve ``A u = right`` from zero until the residual is down to a part of it.

    Returns ``u + residual``, which is ``right - drop(g u)``: the equation itself gives the voltage
    of a cell that the weighted product does not see, for having no conductance.
    """
    g = problem.g
    size = jnp.max(jnp.abs(right))
    size = jnp.where(size == 0, 1, size)  # brings small residuals clear of underflow
    right = right / size
    squared = jnp.sum(g * right**2)
    allowed = reduction**2 * squared

    def step(run: _Run) -> _Run:
        i_cell = g * run.direction
        image = run.direction + problem.drop(i_cell)
        length = run.squared / jnp.sum(i_cell * image)
        residual = run.residual - length * image
        squared = jnp.sum(g * residual**2)
        return _Run(
            u=run.u + length * run.direction,
            residual=residual,
            direction=residual + squared / run.squared * run.direction,
            squared=squared,
            steps=run.steps + 1,
        )

    first = _Run(jnp.zeros_like(right), right, right, squared, jnp.zeros((), int))
    last = lax.while_loop(lambda run: (run.squared > allowed) & (run.steps < limit), step, first)
    u = jnp.where(g > 0, last.u, last.u + last.residual)
    return Correction(size * u, last.squared <= allowed, last.steps)
