"""Conjugate gradients on the cell voltages: the method for mild to severe voltage drop.

`A = I + drop . g` is self-adjoint and positive in the inner product ``<a, b> = sum(g a b)``, so
conjugate gradients in that product solve ``A u = e`` (Hestenes and Stiefel, 1952). One step costs
one application of `drop`. The number of steps grows with the square root of A's largest
eigenvalue, less where `xbar.solvers.modes` preconditions the residuals.

The recurrence's own residual drifts away from the true one by rounding; each pass therefore starts
from the true residual, as iterative refinement does, and keeps the direction of the last. So the
passes themselves need not be precise: for arrays too large for the processor's cache they run in
float32 first, which is half the data to move, and only what they leave is found in float64.

In float32 the sums of large circuits hide more of the residual than the tolerance allows, though
what is found is right. There a pass that does not pass judgement is judged again by sums without
rounding, and the next one starts from what they leave.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int

from xbar.checks import flag
from xbar.solvers.base import (
    AbstractSolver,
    Answer,
    Correction,
    Drives,
    Left,
    Problem,
    Transfer,
    Voltages,
    allowed_residual,
    check_rtol,
    default_rtol,
    left_by,
    longest_line,
    problem_of,
    relative_change,
    transfer_by_cells,
    within,
)
from xbar.solvers.batching import chosen, per_array
from xbar.solvers.modes import Modes, modes_of
from xbar.solvers.recurrence import Limits, Run, iterated, ratio, size_of
from xbar.solvers.unrounded import Wide, hides, left_in_full

# Within a pass the residual shrinks to a part of the tolerance, so that rounding has room; float32,
# whose tolerance is a few hundred roundings, needs more of it (2e-6 in mild drop: tests).
MARGIN = {"float64": 0.3, "float32": 0.1}
# Further passes help only where rounding spoilt the first, or where the drive's own currents were a
# poor guess of the largest; more than these never did in tests.
MAX_PASSES = 4
# Arrays of up to so many cells are solved so many side by side on a CPU: half to three quarters of
# the time of one after the other from 16x16 to 48x48, nothing at 64x64 (benchmarks/log.md).
SMALL_CELLS = 48**2
LANES = 8
# Where steps are preconditioned: in smaller arrays that saves one step of four at most (32x32), and
# of larger ones usual wires take so much that `modes` gives nothing.
MODES_CELLS = range(SMALL_CELLS + 1, 2**19)
# float32 arrays of at least so many cells are judged again by sums without rounding; behind smaller
# ones a sweep takes no longer than what those add to the compile time is worth.
FULL_CELLS = 2**13
# Passes in float32, for arrays of at least so many cells, each to this much of its first residual.
ROUGH_CELLS = 2**18
ROUGH_PASSES = 4
ROUGH_REDUCTION = 1e-6


def default_steps(g: Array) -> int:
    """Steps that `CG` takes at most for an array like `g`, unless told otherwise."""
    return 100 + 10 * sum(g.shape)


def lanes_of(g: Array) -> int:
    """Arrays like `g` that a CPU works on side by side."""
    return LANES if g.size <= SMALL_CELLS else 1


class CG(AbstractSolver):
    """Conjugate gradients in the inner product weighted by the conductances.

    ```python
    sol = xb.solve(array, v_in, solver=xb.CG(rtol=1e-8))
    ```

    Args:
        rtol: bound on the error of every current, relative to the largest current of the input, and
            of every node voltage, relative to the largest drive; None means 1e-10 in float64 and
            1e-5 in float32.
        max_steps: steps after which the result is marked `tolerance_missed`;
            None means ``100 + 10 (rows + cols)``.
        foresee: stop after 50 steps if what they gave says that more than `max_steps` steps would
            be needed.
        fused: take all steps in one kernel on a GPU with CUDA, for arrays of up to 128x128 cells:
            vectors stay on the chip, and each array of a batch stops by itself. Its steps are not
            preconditioned, nor are those of the loop where it stands in. An option because
            no GPU has run it yet; a CPU interprets it, slowly. Circuits with drivers at far ends or
            line faults take the ordinary loop.

    Raises:
        ValueError, TypeError: an option out of range, or of the wrong kind.
    """

    rtol: float | None = eqx.field(static=True, default=None)
    max_steps: int | None = eqx.field(static=True, default=None)
    foresee: bool = eqx.field(static=True, default=False)
    fused: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        check_rtol("CG", self.rtol)
        flag("CG.foresee", self.foresee)
        flag("CG.fused", self.fused)
        if self.max_steps is not None and not (
            isinstance(self.max_steps, int) and self.max_steps > 0
        ):
            raise ValueError(f"CG.max_steps: got {self.max_steps!r}, needs a positive integer")

    def factor(self, problem: Problem) -> None:
        """Nothing to prepare beyond the line operator."""

    def cell_voltages(self, state: None, problem: Problem, e: Drives) -> Answer:
        """Iterate from ``u = e``, exact where wires are zero or cells open."""
        return per_array(self.of_one, lanes_of(problem.g))(problem, e)

    def of_one(self, problem: Problem, e: Drives) -> Answer:
        """`cell_voltages` of one array: what `per_array` is to be put around."""
        return _cell_voltages(problem, e, default_rtol(self.rtol, e.dtype), self._limits(problem))

    def _limits(self, problem: Problem) -> Limits:
        steps = self.max_steps or default_steps(problem.g)
        return Limits(steps, self.foresee, self.fused)

    def correction(
        self, problem: Problem, residual: Float[Array, "rows cols"], reduction: Float[Array, ""]
    ) -> Correction:
        """One run of the recurrence from zero."""
        return _correction(problem, residual[None], reduction, self._limits(problem))

    def transfer(self, problem: Problem) -> tuple[Transfer, Bool[Array, ""]]:
        """Solve for every unit drive."""
        rtol = default_rtol(self.rtol, problem.g.dtype)
        if problem.g.dtype == jnp.float64:
            # The largest current of a unit drive is the driven line's own, many times those that
            # make up the matrix. (float32 has no digits to spare for that.)
            rtol = max(0.1 * rtol, 1e-14)
        return transfer_by_cells(CG(rtol, self.max_steps, fused=self.fused), problem)


def _modes(problem: Problem, limits: Limits) -> Modes | None:
    """What preconditions the steps, if anything does; not in a GPU's one kernel."""
    return None if limits.fused or problem.g.size not in MODES_CELLS else modes_of(problem)


