"""The arrays that a layer's cells are in, all alike: one, or its tiles, with a leading axis.

Tiles answer by themselves. K between cells of different ones is 0, and a change in one moves the
currents of its own columns alone, as its own rows drive them. One array is a single tile.
"""

from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from xbar.checks import is_concrete, on_device
from xbar.circuit import Crossbar
from xbar.nn import Layer, Tiles, Tiling
from xbar.sensitivity.response import Response

Index = int | Int[Array, "*sets"]


@final
class Arrays(eqx.Module):
    """How the arrays of a layer answer a data set; make one with `of`.

    Args:
        layer: whose.
        answers: of each array, row of tiles after row, (arrays, ...).
        v: voltages on the word lines of each row of tiles, (R, n, rows of a tile) [V].
        v_lin: voltages behind the readout's linear steps, (n, outputs) [V]; of digital partial
            sums (n, R, outputs).
    """

    layer: Layer
    answers: Response
    v: Float[Array, "R n rows"]
    v_lin: Float[Array, "n *R outputs"]

    @staticmethod
    def of(layer: Layer, answers: Response, v_in: Array, v_lin: Array) -> "Arrays":
        """Of a layer's response, as `xbar.sensitivity.Baseline` has it, and its voltages."""
        lead = answers.g.ndim - 2
        flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[lead:]), answers)
        v = jnp.moveaxis(tiling_of(layer).by_rows(v_in), -2, 0)
        return Arrays(layer, flat, v, v_lin)

    @property
    def tiling(self) -> Tiling:
        """How the cells are cut."""
        return tiling_of(self.layer)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return self.tiling.grid(self.layer.pairs.shape)

    def cut(self, g: Float[Array, "inputs columns"]) -> Float[Array, "arrays rows cols"]:
        """What belongs to the layer's cells, array by array; 0 beyond."""
        parts = self.tiling.cut(g)
        return parts.reshape(-1, *parts.shape[2:])

    def whole(self, x: Array, unit: tuple[int, int] | None = None) -> Array:
        """What belongs to the arrays, (arrays, ...), in its places in the layer.

        Args:
            x: of each array, its axes anyhow.
            unit: rows and columns that it has of each array; None for one of each cell. Of 1
                column it is of word lines, which each column of tiles has for itself, of 1 row of
                bit lines.

        Returns:
            (rows, columns).
        """
        unit = unit or (self.tiling.rows, self.tiling.cols)
        return self.tiling.in_layer(x.reshape(*self.grid, *unit), self.layer.pairs.shape)

    def each(self, function: Callable[..., Any], *parts: Any) -> Any:
        """A function of an array's number, and of its share of what leads with the arrays.

        Returns:
            What it returns, with the arrays as leading axis.
        """
        if self.grid == (1, 1):
            found = function(0, *jax.tree.map(lambda x: x[0], parts))
            return jax.tree.map(lambda x: x[None], found)
        numbers = jnp.arange(self.grid[0] * self.grid[1])
        return jax.lax.map(lambda part: function(part[0], *part[1]), (numbers, parts))

    def one(self, number: Index) -> Response:
        """The answers of one array."""
        return jax.tree.map(lambda x: _at(x, number), self.answers)

    def places(self, cells: Int[Array, "*sets 2"]) -> tuple[Array, Array, Array]:
        """Number of the array, row and column in it, of cells (row, column) of the layer."""
        tile, own = self.tiling.places(cells, self.layer.pairs.shape)
        return tile[..., 0] * self.grid[1] + tile[..., 1], own[..., 0], own[..., 1]

    def spread(self, cells: Int[Array, "k 2"]) -> tuple[Array, Array]:
        """Answers of cells of the layer to all its rows and columns.

        Returns:
            Voltages for 1 V on each row (k, rows), and for 1 V in series with each column
            (k, columns) [V]; 0 where those are of other tiles.
        """
        number, row, col = self.places(cells)
        high, wide = self.grid
        u = _placed(self.answers.u[number, :, row, col], number // wide, high)
        l = _placed(self.answers.l[number, :, row, col], number % wide, wide)  # noqa: E741
        rows, outputs = self.layer.pairs.shape
        return u[:, self.tiling.lines(rows)], l[:, : 2 * outputs]

    def changed(
        self, number: Index, members: Int[Array, " k"], factor: Float[Array, "k k"]
    ) -> Float[Array, "n *R outputs"]:
        """Voltages behind the linear steps with cells of one array changed, ``l_S^T F u_S^T``.

        Args:
            number: of the array.
            members: its cells, row after row.
            factor: F.
        """
        u, l = (self.of_cells(x, number, members) for x in (self.answers.u, self.answers.l))  # noqa: E741
        return self.added(number, self.moved(number, u, l, factor))

    def of_cells(
        self, x: Float[Array, "arrays m rows cols"], number: Index, members: Array
    ) -> Float[Array, "m k"]:
        """What some cells of one array have of something that all have."""
        return _at(x.reshape(*x.shape[:2], -1), number)[:, members]

    def moved(
        self,
        number: Index,
        taken: Float[Array, "rows k"],
        sent: Float[Array, "cols k"],
        factor: Float[Array, "k k"],
    ) -> Float[Array, "n outputs"]:
        """What sources in one array do to the voltages behind the linear steps.

        Args:
            number: of the array.
            taken: what each is for 1 V on each row.
            sent: current of each output for one unit of it.
            factor: between them.
        """
        v, push = _at(self.v, number // self.grid[1]), self._fold(number, sent)
        if taken.shape[1] > 2:
            return v @ (push @ factor @ taken.T).T
        moved = factor @ (v @ taken).T
        # One or two: a product of matrices would be slower.
        first, *second = (row[:, None] * push[:, k] for k, row in enumerate(moved))
        return first + second[0] if second else first

    def added(
        self, number: Index, moved: Float[Array, "n outputs"]
    ) -> Float[Array, "n *R outputs"]:
        """Voltages behind the linear steps, `moved` being added behind one array."""
        if self.v_lin.ndim == 2:
            return self.v_lin + moved
        return self.v_lin.at[:, number // self.grid[1]].add(moved)

    def _fold(self, number: Index, sent: Float[Array, "cols k"]) -> Float[Array, "outputs k"]:
        """Linear steps of the readout behind the columns of one array."""
        cols, columns = self.tiling.cols, 2 * self.layer.pairs.shape[1]
        if self.grid[1] > 1:
            whole = jnp.zeros((self.grid[1] * cols, sent.shape[1]), sent.dtype)
            start = number % self.grid[1] * cols
            sent = jax.lax.dynamic_update_slice_in_dim(whole, sent, start, 0)
        return self.layer.fold(sent[:columns])


def crossbars_of(layer: Layer) -> list[Crossbar]:
    """The circuits of a layer's arrays, row of tiles after row."""
    circuit = layer.circuit()
    if not isinstance(circuit, Tiles):
        return [circuit.crossbar()]
    if not circuit.linear:
        return [circuit[0, 0].crossbar()]  # whoever needs linear cells says so
    made = circuit.crossbars()

    def one(x: Array, number: int) -> Array:
        """By NumPy where it can be, which compiles no slice."""
        return on_device(np.asarray(x)[number]) if is_concrete(x) else x[number]

    return [jax.tree.map(lambda x, n=n: one(x, n), made) for n in range(circuit.count)]


def tiling_of(layer: Layer) -> Tiling:
    """How a layer's cells are cut; one array is a tile as large as the layer."""
    rows, outputs = layer.pairs.shape
    return Tiling(rows, 2 * outputs, "analog") if layer.tiling is None else layer.tiling


def _at(x: Array, number: Index) -> Array:
    """One of many; where there is one, without looking it up."""
    return x[0] if len(x) == 1 else x[number]


def _placed(x: Float[Array, "k m"], part: Int[Array, " k"], parts: int) -> Float[Array, "k pm"]:
    """Each row in its own part of a longer one, 0 elsewhere."""
    own = part[:, None, None] == jnp.arange(parts)[:, None]
    return jnp.where(own, x[:, None, :], 0).reshape(len(x), -1)
