"""Solve an array: the only entry point to the solvers."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.core import Tracer
from jaxtyping import Bool, Float

from xbar.cells.base import first_illegal
from xbar.checks import as_real, flag, is_concrete
from xbar.circuit import RESULTS, Bias, Crossbar, Solution
from xbar.programs import program
from xbar.solvers import AbstractSolver, Auto, ColumnSweep
from xbar.solvers.auto import first_alone, first_of, is_alone, newton_of
from xbar.solvers.base import Answer, Drives, Problem, Voltages, not_negative, problem_of
from xbar.solvers.derivatives import (
    CellSolution,
    also,
    cells,
    filled,
    legal_law,
    marked,
    matrix,
    operating_points,
    possible,
)
from xbar.solvers.lines import product
from xbar.solvers.sparse import sparse_answer
from xbar.solvers.wiring import solve_wired, transfer_wired


def solve(
    array: Crossbar, v_in: Any, solver: AbstractSolver | None = None, *, throw: bool = True
) -> Solution:
    """Node voltages and currents of an array for one or many input vectors.

    Exact for every legal array: zero resistances, open cells, any voltage drop. Differentiable to
    any order with respect to conductances, wires and inputs; works under `jit` and `vmap`.

    ```python
    sol = xb.solve(xb.Crossbar(g, xb.Wires(1.0, 1.0)), v_in)  # g in siemens, v_in in volt
    print(sol.i_out, sol.v_word, sol.p_total)
    ```

    Args:
        array: the circuit.
        v_in: driver voltages (rows,) or (rows, n) [V]; or a `Bias`, for voltages at the bit lines
            and at far ends and for lines that float.
        solver: how to solve; `Auto()` by default, or `Newton()` where the cells are not linear. A
            linear solver given for those is the one that Newton's method uses.
        throw: raise where the result is not `RESULTS.successful`. Inside `jit` and `vmap`, where
            nothing can be raised, the failed array's numbers become NaN instead. With False a
            result that missed its tolerance is returned as it is, marked by `result`; one whose
            inputs were invalid is NaN either way. Derivatives of what failed are always NaN.

    Returns:
        A `Solution`; shapes and units are listed there.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: a shape that does not fit, or (with `throw`) a value that is not legal.
        RuntimeError: (with `throw`) the result missed the solver's tolerance.
    """
    array, solver = _check_circuit(array, solver)
    throw = flag("throw", throw)
    v_in = v_in if isinstance(v_in, Bias) else _inputs(array, v_in)
    if isinstance(v_in, Bias) or not array.is_plain:
        bias = v_in if isinstance(v_in, Bias) else Bias(v_in)
        solution, right = solve_wired(array, bias, solver, fill=throw), None
    else:
        solution, right = _solve_plain(array, v_in, solver, fill=throw)
    if throw and not _is_known(right):
        _raise_failed(solution.result, array, v_in)
    return solution


def _is_known(right: Array | None) -> bool:
    """Whether it is known that a result is right: a look at a number, where `RESULTS` take four."""
    return right is not None and not isinstance(right, Tracer) and bool(right)


def _solve_plain(
    array: Crossbar, v_in: Array, solver: AbstractSolver, fill: bool
) -> tuple[Solution, Array]:
    """One program; or, outside of `jit`, one for each method of the default that is needed.

    Returns:
        The solution, and whether it is right.
    """
    if not is_alone(solver, array, v_in):
        return _solve(array, v_in, solver, fill)
    first, sparse = first_of(solver, array.g, 1 if v_in.ndim == 1 else v_in.shape[1])
    found, right = _solve(array, v_in, first, fill)
    if bool(right) or not _missed(found) or isinstance(first, ColumnSweep):
        return found, right
    if sparse:
        known = _by_sparse(array, v_in, solver)
        if known is not None:
            found, right = _solve(array, v_in, first, fill, known)
    if _missed(found):
        found, right = _solve(array, v_in, ColumnSweep(solver.rtol), fill)
    return found, right


def _by_sparse(array: Crossbar, v_in: Array, solver: Auto) -> Answer | None:
    dtype = jnp.result_type(array.dtype, v_in)
    numbers = (array.g, array.wires, v_in)
    g, wires, v_in = jax.tree.map(partial(jnp.asarray, dtype=dtype), numbers)
    return sparse_answer(g, wires, _drives(v_in), solver.rtol)


def _missed(found: Solution) -> bool:
    return bool(found.result == RESULTS.tolerance_missed)


def _drives(v_in: Array) -> Drives:
    """Drives of the word lines' ends, input by input."""
    return (v_in.T if v_in.ndim == 2 else v_in[None])[:, :, None]


