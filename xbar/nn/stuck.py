"""Stuck cells among cells that are not resistors: they are resistors, the rest keep their law."""

from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from xbar.cells import AbstractCell, Ohmic, Where
from xbar.devices.mapping import Pairs
from xbar.nn.broken_lines import LINE_FAULTS
from xbar.nn.layer import Layer


@final
class Mixed(eqx.Module):
    """From conductances to cells of which some are stuck at theirs.

    A stuck cell is shorted or cut by its defect; nothing says that it keeps the law of a sound one.

    Args:
        cells: from conductances to the law of sound cells.
        stuck: which are not, (rows, columns).
    """

    cells: Callable[[Any], AbstractCell]
    stuck: Bool[jax.Array, "rows columns"]

    def __call__(self, g: Float[jax.Array, "rows columns"]) -> Where:
        """The law of cells with these conductances [S]."""
        return Where(self.stuck, Ohmic(g), self.cells(g))


def unknown(pairs: Pairs) -> Pairs:
    """Pairs of NaN: what a fault writes into them are the cells that it makes stick."""
    return jax.tree.map(lambda g: jnp.full_like(g, jnp.nan), pairs)


def with_stuck(layer: Layer, injected: Pairs) -> Layer:
    """The layer with stuck cells as resistors, beside those that were stuck before.

    Args:
        layer: whose pairs have the fault in them.
        injected: the fault injected into `unknown` pairs.
    """
    stuck = jnp.isfinite(injected.interleave())
    cells: Any = layer.cells
    if isinstance(cells, Mixed):
        cells, stuck = cells.cells, stuck | cells.stuck
    new = Mixed(cells, stuck)
    return eqx.tree_at(lambda layer: layer.cells, layer, new, is_leaf=lambda x: x is None)


def stuck_by(fault: str, hit: Bool[np.ndarray, "*n rows outputs"]) -> np.ndarray:
    """Cells (..., rows, 2 * outputs) that a fault of a study makes stick; none by broken lines.

    Args:
        fault: as a study names it, such as "pair" or "plus".
        hit: the pairs that it hits.
    """
    sides = [hit & (fault not in (other, *LINE_FAULTS)) for other in ("minus", "plus")]
    return np.stack(sides, axis=-1).reshape(*hit.shape[:-1], -1)
