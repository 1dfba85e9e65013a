"""Operating points of arrays whose cells are not linear, with their exact derivatives.

At the solution ``u + drop(I(u; p)) = e``. A change of parameters, wires and drives leaves

    du + drop(di) = de - d_drop(i)          di - g du = (dI/dp) dp          g = I'(u)

which is the linear array with conductances g, a series source and a parallel source at each cell:
what `xbar.solvers.derivatives` answers for linear arrays, where ``dg u`` stands in the place of the
law's change at fixed voltage. One linear solve for each input, whatever the steps that found u;
written in differentiable operations, so derivatives of every order follow.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from xbar.cells import AbstractCell
from xbar.cells.base import is_legal
from xbar.circuit import Wires
from xbar.solvers.auto import Auto
from xbar.solvers.base import AbstractSolver, Voltages, problem_of
from xbar.solvers.derivatives import linear_response, marked
from xbar.solvers.lines import drop_of
from xbar.solvers.newton import Newton, NewtonAnswer

Pair = Float[Array, "2 n rows cols"]


def newton_of(solver: AbstractSolver) -> Newton:
    """The solver for cells that are not linear: a linear one that is named works inside."""
    if isinstance(solver, Newton):
        return solver
    return Newton(rtol=solver.rtol) if isinstance(solver, Auto) else Newton(solver)


def legal_law(law: AbstractCell, dtype: Any) -> tuple[AbstractCell, Bool[Array, ""]]:
    """A law in one precision, with ones in place of illegal parameters."""
    right = is_legal(law)

    def cast(x: Any) -> Any:
        real = jnp.issubdtype(jnp.result_type(x), jnp.floating)
        if not real:
            return x
        x = jnp.asarray(x, dtype)
        return marked(x, ~right, jnp.where(right, x, 1))

    return jax.tree.map(cast, law), right


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def operating_points(
    newton: Newton, law: AbstractCell, wires: Wires, e: Voltages, start: Voltages | None = None
) -> NewtonAnswer:
    """Solve `u + drop(I(u)) = e` for `n` drives of one array, with exact derivatives.

    Args:
        newton: the solver.
        law: of the cells.
        wires: of the array.
        e: drives [V]; their precision is that of the solve.
        start: cell voltages to start from [V], on which no derivative depends; None for the
            method's own.
    """
    return newton.operating_points(law, problem_of(jnp.zeros_like(e[0]), wires), e, start)


@operating_points.defjvp
def _operating_points_jvp(
    newton: Newton, primals: tuple, tangents: tuple
) -> tuple[NewtonAnswer, NewtonAnswer]:
    law, wires, e, start = primals
    d_law, d_wires, de, _ = tangents
    found = operating_points(newton, law, wires, e, start)

    def drop(wires: Wires) -> Voltages:
        return drop_of(wires, e[0])(found.i_cell)

    _, d_drop = jax.jvp(drop, (wires,), (d_wires,))
    _, d_current = jax.jvp(lambda law: law.current(found.u), (law,), (d_law,))
    # Nobody looks at the status of a derivative. That of a failed input is NaN by a factor, which
    # reverse mode has too, where a choice of NaN would become a gradient of zero.
    right = jnp.where(found.ok & found.holds, 1, jnp.nan).astype(e.dtype)[:, None, None]
    g = law.slope(found.u)
    du, di = _responses(newton.linear, wires, g, de - d_drop, d_current)
    none: list[Any] = [np.zeros(x.shape, jax.dtypes.float0) for x in found[2:]]
    return found, NewtonAnswer(right * du, right * di, *none)


def _responses(solver: AbstractSolver, wires: Wires, g: Voltages, s: Voltages, q: Voltages) -> Pair:
    """Voltages and currents for series sources `s` and parallel sources `q`, input by input."""

    def one(g: Array, s: Array, q: Array) -> Pair:
        problem = problem_of(g, wires)
        state = lax.stop_gradient(solver.factor(lax.stop_gradient(problem)))
        return linear_response(solver, state, problem, s[None], q[None])

    return jax.vmap(one, out_axes=2)(g, s, q)[:, 0]