def _inputs(array: Crossbar, v_in: Any) -> Array:
    v_in = as_real("v_in", v_in)
    if v_in.ndim not in (1, 2) or v_in.shape[0] != array.rows or 0 in v_in.shape:
        raise ValueError(
            f"v_in: got shape {v_in.shape}, needs (rows,) or (rows, n) with rows = {array.rows}"
        )
    return v_in


def transfer(
    array: Crossbar,
    bias: Bias | AbstractSolver | None = None,
    solver: AbstractSolver | None = None,
    *,
    throw: bool = True,
) -> Float[Array, "cols rows"]:
    """Transfer matrix T of an array: ``i_out = T @ v_in`` for every input.

    ```python
    t = xb.transfer(array)  # (cols, rows) siemens
    i_out = t @ v_in
    ```

    Args:
        array: the circuit.
        bias: which lines float; its voltages are not looked at. Drivers at the word lines' far ends
            follow their near ends, unless the bias gives them voltages of their own, which count
            as held. None (default) for no floating line. A solver may stand in its place.
        solver: how to solve; `Auto()` by default.
        throw: as for `solve`; without it a T that missed its tolerance is returned unmarked, but
            its derivatives are NaN.

    Returns:
        T (cols, rows) [S]; every entry is >= 0 up to rounding.

    Raises:
        TypeError, ValueError, RuntimeError: as `solve`.
    """
    if isinstance(bias, AbstractSolver | type):  # a solver may stand second, too
        bias, solver = None, cast(AbstractSolver, bias)
    array, solver = _check_circuit(array, solver)
    throw = flag("throw", throw)
    if bias is not None and not isinstance(bias, Bias):
        raise TypeError(f"bias: got {type(bias).__name__}, needs xbar.Bias or None")
    if not array.cells.linear:
        raise ValueError(
            f"array: got {type(array.cells).__name__} cells, for which no transfer matrix holds at "
            "every input; needs linear cells: use xbar.solve(array, v_in), or the array at one "
            "operating point, xbar.linearise(array, v_in)"
        )
    if bias is not None or not array.is_plain:
        found, result = transfer_wired(array, bias, solver, fill=throw)
    else:
        found, result = first_alone(partial(_transfer, array, fill=throw), solver, array)
    if throw:
        _raise_failed(result, array, None)
    return found


def _check_circuit(
    array: Crossbar, solver: AbstractSolver | None
) -> tuple[Crossbar, AbstractSolver]:
    if not isinstance(array, Crossbar):
        raise TypeError(f"array: got {type(array).__name__}, needs xbar.Crossbar")
    solver = Auto() if solver is None else solver
    if not isinstance(solver, AbstractSolver):
        raise TypeError(f"solver: got {solver!r}, needs a solver object such as xbar.CG(), or None")
    shape = array.cells.shape
    if len(shape) != 2:
        raise ValueError(
            f"Crossbar.g: got shape {shape}, needs (rows, cols); "
            "solve a batch of arrays with jax.vmap"
        )
    return array, solver


