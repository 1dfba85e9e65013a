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

import itertools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from xbar.solvers.base import Problem, Transfer
from xbar.solvers.lines import product

Responses = Float[Array, "down across outputs inputs"]
Piece = tuple[int, int]  # ports from the first up to the last, which is not one of them

# A tile of fewer cells along a side is less work than the calls that join it.
LEAST_SIDE = 4


class _Tiles(NamedTuple):
    """A grid of equal tiles."""

    h: Responses  # outputs per input
    rows: int  # ports of the left and of the right side
    cols: int  # ports of the bottom and of the top
    sides: dict[str, list[Piece]]  # the ports of each side, in pieces


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
        tiles = _ordered(tiles, "lbtr" if sideways else "blrt")
        tiles = _joined_across(tiles) if sideways else _joined_down(tiles)
        down, across = tiles.h.shape[:2]
    matrix = _columns(_rows(tiles.h, tiles.sides["b"]), tiles.sides["l"])[0, 0]
    # Cells that filled up the tiles lie at the far ends: last columns and first rows.
    return matrix[:cols, tiles.rows - rows :]


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
    sides = _in_turn(l=p, r=p, b=q, t=q)
    return _Tiles(past + _straight(word[..., -1], bit[..., 0, :]), p, q, sides)


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


def _ordered(tiles: _Tiles, order: str) -> _Tiles:
    """The same with the ports in another order: what is joined next comes first or last."""
    h, p, q, sides = tiles
    pieces = [piece for side in order for piece in sides[side]]
    h = _columns(_rows(h, pieces), pieces)
    ports = _in_turn(**{side: p if side in "lr" else q for side in order})
    return _Tiles(h, p, q, ports)


def _joined_across(tiles: _Tiles) -> _Tiles:
    """Neighbours left and right of each other: the right sides of the left ones answer volts."""
    h, p, q, _ = tiles
    volts, amps = _split(h[:, 0::2], p + 2 * q), _split(h[:, 1::2], p)
    ports = _in_turn(l=p, b=q, t=q, b2=q, t2=q, r=p)
    return _Tiles(_join(volts, amps.turned), p, 2 * q, _united(ports))


def _joined_down(tiles: _Tiles) -> _Tiles:
    """Neighbours above and below each other: the tops of the lower ones answer volts."""
    h, p, q, _ = tiles
    volts, amps = _split(h[1::2], 2 * p + q), _split(h[0::2], q)
    ports = _in_turn(b=q, l2=p, r2=p, l=p, r=p, t=q)
    return _Tiles(_join(volts, amps.turned), 2 * p, q, _united(ports))


def _in_turn(**sizes: int) -> dict[str, list[Piece]]:
    """First and last port of sides that come one after the other."""
    ends = [0, *itertools.accumulate(sizes.values())]
    return {side: [piece] for side, piece in zip(sizes, itertools.pairwise(ends), strict=True)}


def _united(ports: dict[str, list[Piece]]) -> dict[str, list[Piece]]:
    """Sides of two tiles as those of one: the second piece lies to the right, or below."""
    return {side: ports[side] + ports.get(side + "2", []) for side in "lrbt"}


class _Split(NamedTuple):
    """Responses of one tile of a pair: e to ports that stay, c to those that are joined."""

    ee: Array
    ec: Array
    ce: Array
    cc: Array

    @property
    def turned(self) -> "_Split":
        """For ports that are joined in front of those that stay."""
        return _Split(self.cc, self.ce, self.ec, self.ee)


def _split(h: Responses, n: int) -> _Split:
    """The first `n` ports stay, the others are joined."""
    return _Split(h[..., :n, :n], h[..., :n, n:], h[..., n:, :n], h[..., n:, n:])


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


def _rows(h: Array, pieces: list[Piece]) -> Array:
    """Pieces of the outputs, one after the other."""
    *grid, n, inputs = h.shape
    index = np.concatenate([np.arange(*piece) for piece in pieces])
    # In one list of the rows of all tiles, in whose order the derivative's rows come back as well.
    places = np.arange(np.prod(grid, dtype=int))[:, None] * n + index
    listed = h.reshape(-1, inputs).at[places.ravel()]
    found = listed.get(mode="promise_in_bounds", unique_indices=True)
    return found.reshape(*grid, len(index), inputs)


def _columns(h: Array, pieces: list[Piece]) -> Array:
    """Pieces of the inputs, one after the other."""
    # Not looked up, which XLA would do number by number, and add up so in derivatives.
    return jnp.concatenate([h[..., first:last] for first, last in pieces], axis=-1)
