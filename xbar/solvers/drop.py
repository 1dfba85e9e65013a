"""What the wires take away: the voltage lost along the lines for given cell currents.

The current of a word-line segment is the sum of the cell currents to its right; the drop at a
cell is the sum of resistance x current from the source up to it. Bit lines are the same from the
sense end. Both are linear in the cell currents, symmetric and positive semidefinite:

    word[i,j] = sum_p W_i[j,p] i_cell[i,p]   W_i[j,p] = source[i] + sum_{k<=min(j,p)} word_line[i,k]
    bit[i,j]  = sum_p B_j[i,p] i_cell[p,j]   B_j[i,p] = sense[j] + sum_{k>=max(i,p)} bit_line[k,j]

Where all lines have the same segments, one constant matrix serves every line, array and input of
a batch, which is what BLAS and GPUs do best. Otherwise the two running sums are two products
with a triangle of ones.
"""

import equinox as eqx
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from xbar.crossbar import Wires

Cells = Float[Array, "*batch rows cols"]


def product(a: Array, b: Array) -> Array:
    """Matrix product in full precision (GPUs would round float32 inputs to TF32)."""
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


class Drop(eqx.Module):
    """The two line operators of one array, prepared once and applied many times."""

    word_matrix: Float[Array, "cols cols"]
    word_scale: Array  # (rows, 1) or (): multiplies the drop of each row
    word_segments: Float[Array, "rows cols"] | None  # set where every cell has its own segment
    source: Array
    bit_matrix: Float[Array, "rows rows"]
    bit_scale: Array  # (1, cols) or ()
    bit_segments: Float[Array, "rows cols"] | None
    sense: Array

    def word(self, i_cell: Cells) -> Cells:
        """Voltage lost between each row's ideal input and its word-line nodes [V]."""
        if self.word_segments is None:
            drop = self.word_scale * product(i_cell, self.word_matrix)
        else:
            behind = product(i_cell, self.word_matrix.T)
            drop = product(self.word_segments * behind, self.word_matrix)
        return drop + self.source * jnp.sum(i_cell, axis=-1, keepdims=True)

    def bit(self, i_cell: Cells) -> Cells:
        """Voltage of each bit-line node above the virtual ground [V]."""
        if self.bit_segments is None:
            rise = self.bit_scale * product(self.bit_matrix, i_cell)
        else:
            above = product(self.bit_matrix.T, i_cell)
            rise = product(self.bit_matrix, self.bit_segments * above)
        return rise + self.sense * jnp.sum(i_cell, axis=-2, keepdims=True)

    def __call__(self, i_cell: Cells) -> Cells:
        """Total voltage that the wires take from each cell [V], for cell currents [A]."""
        return self.word(i_cell) + self.bit(i_cell)


def _line(segments: Array, size: int, axis: int) -> tuple[Array, Array, Array | None]:
    """Matrix, scale and per-cell segments of the lines that run along `axis` (size cells long).

    Counted from the driven end: position p of a line lies behind p + 1 segments.
    """
    ones = jnp.triu(jnp.ones((size, size), segments.dtype))  # [k, p] = 1 where segment k <= p
    position = jnp.arange(size)
    shared = jnp.minimum(position[:, None], position[None, :])
    if segments.ndim == 0 or segments.shape[axis] == 1:
        return (shared + 1).astype(segments.dtype), segments, None
    if segments.shape[1 - axis] == 1:
        return jnp.cumsum(segments.reshape(size))[shared], jnp.ones((), segments.dtype), None
    return ones, jnp.ones((), segments.dtype), segments


def drop_of(wires: Wires, g: Float[Array, "rows cols"]) -> Drop:
    """Prepare the line operators of an array of the size and precision of `g`."""
    (rows, cols), dtype = g.shape, g.dtype
    word_line, bit_line, source, sense = (leaf.astype(dtype) for leaf in wires.leaves.values())
    # A size of 1 makes (1, cols) and (rows, cols) the same shape: either reading is right.
    word_matrix, word_scale, word_segments = _line(word_line, cols, axis=1)
    from_below = bit_line[::-1] if bit_line.ndim else bit_line  # bit lines end at the last row
    bit_matrix, bit_scale, bit_segments = _line(from_below, rows, axis=0)
    return Drop(
        word_matrix=word_matrix,
        word_scale=word_scale,
        word_segments=word_segments,
        source=source[:, None] if source.ndim else source,
        bit_matrix=bit_matrix[::-1, ::-1].T,
        bit_scale=bit_scale,
        bit_segments=None if bit_segments is None else bit_line,
        sense=sense[None, :] if sense.ndim else sense,
    )