class _State(NamedTuple):
    u: Voltages
    word: Voltages
    bit: Voltages
    carried: Voltages  # what the next direction has beside the residual
    shown: Bool[Array, " n"]  # the last pass converged and changed currents by next to nothing
    late: Bool[Array, " n"]  # the last pass foresaw that its steps will not do
    ok: Bool[Array, " n"]
    steps: Int[Array, " n"]
    passes: Int[Array, ""]
    in_full: Bool[Array, ""]  # the residual is found by sums without rounding


def _cell_voltages(problem: Problem, e: Drives, rtol: float, limits: Limits) -> Answer:
    n = len(e)
    none, count = jnp.zeros((n, *problem.g.shape), e.dtype), jnp.zeros(n, int)
    no = jnp.zeros(n, bool)
    # Without wires nothing is lost, and there is nothing to judge but an overflow.
    finite = jnp.isfinite(jnp.sum(problem.g * e, axis=(-2, -1)))
    exact = finite & (longest_line(problem) == 0)
    plain = jnp.zeros((), bool)
    start = _State(e + none, none, none, none, no, no, exact, count, jnp.zeros((), int), plain)
    if problem.g.size >= ROUGH_CELLS and problem.g.dtype == jnp.float64:
        rough = problem_of(problem.g.astype(jnp.float32), problem.wires)
        start = _passes(problem, rough, e, start, rtol, limits, ROUGH_PASSES)
        start = start._replace(carried=none, shown=no, passes=jnp.zeros((), int))
    end = _passes(problem, problem, e, start, rtol, limits, MAX_PASSES)
    return Answer(end.u, end.word, end.bit, end.ok, end.steps)


def _passes(
    problem: Problem,
    working: Problem,
    e: Drives,
    start: _State,
    rtol: float,
    limits: Limits,
    passes: int,
) -> _State:
    """Passes in the precision of `working`, until every drive is right or no more are worth it.

    A pass begins by judging what the one before has found, so that the line sums stand in the
    program once for that and once for the steps.
    """
    margin = MARGIN[e.dtype.name] * rtol
    modes = _modes(working, limits)

    def unfinished(state: _State) -> Bool[Array, ""]:
        return ~jnp.all(state.ok | state.late) & (state.passes <= passes)

    def one_pass(state: _State) -> _State:
        left = _left(problem, e, state)
        shown = _unmoved(state, left, e, rtol)
        # The first guess, the drives themselves, is judged as strictly as a pass stops.
        tolerance = jnp.where(state.passes == 0, margin, rtol)
        ok = within(problem, e, state.u, left, tolerance, shown)
        allowed = allowed_residual(problem, e, state.u, margin)
        more = ~ok & ~state.late & (state.passes < passes)
        again = jnp.any(more) & _is_hidden(problem, e, state, left, rtol)
        more &= ~again
        begin = state._replace(
            word=left.word,
            bit=left.bit,
            ok=ok,
            passes=state.passes + (1 - again),
            in_full=state.in_full | again,
        )
        after = _iterate(working, modes, begin, left.residual, allowed, more, limits)

        # The bound is pessimistic where drop is severe. A pass that converged has found the error
        # of the one before, and leaves a smaller one.
        def smaller() -> Bool[Array, " n"]:
            measured = relative_change(problem.g, after.u, after.u - state.u) + margin
            return after.shown & (measured <= rtol)

        no = jnp.zeros_like(ok)
        shown = lax.cond((state.passes > 0) & jnp.any(more), smaller, lambda: no)
        # Other sums ask for a pass of their own.
        return after._replace(shown=jnp.where(more, shown, state.shown & ~again))

    return lax.while_loop(unfinished, one_pass, start)


