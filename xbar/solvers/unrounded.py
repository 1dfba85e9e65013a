"""What is left of the cell equation, by sums without rounding.

Where a line hardly carries any current but its resistance is large, ``drop(g u)`` is a small sum of
large currents times a large resistance, and loses all digits; so does ``e - u - drop`` where the
wires take nearly all of the drive. It is the sums alone that do the harm: a product that is rounded
stands for a circuit whose conductance or resistance differs by a rounding. So every sum is taken
over an upper part of its terms, all multiples of one unit and few enough bits for the sum to be
exact in any order, and over the small rest (Rump, Ogita and Oishi, 2008); sums over both parts are
the ordinary ones. Cell voltages are unevaluated sums of two numbers for the same reason.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool

from xbar.solvers.base import Drives, Left, Problem, Voltages, within
from xbar.solvers.lines import BIT, WORD, running_sum

# Longer sums are taken in blocks. A program with one product per sum is smaller, and few results
# ask for these, so that size counts for more than time.
SHORT = 256


class Wide(NamedTuple):
    """The sum ``high + low``."""

    high: Array
    low: Array


def plus(a: Wide, b: Array) -> Wide:
    """``a + b``, the upper part rounded anew."""
    low = a.low + b
    high = a.high + low
    return Wide(high, low - (high - a.high))


def _size(x: Array) -> Array:
    return jnp.max(jnp.abs(x), axis=(-2, -1), keepdims=True)


def _sliced(x: Array, unit: Array, count: int = 2) -> list[Array]:
    """Upper to lower parts, all but the last multiples of one unit.

    XLA computes a part anew for each sum that it goes into. Were `x` a product that one of them
    adds unrounded, in one instruction, the upper part of one sum would not be what is missing from
    the lower part of another; magnitudes are taken of numbers that are rounded.
    """
    parts = []
    for _ in range(count - 1):
        part = (jnp.abs(x) + unit) - unit
        parts.append(jnp.where(x < 0, -part, part))
        x, unit = x - parts[-1], 4 * max(x.shape[-2:]) * jnp.finfo(x.dtype).eps * unit
    return [*parts, x]


def left_in_full(problem: Problem, e: Drives, u: Wide) -> Left:
    """As `left_by`, with nothing hidden that is more than roundings of conductances and wires."""
    terms = 4.0 * max(problem.g.shape)
    i_cell = problem.g * u.high
    parts = _sliced(i_cell, terms * _size(i_cell), 3 if e.dtype == jnp.float32 else 2)
    parts[-1] = parts[-1] + problem.g * u.low

    def across_segments(r: Array, axis: int) -> Voltages:
        """Voltage across each segment, from the currents of the cells behind it."""
        behind = [running_sum(x, axis, reverse=axis == WORD, short=SHORT) for x in parts]
        return r * sum(behind[1:], behind[0])

    word_line, bit_line = problem.segments()
    word, bit = across_segments(word_line, WORD), across_segments(bit_line, BIT)
    unit = terms * jnp.maximum(_size(e), jnp.maximum(_size(word), _size(bit)))

    def lost(across: Voltages, axis: int) -> list[Array]:
        sums = _sliced(across, unit)
        return [running_sum(x, axis, reverse=axis == BIT, short=SHORT) for x in sums]

    word, bit, drive = lost(word, WORD), lost(bit, BIT), _sliced(e, unit)
    high, low = (a - b - c for a, b, c in zip(drive, word, bit, strict=True))
    residual = (high - u.high) + (low - u.low)
    nothing = jnp.zeros_like(residual)
    return Left(word[0] + word[1], bit[0] + bit[1], residual, nothing, nothing[:, 0, 0])


def hides(problem: Problem, e: Drives, u: Voltages, left: Left, rtol: float) -> Bool[Array, " n"]:
    """Whether what plain sums may hide of the residual takes half the tolerance by itself."""
    return ~within(problem, e, u, left, rtol / 2, jnp.ones(len(e), bool))
