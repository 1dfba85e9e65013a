"""The default solver: which method for which array and how many inputs (docs/choosing.md).

A table by what is known when a program is built, so that a program holds one method and at most one
to fall back upon:

| shorter side | few inputs | more inputs | transfer matrix |
|---|---|---|---|
| up to 8 cells | sweep | sweep | sweep |
| up to 160 | `CG`, then sweep | sweep | sweep |
| more | `CG`, then sweep | sweep | tiles, then sweep |

where "sweep" is `ColumnSweep`, and few are up to 24 inputs or one for each 300 cells. `CG` takes
time in proportion to the inputs and to the steps that the drop costs; `ColumnSweep` first
eliminates the array, whatever the drop, and then takes little for each input; tiles give nothing
but the transfer matrix, and that of a large array by far the fastest. The elimination of
`ColumnSweep` subtracts no digits away and refines what it finds, so that it is right for every
legal circuit in any precision.

Outside of `jit` each method is a program of its own, and for few inputs of arrays of more than 32
lines sparse elimination on the host (`xbar.solvers.sparse`) stands between `CG` and the sweep.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeGuard, TypeVar

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool

from xbar.checks import flag
from xbar.circuit import RESULTS, Crossbar
from xbar.programs import is_outermost
from xbar.solvers.base import (
    AbstractSolver,
    Answer,
    Drives,
    Problem,
    Transfer,
    TransferChange,
    check_rtol,
    default_rtol,
    largest_current,
    probe,
    problem_of,
)
from xbar.solvers.batching import per_array, repaired
from xbar.solvers.cg import CG, default_steps, lanes_of
from xbar.solvers.derivatives import change_along
from xbar.solvers.newton import Newton
from xbar.solvers.sweep.solver import ColumnSweep
from xbar.solvers.tiles import tiled_transfer

# Up to here a sweep takes at most 40 us more for one input than CG, and a program of it alone less
# to compile than one of both (benchmarks/log.md).
DIRECT_SIDE = 8
# Inputs beyond which factoring and sweeps take less than CG on each, and cells for each of them in
# arrays of more than 85x85 (benchmarks/log.md).
MANY_INPUTS = 24
CELLS_PER_INPUT = 300
# Where sparse elimination takes as long as a sweep for one input (benchmarks/log.md).
SPARSE_SIDE = 32
# Steps of `CG` that take as long as sparse elimination of an array of any size, or as the sweep of
# 65x65; of larger arrays the sweep takes as long as steps in proportion to the cells.
STEPS = 300
# Where a sweep over columns takes as long as dividing and conquering (benchmarks/log.md).
TILED_SIDE = 160

Found = TypeVar("Found")


class Auto(AbstractSolver):
    """The fastest method for the array's size, and one that is always right behind it.

    ```python
    sol = xb.solve(array, v_in, solver=xb.Auto(rtol=1e-12))
    ```

    Args:
        rtol: bound on the error of every current, relative to the largest current of the input, and
            of every node voltage, relative to the largest drive; None means 1e-10 in float64 and
            1e-5 in float32.
        fallback: whether the second method stands behind the first in every program. Without it a
            program compiles in half the time, and what the first method missed is marked
            `tolerance_missed`. Outside of `jit` that is what runs first in any case.

    Raises:
        ValueError, TypeError: an option out of range, or of the wrong kind.
    """

    rtol: float | None = eqx.field(static=True, default=None)
    fallback: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        check_rtol("Auto", self.rtol)
        flag("Auto.fallback", self.fallback)

    def factor(self, problem: Problem) -> Any:
        """What the sweep needs, where it comes first whatever the number of inputs."""
        return self._sweep.factor(problem) if _is_small(problem.g) else None

    def cell_voltages(self, state: Any, problem: Problem, e: Drives) -> Answer:
        """By the table above."""
        sweep = self._sweep
        if _is_small(problem.g):
            return sweep.cell_voltages(state, problem, e)

        def directly(problem: Problem, e: Drives) -> Answer:
            return sweep.cell_voltages(sweep.factor(problem), problem, e)

        if not _by_cg(problem.g, len(e)):
            return directly(problem, e)
        if not self.fallback:
            return CG(self.rtol).cell_voltages(None, problem, e)
        first = _cg(self.rtol, _steps(problem.g, len(e), max(STEPS, problem.g.size // 14)))

        def both(problem: Problem, e: Drives) -> Answer:
            answer = first.of_one(problem, e)
            return repaired(jnp.all(answer.ok), answer, directly, problem, e)

        # Around both: a choice made once for a batch copies what the whole batch has found.
        return per_array(both, lanes_of(problem.g))(problem, e)

    def transfer(self, problem: Problem) -> tuple[Transfer, Bool[Array, ""]]:
        """By columns or by tiles."""
        if not _is_large(problem):
            return self._sweep.transfer(problem, fallback=self.fallback)
        found = self._by_tiles(problem)
        if not self.fallback:
            return found
        return repaired(found[1], found, self._sweep.eliminated_transfer, problem)

    def transfer_change(self, problem: Problem, dg: Any, dwires: Any) -> TransferChange:
        """By columns, or by differentiating the tiles."""
        if not _is_large(problem):
            return self._sweep.transfer_change(problem, dg, dwires, fallback=self.fallback)

        def found(g: Array, wires: Any) -> tuple[Transfer, Bool[Array, ""]]:
            return self._by_tiles(problem_of(g, wires))

        return change_along(found, (problem.g, problem.wires), (dg, dwires))

    @property
    def _sweep(self) -> ColumnSweep:
        return ColumnSweep(self.rtol)

    def _by_tiles(self, problem: Problem) -> tuple[Transfer, Bool[Array, ""]]:
        matrix = tiled_transfer(problem)
        fixed, found = lax.stop_gradient((problem, matrix))
        return matrix, _agrees(fixed, found, default_rtol(self.rtol, problem.g.dtype))


def newton_of(solver: AbstractSolver) -> Newton:
    """The solver for cells that are not linear: a linear one that is named works inside."""
    if isinstance(solver, Newton):
        return solver
    return Newton(rtol=solver.rtol) if isinstance(solver, Auto) else Newton(solver)


def first_alone(
    solved: Callable[[AbstractSolver], tuple[Found, RESULTS]],
    solver: AbstractSolver,
    array: Crossbar,
    *inputs: Any,
) -> tuple[Found, RESULTS]:
    """What `solved` finds, the first method by itself where a miss can be seen and mended.

    Outside of `jit`, `vmap` and derivatives the fallback is then a program of its own, which few
    results ask for.

    Args:
        solved: from a solver to what it finds and its result; one compiled program for each.
        solver: the one that was asked for.
        array: the circuit.
        inputs: whatever else the program takes.
    """
    if is_alone(solver, array, *inputs):
        found = solved(_without_fallback(solver.rtol))
        if bool(found[1] != RESULTS.tolerance_missed):
            return found
    return solved(solver)


@lru_cache(maxsize=64)  # making a solver takes as long as solving a small array
def _without_fallback(rtol: float | None) -> Auto:
    return Auto(rtol, fallback=False)


def is_alone(solver: AbstractSolver, array: Crossbar, *inputs: Any) -> TypeGuard[Auto]:
    """Whether the host can look at what the default's first method found, and go on from there."""
    repairs = isinstance(solver, Auto) and solver.fallback and array.cells.linear
    return repairs and is_outermost(array, inputs)


