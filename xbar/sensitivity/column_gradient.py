"""Gradient of a function of the differences of a transfer matrix, from the factors of the array.

With the symbols of `xbar.sensitivity.sweep`. An amplifier sees the difference of its two columns of
T, ``W_p = f_p^T T``, with `f_p` +1 on the plus column of pair p and -1 on its minus column. A
function of W whose derivative is `b_p`, over the rows, has

    d/dg[c] = sum_p l_p[c] u_p[c]           d/dr[s] = -sum_p i_p[s] j_p[s]

with `u_p`, `j_p` the cell voltages and segment currents for the rows driven at `b_p`, and `l_p`,
`i_p` those for `f_p` in series with the columns. With the columns pulled so, they draw
``p_j = P_j^T (S_j f + p_{j+1})`` in front of column j; by reciprocity, what the rows carry at the
drivers is W. The way back then finds the word-line nodes for both drives, ``P_j w_{j-1} - D_j p_j``
and ``P_j w_{j-1}``. The segments at the ends of the lines, where drivers and amplifiers are, carry
whole sums of cell currents; those between them carry running sums, which are work of their own and
may be left out.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from xbar.sensitivity.sweep import Swept
from xbar.solvers.base import default_rtol
from xbar.solvers.lines import BIT, product, running_sum

Drawn = Float[Array, "cols rows pairs"]


class Slopes(NamedTuple):
    """Derivatives with respect to the cells, the ends of the lines and the segments of the lines.

    The segments left of the cells, and below them; None where they were not asked for.
    """

    g: Float[Array, "rows cols"]
    source: Float[Array, " rows"]
    sense: Float[Array, " cols"]
    word_line: Float[Array, "rows cols"] | None
    bit_line: Float[Array, "rows cols"] | None


def pulled_pairs(swept: Swept) -> Drawn:
    """What each column and all behind it draw from the word lines, with each pair pulled by `f`."""
    cols, rows = swept.segment.shape
    dtype = swept.segment.dtype

    def draw(drawn: Array, inputs: tuple) -> tuple:
        passage, own, f = inputs
        drawn = product(passage.T, drawn + own[:, None] * f)
        return drawn, drawn

    nothing = jnp.zeros((rows, cols // 2), dtype)
    parts = swept.passage, jnp.sum(swept.admittance, axis=2), _signs(cols, dtype)
    return lax.scan(draw, nothing, parts, reverse=True)[1]


def differences_of(drawn: Drawn) -> Float[Array, "pairs rows"]:
    """W: what the rows draw from the drivers, with each pair pulled [S]."""
    return drawn[0].T


def _signs(cols: int, dtype: jnp.dtype) -> Float[Array, "cols pairs"]:
    """`f`: +1 on the plus column of pair p, -1 on its minus column."""
    both = jnp.repeat(jnp.eye(cols // 2, dtype=dtype), 2, axis=0)
    return both * jnp.tile(jnp.array([1, -1], dtype), cols // 2)[:, None]


def column_gradient(
    swept: Swept,
    drawn: Drawn,
    g: Float[Array, "rows cols"],
    segments: bool,
    by_w: Float[Array, "pairs rows"],
) -> Slopes:
    """Derivatives of a function of the difference of each pair's columns of T.

    Args:
        swept: factors of the array.
        drawn: by the pulled pairs, from `pulled_pairs`.
        g: conductances, (rows, cols) [S].
        segments: whether to find those of the segments of the lines.
        by_w: derivative with respect to the differences W, (pairs, rows).

    Returns:
        The derivatives; NaN where the tolerance is missed: with the columns pulled, the cell
        currents of the way back have to sum up to W along the rows, and so have, by reciprocity,
        those for the rows driven at `b`, along the columns and weighted by `f`, to ``W b``.
    """
    cols, rows = swept.segment.shape
    pairs, dtype = cols // 2, by_w.dtype
    signs = _signs(cols, dtype)

    def walk(before: tuple, inputs: tuple) -> tuple:
        node, of_rows, largest = before
        passage, segment, drawn, f, voltage, g = inputs
        node = product(passage, node)
        node = node.at[:, :pairs].add(-segment[:, None] * drawn)
        both = product(voltage, node.at[:, :pairs].add(f))
        i_cell = g[:, None] * both
        largest = jnp.maximum(largest, jnp.max(jnp.abs(i_cell), axis=0))
        of_col = jnp.sum(i_cell, axis=0)
        bit = (i_cell, -_halves(running_sum(i_cell, BIT))) if segments else None
        return (node, of_rows + i_cell, largest), (_halves(both), of_col, bit)

    drives = jnp.concatenate([jnp.zeros((rows, pairs), dtype), by_w.T], axis=1)
    start = drives, jnp.zeros_like(drives), jnp.zeros(2 * pairs, dtype)
    parts = swept.passage, swept.segment, drawn, signs, swept.voltage, g.T
    (_, of_rows, largest), (by_g, of_cols, bit) = lax.scan(walk, start, parts)
    w = differences_of(drawn)
    rtol = default_rtol(None, dtype)
    forwards = jnp.max(jnp.abs(of_rows[:, :pairs].T - w), axis=1)
    backwards = jnp.abs(jnp.sum(signs * of_cols[:, pairs:], axis=0) - jnp.sum(w * by_w, axis=1))
    off = jnp.concatenate([forwards, backwards])
    ok = jnp.all(off <= rtol * jnp.maximum(largest, jnp.max(jnp.abs(of_cols), axis=0)))
    by_word, by_bit = (None, None) if bit is None else (_along_word_lines(bit[0]).T, bit[1].T)
    found = Slopes(by_g.T, -_halves(of_rows), -_halves(of_cols), by_word, by_bit)
    return jax.tree.map(lambda x: jnp.where(ok, x, jnp.nan), found)


def _along_word_lines(i_cell: Float[Array, "cols rows both"]) -> Float[Array, "cols rows"]:
    """Derivatives by the word-line segments, which carry the currents of the cells behind them."""

    def along(current: Array, i_cell: Array) -> tuple:
        current = current + i_cell
        return current, -_halves(current)

    return lax.scan(along, jnp.zeros_like(i_cell[0]), i_cell, reverse=True)[1]


def _halves(both: Float[Array, "*n both"]) -> Float[Array, "*n"]:
    """Sum over the pairs of the products of answers to `f` and to `b`."""
    left, right = jnp.split(both, 2, axis=-1)
    return jnp.sum(left * right, axis=-1)
