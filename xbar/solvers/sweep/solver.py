"""Direct elimination column by column: right for every legal circuit, whatever the wire resistance.

The equations are those of `xbar.solvers.sweep.elimination`.
"""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool

from xbar.circuit import Wires
from xbar.solvers.base import (
    AbstractSolver,
    Answer,
    Drives,
    Problem,
    Transfer,
    TransferChange,
    check_rtol,
    default_rtol,
    is_zero,
    problem_of,
    reflected,
    reflected_answer,
    transposed,
)
from xbar.solvers.batching import chosen, per_array, repaired
from xbar.solvers.sweep import voltages
from xbar.solvers.sweep.change import ColumnAnswers, WireChange, answers_of, transfer_change
from xbar.solvers.sweep.elimination import Column, Sweep, columns_of, transfer_of
from xbar.solvers.sweep.nodes import lost_in
from xbar.solvers.sweep.transfer import is_mild, mild_answers, mild_transfer

# Up to so many cells on the shorter side the elimination takes no longer than what is made for mild
# drop alone, and compiles in a third of the time (benchmarks/log.md).
SMALL_SIDE = 32
# Numbers that arrays side by side may have: what fits a processor's second-level cache.
LANES_SIZE = 2**15
# Beyond, nothing is gained.
MOST_LANES = 16


class ColumnSweep(AbstractSolver):
    """Direct solver: eliminates bit lines, then walks the columns; for severe drop and many inputs.

    Walks along the longer side of the array (the roles of word and bit lines can be exchanged:
    reciprocity), at a cost of about ``6 min(rows, cols)^3 max(rows, cols)`` operations.

    ```python
    t = xb.transfer(array, solver=xb.ColumnSweep())
    ```

    Args:
        rtol: bound on the error of every current, relative to the largest current, and of every
            node voltage, relative to the largest drive; None means 1e-10 in float64 and 1e-5 in
            float32.

    Raises:
        ValueError: an option out of range.
    """

    rtol: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_rtol("ColumnSweep", self.rtol)

    def factor(self, problem: Problem) -> Sweep | Column:
        """Every column's mesh, from the open end to the source."""
        return _per_array(lambda problem: voltages.prepared(_flat(problem)), problem)(problem)

    def cell_voltages(self, state: Sweep | Column, problem: Problem, e: Drives) -> Answer:
        """Sweep for each drive, and refine on the residual of the cell equation if need be."""
        rtol = default_rtol(self.rtol, e.dtype)
        return _per_array(partial(_cell_voltages, rtol=rtol), problem)(state, problem, e)

    def transfer(
        self, problem: Problem, *, fallback: bool = True
    ) -> tuple[Transfer, Bool[Array, ""]]:
        """By the elimination; by `mild_transfer` where arrays are large and drop mild.

        Args:
            problem: the array.
            fallback: whether the elimination stands behind the sweep for mild drop.
        """
        if _is_small(problem):
            return self.eliminated_transfer(problem)
        rtol = default_rtol(self.rtol, problem.g.dtype)
        found = per_array(partial(_mild_transfer, rtol=rtol))(problem)
        if not fallback:
            return found
        return repaired(found[1], found, self.eliminated_transfer, problem)

    def eliminated_transfer(self, problem: Problem) -> tuple[Transfer, Bool[Array, ""]]:
        """By the elimination, whatever the drop."""
        rtol = default_rtol(self.rtol, problem.g.dtype)
        return _per_array(partial(_transfer, rtol=rtol), problem)(problem)

    def transfer_change(
        self, problem: Problem, dg: Any, dwires: Any, *, fallback: bool = True
    ) -> TransferChange:
        """From how the array answers its inputs (`xbar.solvers.sweep.change`)."""
        flat = _flat(problem)
        turned = flat is not problem
        if turned:
            dg = dg if is_zero(dg) else reflected(dg)
            dwires = _exchanged(dwires)
        rtol = default_rtol(self.rtol, problem.g.dtype)
        matrix, ok, answers = _found(_Options(rtol, fallback), flat.g, flat.wires)
        dg = jnp.zeros_like(flat.g) if is_zero(dg) else dg
        change = transfer_change(answers, flat, matrix, dg.T, _by_columns(dwires, flat))
        if turned:
            matrix, change = reflected(matrix), reflected(change)
        return TransferChange(matrix, ok, change)


def _flat(problem: Problem) -> Problem:
    """The problem with at least as many columns as rows."""
    rows, cols = problem.g.shape
    return problem if rows <= cols else transposed(problem)


