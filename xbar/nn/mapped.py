"""Weights with their bias row -> a layer of arrays."""

from typing import Any

import equinox as eqx

from xbar.activations import Phi
from xbar.checks import cast, namespace
from xbar.devices.mapping import map_weights
from xbar.nn.hardware import Hardware
from xbar.nn.layer import Layer
from xbar.nn.tiles import Tiles
from xbar.nn.tiling import Tiling


def mapped(columns: Any, k_in: Any, k_out: Any, hardware: Hardware, phi: Phi | None) -> Layer:
    """Weights -> a layer: conductances, and gains of the ideal circuit.

    Args:
        columns: weights of the array's pairs with their bias row, from `hardware.columns`.
        k_in: volts per unit at its input, () [V].
        k_out: volts per unit at its output, () [V].
        hardware: of the layer.
        phi: its activation; None for none.
    """
    clip = hardware.clip if hardware.slices is None else None  # slices are of clipped weights
    pairs, s = map_weights(
        columns, hardware.window, hardware.mapping, scale=hardware.scale, clip=clip
    )
    xp = namespace(s, k_in, k_out)
    readout = hardware.readout(k_out / (xp.asarray(s) * k_in))
    lines, k, v_bias = cast((hardware.wires, k_out, hardware.v_bias), columns.dtype)
    window, device = hardware.window, hardware.device
    layer = Layer(pairs, window, lines, readout, s, k, v_bias, phi, hardware.dac, hardware.law())
    own = None if device is None else device.within(window)
    tiling = None if hardware.tile is None else Tiling(*hardware.tile, hardware.partial_sums)
    where = lambda layer: (layer.device, layer.tiling)  # noqa: E731
    layer = eqx.tree_at(where, layer, (own, tiling), is_leaf=lambda x: x is None)
    eqx.filter_eval_shape(_built, layer)  # raises now where the wires' shapes do not fit
    return layer


def _built(layer: Layer) -> None:
    circuit = layer.circuit()
    (circuit[0, 0] if isinstance(circuit, Tiles) else circuit).crossbar()
