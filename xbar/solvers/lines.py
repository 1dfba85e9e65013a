"""IR drop: the voltage that the cells' currents lose along the lines.

The current of a word-line segment is the sum of the cell currents to its right; the drop at a
cell is the sum of resistance x current from the source up to it. Bit lines are the same from the
sense end. Both are linear in the cell currents, symmetric and positive semidefinite:

    word[i,j] = sum_p W_i[j,p] i_cell[i,p]   W_i[j,p] = source[i] + sum_{k<=min(j,p)} word_line[i,k]
    bit[i,j]  = sum_p B_j[i,p] i_cell[p,j]   B_j[i,p] = sense[j] + sum_{k>=max(i,p)} bit_line[k,j]

Counted from the driven (or grounded) end, position p of a line lies behind p + 1 segments, and

    y_j = sum_p R[min(j, p)] x_p      R[j] = end + resistance of the segments 0..j

is the voltage lost up to position j when the cells draw the currents x; `end` is the source or
sense resistance. `Drop` applies both. Three ways to apply one, each along the last axis (word
lines) or the one before (bit lines):

- `Matrix`: one product with the constant matrix R[min(j, p)]. For short lines.
- `Blocks`: for lines whose segments are all alike, R[j] = end + r (j + 1). Cells within one block
  of b positions are joined by a b x b matrix; another block is felt only through its total current
  and its first moment, which that same product delivers as its first and last column. About
  n b + n^2 / b^2 operations per line in place of n^2.
- `Sums`: for segments that differ from cell to cell: two running sums, ``y = sum (r * sum' x)``.
"""

from functools import lru_cache
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float

from xbar.circuit import Wires

PerCell = Float[Array, "*batch rows cols"]
Segments = Float[Array, ""] | Float[Array, "#rows #cols"]

WORD, BIT = -1, -2  # the axis along which a line runs
# Lines up to this long take one product with a constant matrix: measured faster than blocks.
SHORT = 48
# Block sizes near 16 were fastest from 64 to 1024 cells per line on CPU (benchmarks/log.md).
BLOCK = 16


def product(a: Array | np.ndarray, b: Array | np.ndarray) -> Array:
    """Matrix product in full precision (GPUs would round float32 inputs to TF32)."""
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


class Matrix(eqx.Module):
    """Drop along lines as a product with one symmetric matrix for all of them."""

    matrix: Float[Array, "size size"]
    scale: Array  # () or one per line, with an axis of 1 along the line
    end: Array  # the same
    axis: int = eqx.field(static=True)

    def __call__(self, x: PerCell) -> PerCell:
        """Voltage lost along the lines for cell currents `x`."""
        y = product(x, self.matrix) if self.axis == WORD else product(self.matrix, x)
        return self.scale * y + self.end * jnp.sum(x, axis=self.axis, keepdims=True)


class Blocks(eqx.Module):
    """Drop along lines of equal segments, block by block."""

    scale: Array  # segment resistance: () or one per line
    end: Array
    axis: int = eqx.field(static=True)

    def __call__(self, x: PerCell) -> PerCell:
        """Voltage lost along the lines for cell currents `x`."""
        along = _along_word if self.axis == WORD else _along_bit
        y = along(x, _parts(x.shape[self.axis], self.axis))
        return self.scale * y + self.end * jnp.sum(x, axis=self.axis, keepdims=True)


class Sums(eqx.Module):
    """Drop along lines of which every segment has its own resistance."""

    segments: Float[Array, "#rows #cols"]
    end: Array
    axis: int = eqx.field(static=True)

    def __call__(self, x: PerCell) -> PerCell:
        """Voltage lost along the lines for cell currents `x`."""
        behind = running_sum(x, self.axis, reverse=self.axis == WORD)
        y = running_sum(self.segments * behind, self.axis, reverse=self.axis == BIT)
        return y + self.end * jnp.sum(x, axis=self.axis, keepdims=True)


