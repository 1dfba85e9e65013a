"""Measured chips: what each cell is known to be, in place of what it was programmed to."""

from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int8, PRNGKeyArray

from xbar.checks import checked, finite_from_0, is_concrete
from xbar.devices.effects.base import needs_window
from xbar.devices.faults import AbstractFault
from xbar.devices.mapping import Window
from xbar.fields import described

MOST = 1.0  # [S] no cell conducts better: more is a resistance that was taken for a conductance


@final
class ChipMap(AbstractFault):
    """Conductances and stuck cells of one chip, or of several along a leading axis.

    A cell of the map replaces the cell of the array; where the map knows nothing, the array stays
    as it was programmed. Cells stand as on the chip: rows are word lines, the bias row last;
    columns are bit lines, (+, -, +, -) of neighbouring pairs.

    ```python
    chip = load_map("chip.csv", unit="ohm", shape=(65, 100))
    broken = net.with_fault(0, Everywhere(), chip)
    each = jax.vmap(lambda one: net.with_fault(0, Everywhere(), one)(x))(load_map("lot.npy"))
    ```

    Args:
        g: conductances, (..., rows, columns) [S]; NaN where nothing is known. None for none.
        state: 1 where a cell is stuck-on, -1 where stuck-off, 0 elsewhere, in the same shape: at
            the ends of the array's window. None for none. A known g comes first.

    Raises:
        ValueError: neither of them, two shapes, or a concrete g is negative, infinite or above 1 S.
        TypeError: no real numbers.
    """

    g: Float[Array, "*chips rows columns"] | None = eqx.field(
        metadata=described("S", ("row", "column"), "measured; NaN where nothing is known")
    )
    state: Int8[Array, "*chips rows columns"] | None = eqx.field(
        metadata=described("1", ("row", "column"), "1 stuck-on, -1 stuck-off, 0 neither")
    )

    def __init__(self, g: Any = None, state: Any = None):
        if g is None and state is None:
            raise ValueError("ChipMap: got neither g nor state, needs one of them")
        self.g, self.state = None, None
        if g is not None:
            needs = f"conductances of 0 to {MOST:g} S, or NaN; resistances: from_resistances"
            self.g = checked("ChipMap.g", g, needs, lambda x: np.isnan(x) | _is_cell(x))
        if state is not None:
            marks = np.asarray(state) if is_concrete(state) else state
            if is_concrete(state) and not np.isin(marks, (-1, 0, 1)).all():
                raise ValueError("ChipMap.state: got other values than -1, 0 and 1, needs these")
            self.state = jnp.asarray(marks, jnp.int8)
        shapes = {part.shape for part in (self.g, self.state) if part is not None}
        if len(shapes) > 1 or len(min(shapes)) < 2:
            got = sorted(shapes)
            raise ValueError(f"ChipMap: got shapes {got}, needs one, (..., rows, columns)")

    @staticmethod
    def from_resistances(r: Any) -> "ChipMap":
        """The map of a chip whose resistances were measured.

        Args:
            r: (..., rows, columns) [ohm]; NaN where nothing is known, infinite for open cells.

        Raises:
            ValueError: a concrete resistance is below 1 ohm, which is no cell's.
        """
        needs = f"resistances of {1 / MOST:g} ohm or more, or NaN; conductances: ChipMap(g)"
        return ChipMap(1 / checked("r", r, needs, lambda x: np.isnan(x) | (x >= 1 / MOST)))

    @staticmethod
    def of_pairs(plus: Any, minus: Any) -> "ChipMap":
        """The map whose plus and minus cells these are, (..., rows, pairs) [S] each."""
        both = jnp.stack([jnp.asarray(plus), jnp.asarray(minus)], axis=-1)
        return ChipMap(both.reshape(*both.shape[:-2], -1))

    @property
    def shape(self) -> tuple[int, ...]:
        """(..., rows, columns)."""
        part = self.state if self.g is None else self.g
        assert part is not None
        return part.shape

    @property
    def known(self) -> Bool[Array, "*chips rows columns"]:
        """Which cells the map knows."""
        known = jnp.zeros(self.shape, bool)
        known = known if self.g is None else known | ~jnp.isnan(self.g)
        return known if self.state is None else known | (self.state != 0)

    def __len__(self) -> int:
        """Number of chips along the leading axis."""
        if len(self.shape) == 2:
            raise TypeError("ChipMap: got the map of one chip, needs several to count them")
        return self.shape[0]

    def __getitem__(self, chip: Any) -> "ChipMap":
        """One of the chips along the leading axis."""
        parts = (None if part is None else part[chip] for part in (self.g, self.state))
        return ChipMap(*parts)

    def stuck(
        self, shape: tuple[int, ...], dtype: Any, window: Window | None, key: PRNGKeyArray | None
    ) -> tuple[Array, Array]:
        """The cells that the map knows, and what they are; nothing is drawn.

        Raises:
            ValueError: the map is of another shape or of several chips, or there is no window for
                what is stuck.
        """
        del key
        paired = len(shape) == 3 and shape[0] == 2 and self.shape != shape
        cells = (shape[1], 2 * shape[2]) if paired else shape
        if self.shape != cells:
            raise ValueError(f"ChipMap: got cells {self.shape}, needs {cells}{self._cure(cells)}")
        value = jnp.zeros(cells, dtype)
        if self.state is not None:
            window = needs_window("cells that are stuck-on or stuck-off", window)
            ends = window.g_max.astype(dtype), window.g_min.astype(dtype)
            value = jnp.where(self.state > 0, *ends)
        if self.g is not None:
            value = jnp.where(jnp.isnan(self.g), value, self.g.astype(dtype))
        found = self.known, value
        if paired:  # columns (+, -, +, -) to plus and minus cells
            found = (jnp.moveaxis(x.reshape(shape[1], shape[2], 2), -1, 0) for x in found)
        known, value = found
        return known, value

    def replaced(self, g: Any, window: Window | None = None) -> Float[Array, "rows columns"]:
        """The cells of one array with what the map knows in their place.

        ```python
        chip = load_map("chip.csv", unit="ohm", shape=g.shape)
        array = xb.Crossbar(chip.replaced(g), wires)
        ```

        Args:
            g: conductances as they were meant, (rows, columns) [S].
            window: whose ends stuck-on and stuck-off are; None where the map has none of them.

        Returns:
            The conductances, (rows, columns) [S].

        Raises:
            ValueError: another shape, several chips, or no window for what is stuck.
        """
        meant = checked("g", g, "conductances >= 0 [S]", finite_from_0, 2)
        known, value = self.stuck(meant.shape, meant.dtype, window, None)
        return jnp.where(known, value, meant)

    def describe(self) -> str:
        """How many cells are known."""
        *chips_, rows, columns = self.shape
        chips = "".join(f"{count} chips of " for count in chips_)
        if not is_concrete(self.g, self.state):
            return f"a map of {chips}{rows} x {columns} cells"
        known = int(np.count_nonzero(np.asarray(self.known)))
        return f"a map of {chips}{rows} x {columns} cells, {known:,} of them known"

    def _cure(self, cells: tuple[int, ...]) -> str:
        *chips, rows, columns = self.shape
        if chips:
            return f", one of {chips[0]} chips: chips[k], or jax.vmap"
        if 2 * columns == cells[-1]:
            return "; if an entry means both cells of a pair: ChipMap.of_pairs(g, g)"
        return "; the last row is the bias row" if rows == cells[-2] - 1 else ""


def _is_cell(g: Any) -> Any:
    return (g >= 0) & (g <= MOST)
