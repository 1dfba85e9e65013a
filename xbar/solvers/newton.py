"""Newton's method for cells that are not resistors: each step is the linear array's own solve.

The cell voltages obey ``F(u) = e - u - drop(I(u)) = 0``. Linearised at u, a cell is a conductance
``g = I'(u)`` and a source ``I(u) - g u`` parallel to it, and Newton's step is the linear equation

    (1 + drop . g) du = F(u)

whose operator has the properties that every solver here rests on: self-adjoint in the inner product
weighted by g >= 0, eigenvalues >= 1. A slope of 0, of an open cell or a saturated transistor, is an
ordinary value.

**One solution, and a way down to it.** The currents minimise the co-content

    1/2 i . drop(i) + sum_c int_0^i_c U(x) dx - e . i            U = I^-1

which is strictly convex, its gradient -F. The step is a direction of descent, also where
conjugate gradients stop early, so halving it leads there from anywhere. Whether a step went too
far is read off the gradient alone: it has where ``F_new . (i_new - i)`` is much below zero.

**The point to linearise at.** A step gives voltages ``u + du`` and currents ``i + g du``. The next
point may keep the one or the other; the tangent is the same, and so is the quadratic end. An
exponential followed by its voltage overshoots where the current grows, followed by its current
where it falls. So the voltage is followed where it falls and the current where it grows, cell by
cell, and on a change of sign whichever ends nearer zero: the limiting of junction voltages of
circuit simulators, without a parameter.

**The start** is the drive, ``u = e``, except where a cell would then carry more than the wires let
through if all cells did so; there it is the voltage that belongs to that current.

**The end.** With the mean slopes G on the way from u to the solution, the error ``d`` obeys
``(1 + drop . G) d = F`` exactly. Hence ``|d|_G <= |F|_G``, which bounds currents as in
`xbar.solvers.base`, and from ``y = G d``: ``y . drop(y) = y . F - |d|_G^2 <= |F|_G^2 / 4``, so that
``|drop(y)| <= sqrt(drop(1)) |F|_G / 2`` bounds the voltages by Schwarz's inequality (no entry of
`drop` is above its row's sum). The slopes at u stand for G, which they equal in the limit. Where
rounding keeps the bound from the tolerance, a full step that changes no current and no voltage by
more than the tolerance has shown what the error was.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int

from xbar.cells import AbstractCell
from xbar.cells.base import point
from xbar.solvers.base import (
    AbstractSolver,
    Answer,
    Drives,
    Problem,
    Transfer,
    Voltages,
    busiest_line,
    check_rtol,
    default_rtol,
    largest_current,
    relative,
)
from xbar.solvers.batching import per_array
from xbar.solvers.cg import CG

One = Float[Array, "rows cols"]

# 1e-4 takes a quarter more inner steps over 150 random circuits, mild to absurd, and saves no step
# of Newton's.
INNER_RTOL = 1e-2
MAX_STEPS = 100
HALVINGS = 30
SHORTEST = 0.5**HALVINGS
# Steps without half the error: where rounding ends it, they never come.
PATIENCE = 12
# Below this error the laws are as good as linear along a step; voltages need no inverse.
NEARLY_LINEAR = 1e-3


class Newton(AbstractSolver):
    """Newton's method around a linear solver, for cells that are not linear.

    The default solver takes it by itself where the cells ask for it, and a linear solver that is
    named becomes its inner one. For linear cells it is that inner solver.

    ```python
    curved = xb.Crossbar(xb.cells.Sinh(g, v_0=0.25), wires)
    sol = xb.solve(curved, v_in, solver=xb.Newton(solver=xb.CG()))
    ```

    Args:
        solver: the linear solver of each step; None for `CG`.
        rtol: bound on the error of every current, relative to the largest, and of every voltage;
            None for that of `solver`, or else 1e-10 in float64 and 1e-5 in float32.
        inner_rtol: how much of its residual a step may leave at most, 1e-2 if None; it becomes less
            by itself as the error falls.
        max_steps: after which the result is marked `tolerance_missed`; 100 if None.

    Raises:
        TypeError: `solver` is not a linear solver.
        ValueError: an option out of range.
    """

    solver: AbstractSolver | None = None
    rtol: float | None = eqx.field(static=True, default=None)
    inner_rtol: float | None = eqx.field(static=True, default=None)
    max_steps: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if isinstance(self.solver, Newton) or not isinstance(self.solver, AbstractSolver | None):
            raise TypeError(f"Newton.solver: got {self.solver!r}, needs a linear solver, or None")
        check_rtol("Newton", self.rtol)
        check_rtol("Newton", self.inner_rtol, name="inner_rtol")
        if self.max_steps is not None and not (
            isinstance(self.max_steps, int) and self.max_steps > 0
        ):
            raise ValueError(f"Newton.max_steps: got {self.max_steps!r}, needs a positive integer")

    @property
    def linear(self) -> AbstractSolver:
        """The solver of the linear problems."""
        return CG(self.rtol) if self.solver is None else self.solver

    def factor(self, problem: Problem) -> object:
        """As the linear solver."""
        return self.linear.factor(problem)

    def cell_voltages(self, state: object, problem: Problem, e: Drives) -> Answer:
        """As the linear solver."""
        return self.linear.cell_voltages(state, problem, e)

    def transfer(self, problem: Problem) -> tuple[Transfer, Bool[Array, ""]]:
        """As the linear solver."""
        return self.linear.transfer(problem)

    def accepts(self, problem: Problem) -> Bool[Array, ""]:
        """As the linear solver."""
        return self.linear.accepts(problem)

    def operating_points(
        self, law: AbstractCell, problem: Problem, e: Voltages, start: Voltages | None = None
    ) -> "NewtonAnswer":
        """Solve `u + drop(I(u)) = e` for `n` drives of one array, each with slopes of its own.

        Args:
            law: of the cells.
            problem: the lines; its conductances are not used.
            e: drives [V].
            start: cell voltages near the solution [V]; None for where the method starts by itself.
        """
        options = _Options(
            self.linear,
            default_rtol(self.tolerance, e.dtype),
            INNER_RTOL if self.inner_rtol is None else self.inner_rtol,
            MAX_STEPS if self.max_steps is None else self.max_steps,
        )
        most = problem.drop(jnp.ones_like(problem.g))

        def solve_one(
            law: AbstractCell, problem: Problem, most: One, e: One, start: One | None
        ) -> NewtonAnswer:
            return _solve_one(options, law, problem, most, e, start)

        axes = (None, None, None, 0, None if start is None else 0)
        return jax.vmap(per_array(solve_one), axes)(law, problem, most, e, start)

    @property
    def tolerance(self) -> float | None:
        """`rtol`, or the linear solver's."""
        return getattr(self.solver, "rtol", None) if self.rtol is None else self.rtol


