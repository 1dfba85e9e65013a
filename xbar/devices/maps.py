"""Measured chips: what each cell is known to be, in place of what it was programmed to."""

from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int8, PRNGKeyArray

from xbar.checks import checked, is_concrete
from xbar.devices.faults import AbstractFault
from xbar.devices.mapping import Pairs, Window
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
        stuck: 1 where a cell is stuck-on, -1 where stuck-off, 0 elsewhere, in the same shape: at
            the ends of the window that `apply` is given. None for none. A known g comes first.

    Raises:
        ValueError: neither of them, two shapes, or a concrete g is negative, infinite or above 1 S.
        TypeError: no real numbers.
    """

    g: Float[Array, "*chips rows columns"] | None = eqx.field(
        metadata=described("S", ("row", "column"), "measured; NaN where nothing is known")
    )
    stuck: Int8[Array, "*chips rows columns"] | None = eqx.field(
        metadata=described("1", ("row", "column"), "1 stuck-on, -1 stuck-off, 0 neither")
    )

    def __init__(self, g: Any = None, stuck: Any = None):
        if g is None and stuck is None:
            raise ValueError("ChipMap: got neither g nor stuck, needs one of them")
        self.g, self.stuck = None, None
        if g is not None:
            needs = f"conductances of 0 to {MOST:g} S, or NaN; resistances: from_resistances"
            self.g = checked("ChipMap.g", g, needs, lambda x: np.isnan(x) | _is_cell(x))
        if stuck is not None:
            marks = np.asarray(stuck) if is_concrete(stuck) else stuck
            if is_concrete(stuck) and not np.isin(marks, (-1, 0, 1)).all():
                raise ValueError("ChipMap.stuck: got other values than -1, 0 and 1, needs these")
            self.stuck = jnp.asarray(marks, jnp.int8)
        shapes = {part.shape for part in (self.g, self.stuck) if part is not None}
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
        part = self.stuck if self.g is None else self.g
        assert part is not None
        return part.shape

    @property
    def known(self) -> Bool[Array, "*chips rows columns"]:
        """Which cells the map knows."""
        known = jnp.zeros(self.shape, bool)
        known = known if self.g is None else known | ~jnp.isnan(self.g)
        return known if self.stuck is None else known | (self.stuck != 0)

    def __len__(self) -> int:
        """Number of chips along the leading axis."""
        if len(self.shape) == 2:
            raise TypeError("ChipMap: got the map of one chip, needs several to count them")
        return self.shape[0]

    def __getitem__(self, chip: Any) -> "ChipMap":
        """One of the chips along the leading axis."""
        parts = (None if part is None else part[chip] for part in (self.g, self.stuck))
        return ChipMap(*parts)

    def apply(
        self,
        pairs: Pairs,
        hit: Bool[Array, "rows cols"] | None = None,
        window: Window | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Pairs:
        """The pairs with the cells that the map knows.

        Args:
            pairs: as programmed, (rows, cols).
            hit: pairs that are looked up; None is all.
            window: what "on" and "off" mean; only a map with stuck cells asks for it.
            key: nothing is drawn.

        Returns:
            The pairs, in the dtype they came in.

        Raises:
            ValueError: the map is of another shape or of several chips, or there is no window.
        """
        del key
        cells = pairs.interleave()
        if self.shape != cells.shape:
            needs = f"{cells.shape}{self._cure(pairs)}"
            raise ValueError(f"ChipMap: got cells {self.shape}, needs {needs}")
        new = cells
        if self.stuck is not None:
            if window is None:
                raise ValueError("window: got None, needs what stuck-on and stuck-off cells are at")
            g_min, g_max = (g.astype(cells.dtype) for g in (window.g_min, window.g_max))
            new = jnp.where(self.stuck > 0, g_max, jnp.where(self.stuck < 0, g_min, new))
        if self.g is not None:
            new = jnp.where(jnp.isnan(self.g), new, self.g.astype(cells.dtype))
        if hit is not None:
            new = jnp.where(jnp.repeat(hit, 2, axis=1), new, cells)
        return Pairs.from_interleaved(new)

    def _cure(self, pairs: Pairs) -> str:
        if len(self.shape) > 2:
            return f", one of {self.shape[0]} chips: chips[k], or jax.vmap"
        if self.shape == pairs.shape:
            return "; if an entry means both cells of a pair: ChipMap.of_pairs(g, g)"
        if self.shape == (pairs.shape[0] - 1, 2 * pairs.shape[1]):
            return "; the last row is the bias row"
        return ", rows x 2 * pairs"


def _is_cell(g: Any) -> Any:
    return (g >= 0) & (g <= MOST)
