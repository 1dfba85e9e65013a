"""Direct elimination column by column: the same work whatever the wire resistance.

The equations are those of `xbar.solvers.elimination`.
"""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool

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
from xbar.solvers.elimination import (
    Sweep,
    driven,
    factored,
    gathered,
    walked,
)
from xbar.solvers.mild_sweep import mild_transfer
from xbar.solvers.own_transfer import own_transfer
from xbar.solvers.sweep_check import lying, turned, voltages_from

# Each refinement costs one more sweep of matrix-vector products; the last one measures the error.
REFINEMENTS = 2
# Up to this many drives a refinement costs little beside the factors and shows the error of each;
# of more, one random combination is checked first.
MANY = 8


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

    def factor(self, problem: Problem) -> Sweep:
        """Admittances of every column, from the open end to the source."""
        rtol = default_rtol(self.rtol, problem.g.dtype)
        return per_array(lambda problem: factored(lying(problem), rtol))(problem)

    def cell_voltages(self, state: Sweep, problem: Problem, e: Voltages) -> Answer:
        """Sweep for each drive, and refine on the residual of the cell equation if need be."""
        rtol = default_rtol(self.rtol, e.dtype)
        return per_array(partial(_cell_voltages, rtol=rtol))(state, problem, e)

    def transfer(self, state: Sweep, problem: Problem) -> tuple[Transfer, Bool[Array, ""]]:
        """Where the drop is mild by `xbar.solvers.mild_sweep`; else by the sweep, then repaired."""
        rtol = default_rtol(self.rtol, problem.g.dtype)

        # Branches find the factors anew: what is handed to a branch has to be there in any case,
        # and is copied. So `state` goes unused, and the compiler leaves it out.
        def direct(problem: Problem) -> tuple[Array, Array]:
            found = per_array(partial(_transfer, rtol=rtol))(problem)
            return repaired(found[1], found, by_cells, problem)

        def by_cells(problem: Problem) -> tuple[Array, Array]:
            return transfer_by_cells(self, self.factor(problem), problem)

        found = per_array(partial(mild_transfer, rtol=rtol))(problem)
        return repaired(found[1], found, direct, problem)

    @property
    def own_transfer(self) -> Callable[[Problem], tuple[Transfer, Bool[Array, ""]]]:
        """The sweeps without repairs, with a derivative of their own."""
        return lambda problem: own_transfer(problem, default_rtol(self.rtol, problem.g.dtype))


def _transfer(problem: Problem, rtol: float) -> tuple[Transfer, Bool[Array, ""]]:
    flat = lying(problem)
    matrix, ok, _ = walked(factored(flat, rtol), flat, rtol)
    return (matrix if flat is problem else turned(matrix)), ok


def _cell_voltages(state: Sweep, problem: Problem, e: Voltages, rtol: float) -> Answer:
    flat = lying(problem)
    return refined(problem, flat, e, rtol, lambda e: one_pass(state, flat, e))


def refined(
    problem: Problem,
    flat: Problem,
    e: Voltages,
    rtol: float,
    swept: Callable[[Voltages], Voltages],
    *,
    dear: bool = False,
) -> Answer:
    """Sweep for each drive, and refine on the residual of the cell equation if need be.

    Args:
        problem: the array.
        flat: the same as it is swept.
        e: drives (n, rows, cols) [V].
        rtol: bound on the error of every current, relative to the largest.
        swept: cell voltages for drives, both of `flat`.
        dear: a sweep costs more than to bound the error of each drive by its residual.
    """
    e = e if flat is problem else turned(e)

    def improve(carry: tuple) -> tuple:
        u, _, passes = carry
        change = swept(flat.residual(e, u))
        u = u + change
        ok = relative_change(flat.g, u, change) <= rtol
        return u, ok, passes + 1

    def unfinished(carry: tuple) -> Bool[Array, ""]:
        return ~jnp.all(carry[1]) & (carry[2] <= REFINEMENTS)

    u, n = swept(e), len(e)
    if dear:
        ok = error_bound(flat.g, u, flat.residual(e, u)) <= rtol
    else:
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


def one_pass(sweep: Sweep, problem: Problem, e: Voltages) -> Voltages:
    """Cell voltages of each drive: gather the sources leftwards, then walk to the right."""
    drives = e.T  # (cols, rows, n)
    nothing = jnp.zeros_like(drives[0])
    pushed = gathered(sweep, drives, nothing)
    return voltages_from(problem, e, driven(sweep, drives, pushed, nothing)[1].T)


def factor_bytes(problem: Problem) -> int:
    """Memory of the two matrices per column that `factor` keeps."""
    rows, cols = sorted(problem.g.shape)
    return 2 * cols * rows**2 * problem.g.dtype.itemsize