class NewtonAnswer(NamedTuple):
    """Cell voltages [V] and currents [A], and how they were found."""

    u: Voltages
    i_cell: Voltages
    ok: Bool[Array, " n"]  # within the tolerance
    holds: Bool[Array, " n"]  # the law does, up to these voltages
    steps: Int[Array, " n"]  # Newton's
    inner_steps: Int[Array, " n"]  # the linear solver's, all together


class _Options(NamedTuple):
    linear: AbstractSolver
    rtol: float
    inner_rtol: float
    max_steps: int


class _Trial(NamedTuple):
    """Where a part of a step leads."""

    length: Float[Array, ""]  # 1 for the whole step
    u: One
    i: One
    g: One
    residual: One
    error: Float[Array, ""]


class _State(NamedTuple):
    """A point of the laws, what is left of the circuit's equation there, and how it goes."""

    u: One
    i: One
    g: One
    residual: One
    error: Float[Array, ""]  # bound on currents and voltages, relative
    best: Float[Array, ""]  # the smallest error that a later one did not halve
    since: Int[Array, ""]  # steps since then
    ok: Bool[Array, ""]
    going: Bool[Array, ""]
    steps: Int[Array, ""]
    inner_steps: Int[Array, ""]


def _solve_one(
    options: _Options, law: AbstractCell, problem: Problem, most: One, e: One, start: One | None
) -> NewtonAnswer:
    """The operating point of one drive."""
    rtol = options.rtol
    largest_volt = jnp.max(jnp.abs(e))

    def at(u: One) -> tuple[One, One, One, Float[Array, ""]]:
        i, g = (jnp.asarray(x) for x in point(law, u))
        # A slope below zero is no cell's: such a law is marked at the end; the steps go downhill.
        g = jnp.maximum(g, 0)
        residual = e - u - problem.drop(i)
        return i, g, residual, _bound(g, i, residual, most, largest_volt)

    def step(now: _State) -> _State:
        reduction = jnp.maximum(jnp.minimum(options.inner_rtol, now.error), 0.1 * rtol / now.error)
        linear = eqx.tree_at(lambda p: p.g, problem, now.g)
        change = options.linear.correction(linear, now.residual, reduction)

        def too_far(trial: _Trial) -> Bool[Array, ""]:
            di = trial.i - now.i
            before, after = jnp.sum(now.residual * di), jnp.sum(trial.residual * di)
            tried = trial.length <= 1
            return ~tried | ~(after >= -0.5 * jnp.abs(before)) & (trial.length > SHORTEST)

        def shorter(trial: _Trial) -> _Trial:
            length = trial.length / 2
            u = _next(law, now, length * change.u)
            return _Trial(length, u, *at(u))

        nothing = _Trial(jnp.full((), 2, e.dtype), now.u, now.i, now.g, now.residual, now.error)
        new = lax.while_loop(too_far, shorter, nothing)
        settled = change.ok & (new.length == 1) & (_moved(now, new, largest_volt) <= rtol)
        ok = (new.error <= rtol) | settled
        better = new.error <= now.best / 2
        since = jnp.where(better, 0, now.since + 1)
        steps = now.steps + 1
        hopeful = (new.length > SHORTEST) & (since < PATIENCE) & (steps < options.max_steps)
        return _State(
            *new[1:],
            best=jnp.where(better, new.error, now.best),
            since=since,
            ok=ok,
            going=~ok & hopeful,
            steps=steps,
            inner_steps=now.inner_steps + change.steps,
        )

    u = _start(law, most, e) if start is None else start
    i, g, residual, error = at(u)
    none, ok = jnp.zeros((), int), error <= rtol
    state = _State(u, i, g, residual, error, error, none, ok, ~ok, none, none)
    last = lax.while_loop(lambda now: now.going, step, state)
    holds = jnp.all(law.holds(last.u))
    return NewtonAnswer(last.u, last.i, last.ok, holds, last.steps, last.inner_steps)