def _raise_failed(result: RESULTS, array: Crossbar, v_in: Array | Bias | None) -> None:
    """Raise a sentence about what failed, if the result can be looked at and is not a success."""
    if not is_concrete(result):
        return
    if bool(result == RESULTS.successful) or bool(result == RESULTS.floating):
        return
    if result in (RESULTS.tolerance_missed, RESULTS.cells_out_of_range):
        raise RuntimeError(RESULTS[result])
    known = result == RESULTS.invalid_cells and is_concrete(array)
    if known and (found := first_illegal(array.cells)) is not None:
        name, value, at, needs = found
        raise ValueError(f"{name}: got {value}{f' at {at}' if at else ''}, needs {needs}.")
    illegal = {
        **({"Crossbar.g": (array.g, 0.0)} if array.cells.linear else {}),
        **{f"Wires.{name}": (leaf, 0.0) for name, leaf in array.wires.leaves.items()},
        **_voltages(v_in),
    }
    for name, (values, least) in illegal.items():
        values = lax.stop_gradient(values)  # under an eager derivative, the numbers themselves
        if values is None or not is_concrete(values):
            continue
        where = jnp.argwhere(~(jnp.isfinite(values) & (values >= least)))
        if len(where):
            at = tuple(int(k) for k in where[0])
            place = f" at {at}" if at else ""
            raise ValueError(f"{name}: got {float(values[at])}{place}. {RESULTS[result]}")
    raise ValueError(RESULTS[result])


def _voltages(v_in: Array | Bias | None) -> dict[str, tuple[Array | None, float]]:
    if not isinstance(v_in, Bias):
        return {"v_in": (v_in, -jnp.inf)}
    return {
        f"Bias.{name}": (getattr(v_in, name), -jnp.inf)
        for name in ("word", "bit", "word_far", "bit_far")
    }


@program(static_argnames=("solver", "fill"))
def _solve(
    array: Crossbar, v_in: Array, solver: AbstractSolver, fill: bool, known: Answer | None = None
) -> tuple[Solution, Bool[Array, ""]]:
    dtype = jnp.result_type(array.dtype, v_in)
    problem, legal = _prepare(array, dtype, solver)
    inputs = v_in.astype(dtype)
    finite = jnp.all(jnp.isfinite(inputs))
    inputs = marked(inputs, ~finite, jnp.where(finite, inputs, 0))
    e = _drives(inputs)
    found = _found(array, problem, solver, e) if known is None else _as_found(problem, known)
    i_cell = found.cells.i_cell
    v_word, v_bit = e - found.cells.word, found.cells.bit
    kcl = _kcl_residual(found.current(v_word - v_bit), i_cell)
    result = RESULTS.where(finite, legal, RESULTS.invalid_input)
    for ok, otherwise in found.checks:
        result = also(result, jnp.all(ok), otherwise)
    # As a product: the sum that XLA's CPU library makes of it took 25 us of 175 (65x100, float32).
    i_out = product(np.ones(problem.g.shape[0], dtype), i_cell)
    numbers = (
        i_out,
        v_word,
        v_bit,
        i_cell,
        jnp.sum(e[:, :, 0] * jnp.sum(i_cell, axis=-1), axis=-1),
        kcl,
    )
    numbers = filled(numbers, result, fill | ~possible((e,), (v_word, v_bit)))
    single = inputs.ndim == 1
    i_out, v_word, v_bit, i_cell, p_total = (
        x[0] if single else jnp.moveaxis(x, 0, -1) for x in numbers[:-1]
    )

    def by_input(x: Any) -> Any:
        return None if x is None else jnp.asarray(x[0] if single else x)

    steps, inner = map(by_input, found.steps)
    solution = Solution(
        i_out, v_word, v_bit, i_cell, p_total, result, numbers[-1], steps, inner_steps=inner
    )
    return solution, result == RESULTS.successful


class _Found(NamedTuple):
    """What a solver found, in one form for every kind of cells."""

    cells: CellSolution
    current: Callable[[Any], Any]  # the cells' law
    checks: list[tuple[Any, RESULTS]]  # what has to be true, and the result if it is not
    steps: tuple[Any, Any]  # the solver's, and the inner solver's if there is one