def _is_small(problem: Problem) -> bool:
    return min(problem.g.shape) <= SMALL_SIDE


def sweep_lanes(shape: tuple[int, ...]) -> int:
    """Arrays of this shape that a CPU eliminates side by side: as many as stay in its cache."""
    rows, cols = sorted(shape)
    return max(1, min(MOST_LANES, LANES_SIZE // (rows * (rows + cols))))


def _per_array(function: Any, problem: Problem) -> Any:
    """`per_array` with as many arrays side by side as stay in a processor's cache."""
    return per_array(function, sweep_lanes(problem.g.shape))


def _cell_voltages(state: Sweep | Column, problem: Problem, e: Drives, rtol: float) -> Answer:
    flat = _flat(problem)
    if flat is problem:
        return voltages.cell_voltages(state, flat, e, rtol)
    return reflected_answer(voltages.cell_voltages(state, flat, reflected(e), rtol))


def _transfer(problem: Problem, rtol: float) -> tuple[Transfer, Bool[Array, ""]]:
    flat = _flat(problem)
    matrix = transfer_of(columns_of(flat), rtol)
    return (matrix if flat is problem else reflected(matrix)), _is_right(matrix, rtol)


def _is_right(matrix: Transfer, rtol: float) -> Bool[Array, ""]:
    """Whether an elimination meets the tolerance: by what it may lose, since none subtracts."""
    rows, cols = sorted(matrix.shape)
    lost = min(lost_in(rows, cols, matrix.dtype, apart=apart) for apart in (False, True))
    return jnp.all(jnp.isfinite(matrix)) & (lost <= rtol)


def _mild_transfer(problem: Problem, rtol: float) -> tuple[Transfer, Bool[Array, ""]]:
    flat = _flat(problem)
    matrix, ok = mild_transfer(flat, rtol)
    return (matrix if flat is problem else reflected(matrix)), ok


def _exchanged(dwires: Any) -> Any:
    """A change of wires, as seen from the outputs; what does not change stays so."""
    changes, structure = jax.tree.flatten(dwires, is_leaf=is_zero)
    word, bit, source, sense = (x if is_zero(x) else reflected(x) for x in changes)
    return jax.tree.unflatten(structure, [bit, word, sense, source])


def _by_columns(dwires: Any, flat: Problem) -> WireChange:
    """A change of wires as the columns of an array have it."""
    (rows, cols), dtype = flat.g.shape, flat.g.dtype

    def of(change: Any, *shape: int) -> Array | None:
        return None if is_zero(change) else jnp.broadcast_to(change, shape).astype(dtype).T

    word, bit, source, sense = jax.tree.leaves(dwires, is_leaf=is_zero)
    return WireChange(of(word, rows, cols), of(bit, rows, cols), of(source, rows), of(sense, cols))


class _Options(NamedTuple):
    rtol: float
    fallback: bool  # the elimination, where drop is not mild


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _found(options: _Options, g: Array, wires: Wires) -> tuple[Transfer, Any, ColumnAnswers]:
    """T, whether it is right, and how the array answers; g has at least as many columns as rows."""

    def by_sweep(g: Array, wires: Wires) -> tuple:
        matrix, answers = answers_of(problem_of(g, wires), options.rtol)
        return matrix, _is_right(matrix, options.rtol), answers

    def by_mild(g: Array, wires: Wires) -> tuple:
        return mild_answers(problem_of(g, wires), options.rtol)

    def found(g: Array, wires: Wires) -> tuple:
        # Chosen beforehand, not repaired afterwards: a repair would hold both results in memory,
        # and more than 32 MiB are mapped anew by the C library at each call.
        mild = is_mild(problem_of(g, wires), options.rtol)
        return chosen(jnp.where(mild, 0, 1), [by_mild, by_sweep], g, wires)

    problem = problem_of(g, wires)
    if _is_small(problem):
        return _per_array(by_sweep, problem)(g, wires)
    return per_array(found if options.fallback else by_mild)(g, wires)


@_found.defjvp
def _found_jvp(options: _Options, primals: tuple, tangents: tuple) -> tuple:
    """Derivatives of the answers themselves, for second derivatives of T."""

    def by_sweep(g: Array, wires: Wires) -> tuple:
        matrix, answers = answers_of(problem_of(g, wires), options.rtol)
        return matrix, _is_right(matrix, options.rtol), answers

    return jax.jvp(by_sweep, primals, tangents)
