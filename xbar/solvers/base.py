"""What every solver offers: factor an array once, then find the cell voltages for many inputs.

With `e` the voltage that drives each cell (for plain inputs ``e[i, j] = v_in[i]``) and `drop` the
line operator of `xbar.solvers.lines`, a solver finds the cell voltages `u` of

    u + drop(g * u) = e

that is, `u = A^-1 e` with `A = I + drop . g`. A general `e` (a source in series with each cell) is
what derivatives and exact what-if need, so it is the one form that solvers are asked for.
"""

import abc
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Bool, Float, Int

from xbar.circuit import Wires
from xbar.solvers.lines import Drop, drop_of, product

Voltages = Float[Array, "n rows cols"]
Drives = Float[Array, "n #rows #cols"]
Transfer = Float[Array, "cols rows"]


class Problem(eqx.Module):
    """One array in one precision, ready for a solver: conductances, wires and line operator."""

    g: Float[Array, "rows cols"]
    wires: Wires
    drop: Drop

    def segments(self) -> tuple[Float[Array, "rows cols"], Float[Array, "rows cols"]]:
        """Resistance left of and below each cell [ohm]; sources and senses belong to the ends."""
        wires, (rows, cols), dtype = self.wires, self.g.shape, self.g.dtype
        # Sums with constants: a program that writes into an array has more to compile.
        first, last = np.eye(1, cols), np.eye(rows)[:, -1:]
        word = wires.word_line + jnp.expand_dims(wires.source, -1) * first
        bit = wires.bit_line + last * wires.sense
        word, bit = (jnp.broadcast_to(x, self.g.shape).astype(dtype) for x in (word, bit))
        return word, bit

    def line_resistance(self) -> tuple[Array, Array]:
        """Resistance of each word and each bit line from its end to the far node [ohm].

        (rows,) and (cols,), or () where all lines of a kind are alike.
        """
        wires, (rows, cols), dtype = self.wires, self.g.shape, self.g.dtype
        word = _along(wires.word_line.astype(dtype), cols, 1) + wires.source.astype(dtype)
        return word, _along(wires.bit_line.astype(dtype), rows, 0) + wires.sense.astype(dtype)

    def lost_by(self, size: Voltages) -> tuple[Array, Array]:
        """Drop up to the far end of word lines (n, rows) and bit lines (n, cols) [V].

        For currents `size` >= 0 through the cells. Where segments differ along a line, an upper
        bound: as if all currents went to its far end.
        """
        (rows, cols), dtype, wires = self.g.shape, self.g.dtype, self.wires

        def lost(segments: Array, end: Array, moment: Array, total: Array, axis: int) -> Array:
            alike = segments.ndim == 0 or segments.shape[axis] == 1
            whole = jnp.sum(segments, axis=axis) if segments.ndim else segments
            return whole * (moment if alike else total) + end * total

        # Products with constants, since XLA does not vectorize sums of places times currents.
        along_word = np.stack([np.arange(1, cols + 1), np.ones(cols)], axis=1).astype(dtype)
        along_bit = np.stack([np.arange(rows, 0, -1), np.ones(rows)]).astype(dtype)
        of_word = jnp.moveaxis(product(size, along_word), -1, 0)
        of_bit = jnp.moveaxis(product(along_bit, size), -2, 0)
        w = jax.tree.map(lambda x: x.astype(dtype), wires)
        return (
            lost(w.word_line, w.source, of_word[0], of_word[1], 1),
            lost(w.bit_line, w.sense, of_bit[0], of_bit[1], 0),
        )

    def residual(self, e: Drives, u: Voltages) -> Voltages:
        """What is left of the cell equation, `e - u - drop(g u)` [V]."""
        return e - u - self.drop(self.g * u)


def not_negative(x: Array) -> Bool[Array, ""]:
    """Whether all numbers are finite and at least 0."""
    # XLA has ready-made routines for both, but its minimum passes over NaN.
    return (jnp.min(x, initial=0) >= 0) & (jnp.sum(0 * x) == 0)