def _found(array: Crossbar, problem: Problem, solver: AbstractSolver, e: Drives) -> _Found:
    if array.cells.linear:
        return _of_linear(problem, cells(solver, problem, e))
    law, legal = legal_law(array.cells, e.dtype)
    full = jnp.broadcast_to(e, (len(e), *problem.g.shape))
    found = operating_points(newton_of(solver), law, problem.wires, full)
    i_cell = found.i_cell
    drops = problem.drop.word(i_cell), problem.drop.bit(i_cell)
    checks = [
        (legal, RESULTS.invalid_cells),
        (found.holds, RESULTS.cells_out_of_range),
        (found.ok, RESULTS.tolerance_missed),
    ]
    cells_ = CellSolution(found.u, i_cell, *drops, found.ok, found.steps)
    return _Found(cells_, law.current, checks, (found.steps, found.inner_steps))


def _of_linear(problem: Problem, found: CellSolution) -> _Found:
    checks = [(found.ok, RESULTS.tolerance_missed)]
    return _Found(found, lambda u: problem.g * u, checks, (found.steps, None))


def _as_found(problem: Problem, known: Answer) -> _Found:
    """What was found outside of the program, where there are no derivatives to take."""
    i_cell = problem.g * known.u
    cells_ = CellSolution(known.u, i_cell, known.word, known.bit, known.ok, known.steps)
    return _of_linear(problem, cells_)


@program(static_argnames=("solver", "fill"))
def _transfer(
    array: Crossbar, solver: AbstractSolver, fill: bool
) -> tuple[Float[Array, "cols rows"], RESULTS]:
    problem, result = _prepare(array, array.dtype, solver)
    found, ok = matrix(solver, problem)
    result = also(result, ok, RESULTS.tolerance_missed)
    (found,) = filled((found,), result, fill)
    return found, result


def legal_problem(array: Crossbar, dtype: jnp.dtype) -> tuple[Problem, RESULTS]:
    """The array in one precision, with harmless zeros in place of illegal values.

    Derivatives with respect to illegal values are NaN.
    """
    if not array.is_plain:
        raise ValueError(
            "array: got drivers at far ends, or line faults, which this does not treat; "
            "needs an array without them"
        )

    g_legal = not_negative(array.g)
    wires_legal = jnp.all(jnp.stack([not_negative(x) for x in array.wires.leaves.values()]))

    def harmless(x: Array, ok: Bool[Array, ""]) -> Array:
        x = x.astype(dtype)
        return marked(x, ~ok, jnp.where(ok, x, 0))

    g = harmless(array.g, g_legal)
    wires = jax.tree.map(lambda x: harmless(x, wires_legal), array.wires)
    problem = problem_of(g, wires)
    result = RESULTS.where(g_legal, RESULTS.successful, RESULTS.invalid_conductance)
    return problem, also(result, wires_legal, RESULTS.invalid_wires)


def _prepare(array: Crossbar, dtype: jnp.dtype, solver: AbstractSolver) -> tuple[Problem, RESULTS]:
    if not array.cells.linear:  # no conductances: zeros stand for them
        array = Crossbar(jnp.zeros(array.cells.shape, dtype), array.wires)
    problem, result = legal_problem(array, dtype)
    return problem, also(result, solver.accepts(problem), RESULTS.wires_not_zero)


def _kcl_residual(carried: Voltages, i_cell: Voltages) -> Float[Array, ""]:
    """How far the currents that the node voltages drive through the cells are from `i_cell`."""
    left = jnp.max(jnp.abs(carried - i_cell), axis=(-2, -1))
    largest = jnp.max(jnp.abs(i_cell), axis=(-2, -1))
    ratio = jnp.where(
        largest == 0, jnp.where(left == 0, 0, jnp.inf), left / jnp.where(largest == 0, 1, largest)
    )
    return lax.stop_gradient(jnp.max(ratio))
