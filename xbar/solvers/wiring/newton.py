"""Operating points of cells that are not linear, with any ends, gaps and bridges.

With the symbols of `xbar.solvers.wiring.circuit`, Ohm's law gives way to ``i = I(u)``. Linearised
at u, a cell is a conductance ``g = I'(u)``; what is left of the other three equations there,

    s - u + y_word + y_bit        b - R t + J^T y        h - N^T d - S p

is answered by the linear circuit with these conductances, which is one Newton step. The step is
taken cell by cell as in `xbar.solvers.newton`, bridges' currents and gaps' voltages along with it.
Whole steps come first: following the laws limits them already, and on the way to a circuit of
floating lines and steep cells what is left may grow before it falls. Where they do not end, the
search starts again, and halves each step until what is left has become less, volts and amperes
together; these count by the conductance of the busiest line, a scale that does not vanish with what
is left. The start is the answer of the linear circuit with each cell's conductance at the largest
drive. Errors are bounded as for linear cells, with the slopes at the point.

A change of parameters, wires, bridges and drivers leaves a rest of the four equations at the
solution, with the law's change at fixed voltage for Ohm's; one more linear solve answers it.
"""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Bool, Float, Int

from xbar.cells import AbstractCell
from xbar.cells.base import point
from xbar.circuit.bias import Drivers
from xbar.solvers.base import default_rtol
from xbar.solvers.batching import per_array
from xbar.solvers.newton import (
    HALVINGS,
    MAX_STEPS,
    NEARLY_LINEAR,
    PATIENCE,
    Newton,
    followed,
)
from xbar.solvers.wiring.circuit import Circuit, Layout, Numbers, Unknown, circuit_of
from xbar.solvers.wiring.reduced import errors, reduced, rest
from xbar.solvers.wiring.unknowns import (
    answer,
    factor,
    linear_response,
    sources_of,
    without_potential,
)

SHORTEST = 0.5**HALVINGS
INNER_RTOL = 1e-4  # floating lines were measured with this


class Points(NamedTuple):
    """The unknowns for each input, and how they were found."""

    x: Unknown
    ok: Bool[Array, " n"]
    holds: Bool[Array, " n"]  # the law does, up to these voltages
    joined: Bool[Array, " n"]
    steps: Int[Array, " n"]
    inner_steps: Int[Array, " n"]


class _State(NamedTuple):
    x: Unknown
    g: Array
    left: Unknown
    error: Float[Array, ""]
    best: Float[Array, ""]
    since: Int[Array, ""]
    careful: Bool[Array, ""]  # steps are halved until less is left
    going: Bool[Array, ""]
    ok: Bool[Array, ""]
    steps: Int[Array, ""]
    inner_steps: Int[Array, ""]


def secant(
    law: AbstractCell, shape: tuple[int, int], drivers: Drivers
) -> Float[Array, "rows cols"]:
    """Each cell's conductance at the largest voltage between two drivers (rows, cols) [S]."""
    every = jnp.concatenate([v.ravel() for v in drivers.present])
    volts = jnp.max(every) - jnp.min(every)
    volts = lax.stop_gradient(jnp.where(volts > 0, volts, 1))
    u = jnp.full(shape, volts)
    return lax.stop_gradient(jnp.maximum(law.current(u) / u, 0))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def operating_points(
    newton: Newton, law: AbstractCell, numbers: Numbers, layout: Layout, drivers: Drivers
) -> Points:
    """Solve for the drivers' voltages, each input by itself, with exact derivatives.

    Args:
        newton: the solver.
        law: of the cells.
        numbers: of the array; conductances are those of the start.
        layout: its gaps and bridges.
        drivers: voltages for n inputs.
    """

    def one(law: AbstractCell, numbers: Numbers, layout: Layout, drivers: Drivers) -> Points:
        single = jax.tree.map(lambda v: v[None], drivers)
        return _solve_one(newton, law, circuit_of(numbers, layout), single)

    found = jax.vmap(per_array(one), (None, None, None, 0))(law, numbers, layout, drivers)
    return jax.tree.map(lambda x: x[:, 0], found)


