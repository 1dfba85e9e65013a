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

Cells that are not linear obey ``u + drop(I(u; p)) = e`` at the solution. There a change of
parameters, wires and drives leaves

    du + drop(di) = de - d_drop(i)          di - g du = (dI/dp) dp          g = I'(u)

which is the linear array with conductances g, and the law's change at fixed voltage in the place of
``dg u``. One linear solve for each input, whatever the steps that found u.

Here, too, is the one place that decides what a failed result leaves of the numbers.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Bool, Float, Int, PyTree

from xbar.cells import AbstractCell
from xbar.cells.base import is_legal
from xbar.circuit import RESULTS, Wires
from xbar.solvers.base import (
    AbstractSolver,
    Drives,
    Problem,
    Transfer,
    TransferChange,
    Voltages,
    is_zero,
    problem_of,
    transfer_from,
    unit_drives,
)
from xbar.solvers.lines import drop_of
from xbar.solvers.newton import Newton, NewtonAnswer
from xbar.solvers.recurrence import size_of

Pair = Float[Array, "2 n rows cols"]


class CellSolution(NamedTuple):
    """Cell voltages, currents and IR drop of `n` drives, and how the solver fared with each."""

    u: Voltages
    i_cell: Voltages
    word: Voltages  # lost on the word line before each cell [V]
    bit: Voltages  # of each bit-line node above the virtual ground [V]
    ok: Bool[Array, " n"] | np.ndarray  # as a tangent: JAX's float0, which is a NumPy type
    steps: Int[Array, " n"] | np.ndarray


def marked(x: Array, bad: Array, shown: Array | float | None = None) -> Array:
    """`x` with NaN as its derivative in every mode and order where it is `bad`.

    A choice of NaN by `jnp.where` would have a gradient of zero: "does not matter".

    Args:
        x: any numbers.
        bad: where they are not to be trusted, ().
        shown: what to return in place of `x`.
    """
    return _marked(x, bad, x if shown is None else jnp.broadcast_to(shown, x.shape).astype(x.dtype))


@jax.custom_jvp
def _marked(x: Array, bad: Array, shown: Array) -> Array:
    return shown


@_marked.defjvp
def _marked_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    x, bad, shown = primals
    factor = jnp.where(bad, jnp.nan, 1).astype(x.dtype)
    return _marked(x, bad, shown), factor * tangents[0]


def cells(solver: AbstractSolver, problem: Problem, e: Drives) -> CellSolution:
    """Solve the cell equation for the drives `e`, with exact derivatives."""
    # What the solver prepares is a constant of the derivative rules, shared by all of them.
    state = solver.factor(lax.stop_gradient(problem))
    return _cells(solver, lax.stop_gradient(state), problem.g, problem.wires, e)


def matrix(solver: AbstractSolver, problem: Problem) -> tuple[Transfer, Bool[Array, ""]]:
    """Transfer matrix and whether it is right, with exact derivatives."""
    return _matrix(solver, problem.g, problem.wires)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _cells(
    solver: AbstractSolver, state: Any, g: Float[Array, "rows cols"], wires: Wires, e: Drives
) -> CellSolution:
    return _respond(solver, state, problem_of(g, wires), e, None)


@_cells.defjvp
def _cells_jvp(
    solver: AbstractSolver, primals: tuple, tangents: tuple
) -> tuple[CellSolution, CellSolution]:
    state, g, wires, e = primals
    _, dg, dwires, de = tangents
    out = _cells(solver, state, g, wires, e)

    def drops(wires: Wires) -> tuple[Voltages, Voltages]:
        drop = drop_of(wires, g)
        return drop.word(out.i_cell), drop.bit(out.i_cell)

    _, (d_word, d_bit) = jax.jvp(drops, (wires,), (dwires,))
    problem = problem_of(g, wires)
    du, di = linear_response(solver, state, problem, de - d_word - d_bit, dg * out.u)
    d_word, d_bit = d_word + problem.drop.word(di), d_bit + problem.drop.bit(di)
    none = np.zeros(out.ok.shape, jax.dtypes.float0)
    return out, CellSolution(du, di, d_word, d_bit, none, none)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _matrix(
    solver: AbstractSolver, g: Float[Array, "rows cols"], wires: Wires
) -> tuple[Transfer, Bool[Array, ""] | np.ndarray]:
    return solver.transfer(problem_of(g, wires))


