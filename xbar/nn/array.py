"""One array with the inputs of its amplifiers: voltages in, currents out.

    i = T v                       cells that are linear: T, found once, serves every input
    i = solve(v)                  any cells: each input by itself

Both ways answer the same call, `currents`, and whatever stands above an array asks no more of it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, final, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from xbar.cells.families import as_module
from xbar.checks import on_device
from xbar.circuit import Crossbar, LineFaults, Solution, Wires
from xbar.devices.mapping import Pairs
from xbar.nn.readout import Readout
from xbar.programs import program
from xbar.solve import solve, transfer
from xbar.solvers import AbstractSolver

# Nothing justifies the number: a law that is not closer by then is far from any cell's.
SECANT_STEPS = 16

Volts = Float[jax.Array, "*n driven"]  # all rows, or all but the last
Currents = Float[jax.Array, "*i columns"]  # by rows of tiles, where there are any


@runtime_checkable
class Answers(Protocol):
    """Whatever knows the currents of an array: `Array`, `Prepared`."""

    def currents(self, v: Volts, last: Float[jax.Array, ""] | None = None) -> Currents:
        """Column currents (+, -, +, -) of row voltages.

        Args:
            v: row voltages, (..., rows) [V]; one less with `last`.
            last: voltage of the last row for all inputs, () [V]; None where v has it.

        Returns:
            (..., 2 * outputs) [A].
        """
        ...


@final
class Array(eqx.Module):
    """Differential pairs with their wires and the amplifiers that they see.

    ```python
    array = Array(pairs, xb.Wires(1.0, 1.0), Readout(r_f=1e5))
    array.currents(v)             # solved for these inputs
    array.prepare().currents(v)   # by the transfer matrix: the same, for any number of inputs
    ```

    Args:
        pairs: the cells, faults and all, (rows, outputs) [S].
        wires: without the amplifiers' input resistance [ohm].
        readout: whose amplifiers' input resistance the array sees.
        cells: from conductances (rows, 2 * outputs) [S] to the law that the cells obey; None for
            ohmic cells.
        line_faults: broken and bridged lines; None for none.
    """

    pairs: Pairs
    wires: Wires
    readout: Readout
    cells: Callable[[Any], Any] | None = None
    line_faults: LineFaults | None = None

    def crossbar(self) -> Crossbar:
        """The circuit that is solved: (rows, 2 * outputs) cells, and amplifier inputs."""
        g, sense = _built(self.pairs, self.wires, self.readout)
        wires = eqx.tree_at(lambda wires: wires.sense, self.wires, sense)
        return Crossbar(g if self.cells is None else self.cells(g), wires, self.line_faults)

    def solve(
        self, v: Volts, solver: AbstractSolver | None = None, *, throw: bool = True
    ) -> Solution:
        """Every node for row voltages (..., rows) [V], no or one leading axis; as `xbar.solve`."""
        return solve(self.crossbar(), v.T, solver, throw=throw)

    def currents(
        self,
        v: Volts,
        last: Float[jax.Array, ""] | None = None,
        *,
        solver: AbstractSolver | None = None,
        throw: bool = True,
    ) -> Currents:
        """Column currents (+, -, +, -), each input solved by itself.

        Args:
            v: row voltages, (rows,) or (n, rows) [V]; one less with `last`.
            last: voltage of the last row for all inputs, () [V]; None where v has it.
            solver: as for `xbar.solve`; so is `throw`.
            throw: raise where the array cannot be solved.

        Returns:
            (..., 2 * outputs) [A].
        """
        return self.solve(with_last(v, last), solver, throw=throw).i_out.T

    def transfer(
        self, solver: AbstractSolver | None = None, *, throw: bool = True
    ) -> Float[jax.Array, "columns rows"]:
        """Transfer matrix [S], as `xbar.transfer`; only linear cells have one."""
        return transfer(self.crossbar(), solver, throw=throw)

    def prepare(self, solver: AbstractSolver | None = None, *, throw: bool = True) -> "Prepared":
        """The array with its transfer matrix found: the same currents, for the price of a product.

        Raises:
            ValueError, RuntimeError: as `xbar.transfer`, also where cells are not linear.
        """
        return Prepared(self.transfer(solver, throw=throw))

    def prepared(self, t: Float[jax.Array, "columns rows"]) -> "Prepared":
        """What answers with a transfer matrix of this array."""
        return Prepared(t)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles, of which it is one."""
        return 1, 1

    @property
    def linear(self) -> bool:
        """Whether the cells are, so that a transfer matrix says all."""
        return self.cells is None or self.crossbar().cells.linear

    def answers(self, solver: AbstractSolver | None = None, *, throw: bool = True) -> Answers:
        """What is fastest for many inputs: prepared where the cells are linear, else solved."""
        return (
            self.prepare(solver, throw=throw) if self.linear else Solving(self, solver, throw, [])
        )

    def gathered(self, solution: Any) -> Currents:
        """Column currents (n, columns) [A] of a solution's `i_out`."""
        return solution.i_out.T

    def admittance(
        self, solver: AbstractSolver | None = None, *, throw: bool = True
    ) -> "Admittance":
        """Currents into amplifiers and out of drivers for one volt on each row in turn."""
        found = self.solve(
            one_volt(self.pairs.shape[0], self.pairs.g_plus.dtype), solver, throw=throw
        )
        return Admittance(found.i_out, from_drivers(found)[None])

    def split(self, v: Volts) -> Float[jax.Array, "*n arrays rows"]:
        """Row voltages by arrays: all of them, (..., 1, rows)."""
        return v[..., None, :]


