"""What every solver offers: factor an array once, then find the cell voltages for many inputs.

With `e` the voltage that drives each cell (for plain inputs ``e[i, j] = v_in[i]``) and `drop` the
line operator of `xbar.solvers.drop`, a solver finds the cell voltages `u` of

    u + drop(g * u) = e

that is, `u = A^-1 e` with `A = I + drop . g`. A general `e` (a source in series with each cell) is
what derivatives and exact what-if need, so it is the one form that solvers are asked for.
"""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax import Array, lax, random
from jaxtyping import Bool, Float, Int

from xbar.circuit import Wires
from xbar.solvers.drop import Drop, drop_of

Voltages = Float[Array, "n rows cols"]
Transfer = Float[Array, "cols rows"]


class Problem(eqx.Module):
    """One array in one precision, ready for a solver: conductances, wires and line operator."""

    g: Float[Array, "rows cols"]
    wires: Wires
    drop: Drop

    def segments(self) -> tuple[Float[Array, "rows cols"], Float[Array, "rows cols"]]:
        """Resistance left of and below each cell [ohm]; sources and senses belong to the ends."""
        wires, shape, dtype = self.wires, self.g.shape, self.g.dtype
        word = jnp.broadcast_to(wires.word_line, shape).astype(dtype)
        bit = jnp.broadcast_to(wires.bit_line, shape).astype(dtype)
        word = word.at[:, 0].add(wires.source.astype(dtype))
        return word, bit.at[-1].add(wires.sense.astype(dtype))

    def residual(self, e: Voltages, u: Voltages) -> Voltages:
        """What is left of the cell equation, `e - u - drop(g u)` [V]."""
        return e - u - self.drop(self.g * u)


def problem_of(g: Float[Array, "rows cols"], wires: Wires) -> Problem:
    """Prepare an array for the solvers; `g` fixes the precision."""
    return Problem(g=g, wires=wires, drop=drop_of(wires, g))


class Answer(eqx.Module):
    """Cell voltages with what is known about them."""

    u: Voltages
    ok: Bool[Array, " n"]  # the error estimate of each input is within the solver's tolerance
    steps: Int[Array, " n"]  # iterations (0 for direct methods)


class Correction(NamedTuple):
    """A change of the cell voltages [V], whether it is as precise as asked, and its steps."""

    u: Float[Array, "rows cols"]
    ok: Bool[Array, ""]
    steps: Int[Array, ""]


class AbstractSolver(eqx.Module):
    """A way to solve the cell equation; its numbers are static options, hashable."""

    @abc.abstractmethod
    def factor(self, problem: Problem) -> Any:
        """Work on the array that all inputs share; returns a pytree."""

    @abc.abstractmethod
    def cell_voltages(self, state: Any, problem: Problem, e: Voltages) -> Answer:
        """Solve `u + drop(g u) = e` for `n` drives at once [V]."""

    @abc.abstractmethod
    def transfer(self, state: Any, problem: Problem) -> tuple[Transfer, Bool[Array, ""]]:
        """Output currents for 1 V on each row (cols, rows) [S], and whether they are right."""

    def correction(
        self, problem: Problem, residual: Float[Array, "rows cols"], reduction: Float[Array, ""]
    ) -> "Correction":
        """Solve `u + drop(g u) = residual` down to a part `reduction` of it, or better.

        What is left is measured in the norm weighted by g. One of Newton's steps: g is another
        each time.
        """
        answer = self.cell_voltages(self.factor(problem), problem, residual[None])
        return Correction(answer.u[0], answer.ok[0], answer.steps[0])

    @property
    def own_transfer(self) -> Callable[[Problem], tuple[Transfer, Bool[Array, ""]]] | None:
        """`transfer`, from the array on, as a function that JAX may differentiate; None if not."""
        return None

    def accepts(self, problem: Problem) -> Bool[Array, ""]:
        """Whether this solver can treat the array at all (`Ideal` needs zero wires)."""
        return jnp.asarray(True)


def unit_drives(g: Float[Array, "rows cols"], lines: Int[Array, " n"] | None = None) -> Voltages:
    """Drives whose currents give the transfer matrix: 1 V on each line of the shorter side.

    Reciprocity: 1 V on row k read at column o equals 1 V on column o read at row k.

    Args:
        g: conductances, for the shape and precision.
        lines: which of them; None for all. One that does not exist gets a drive of zero.
    """
    rows, cols = g.shape
    side = min(rows, cols)
    lines = jnp.arange(side) if lines is None else lines
    unit = (lines[:, None] == jnp.arange(side)).astype(g.dtype)
    e = unit[:, :, None] if rows <= cols else unit[:, None, :]
    return jnp.broadcast_to(e, (len(lines), rows, cols))


def transfer_from(i_cell: Voltages) -> Transfer:
    """The transfer matrix out of the cell currents of all `unit_drives`."""
    _, rows, cols = i_cell.shape
    return jnp.sum(i_cell, axis=-2).T if rows <= cols else jnp.sum(i_cell, axis=-1)


