"""Conjugate gradients on the reduced system: the method of `xbar.solvers.cg`, for any wiring.

``I + D' g'`` is self-adjoint in the inner product weighted by g', with eigenvalues >= 1, so that
the steps are those of a plain array of the same wires and cells. What g' annihilates, equal
voltages on a floating piece, changes no current; it is put into the gaps' voltages at the end of
each pass.

Each pass ends with the true residual of all four equations, and the next one works on what is left
of it. The verdict is a bound on the errors of currents and node voltages (`reduced`).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int

from xbar.solvers.base import Voltages, largest_current
from xbar.solvers.batching import agreed
from xbar.solvers.cg import MARGIN
from xbar.solvers.lines import product
from xbar.solvers.wiring.circuit import Circuit, Unknown
from xbar.solvers.wiring.reduced import (
    Errors,
    Reduced,
    Rest,
    completed,
    errors,
    held,
    resisted,
    rest,
    squared,
)

# Passes after which more never helped in tests.
MAX_PASSES = 5
# Of the largest voltage, that a loop of 0 ohm may be off by.
ROUNDINGS = 1000


class Pass(NamedTuple):
    """Where a pass starts or ends."""

    x: Unknown
    left: Unknown  # of the sources; `i` is always zero
    start: Rest  # of `left`, after the bridges' and gaps' own part
    errors: Errors
    ok: Bool[Array, " n"]
    steps: Int[Array, " n"]
    number: Int[Array, ""]
    shown: Bool[Array, " n"]  # whether the last pass has found the error of the one before
    last: Float[Array, "2 n"]  # largest current and voltage that it changed


# From a pass's start to a change of the unknowns (`i` is not looked at), which inputs got there,
# and the steps that it took.
Improve = Callable[[Pass], tuple[Unknown, Bool[Array, " n"], Int[Array, " n"]]]


class WiredAnswer(NamedTuple):
    """The unknowns for each input, whether they are right, and the steps taken."""

    x: Unknown
    ok: Bool[Array, " n"]
    steps: Int[Array, " n"]
    joined: Bool[Array, " n"]  # drivers of different voltage meet over bridges of 0 ohm


def refined(
    circuit: Circuit, known: Reduced, sources: Unknown, rtol: float | Array, improve: Improve
) -> WiredAnswer:
    """Passes until every input is right, or no more are worth it.

    Args:
        circuit: the circuit.
        known: its reduction.
        sources: for n inputs.
        rtol: bound on the errors, relative to the largest current and the largest voltage.
        improve: one pass.
    """
    within = MARGIN[circuit.g.dtype.name] * rtol

    def judged(state: Pass) -> Pass:
        law = circuit.law(state.x)
        left = Unknown(*(a - b for a, b in zip(sources, law, strict=True)))
        left = left._replace(i=jnp.zeros_like(left.i))  # `x.i` is what obeys it
        start = rest(circuit, known, left)
        bound = errors(circuit, known, state.x, sources, left, start)
        # The bounds are pessimistic where drop is severe. A pass that converged has found the error
        # of the one before, and leaves a smaller one.
        shown = state.shown & (state.last <= (rtol - within) * bound.largest)
        ok = state.ok | bound.within(known, rtol) | jnp.all(shown, axis=0)
        return state._replace(left=left, start=start, errors=bound, ok=ok)

    def improved(state: Pass) -> Pass:
        change, converged, steps = improve(state)
        old = (state.x.u, state.x.t, state.x.p)
        new = (change.u, change.t, change.p)
        u, t, p = (_unless(state.ok, a, b) for a, b in zip(old, new, strict=True))
        return state._replace(
            x=Unknown(u, sources.i + circuit.g * u, t, p),
            steps=state.steps + jnp.where(state.ok, 0, steps),
            shown=converged & (state.number > 0),
            last=_size(circuit, change),
        )

    def one_pass(state: Pass) -> Pass:
        state = judged(state)
        # One branch for a batch side by side, too: a batched choice could hold no `per_array`.
        wanted = agreed(jnp.where(jnp.all(state.ok), 0, 1))
        state = lax.cond(wanted > 0, improved, lambda state: state, state)
        return state._replace(number=state.number + 1)

    def unfinished(state: Pass) -> Bool[Array, ""]:
        return jnp.any(~state.ok) & (state.number <= MAX_PASSES)

    n = len(sources.u)
    x, none, zero = circuit.nothing(n), jnp.zeros(n, bool), jnp.zeros((2, n), circuit.g.dtype)
    first = Pass(
        x=x._replace(i=sources.i),
        left=x,
        start=Rest(x.u, x.t, x.p),
        errors=Errors(zero, zero),
        ok=none,
        steps=jnp.zeros(n, int),
        number=jnp.zeros((), int),
        shown=none,
        last=zero,
    )
    last = lax.while_loop(unfinished, one_pass, first)
    joined = none
    if circuit.counts[0]:
        around = jnp.abs(product(sources.t, known.loose.T))
        rounding = ROUNDINGS * jnp.finfo(circuit.g.dtype).eps * last.errors.largest[1]
        joined = jnp.any(around > rounding[:, None], axis=-1)
    return WiredAnswer(last.x, last.ok, last.steps, joined)


def _unless(keep: Bool[Array, " n"], x: Array, change: Array) -> Array:
    return x + jnp.where(keep.reshape(-1, *[1] * (x.ndim - 1)), 0, change)


def _size(circuit: Circuit, change: Unknown) -> Float[Array, "2 n"]:
    """Largest current and voltage of a change of the unknowns."""
    volts = jnp.max(jnp.abs(change.u), axis=(-2, -1))
    if circuit.counts[1]:
        volts = jnp.maximum(volts, jnp.max(jnp.abs(change.p), axis=-1))
    return jnp.stack([largest_current(circuit.g * change.u), volts])


class _Iterate(NamedTuple):
    w: Voltages
    residual: Voltages
    direction: Voltages
    carried: Voltages  # g' direction
    squared: Float[Array, " n"]
    allowed: Float[Array, " n"]
    active: Bool[Array, " n"]
    steps: Int[Array, " n"]


def by_gradients(circuit: Circuit, known: Reduced, rtol: float | Array, limit: int) -> Improve:
    """Conjugate gradients as a pass.

    Args:
        circuit: the circuit.
        known: its reduction.
        rtol: as for `refined`.
        limit: steps allowed.
    """
    within = MARGIN[circuit.g.dtype.name] * rtol

    def step(it: _Iterate) -> _Iterate:
        image = it.direction + resisted(circuit, known, it.carried)
        curvature = jnp.sum(it.carried * image, axis=(-2, -1))
        length = jnp.where(it.active, it.squared / jnp.where(curvature == 0, 1, curvature), 0)
        residual = it.residual - length[:, None, None] * image
        currents, power = squared(circuit, known, residual)
        turn = (power / jnp.where(it.squared == 0, 1, it.squared))[:, None, None]
        return it._replace(
            w=it.w + length[:, None, None] * it.direction,
            residual=residual,
            direction=residual + turn * it.direction,
            carried=currents + turn * it.carried,
            squared=power,
            active=it.active & (power > it.allowed),
            steps=it.steps + it.active,
        )

    def unfinished(it: _Iterate) -> Bool[Array, ""]:
        return jnp.any(it.active) & (jnp.max(it.steps) < limit)

    def improve(state: Pass) -> tuple[Unknown, Bool[Array, " n"], Int[Array, " n"]]:
        start = state.start

        def estimate(it: _Iterate) -> _Iterate:
            """What is allowed, by the largest current and voltage as far as known by now."""
            change = completed(circuit, known, start, it.w)
            size = _size(circuit, change._replace(u=state.x.u + change.u))
            now = state.errors._replace(largest=jnp.maximum(size, state.errors.largest))
            allowed = now.allowed(known, within)
            return it._replace(allowed=allowed, active=~state.ok & (it.squared > allowed))

        def further(carry: tuple[_Iterate, Array]) -> tuple[_Iterate, Array]:
            it = estimate(carry[0])
            return lax.while_loop(unfinished, step, it), it.active

        def unconfirmed(carry: tuple[_Iterate, Array]) -> Bool[Array, ""]:
            return jnp.any(carry[1]) & (jnp.max(carry[0].steps) < limit)

        # From w = s', exact where wires are zero or cells open.
        w = start.cells
        residual = -resisted(circuit, known, squared(circuit, known, w)[0])
        currents, power = squared(circuit, known, residual)
        none, steps = jnp.zeros_like(power), jnp.zeros(len(power), int)
        every = jnp.ones(len(power), bool)
        first = _Iterate(w, residual, residual, currents, power, none, every, steps)
        last, active = lax.while_loop(unconfirmed, further, (first, first.active))
        # What g' annihilates of the residual is answered by itself.
        hidden = last.residual - held(circuit, known, last.residual)[1]
        return completed(circuit, known, start, last.w + hidden), ~active, last.steps

    return improve
