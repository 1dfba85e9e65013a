"""A network in words."""

from collections.abc import Sequence
from typing import Any

from xbar.fields import extent
from xbar.nn.layer import Layer


def summary(layers: Sequence[Layer], k_in: Any) -> str:
    """What `print(net)` shows: sizes, and each layer's numbers."""
    sizes = [layers[0].pairs.shape[0] - 1, *(layer.outputs for layer in layers)]
    head = f"Network {'-'.join(map(str, sizes))}, {k_in.dtype}, input {k_in:.4g} V per unit"
    return "\n".join([head, *(_layer(n, layer) for n, layer in enumerate(layers))])


def _layer(number: int, layer: Layer) -> str:
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
