"""Direct elimination column by column: the same work whatever the wire resistance.

Looking right from the word-line nodes of column j, the array is an admittance `Y_j` (rows x rows)
with sources: the row currents that arrive at column j are ``I_j = Y_j w_j + h_j``, where `w_j` are
the word-line node voltages. With `S_j` column j seen from its own word-line nodes, `e_j` the drives
of its cells and `D_j` the diagonal of the word-line segments left of it (`D_0` with the sources),
and starting from nothing at the open end,

    Y_j = S_j + G_{j+1}           X_j = (I + Y_j D_j)^-1           G_j = X_j Y_j
    h_j = S_j e_j + p_{j+1}       p_j = X_j h_j

`G_j` and `p_j` are the same admittance and sources seen from left of the segment. Walking back from
the sources, where ``w_{-1} = 0``,

    I_j = G_j w_{j-1} + p_j       w_j = w_{j-1} - D_j I_j

and the cell currents of column j are ``S_j (w_j + e_j)``.

`S_j` is written with admittances and impedances that only add, so nothing cancels. For one bit
line with cells `g_i` and segments `r_i` below node i: admittance looking up ``a_i = y_i + g_i``,
``y_0 = 0``, ``y_{i+1} = a_i / (1 + r_i a_i)``; impedance looking down ``z_i = r_i + z_{i+1} / (1 +
g_{i+1} z_{i+1})``, ending in ``r + sense``. A voltage at node i+1 is divided by ``1 + r_i a_i`` on
its way up to node i. Then

    S_ii = g_i (1 + z_i y_i) / (1 + z_i a_i)
    S_ik = -g_i g_k z_k / (1 + z_k a_k) prod_{m=i}^{k-1} 1 / (1 + r_m a_m)          i < k, symmetric
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from xbar.solvers.base import (
    AbstractSolver,
    Answer,
    Problem,
    Voltages,
    check_rtol,
    default_rtol,
    relative_change,
)
from xbar.solvers.drop import product

# Each refinement costs one more sweep of matrix-vector products; the last one measures the error.
REFINEMENTS = 2


class _Sweep(NamedTuple):
    """Per column, from left to right."""

    column: Float[Array, "cols rows rows"]  # S_j
    inverse: Float[Array, "cols rows rows"]  # X_j
    ahead: Float[Array, "cols rows rows"]  # G_j
    segment: Float[Array, "cols rows"]  # diagonal of D_j


class ColumnSweep(AbstractSolver):
    """Direct solver: eliminates bit lines, then walks the columns; for severe drop.

    Args:
        rtol: what the last refinement may still change, relative to the largest current; None
            means 1e-10 in float64 and 1e-5 in float32.

    Raises:
        ValueError: an option out of range.
    """

    rtol: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_rtol("ColumnSweep", self.rtol)

    def factor(self, problem: Problem) -> _Sweep:
        """Admittances and inverses of every column, from the open end to the source."""
        rows, cols = problem.g.shape
        wires, dtype = problem.wires, problem.g.dtype
        segment = jnp.broadcast_to(wires.word_line, (rows, cols)).astype(dtype)
        segment = segment.at[:, 0].add(wires.source.astype(dtype)).T
        column = _column_admittances(problem)

        def step(behind: Array, inputs: tuple) -> tuple:
            own, resistance = inputs
            admittance = own + behind
            inverse = _inverse(jnp.eye(rows, dtype=dtype) + admittance * resistance[None, :])
            ahead = product(inverse, admittance)
            ahead = (ahead + ahead.T) / 2
            return ahead, (inverse, ahead)

        nothing = jnp.zeros((rows, rows), dtype)
        _, (inverse, ahead) = lax.scan(step, nothing, (column, segment), reverse=True)
        return _Sweep(column, inverse, ahead, segment)

    def cell_voltages(self, state: _Sweep, problem: Problem, e: Voltages) -> Answer:
        """Sweep for each drive, then refine on the residual of the cell equation."""

        def improve(_: Any, carry: tuple[Voltages, Voltages]) -> tuple[Voltages, Voltages]:
            u, _ = carry
            left = problem.residual(e, u)
            change = _voltages(problem, left, _cell_currents(state, left))
            return u + change, change

        # From zero, the first pass is the solve itself. A loop, so that it is compiled once.
        nothing = jnp.zeros_like(e)
        u, change = lax.fori_loop(0, 1 + REFINEMENTS, improve, (nothing, nothing))
        ok = relative_change(problem.g, u, change) <= default_rtol(self.rtol, e.dtype)
        return Answer(u=u, ok=ok, steps=jnp.zeros(e.shape[0], int))


def _voltages(problem: Problem, e: Voltages, i_cell: Voltages) -> Voltages:
    """Cell voltages from cell currents: Ohm's law, or through the wires where a cell is open."""
    open_cell = problem.g == 0
    through_cell = i_cell / jnp.where(open_cell, 1, problem.g)
    return jnp.where(open_cell, e - problem.drop(i_cell), through_cell)