def _moved(now: _State, new: _Trial, largest_volt: Array) -> Float[Array, ""]:
    """How far a step led, relative to the largest current and voltage."""
    i = relative(_largest(new.i - now.i), _largest(new.i))
    return jnp.maximum(i, relative(jnp.max(jnp.abs(new.u - now.u)), largest_volt))


def _next(law: AbstractCell, now: _State, du: One) -> One:
    """Where a step ends: near the solution by its voltage, else as `followed` says."""
    if not law.invertible:
        return now.u + du
    return lax.cond(
        now.error > NEARLY_LINEAR,
        lambda: followed(law, now.u, now.i, now.g, du),
        lambda: now.u + du,
    )


def followed(law: AbstractCell, u: Array, i: Array, g: Array, du: Array) -> Array:
    """Where a step ends: by its current where |u| grows, by its voltage where it falls.

    Of one input, (rows, cols), or with leading axes.
    """
    by_voltage = u + du
    if not law.invertible:
        return by_voltage
    by_current = law.voltage(i + g * du)
    turns = (jnp.sign(by_voltage) != jnp.sign(u)) & (u != 0)
    grows = jnp.abs(by_voltage) > jnp.abs(u)
    nearer = jnp.abs(by_current) < jnp.abs(by_voltage)
    take = jnp.isfinite(by_current) & jnp.where(turns, nearer, grows)
    return jnp.where(take, by_current, by_voltage)


def _start(law: AbstractCell, most: One, e: One) -> One:
    """The drive, or less where a cell would carry more than the wires let through."""

    def too_much(u: One, times: float | int) -> Bool[Array, "rows cols"]:
        return ~(jnp.abs(law.current(u)) * most <= times * jnp.abs(e)) & (e != 0)

    def less() -> One:
        u = e
        if law.invertible:
            through = law.voltage(jnp.where(most > 0, e / jnp.where(most > 0, most, 1), 0))
            nearer = jnp.abs(through) < jnp.abs(e)  # False where there is none
            u = jnp.where(over & nearer, through, e)

        # What is still too high, as any may be where the law cannot be read backwards.
        def halved(now: tuple[One, Array, Array]) -> tuple[One, Array, Array]:
            u, high, count = now
            u = jnp.where(high, u / 2, u)
            return u, too_much(u, 2), count + 1

        def unfinished(now: tuple[One, Array, Array]) -> Bool[Array, ""]:
            return jnp.any(now[1]) & (now[2] < HALVINGS)

        return lax.while_loop(unfinished, halved, (u, too_much(u, 2), jnp.zeros((), int)))[0]

    over = too_much(e, 1)
    return lax.cond(jnp.any(over), less, lambda: e)


def _largest(i: One) -> Float[Array, ""]:
    return largest_current(i[None])[0]


def _bound(
    g: One, i: One, residual: One, most: One, largest_volt: Float[Array, ""]
) -> Float[Array, ""]:
    """Bound on the errors of currents and voltages, relative to the largest (derived above)."""
    size = jnp.max(jnp.abs(residual))
    scaled = residual / jnp.where(size == 0, 1, size)  # its square stays clear of underflow
    norm = size * jnp.sqrt(jnp.sum(g * scaled**2))
    volts = size + jnp.sqrt(jnp.max(most)) * norm / 2
    return jnp.maximum(
        relative(jnp.sqrt(busiest_line(g)) * norm, _largest(i)), relative(volts, largest_volt)
    )
