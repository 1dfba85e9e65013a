"""Direct elimination column by column: the same work whatever the wire resistance.

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

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float

from xbar.solvers.admittance import Passage, seen_through
from xbar.solvers.base import (
    AbstractSolver,
    Answer,
    Problem,
    Transfer,
    Voltages,
    check_rtol,
    default_rtol,
    error_bound,
    largest_current,
    probe,
    relative_change,
    transfer_by_cells,
)
from xbar.solvers.batching import per_array, repaired
from xbar.solvers.bit_line import Columns, columns_of
from xbar.solvers.lines import product
from xbar.solvers.loops import scan
from xbar.solvers.mild_sweep import mild_transfer
from xbar.solvers.sweep_check import lying, transfer_ok, turned, voltages_from

# Each refinement costs one more sweep of matrix-vector products; the last one measures the error.
REFINEMENTS = 2
# Share of the tolerance that the errors of all columns' admittances may take together.
ADMITTANCE_SHARE = 0.01
# Up to this many drives a refinement costs little beside the factors and shows the error of each;
# of more, one random combination is checked first.
MANY = 8


class _Sweep(NamedTuple):
    """Per column, from the driven end."""

    column: Columns
    passage: Passage  # X_j
    segment: Float[Array, "steps side"]  # diagonal of D_j


class ColumnSweep(AbstractSolver):
    """Direct solver: eliminates bit lines, then walks the columns; for severe drop and many inputs.

    Walks along the longer side of the array (the roles of word and bit lines can be exchanged:
    reciprocity), at a cost of about ``6 min(rows, cols)^3 max(rows, cols)`` operations.

    Args:
        rtol: bound on the error of every current, relative to the largest current; None means
            1e-10 in float64 and 1e-5 in float32.

    Raises:
        ValueError: an option out of range.
    """

    rtol: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_rtol("ColumnSweep", self.rtol)

    def factor(self, problem: Problem) -> _Sweep:
        """Admittances of every column, from the open end to the source."""
        rtol = default_rtol(self.rtol, problem.g.dtype)
        return per_array(lambda problem: _factor(lying(problem), rtol))(problem)

    def cell_voltages(self, state: _Sweep, problem: Problem, e: Voltages) -> Answer:
        """Sweep for each drive, and refine on the residual of the cell equation if need be."""
        rtol = default_rtol(self.rtol, e.dtype)
        return per_array(partial(_cell_voltages, rtol=rtol))(state, problem, e)

    def transfer(self, state: _Sweep, problem: Problem) -> tuple[Transfer, Bool[Array, ""]]:
        """Where the drop is mild by `xbar.solvers.mild_sweep`; else by the sweep, then repaired."""
        rtol = default_rtol(self.rtol, problem.g.dtype)

        # Branches find the factors anew: what is handed to a branch has to be there in any case,
        # and is copied. So `state` goes unused, and the compiler leaves it out.
        def direct(problem: Problem) -> tuple[Array, Array]:
            found = per_array(partial(_transfer, rtol=rtol))(self.factor(problem), problem)
            return repaired(found[1], found, by_cells, problem)

        def by_cells(problem: Problem) -> tuple[Array, Array]:
            return transfer_by_cells(self, self.factor(problem), problem)

        found = per_array(partial(mild_transfer, rtol=rtol))(problem)
        return repaired(found[1], found, direct, problem)

    @property
    def own_transfer(self) -> Callable[[Problem], tuple[Transfer, Bool[Array, ""]]]:
        """The sweep for any drop without repairs, to be differentiated as it stands."""

        def own(problem: Problem) -> tuple[Transfer, Bool[Array, ""]]:
            rtol = default_rtol(self.rtol, problem.g.dtype)
            return _transfer(_factor(lying(problem), rtol), problem, rtol)

        return own


def _factor(problem: Problem, rtol: float) -> _Sweep:
    rows, cols = problem.g.shape
    dtype = problem.g.dtype
    word, bit = problem.segments()
    segment, column = word.T, columns_of(problem.g.T, bit.T)
    tolerance = jnp.asarray(ADMITTANCE_SHARE * rtol / cols, dtype)

    def step(before: tuple[Array, Array], resistance: Array, own: Array) -> tuple:
        last, admittance = before
        new = own + last
        # To first order, with the diagonal of X in place of all of it.
        shrink = 1 - jnp.diagonal(last) * resistance
        start = last + shrink[:, None] * (new - admittance) * shrink
        ahead, passage = seen_through(new, resistance, lax.stop_gradient(start), tolerance)
        return (ahead, new), passage

    nothing = jnp.zeros((rows, rows), dtype)
    _, passage = scan(step, (nothing, nothing), segment, column.admittance, reverse=True)
    return _Sweep(column, passage, segment)


def _transfer(state: _Sweep, problem: Problem, rtol: float) -> tuple[Array, Bool[Array, ""]]:
    """Transfer matrix, checked on one random input by its cell voltages and their residual."""
    flat = lying(problem)
    rows, dtype = flat.g.shape[0], flat.g.dtype
    signs = probe(rows, dtype)

    def walk(word: tuple, inputs: tuple) -> tuple:
        # Word-line voltages for 1 V on each row, and for the probe.
        unit, mixed = word
        column, passage = inputs
        unit, mixed = passage.backwards(unit), lax.stop_gradient(passage).backwards(mixed)
        return (unit, mixed), (product(column.out, unit), product(column.admittance, mixed))

    start = jnp.eye(rows, dtype=dtype), signs
    _, (matrix, i_cell) = lax.scan(walk, start, (state.column, state.passage))
    ok = transfer_ok(*lax.stop_gradient((flat, matrix, i_cell.T)), signs, rtol)
    return (matrix if flat is problem else turned(matrix)), ok


def _cell_voltages(state: _Sweep, problem: Problem, e: Voltages, rtol: float) -> Answer:
    flat = lying(problem)
    e = e if flat is problem else turned(e)

    def improve(carry: tuple) -> tuple:
        u, _, passes = carry
        change = _pass(state, flat, flat.residual(e, u))
        u = u + change
        ok = relative_change(flat.g, u, change) <= rtol
        return u, ok, passes + 1

    def unfinished(carry: tuple) -> Bool[Array, ""]:
        return ~jnp.all(carry[1]) & (carry[2] <= REFINEMENTS)

    u, n = _pass(state, flat, e), len(e)
    ok = _ok(flat, e, u, rtol) if n > MANY else jnp.zeros(n, bool)
    u, ok, _ = lax.while_loop(unfinished, improve, (u, ok, jnp.ones((), int)))
    return Answer(u if flat is problem else turned(u), ok, jnp.zeros(e.shape[0], int))


def _ok(problem: Problem, e: Voltages, u: Voltages, rtol: float) -> Bool[Array, " n"]:
    """Whether the error bound of every drive is within `rtol`, seen in a combination of them."""
    signs = probe(len(e), e.dtype)
    mixed_e, mixed_u = (jnp.tensordot(signs, x, 1)[None] for x in (e, u))
    left = problem.residual(mixed_e, mixed_u)
    mixed = error_bound(problem.g, mixed_u, left)[0] * largest_current(problem.g * mixed_u)[0]
    # Each drive against its own largest cell current, the least of them (drives of zero aside).
    largest = jnp.max(jnp.abs(problem.g * u), axis=(-2, -1))
    least = jnp.min(jnp.where(largest == 0, jnp.inf, largest))
    return jnp.full(len(e), (mixed <= rtol * least) | jnp.all(e == 0))


def _pass(sweep: _Sweep, problem: Problem, e: Voltages) -> Voltages:
    """Cell voltages of each drive: gather the sources leftwards, then walk to the right."""
    drives = jnp.moveaxis(e, (0, 1, 2), (2, 1, 0))  # (cols, rows, n)

    def gather(pushed: Array, inputs: tuple) -> tuple:
        column, passage, drive = inputs
        pushed = passage.forwards(product(column.admittance, drive) + pushed)
        return pushed, pushed

    nothing = jnp.zeros_like(drives[0])
    parts = sweep.column, sweep.passage, drives
    _, pushed = lax.scan(gather, nothing, parts, reverse=True)

    def walk(word: Array, inputs: tuple) -> tuple:
        column, passage, segment, drive, pushed = inputs
        word = passage.backwards(word) - segment[:, None] * pushed
        return word, product(column.admittance, word + drive)

    parts = sweep.column, sweep.passage, sweep.segment, drives, pushed
    _, i_cell = lax.scan(walk, nothing, parts)
    return voltages_from(problem, e, jnp.moveaxis(i_cell, (0, 1, 2), (2, 1, 0)))
