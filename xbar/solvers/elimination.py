"""The elimination of an array column by column, and the transfer matrix from it; for any drop.

Looking right from the word-line nodes of column j, the array is an admittance `Y_j` (rows x rows)
with sources: the row currents that arrive at column j are ``I_j = Y_j w_j + h_j``, where `w_j` are
the word-line node voltages. With `S_j` column j seen from its own word-line nodes
(`xbar.solvers.bit_line`), `e_j` the drives of its cells and `D_j` the diagonal of the word-line
segments left of it (`D_0` with the sources), and starting from nothing at the open end,

    Y_j = S_j + G_{j+1}           X_j = (I + Y_j D_j)^-1           G_j = X_j Y_j
    h_j = S_j e_j + p_{j+1}       p_j = X_j h_j

`G_j` and `p_j` are the same admittance and sources seen from left of the segment
(`xbar.solvers.admittance`). Walking back from the sources, where ``w_{-1} = 0``,

    w_j = w_{j-1} - D_j (G_j w_{j-1} + p_j) = X_j^T w_{j-1} - D_j p_j

and the cell currents of column j are ``S_j (w_j + e_j)``. For plain inputs on the rows there is no
`p`, and the walk starts from them instead.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float

from xbar.solvers.admittance import Passage, seen_through
from xbar.solvers.base import Problem, Transfer, probe
from xbar.solvers.bit_line import Columns, columns_of
from xbar.solvers.lines import product
from xbar.solvers.loops import scan
from xbar.solvers.sweep_check import transfer_ok

Squares = Float[Array, "cols rows rows"]
Lines = Float[Array, "cols rows"]

# Share of the tolerance that the errors of all columns' admittances may take together.
ADMITTANCE_SHARE = 0.01


class Sweep(NamedTuple):
    """Per column, from the driven end."""

    column: Columns
    passage: Passage  # X_j
    segment: Lines  # diagonal of D_j


def factored(problem: Problem, rtol: float) -> Sweep:
    """Every column of an array that has at least as many columns as rows.

    Args:
        problem: the array.
        rtol: bound on the error of every current, relative to the largest.
    """
    word, bit = problem.segments()
    segment, column = word.T, columns_of(problem.g.T, bit.T)
    passage = eliminated(column.admittance, segment, ADMITTANCE_SHARE * rtol)
    return Sweep(column, passage, segment)


def eliminated(own: Squares, segment: Lines, allowed: float) -> Passage:
    """What each column and all behind it let through, from the open end on.

    Args:
        own: admittance of each column by itself, `S_j` [S].
        segment: diagonals of `D_j` [ohm].
        allowed: error of ``D G`` of all columns together.
    """
    cols, rows = segment.shape
    tolerance = jnp.asarray(allowed / cols, segment.dtype)

    def step(before: tuple[Array, Array], resistance: Array, own: Array) -> tuple:
        last, admittance = before
        new = own + last
        # To first order, with the diagonal of X in place of all of it.
        shrink = 1 - jnp.diagonal(last) * resistance
        start = last + shrink[:, None] * (new - admittance) * shrink
        ahead, passage = seen_through(new, resistance, lax.stop_gradient(start), tolerance)
        return (ahead, new), passage

    nothing = jnp.zeros((rows, rows), segment.dtype)
    return scan(step, (nothing, nothing), segment, own, reverse=True)[1]


def walked(sweep: Sweep, flat: Problem, rtol: float) -> tuple[Transfer, Bool[Array, ""], Squares]:
    """Walk the columns for 1 V on each row.

    Args:
        sweep: factors of the array.
        flat: the array as it was swept.
        rtol: bound on the error of every current, relative to the largest.

    Returns:
        The transfer matrix; whether it is right, seen on one random input by its cell voltages and
        their residual; the voltages of all word-line nodes (cols, rows, inputs) [V].
    """
    rows, dtype = flat.g.shape[0], flat.g.dtype
    signs = probe(rows, dtype)

    def step(word: tuple, inputs: tuple) -> tuple:
        # Word-line voltages for 1 V on each row, and for the probe.
        unit, mixed = word
        column, passage = inputs
        unit, mixed = passage.backwards(unit), lax.stop_gradient(passage).backwards(mixed)
        currents = product(column.out, unit), product(column.admittance, mixed)
        return (unit, mixed), (*currents, unit)

    start = jnp.eye(rows, dtype=dtype), signs
    _, (matrix, i_cell, word) = lax.scan(step, start, (sweep.column, sweep.passage))
    ok = transfer_ok(*lax.stop_gradient((flat, matrix, i_cell.T)), signs, rtol)
    return matrix, ok, word
