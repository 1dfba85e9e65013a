"""One layer: an array, its readout and its activation; how weights become one, and its words.

Layer l is one array of differential pairs, its last row the bias:

    v_in = [k_l a_l, v_bias]                    k_l volts stand for one unit of activation
    i = T v_in                                  the array, T its transfer matrix
    v_tia = R_f (i_plus - i_minus)              the readout (gain, rails, ADC: see `Readout`)
    v_out = k_{l+1} phi(v_tia / k_{l+1})        no phi after the last array

In tiles (`xbar.nn.tiles`), i = T v holds for each, and what each row of tiles has behind its
readout is added before the activation. With R_f = k_{l+1} / (s_l k_l) and ideal wires,
v_out = k_{l+1} a_{l+1}: the circuit is the software network times a known scale. The gains are
always those of the ideal circuit, never recalibrated.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.activations import ACTIVATIONS, Phi, function_of
from xbar.checks import cast, namespace
from xbar.circuit import Crossbar, LineFaults, Wires
from xbar.devices.device import Device
from xbar.devices.mapping import Pairs, Window, map_weights
from xbar.fields import described, extent
from xbar.nn.array import Answers, with_last
from xbar.nn.array import Array as PairArray
from xbar.nn.converters import DAC
from xbar.nn.hardware import Hardware
from xbar.nn.readout import Readout
from xbar.nn.tiles import Tiles
from xbar.nn.tiling import Tiling
from xbar.programs import program
from xbar.solvers import AbstractSolver


class LayerVoltages(NamedTuple):
    """Voltages around one layer for a batch of inputs.

    Args:
        v_in: row voltages, the bias row last, (..., inputs + 1) [V].
        v_tia: amplifier voltages, as the readout gives them, (..., outputs) [V].
        v_out: output voltages, after the activation, (..., outputs) [V].
    """

    v_in: Array
    v_tia: Array
    v_out: Array


@final
class Layer(eqx.Module):
    """One array, or tiles of one shape, with their readout and activation.

    Args:
        pairs: its differential pairs, bias row last, (inputs + 1, outputs) [S].
        window: that the pairs were mapped to.
        wires: of the array, without the amplifiers' input resistance [ohm].
        readout: from its currents to voltages.
        s: conductance per unit of weight, () or (outputs,) [S].
        k: volts per unit of activation at its output, () [V].
        v_bias: voltage of the bias row, () [V].
        activation: "relu", "tanh", "sigmoid", an elementwise function, or None.
        dac: at its rows; None for exact voltages.
        cells: from conductances to the law that the cells obey, a module; None for ohmic cells.
        line_faults: broken and bridged lines of the array; None for none.
        device: how its cells are programmed, age and are read (`xbar.nn.program`); None for cells
            that have and keep what is asked.
        targets: conductances that were asked for, where `pairs` are programmed ones.
        tiling: how the cells are cut into arrays of one shape, which `wires` are then of; None for
            one array as large as it needs to be.
    """

    pairs: Pairs
    window: Window
    wires: Wires
    readout: Readout
    s: Float[Array, "..."] = eqx.field(
        metadata=described("S", ("output",), "conductance per unit of weight")
    )
    k: Float[Array, ""] = eqx.field(
        metadata=described("V", (), "volts per unit of activation at the output")
    )
    v_bias: Float[Array, ""] = eqx.field(metadata=described("V", (), "voltage of the bias row"))
    activation: str | Callable[[Any], Any] | None = eqx.field(static=True)
    dac: DAC | None = None
    cells: Callable[[Any], Any] | None = None
    line_faults: LineFaults | None = None
    device: Device | None = None
    targets: Pairs | None = None
    tiling: Tiling | None = None

    def __check_init__(self) -> None:
        if self.tiling is not None and self.line_faults is not None:
            raise ValueError("Layer.line_faults: got some beside tiles, needs a layer of one array")
        phi = self.activation
        if isinstance(phi, str) and phi not in ACTIVATIONS:
            needs = f"None, a function or one of {list(ACTIVATIONS)}"
            raise ValueError(f"Layer.activation: got {phi!r}, needs {needs}")

    @property
    def outputs(self) -> int:
        """Number of outputs, as the readout makes them of two columns per pair."""
        # As under `filter_jit`: a step's arrays are shapes here, whatever else it has is known.
        arrays, rest = eqx.partition(self.readout, eqx.is_array)
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), arrays)
        leaves, structure = jax.tree.flatten((shapes, rest))
        columns = jax.ShapeDtypeStruct((2 * self.pairs.shape[1],), self.pairs.g_plus.dtype)
        return _outputs(structure, tuple(leaves), columns)

    def circuit(self) -> PairArray | Tiles:
        """The array or its tiles as a part of its own, with the amplifiers that it sees."""
        if self.tiling is not None:
            return Tiles(self.pairs, self.wires, self.readout, self.tiling, self.cells)
        return PairArray(self.pairs, self.wires, self.readout, self.cells, self.line_faults)

    def array(self) -> Crossbar:
        """The circuit that is solved: (inputs + 1, 2 * outputs) cells, and amplifier inputs.

        Raises:
            ValueError: there are several.
        """
        circuit = self.circuit()
        if isinstance(circuit, Tiles):
            rows, columns = circuit.grid
            raise ValueError(
                f"layer: got {rows} x {columns} tiles, needs one array; take one of them, "
                "layer.circuit()[row, column].crossbar()"
            )
        return circuit.crossbar()

    def transfer(
        self, solver: AbstractSolver | None = None, *, throw: bool = True
    ) -> Float[Array, "two_outputs inputs_1"]:
        """Transfer matrix of the array or of all tiles in their places, as `xbar.transfer`."""
        return self.circuit().transfer(solver, throw=throw)

    def apply(
        self,
        t: Float[Array, "two_outputs inputs_1"],
        v: Float[Array, "*n inputs"],
        key: PRNGKeyArray | None = None,
    ) -> LayerVoltages:
        """The layer's voltages for input voltages v, given its transfer matrix."""
        return self.voltages(self.circuit().prepared(t), v, key)

    def voltages(
        self, array: Answers, v: Float[Array, "*n inputs"], key: PRNGKeyArray | None = None
    ) -> LayerVoltages:
        """The layer's voltages for input voltages v, given what answers for its array.

        Args:
            array: with the currents.
            v: input voltages, without the bias row's [V].
            key: JAX key of one read, for a readout with noise.
        """
        if self.dac is not None and self.dac.serial:
            return self._cycle_by_cycle(self.dac, array, v, key)
        v = v if self.dac is None else self.dac.volts(v)
        v_tia, v_out = self.read(array.currents(v, self.v_bias), key)
        return LayerVoltages(with_last(v, self.v_bias), v_tia, v_out)

    def _cycle_by_cycle(
        self, dac: DAC, array: Answers, v: Float[Array, "*n inputs"], key: PRNGKeyArray | None
    ) -> LayerVoltages:
        """The layer's voltages, read bit by bit of its inputs and added up."""
        each, weights = dac.cycles(v), dac.weights(v)
        # As one batch of inputs: an array that is solved knows no further axes.
        i_out = array.currents(each.reshape(-1, each.shape[-1]), self.v_bias)
        read = self.read(i_out, key)[0]
        v_tia = jnp.tensordot(weights, read.reshape(*each.shape[:-1], read.shape[-1]), axes=1)
        return LayerVoltages(with_last(dac.volts(v), self.v_bias), v_tia, self.activate(v_tia))

    def activate(self, v_tia: Float[Array, "*n outputs"]) -> Float[Array, "*n outputs"]:
        """Output voltages of amplifier voltages, k phi(v_tia / k) [V]."""
        if self.activation is None:
            return v_tia
        k = self.k.astype(v_tia.dtype)
        return k * function_of(self.activation)(v_tia / k)

    def fold(self, t: Float[Array, "columns k"]) -> Float[Array, "outputs k"]:
        """The readout's linear steps applied to a transfer matrix: volts instead of amperes.

        Behind a difference there are half as many of them, which is half the work for later inputs.

        Args:
            t: column currents per volt, or per anything else, (2 * outputs, k).

        Returns:
            Voltages behind the linear steps per the same.
        """
        return self.readout.without_noise().split()[0].volts(t.T).T

    def without_noise(self) -> "Layer":
        """The layer with a noiseless readout."""
        quiet = self.readout.without_noise()
        if quiet is self.readout:
            return self
        return eqx.tree_at(lambda layer: layer.readout, self, quiet)

    @property
    def folded(self) -> "Layer":
        """The layer for an array that `fold` made: with the readout's other steps, noiseless."""
        rest = self.readout.without_noise().split()[1]
        return eqx.tree_at(lambda layer: layer.readout, self, rest)

    def read(
        self, i_out: Float[Array, "*i columns"], key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, "*n outputs"], Float[Array, "*n outputs"]]:
        """Amplifier and output voltages [V] of column currents [A]."""
        return _read(self, i_out, key)


