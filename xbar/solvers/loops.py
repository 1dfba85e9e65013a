"""Loops over columns as XLA's CPU compiler makes fast code of them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def scan(
    step: Callable[..., tuple], start: Any, held: Any, sliced: Any = None, *, reverse: bool = False
) -> tuple:
    """`lax.scan` over ``step(carry, held, sliced)``, with `held` made ready a turn before.

    Elementwise code that reads a slice of the loop's inputs at two places looks up the slice's
    place for every element, one element at a time: four times as slow as where the slice is there
    as an array, which makes itself felt where the slice is a vector and the work on matrices.

    Args:
        step: from carry, `held` and `sliced` to the next carry and an output.
        start: the first carry.
        held: inputs with a leading axis, small: they are copied twice.
        sliced: inputs with a leading axis that are sliced as usual.
        reverse: from the last to the first.
    """
    first = jax.tree.map(lambda x: x[-1 if reverse else 0], held)
    following = jax.tree.map(lambda x: jnp.roll(x, 1 if reverse else -1, axis=0), held)

    def turn(carry: tuple, inputs: tuple) -> tuple:
        state, now = carry
        following, sliced = inputs
        state, out = step(state, now, sliced)
        return (state, following), out

    (state, _), out = lax.scan(turn, (start, first), (following, sliced), reverse=reverse)
    return state, out
