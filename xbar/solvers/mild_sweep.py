"""The sweep over columns where word lines feel each other little: transfer matrices, faster.

The equations are those of `xbar.solvers.elimination`. Where the drop is mild, the admittances are
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

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from xbar.solvers.admittance import Passage
from xbar.solvers.base import Problem, Transfer, probe
from xbar.solvers.batching import chosen
from xbar.solvers.bit_line import Cells, Chains, cells_of, chains_of
from xbar.solvers.lines import product, running_sum
from xbar.solvers.loops import scan
from xbar.solvers.sweep_check import lying, transfer_ok, turned

# Share of the tolerance that the estimated errors may take: what they leave out is less than 3.
SHARE = 0.3
# What a column takes: products of small parts left out, a whole Newton step, or not this sweep.
ONE_PRODUCT, TWO_PRODUCTS, NOT_MILD = 0, 1, 2

Lines = Float[Array, "cols rows"]
Squares = Float[Array, "cols rows rows"]


class Split(NamedTuple):
    """The matrix ``small + diag(diagonal)``; what `small` has on its own diagonal counts."""

    small: Float[Array, "*cols rows rows"]
    diagonal: Float[Array, "*cols rows"]


class Answers(NamedTuple):
    """How an array that was swept answers, per column from the driven end."""

    passage: Passage  # X_j, less its part on the diagonal
    lost: Lines  # X_j = passage - diag(lost)
    u: Squares  # cell voltages for 1 V on each row (cols, inputs, rows) [V]
    beside: Squares  # C of the bit line by itself, less its diagonal
    own: Lines  # C = beside + diag(own)
    reach: Lines  # its c


class _Swept(NamedTuple):
    chains: Chains
    segment: Lines
    level: Int[Array, ""]
    ahead: Split


def mild_transfer(problem: Problem, rtol: float) -> tuple[Transfer, Bool[Array, ""]]:
    """Transfer matrix by this sweep; for arrays in turn or in batches, never differentiated.

    Args:
        problem: the array.
        rtol: bound on the error of every current, relative to the largest.

    Returns:
        T, and whether the drop is mild enough and T passed its check.
    """
    flat = lying(problem)
    swept = _swept(flat, rtol)
    matrix, mixed = _walk(swept)
    return (matrix if flat is problem else turned(matrix)), _ok(swept, flat, matrix, mixed, rtol)


def mild_answers(flat: Problem, rtol: float) -> tuple[Transfer, Bool[Array, ""], Answers]:
    """The same for an array that has at least as many columns as rows, with what it came from."""
    swept = _swept(flat, rtol)
    cells = cells_of(flat.g.T, flat.segments()[1].T)
    matrix, mixed, change, u = _walk(swept, cells)
    passage = Passage(change, jnp.ones(len(change), change.dtype))
    answers = Answers(passage, swept.segment * swept.ahead.diagonal, u, *cells)
    return matrix, _ok(swept, flat, matrix, mixed, rtol), answers


def is_mild(flat: Problem, rtol: float) -> Bool[Array, ""]:
    """Whether the drop of an array with at least as many columns as rows is mild enough."""
    word, bit = flat.segments()
    return mildness(chains_of(flat.g.T, bit.T), word.T, rtol) < NOT_MILD


def _swept(flat: Problem, rtol: float) -> _Swept:
    word, bit = flat.segments()
    chains, segment = chains_of(flat.g.T, bit.T), word.T
    level = mildness(chains, segment, rtol)

    def none(chains: Chains, segment: Lines) -> Split:
        cols, rows = segment.shape
        return Split(jnp.zeros((cols, rows, rows), segment.dtype), jnp.zeros_like(segment))

    ahead = chosen(level, [_by_one_product, _by_two_products, none], chains, segment)
    return _Swept(chains, segment, level, ahead)


def _ok(swept: _Swept, flat: Problem, matrix: Array, mixed: Lines, rtol: float) -> Bool[Array, ""]:
    i_cell, signs = _cell_currents(swept.chains, mixed).T, probe(flat.g.shape[0], flat.g.dtype)
    return transfer_ok(flat, matrix, i_cell, signs, rtol) & (swept.level < NOT_MILD)


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
    return running_sum(upper, -1) - upper, running_sum(lower, -1, reverse=True) - lower


def _by_one_product(chains: Chains, segment: Lines) -> Split:
    return _eliminate(chains, segment, newton=False)


def _by_two_products(chains: Chains, segment: Lines) -> Split:
    return _eliminate(chains, segment, newton=True)


def _eliminate(chains: Chains, segment: Lines, *, newton: bool) -> Split:
    """What is seen from left of each column's segments, from the open end on."""
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
    return scan(step, (nothing, nothing), (chains, segment, longer), reverse=True)[1]


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


def _seen_through(new: Split, d: Array, start: Split, newton: bool) -> Split:
    """One step of Newton's iteration from `start`; without its product unless `newton`."""
    column, (small, diagonal) = d[:, None], start
    left = new.small - small - _small_product(new.small, column * small)
    left = left - (new.diagonal * d)[:, None] * small - new.small * (d * diagonal)
    rest = new.diagonal - diagonal - new.diagonal * d * diagonal
    found = small + left - (diagonal * d)[:, None] * left - small * (d * rest)
    if newton:
        found = found - _small_product(small, column * left)
    return Split(found, diagonal + rest - diagonal * d * rest)


def _walk(swept: _Swept, cells: Cells | None = None) -> tuple:
    """From the sources on: T, and all word-line voltages for the probe.

    With the bit lines' cells, also `Answers.passage.change` and cell voltages for 1 V on each row.
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
    own, beside = (None, None) if cells is None else (cells.own, cells.beside)
    return scan(step, start, (diagonal, segment, out, own), (small, beside))[1]


def _cell_currents(chains: Chains, w: Lines) -> Lines:
    """``S w`` of every bit line."""
    above, below = _beside(chains.upper * w, chains.lower * w)
    return chains.own * w - chains.lower * above - chains.upper * below


def _small_product(a: Array, b: Array) -> Array:
    """Product of two small parts: far below the diagonals, so float32 will do."""
    return product(a.astype(jnp.float32), b.astype(jnp.float32)).astype(a.dtype)