@lru_cache
def _outputs(structure: Any, leaves: tuple[Any, ...], columns: jax.ShapeDtypeStruct) -> int:
    """Outputs of a readout, given by its parts; asking its steps takes milliseconds."""
    shapes, rest = jax.tree.unflatten(structure, leaves)

    def volts(arrays: Any, i_out: Array) -> Array:
        return eqx.combine(arrays, rest).without_noise().volts(i_out)

    return jax.eval_shape(volts, shapes, columns).shape[-1]


@program(eqx.filter_jit)
def _read(layer: Layer, i_out: Array, key: PRNGKeyArray | None) -> tuple[Array, Array]:
    """Amplifier and output voltages of column currents."""
    v_tia = layer.readout.volts(i_out, key)
    if layer.tiling is not None and layer.tiling.partial_sums == "digital":
        v_tia = v_tia.sum(-2)
    return v_tia, layer.activate(v_tia)


def check_one_cycle(name: str, layers: Sequence[Layer]) -> None:
    """Raise for bit-serial inputs, of which one input is several states of the circuit."""
    if any(layer.dac is not None and layer.dac.serial for layer in layers):
        raise ValueError(
            f"{name}: got bit-serial inputs, whose cycles are circuits of their own; needs a DAC "
            "without serial, or layer.dac.cycles(v) and layer.array() for one cycle"
        )


def layer_index(layer: int, count: int) -> int:
    """A layer's index from 0 on; negative ones count from the end.

    Raises:
        TypeError: not a whole number.
        ValueError: no such layer.
    """
    if not isinstance(layer, int | np.integer) or isinstance(layer, bool):
        raise TypeError(f"layer: got {layer!r}, needs a whole number")
    if not -count <= layer < count:
        raise ValueError(f"layer: got {layer}, needs 0..{count - 1}")
    return int(layer) % count


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
    own = None if device is None else device.within(window)
    tiling = None if hardware.tile is None else Tiling(*hardware.tile, hardware.partial_sums)
    numbers = pairs, window, lines, readout, s, k, v_bias, phi
    layer = Layer(*numbers, hardware.dac, hardware.law(), device=own, tiling=tiling)
    eqx.filter_eval_shape(_built, layer)  # raises now where the wires' shapes do not fit
    return layer


def _built(layer: Layer) -> None:
    circuit = layer.circuit()
    (circuit[0, 0] if isinstance(circuit, Tiles) else circuit).crossbar()


def summary(layers: Sequence[Layer], k_in: Any) -> str:
    """What `print(net)` shows of a network: sizes, and each layer's numbers."""
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