def _along(segments: Array, size: int, axis: int) -> Array:
    """Resistance of whole lines of `size` segments along an axis; () where all are alike."""
    if segments.ndim == 0:
        return size * segments
    alike = segments.shape[axis] == 1
    return jnp.squeeze(size * segments, axis) if alike else jnp.sum(segments, axis=axis)


def problem_of(g: Float[Array, "rows cols"], wires: Wires) -> Problem:
    """Prepare an array for the solvers; `g` fixes the precision."""
    return Problem(g=g, wires=wires, drop=drop_of(wires, g))


def transposed(problem: Problem) -> Problem:
    """The array seen from its outputs: its bit lines are the word lines, and the reverse.

    Reflected in the other diagonal, so that both kinds of lines are counted from the driven end.
    """
    wires = problem.wires
    exchanged = Wires(
        word_line=reflected(wires.bit_line),
        bit_line=reflected(wires.word_line),
        source=reflected(wires.sense),
        sense=reflected(wires.source),
    )
    return problem_of(reflected(problem.g), exchanged)


def reflected(x: Array) -> Array:
    """Reflected in the other diagonal, (..., rows, cols) to (..., cols, rows)."""
    if x.ndim < 2:
        return x[::-1] if x.ndim else x
    return jnp.swapaxes(x[..., ::-1, ::-1], -1, -2)


class Answer(eqx.Module):
    """Cell voltages, IR drop of both kinds of lines, and what is known about them."""

    u: Voltages
    word: Voltages  # lost on the word line before each cell
    bit: Voltages  # of each bit-line node above the virtual ground
    ok: Bool[Array, " n"]  # the error bound of each input is within the solver's tolerance
    steps: Int[Array, " n"]  # iterations (0 for direct methods)


def reflected_answer(answer: Answer) -> Answer:
    """The answer for an array from that for its `transposed`."""
    u, word, bit = (reflected(x) for x in (answer.u, answer.bit, answer.word))
    return Answer(u, word, bit, answer.ok, answer.steps)


class TransferChange(NamedTuple):
    """A transfer matrix, whether it is right, and its derivative along some direction."""

    matrix: Transfer
    ok: Bool[Array, ""]
    change: Transfer


def is_zero(tangent: Any) -> bool:
    """Whether a derivative rule's input does not change at all."""
    return isinstance(tangent, SymbolicZero)


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
    def cell_voltages(self, state: Any, problem: Problem, e: Drives) -> Answer:
        """Solve ``u + drop(g u) = e`` for `n` drives at once [V].

        Drives of the word lines' ends alone come as (n, rows, 1), which some solvers use.
        """

    @abc.abstractmethod
    def transfer(self, problem: Problem) -> tuple[Transfer, Bool[Array, ""]]:
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

    def transfer_change(self, problem: Problem, dg: Any, dwires: Any) -> "TransferChange | None":
        """`transfer` with its change for a change of conductances and wires.

        Args:
            problem: the array.
            dg: change of the conductances (rows, cols) [S], or a symbolic zero.
            dwires: change of the wires, of which some may be symbolic zeros.

        Returns:
            Differentiable in all three, the change linear in the last two; None for a solver that
            knows nothing better than the cell voltages of each input.
        """
        return None

    def accepts(self, problem: Problem) -> Bool[Array, ""]:
        """Whether this solver can treat the array at all (`Ideal` needs zero wires)."""
        return jnp.asarray(True)


def unit_drives(g: Float[Array, "rows cols"], lines: Int[Array, " n"] | None = None) -> Drives:
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
    return unit[:, :, None] if rows <= cols else unit[:, None, :]


def transfer_from(i_cell: Voltages) -> Transfer:
    """The transfer matrix out of the cell currents of all `unit_drives`."""
    _, rows, cols = i_cell.shape
    return jnp.sum(i_cell, axis=-2).T if rows <= cols else jnp.sum(i_cell, axis=-1)