def _column_admittances(problem: Problem) -> Float[Array, "cols rows rows"]:
    """`S_j` of every column, all columns at once."""
    rows, cols = problem.g.shape
    wires, dtype = problem.wires, problem.g.dtype
    below = jnp.broadcast_to(wires.bit_line, (rows, cols)).astype(dtype)
    below = below.at[-1].add(wires.sense.astype(dtype))

    def up(y: Array, inputs: tuple) -> tuple:
        g, r = inputs
        a = y + g
        return a / (1 + r * a), y

    _, y = lax.scan(up, jnp.zeros(cols, dtype), (problem.g, below))
    a = y + problem.g

    def down(behind: Array, inputs: tuple) -> tuple:
        g, r = inputs
        z = r + behind
        return z / (1 + g * z), z

    _, z = lax.scan(down, jnp.zeros(cols, dtype), (problem.g, below), reverse=True)
    node = problem.g * z / (1 + z * a)
    divider = 1 / (1 + below * a)

    def spread(row: Array, inputs: tuple) -> tuple:
        # row[k, j]: share of node k's voltage that reaches node i (k >= i); 1 at k = i.
        share, here = inputs
        row = jnp.where(here[:, None], 1, row * share[None, :])
        return row, row

    _, share = lax.scan(
        spread, jnp.zeros((rows, cols), dtype), (divider, jnp.eye(rows, dtype=bool)), reverse=True
    )
    upper = -problem.g[:, None, :] * share * node[None, :, :]  # [i, k, j] for i < k
    upper = jnp.triu(jnp.moveaxis(upper, -1, 0), k=1)
    own = problem.g * (1 + z * y) / (1 + z * a)
    return upper + jnp.swapaxes(upper, 1, 2) + own.T[:, :, None] * jnp.eye(rows, dtype=dtype)


def _inverse(matrix: Float[Array, "rows rows"]) -> Float[Array, "rows rows"]:
    """Inverse by LU; the matrices here are diagonally dominant by columns, so it is accurate."""
    lu, _, permutation = lax.linalg.lu(matrix)
    rows = jnp.eye(len(matrix), dtype=matrix.dtype)[permutation]
    rows = lax.linalg.triangular_solve(lu, rows, left_side=True, lower=True, unit_diagonal=True)
    return lax.linalg.triangular_solve(lu, rows, left_side=True, lower=False)


def _cell_currents(sweep: _Sweep, e: Voltages) -> Voltages:
    """Cell currents [A] of each drive: gather the sources leftwards, then walk to the right."""
    drives = jnp.moveaxis(e, (0, 1, 2), (2, 1, 0))  # (cols, rows, n)

    def gather(pushed: Array, inputs: tuple) -> tuple:
        column, inverse, drive = inputs
        pushed = product(inverse, product(column, drive) + pushed)
        return pushed, pushed

    nothing = jnp.zeros_like(drives[0])
    parts = (sweep.column, sweep.inverse, drives)
    _, pushed = lax.scan(gather, nothing, parts, reverse=True)

    def walk(word: Array, inputs: tuple) -> tuple:
        column, ahead, segment, drive, pushed = inputs
        word = word - segment[:, None] * (product(ahead, word) + pushed)
        return word, product(column, word + drive)

    parts = (sweep.column, sweep.ahead, sweep.segment, drives, pushed)
    _, i_cell = lax.scan(walk, nothing, parts)
    return jnp.moveaxis(i_cell, (0, 1, 2), (2, 1, 0))
