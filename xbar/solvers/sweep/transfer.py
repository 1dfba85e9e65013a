"""The sweep over columns where word lines feel each other little: transfer matrices, faster.

The equations are those of `xbar.solvers.sweep.elimination`, with ``X = P^T`` and meshes written as
admittances, which subtract: where the drop is mild they have digits to lose, and they are
nearly diagonal, `Y = O + diag(y)` with entries of `O` some thousandths of those of `y`. What such
matrices do to each other's diagonals is elementwise work; only the product of two small parts is a
matrix product, and so small that float32 holds it to float64's digits. Per column, for an
admittance `N = O_n + diag(n)` behind segments `D`,

    start: the change of N since the last column, passed on by diagonals alone
    E = N - start - N D start          the residual: one product
    G = start + E - start D E          one Newton step; its product is dropped where it may be

with the off-diagonal part of `E` in the last product. With `c` the size of ``D O`` at the source
(`coupling`), the start is wrong by about ``2 c^2 / cols`` in each column, so that the dropped
products leave an error of about ``2 c^3`` in all, a whole Newton step ``4 c^4 / cols`` and float32
``6e-8 c^2``. These estimates choose; the results are checked on a random input afterwards.

Bit lines need no matrix: ``S = diag(own) - (upper_i lower_k for i < k, symmetric)``.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int

from xbar.solvers.base import Problem, Transfer, error_bound, largest_current, probe
from xbar.solvers.batching import agreed, chosen
from xbar.solvers.lines import product
from xbar.solvers.sweep.change import ColumnAnswers
from xbar.solvers.sweep.elimination import (
    BitLine,
    Chains,
    Lines,
    Squares,
    chains_of,
    columns_of,
    short_mutual_impedance,
    sum_before,
)

# Share of the tolerance that the estimated errors may take: what they leave out is less than 3.
SHARE = 0.3
# What a column takes: products of small parts left out, a whole Newton step, or not this sweep.
ONE_PRODUCT, TWO_PRODUCTS, NOT_MILD = 0, 1, 2


class Split(NamedTuple):
    """The matrix ``small + diag(diagonal)``; what `small` has on its own diagonal counts."""

    small: Float[Array, "*cols rows rows"]
    diagonal: Float[Array, "*cols rows"]


class _Swept(NamedTuple):
    line: BitLine
    chains: Chains
    segment: Lines
    level: Int[Array, ""]
    ahead: Split


def mild_transfer(flat: Problem, rtol: float) -> tuple[Transfer, Bool[Array, ""]]:
    """Transfer matrix by this sweep; for arrays in turn or in batches, never differentiated.

    Args:
        flat: an array that has at least as many columns as rows.
        rtol: bound on the error of every current, relative to the largest.

    Returns:
        T, and whether the drop is mild enough and T passed its check.
    """
    swept = _swept(flat, rtol)
    matrix, mixed = _walk(swept)
    return matrix, _ok(swept, flat, matrix, mixed, rtol)


def mild_answers(flat: Problem, rtol: float) -> tuple[Transfer, Bool[Array, ""], ColumnAnswers]:
    """The same with how the array answers, for derivatives."""
    swept = _swept(flat, rtol)
    line = swept.line
    beside = -line.g[:, None, :] * short_mutual_impedance(line)
    matrix, mixed, change, u = _walk(swept, (beside, line.own))
    lost = swept.segment * swept.ahead.diagonal
    kept = jnp.ones_like(lost)
    answers = ColumnAnswers(kept, change, lost, u, beside, line.own, line.reach)
    return matrix, _ok(swept, flat, matrix, mixed, rtol), answers


def is_mild(flat: Problem, rtol: float) -> Bool[Array, ""]:
    """Whether the drop of an array with at least as many columns as rows is mild enough."""
    line, segment = columns_of(flat)
    return mildness(chains_of(line), segment, rtol) < NOT_MILD


def _swept(flat: Problem, rtol: float) -> _Swept:
    line, segment = columns_of(flat)
    chains = chains_of(line)
    level = mildness(chains, segment, rtol)

    def none(chains: Chains, segment: Lines) -> Split:
        cols, rows = segment.shape
        return Split(jnp.zeros((cols, rows, rows), segment.dtype), jnp.zeros_like(segment))

    # One loop for both kinds of columns: a second would take as long again to compile.
    whole = agreed(level) == TWO_PRODUCTS
    step = partial(_eliminate, newton=whole)
    ahead = chosen(level // NOT_MILD, [step, none], chains, segment)
    return _Swept(line, chains, segment, level, ahead)


def _ok(swept: _Swept, flat: Problem, matrix: Array, mixed: Lines, rtol: float) -> Bool[Array, ""]:
    """Whether T is right for one random input, by its cell voltages and their residual."""
    signs = probe(flat.g.shape[0], flat.g.dtype)
    i_cell = _cell_currents(swept.chains, mixed).T[None]
    e = jnp.broadcast_to(signs[:, None], i_cell.shape)
    word, bit = flat.drop.word(i_cell), flat.drop.bit(i_cell)
    # Ohm's law, or through the wires where a cell is open.
    u = jnp.where(flat.g > 0, i_cell / jnp.where(flat.g > 0, flat.g, 1), e - word - bit)
    off = jnp.max(jnp.abs(product(matrix, signs) - jnp.sum(i_cell[0], axis=0)))
    same = off <= rtol * largest_current(i_cell)[0]
    left = e - u - word - bit
    return same & (error_bound(flat.g, u, left)[0] <= rtol) & (swept.level < NOT_MILD)


def mildness(chains: Chains, segment: Lines, rtol: float) -> Int[Array, ""]:
    """What the columns need for the transfer matrix to be right within `rtol`."""
    c, cols = coupling(chains, segment), len(segment)
    rounding = 0 if segment.dtype == jnp.float32 else jnp.finfo(jnp.float32).eps * c**2
    allowed = SHARE * rtol
    one = 2 * c**3 + rounding <= allowed  # NaN is not mild
    two = 4 * c**4 / cols + rounding <= allowed
    return jnp.where(one, ONE_PRODUCT, jnp.where(two, TWO_PRODUCTS, NOT_MILD))


def coupling(chains: Chains, segment: Lines) -> Float[Array, ""]:
    """Largest row sum of ``D O`` at the source, if nothing got lost on the way there."""
    above, below = _beside(chains.upper, chains.lower)
    at_source = jnp.sum(chains.lower * above + chains.upper * below, axis=0)
    return jnp.max(segment) * jnp.max(at_source)


def _beside(upper: Lines, lower: Lines) -> tuple[Lines, Lines]:
    """Sums over the nodes above and over the nodes below each node."""
    return sum_before(upper), sum_before(lower, turned=True)


def _eliminate(chains: Chains, segment: Lines, *, newton: Bool[Array, ""]) -> Split:
    """What is seen from left of each column's segments, from the open end on.

    Args:
        chains: the bit lines.
        segment: word-line segments left of them [ohm].
        newton: whether each column takes a whole Newton step, by two products.
    """
    rows, dtype = segment.shape[1], segment.dtype
    i, k = jnp.arange(rows)[:, None], jnp.arange(rows)
    above, below = (i < k).astype(dtype), (i > k).astype(dtype)

    def step(before: tuple[Split, Split], inputs: tuple, _: None) -> tuple:
        last, seen = before
        (own, _, upper, lower), d, longer = inputs
        between = above * upper[:, None] * lower + below * lower[:, None] * upper
        new = Split(last.small - between, own + last.diagonal)
        ahead = _seen_through(new, d, _passed_on(last, seen, new, d, longer), newton)
        return (ahead, new), ahead

    nothing = Split(jnp.zeros((rows, rows), dtype), jnp.zeros(rows, dtype))
    longer = segment - jnp.concatenate([segment[1:], segment[-1:]])  # than the column before
    return _scan(step, (nothing, nothing), (chains, segment, longer), reverse=True)[1]


def _passed_on(last: Split, seen: Split, new: Split, d: Array, longer: Array) -> Split:
    """`last` after the change from `seen` to `new` and of the segments; by diagonals alone."""
    there = 1 / (1 + longer * last.diagonal)
    diagonal = there * last.diagonal
    kept = 1 - diagonal * d
    change = new.diagonal - seen.diagonal
    lost = kept * d * change
    small = last.small * (there[:, None] * there - lost[:, None] - lost)
    small = small + kept[:, None] * (new.small - seen.small) * kept
    return Split(small, diagonal + kept**2 * change / (1 + lost))


def _seen_through(new: Split, d: Array, start: Split, newton: Bool[Array, ""]) -> Split:
    """One step of Newton's iteration from `start`; without its product unless `newton`."""
    column, (small, diagonal) = d[:, None], start
    root = jnp.sqrt(d)
    left = new.small - small - _small_product(new.small * root, root[:, None] * small)
    left = left - (new.diagonal * d)[:, None] * small - new.small * (d * diagonal)
    rest = new.diagonal - diagonal - new.diagonal * d * diagonal
    found = small + left - (diagonal * d)[:, None] * left - small * (d * rest)
    found = lax.cond(newton, lambda: found - _small_product(small, column * left), lambda: found)
    return Split(found, diagonal + rest - diagonal * d * rest)


