"""Gradient of a function of a transfer matrix, column by column, from the factors of T itself.

With the symbols of `xbar.sensitivity.sweep`. A function of T whose derivative is ``sum_p f_p
b_p^T`` (`b_p` over the rows, `f_p` over the columns; here +1 and -1 on the columns of pair p) has

    d/dg[c] = sum_p l_p[c] u_p[c]           d/dr[s] = -sum_p i_p[s] j_p[s]

with `u_p`, `j_p` the cell voltages and segment currents for the rows driven at `b_p`, and `l_p`,
`i_p` those for `f_p` in series with the columns. The former are known once T is: ``C_j w_j b_p``.
The latter take one walk there and one back, of what the columns draw, ``p_j = X_j (S_j f +
p_{j+1})``, and of the word-line nodes, ``X_j^T w_{j-1} - D_j p_j``.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from xbar.sensitivity.sweep import Squares, Swept
from xbar.solvers.base import Transfer, default_rtol
from xbar.solvers.lines import BIT, product, running_sum


class Slopes(NamedTuple):
    """Derivatives with respect to the cells and the segments left of and below them."""

    g: Float[Array, "rows cols"]
    word_line: Float[Array, "rows cols"]
    bit_line: Float[Array, "rows cols"]


def transfer_of(swept: Swept) -> tuple[Transfer, Squares]:
    """The transfer matrix, and the word-line voltages `w_j` of each column for 1 V on each row."""

    def step(word: Array, inputs: tuple) -> tuple:
        passage, out = inputs
        word = passage.backwards(word)
        return word, (product(out, word), word)

    start = jnp.eye(swept.segment.shape[1], dtype=swept.segment.dtype)
    return lax.scan(step, start, (swept.passage, swept.alone.out))[1]


def column_gradient(
    swept: Swept,
    transfer: Transfer,
    word: Squares,
    g: Float[Array, "rows cols"],
    by_t: Float[Array, "pairs rows"],
) -> Slopes:
    """Derivatives of a function of the difference of each pair's columns of T.

    Args:
        swept: factors of the array.
        transfer: T, from `transfer_of`.
        word: the word-line voltages that come with it.
        g: conductances, (rows, cols) [S].
        by_t: derivative with respect to the plus column of each pair, (pairs, rows); that with
            respect to the minus column is the opposite.

    Returns:
        The derivatives; NaN where the tolerance is missed: with the columns pulled, the rows carry
        the currents of T read backwards, which the walks from and to the columns find anew.
    """
    cols, rows = swept.segment.shape
    dtype = by_t.dtype
    # f: +1 on the plus column of pair p, -1 on its minus column.
    pulled = jnp.repeat(jnp.eye(cols // 2, dtype=dtype), 2, axis=0)
    pulled = pulled * jnp.tile(jnp.array([1, -1], dtype), cols // 2)[:, None]
    nothing = jnp.zeros((rows, cols // 2), dtype)

    def draw(drawn: Array, inputs: tuple) -> tuple:
        passage, own, f = inputs
        drawn = passage.forwards(drawn + own[:, None] * f)
        return drawn, drawn

    own = jnp.sum(swept.alone.admittance, axis=2)
    _, drawn = lax.scan(draw, nothing, (swept.passage, own, pulled), reverse=True)

    def walk(node: Array, inputs: tuple) -> tuple:
        passage, segment, drawn, f, voltage, word, g = inputs
        node = passage.backwards(node) - segment[:, None] * drawn
        both = jnp.concatenate([node + f, product(word, by_t.T)], axis=1)
        both = product(voltage, both)
        i_cell = g[:, None] * both
        left, right = jnp.split(both, 2, axis=1)
        i_left, i_right = jnp.split(running_sum(i_cell, BIT), 2, axis=1)
        return node, (i_cell, jnp.sum(left * right, axis=1), -jnp.sum(i_left * i_right, axis=1))

    parts = swept.passage, swept.segment, drawn, pulled, swept.alone.voltage, word, g.T
    _, (i_cell, by_g, by_bit) = lax.scan(walk, nothing, parts)

    def along(current: Array, i_cell: Array) -> tuple:
        current = current + i_cell
        left, right = jnp.split(current, 2, axis=1)
        return current, -jnp.sum(left * right, axis=1)

    last, by_word = lax.scan(along, jnp.zeros_like(i_cell[0]), i_cell, reverse=True)
    off = jnp.max(jnp.abs(last[:, : cols // 2].T - (transfer[0::2] - transfer[1::2])))
    ok = off <= default_rtol(None, dtype) * jnp.max(jnp.abs(i_cell[..., : cols // 2]))
    return Slopes(*(jnp.where(ok, x.T, jnp.nan) for x in (by_g, by_word, by_bit)))
