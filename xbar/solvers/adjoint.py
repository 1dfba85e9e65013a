"""Cell voltages and currents with their exact derivatives.

For series sources `s` [V] and parallel sources `q` [A] at the cells, voltages and currents obey

    u + drop(i) = s              i - g u = q                         F(u, i) = (s, q)

and one solve of the cell equation gives both: ``u = A^-1 (s - drop q)``, ``i = q + g u``. The
transposed system ``F^T (x, y) = (s', q')`` reads ``x - g y = s'``, ``drop(x) + y = q'``: the same
circuit with the roles of voltage and current exchanged (reciprocity), so the same solver answers
it with ``y = A^-1 (q' - drop s')``, ``x = s' + g y``.

So a change of conductances, wires and drives, which leaves the sources
``(de - d_drop(i), dg u)`` unbalanced, is answered by one more solve in forward mode, and in reverse
mode by one solve with the transposed system. The gradient with respect to a conductance comes out
as the product of two cell voltages, those of the circuit and those of the circuit driven by the
cotangent, without the cancellation that differentiating ``g u`` would have. Both rules are written
in differentiable operations, so derivatives of every order follow.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Bool, Float, Int

from xbar.circuit import Wires
from xbar.solvers.base import (
    AbstractSolver,
    Problem,
    Transfer,
    Voltages,
    problem_of,
    transfer_from,
    unit_drives,
)
from xbar.solvers.drop import drop_of

Pair = Float[Array, "2 n rows cols"]


class Cells(NamedTuple):
    """Cell voltages [V] and currents [A] of `n` drives, and how the solver fared with each."""

    u: Voltages
    i_cell: Voltages
    ok: Bool[Array, " n"] | np.ndarray  # as a tangent: JAX's float0, which is a NumPy type
    steps: Int[Array, " n"] | np.ndarray


def cells(solver: AbstractSolver, problem: Problem, e: Voltages) -> Cells:
    """Solve the cell equation for the drives `e`, with exact derivatives."""
    # What the solver prepares is a constant of the derivative rules, shared by all of them.
    state = solver.factor(lax.stop_gradient(problem))
    return _cells(solver, lax.stop_gradient(state), problem.g, problem.wires, e)


def matrix(solver: AbstractSolver, problem: Problem) -> tuple[Transfer, Bool[Array, ""]]:
    """Transfer matrix and whether it is right, with exact derivatives."""
    state = solver.factor(lax.stop_gradient(problem))
    return _matrix(solver, lax.stop_gradient(state), problem.g, problem.wires)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _cells(
    solver: AbstractSolver, state: Any, g: Float[Array, "rows cols"], wires: Wires, e: Voltages
) -> Cells:
    return _respond(solver, state, problem_of(g, wires), e, None)


@_cells.defjvp
def _cells_jvp(solver: AbstractSolver, primals: tuple, tangents: tuple) -> tuple[Cells, Cells]:
    state, g, wires, e = primals
    _, dg, dwires, de = tangents
    out = _cells(solver, state, g, wires, e)

    def drop(wires: Wires) -> Voltages:
        return drop_of(wires, g)(out.i_cell)

    _, d_drop = jax.jvp(drop, (wires,), (dwires,))
    du, di = linear_response(solver, state, problem_of(g, wires), de - d_drop, dg * out.u)
    none = np.zeros(out.ok.shape, jax.dtypes.float0)
    return out, Cells(du, di, none, none)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _matrix(
    solver: AbstractSolver, state: Any, g: Float[Array, "rows cols"], wires: Wires
) -> tuple[Transfer, Bool[Array, ""] | np.ndarray]:
    return solver.transfer(state, problem_of(g, wires))


def _matrix_jvp(solver: AbstractSolver, primals: tuple, tangents: tuple) -> tuple:
    state, g, wires = primals
    values, structure = jax.tree.flatten((g, wires))
    changes = jax.tree.leaves(tuple(tangents[1:]), is_leaf=is_zero)
    # What does not change is left out: its derivative would be computed, and be zero.
    live = [k for k, change in enumerate(changes) if not is_zero(change)]

    def found(*moving: Array) -> tuple:
        every = list(values)
        for k, value in zip(live, moving, strict=True):
            every[k] = value
        g, wires = jax.tree.unflatten(structure, every)
        if solver.own_transfer is not None:
            return solver.own_transfer(problem_of(g, wires))
        cells = _cells(solver, state, g, wires, unit_drives(g))
        return transfer_from(cells.i_cell), jnp.all(cells.ok)

    at, along = tuple(values[k] for k in live), tuple(changes[k] for k in live)
    (matrix, ok), (d_matrix, _) = jax.jvp(found, at, along)
    # Nobody looks at the status of a derivative, so one that missed its tolerance becomes NaN: by a
    # factor, which reverse mode has too, where a choice of NaN would become a gradient of zero.
    d_matrix = d_matrix * jnp.where(ok, 1, jnp.nan).astype(d_matrix.dtype)
    return (matrix, ok), (d_matrix, np.zeros((), jax.dtypes.float0))


_matrix.defjvp(_matrix_jvp, symbolic_zeros=True)


def is_zero(tangent: Any) -> bool:
    """Whether a derivative rule's input does not change at all."""
    return isinstance(tangent, SymbolicZero)


def _respond(
    solver: AbstractSolver, state: Any, problem: Problem, s: Voltages, q: Voltages | None
) -> Cells:
    """Voltages and currents for series sources `s` and parallel sources `q`, if there are any."""
    drive = s if q is None else s - problem.drop(q)
    size = jnp.max(jnp.abs(drive), axis=(-2, -1), keepdims=True)
    size = jnp.where(size == 0, 1, size)  # keeps small drives clear of underflow
    answer = solver.cell_voltages(state, problem, drive / size)
    u = answer.u * size
    i_cell = problem.g * u
    return Cells(u, i_cell if q is None else q + i_cell, answer.ok, answer.steps)


def linear_response(
    solver: AbstractSolver, state: Any, problem: Problem, s: Voltages, q: Voltages
) -> Pair:
    """`_respond` as a linear map of its sources that JAX can transpose and differentiate.

    Nobody looks at the status of these solves, so one that missed its tolerance becomes NaN.
    """
    frozen = lax.stop_gradient(problem)

    # Voltages and currents travel as one stacked array: JAX transposes a linear solve only if its
    # whole right-hand side is differentiated, never a part of it.
    def law(pair: Pair) -> Pair:
        u, i_cell = pair
        return jnp.stack([u + problem.drop(i_cell), i_cell - problem.g * u])

    def answer(_: Any, sources: Pair) -> Pair:
        found = _respond(solver, state, frozen, *sources)
        pair = jnp.stack([found.u, found.i_cell])
        return jnp.where(found.ok[:, None, None], pair, jnp.nan)

    def transposed(_: Any, cotangents: Pair) -> Pair:
        return answer(_, cotangents[::-1])[::-1]

    return lax.custom_linear_solve(law, jnp.stack([s, q]), answer, transposed)