def line_of(segments: Segments, end: Array, size: int, axis: int) -> Matrix | Blocks | Sums:
    """The best way to apply lines of `size` cells that run along `axis`.

    Args:
        segments: resistances, () or (rows or 1, cols or 1) [ohm].
        end: resistance before the first segment, () or one per line with an axis of 1 [ohm].
        size: cells per line.
        axis: WORD or BIT.
    """
    other = BIT if axis == WORD else WORD
    # A size of 1 makes (1, cols) and (rows, cols) the same shape: either reading is right.
    alike = segments.ndim == 0 or segments.shape[axis] == 1
    if alike and size > SHORT:
        return Blocks(segments, end, axis)
    if not alike and (segments.shape[other] != 1 or size > 4 * SHORT):
        return Sums(segments, end, axis)
    one = jnp.ones((), segments.dtype)
    if alike:
        up_to = jnp.arange(1, size + 1).astype(segments.dtype)
    else:
        in_turn = segments.reshape(size)
        up_to = jnp.cumsum(in_turn if axis == WORD else in_turn[::-1])
    position = np.arange(size) if axis == WORD else np.arange(size)[::-1]
    matrix = up_to[np.minimum(position[:, None], position)]
    if segments.ndim == 0 and end.ndim == 0:
        return Matrix(segments * matrix + end, one, jnp.zeros_like(one), axis)
    return Matrix(matrix, segments if alike else one, end, axis)


class Drop(eqx.Module):
    """The two line operators of one array, prepared once and applied many times."""

    word: Matrix | Blocks | Sums  # cell currents [A] to the voltage lost before each word node [V]
    bit: Matrix | Blocks | Sums  # ... to the voltage of each bit node above the virtual ground [V]

    def __call__(self, i_cell: PerCell) -> PerCell:
        """Total voltage that the wires take from each cell [V], for cell currents [A]."""
        return self.word(i_cell) + self.bit(i_cell)


def drop_of(wires: Wires, g: Float[Array, "rows cols"]) -> Drop:
    """Prepare the line operators of an array of the size and precision of `g`."""
    rows, cols = g.shape
    word_line, bit_line, source, sense = (leaf.astype(g.dtype) for leaf in wires.leaves.values())
    return Drop(
        word=line_of(word_line, source[:, None] if source.ndim else source, cols, WORD),
        bit=line_of(bit_line, sense[None, :] if sense.ndim else sense, rows, BIT),
    )


class _Parts(NamedTuple):
    """How a line of n cells is cut, and the constant matrices of its parts, for segments of 1 ohm.

    Built by NumPy: what a program would have to compute is one more piece of code to compile.
    """

    blocks: int
    size: int
    pad: int  # cells of zero current added at the far end
    within: np.ndarray  # (size, size), what the cells of a block do to each other
    among: np.ndarray  # (2 blocks, 2 blocks), from blocks' totals and moments to what they draw
    spread: np.ndarray  # (2, size), what that does to the cells of a block


