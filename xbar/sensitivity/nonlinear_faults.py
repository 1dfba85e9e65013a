"""Single stuck cells of an array whose cells are not linear: nearly by an update, then exactly.

A stuck cell c carries ``g u'`` instead of its law's current. Were the others linear at the healthy
array's operating point, with slopes g_lin, what c draws more than the slope lets it would be

    q = (g u_c - I(u_c)) / (1 + (g - g_lin_c) K_cc)

with K and l of the linearised array (`xbar.sensitivity.response`). q lowers the voltage of every
cell d by ``K_dc q`` and adds ``l_oc q`` to the current of output o: that is `linearised`. The other
cells do bend, so Newton's method solves each faulty array. It starts from those voltages, of which
the ones along the two lines of the cell are at hand; elsewhere they hardly move.
"""

from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from xbar.batch import batch_map
from xbar.cells import Ohmic, Where
from xbar.checks import as_real, check_kind
from xbar.circuit import Crossbar
from xbar.programs import program
from xbar.sensitivity.inputs import cells_of, conductances
from xbar.sensitivity.response import Response, response
from xbar.solve import solve
from xbar.solvers import AbstractSolver, Auto
from xbar.solvers.auto import newton_of
from xbar.solvers.derivatives import operating_points


@final
class NonlinearFaults(eqx.Module):
    """What single stuck cells do to an array's output currents for one input.

    Args:
        i_out: output currents with each cell stuck, exactly; NaN where Newton's method did not end
            within its tolerance, (faults, cols) [A].
        linearised: the same if all other cells kept the slopes that they have now [A].
        before: of the array as it is, (cols,) [A].
        steps: Newton's steps for each fault, from the linearised voltages on, (faults,).
        inner_steps: the linear solver's, all together, (faults,).
    """

    i_out: Float[Array, "*faults cols"]
    linearised: Float[Array, "*faults cols"]
    before: Float[Array, " cols"]
    steps: Int[Array, "*faults"]
    inner_steps: Int[Array, "*faults"]

    @property
    def off(self) -> Float[Array, "*faults"]:
        """What `linearised` misses, relative to the largest change that the fault makes."""
        wrong = jnp.max(jnp.abs(self.linearised - self.i_out), axis=-1)
        change = jnp.max(jnp.abs(self.i_out - self.before), axis=-1)
        return jnp.where(wrong == 0, 0, wrong / jnp.where(change == 0, 1, change))


def nonlinear_cell_faults(
    array: Crossbar,
    v_in: Any,
    stuck: Any,
    cells: Any = None,
    solver: AbstractSolver | None = None,
) -> NonlinearFaults:
    """Output currents with each single cell stuck as a resistor, of cells of any law.

    For linear cells `cell_faults` finds all of them without a solve; here each fault is a solve of
    its own, from a start that is nearly right.

    ```python
    curved = xb.Crossbar(xb.cells.Sinh(g, v_0=0.25), wires)
    found = sens.nonlinear_cell_faults(curved, v_in, stuck=1e-4)
    harm = jnp.max(jnp.abs(found.i_out - found.before), axis=-1)  # (rows, cols)
    ```

    Args:
        array: the circuit, its lines plain.
        v_in: driver voltages (rows,) [V]; for several inputs, one after the other or `jax.vmap`.
        stuck: conductances of stuck cells, a number, (rows, cols), or (k,) beside k `cells` [S].
        cells: (row, column) each, (k, 2); None for all, whose results lead with (rows, cols).
        solver: as for `xbar.solve`.

    Returns:
        The `NonlinearFaults`; `i_out` is differentiable.

    Raises:
        TypeError, ValueError, RuntimeError: as `xbar.solve`, for the array as it is; another
            shape, or a stuck value that is negative or not finite.
    """
    check_kind("array", array, Crossbar, "xbar.Crossbar")
    v = as_real("v_in", v_in)
    if v.shape != (array.rows,):
        raise ValueError(f"v_in: got shape {v.shape}, needs ({array.rows},)")
    if not array.is_plain:
        raise ValueError(
            "array: got drivers at far ends, or line faults, which this does not treat; needs an "
            "array without them, or xbar.solve for each fault"
        )
    shape = (array.rows, array.cols)
    if cells is None:
        at = jnp.stack(jnp.meshgrid(*map(jnp.arange, shape), indexing="ij"), -1).reshape(-1, 2)
        g = conductances("stuck", stuck, shape).ravel()
    else:
        at = cells_of(cells, shape)
        g = conductances("stuck", stuck, at.shape[:1])
    found = solve(array, v, solver)
    u = found.v_word - found.v_bit
    linear = Crossbar(array.cells.slope(u), array.wires)
    options = Auto() if solver is None else solver
    faults = _faults(array, v, u, found.i_out, response(linear), at, g.astype(u.dtype), options)
    if cells is not None:
        return faults

    def of_array(x: Array) -> Array:
        return x.reshape(*shape, *x.shape[1:])

    where = lambda f: (f.i_out, f.linearised, f.steps, f.inner_steps)  # noqa: E731
    return eqx.tree_at(where, faults, tuple(map(of_array, where(faults))))


@program(static_argnames="solver")
def _faults(
    array: Crossbar,
    v: Array,
    u: Array,
    before: Array,
    linear: Response,
    at: Array,
    g: Array,
    solver: AbstractSolver,
) -> NonlinearFaults:
    law, i_cell = array.cells, array.cells.current(u)
    drive = jnp.broadcast_to(v[:, None], u.shape).astype(u.dtype)
    newton = newton_of(solver)

    def one(fault: tuple[Array, Array, Array]) -> tuple[Array, ...]:
        row, col, g = fault
        grown = 1 + (g - linear.g[row, col]) * linear.k_cell[row, col]
        q = (g * u[row, col] - i_cell[row, col]) / grown
        start = u.at[row].add(-q * linear.k_rows[row, :, col])
        start = start.at[:, col].add(-q * linear.k_cols[col, :, row])
        start = start.at[row, col].set(u[row, col] - q * linear.k_cell[row, col])
        mask = jnp.zeros(u.shape, bool).at[row, col].set(True)
        faulty = Where(mask, Ohmic(jnp.full(u.shape, g)), law)
        found = operating_points(newton, faulty, array.wires, drive[None], start[None])
        right = found.ok[0] & found.holds[0]
        i_out = jnp.where(right, jnp.sum(found.i_cell[0], axis=0), jnp.nan)
        return i_out, before + q * linear.l[:, row, col], found.steps[0], found.inner_steps[0]

    i_out, linearised, steps, inner = batch_map(one, (at[:, 0], at[:, 1], g))
    return NonlinearFaults(i_out, linearised, before, steps, inner)
