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
from xbar.solvers.bit_line import Columns, ThinColumns, columns_of, thin_columns_of
from xbar.solvers.lines import product
from xbar.solvers.loops import scan
from xbar.solvers.sweep_check import transfer_ok

Squares = Float[Array, "cols rows rows"]
Square = Float[Array, "rows rows"]
Lines = Float[Array, "cols rows"]
Drives = Float[Array, "cols rows n"]
Nodes = Float[Array, "rows n"]

# Share of the tolerance that the errors of all columns' admittances may take together.
ADMITTANCE_SHARE = 0.01


class Sweep(NamedTuple):
    """Per column, from the driven end."""

    column: Columns | ThinColumns
    passage: Passage  # X_j
    segment: Lines  # diagonal of D_j


def factored(problem: Problem, rtol: float, *, thin: bool = False) -> Sweep:
    """Every column of an array that has at least as many columns as rows.

    Args:
        problem: the array.
        rtol: bound on the error of every current, relative to the largest.
        thin: keep one matrix per column, not two.
    """
    word, bit = problem.segments()
    segment = word.T
    column = (thin_columns_of if thin else columns_of)(problem.g.T, bit.T)
    passage, _ = eliminated(column, segment, ADMITTANCE_SHARE * rtol)
    return Sweep(column, passage, segment)


def eliminated(
    column: Columns | ThinColumns, segment: Lines, allowed: float, behind: Square | None = None
) -> tuple[Passage, Square]:
    """What each column and all behind it let through, from the open end on.

    Args:
        column: each column by itself.
        segment: diagonals of `D_j` [ohm].
        allowed: error of ``D G`` of all columns together.
        behind: admittance `G` of what comes after the last of these columns [S]; None for nothing.

    Returns:
        X of each column, and G of the first.
    """
    cols, rows = segment.shape
    tolerance = jnp.asarray(allowed / cols, segment.dtype)

    def step(
        before: tuple[Array, Array], resistance: Array, column: Columns | ThinColumns
    ) -> tuple:
        last, admittance = before
        new = column.admittance + last
        # To first order, with the diagonal of X in place of all of it.
        shrink = 1 - jnp.diagonal(last) * resistance
        start = last + shrink[:, None] * (new - admittance) * shrink
        ahead, passage = seen_through(new, resistance, lax.stop_gradient(start), tolerance)
        return (ahead, new), passage

    first = jnp.zeros((rows, rows), segment.dtype) if behind is None else behind
    (ahead, _), passage = scan(step, (first, first), segment, column, reverse=True)
    return passage, ahead


def gathered(sweep: Sweep, drives: Drives, behind: Nodes) -> Drives:
    """The sources `p_j` of each column and all behind it, for drives `e_j` of its cells.

    Args:
        sweep: the factors.
        drives: voltages in series with the cells (cols, rows, n) [V].
        behind: sources of what comes after the last of these columns (rows, n) [A].
    """

    def step(pushed: Array, inputs: tuple) -> tuple:
        column, passage, drive = inputs
        pushed = passage.forwards(product(column.admittance, drive) + pushed)
        return pushed, pushed

    return lax.scan(step, behind, (sweep.column, sweep.passage, drives), reverse=True)[1]


def driven(sweep: Sweep, drives: Drives, pushed: Drives, word: Nodes) -> tuple[Nodes, Drives]:
    """Word-line voltages behind these columns, and their cell currents.

    Args:
        sweep: the factors.
        drives: voltages in series with the cells (cols, rows, n) [V].
        pushed: what was `gathered` of them [A].
        word: word-line voltages in front of the first of these columns (rows, n) [V].
    """

    def step(word: Array, inputs: tuple) -> tuple:
        column, passage, segment, drive, pushed = inputs
        word = passage.backwards(word) - segment[:, None] * pushed
        return word, product(column.admittance, word + drive)

    return lax.scan(step, word, (sweep.column, sweep.passage, sweep.segment, drives, pushed))


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