# Drives that are solved at a time where a transfer matrix is found drive by drive: enough for
# matrix products, few enough that temporary arrays stay small.
DRIVES = 8


def transfer_by_cells(solver: AbstractSolver, problem: Problem) -> tuple[Transfer, Bool[Array, ""]]:
    """`AbstractSolver.transfer` for a solver that knows nothing better, some drives at a time."""
    rows, cols = problem.g.shape
    side = min(rows, cols)
    state = solver.factor(problem)

    def some(first: Int[Array, ""]) -> tuple[Array, Array]:
        e = unit_drives(problem.g, first + jnp.arange(DRIVES))
        answer = solver.cell_voltages(state, problem, e)
        return jnp.sum(problem.g * answer.u, axis=-2 if rows <= cols else -1), answer.ok

    currents, ok = lax.map(some, jnp.arange(0, side, DRIVES))
    currents = currents.reshape(-1, currents.shape[-1])[:side]
    return currents.T if rows <= cols else currents, jnp.all(ok)


def probe(n: int, dtype: jnp.dtype) -> Float[Array, " n"]:
    """Random signs, always the same: whatever is wrong somewhere shows in this combination.

    Drawn by NumPy: drawing them takes 150 operations of every program.
    """
    signs = np.random.default_rng(0).choice([-1.0, 1.0], n)
    return jnp.asarray(signs, dtype)


def largest_current(i_cell: Voltages) -> Float[Array, " n"]:
    """Largest magnitude among cell, row and output currents of each input [A]."""
    # One list for all: XLA has a ready-made routine for the maximum of a long list, and compiles
    # two pieces of code for each short one. That routine passes over NaN, which sums keep.
    of_rows = jnp.sum(i_cell, axis=-1)
    parts = i_cell.reshape(len(i_cell), -1), of_rows, jnp.sum(i_cell, axis=-2)
    largest = jnp.max(jnp.abs(jnp.concatenate(parts, axis=1)), axis=1)
    return largest + 0 * jnp.sum(of_rows, axis=-1)


