"""Low-rank update of a transfer matrix (the derivation is in `xbar.sensitivity.response`).

    T' = T + l_S^T F u_S^T          F = dg (I + K_SS dg)^-1          F is symmetric

For one cell F is the number ``dg / (1 + dg K)``. A change of 0 adds nothing, so that sets of
different sizes can be filled up with cells that keep their value.

Opening a cell through which nearly all the current of its line has to flow (``1 + dg K`` near 0)
amplifies the rounding of K. Where it may pass the tolerance the result is NaN: such a fault has to
be solved anew.
"""

import jax.numpy as jnp
import jax.scipy.linalg as jsl
from jaxtyping import Array, Bool, Float

from xbar.solvers.base import Transfer, default_rtol

# Rounding of K relative to its entries, in units of the machine's precision. Measured: up to 64 in
# float64 and 4 in float32 over mild and severe circuits (more, rarely, from 1 ohm to 1 Gohm).
ROUNDING = {"float64": 1000, "float32": 8}


def update_factor(
    coupling: Float[Array, "sets k k"], dg: Float[Array, "sets k"]
) -> Float[Array, "sets k k"]:
    """F of each set of a few cells.

    Args:
        coupling: K between the cells of each set, (sets, k, k) [ohm].
        dg: their changes, (sets, k) [S].

    Returns:
        F, (sets, k, k) [S]; NaN where rounding may pass the tolerance.
    """
    if dg.shape[-1] == 1:
        grown = 1 + dg[:, :, None] * coupling
        return jnp.where(is_safe(grown), dg[:, :, None] / grown, jnp.nan)
    matrix = jnp.eye(dg.shape[-1], dtype=dg.dtype) + coupling * dg[:, None, :]
    inverse = jnp.linalg.inv(matrix)
    safe = is_safe(1 / jnp.max(jnp.abs(inverse), axis=(-2, -1), keepdims=True))
    return jnp.where(safe, dg[:, :, None] * inverse, jnp.nan)


def changed_transfer(
    t: Transfer,
    u: Float[Array, "k rows"],
    l: Float[Array, "k cols"],  # noqa: E741
    coupling: Float[Array, "k k"],
    dg: Float[Array, " k"],
) -> Transfer:
    """Transfer matrix with some cells changed.

    Args:
        t: as it was, (cols, rows) [S].
        u: voltages of the cells for 1 V on each row, (k, rows) [V].
        l: for 1 V in series with each column, (k, cols) [V].
        coupling: K between the cells, (k, k) [ohm].
        dg: their changes, (k,) [S].

    Returns:
        T', (cols, rows) [S]; NaN where rounding may pass the tolerance.
    """
    matrix = jnp.eye(len(dg), dtype=dg.dtype) + coupling * dg
    factors = jsl.lu_factor(matrix)
    safe = jnp.all(is_safe(jnp.diagonal(factors[0])))
    # F is symmetric: it may act on either side, and does on the one with fewer vectors.
    if u.shape[1] <= l.shape[1]:
        change = l.T @ (dg[:, None] * jsl.lu_solve(factors, u))
    else:
        change = jsl.lu_solve(factors, l).T @ (dg[:, None] * u)
    return jnp.where(safe, t + change, jnp.nan)


def is_safe(pivot: Float[Array, "..."]) -> Bool[Array, "..."]:
    """Whether dividing by a pivot, of numbers near 1, keeps K's rounding within the tolerance."""
    lost = ROUNDING[pivot.dtype.name] * jnp.finfo(pivot.dtype).eps
    return jnp.abs(pivot) * default_rtol(None, pivot.dtype) >= lost
