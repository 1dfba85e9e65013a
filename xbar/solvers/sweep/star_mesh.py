"""Elimination of an array's nodes by additions, products and quotients of numbers >= 0 alone.

A node k between conductances `y_kj` to its neighbours can be taken out of a circuit if every pair
of neighbours gets ``y_ki y_kj / sum_j y_kj`` more between them (the star-mesh transform). Its
voltage is the mean of theirs, weighted by the conductances. No step subtracts, so every conductance
and every weight is right to a few roundings per step, however ill-conditioned the circuit is (for
Markov chains: Grassmann, Taksar and Heyman, 1985). The way to ground is one neighbour more.

Here the word-line nodes of one column are replaced by those at the other end of the segments to
their left. With `r_k` that segment, ``s_k`` the sum of the conductances of node k and
``d_k = 1 / (1 + r_k s_k)``, which holds for a segment of 0 ohm as well,

    y_ij  <-  y_ij + y_ik y_kj r_k d_k          i, j other nodes
    y_k'j  =  y_kj d_k                          k' the left end of the segment
    v_k    =  d_k v_k' + sum_j y_kj r_k d_k v_j

Several nodes are eliminated among themselves first, so that what they change elsewhere is a product
of matrices.
"""

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from xbar.solvers.lines import product

Matrix = Float[Array, "_ _wide"]


def block_of(side: int) -> int:
    """Nodes that are eliminated together: measured best from 5 to 128 (benchmarks/log.md)."""
    return min(side, 8 if side <= 96 else 16)


def through_segments(y: Matrix, r: Float[Array, " rows"], below: Matrix) -> tuple[Matrix, Matrix]:
    """Conductances seen from the left ends of the segments, and what other rows become.

    Args:
        y: conductances between the nodes, then from each to other terminals, (rows, rows + more)
            [S]; the diagonal does not count.
        r: the segments (rows,) [ohm].
        below: any rows of weights on the same nodes and terminals (n, rows + more): each node's
            weight is passed on to those of which its voltage is a mean. The unit matrix becomes
            the nodes' voltages for 1 V on each left end.

    Returns:
        `y` and `below` after it.
    """
    rows, wide = y.shape
    size = block_of(rows)
    # The last block is filled up with nodes that touch nothing.
    count = -(-rows // size)
    extra = count * size - rows
    if extra:
        y, below = (_with_idle_nodes(x, rows, extra) for x in (y, below))
        y = jnp.pad(y, ((0, extra), (0, 0)))
        r = jnp.pad(r, (0, extra))
    every = jnp.concatenate([y, below])
    place = jnp.arange(wide + extra)

    def block(number: Array, every: Matrix) -> Matrix:
        first = number * size
        panel = lax.dynamic_slice(every, (first, 0), (size, len(place)))
        old, new = _eliminated(panel, lax.dynamic_slice(r, (first,), (size,)), place, first)
        weights = lax.dynamic_slice(every, (0, first), (len(every), size))
        inside = (place >= first) & (place < first + size)
        every = jnp.where(inside, 0, every) + product(weights, old)
        return lax.dynamic_update_slice(every, new, (first, 0))

    every = lax.fori_loop(0, count, block, every)
    if extra:
        every = jnp.concatenate([every[:, :rows], every[:, rows + extra :]], axis=1)
    return every[:rows], every[rows + extra :]


def _with_idle_nodes(x: Matrix, rows: int, extra: int) -> Matrix:
    return jnp.concatenate([jnp.pad(x[:, :rows], ((0, 0), (0, extra))), x[:, rows:]], axis=1)


def _eliminated(
    panel: Matrix, r: Float[Array, " size"], place: Array, first: Array
) -> tuple[Matrix, Matrix]:
    """A block of nodes eliminated: their voltages as means, and their left ends' conductances.

    Args:
        panel: the rows of these nodes.
        r: their segments [ohm].
        place: numbers of all columns.
        first: number of the first of these nodes.
    """
    size = len(panel)
    row = jnp.arange(2 * size)

    def pivot(k: Array, both: Matrix) -> Matrix:
        here = place == first + k
        y = jnp.where(here, 0, lax.dynamic_index_in_dim(both, k, 0, keepdims=False))
        resistance = lax.dynamic_index_in_dim(r, k, 0, keepdims=False)
        d = 1 / (1 + resistance * jnp.sum(y))
        mean = y * (resistance * d)
        weights = lax.dynamic_slice(both, (0, first + k), (2 * size, 1))
        both = jnp.where(here, d, 1) * both + weights * mean
        both = jnp.where((row == k)[:, None], jnp.where(here, d, mean), both)
        return jnp.where((row == size + k)[:, None], y * d, both)

    both = lax.fori_loop(0, size, pivot, jnp.concatenate([panel, jnp.zeros_like(panel)]))
    return both[:size], both[size:]
