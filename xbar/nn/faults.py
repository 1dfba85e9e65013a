"""Faults in a layer, or in one of its tiles."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray

from xbar.devices import AbstractFault, inject
from xbar.devices.faults import hit_pairs
from xbar.devices.mapping import Pairs, Window
from xbar.nn.layer import Layer
from xbar.nn.stuck import unknown, with_stuck
from xbar.nn.tiles import Tiles
from xbar.programs import program


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
