"""The default solver: which method for which array and how many inputs (docs/choosing.md).

A table by what is known when a program is built, so that a program holds one method and at most one
to fall back upon:

| shorter side | up to 24 inputs | more inputs | transfer matrix |
|---|---|---|---|
| up to 8 cells | sweep | sweep | sweep |
| up to 160 | `CG`, then sweep | sweep | sweep |
| more | `CG`, then sweep | sweep while its factors fit, else `CG` | tiles, then sweep |

where "sweep" is `ColumnSweep`. `CG` takes time in proportion to the inputs and to the steps that
the drop costs; `ColumnSweep` first eliminates the array, whatever the drop, and then takes little
for each input; tiles give nothing but the transfer matrix, and that of a large array by far the
fastest. The elimination of `ColumnSweep` subtracts nothing and refines what it finds, so that it is
right for every legal circuit in any precision.
"""

from collections.abc import Callable
from typing import Any, TypeVar

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
from xbar.solvers.batching import repaired
from xbar.solvers.cg import CG
from xbar.solvers.derivatives import change_along
from xbar.solvers.newton import Newton
from xbar.solvers.sweep.solver import ColumnSweep
from xbar.solvers.sweep.voltages import factor_bytes
from xbar.solvers.tiles import tiled_transfer

# Up to here a sweep takes at most 40 us more for one input than CG, and a program of it alone less
# to compile than one of both (benchmarks/log.md).
DIRECT_SIDE = 8
# Where factoring and one pass over all inputs takes less than CG on each (benchmarks/log.md).
MANY_INPUTS = 24
# Memory that factors may take for many inputs at once; larger arrays stay with CG.
MAX_BYTES = 2**31
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
        return self._sweep.factor(problem) if _is_small(problem) else None

    def cell_voltages(self, state: Any, problem: Problem, e: Drives) -> Answer:
        """By the table above."""
        sweep = self._sweep
        if _is_small(problem):
            return sweep.cell_voltages(state, problem, e)

        def directly(problem: Problem, e: Drives) -> Answer:
            return sweep.cell_voltages(sweep.factor(problem), problem, e)

        if len(e) > MANY_INPUTS and 1.5 * factor_bytes(problem) <= MAX_BYTES:
            return directly(problem, e)
        answer = CG(self.rtol).cell_voltages(None, problem, e)
        if not self.fallback:
            return answer
        return repaired(jnp.all(answer.ok), answer, directly, problem, e)

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
    if isinstance(solver, Auto) and solver.fallback and array.cells.linear:
        if not is_outermost(array, inputs):
            return solved(solver)
        found = solved(Auto(solver.rtol, fallback=False))
        if bool(found[1] != RESULTS.tolerance_missed):
            return found
    return solved(solver)


def _is_small(problem: Problem) -> bool:
    return min(problem.g.shape) <= DIRECT_SIDE


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