@final
class Prepared(eqx.Module):
    """An array of linear cells as its transfer matrix.

    Args:
        t: (columns, rows) [S].
        tile_rows: word lines of a tile, where currents are wanted by rows of tiles, (..., R,
            columns); None sums them.
    """

    t: Float[jax.Array, "columns rows"]
    tile_rows: int | None = eqx.field(static=True, default=None)

    def currents(self, v: Volts, last: Float[jax.Array, ""] | None = None) -> Currents:
        """Column currents of row voltages, as `Array.currents`; any leading axes."""
        if self.tile_rows is not None:
            v, t = (_parts(x, self.tile_rows) for x in (with_last(v, last), self.t))
            return jnp.einsum("...rk,crk->...rc", v, t)
        if last is None:
            return v @ self.t.T
        # The last row's share is the same for every input: no row voltages are put together.
        return v @ self.t[:, :-1].T + last.astype(v.dtype) * self.t[:, -1]


class Admittance(NamedTuple):
    """How linear arrays answer one volt on each row in turn.

    Args:
        t: transfer matrix, (columns, rows) [S].
        y: currents out of the drivers of each row of tiles, (R, tile rows, tile rows) [S].
    """

    t: Float[jax.Array, "columns rows"]
    y: Float[jax.Array, "arrays rows rows"]


class Solving(NamedTuple):
    """An array that solves what it is asked, and keeps the solutions.

    Args:
        array: the array, or `xbar.nn.tiles.Tiles`.
        solver: as for `xbar.solve`; so is `throw`.
        throw: raise where the array cannot be solved.
        found: a list that the solutions are appended to.
    """

    array: Any
    solver: AbstractSolver | None
    throw: bool
    found: list[Solution]

    def currents(self, v: Volts, last: Float[jax.Array, ""] | None = None) -> Currents:
        """Column currents of row voltages, as `Array.currents`."""
        v = with_last(v, last)
        self.found.append(self.array.solve(v, self.solver, throw=self.throw))
        return self.array.gathered(self.found[-1])


def from_drivers(solution: Solution) -> Float[jax.Array, "*n"]:
    """Currents out of the word lines' drivers, those at both ends together [A]."""
    far = solution.i_word_far
    return solution.i_word if far is None else solution.i_word + far


def _parts(x: Float[jax.Array, "*n rows"], size: int) -> Float[jax.Array, "*n parts size"]:
    """The last axis in parts of one size, zeros in what the last has too much."""
    left = -x.shape[-1] % size
    if left:
        x = jnp.concatenate([x, jnp.zeros((*x.shape[:-1], left), x.dtype)], -1)
    return x.reshape(*x.shape[:-1], -1, size)


def with_last(v: Volts, last: Float[jax.Array, ""] | None) -> Float[jax.Array, "*n rows"]:
    """Row voltages with the last row's appended [V]."""
    if last is None:
        return v
    return jnp.concatenate([v, jnp.broadcast_to(last.astype(v.dtype), (*v.shape[:-1], 1))], -1)


def one_volt(rows: int, dtype: Any) -> Float[jax.Array, "rows rows"]:
    """Inputs of 1 V on each row in turn."""
    return on_device(np.eye(rows), dtype)


@final
class Secant(eqx.Module):
    """Cells whose current at one voltage is that of the conductances that they were mapped to.

    The conductance p that a law is made of is found by ``p <- p g v / I(v; p)``, which is exact at
    once where I is proportional to p, and closes in where it grows with p.

    Args:
        cells: from conductances to a law of `xbar.cells`.
        v_read: the voltage, () [V].
    """

    cells: Callable[[Any], Any] = eqx.field(converter=as_module)
    v_read: Float[jax.Array, ""]

    def __call__(self, g: Float[jax.Array, "rows cols"]) -> Any:
        """The law of cells with these secant conductances [S]."""
        v = jnp.broadcast_to(self.v_read.astype(g.dtype), g.shape)

        def closer(_: Any, p: jax.Array) -> jax.Array:
            i = self.cells(p).current(v)
            some = i != 0
            return jnp.where(some, p * g * v / jnp.where(some, i, 1), p)

        return self.cells(jax.lax.fori_loop(0, SECANT_STEPS, closer, g))


@program(eqx.filter_jit)
def _built(pairs: Pairs, wires: Wires, readout: Readout) -> tuple[jax.Array, jax.Array]:
    """Conductances side by side, and the sense resistance with the amplifiers' inputs."""
    g = pairs.interleave()
    return g, wires.sense + readout.r_in.astype(g.dtype)
