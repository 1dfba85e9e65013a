"""Networks, correctors and software networks <-> groups of stored fields.

Stored ones lead with one axis of circuits, called `seed`; reading picks one circuit of them.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from xbar.circuit import Wires
from xbar.devices.mapping import Pairs, Window
from xbar.io.store import Field
from xbar.learn.corrector import BiasHead, Corrector, DiagonalHead
from xbar.learn.mlp import MLP
from xbar.nn import Layer, Network, Readout

# Names of a wire's axes behind the seed, by its name and how many there are.
_WIRE_AXES = {
    "word_line": {0: (), 2: ("row", "column")},
    "bit_line": {0: (), 2: ("row", "column")},
    "source": {0: (), 1: ("row",)},
    "sense": {0: (), 1: ("column",)},
}


def network_fields(network: Network) -> dict[str, Any]:
    """Everything that a stack of networks consists of.

    Args:
        network: stacked, every array leads with (seeds,).

    Returns:
        A tree for `write_results`: `k_in` and a group `layer_0`, `layer_1`, ... each.
    """
    fields: dict[str, Any] = {
        "k_in": Field(network.k_in, "V", ("seed",), "volts per unit of the software input"),
    }
    for number, layer in enumerate(network.layers):
        fields[f"layer_{number}"] = _layer_fields(layer)
    return fields


def _layer_fields(layer: Layer) -> dict[str, Any]:
    cells, each, readout = ("seed", "row", "pair"), ("seed",), layer.readout
    fields: dict[str, Any] = {
        "activation": layer.activation or "none",
        "g_plus": Field(layer.pairs.g_plus, "S", cells, "plus cells; the bias row is the last"),
        "g_minus": Field(layer.pairs.g_minus, "S", cells, "minus cells"),
    }
    for name, leaf in layer.wires.leaves.items():
        axes = (*each, *_WIRE_AXES[name][leaf.ndim - 1])
        fields[f"r_{name}"] = Field(leaf, "ohm", axes, f"resistance of the {name}")
    for name, values, unit, about in (
        ("g_min", layer.window.g_min, "S", "off state of the devices' window"),
        ("g_max", layer.window.g_max, "S", "on state of the devices' window"),
        ("r_f", readout.r_f, "ohm", "feedback of the amplifiers"),
        ("open_loop_gain", readout.open_loop_gain, "1", "of the amplifiers; infinite is ideal"),
        ("v_min", readout.v_min, "V", "lower rail of the amplifiers"),
        ("v_max", readout.v_max, "V", "upper rail of the amplifiers"),
        ("k", layer.k, "V", "volts per unit of activation at the output"),
        ("s", layer.s, "S", "conductance per unit of weight"),
        ("v_bias", layer.v_bias, "V", "voltage of the bias row"),
    ):
        fields[name] = Field(values, unit, each, about)
    return fields


def network_from(group: Mapping[str, Any], circuit: int) -> Network:
    """One network of a stored stack.

    Args:
        group: arrays as `read_results` gives them for a group of `network_fields`.
        circuit: index along the seeds.

    Returns:
        The network, equal to the one that was stored.

    Raises:
        KeyError: the group lacks something.
    """
    return network_of(_at(group, circuit))


def network_of(group: Mapping[str, Any]) -> Network:
    """The network whose arrays these are, without the axis of seeds; they may be traced."""
    count = sum(name.startswith("layer_") for name in group)
    layers = tuple(_layer_of(group[f"layer_{number}"]) for number in range(count))
    return Network(layers, jnp.asarray(group["k_in"]))


def _at(group: Mapping[str, Any], circuit: int) -> dict[str, Any]:
    """One circuit of everything in a group."""
    return {
        name: item
        if isinstance(item, str)
        else _at(item, circuit)
        if isinstance(item, Mapping)
        else item[circuit]
        for name, item in group.items()
    }


def _layer_of(at: Mapping[str, Any]) -> Layer:
    return Layer(
        pairs=Pairs(at["g_plus"], at["g_minus"]),
        window=Window(at["g_min"], at["g_max"]),
        wires=Wires(at["r_word_line"], at["r_bit_line"], at["r_source"], at["r_sense"]),
        readout=Readout(at["r_f"], at["open_loop_gain"], at["v_min"], at["v_max"]),
        s=jnp.asarray(at["s"]),
        k=jnp.asarray(at["k"]),
        v_bias=jnp.asarray(at["v_bias"]),
        activation=None if at["activation"] == "none" else at["activation"],
    )


def mlp_fields(model: MLP, what: str) -> dict[str, Any]:
    """Weights, biases and activation of a stack of software networks; `what` names them."""
    axes = ("seed", "input", "output")
    fields: dict[str, Any] = {"activation": model.activation}
    for k, (w, b) in enumerate(zip(model.weights, model.biases, strict=True)):
        fields[f"weights_{k}"] = Field(w, "1", axes, f"weights of layer {k}, {what}")
        fields[f"biases_{k}"] = Field(b, "1", axes[::2], f"biases of layer {k}, {what}")
    return fields


def mlp_from(group: Mapping[str, Any], circuit: int | np.ndarray) -> MLP:
    """One software network of a stored stack, as `network_from`; or several, stacked."""
    layers = range(sum(name.startswith("weights_") for name in group))
    return MLP(
        tuple(group[f"weights_{k}"][circuit] for k in layers),
        tuple(group[f"biases_{k}"][circuit] for k in layers),
        group["activation"],
    )


def corrector_fields(corrector: Corrector) -> dict[str, Any]:
    """Everything that a stack of correctors consists of."""
    per_output, head = ("seed", "output"), corrector.head
    fields: dict[str, Any] = {
        "mean": Field(corrector.mean, "V", per_output, "subtracted from the voltages"),
        "std": Field(corrector.std, "V", per_output, "divides the voltages"),
    }
    if isinstance(head, MLP):
        return fields | mlp_fields(head, "corrector")
    bias = Field(head.bias, "1", per_output, "added to the scaled voltages")
    if isinstance(head, DiagonalHead):
        scale = Field(head.scale, "1", per_output, "multiplies the normalised voltages")
        return fields | {"scale": scale, "bias": bias}
    log_scale = Field(head.log_scale, "1", ("seed",), "logarithm of the common scale")
    return fields | {"log_scale": log_scale, "bias": bias}


def corrector_from(group: Mapping[str, Any], circuit: int | np.ndarray) -> Corrector:
    """One corrector of a stored stack, as `network_from`; or several, stacked."""

    def at(name: str) -> Array:
        return jnp.asarray(group[name][circuit])

    mean, std = at("mean"), at("std")
    if "log_scale" in group:
        return Corrector(mean, std, BiasHead(at("log_scale"), at("bias")))
    if "scale" in group:
        return Corrector(mean, std, DiagonalHead(at("scale"), at("bias")))
    return Corrector(mean, std, mlp_from(group, circuit))