def _matrix_jvp(solver: AbstractSolver, primals: tuple, tangents: tuple) -> tuple:
    g, wires = primals
    found = solver.transfer_change(problem_of(g, wires), *tangents)
    if found is None:
        found = _change_by_cells(solver, g, wires, *tangents)
    # Nobody looks at the status of a derivative, so one that missed its tolerance becomes NaN: by a
    # factor, which reverse mode has too, where a choice of NaN would become a gradient of zero.
    change = found.change * jnp.where(found.ok, 1, jnp.nan).astype(found.change.dtype)
    return (found.matrix, found.ok), (change, np.zeros((), jax.dtypes.float0))


_matrix.defjvp(_matrix_jvp, symbolic_zeros=True)


def _change_by_cells(
    solver: AbstractSolver, g: Float[Array, "rows cols"], wires: Wires, dg: Any, dwires: Any
) -> TransferChange:
    """From the cell voltages of every unit drive."""

    def found(g: Array, wires: Wires) -> tuple:
        state = solver.factor(lax.stop_gradient(problem_of(g, wires)))
        cells = _cells(solver, lax.stop_gradient(state), g, wires, unit_drives(g))
        return transfer_from(cells.i_cell), jnp.all(cells.ok)

    return change_along(found, (g, wires), (dg, dwires))


def change_along(function: Callable[..., tuple], primals: tuple, tangents: tuple) -> TransferChange:
    """Value and derivative of a function that returns T and whether it is right.

    What does not change is left out: its derivative would be computed, and be zero.
    """
    values, structure = jax.tree.flatten(primals)
    changes = jax.tree.leaves(tangents, is_leaf=is_zero)
    live = [k for k, change in enumerate(changes) if not is_zero(change)]

    def of_live(*moving: Array) -> tuple:
        every = list(values)
        for k, value in zip(live, moving, strict=True):
            every[k] = value
        return function(*jax.tree.unflatten(structure, every))

    at, along = tuple(values[k] for k in live), tuple(changes[k] for k in live)
    (matrix, ok), (change, _) = jax.jvp(of_live, at, along)
    return TransferChange(matrix, ok, change)


def _respond(
    solver: AbstractSolver, state: Any, problem: Problem, s: Drives, q: Voltages | None
) -> CellSolution:
    """Voltages and currents for series sources `s` and parallel sources `q`, if there are any."""
    drive = s if q is None else s - problem.drop(q)
    size = size_of(drive)
    answer = solver.cell_voltages(state, problem, drive / size)
    u, word, bit = (size * x for x in (answer.u, answer.word, answer.bit))
    i_cell = problem.g * u
    if q is not None:
        i_cell, word, bit = i_cell + q, word + problem.drop.word(q), bit + problem.drop.bit(q)
    return CellSolution(u, i_cell, word, bit, answer.ok, answer.steps)


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
        return pair * jnp.where(found.ok, 1, jnp.nan).astype(pair.dtype)[:, None, None]

    def transposed(_: Any, cotangents: Pair) -> Pair:
        return answer(_, cotangents[::-1])[::-1]

    return lax.custom_linear_solve(law, jnp.stack([s, q]), answer, transposed)


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


def also(result: RESULTS, ok: Bool[Array, ""], otherwise: RESULTS) -> RESULTS:
    """Keep the first failure; a success also has to be `ok`."""
    return RESULTS.where((result == RESULTS.successful) & ~ok, otherwise, result)


def possible(drives: Sequence[Array], volts: Sequence[Array]) -> Bool[Array, ""]:
    """Whether node voltages are of the order of the drives, as those of any bad answer are.

    Exactly, none is beyond the drives at all. Numbers that are no answer, not even a bad one, are
    not shown.
    """

    def largest(parts: Sequence[Array]) -> Array:
        return jnp.max(jnp.stack([jnp.max(jnp.abs(part)) for part in parts]))

    return largest(volts) <= 100 * largest(drives)


def may_be_shown(result: RESULTS) -> Bool[Array, ""]:
    """Whether numbers of a failed result may be looked at: bad answers, but answers."""
    return (result == RESULTS.tolerance_missed) | (result == RESULTS.cells_out_of_range)


def filled(numbers: PyTree, result: RESULTS, fill: bool | Bool[Array, ""]) -> PyTree:
    """NaN in place of numbers that must not be used, and NaN as their derivatives in any case.

    Args:
        numbers: any arrays of one solution.
        result: of the solve. `RESULTS.floating` is a mark that neither fills nor fails.
        fill: whether numbers that missed their tolerance must not be used either.
    """
    failed = (result != RESULTS.successful) & (result != RESULTS.floating)
    unusable = failed & (fill | ~may_be_shown(result))
    return jax.tree.map(lambda x: marked(x, failed, jnp.where(unusable, jnp.nan, x)), numbers)
