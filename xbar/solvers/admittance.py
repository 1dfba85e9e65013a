"""What the columns behind a segment look like from in front of it.

An admittance `Y` (side x side, symmetric) on the word lines behind segments `D` (diagonal, >= 0) is

    G = (I + Y D)^-1 Y                X = (I + Y D)^-1 = I - G D

No matrix is factored: `G` solves ``G = Y - Y D G`` and lies close to what it was one column further
on, so Newton's iteration (Schulz, 1933, in the form that has the admittance as its unknown) takes
one or two steps,

    E = Y - G - Y D G                 G <- G + E - G D E

with the residual ``D E`` squared at each, so that its end is known beforehand; where no start is
near, X is found by the same iteration from a start that is never too far off. Products of matrices
are all there is to it, which is what processors and accelerators do best.

`X` is handed out as ``kept I + M``: with ``M = -G D`` where that is small, so that a product with X
rounds as a small change does, and with ``M = X`` where X is small.

The derivatives of a converged result are those of the inverse: ``dG = X dY X^T - G dD G``.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Bool, Float

from xbar.solvers.lines import product

Square = Float[Array, "side side"]
Diagonal = Float[Array, " side"]

# From the safe start the iteration takes log2(40 (1 + trace of Y D)) steps: 2^50 is past float64.
MAX_STEPS = 56


class Passage(NamedTuple):
    """``X = kept I + M`` of an admittance behind segments."""

    change: Square  # the transpose of M, which is what the longest products need
    kept: Float[Array, ""]  # 1 or 0

    def forwards(self, h: Array) -> Array:
        """``X h``, what arrives in front of sources of current h behind the segments."""
        return self.kept * h + product(self.change.T, h)

    def backwards(self, w: Array) -> Array:
        """``X^T w``, the voltages behind for voltages w in front of the segments."""
        return self.kept * w + product(self.change, w)


@jax.custom_jvp
def seen_through(y: Square, d: Diagonal, start: Square, tolerance: Array) -> tuple[Square, Passage]:
    """`G` and `X` of an admittance behind segments.

    Args:
        y: admittance (side, side) [S].
        d: resistances of the segments (side,) [ohm].
        start: a guess of G, of its magnitude; a near one is fast.
        tolerance: of ``D G``, ().
    """
    largest = jnp.max(d)

    def improve(g: Square, count: Array) -> tuple[Square, Array, Array]:
        left = y - g - product(y, d[:, None] * g)
        residual = largest * jnp.linalg.norm(left)
        return g + left - product(g, d[:, None] * left), residual, count + 1

    def unfinished(carry: tuple) -> Bool[Array, ""]:
        # From 1 on it does not contract, and NaN never compares as true. Rounding may keep the
        # residual above any tolerance.
        _, residual, count = carry
        return (residual**2 > tolerance) & (residual < 1) & (count < MAX_STEPS)

    # The first step, nearly always the only one, stands outside the loop: no copies to carry it.
    first = improve(start, jnp.zeros((), int))
    g, residual, _ = lax.while_loop(unfinished, lambda carry: improve(carry[0], carry[2]), first)
    found = residual**2 <= tolerance

    def near() -> tuple[Square, Passage]:
        return g, Passage(-d[:, None] * g, jnp.ones((), y.dtype))

    def far() -> tuple[Square, Passage]:
        x = by_iteration(y, d, ~found)
        return product(x, y), Passage(x.T, jnp.zeros((), y.dtype))

    return lax.cond(found, near, far)


def _derivative(primals: tuple, tangents: tuple) -> tuple[tuple, tuple]:
    y, d, start, tolerance = primals
    dy, dd = tangents[:2]
    g, passage = seen_through(y, d, start, tolerance)
    dg, dx = jnp.zeros_like(y), jnp.zeros_like(y)
    if not isinstance(dy, SymbolicZero):
        dg = passage.forwards(passage.forwards(dy).T)
    if not isinstance(dd, SymbolicZero):
        dg, dx = dg - product(g * dd, g), -dd[:, None] * g
    return (g, passage), (dg, Passage(dx - d[:, None] * dg, jnp.zeros_like(passage.kept)))


seen_through.defjvp(_derivative, symbolic_zeros=True)


def by_iteration(y: Square, d: Diagonal, wanted: Bool[Array, ""]) -> Square:
    """`X` from a start that is never too far off; no work where it is not `wanted`, in a batch.

    The eigenvalues of ``Y D`` lie between 0 and its trace, those of X between 1 and 1 / (1 +
    trace); ``2 / (2 + trace)`` leaves both ends a residual of the same size below 1.
    """
    unit = jnp.eye(len(d), dtype=y.dtype)
    matrix = unit + y * d
    rounding = jnp.sqrt(jnp.finfo(y.dtype).eps)

    def step(carry: tuple) -> tuple:
        x, _, count = carry
        left = unit - product(matrix, x)
        return x + product(x, left), jnp.linalg.norm(left), count + 1

    def unfinished(carry: tuple) -> Bool[Array, ""]:
        return wanted & ~(carry[1] < rounding) & (carry[2] < MAX_STEPS)

    start = 2 / (2 + jnp.sum(jnp.diagonal(y) * d)) * unit
    return lax.while_loop(unfinished, step, (start, jnp.ones((), y.dtype), jnp.zeros((), int)))[0]
