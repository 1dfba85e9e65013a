"""Direct elimination column by column: the same work whatever the wire resistance.

Looking right from the word-line nodes of column j, the array is an admittance `Y_j` (rows x rows)
with sources: the row currents through the segments at column j are ``I_j = Y_j w_j + h_j``, where
`w_j` are the word-line node voltages. With `S_j` column j seen from its own word-line nodes, `D`
the diagonal of the word-line segments right of column j, and `e_j` the drives of its cells,

    M_j = I + Y_{j+1} D           Y_j = S_j + M_j^-1 Y_{j+1}          h_j = S_j e_j + M_j^-1 h_{j+1}

starting from nothing at the open end. Walking back from the sources (``D_0`` holds source and
first segment),

    w_0 = -D_0 I_0        I_{j+1} = M_j^-1 (Y_{j+1} w_j + h_{j+1})        w_{j+1} = w_j - D I_{j+1}

and the cell currents of column j are ``S_j (w_j + e_j)``.

`S_j` is written with admittances and impedances that only add, so nothing cancels. For one bit
line with cells `g_i` and segments `r_i` below node i: admittance looking up ``a_i = y_i + g_i``,
``y_0 = 0``, ``y_{i+1} = a_i / (1 + r_i a_i)``; impedance looking down ``z_i = r_i + z_{i+1} / (1 +
g_{i+1} z_{i+1})``, ending in ``r + sense``. A voltage at node i+1 is divided by ``1 + r_i a_i`` on
its way up to node i. Then

    S_ii = g_i (1 + z_i y_i) / (1 + z_i a_i)
    S_ik = -g_i g_k z_k / (1 + z_k a_k) prod_{m=i}^{k-1} 1 / (1 + r_m a_m)          i < k, symmetric
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import jax.scipy.linalg as jsl
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
    right: Float[Array, "cols rows rows"]  # Y_{j+1}; 0 behind the last column
    lu: Float[Array, "cols rows rows"]  # factors of M_j
    pivots: Array
    segment: Float[Array, "cols rows"]  # resistance left of column j; the first with its source


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
        """Admittances of all columns and factors of every step, from the open end to the source."""
        rows, cols = problem.g.shape
        wires, dtype = problem.wires, problem.g.dtype
        segment = jnp.broadcast_to(wires.word_line, (rows, cols)).astype(dtype)
        segment = segment.at[:, 0].add(wires.source.astype(dtype)).T
        column = _column_admittances(problem)

        def step(right: Array, inputs: tuple) -> tuple:
            own, ahead = inputs  # S_j and the segments between columns j and j + 1
            lu, pivots = jsl.lu_factor(jnp.eye(rows, dtype=dtype) + right * ahead[None, :])
            through = jsl.lu_solve((lu, pivots), right)
            return own + (through + through.T) / 2, (right, lu, pivots)

        ahead = jnp.concatenate([segment[1:], jnp.zeros((1, rows), dtype)])
        first, (right, lu, pivots) = lax.scan(
            step, jnp.zeros((rows, rows), dtype), (column, ahead), reverse=True
        )
        # The step in front of column 0, from the sources, is kept as one more entry at the end.
        front = jsl.lu_factor(jnp.eye(rows, dtype=dtype) + first * segment[0][None, :])
        return _Sweep(
            column=column,
            right=jnp.concatenate([first[None], right]),
            lu=jnp.concatenate([front[0][None], lu]),
            pivots=jnp.concatenate([front[1][None], pivots]),
            segment=segment,
        )

    def cell_voltages(self, state: _Sweep, problem: Problem, e: Voltages) -> Answer:
        """Sweep for each drive, then refine on the residual of the cell equation."""
        i_cell = _cell_currents(state, e)
        u = _voltages(problem, e, i_cell)
        change = u
        for _ in range(REFINEMENTS):
            left = problem.residual(e, u)
            change = _voltages(problem, left, _cell_currents(state, left))
            u = u + change
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


def _cell_currents(sweep: _Sweep, e: Voltages) -> Voltages:
    """Cell currents [A] of each drive: gather the sources leftwards, then walk to the right."""
    drives = jnp.moveaxis(e, (0, 1, 2), (2, 1, 0))  # (cols, rows, n)

    def gather(behind: Array, inputs: tuple) -> tuple:
        column, lu, pivots, drive = inputs
        passed = jsl.lu_solve((lu, pivots), behind)
        return product(column, drive) + passed, passed

    # passed_j = M_j^-1 h_{j+1}: what the sources behind column j push through the segment at j + 1
    rest = (sweep.column, sweep.lu[1:], sweep.pivots[1:], drives)
    first, passed = lax.scan(gather, jnp.zeros_like(drives[0]), rest, reverse=True)
    front = jsl.lu_solve((sweep.lu[0], sweep.pivots[0]), first)

    def walk(word: Array, inputs: tuple) -> tuple:
        column, right, lu, pivots, pushed, segment, drive = inputs
        current = jsl.lu_solve((lu, pivots), product(right, word)) + pushed
        word = word - segment[:, None] * current
        return word, product(column, word + drive)

    pushed = jnp.concatenate([front[None], passed[:-1]])
    steps = (sweep.column, sweep.right[:-1], sweep.lu[:-1], sweep.pivots[:-1], pushed)
    _, i_cell = lax.scan(walk, jnp.zeros_like(drives[0]), (*steps, sweep.segment, drives))
    return jnp.moveaxis(i_cell, (0, 1, 2), (2, 1, 0))
