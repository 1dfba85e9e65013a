"""A network in words."""

from typing import TYPE_CHECKING, Any

import equinox as eqx
import numpy as np

from xbar.checks import is_concrete
from xbar.fields import extent

if TYPE_CHECKING:
    from xbar.nn.layer import Layer
    from xbar.nn.network import Network


def summary(net: "Network") -> str:
    """What `print(net)` shows: sizes, and each layer's numbers; batched ones by their shapes."""
    if not is_concrete(net) or np.ndim(net.k_in):
        return eqx.tree_pformat(net)
    sizes = [net.layers[0].pairs.shape[0] - 1, *(layer.outputs for layer in net.layers)]
    head = f"Network {'-'.join(map(str, sizes))}, {net.k_in.dtype}, input {net.k_in:.4g} V per unit"
    return "\n".join([head, *(_layer(n, layer) for n, layer in enumerate(net.layers))])


def _layer(number: int, layer: "Layer") -> str:
    rows, outputs = layer.pairs.shape
    low, high = float(layer.window.g_min), float(layer.window.g_max)
    wires = ", ".join(f"{name} {extent(r)}" for name, r in layer.wires.leaves.items())
    lines = [
        f"  layer {number}: {rows} x {2 * outputs} cells, {1e6 * low:.4g} to {1e6 * high:.4g} uS "
        f"({_ohm(high)} to {_ohm(low)} ohm), bias row at {float(layer.v_bias):.4g} V",
        f"    wires [ohm]: {wires}",
        f"    readout: {', '.join(_step(step) for step in layer.readout.steps)}",
        f"    output: {_phi(layer.activation)}, {float(layer.k):.4g} V per unit",
    ]
    if layer.tiling is not None:
        high, wide = layer.tiling.grid(layer.pairs.shape)
        size = f"{layer.tiling.rows} x {layer.tiling.cols} cells"
        lines.insert(1, f"    {high} x {wide} tiles of {size}, {layer.tiling.partial_sums} sums")
    if layer.dac is not None:
        lines.insert(1, f"    rows: {_step(layer.dac)}")
    return "\n".join(lines)


def _step(step: Any) -> str:
    """A step by its name and its numbers."""
    numbers = [
        name if value is True else f"{name} {value if isinstance(value, int) else extent(value)}"
        for name, value in vars(step).items()
        if hasattr(value, "dtype") or (isinstance(value, int) and value is not False)
    ]
    return f"{type(step).__name__}({', '.join(numbers)})"


def _phi(activation: Any) -> str:
    if activation is None:
        return "no activation"
    return activation if isinstance(activation, str) else getattr(activation, "__name__", "own")


def _ohm(g: float) -> str:
    return f"{1 / g:.4g}" if g > 0 else "inf"
