"""How a matrix of cells is cut into tiles, and what belongs to its lines and cells goes along."""

from typing import Any, final

import equinox as eqx
import numpy as np

from xbar.checks import namespace


@final
class Tiling(eqx.Module):
    """How a matrix of cells is cut.

    Args:
        rows: word lines of one tile.
        cols: bit lines of one tile, two for each weight.
        partial_sums: "digital" or "analog".
    """

    rows: int = eqx.field(static=True)
    cols: int = eqx.field(static=True)
    partial_sums: str = eqx.field(static=True, default="digital")

    def grid(self, pairs: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of tiles that a matrix of (rows, outputs) pairs takes."""
        return -(-pairs[0] // self.rows), -(-2 * pairs[1] // self.cols)

    def by_rows(self, v: Any) -> Any:
        """What belongs to word lines, (..., rows), by rows of tiles, (..., R, tile rows); 0 beyond.

        The last row of tiles is filled from its last word line, which is next to the amplifiers.
        """
        xp, left = namespace(v), -v.shape[-1] % self.rows
        if left:
            first = v.shape[-1] + left - self.rows
            none = xp.zeros((*v.shape[:-1], left), v.dtype)
            v = xp.concatenate([v[..., :first], none, v[..., first:]], -1)
        return v.reshape(*v.shape[:-1], -1, self.rows)

    def by_columns(self, x: Any) -> Any:
        """What belongs to bit lines, (..., columns), by columns of tiles, (..., C, tile cols)."""
        xp, left = namespace(x), -x.shape[-1] % self.cols
        if left:
            x = xp.concatenate([x, xp.zeros((*x.shape[:-1], left), x.dtype)], -1)
        return x.reshape(*x.shape[:-1], -1, self.cols)

    def cut(self, g: Any) -> Any:
        """Cells (rows, columns) as (R, C, tile rows, tile cols); 0 beyond."""
        xp = namespace(g)
        parts = self.by_rows(xp.moveaxis(self.by_columns(g), 0, -1))
        return xp.moveaxis(parts, (2, 3, 0, 1), (0, 2, 1, 3))

    def whole(self, parts: Any, shape: tuple[int, int]) -> Any:
        """What `cut` took apart, (rows, columns) of this shape."""
        parts = parts.swapaxes(1, 2)
        flat = parts.reshape(parts.shape[0] * self.rows, -1)[:, : shape[1]]
        last = shape[0] - (parts.shape[0] - 1) * self.rows
        ends = flat[: shape[0] - last], flat[len(flat) - last :]
        return namespace(flat).concatenate(ends)

    @property
    def of_pairs(self) -> "Tiling":
        """The same cuts, counted in pairs instead of cells."""
        return Tiling(self.rows, self.cols // 2)

    def in_layer(self, x: Any, pairs: tuple[int, int]) -> Any:
        """What belongs to tiles, in its places in the layer, (rows, columns).

        Args:
            x: (R, C, rows, cols), one for each cell of a tile; of one column it is of word lines,
                which each column of tiles has for itself, of one row of bit lines.
            pairs: rows and outputs of the layer.
        """
        (high, _), (rows, cols) = self.grid(pairs), x.shape[2:]
        across = x.shape[1] if cols == 1 else 2 * pairs[1] * cols // self.cols
        return Tiling(rows, cols).whole(x, (high if rows == 1 else pairs[0], across))

    def lines(self, rows: int) -> np.ndarray:
        """Where each of so many word lines is among those of all rows of tiles, (rows,)."""
        named = self.by_rows(1 + np.arange(rows)).ravel()
        return np.argsort(named, kind="stable")[named.size - rows :]

    def places(self, cells: Any, pairs: tuple[int, int]) -> tuple[Any, Any]:
        """Which tiles cells are in, and where in them.

        Args:
            cells: row and column of each in a matrix of cells, (..., 2).
            pairs: rows and outputs of that matrix.

        Returns:
            Row and column of the tile, and of the cell in it, (..., 2) each.
        """
        xp = namespace(cells)
        row, column = xp.asarray(self.lines(pairs[0]))[cells[..., 0]], cells[..., 1]
        tile = xp.stack([row // self.rows, column // self.cols], -1)
        return tile, xp.stack([row % self.rows, column % self.cols], -1)

    def joined(self, t: Any, pairs: tuple[int, int]) -> Any:
        """Transfer matrices of all tiles, (R, C, tile cols, tile rows), as one."""
        return self.whole(t.swapaxes(2, 3), (pairs[0], 2 * pairs[1])).T
