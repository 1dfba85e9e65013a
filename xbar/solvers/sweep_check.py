"""What both sweeps over columns share: which way the array lies, and the check of their results."""

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float

from xbar.circuit import Wires
from xbar.solvers.base import Problem, Voltages, error_bound, largest_current, problem_of
from xbar.solvers.lines import product


def lying(problem: Problem) -> Problem:
    """The problem with at least as many columns as rows.

    Seen from its outputs, an array is one whose word lines are the bit lines; from the driven end
    on, both kinds of lines are counted the other way round.
    """
    rows, cols = problem.g.shape
    if rows <= cols:
        return problem
    wires = problem.wires
    exchanged = Wires(
        word_line=turned(wires.bit_line),
        bit_line=turned(wires.word_line),
        source=turned(wires.sense),
        sense=turned(wires.source),
    )
    return problem_of(turned(problem.g), exchanged)


def turned(x: Array) -> Array:
    """Reflected in the other diagonal, (..., rows, cols) to (..., cols, rows)."""
    if x.ndim < 2:
        return x[::-1] if x.ndim else x
    return jnp.swapaxes(x[..., ::-1, ::-1], -1, -2)


def transfer_ok(
    problem: Problem,
    matrix: Float[Array, "cols rows"],
    i_cell: Float[Array, "rows cols"],
    v_in: Float[Array, " rows"],
    rtol: float,
) -> Bool[Array, ""]:
    """Whether a transfer matrix is right for one input.

    Args:
        problem: the array.
        matrix: its transfer matrix [S].
        i_cell: the cell currents that the sweep found for the input [A].
        v_in: the input [V].
        rtol: bound on the error of every current, relative to the largest.
    """
    i_cell = i_cell[None]
    e = jnp.broadcast_to(v_in[:, None], i_cell.shape)
    u = voltages_from(problem, e, i_cell)
    left = problem.residual(e, u)
    off = jnp.max(jnp.abs(product(matrix, v_in) - jnp.sum(i_cell[0], axis=0)))
    same = off <= rtol * largest_current(i_cell)[0]
    return same & (error_bound(problem.g, u, left)[0] <= rtol)


def voltages_from(problem: Problem, e: Voltages, i_cell: Voltages) -> Voltages:
    """Cell voltages from cell currents: Ohm's law, or through the wires where a cell is open."""
    closed = problem.g > 0
    u = i_cell / jnp.where(closed, problem.g, 1)

    def with_open(e: Voltages, u: Voltages, i_cell: Voltages) -> Voltages:
        return jnp.where(closed, u, e - problem.drop(i_cell))

    return lax.cond(jnp.all(closed), lambda e, u, i_cell: u, with_open, e, u, i_cell)