def _walk(swept: _Swept, cells: tuple[Squares, Lines] | None = None) -> tuple:
    """From the sources on: T, and all word-line voltages for the probe.

    With the bit lines' C, beside its diagonal and on it, also `Answers.change` and `Answers.u`.
    """
    (small, diagonal), segment, out = swept.ahead, swept.segment, swept.chains.out
    rows, dtype = segment.shape[1], segment.dtype
    signs = probe(rows, dtype)

    def step(unit: Split, held: tuple, sliced: tuple) -> tuple:
        # Word-line voltages for 1 V on each row: not symmetric, otherwise split in the same way.
        (diagonal, d, out, own), (small, beside) = held, sliced
        w, kept = unit
        drawn = _small_product(small, w) + small * kept + diagonal[:, None] * w
        w, kept = w - d[:, None] * drawn, kept - d * diagonal * kept
        found = out @ w + out * kept, w @ signs + kept * signs
        if beside is not None:
            u = own[:, None] * w + _small_product(beside, w) + beside * kept
            found = *found, -d[:, None] * small, u.T + jnp.diag(own * kept)
        return Split(w, kept), found

    start = Split(jnp.zeros((rows, rows), dtype), jnp.ones(rows, dtype))
    beside, own = (None, None) if cells is None else cells
    return _scan(step, start, (diagonal, segment, out, own), (small, beside))[1]


def _cell_currents(chains: Chains, w: Lines) -> Lines:
    """``S w`` of every bit line."""
    above, below = _beside(chains.upper * w, chains.lower * w)
    return chains.own * w - chains.lower * above - chains.upper * below


def _small_product(a: Array, b: Array) -> Array:
    """Product of two small parts: far below the diagonals, so float32 will do."""
    return product(a.astype(jnp.float32), b.astype(jnp.float32)).astype(a.dtype)


def _scan(
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
