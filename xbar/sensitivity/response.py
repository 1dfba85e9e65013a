"""How an array answers its inputs, and what follows for any change of its conductances.

Change the conductances of some cells S by `dg`. The cells then carry ``(g + dg) u'``, which the
unchanged array answers with ``u' = u - K (dg u')``, so that, on S, ``u' = (I + K_SS dg)^-1 u``; the
currents ``dg u'`` reach the outputs by reciprocity. With `u_k` the cell voltages for 1 V on row k
and `l_o` those for 1 V in series with every cell of column o (its ground pulled down by 1 V),

    T' = T + l_S^T F u_S^T          F = dg (I + K_SS dg)^-1          K = (I + drop . g)^-1 drop

exactly, however large `dg` is. For one cell, ``F = dg / (1 + dg K_cc)``. `K_cd` is the voltage that
cell c loses for 1 A past cell d; it is symmetric and positive semidefinite, and 0 where wires are.
"""

from typing import final

import equinox as eqx
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from xbar.checks import check_kind, flag, is_concrete
from xbar.circuit import RESULTS, Crossbar
from xbar.programs import program
from xbar.sensitivity.sweep import sweep, walk
from xbar.solve import legal_problem
from xbar.solvers.base import Problem, default_rtol, largest_current, transposed


@final
class Response(eqx.Module):
    """An array's answers to its inputs and outputs, and its cells' to each other.

    Of tiles, as a `Baseline` has it, everything leads with rows and columns of tiles, (R, C, ...).

    Args:
        g: conductances, (rows, cols) [S].
        t: transfer matrix, (cols, rows) [S].
        u: cell voltages for 1 V on each row, (rows, rows, cols) [V].
        l: cell voltages for 1 V in series with each column, (cols, rows, cols) [V].
        k_rows: K between the cells of each word line, (rows, cols, cols) [ohm].
        k_cols: K between the cells of each bit line, (cols, rows, rows) [ohm].
        result: `RESULTS.successful`, or why the numbers are NaN.
    """

    g: Float[Array, "*arrays rows cols"]
    t: Float[Array, "*arrays cols rows"]
    u: Float[Array, "*arrays rows rows cols"]
    l: Float[Array, "*arrays cols rows cols"]  # noqa: E741 (the name of design and derivation)
    k_rows: Float[Array, "*arrays rows cols cols"]
    k_cols: Float[Array, "*arrays cols rows rows"]
    result: RESULTS

    @property
    def k_cell(self) -> Float[Array, "*arrays rows cols"]:
        """K of each cell with itself [ohm]."""
        return jnp.diagonal(self.k_rows, axis1=-2, axis2=-1)


def response(array: Crossbar, *, throw: bool = True) -> Response:
    """Everything that exact single changes of an array need, from two sweeps over it.

    Costs about as much as five transfer matrices; memory of about ``4 rows cols (rows + cols)``
    numbers.

    Args:
        array: the circuit.
        throw: raise where the result is not `RESULTS.successful`; inside `jit`, and without it, the
            failed array's numbers are NaN.

    Returns:
        The `Response`; two independent ways to its numbers agree.

    Raises:
        TypeError: `array` is no `Crossbar`.
        ValueError: cells that are not linear; (with `throw`) a conductance or resistance that is
            negative or not finite.
        RuntimeError: (with `throw`) the result missed 1e-10 (float32: 1e-5) of the largest current.
    """
    check_kind("array", array, Crossbar, "xbar.Crossbar")
    if not array.cells.linear:
        raise ValueError(
            f"array: got {type(array.cells).__name__} cells, which have no one conductance; exact "
            "maps of all faults need linear cells: use xbar.sensitivity.nonlinear_cell_faults"
        )
    found = _response(array)
    if flag("throw", throw) and is_concrete(found.result) and found.result != RESULTS.successful:
        kind = RuntimeError if found.result == RESULTS.tolerance_missed else ValueError
        raise kind(f"array: {RESULTS[found.result]}")
    return found


@program()
def _response(array: Crossbar) -> Response:
    problem, result = legal_problem(array, array.dtype)
    ahead, back = (walk(sweep(p)) for p in (problem, transposed(problem)))
    u = jnp.moveaxis(ahead.u, (0, 1, 2), (2, 1, 0))
    l = jnp.swapaxes(jnp.moveaxis(back.u, (0, 1, 2), (2, 1, 0))[::-1, ::-1, ::-1], 1, 2)  # noqa: E741
    parts = (problem.g, ahead.out, u, l, back.k[::-1, ::-1, ::-1], ahead.k)
    missed = (result == RESULTS.successful) & ~_sound(problem, Response(*parts, result=result))
    result = RESULTS.where(missed, RESULTS.tolerance_missed, result)
    fine = result == RESULTS.successful
    return Response(*(jnp.where(fine, x, jnp.nan) for x in parts), result=result)


def _sound(problem: Problem, found: Response) -> Bool[Array, ""]:
    """Whether the two sweeps, one along either kind of line, agree.

    They share no intermediate result. Each gives the current of every output for every input. And
    the drive of row i is that of a series source in each of its cells, which they answer with
    ``u = 1 - K g``: K along a line, found by one sweep, gives voltages that the other one found.
    """
    g, rtol = problem.g, default_rtol(None, problem.g.dtype)
    largest = largest_current(g * found.u)  # of each input
    by_u, by_l = jnp.einsum("ij,kij->jk", g, found.u), jnp.einsum("ij,oij->oi", g, found.l)
    off = jnp.maximum(jnp.abs(by_u - found.t), jnp.abs(by_l - found.t))
    rows = jnp.einsum("ijk,ik->ij", found.k_rows, g) + jnp.einsum("iij->ij", found.u) - 1
    cols = jnp.einsum("jik,kj->ij", found.k_cols, g) + jnp.einsum("jij->ij", found.l) - 1
    same = jnp.all(off <= rtol * largest)
    return same & jnp.all(jnp.abs(rows) <= rtol) & jnp.all(jnp.abs(cols) <= rtol)