# Drives that are solved at a time where a transfer matrix is found drive by drive: enough for
# matrix products, few enough that temporary arrays stay small.
DRIVES = 8


def transfer_by_cells(
    solver: AbstractSolver, state: Any, problem: Problem
) -> tuple[Transfer, Bool[Array, ""]]:
    """`AbstractSolver.transfer` for a solver that knows nothing better, some drives at a time."""
    rows, cols = problem.g.shape
    side = min(rows, cols)

    def some(first: Int[Array, ""]) -> tuple[Array, Array]:
        e = unit_drives(problem.g, first + jnp.arange(DRIVES))
        answer = solver.cell_voltages(state, problem, e)
        return jnp.sum(problem.g * answer.u, axis=-2 if rows <= cols else -1), answer.ok

    currents, ok = lax.map(some, jnp.arange(0, side, DRIVES))
    currents = currents.reshape(-1, currents.shape[-1])[:side]
    return currents.T if rows <= cols else currents, jnp.all(ok)


def probe(n: int, dtype: jnp.dtype) -> Float[Array, " n"]:
    """Random signs, always the same: whatever is wrong somewhere shows in this combination."""
    return random.rademacher(random.key(0), (n,), dtype)


def transfer_agrees(
    solver: AbstractSolver, state: Any, problem: Problem, matrix: Transfer, rtol: float
) -> Bool[Array, ""]:
    """Whether a transfer matrix gives the currents that a solver finds for one random input."""
    v_in = probe(problem.g.shape[0], problem.g.dtype)
    answer = solver.cell_voltages(
        state, problem, jnp.broadcast_to(v_in[:, None], problem.g.shape)[None]
    )
    i_cell = problem.g * answer.u
    off = jnp.max(jnp.abs(matrix @ v_in - jnp.sum(i_cell[0], axis=0)))
    return answer.ok[0] & (off <= rtol * largest_current(i_cell)[0])


def largest_current(i_cell: Voltages) -> Float[Array, " n"]:
    """Largest magnitude among cell, row and output currents of each input [A]."""
    of_cells = jnp.max(jnp.abs(i_cell), axis=(-2, -1))
    of_rows = jnp.max(jnp.abs(jnp.sum(i_cell, axis=-1)), axis=-1)
    of_cols = jnp.max(jnp.abs(jnp.sum(i_cell, axis=-2)), axis=-1)
    return jnp.maximum(of_cells, jnp.maximum(of_rows, of_cols))


def _relative(wrong: Float[Array, " n"], largest: Float[Array, " n"]) -> Float[Array, " n"]:
    ratio = jnp.where(largest == 0, jnp.inf, wrong / jnp.where(largest == 0, 1, largest))
    return jnp.where(wrong == 0, 0, ratio)


def error_bound(
    g: Float[Array, "rows cols"], u: Voltages, residual: Voltages
) -> Float[Array, " n"]:
    """Bound on the error of any current, relative to the largest current of each input.

    `A` is self-adjoint in the inner product weighted by g, with eigenvalues >= 1, so the error
    `du` has ``|du|_g <= |residual|_g``. By Cauchy-Schwarz the current of a column is then wrong by
    at most ``sqrt(sum_i g_ij) |residual|_g``; that of a row or of a single cell likewise.
    """
    wrong = jnp.sqrt(_busiest_line(g) * jnp.sum(g * residual**2, axis=(-2, -1)))
    return _relative(wrong, largest_current(g * u))


def allowed_residual(g: Float[Array, "rows cols"], u: Voltages, rtol: float) -> Float[Array, " n"]:
    """The squared residual, in the inner product weighted by g, at which `error_bound` is `rtol`.

    Zero where there is no current, so that only a residual of zero will do.
    """
    line = _busiest_line(g)
    return (rtol * largest_current(g * u)) ** 2 / jnp.where(line == 0, 1, line)


def _busiest_line(g: Float[Array, "rows cols"]) -> Float[Array, ""]:
    """Largest sum of conductances along one line [S]."""
    return jnp.maximum(jnp.max(jnp.sum(g, axis=-2)), jnp.max(jnp.sum(g, axis=-1)))


def relative_change(g: Float[Array, "rows cols"], u: Voltages, du: Voltages) -> Float[Array, " n"]:
    """Largest current that `du` changes, relative to the largest current of each input."""
    return _relative(largest_current(g * du), largest_current(g * u))


def default_rtol(rtol: float | None, dtype: jnp.dtype) -> float:
    """Tolerance relative to the largest current: 1e-10 in float64, 1e-5 in float32."""
    if rtol is not None:
        return rtol
    return 1e-10 if dtype == jnp.float64 else 1e-5


def check_rtol(solver: str, rtol: float | None, *, name: str = "rtol") -> None:
    """Raise unless `rtol` is None or a number between 0 and 1."""
    if rtol is not None and not (isinstance(rtol, int | float) and 0 < rtol < 1):
        raise ValueError(f"{solver}.{name}: got {rtol!r}, needs a number between 0 and 1, or None")
