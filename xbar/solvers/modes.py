"""What preconditions conjugate gradients: the smoothest mode of every line, solved for by itself.

In mild drop the eigenvalues of ``A = I + drop . g`` far from 1 are of voltages that change
smoothly along one line: the slowest mode of a line of n cells is lost 9 times as much as the next.
With `phi` that mode's shape, the parabola that equal currents lose, a line alone has about the
eigenvalue ``1 + x`` there, ``x = lost sum(g phi^2)``. Word lines and bit lines are divided by it
in turn,

    P = B^-1/2 W^-1 B^-1/2,     W = I + x <phi, .>_g phi / <phi, phi>_g on each word line,

B likewise on each bit line: self-adjoint and positive in the inner product weighted by g whatever
`phi` and `lost` are, so that a poor guess costs steps and nothing else. In 65x100 cells from 10
kOhm to 1 MOhm, 12 steps become 7 at 5 Ohm per segment, and 7 become 5 at 1 Ohm (benchmarks/log.md).

Where drop is severe and conductances differ much, currents flow to the nearest good conductors and
no mode is smooth: above an eigenvalue of about ten P is the identity.
"""

from functools import lru_cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Bool, Float

from xbar.solvers.base import Problem, Voltages
from xbar.solvers.lines import product

# Largest eigenvalue of the modes, less 1, of word and bit lines together, up to which uniform,
# clustered and random arrays of 64x64 took fewer steps, but for one cell in 500 on, which takes one
# more of eight (benchmarks/log.md).
MOST = 10.0


class Modes(NamedTuple):
    """The modes of one array's lines and what each is multiplied by."""

    word: Float[Array, " cols"]  # shape along word lines, of norm 1
    bit: Float[Array, " rows"]
    both: Float[Array, "rows cols"]  # g times both [S]
    of_word: Float[Array, " rows"]  # (1 - 1 / (1 + x)) / <phi, phi>_g [ohm]
    of_bit: Float[Array, " cols"]  # (1 - 1 / sqrt(1 + x)) / <phi, phi>_g [ohm]
    kept: Float[Array, " cols"]  # 1 / sqrt(1 + x) of bit lines
    mild: Bool[Array, ""]  # whether drop is; else P is the identity

    def __call__(self, residual: Voltages, current: Voltages) -> Voltages:
        """P applied to a residual [V]; `current` is g times that [A]."""
        return lax.cond(self.mild, self._applied, lambda residual, _: residual, residual, current)

    def _applied(self, residual: Voltages, current: Voltages) -> Voltages:
        in_bit = product(self.bit, current)  # (n, cols)
        first = self.of_bit * in_bit
        in_word = product(current, self.word) - product(first, self.both.T)  # (n, rows)
        along_word = self.of_word * in_word
        last = self.of_bit * (self.kept * in_bit - product(along_word, self.both))
        along_bit = first + last
        lost = along_word[:, :, None] * self.word + self.bit[:, None] * along_bit[:, None, :]
        return residual - lost


def modes_of(problem: Problem) -> Modes:
    """The modes of an array; of no effect where drop is severe."""
    g, wires = problem.g, problem.wires
    rows, cols = g.shape
    word, lost_word = _mode(wires.word_line, wires.source, cols, g.dtype)
    bit, lost_bit = _mode(wires.bit_line, wires.sense, rows, g.dtype)
    bit = bit[::-1]  # counted from the sense end
    in_word, in_bit = product(g, word**2), product(bit**2, g)
    largest = lost_word * jnp.max(in_word) + lost_bit * jnp.max(in_bit)
    root = jnp.sqrt(1 + lost_bit * in_bit)
    return Modes(
        word=word,
        bit=bit,
        both=g * bit[:, None] * word,
        of_word=lost_word / (1 + lost_word * in_word),
        of_bit=lost_bit / (root * (root + 1)),
        kept=1 / root,
        mild=largest <= MOST,
    )


def _mode(segments: Array, end: Array, size: int, dtype: jnp.dtype) -> tuple[Array, Array]:
    """The shape of norm 1 that lines of `size` cells lose to equal currents, and what it loses.

    That is ``phi . R phi`` [ohm] for the line's resistances R. Lines that differ are taken for
    their mean.
    """
    shapes, norms, losses, sums = _shapes(size)
    r, first = ((jnp.mean(x) if x.ndim else x).astype(dtype) for x in (segments, end))
    parts = jnp.stack([first * size, r * (size * (size + 1) / 2)])
    largest = jnp.max(parts)
    parts = parts / jnp.where(largest == 0, 1, largest)
    shape = product(parts, shapes.astype(dtype))
    norm = jnp.sum(parts * product(norms.astype(dtype), parts))
    norm = jnp.where(norm == 0, 1, norm)
    lost = r * jnp.sum(parts * product(losses.astype(dtype), parts))
    lost += first * jnp.sum(parts * sums.astype(dtype)) ** 2
    return shape / jnp.sqrt(norm), lost / norm


@lru_cache
def _shapes(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Voltages of equal currents through an end and through segments, the largest 1, and products.

    (2, size) shapes; their (2, 2) products with each other, and of the currents that pass the
    segments; their sums.
    """
    place = np.arange(1, size + 1)
    shapes = np.stack([np.ones(size), place * (2 * size + 1 - place) / (size * (size + 1))])
    passing = np.cumsum(shapes[:, ::-1], axis=1)
    return shapes, shapes @ shapes.T, passing @ passing.T, passing[:, -1]
