"""Faults in a layer or in one of its tiles; stuck cells among cells that are not resistors.

A stuck cell is a resistor; the rest keep their law.
"""

from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from xbar.cells import AbstractCell, Ohmic, Where
from xbar.devices import AbstractFault, inject
from xbar.devices.faults import hit_pairs
from xbar.devices.mapping import Pairs, Window
from xbar.nn.broken_lines import LINE_FAULTS
from xbar.nn.layer import Layer
from xbar.nn.tiles import Tiles
from xbar.programs import program


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


def faulty(
    layer: Layer,
    mask: Any,
    fault: AbstractFault,
    key: PRNGKeyArray | None,
    window: Window | None,
    include_bias_row: bool,
    tile: tuple[int, int] | None,
) -> Layer:
    """The layer with a fault; arguments and errors as `Network.with_fault` has them."""
    if not isinstance(fault, AbstractFault):
        raise TypeError(f"fault: got {fault!r}, needs a fault such as StuckPair('on')")
    if tile is not None:
        mask, include_bias_row = _of_tile(layer, mask, tile), True
    how = mask, fault, layer.window if window is None else window, key, include_bias_row
    new = eqx.tree_at(lambda layer: layer.pairs, layer, _injected(layer.pairs, *how))
    if layer.cells is None:
        return new
    return with_stuck(new, _injected(unknown(layer.pairs), *how))


def _of_tile(layer: Layer, mask: Any, tile: tuple[int, int]) -> Bool[Array, "rows outputs"]:
    """A mask over one tile's pairs as one over the layer's."""
    circuit = layer.circuit()
    if layer.tiling is None or not isinstance(circuit, Tiles):
        raise ValueError(f"tile: got {tile}, needs None: the layer is one array")
    circuit[tile]  # raises if there is none
    shape = layer.tiling.rows, layer.tiling.cols // 2
    hit = hit_pairs(mask, shape, True)
    grid = layer.tiling.grid(layer.pairs.shape)
    whole = jnp.zeros((*grid, *shape), bool).at[tile].set(hit)
    return jnp.asarray(layer.tiling.of_pairs.whole(whole, layer.pairs.shape))


@program(eqx.filter_jit)
def _injected(
    pairs: Pairs, mask: Any, fault: AbstractFault, window: Window, key: Any, bias_row: bool
) -> Pairs:
    return inject(pairs, mask, fault, window, key, include_bias_row=bias_row)
