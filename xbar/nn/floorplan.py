"""Where a network's tiles stand on a chip, maps of it, and faults at a place of it."""

from collections.abc import Sequence
from math import ceil, sqrt
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from xbar.devices import AbstractFault
from xbar.devices.faults import hit_pairs
from xbar.devices.mapping import Window
from xbar.nn.layer import Layer
from xbar.nn.network import Network


class Place(NamedTuple):
    """Where a tile stands, and what it holds.

    Args:
        chip: row and column of the tile on the chip.
        layer: whose weights it holds.
        tile: row and column of the tile in the layer.
    """

    chip: tuple[int, int]
    layer: int
    tile: tuple[int, int]


def floorplan(net: Network) -> tuple[Place, ...]:
    """Where each tile of a network stands on its chip: row by row, as near to a square as it gets.

    The tiles of the first layer come first, those of one row of tiles side by side.

    Raises:
        ValueError: a layer is in no tiles, or tiles differ in shape.
    """
    shape = _needed_shape(net)
    owners = [
        (number, divmod(n, layer.tiling.grid(layer.pairs.shape)[1]))
        for number, layer in enumerate(net.layers)
        if layer.tiling is not None
        for n in range(_count(layer))
    ]
    wide = _wide(len(owners), shape)
    return tuple(Place(divmod(n, wide), *owner) for n, owner in enumerate(owners))


def with_chip_fault(
    net: Network,
    mask: Any,
    fault: AbstractFault,
    key: PRNGKeyArray | None = None,
    *,
    window: Window | None = None,
) -> Network:
    """The network with a fault at a place on its chip, which hits whatever tiles stand there.

    ```python
    scratched = xb.nn.with_chip_fault(net, Circle((0.5, 0.5), 0.1), StuckPair("on"))
    ```

    Args:
        net: of layers in tiles of one shape; `floorplan` says where they stand.
        mask: over all tiles of the chip, lines without gaps between them: a mask, or booleans (rows
            of tiles * rows of a tile, columns of tiles * pairs of a tile). Cells beyond a layer's
            matrix stay open.
        fault: what happens there.
        key: JAX key, for faults that draw; layer n takes `fold_in(key, n)`.
        window: of the stuck values; None takes each layer's.

    Returns:
        A new network.

    Raises:
        TypeError: the fault is none.
        ValueError: as `floorplan`, or as `inject`.
    """
    rows, columns = _needed_shape(net)
    places = floorplan(net)
    high, wide = (1 + max(place.chip[axis] for place in places) for axis in (0, 1))
    hit = hit_pairs(mask, (high * rows, wide * columns // 2), True)
    tiles = (
        hit.reshape(high, rows, wide, columns // 2).swapaxes(1, 2).reshape(-1, rows, columns // 2)
    )
    first = 0
    for number, layer in enumerate(net.layers):
        assert layer.tiling is not None
        grid = layer.tiling.grid(layer.pairs.shape)
        own = tiles[first : first + _count(layer)].reshape(*grid, *tiles.shape[1:])
        first += _count(layer)
        net = net.with_fault(
            number,
            jnp.asarray(layer.tiling.of_pairs.whole(own, layer.pairs.shape)),
            fault,
            None if key is None else jax.random.fold_in(key, number),
            window=window,
        )
    return net


def chip_map(net: Network, maps: Sequence[Any]) -> Float[np.ndarray, "rows columns"]:
    """What belongs to the cells of each layer, by their places on the chip.

    ```python
    tiled = xb.Network.from_weights([np.ones((5, 4))], hardware=xb.Hardware(tile=(3, 4)))
    xb.nn.chip_map(tiled, [layer.pairs.interleave() for layer in tiled.layers])
    ```

    Args:
        net: of layers in tiles of one shape; `floorplan` says where they stand.
        maps: of each layer, (inputs + 1, 2 * outputs).

    Returns:
        (rows of tiles * rows of a tile, columns of tiles * columns of a tile); NaN where no cell is
        used.

    Raises:
        ValueError: as `floorplan`, or a map that is not of its layer's cells.
    """
    rows, columns = _needed_shape(net)
    places, parts = floorplan(net), []
    if len(maps) != len(net.layers):
        raise ValueError(f"maps: got {len(maps)}, needs one for each of {len(net.layers)} layers")
    for number, (layer, found) in enumerate(zip(net.layers, maps, strict=True)):
        assert layer.tiling is not None
        x, (inputs, outputs) = np.asarray(found, float), layer.pairs.shape
        if x.shape != (inputs, 2 * outputs):
            needs = (inputs, 2 * outputs)
            raise ValueError(f"maps[{number}]: got shape {x.shape}, needs {needs}, of every cell")
        there = layer.tiling.cut(np.ones(x.shape, bool))
        parts.append(np.where(there, layer.tiling.cut(x), np.nan))
    high, wide = (1 + max(place.chip[axis] for place in places) for axis in (0, 1))
    chip = np.full((high, wide, rows, columns), np.nan)
    for place in places:
        chip[place.chip] = parts[place.layer][place.tile]
    return chip.swapaxes(1, 2).reshape(high * rows, wide * columns)


def _count(layer: Layer) -> int:
    assert layer.tiling is not None
    rows, columns = layer.tiling.grid(layer.pairs.shape)
    return rows * columns


def tile_shape(net: Network) -> tuple[int, int] | None:
    """The one shape of all tiles, or None where layers are in none or in several."""
    shapes = {
        None if layer.tiling is None else (layer.tiling.rows, layer.tiling.cols)
        for layer in net.layers
    }
    return shapes.pop() if len(shapes) == 1 else None


def _needed_shape(net: Network) -> tuple[int, int]:
    shape = tile_shape(net)
    if shape is None:
        raise ValueError("net: got layers without tiles or of several shapes, needs tiles of one")
    return shape


def _wide(count: int, shape: tuple[int, int]) -> int:
    """Columns of tiles of a chip that is nearly square in cells."""
    return max(1, min(count, ceil(sqrt(count * shape[0] / shape[1]))))
