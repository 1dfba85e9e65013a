"""Nodes eliminated from a circuit of conductances, without a subtraction that loses digits.

A node k between conductances `y_kj` to its neighbours can be taken out of a circuit if every pair
of neighbours gets ``y_ki y_kj / sum_j y_kj`` more between them (the star-mesh transform). Its
voltage is the mean of theirs, weighted by the conductances. These are sums, products and quotients
of numbers >= 0, so every conductance and every weight is right to a few roundings per step, however
ill-conditioned the circuit is (for Markov chains: Grassmann, Taksar and Heyman, 1985). The way to
ground is one neighbour more.

Here the word-line nodes of one column are replaced by those at the other end of the segments to
their left. With `r_k` that segment, ``s_k`` the sum of the conductances of node k and
``d_k = 1 / (1 + r_k s_k)``, which holds for a segment of 0 ohm as well,

    y_ij  <-  y_ij + y_ik y_kj r_k d_k          i, j other nodes
    y_k'j  =  y_kj d_k                          k' the left end of the segment
    v_k    =  d_k v_k' + sum_j y_kj r_k d_k v_j

Several nodes are eliminated among themselves first, so that what they change elsewhere is a product
of matrices.

**Changes apart.** Where drop is mild, each of hundreds of steps changes a conductance by less than
its roundings, and a gain below half of one is lost altogether, always with the same sign: in
float32 T would be wrong by 1e-4 at 256x256. There a conductance is the unevaluated sum of a part
that stays as it is and of its change so far, whose roundings are as much smaller as it is. Dividing
by ``1 + r_k s_k`` is a change of ``-y_kj r_k s_k d_k`` where ``r_k s_k < 1``; beyond, nothing
stays, and all of the quotient is change. Changes are added once per column, and what that rounds
away goes on with the next. That takes up to a fifth more time, and is done only where a tolerance
needs it: in float32, and there not for small arrays.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float

from xbar.solvers.lines import product

Matrix = Float[Array, "_ _wide"]

# Roundings that T may be wrong by where changes are kept apart, relative to its largest entry:
# half as much again as was ever found up to 512x512 (tests/test_transfer_precision.py).
APART = 100


class Parts(NamedTuple):
    """The sum ``high + low`` where changes are kept apart, else `high` alone."""

    high: Array
    low: Array | None

    def plus(self, more: Array) -> "Parts":
        """The sum of both, for `more` that may be much less."""
        if self.low is None:
            return Parts(self.high + more, None)
        return Parts(self.high, self.low + more)


def lost_in(rows: int, cols: int, dtype: Any, *, apart: bool) -> float:
    """Bound on the error of T by `cols` eliminations, relative to its largest entry.

    With changes apart it rests on what was measured. Otherwise a conductance is rounded once per
    column and block, and once with its own block, and all of these may have one sign.
    """
    # Only float32 spares bit lines the roundings of a divisor near 1 at each cell.
    lines = 0 if dtype == jnp.float32 else rows
    steps = APART + lines if apart else cols * (-(-rows // block_of(rows, apart=False)) + 1)
    return steps * float(jnp.finfo(dtype).eps) / 2


def in_parts(y: Matrix, cols: int, rtol: float) -> Parts:
    """Conductances `y` of a column's nodes, changes apart if `cols` eliminations need it."""
    enough = lost_in(len(y), cols, y.dtype, apart=False) <= rtol
    return Parts(y, None if enough else jnp.zeros_like(y))


class Divisor(NamedTuple):
    """``x / (1 + lost)`` as ``stays x + factor x``, for many `x` in turn; stays: 0 or 1."""

    stays: Array | None
    factor: Array

    @staticmethod
    def of(lost: Array) -> "Divisor":
        """For lost >= 0; in float32 without the rounding of the quotient where it is near 1."""
        share = 1 / (1 + lost)
        if lost.dtype != jnp.float32:
            return Divisor(None, share)
        little = lost < 1
        factor = jnp.where(little, -jnp.minimum(lost, 1) * share, share)
        return Divisor(little.astype(lost.dtype), factor)

    def __call__(self, x: Array) -> Array:
        """The quotient."""
        return self.factor * x if self.stays is None else self.stays * x + self.factor * x


def block_of(side: int, *, apart: bool) -> int:
    """Nodes that are eliminated together: measured best from 5 to 128 (benchmarks/log.md)."""
    if apart and side <= 128:
        # The size with the fewest idle nodes.
        return min(side, min(range(8, 14), key=lambda size: -side % size))
    return min(side, 8 if side <= 96 else 16)