def first_of(solver: Auto, g: Array, inputs: int) -> tuple[AbstractSolver, bool]:
    """Outside of `jit`: the first method for an array like `g`; whether sparse elimination is next.

    Behind both stands the sweep.
    """
    if not _by_cg(g, inputs):
        return ColumnSweep(solver.rtol), False
    return _cg(solver.rtol, _steps(g, inputs, STEPS)), min(g.shape) > SPARSE_SIDE


@lru_cache(maxsize=64)  # as above
def _cg(rtol: float | None, steps: int) -> CG:
    return CG(rtol, max_steps=steps, foresee=True)


def _steps(g: Array, inputs: int, worth: int) -> int:
    """Steps of `CG` that take a good part of the time of what stands behind it.

    Args:
        g: of an array like this.
        inputs: how many, which all take their steps where the other method is done once.
        worth: how many steps that is for one input.
    """
    return min(100 + worth // inputs, default_steps(g))


def _by_cg(g: Array, inputs: int) -> bool:
    """Whether `CG` comes first for so many inputs of an array like `g`."""
    return not (inputs > max(MANY_INPUTS, g.size // CELLS_PER_INPUT) or _is_small(g))


def _is_small(g: Array) -> bool:
    return min(g.shape) <= DIRECT_SIDE


def _is_large(problem: Problem) -> bool:
    return min(problem.g.shape) > TILED_SIDE


def _agrees(problem: Problem, matrix: Transfer, rtol: float) -> Bool[Array, ""]:
    """Whether a transfer matrix gives the currents that CG finds for one random input."""
    v_in = probe(problem.g.shape[0], problem.g.dtype)
    e = jnp.broadcast_to(v_in[:, None], problem.g.shape)[None]
    answer = CG(rtol).cell_voltages(None, problem, e)
    i_cell = problem.g * answer.u
    off = jnp.max(jnp.abs(matrix @ v_in - jnp.sum(i_cell[0], axis=0)))
    return answer.ok[0] & (off <= rtol * largest_current(i_cell)[0])
