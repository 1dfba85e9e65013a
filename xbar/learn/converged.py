"""Small models trained until they have converged: L-BFGS, one circuit at a time.

A corrector's problem is convex (the linear map, the diagonal, the bias) or tiny, so that a
quasi-Newton method ends in tens of steps, and knows that it has. Each turn of the one loop values
the loss and its gradient at one point: the next step's end where the loss came down enough
(Armijo), else a shorter one. Directions are those of Nocedal and Wright, Numerical Optimization,
2006, algorithm 7.4.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Bool

# Largest entry of the gradient: between 1e-3, where 10-8-10 takes 89 steps and has 72.7 % on the
# circuits of benchmarks/correctors, and 3e-3 with 39 steps and 72.5 %; the linear map has 72.4 %
# with both.
GRADIENT = 2e-3
# A step that lowers the loss by less than this share of it, times the gradient asked for, ends
# training, too: at a kink of ReLU no gradient gets small.
DECREASE = 3e-3
# Points at which the loss is valued, and ends of one step, at most.
MAX_POINTS, MAX_SHORTER = 400, 15
# Steps that a direction remembers, as is usual: 6 take a fifth more points for 10-14-10, 20 as
# many as 10.
MEMORY = 10
# A step has to bring this share of the decrease that the slope promises, as is usual.
ARMIJO = 1e-4
# A pair of step and change of slope is left out where their angle's cosine is below this: of a loss
# that is not convex it may be anything.
LEAST_COSINE = 1e-7

Model = TypeVar("Model")


class _State(NamedTuple):
    x: Array  # the parameters
    value: Array
    slope: Array
    way: Array  # of the next step
    length: Array  # of it
    moves: Array  # (MEMORY, parameters), the newest last
    changes: Array  # of the slope, likewise
    inverse: Array  # of their products, (MEMORY,); 0 where there is none yet
    scale: Array  # of the inverse Hessian
    points: Array  # at which the loss was valued
    shorter: Array  # ends of this step
    small: Array  # whether the slope is, or the last decrease
    ended: Array


def minimised(
    loss: Callable[[Model], Array],
    model: Model,
    *,
    gradient: float | int = GRADIENT,
    max_points: int = MAX_POINTS,
) -> tuple[Model, Bool[Array, ""]]:
    """A model with a small gradient; to be called while JAX traces.

    Args:
        loss: of the model, ().
        model: where it starts; its floating-point arrays, all of one dtype, are trained.
        gradient: largest entry of the gradient at which it ends.
        max_points: at which the loss is valued; then it ends in any case.

    Returns:
        The model, of NaN where the loss is NaN where it starts; and whether it has converged: its
        gradient is as small as was asked, or the last step lowered the loss by next to nothing.
    """
    params, static = eqx.partition(model, eqx.is_inexact_array)
    x, unflat = ravel_pytree(params)
    valued = jax.value_and_grad(lambda x: loss(eqx.combine(unflat(x), static)))

    def unfinished(state: _State) -> Array:
        return (state.points < max_points) & ~state.ended

    def turn(state: _State) -> _State:
        x = state.x + state.length * state.way
        return _moved(state, x, *valued(x), gradient)

    none, count, no = jnp.zeros((), x.dtype), jnp.zeros((), int), jnp.asarray(False)
    pairs = jnp.zeros((MEMORY, len(x)), x.dtype)
    still = jnp.zeros_like(x)
    # The first turn values the start: as the end of a step of length 0 from infinity.
    start = _State(
        x, none + jnp.inf, still, still, none, pairs, pairs, pairs[:, 0], none, count, count, no, no
    )
    end = lax.while_loop(unfinished, turn, start)
    trained = jnp.where(jnp.isinf(end.value), jnp.nan, end.x)
    return eqx.combine(unflat(trained), static), end.small


def _moved(state: _State, x: Array, value: Array, slope: Array, gradient: float | int) -> _State:
    """The state after the loss was valued at the end x of a step."""
    promised = jnp.dot(state.slope, state.way)
    lower = value <= state.value + ARMIJO * state.length * promised
    move, change = x - state.x, slope - state.slope
    product, square = jnp.dot(move, change), jnp.dot(change, change)
    fits = lower & (product > LEAST_COSINE * jnp.sqrt(square * jnp.dot(move, move)))

    def appended(to: Array, new: Array) -> Array:
        return jnp.where(fits, jnp.concatenate([to[1:], new[None]]), to)

    memory = appended(state.moves, move), appended(state.changes, change)
    inverse = appended(state.inverse, 1 / product)
    first = jnp.minimum(1, 1 / jnp.linalg.norm(slope))
    kept = jnp.where(state.scale > 0, state.scale, first)
    scale = jnp.where(fits, product / jnp.where(fits, square, 1), kept)
    # The bottom of the parabola through both values and the slope, if it is a good deal shorter.
    bottom = -promised * state.length**2 / (2 * (value - state.value - promised * state.length))
    bottom = jnp.where(jnp.isfinite(bottom), bottom, 0)
    bottom = jnp.clip(bottom, 0.1 * state.length, 0.5 * state.length)
    decrease = jnp.abs(state.value - value)
    small = (jnp.max(jnp.abs(slope)) <= gradient) | (
        decrease <= DECREASE * gradient * jnp.abs(value)
    )
    shorter = jnp.where(lower, 0, state.shorter + 1)

    def chosen(new: Array, old: Array) -> Array:
        return jnp.where(lower, new, old)

    return _State(
        x=chosen(x, state.x),
        value=chosen(value, state.value),
        slope=chosen(slope, state.slope),
        way=chosen(_direction(slope, *memory, inverse, scale), state.way),
        length=chosen(jnp.ones_like(bottom), bottom),
        moves=memory[0],
        changes=memory[1],
        inverse=inverse,
        scale=chosen(scale, state.scale),
        points=state.points + 1,
        shorter=shorter,
        small=lower & small,
        ended=(lower & small) | (shorter > MAX_SHORTER),
    )


def _direction(slope: Array, moves: Array, changes: Array, inverse: Array, scale: Array) -> Array:
    """Minus the slope, times the inverse Hessian that the last steps tell of."""

    def back(k: Any, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        rest, shares = carry
        n = MEMORY - 1 - k
        share = inverse[n] * jnp.dot(moves[n], rest)
        return rest - share * changes[n], shares.at[n].set(share)

    def forth(n: Any, way: Array) -> Array:
        return way + moves[n] * (shares[n] - inverse[n] * jnp.dot(changes[n], way))

    rest, shares = lax.fori_loop(0, MEMORY, back, (slope, jnp.zeros_like(inverse)))
    return -lax.fori_loop(0, MEMORY, forth, scale * rest)