@lru_cache
def _parts(n: int, axis: int) -> _Parts:
    size = block_size(n)
    count = -(-n // size)
    a, k = np.arange(size), np.arange(count)
    within = np.minimum(a[:, None], a) + 1.0
    nearer, base = k[:, None] < k, size * np.minimum(k[:, None], k)
    # From a block's total and first moment (the first and the last column of `within`): what it
    # adds to all cells of another block, and the current that passes through that block.
    among = np.zeros((count, 2, count, 2))
    among[:, 0, :, 0], among[:, 1, :, 0], among[:, 0, :, 1] = base, nearer, nearer.T
    spread = np.stack([np.ones(size), a + 1.0])
    if axis == BIT:  # counted from the last row up, and multiplied from the left
        among = np.moveaxis(among[::-1, ::-1, ::-1], (2, 3), (0, 1))
        within, spread = (
            # Not as a view, which JAX would have the program repeat.
            np.ascontiguousarray(np.broadcast_to(matrix, (count, *matrix.shape)))
            for matrix in (within[::-1, ::-1], spread[:, ::-1].T)
        )
    return _Parts(count, size, count * size - n, within, among.reshape(2 * count, -1), spread)


def block_size(n: int) -> int:
    """A divisor of n between half and twice `BLOCK` if there is one: then nothing is padded."""
    fits = [b for b in range(BLOCK // 2, 2 * BLOCK + 1) if n % b == 0]
    return min(fits, key=lambda b: abs(b - BLOCK)) if fits else BLOCK


def _along_word(x: PerCell, parts: _Parts) -> PerCell:
    n, split = x.shape[-1], (*x.shape[:-1], parts.blocks, parts.size)
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, parts.pad)]) if parts.pad else x
    local = product(x.reshape(split), parts.within.astype(x.dtype))
    ends = local[..., :: parts.size - 1].reshape(*x.shape[:-1], -1)
    drawn = product(ends, parts.among.astype(x.dtype)).reshape(*split[:-1], 2)
    y = local + product(drawn, parts.spread.astype(x.dtype))
    return y.reshape(x.shape)[..., :n]


def _along_bit(x: PerCell, parts: _Parts) -> PerCell:
    cols = x.shape[-1]
    split = (*x.shape[:-2], parts.blocks, parts.size, cols)
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(parts.pad, 0), (0, 0)]) if parts.pad else x
    local = left_product(parts.within.astype(x.dtype), x.reshape(split))
    ends = local[..., :: parts.size - 1, :].reshape(*x.shape[:-2], -1, cols)
    drawn = left_product(parts.among.astype(x.dtype), ends).reshape(*split[:-2], 2, cols)
    y = local + left_product(parts.spread.astype(x.dtype), drawn)
    return y.reshape(x.shape)[..., parts.pad :, :]


def running_sum(x: PerCell, axis: int, *, reverse: bool = False, short: int = SHORT) -> PerCell:
    """Cumulative sum along a line, in blocks: `jnp.cumsum` is slow on CPU and so are long products.

    Args:
        x: numbers (..., rows, cols).
        axis: WORD or BIT.
        reverse: sum from the end instead of from the start.
        short: up to how many numbers one product is to do.
    """
    n = x.shape[axis]
    size = n if n <= short else block_size(n)
    count = -(-n // size)
    pad = count * size - n
    margin = (pad, 0) if reverse else (0, pad)
    if pad:
        widths = [margin if a == axis else (0, 0) for a in (BIT, WORD)]
        x = jnp.pad(x, [(0, 0)] * (x.ndim - 2) + widths)
    # [p, j] = 1 where p <= j: ``x @ within`` is the running sum.
    within, before = np.triu(np.ones((size, size))), np.triu(np.ones((count, count)), 1)
    within, before = within.astype(x.dtype), before.astype(x.dtype)
    if reverse:
        within, before = within.T, before.T
    kept = slice(margin[0], margin[0] + n)
    end = 0 if reverse else -1
    if axis == WORD:
        local = product(x.reshape(*x.shape[:-1], count, size), within)
        y = local + product(local[..., end], before)[..., None]
        return y.reshape(*x.shape[:-1], -1)[..., kept]
    local = left_product(within.T, x.reshape(*x.shape[:-2], count, size, x.shape[-1]))
    y = local + left_product(before.T, local[..., end, :])[..., None, :]
    return y.reshape(*x.shape[:-2], -1, x.shape[-1])[..., kept, :]


def left_product(matrix: Array | np.ndarray, x: Array) -> Array:
    """``matrix @ x`` for a batch of x.

    The matrix is repeated for every member: XLA's CPU code is twice as slow where it has to
    broadcast one itself (benchmarks/log.md).
    """
    return product(jnp.broadcast_to(matrix, (*x.shape[:-2], *matrix.shape[-2:])), x)