@operating_points.defjvp
def _operating_points_jvp(newton: Newton, primals: tuple, tangents: tuple) -> tuple:
    law, numbers, layout, drivers = primals
    found = operating_points(newton, *primals)

    def balance(law: AbstractCell, numbers: Numbers, drivers: Drivers) -> Unknown:
        circuit = circuit_of(numbers, layout)
        pairs = zip(sources_of(circuit, drivers), circuit.law(found.x), strict=True)
        rests = Unknown(*(source - side for source, side in pairs))
        return rests._replace(i=law.current(found.x.u))

    along = tangents[0], tangents[1], tangents[3]
    _, left = jax.jvp(balance, (law, numbers, drivers), along)
    right = jnp.where(found.ok & found.holds & ~found.joined, 1, jnp.nan)

    def one(g: Array, left: Unknown) -> Unknown:
        circuit = eqx.tree_at(lambda c: c.g, circuit_of(numbers, layout), g)
        state = lax.stop_gradient(factor(newton.linear, lax.stop_gradient(circuit)))
        sources = without_potential(state.known.pieces, Unknown(*(x[None] for x in left)))
        return Unknown(*(x[0] for x in linear_response(newton.linear, state, circuit, sources)))

    dx = jax.vmap(one)(law.slope(found.x.u), left)
    dx = Unknown(*(x * right.astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1)) for x in dx))
    none: list[Any] = [np.zeros(x.shape, jax.dtypes.float0) for x in found[1:]]
    return found, Points(dx, *none)


