"""Layers and networks as SPICE netlists: arrays, their amplifiers, rails and activations.

The readout's steps write their own circuits (`xbar.nn.readout`). The amplifier of column j is one
of two. Ideal (infinite gain): a virtual ground, and the output voltage `R_f i` from a
current-controlled source. With open-loop gain A: an amplifier `v_amp = -A v_inv` with R_f from its
output back to its inverting input, so that

    i = (v_inv - v_amp) / R_f = v_inv (1 + A) / R_f        v_inv = i R_f / (1 + A)
    v_amp = -A v_inv = -R_f i / (1 + 1/A)

which is xbar's `Transimpedance`: R_f / (1 + A) in series with the sense resistance, and the factor
1 / (1 + 1/A). The difference of the two columns of a pair goes through the rails, then the
activation. Converters have no netlist.

ngspice rewrites the numbers in a behavioural source with 11 digits ("%18.10e"). So behavioural
sources here hold no numbers but 0 and 1/2: gains and scales are linear controlled sources, rails
are voltage sources, all of which are read in full.

Newton's iteration of such a chain is exact after a few steps (each step settles the next layer),
but by default ngspice stops when voltages move by less than 1e-3: the `.options` here make it go
on until nothing moves. Linear circuits do not need them.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from xbar.activations import ACTIVATIONS
from xbar.checks import is_concrete
from xbar.circuit import Crossbar
from xbar.nn import Layer, Network
from xbar.spice import laws
from xbar.spice.netlist import (
    Nodes,
    array_lines,
    finish,
    head,
    nodes_of,
    values_of,
    voltages,
)
from xbar.spice.text import number, ranges

OPTIONS = ".options reltol=1e-12 vntol=1e-15 abstol=1e-18"


class Chain(NamedTuple):
    """Consecutive layers of a network, with the number that each has there."""

    first: int
    layers: tuple[Layer, ...]

    def names(self, index: int) -> "LayerNames":
        """What the parts of one of the layers are called."""
        layer = self.layers[index]
        tag = f"l{self.first + index}_"
        rows, outputs = layer.pairs.shape
        if index == 0:
            drive = [f"{tag}in_{i}" for i in range(rows)]
        else:
            drive = [*self.names(index - 1).v_out, f"{tag}in_{rows - 1}"]
        ends = [f"{tag}out_{j}" for j in range(2 * outputs)]
        v_tia = [f"{tag}tia_{o}" for o in range(outputs)]
        v_out = v_tia if layer.activation is None else [f"{tag}act_{o}" for o in range(outputs)]
        return LayerNames(tag, drive, ends, v_tia, v_out)

    def nodes(self, index: int) -> Nodes:
        """Where the voltages and currents of a layer's array are found."""
        names = self.names(index)
        # The bare array: the amplifier's input resistance is a circuit of its own here.
        return nodes_of(values_of(bare(self.layers[index])), names.drive, names.ends, names.tag)


class LayerNames(NamedTuple):
    """Node names around one layer."""

    tag: str
    drive: list[str]  # (inputs + 1,)
    ends: list[str]  # (2 * outputs,)
    v_tia: list[str]  # (outputs,), after the rails
    v_out: list[str]  # (outputs,), after the activation


def network_netlist(
    network: Network, x: Any, *, title: str = "", faults: Mapping[int, Any] | None = None
) -> str:
    """A whole network for one input, as a complete netlist.

    Args:
        network: the arrays, amplifiers and activations.
        x: one input of the software network, (inputs,).
        title: a remark for the head; any text.
        faults: per layer number, cells to mark as faulty in comments, booleans
            (inputs + 1, 2 * outputs).

    Returns:
        The netlist, ASCII. Voltages of layer l's outputs: nodes `l<l>_act_<o>`, or `l<l>_tia_<o>`
        where there is no activation.

    Raises:
        TypeError, ValueError: as `array_netlist`.
    """
    chain = Chain(0, network.layers)
    return chain_netlist(chain, input_volts(network, x), title=title, faults=faults)


def layer_netlist(
    layer: Layer, v: Any, *, number: int = 0, title: str = "", faults: Any = None
) -> str:
    """One layer (array, amplifiers, rails, activation) as a complete netlist.

    Args:
        layer: the layer.
        v: input voltages without the bias row's, (inputs,) [V].
        number: of the layer, for its names.
        title: a remark for the head; any text.
        faults: cells to mark as faulty in comments, booleans (inputs + 1, 2 * outputs).

    Returns:
        The netlist, ASCII.

    Raises:
        TypeError, ValueError: as `array_netlist`.
    """
    marks = None if faults is None else {number: faults}
    return chain_netlist(Chain(number, (layer,)), v, title=title, faults=marks)


