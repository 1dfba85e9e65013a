"""A weight matrix of any size on arrays of one shape.

    [ tile 0,0 | tile 0,1 ]  i of row 0        a tile: (rows, cols) cells with its own wires,
    [ tile 1,0 | tile 1,1 ]  i of row 1        drivers and amplifiers

The matrix with its bias row is cut from its first row and column on; what is left over fills the
near ends of its tiles (next to drivers and amplifiers), and the cells beyond are open. No current
flows there, so that such a tile is exactly the smaller array, and one compiled program serves all.

Partial sums of the tiles of one column of tiles add behind the readout of each, rails and ADC
included ("digital"), or before the rails of one readout ("analog"; each tile keeps amplifiers of
its own, whose outputs are summed).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from xbar.batch import batch_map
from xbar.cells import Ohmic, Where
from xbar.checks import is_concrete, namespace, on_device
from xbar.circuit import RESULTS, Crossbar, Solution, Wires
from xbar.devices.mapping import Pairs
from xbar.nn.array import (
    Admittance,
    Answers,
    Array,
    Currents,
    Prepared,
    Solving,
    Volts,
    from_drivers,
    one_volt,
    with_last,
)
from xbar.nn.readout import Readout
from xbar.nn.tiling import Tiling
from xbar.programs import program
from xbar.solve import solve, transfer
from xbar.solvers import AbstractSolver
from xbar.solvers.sweep.solver import sweep_lanes

# Bytes that derivatives may keep of all tiles of one shape: three cubes of each, as the sweep does.
# Where that is not enough, a tile is solved once more.
KEPT = 2**26


class Member(NamedTuple):
    """One tile of many; or all of them, each leaf with a leading axis."""

    g: Any
    there: Any  # which cells are not beyond the matrix
    wires: Wires
    own: Any  # parameters of the law that are one for each cell


@final
class Tiles(eqx.Module):
    """The arrays of one layer: they answer as one `xbar.nn.Array` does.

    Args:
        pairs: all cells of the layer, (rows, outputs) [S].
        wires: of each tile, without the amplifiers' input resistance [ohm]; the same for all, or
            its own, every segment and line by itself with leading axes (R, C).
        readout: whose amplifiers' input resistance the tiles see.
        tiling: how the cells are cut.
        cells: from conductances to the law that the cells obey; None for ohmic cells. Parameters
            that are one for each cell of the layer are cut as the cells are.
    """

    pairs: Pairs
    wires: Wires
    readout: Readout
    tiling: Tiling
    cells: Callable[[Any], Any] | None = None

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return self.tiling.grid(self.pairs.shape)

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return self.grid[0] * self.grid[1]

    @property
    def linear(self) -> bool:
        """Whether the cells are, so that a transfer matrix says all."""
        if self.cells is None:
            return True
        found = []
        eqx.filter_eval_shape(lambda tile: found.append(tile.crossbar().cells.linear), self[0, 0])
        return found[0]

    def __getitem__(self, place: tuple[int, int]) -> Array:
        """The array at a row and a column of tiles, as it is built, open cells and all.

        Raises:
            ValueError: there is no tile.
        """
        for name, at, count in zip(("row", "column"), place, self.grid, strict=True):
            if not 0 <= at < count:
                raise ValueError(f"tile: got {name} {at}, needs 0..{count - 1}")
        g = self.tiling.cut(self.pairs.interleave())[place]
        there = self._there()[place]
        own, law = self._law()
        law = eqx.combine(jax.tree.map(lambda x: x[place], own), law)
        cells = None if law is None else Opened(law, on_device(there))
        pairs = Pairs.from_interleaved(on_device(g) if isinstance(g, np.ndarray) else g)
        wires = jax.tree.map(lambda x: x[place], self.wires) if self._own_wires else self.wires
        return Array(pairs, wires, self._readout(place[1]), cells)

    def solve(
        self, v: Volts, solver: AbstractSolver | None = None, *, throw: bool = True
    ) -> Solution:
        """Every node of every tile, (tiles, ...), for row voltages (rows,) or (n, rows) [V]."""
        each = self.driven(v)
        found = batch_map(_solved, (self.members(), each), self._law()[1], solver, throw)
        if throw and is_concrete(found.result):
            bad = np.flatnonzero(np.asarray(found.result != RESULTS.successful))
            if bad.size:
                number = int(bad[0])
                self[divmod(number, self.grid[1])].solve(each[number].T, solver)
        return found

    def driven(self, v: Volts) -> Float[jax.Array, "tiles rows *n"]:
        """Voltages on the word lines of every tile for row voltages (rows,) or (n, rows) [V]."""
        rows = jnp.moveaxis(self.tiling.by_rows(v), -2, 0)  # (R, n, tile rows)
        return jnp.repeat(jnp.moveaxis(rows, -1, 1), self.grid[1], 0)

    def gathered(self, solution: Any) -> Currents:
        """Column currents (n, columns) of all tiles' `i_out`; digital, by rows of tiles before."""
        i = solution.i_out.reshape(*self.grid, self.tiling.cols, *solution.i_out.shape[2:])
        i = jnp.moveaxis(i, (0, 1, 2), (-3, -2, -1))
        i = i.reshape(*i.shape[:-2], -1)[..., : 2 * self.pairs.shape[1]]
        return i if self.tiling.partial_sums == "digital" else i.sum(-2)

    def currents(
        self,
        v: Volts,
        last: Float[jax.Array, ""] | None = None,
        *,
        solver: AbstractSolver | None = None,
        throw: bool = True,
    ) -> Currents:
        """Column currents as `Array.currents`, each input solved by itself."""
        return self.gathered(self.solve(with_last(v, last), solver, throw=throw))

    def transfer(
        self, solver: AbstractSolver | None = None, *, throw: bool = True
    ) -> Float[jax.Array, "columns rows"]:
        """The matrices of all tiles as one: columns sum over rows of tiles [S]."""
        return transfers_of([self], solver, throw=throw)[0]

    def admittance(self, solver: AbstractSolver | None = None, *, throw: bool = True) -> Admittance:
        """Currents into amplifiers and out of drivers for one volt on each row in turn."""
        unit = one_volt(self.tiling.rows, self.pairs.g_plus.dtype)
        many = jnp.broadcast_to(unit, (self.count, *unit.shape))
        found = batch_map(_admitted, (self.members(), many), self._law()[1], solver, throw)
        t, y = (x.reshape(*self.grid, *x.shape[1:]) for x in found)
        return Admittance(jnp.asarray(self.tiling.joined(t, self.pairs.shape)), y.sum(1))

    def split(self, v: Volts) -> Float[jax.Array, "*n arrays rows"]:
        """Row voltages by rows of tiles, (..., R, tile rows)."""
        return jnp.asarray(self.tiling.by_rows(v))

    def prepared(self, t: Float[jax.Array, "columns rows"]) -> Prepared:
        """What answers with a transfer matrix of this layer."""
        digital = self.tiling.partial_sums == "digital"
        return Prepared(t, self.tiling.rows if digital else None)

    def prepare(self, solver: AbstractSolver | None = None, *, throw: bool = True) -> Prepared:
        """The tiles with their transfer matrices found, as `Array.prepare`."""
        return self.prepared(self.transfer(solver, throw=throw))

    def answers(self, solver: AbstractSolver | None = None, *, throw: bool = True) -> Answers:
        """What is fastest for many inputs: prepared where the cells are linear, else solved."""
        return (
            self.prepare(solver, throw=throw) if self.linear else Solving(self, solver, throw, [])
        )

    def crossbars(self) -> Crossbar:
        """The circuits of all tiles, each leaf with a leading axis: row of tiles after row."""
        return _crossbars(self)

    def members(self) -> Member:
        """All tiles as they are built, each leaf with a leading axis: row of tiles after row."""
        count, grid = self.count, self.grid
        g = self.tiling.cut(self.pairs.interleave())
        xp = namespace(g, self.wires, self.readout.r_in)
        r_in = self.readout.r_in.astype(g.dtype)
        sense, r_in = xp.asarray(self.wires.sense), xp.asarray(r_in)
        if r_in.ndim:  # one for each column of the layer: each column of tiles has its own
            r_in = self.tiling.by_columns(r_in)
        sense = sense + r_in
        lead = (*grid, *sense.shape[-1:]) if sense.ndim else grid
        sense = xp.broadcast_to(sense, lead).reshape(count, *lead[2:])

        def each(x: Any) -> Any:
            if self._own_wires:
                return x.reshape(count, *x.shape[2:])
            return jnp.broadcast_to(x, (count, *x.shape))

        wires = eqx.tree_at(lambda w: w.sense, jax.tree.map(each, self.wires), jnp.asarray(sense))
        shape = (count, *g.shape[2:])
        own = jax.tree.map(lambda x: jnp.asarray(x).reshape(shape), self._law()[0])
        there = jnp.asarray(self._there().reshape(shape))
        return Member(jnp.asarray(g).reshape(shape), there, wires, own)

    def _law(self) -> tuple[Any, Any]:
        """Parameters of the cells that are one for each, (R, C, rows, cols), and the rest."""
        rows, outputs = self.pairs.shape

        def of_cells(x: Any) -> bool:
            return isinstance(x, jax.Array | np.ndarray) and x.shape == (rows, 2 * outputs)

        def cut(x: Any) -> Any:
            """Where there are no cells, what some cell has: any law takes it."""
            some = x.ravel()[0]
            return namespace(x).where(self._there(), self.tiling.cut(x), some)

        own, rest = eqx.partition(self.cells, of_cells)
        return jax.tree.map(cut, own), rest

    @property
    def _own_wires(self) -> bool:
        return self.wires.word_line.ndim > 2

    def _there(self) -> Bool[np.ndarray, "R C rows cols"]:
        rows, outputs = self.pairs.shape
        return self.tiling.cut(np.ones((rows, 2 * outputs), bool))

    def _readout(self, column: int) -> Readout:
        """The part of the readout behind one column of tiles."""
        outputs = self.pairs.shape[1]
        halves = Tiling(self.tiling.rows, self.tiling.cols // 2)

        def part(x: Any) -> Any:
            width = x.shape[-1] if np.ndim(x) else 0
            if width not in (outputs, 2 * outputs):
                return x
            cut = (halves if width == outputs else self.tiling).by_columns(x)[..., column, :]
            beyond = halves.by_columns(np.ones(outputs)) if width == outputs else None
            # An amplifier of an unused column needs some legal number.
            return cut if beyond is None else jnp.where(beyond[column] > 0, cut, x[..., :1])

        return jax.tree.map(part, self.readout)


@final
class Opened(eqx.Module):
    """A law for the cells that there are; the others are open.

    Args:
        law: from conductances to a law of `xbar.cells`.
        there: which cells there are, (rows, cols).
    """

    law: Callable[[Any], Any]
    there: Bool[jax.Array, "rows cols"]

    def __call__(self, g: Float[jax.Array, "rows cols"]) -> Any:
        """The law, of any of the cells' conductance where there are none."""
        some = jnp.max(jnp.where(self.there, g, 0))
        cells = self.law(jnp.where(self.there, g, some))
        return Where(self.there, cells, Ohmic(jnp.zeros((), g.dtype)))


def transfers_of(
    circuits: Sequence[Array | Tiles], solver: AbstractSolver | None = None, *, throw: bool = True
) -> tuple[jax.Array, ...]:
    """Transfer matrices of several layers; tiles of one shape go through one program together.

    Args:
        circuits: of the layers.
        solver: as for `xbar.transfer`; so is `throw`.
        throw: raise where an array cannot be solved.

    Returns:
        One (columns, rows) for each [S].

    Raises:
        ValueError, RuntimeError: as `xbar.transfer`.
    """
    found: dict[int, Any] = {}
    groups: dict[Any, list[tuple[int, Tiles, Member]]] = {}
    for number, circuit in enumerate(circuits):
        if isinstance(circuit, Array):
            found[number] = circuit.transfer(solver, throw=throw)
            continue
        if not circuit.linear:
            circuit[0, 0].transfer(solver)  # raises
        members = circuit.members()
        shapes = [(leaf.shape[1:], leaf.dtype) for leaf in jax.tree.leaves(members)]
        alike = jax.tree.structure(members), tuple(shapes)
        own = number if circuit.cells is not None else None
        groups.setdefault((alike, own), []).append((number, circuit, members))
    for group in groups.values():
        together = jax.tree.map(lambda *parts: jnp.concatenate(parts), *(m for _, _, m in group))
        t, first = _together(together, group[0][1]._law()[1], solver, throw), 0
        for number, tiles, _ in group:
            count = tiles.count
            each = t[first : first + count].reshape(*tiles.grid, *t.shape[1:])
            if throw and is_concrete(each) and np.isnan(bad := np.asarray(each)).any():
                row, column = np.argwhere(np.isnan(bad))[0][:2]
                tiles[int(row), int(column)].transfer(solver)  # raises, and says why
            found[number] = jnp.asarray(tiles.tiling.joined(each, tiles.pairs.shape))
            first += count
    return tuple(found[number] for number in range(len(circuits)))


@program(eqx.filter_jit)
def _crossbars(tiles: Tiles) -> Crossbar:
    law = tiles._law()[1]
    return jax.vmap(lambda member: _crossbar(member, law))(tiles.members())


def _crossbar(member: Member, law: Callable[[Any], Any] | None) -> Crossbar:
    law = eqx.combine(member.own, law)
    cells = member.g if law is None else Opened(law, member.there)(member.g)
    return Crossbar(cells, member.wires)


def _together(members: Member, law: Any, solver: Any, throw: bool) -> jax.Array:
    """Transfer matrices of tiles of one shape, small ones side by side."""
    count, rows, cols = members.g.shape
    kept = 3 * count * rows * cols * min(rows, cols) * members.g.dtype.itemsize
    function = _transferred if kept <= KEPT else _transferred_again
    # `None` is right for an accelerator, and other solvers may take much memory for each array.
    by_sweep = solver is None and jax.default_backend() == "cpu"
    chunk = min(count, sweep_lanes((rows, cols))) if by_sweep else None
    return batch_map(function, members, law, solver, throw, chunk=chunk)


def _transferred(member: Member, law: Any, solver: Any, throw: bool) -> Any:
    return transfer(_crossbar(member, law), solver, throw=throw)


_transferred_again = eqx.filter_checkpoint(_transferred)


def _solved(member: tuple[Member, Any], law: Any, solver: Any, throw: bool) -> Solution:
    return solve(_crossbar(member[0], law), member[1], solver, throw=throw)


def _admitted(member: tuple[Member, Any], law: Any, solver: Any, throw: bool) -> tuple[Any, Any]:
    found = _solved(member, law, solver, throw)
    return found.i_out, from_drivers(found)