class _Search(NamedTuple):
    """One input's search for its operating point."""

    newton: Newton
    law: AbstractCell
    circuit: Circuit
    sources: Unknown

    @property
    def rtol(self) -> float:
        """Bound on the errors."""
        return default_rtol(self.newton.tolerance, self.circuit.g.dtype)

    def at(self, u: Array, t: Array, p: Array) -> tuple[Unknown, Array, Unknown]:
        """The point of the laws with these unknowns, its slopes, and what is left there."""
        i, g = (jnp.asarray(x) for x in point(self.law, u))
        x = Unknown(u, i, t, p)
        sides = self.circuit.law(x)
        left = Unknown(*(a - b for a, b in zip(self.sources, sides, strict=True)))
        # A slope below zero is no cell's: such a law is marked at the end.
        return x, jnp.maximum(g, 0)[0], left._replace(i=jnp.zeros_like(i))

    def bound(self, x: Unknown, g: Array, left: Unknown) -> Float[Array, ""]:
        """On the errors of voltages and currents, relative to the largest."""
        local = eqx.tree_at(lambda c: c.g, self.circuit, g)
        known = reduced(local)
        found = errors(local, known, x, self.sources, left, rest(local, known, left))
        ratio = found.bound / jnp.where(found.largest > 0, found.largest, 1)
        ratio = jnp.where(found.largest > 0, ratio, jnp.where(found.bound > 0, jnp.inf, 0))
        # Where no current flows, what rounding makes of that is right.
        return jnp.where(found.within(known, 0.0)[0], 0, jnp.max(ratio))

    def change(self, now: _State) -> tuple[Any, Array]:
        """Newton's step, as the linear circuit with the slopes at hand answers what is left.

        With the volts that an ampere of the gaps counts as.
        """
        inner = INNER_RTOL if self.newton.inner_rtol is None else self.newton.inner_rtol
        local = eqx.tree_at(lambda c: c.g, self.circuit, now.g)
        state = factor(self.newton.linear, local)
        loose = jnp.maximum(jnp.minimum(inner, now.error), 0.1 * self.rtol / now.error)
        change = answer(self.newton.linear, state, local, now.left, jnp.maximum(loose, 1e-14))
        busiest = state.known.busiest
        return change, jnp.where(busiest > 0, 1 / jnp.where(busiest > 0, busiest, 1), 0)

    def shortened(
        self, now: _State, change: Any, ohms: Array
    ) -> tuple[Array, tuple[Unknown, Array, Unknown]]:
        """The step's length, halved until less is left, and where it leads."""

        def merit(left: Unknown) -> Array:
            gaps = jnp.sum(left.p**2) * ohms**2
            return jnp.sum(left.u**2) + jnp.sum(left.t**2) + gaps

        before = merit(now.left)

        def tried(length: Array) -> tuple[Unknown, Array, Unknown]:
            du = length * change.x.u
            near = now.error <= NEARLY_LINEAR
            by_law = followed(self.law, now.x.u, now.x.i, now.g, du)
            u = jnp.where(near, now.x.u + du, by_law)
            return self.at(u, now.x.t + length * change.x.t, now.x.p + length * change.x.p)

        def too_far(trial: tuple) -> Bool[Array, ""]:
            length, (_, _, left) = trial
            less = merit(left) <= (1 - 1e-4 * length) * before
            return (length > 1) | (now.careful & ~less & (length > SHORTEST))

        def shorter(trial: tuple) -> tuple:
            length = trial[0] / 2
            return length, tried(length)

        whole = jnp.full((), 2, self.circuit.g.dtype)
        return lax.while_loop(too_far, shorter, (whole, (now.x, now.g, now.left)))

    def step(self, start: _State, now: _State) -> _State:
        """One step further, and whether to go on; or back to the start, to search with care."""
        change, ohms = self.change(now)
        length, (x, g, left) = self.shortened(now, change, ohms)
        error = self.bound(x, g, left)
        settled = change.ok[0] & (length == 1) & (_moved(now.x, x, self.sources) <= self.rtol)
        ok = (error <= self.rtol) | settled
        better = error <= now.best / 2
        since = jnp.where(better, 0, now.since + 1)
        steps = now.steps + 1
        limit = MAX_STEPS if self.newton.max_steps is None else self.newton.max_steps
        hopeful = (length > SHORTEST) & (since < PATIENCE) & jnp.isfinite(error)
        going = ~ok & (hopeful | ~now.careful) & (steps < limit)
        best = jnp.where(better, error, now.best)
        inner_steps = now.inner_steps + change.steps[0]
        new = _State(x, g, left, error, best, since, now.careful, going, ok, steps, inner_steps)
        again = start._replace(careful=jnp.asarray(True), steps=steps, inner_steps=inner_steps)
        lost = going & ~hopeful
        return jax.tree.map(lambda old, new: jnp.where(lost, old, new), again, new)


def _solve_one(newton: Newton, law: AbstractCell, circuit: Circuit, drivers: Drivers) -> Points:
    """The operating point for one input."""
    search = _Search(newton, law, circuit, sources_of(circuit, drivers))
    linear, sources = newton.linear, search.sources
    inner = INNER_RTOL if newton.inner_rtol is None else newton.inner_rtol
    guess = answer(linear, factor(linear, circuit), circuit, sources, inner)
    x, g, left = search.at(guess.x.u, guess.x.t, guess.x.p)
    error, none = search.bound(x, g, left), jnp.zeros((), int)
    ok = error <= search.rtol
    start = _State(x, g, left, error, error, none, none > 0, ~ok, ok, none, guess.steps[0])
    last = lax.while_loop(lambda now: now.going, partial(search.step, start), start)
    holds = jnp.all(law.holds(last.x.u), axis=(-2, -1))
    return Points(
        last.x, last.ok[None], holds, guess.joined, last.steps[None], last.inner_steps[None]
    )


def _moved(old: Unknown, new: Unknown, sources: Unknown) -> Float[Array, ""]:
    """How far a step went, relative to the largest current and voltage."""
    amps = jnp.max(jnp.abs(new.i - old.i)) / jnp.maximum(jnp.max(jnp.abs(new.i)), 1e-300)
    largest = jnp.maximum(jnp.max(jnp.abs(sources.u)), 1e-300)
    volts = jnp.max(jnp.abs(new.u - old.u)) / largest
    return jnp.maximum(amps, volts)