def chain_netlist(
    chain: Chain, v: Any, *, title: str = "", faults: Mapping[int, Any] | None = None
) -> str:
    """Consecutive layers, driven by the first one's input voltages (inputs,) [V]."""
    volts = voltages("v", v, len(chain.names(0).drive) - 1)
    sizes = [chain.layers[0].pairs.shape[0] - 1, *(layer.pairs.shape[1] for layer in chain.layers)]
    lines = head(f"a network of {'-'.join(map(str, sizes))} units on arrays of pairs", title)
    lines.append("* lk_ marks the parts of layer k; see each layer's remarks")
    linear = all(layer.array().cells.linear for layer in chain.layers)
    lines += [OPTIONS if linear else laws.OPTIONS, "* inputs"]
    lines += [f"{s} {n} 0 {number(x)}" for (s, n), x in zip(sources(chain), volts, strict=True)]
    for index in range(len(chain.layers)):
        marked = (faults or {}).get(chain.first + index)
        lines += _layer_lines(chain, index, marked)
    return finish(lines)


def sources(chain: Chain) -> list[tuple[str, str]]:
    """The sources that hold a chain's input voltages, and their nodes; (inputs,)."""
    tag, drive = chain.names(0)[:2]
    return [(f"Vin_{tag}{i}", node) for i, node in enumerate(drive[:-1])]


def input_volts(network: Network, x: Any) -> np.ndarray:
    """Input voltages of the first array, computed as `Network.voltages` does, (..., inputs) [V]."""
    if not is_concrete(x, network):
        raise TypeError("x: got traced values, needs known ones; call this outside jit")
    return np.asarray(network.k_in * jnp.asarray(x).astype(network.k_in.dtype), float)


def bare(layer: Layer) -> Crossbar:
    """The layer's array without its amplifiers' input resistance.

    Raises:
        ValueError: the layer is in tiles, each of which is an array of its own (`array_netlist`).
    """
    return Crossbar(layer.array().cells, layer.wires, layer.line_faults)


def _layer_lines(chain: Chain, index: int, faults: Any) -> list[str]:
    layer, names, tag = chain.layers[index], chain.names(index), chain.names(index).tag
    rows, outputs = layer.pairs.shape
    bias = rows - 1
    lines = [
        f"* layer {chain.first + index}: {rows} rows, of which row {bias} is the bias; output o",
        f"* (o = {ranges(range(outputs))}) is the difference of columns 2 o (+) and 2 o + 1 (-)",
        f"Vin_{tag}{bias} {names.drive[bias]} 0 {number(layer.v_bias)}",
    ]
    lines += array_lines(values_of(bare(layer)), names.drive, names.ends, layer=tag, faults=faults)
    if layer.dac is not None:
        raise ValueError("layer: got a DAC at its rows, which has no netlist")
    lines += layer.readout.netlist(tag, names.ends, names.v_tia, number)
    return lines + _activation(layer, names)


def _activation(layer: Layer, names: LayerNames) -> list[str]:
    tag, kind = names.tag, layer.activation
    if kind is None:
        return ["* no activation"]
    if not isinstance(kind, str):
        raise ValueError(f"activation: got a function, needs one of {list(ACTIVATIONS)} for SPICE")
    lines, phi = [f"* activation: {kind}, {number(layer.k)} volts per unit"], ACTIVATIONS[kind]
    for o, (tia, act) in enumerate(zip(names.v_tia, names.v_out, strict=True)):
        if phi.homogeneous:  # the volts per unit cancel
            lines.append(f"Bact_{tag}{o} {act} 0 v = {phi.spice.format(v=f'v({tia})')}")
            continue
        unit, out = f"{tag}unit_{o}", f"{tag}phi_{o}"
        lines.append(f"Eunit_{tag}{o} {unit} 0 {tia} 0 {number(1 / float(layer.k))}")
        lines.append(f"Bact_{tag}{o} {out} 0 v = {phi.spice.format(v=f'v({unit})')}")
        lines.append(f"Eact_{tag}{o} {act} 0 {out} 0 {number(layer.k)}")
    return lines
