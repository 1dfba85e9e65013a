"""Transfer matrices of large arrays by divide and conquer over tiles.

A tile is a rectangle of cells with four sides of ports. What its surroundings impose are voltages
where lines come from their driven or grounded end (left, bottom) and currents where they go on
(right, top); what it answers are the currents and voltages that belong to them:

    inputs   v_left     i_right (to the right)     v_bottom     i_top (from above)
    outputs  i_left     v_right                    i_bottom     v_top

All are finite for every legal circuit, zero resistances and open cells included. Two neighbours are
joined along their common lines: one answers with voltages ``v = a + V i``, the other with currents
``i = b + J v``, so ``v = (I - V J)^-1 (a + V b)``. A passive circuit has ``-V J`` with eigenvalues
>= 0, so the matrix is never singular. Tiles are joined pairwise, all pairs of a level at once,
until one is left: about 150 n^3 operations for n x n cells where a sweep over columns takes 6 n^4.

Everything is in operations that JAX differentiates, so a gradient with respect to all cells costs
n^3 as well.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from xbar.solvers.base import Problem, Transfer
from xbar.solvers.lines import product

Responses = Float[Array, "down across outputs inputs"]

# A tile of fewer cells along a side is less work than the calls that join it.
LEAST_SIDE = 4


class _Tiles(NamedTuple):
    """A grid of equal tiles; ports in the order left, right, bottom, top."""

    h: Responses  # outputs per input
    rows: int  # ports of the left and of the right side
    cols: int  # ports of the bottom and of the top

    @property
    def sides(self) -> dict[str, tuple[int, int]]:
        """First and last port of each side."""
        p, q, n = self.rows, self.cols, 2 * self.rows
        return {"l": (0, p), "r": (p, n), "b": (n, n + q), "t": (n + q, n + 2 * q)}


def tiled_transfer(problem: Problem) -> Transfer:
    """Transfer matrix of an array.

    Args:
        problem: the array.

    Returns:
        T (cols, rows) [S].
    """
    rows, cols = problem.g.shape
    tiles = _leaves(problem)
    down, across = tiles.h.shape[:2]
    while down > 1 or across > 1:
        # Nearly square tiles have the fewest ports.
        sideways = across > 1 and (down == 1 or tiles.cols <= tiles.rows)
        tiles = _joined_across(tiles) if sideways else _joined_down(tiles)
        down, across = tiles.h.shape[:2]
    bottom = 2 * tiles.rows
    # Cells that filled up the tiles lie at the far ends: last columns and first rows.
    return tiles.h[0, 0, bottom : bottom + cols, tiles.rows - rows : tiles.rows]


def _cut(n: int) -> tuple[int, int]:
    """Tiles (a power of two) and cells per tile along a side of n cells, few of them filled up."""
    cuts = [(1, n)]
    while cuts[-1][1] > LEAST_SIDE:
        count = 2 * cuts[-1][0]
        cuts.append((count, -(-n // count)))
    least = min(count * size for count, size in cuts[-2:])
    return next(cut for cut in reversed(cuts) if cut[0] * cut[1] == least)


def _leaves(problem: Problem) -> _Tiles:
    """The array cut into tiles, each solved by elimination of its cell voltages."""
    (rows, cols), dtype = problem.g.shape, problem.g.dtype
    (down, p), (across, q) = _cut(rows), _cut(cols)

    def cut(x: Array) -> Float[Array, "down across p q"]:
        x = jnp.pad(x, ((down * p - rows, 0), (0, across * q - cols)))
        return jnp.swapaxes(x.reshape(down, p, across, q), 1, 2)

    g, word, bit = map(cut, (problem.g, *problem.segments()))
    word = jnp.cumsum(word, axis=-1)  # resistance from the left side up to each cell
    bit = jnp.cumsum(bit[..., ::-1, :], axis=-2)[..., ::-1, :]  # ... from below
    i, j = jnp.arange(p), jnp.arange(q)
    same_row, same_col = jnp.eye(p, dtype=dtype), jnp.eye(q, dtype=dtype)
    # [i, j, i', j']: volts lost at (i, j) per ampere through the cell at (i', j').
    lost = (
        word[..., :, jnp.minimum(j[:, None], j)][..., :, :, None, :] * same_row[:, None, :, None]
        + bit[..., jnp.maximum(i[:, None], i), :].swapaxes(-1, -2)[..., :, :, :, None]
        * same_col[None, :, None, :]
    )
    grid = (down, across)
    left = jnp.broadcast_to(same_row[:, None, :], (*grid, p, q, p))
    below = jnp.broadcast_to(same_col[None], (*grid, p, q, q))
    right, top = word[..., None] * left, bit[..., None] * below
    flat = (*grid, p * q, -1)
    drives = jnp.concatenate([left, -right, -below, -top], axis=-1).reshape(flat)
    taken = jnp.concatenate([left, -right, below, top], axis=-1).reshape(flat)
    matrix = jnp.eye(p * q, dtype=dtype) + lost.reshape(flat) * g.reshape(*grid, 1, p * q)
    i_cell = g.reshape(*grid, p * q, 1) * jnp.linalg.solve(matrix, drives)
    past = product(jnp.swapaxes(taken, -1, -2), i_cell)
    return _Tiles(past + _straight(word[..., -1], bit[..., 0, :]), p, q)


def _straight(word: Array, bit: Array) -> Responses:
    """What passes through a tile along its lines, cells aside: line resistances given."""
    p, q = word.shape[-1], bit.shape[-1]
    zero, one_p, one_q = jnp.zeros, jnp.eye(p, dtype=word.dtype), jnp.eye(q, dtype=word.dtype)
    grid = word.shape[:-1]

    def line(one: Array, drop: Array) -> Array:
        n = len(one)
        first = jnp.concatenate([zero((n, n), one.dtype), one], axis=1)
        second = jnp.concatenate([jnp.broadcast_to(one, (*grid, n, n)), drop], axis=-1)
        return jnp.concatenate([jnp.broadcast_to(first, (*grid, n, 2 * n)), second], axis=-2)

    rows = line(one_p, -word[..., None] * one_p)
    cols = line(one_q, bit[..., None] * one_q)
    off = zero((*grid, 2 * p, 2 * q), word.dtype)
    upper = jnp.concatenate([rows, off], axis=-1)
    lower = jnp.concatenate([jnp.swapaxes(off, -1, -2), cols], axis=-1)
    return jnp.concatenate([upper, lower], axis=-2)


def _joined_across(tiles: _Tiles) -> _Tiles:
    """Neighbours left and right of each other: the right sides of the left ones answer volts."""
    (h, p, q), sides = tiles, tiles.sides
    volts, amps = h[:, 0::2], h[:, 1::2]
    joined = _join(_split(volts, sides, "lbt", "r"), _split(amps, sides, "rbt", "l"))
    parts = {"l": (0, p), "b": (p, p + q), "t": (p + q, p + 2 * q)}
    k = p + 2 * q
    parts |= {"r": (k, k + p), "b2": (k + p, k + p + q), "t2": (k + p + q, k + p + 2 * q)}
    return _Tiles(_pick(joined, parts, ("l", "r", "b", "b2", "t", "t2")), p, 2 * q)


def _joined_down(tiles: _Tiles) -> _Tiles:
    """Neighbours above and below each other: the tops of the lower ones answer volts."""
    (h, p, q), sides, n = tiles, tiles.sides, 2 * tiles.rows
    amps, volts = h[0::2], h[1::2]
    joined = _join(_split(volts, sides, "lrb", "t"), _split(amps, sides, "lrt", "b"))
    parts = {"l2": (0, p), "r2": (p, n), "b": (n, n + q)}
    k = n + q
    parts |= {"l": (k, k + p), "r": (k + p, k + n), "t": (k + n, k + n + q)}
    return _Tiles(_pick(joined, parts, ("l", "l2", "r", "r2", "b", "t")), 2 * p, q)


class _Split(NamedTuple):
    """Responses of one tile of a pair: e to ports that stay, c to those that are joined."""

    ee: Array
    ec: Array
    ce: Array
    cc: Array


def _split(h: Responses, sides: dict[str, tuple[int, int]], stay: str, join: str) -> _Split:
    both = _pick(h, sides, (*stay, join))
    n = sum(sides[side][1] - sides[side][0] for side in stay)
    return _Split(both[..., :n, :n], both[..., :n, n:], both[..., n:, :n], both[..., n:, n:])


def _join(volts: _Split, amps: _Split) -> Responses:
    """One tile of two; ports: those of the tile that answers with voltages, then the other's."""
    n = volts.ee.shape[-1]
    unit = jnp.eye(volts.cc.shape[-1], dtype=volts.cc.dtype)
    sources = jnp.concatenate([volts.ce, product(volts.cc, amps.ce)], axis=-1)
    v = jnp.linalg.solve(unit - product(volts.cc, amps.cc), sources)
    i = product(amps.cc, v)
    i = jnp.concatenate([i[..., :n], i[..., n:] + amps.ce], axis=-1)
    first, second = product(volts.ec, i), product(amps.ec, v)
    first = jnp.concatenate([volts.ee + first[..., :n], first[..., n:]], axis=-1)
    second = jnp.concatenate([second[..., :n], amps.ee + second[..., n:]], axis=-1)
    return jnp.concatenate([first, second], axis=-2)


def _pick(h: Array, parts: dict[str, tuple[int, int]], order: tuple[str, ...]) -> Array:
    """Rows and columns in another order of their parts."""
    index = np.concatenate([np.arange(*parts[name]) for name in order])
    return jnp.take(jnp.take(h, index, axis=-2), index, axis=-1)