def _is_judged_again(problem: Problem) -> bool:
    return problem.g.dtype == jnp.float32 and problem.g.size >= FULL_CELLS


def _left(problem: Problem, e: Drives, state: _State) -> Left:
    """What the cell voltages leave of the cell equation, by the sums that are due."""

    def plain(u: Voltages) -> Left:
        return left_by(problem, e, u)

    def in_full(u: Voltages) -> Left:
        return left_in_full(problem, e, Wide(u, jnp.zeros_like(u)))

    if not _is_judged_again(problem):
        return plain(state.u)
    return chosen(state.in_full.astype(int), [plain, in_full], state.u)


def _is_hidden(
    problem: Problem, e: Drives, state: _State, left: Left, rtol: float
) -> Bool[Array, ""]:
    """Whether plain sums may hide what decides after a pass."""
    no = jnp.zeros((), bool)
    if not _is_judged_again(problem):
        return no

    def found() -> Bool[Array, ""]:
        return jnp.any(hides(problem, e, state.u, left, rtol))

    return lax.cond(~state.in_full & (state.passes > 0), found, lambda: no)


def _unmoved(state: _State, left: Left, e: Drives, rtol: float) -> Bool[Array, " n"]:
    """For which inputs the last pass has moved neither currents nor node voltages.

    Nor may the node voltages miss the cell voltages by half as much, which they do where a series
    resistance magnifies the roundings of these.
    """

    def still() -> Bool[Array, " n"]:
        word, bit = jnp.abs(left.word - state.word), jnp.abs(left.bit - state.bit)
        moved = jnp.maximum(jnp.maximum(word, bit), 2 * jnp.abs(left.residual))
        largest = jnp.max(moved, axis=(-2, -1))
        return state.shown & (largest <= rtol * jnp.max(jnp.abs(e), axis=(-2, -1)))

    return lax.cond(jnp.any(state.shown), still, lambda: state.shown)


def _iterate(
    problem: Problem,
    modes: Modes | None,
    state: _State,
    residual: Voltages,
    allowed: Array,
    more: Array,
    limits: Limits,
) -> _State:
    """Steps of the recurrence, where `more` are due, until the residual is as small as allowed."""
    g = problem.g
    rough = g.dtype != residual.dtype
    size = size_of(residual)
    scaled = (residual / size).astype(g.dtype)
    squared = jnp.sum(g * scaled**2, axis=(-2, -1))
    target = (allowed / size[:, 0, 0] ** 2).astype(g.dtype)
    if rough:
        target = jnp.maximum(target, ROUGH_REDUCTION**2 * squared)
    # A pass in less precision starts anew; its directions are not worth keeping.
    carried = jnp.zeros_like(scaled) if rough else state.carried / size
    start = Run(jnp.zeros_like(scaled), scaled, carried, squared, 0 * squared, more, state.steps)
    end = iterated(problem, modes, start, target, limits)
    reached = end.squared <= target
    # The energy of the last residual would be one more product; its square stands for it.
    turn = jnp.where(end.energy == 0, 0, ratio(end.squared, end.energy))
    return state._replace(
        u=state.u + size * end.change,
        carried=size * turn[:, None, None] * end.direction,
        shown=reached,
        late=state.late | (more & ~end.active & ~reached),
        steps=end.steps,
    )


def _correction(
    problem: Problem, right: Voltages, reduction: Float[Array, ""], limits: Limits
) -> Correction:
    """Solve ``A u = right`` from zero until the residual is down to a part of it.

    Returns ``u + residual``, which is ``right - drop(g u)``: the equation itself gives the voltage
    of a cell that the weighted product does not see, for having no conductance.
    """
    size = size_of(right)
    scaled = right / size
    squared = jnp.sum(problem.g * scaled**2, axis=(-2, -1))
    target = reduction**2 * squared
    nothing, none = jnp.zeros_like(scaled), jnp.zeros(1, int)
    start = Run(nothing, scaled, nothing, squared, 0 * target, squared > target, none)
    end = iterated(problem, _modes(problem, limits), start, target, limits)
    u = size * jnp.where(problem.g > 0, end.change, end.change + end.residual)
    return Correction(u[0], (end.squared <= target)[0], end.steps[0])