def through_segments(y: Parts, r: Float[Array, " rows"], below: Matrix) -> tuple[Parts, Parts]:
    """Conductances seen from the left ends of the segments, and what other rows become.

    Args:
        y: conductances between the nodes, then from each to other terminals, (rows, rows + more)
            [S]; the diagonal does not count.
        r: the segments (rows,) [ohm].
        below: any rows of weights on the same nodes and terminals (n, rows + more): each node's
            weight is passed on to those of which its voltage is a mean. The unit matrix becomes
            the nodes' voltages for 1 V on each left end.

    Returns:
        `y` and `below` after it, the upper part of `below` what stays of it.
    """
    rows = len(r)
    size = block_of(rows, apart=y.low is not None)
    # The last block is filled up with nodes that touch nothing.
    extra = -rows % size
    every, staying = _split(y, r, below)
    if extra:
        every = _with_idle_nodes(every, rows, extra)
        staying = staying and _Staying(
            _with_idle_nodes(staying.part, rows, extra), jnp.pad(staying.nodes, (0, extra))
        )
        r = jnp.pad(r, (0, extra))
    place = jnp.arange(every.shape[1])

    def block(number: Array, every: Matrix) -> Matrix:
        first = number * size
        panel = lax.dynamic_slice(every, (first, 0), (size, len(place)))
        part = staying and _of_block(staying, first, size)
        segments = lax.dynamic_slice(r, (first,), (size,))
        old, new = _eliminated(panel, segments, part, place, first)
        weights = lax.dynamic_slice(every, (0, first), (len(every), size))
        if staying:
            weights = weights + lax.dynamic_slice(staying.part, (0, first), weights.shape)
        inside = (place >= first) & (place < first + size)
        if staying:
            every = jnp.where(inside, staying.nodes, 1.0) * every
        else:
            every = jnp.where(inside, 0, every)
        return lax.dynamic_update_slice(every + product(weights, old), new, (first, 0))

    every = lax.fori_loop(0, -(-rows // size), block, every)
    if extra:
        every = _without_idle_nodes(every, rows, extra)
    if staying is None:
        return Parts(every[:rows], None), Parts(every[rows:], None)
    part = _without_idle_nodes(staying.part, rows, extra) if extra else staying.part
    stays, change = part[:rows], every[:rows]
    high = stays + change
    return Parts(high, change - (high - stays)), Parts(part[rows:], every[rows:])


class _Staying(NamedTuple):
    """What stays as it is however many nodes are eliminated."""

    part: Matrix  # of conductances [S], and of what `block_of` nodes weigh among themselves
    nodes: Array  # per column: 1 if at least half of each conductance goes on to the left end


def _split(y: Parts, r: Float[Array, " rows"], below: Matrix) -> tuple[Matrix, _Staying | None]:
    """All rows; in parts their changes so far, and what stays."""
    every = jnp.concatenate([y.high, below])
    if y.low is None:
        return every, None
    rows, wide = y.high.shape
    # The sum of a node's conductances only gets less when others are eliminated. By a product,
    # since XLA does not vectorize sums along rows.
    little = (r * product(y.high + y.low, np.ones(wide, r.dtype)) < 1).astype(r.dtype)
    nodes = jnp.pad(little, (0, wide - rows), constant_values=1)
    own = jnp.pad(little, (0, len(below)), constant_values=1)
    part = own[:, None] * every * nodes
    return every - part + jnp.pad(y.low, ((0, len(below)), (0, 0))), _Staying(part, nodes)


def _with_idle_nodes(every: Matrix, rows: int, extra: int) -> Matrix:
    wide = jnp.concatenate(
        [jnp.pad(every[:, :rows], ((0, 0), (0, extra))), every[:, rows:]], axis=1
    )
    return jnp.concatenate([jnp.pad(wide[:rows], ((0, extra), (0, 0))), wide[rows:]])


def _without_idle_nodes(every: Matrix, rows: int, extra: int) -> Matrix:
    narrow = jnp.concatenate([every[:, :rows], every[:, rows + extra :]], axis=1)
    return jnp.concatenate([narrow[:rows], narrow[rows + extra :]])


class _Block(NamedTuple):
    """What stays of a block of nodes."""

    part: Matrix  # of their rows [S]
    weights: Array  # on each of them, of the others that are still there, then of left ends
    nodes: Array


def _of_block(staying: _Staying, first: Array, size: int) -> _Block:
    part = lax.dynamic_slice(staying.part, (first, 0), (size, staying.part.shape[1]))
    inside = lax.dynamic_slice(part, (0, first), (size, size))
    later = np.triu(np.ones((size, size), inside.dtype), 1)
    weights = jnp.concatenate([inside * later.T, inside * later])
    return _Block(part, weights, lax.dynamic_slice(staying.nodes, (first,), (size,)))


def _eliminated(
    panel: Matrix, r: Float[Array, " size"], block: _Block | None, place: Array, first: Array
) -> tuple[Matrix, Matrix]:
    """A block of nodes eliminated: their voltages as means, and their left ends' conductances.

    Args:
        panel: the rows of these nodes; in parts their changes so far, as are the left ends' rows
            that are returned, and each node's weight on its own left end in the means.
        r: their segments [ohm].
        block: in parts, what stays.
        place: numbers of all columns.
        first: number of the first of these nodes.
    """
    size = len(panel)
    row = jnp.arange(2 * size)

    def at(k: Array, x: Array) -> Array:
        return lax.dynamic_index_in_dim(x, k, 0, keepdims=False)

    def pivot(k: Array, both: Matrix) -> Matrix:
        here = place == first + k
        own, resistance = at(k, both), at(k, r)
        y = jnp.where(here, 0, own if block is None else own + at(k, block.part))
        lost = resistance * jnp.sum(y)
        d = 1 / (1 + lost)
        weights = lax.dynamic_slice(both, (0, first + k), (2 * size, 1))
        passed, stays, end = d, 0.0, y * d
        if block is not None:
            stays = at(k, block.nodes)
            passed = jnp.where(stays > 0, -lost * d, d)
            end = jnp.where(here, 0, stays * own) + passed * y
            weights = weights + lax.dynamic_slice(block.weights, (0, k), (2 * size, 1))
        mean = jnp.where(here, passed, y * (resistance * d))
        both = jnp.where(here, stays, 1.0) * both + weights * mean
        both = jnp.where((row == k)[:, None], mean, both)
        return jnp.where((row == size + k)[:, None], end, both)

    both = lax.fori_loop(0, size, pivot, jnp.concatenate([panel, jnp.zeros_like(panel)]))
    return both[:size], both[size:]
