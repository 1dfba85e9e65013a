"""What the wires take away: the voltage lost along the lines for given cell currents.

The current of a word-line segment is the sum of the cell currents to its right; the drop at a
cell is the sum of resistance x current from the source up to it. Bit lines are the same from the
sense end. Both are linear in the cell currents, symmetric and positive semidefinite:

    word[i,j] = sum_p W_i[j,p] i_cell[i,p]   W_i[j,p] = source[i] + sum_{k<=min(j,p)} word_line[i,k]
    bit[i,j]  = sum_p B_j[i,p] i_cell[p,j]   B_j[i,p] = sense[j] + sum_{k>=max(i,p)} bit_line[k,j]

How a line's own sum is applied fast is the matter of `xbar.solvers.lines`.
"""

import equinox as eqx
from jax import Array
from jaxtyping import Float

from xbar.circuit import Wires
from xbar.solvers.lines import BIT, WORD, Blocks, Cells, Matrix, Sums, line_of


class Drop(eqx.Module):
    """The two line operators of one array, prepared once and applied many times."""

    word: Matrix | Blocks | Sums  # cell currents [A] to the voltage lost before each word node [V]
    bit: Matrix | Blocks | Sums  # ... to the voltage of each bit node above the virtual ground [V]

    def __call__(self, i_cell: Cells) -> Cells:
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