def relative(wrong: Float[Array, "*n"], largest: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """The ratio; 0 of anything is 0."""
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
    wrong = jnp.sqrt(busiest_line(g) * jnp.sum(g * residual**2, axis=(-2, -1)))
    return relative(wrong, largest_current(g * u))


class Left(NamedTuple):
    """What is left of the cell equation, and the IR drops that it was found with."""

    word: Voltages
    bit: Voltages
    residual: Voltages  # e - u - word - bit
    hidden: Voltages  # what rounding may hide of the residual, >= 0
    moved: Float[Array, " n"]  # what rounding may have moved node voltages by


def left_by(problem: Problem, e: Drives, u: Voltages) -> Left:
    """What is left of the cell equation for cell voltages `u`.

    Rounding may hide a few roundings of the drive, and of what each line would lose up to its far
    end if all its cells' currents had one sign.
    """
    i_cell = problem.g * u
    word, bit = problem.drop.word(i_cell), problem.drop.bit(i_cell)
    in_word, in_bit = problem.lost_by(jnp.abs(i_cell))
    hidden = jnp.abs(e) + in_word[:, :, None] + in_bit[:, None, :]
    hidden = jnp.finfo(e.dtype).eps * hidden
    return Left(word, bit, e - u - word - bit, hidden, jnp.max(hidden, axis=(-2, -1)))


# Standard deviations that the roundings' sum is taken for; each is at most what `left_by` says.
DEVIATIONS = 6


def within(
    problem: Problem,
    e: Drives,
    u: Voltages,
    left: Left,
    rtol: float | Array,
    shown: Bool[Array, " n"] | None = None,
) -> Bool[Array, " n"]:
    """Whether currents and node voltages are within `rtol` of the largest current and drive.

    With ``di = g du`` and ``du + drop(di) = residual``, the power ``di . drop(di)`` is at most
    ``|residual|_g^2``, so no node of a line of resistance R moves by more than ``sqrt(R)
    |residual|_g``; nor by more than all series sources together, ``sum |residual|``, since no
    voltage in a circuit of resistances exceeds its sources'.

    What rounding hides has no order from cell to cell. A current or voltage is changed by ``sum(g a
    hidden)``, `a` the cell voltages that its own line would cause, with ``|a|_g^2`` at most that
    line's conductance or resistance; of independent terms the sum has a variance of at most
    ``max(g hidden^2) |a|_g^2``, where terms of one sign could add up to the bound above.

    Args:
        problem: the array.
        e: drives [V].
        u: cell voltages (n, rows, cols) [V].
        left: what is left of the cell equation.
        rtol: bound on the errors; () or (n,).
        shown: for which drives it is known otherwise that the residual does no harm, so that only
            what rounding hides of it counts.
    """
    g, size = problem.g, jnp.abs(left.residual)
    size = size if shown is None else jnp.where(shown[:, None, None], 0, size)
    energy = jnp.sqrt(jnp.sum(g * size**2, axis=(-2, -1)))
    at_once = jnp.sqrt(jnp.sum(g * left.hidden**2, axis=(-2, -1)))
    at_random = DEVIATIONS * left.moved * jnp.sqrt(jnp.max(g))
    hidden = jnp.minimum(at_once, at_random)
    by_current, by_voltage = jnp.sqrt(busiest_line(g)), jnp.sqrt(longest_line(problem))
    moved = jnp.minimum(by_voltage * energy, jnp.sum(size, axis=(-2, -1)))
    moved += jnp.minimum(by_voltage * hidden, jnp.sum(left.hidden, axis=(-2, -1)))
    right = moved + left.moved <= rtol * jnp.max(jnp.abs(e), axis=(-2, -1))
    wrong = by_current * (energy + hidden)
    return right & (relative(wrong, largest_current(g * u)) <= rtol)


def allowed_residual(problem: Problem, e: Drives, u: Voltages, rtol: float) -> Float[Array, " n"]:
    """The squared residual, in the inner product weighted by g, that is `within` the tolerance.

    Zero where there is no current, so that only a residual of zero will do.
    """
    busiest, longest = busiest_line(problem.g), longest_line(problem)
    by_current = largest_current(problem.g * u) ** 2 / jnp.where(busiest == 0, 1, busiest)
    by_voltage = jnp.max(jnp.abs(e), axis=(-2, -1)) ** 2 / jnp.where(longest == 0, 1, longest)
    return rtol**2 * jnp.where(longest == 0, by_current, jnp.minimum(by_current, by_voltage))


def busiest_line(g: Float[Array, "rows cols"]) -> Float[Array, ""]:
    """Largest sum of conductances along one line [S]."""
    return largest_current(g[None])[0]


def longest_line(problem: Problem) -> Float[Array, ""]:
    """Largest resistance of one line [ohm]."""
    return jnp.maximum(*(jnp.max(r) for r in problem.line_resistance()))


def relative_change(g: Float[Array, "rows cols"], u: Voltages, du: Voltages) -> Float[Array, " n"]:
    """Largest current that `du` changes, relative to the largest current of each input."""
    return relative(largest_current(g * du), largest_current(g * u))


def default_rtol(rtol: float | None, dtype: jnp.dtype) -> float:
    """Tolerance relative to the largest current: 1e-10 in float64, 1e-5 in float32."""
    if rtol is not None:
        return rtol
    return 1e-10 if dtype == jnp.float64 else 1e-5


def check_rtol(solver: str, rtol: float | None, *, name: str = "rtol") -> None:
    """Raise unless `rtol` is None or a number between 0 and 1."""
    if rtol is not None and not (isinstance(rtol, int | float) and 0 < rtol < 1):
        raise ValueError(f"{solver}.{name}: got {rtol!r}, needs a number between 0 and 1, or None")
