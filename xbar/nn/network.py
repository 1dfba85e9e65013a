"""A network as a chain of arrays: the whole path from weights to voltages.

::

    weights       rows = [w; b k / v_bias]               the bias is one more row      `mapped`
    conductances  g_plus, g_minus = map_weights(rows)    the largest at g_max          `mapped`
    faults        pairs = inject(pairs, mask, fault)     after the mapping             `with_fault`
    currents      i = T v, or solved for each v          T from `xbar.transfer`        `forward`
    readout       v_tia = R_f (i_plus - i_minus)         rails, converters             `forward`
    activation    v' = k' phi(v_tia / k')                drives the next array         `forward`
    corrector     logits = corrector(net(x))             sees voltages alone           `xbar.learn`
"""

from collections.abc import Sequence
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.activations import Phi
from xbar.checks import cast, checked, is_concrete, namespace, on_device
from xbar.circuit import Solution, Wires
from xbar.devices import AbstractFault
from xbar.devices.mapping import Window
from xbar.fields import described
from xbar.nn.array import Answers, Solving
from xbar.nn.build import (
    hardware_of,
    scaled,
    software_of,
    unpack_mlp,
    warn_of_outliers,
    with_bias_row,
    with_fitted_gain,
)
from xbar.nn.hardware import Hardware
from xbar.nn.layer import Layer, LayerVoltages, check_one_cycle, layer_index, mapped, summary
from xbar.nn.stuck import faulty
from xbar.nn.tiles import transfers_of
from xbar.programs import program
from xbar.solvers import AbstractSolver

Samples = Float[Array, "*n outputs"]


def forward(
    layers: Sequence[Layer], arrays: Sequence[Answers], v: Samples, key: PRNGKeyArray | None = None
) -> tuple[LayerVoltages, ...]:
    """The forward pass, the only one: every layer's voltages.

    Args:
        layers: consecutive ones.
        arrays: what answers for the array of each, by solving it or by its transfer matrix.
        v: input voltages of the first, without the bias row's, (..., inputs) [V].
        key: JAX key of one read, for readouts with noise.

    Returns:
        One `LayerVoltages` per layer.
    """
    found = []
    for number, (layer, array) in enumerate(zip(layers, arrays, strict=True)):
        own = None if key is None else jax.random.fold_in(key, number)
        found.append(layer.voltages(array, v, own))
        v = found[-1].v_out
    return tuple(found)


def behind(
    layers: Sequence[Layer], arrays: Sequence[Answers], v: Samples, key: PRNGKeyArray | None = None
) -> Array:
    """Output voltages of consecutive layers as `forward` has them; of no layers, what came in."""
    return forward(layers, arrays, v, key)[-1].v_out if layers else v


@final
class Network(eqx.Module):
    """A trained network on arrays. Make one with `from_weights` or `from_mlp`.

    `net(x)` are the output voltages. Each array is solved once, for its transfer matrix; products
    do the rest, however many inputs there are (cells that are not linear are solved for each). A
    sweep over one layer can keep the others' matrices: `net.transfers()`, `net.apply`.

    Everything but the activation's name is an array: networks can be batched over weights, masks,
    wires, windows and gains by `equinox.filter_vmap`, and differentiated.

    Args:
        layers: the layers in order.
        k_in: volts per unit of the software network's input, () [V].
    """

    layers: tuple[Layer, ...]
    k_in: Float[Array, ""] = eqx.field(
        metadata=described("V", (), "volts per unit of the software input")
    )

    @staticmethod
    def from_weights(
        weights: Sequence[Any],
        biases: Sequence[Any] | None = None,
        *,
        activation: Phi = "relu",
        hardware: Hardware | Sequence[Hardware] | None = None,
        window: Window | Sequence[Window] | None = None,
        wires: Wires | Sequence[Wires] | None = None,
        mapping: str = "unipolar",
        v_read: Any = 0.2,
        v_bias: Any = None,
        calibration: Any = None,
        k: Any = None,
        open_loop_gain: Any = np.inf,
        v_min: Any = None,
        v_max: Any = None,
    ) -> "Network":
        """Map a trained network (a_{l+1} = phi(a_l W_l + b_l), no phi at the end) to arrays.

        The scales k, volts per unit of activation, come from `k`; or from `calibration`, as
        `volts_per_unit` says; or are v_read everywhere. They set how well the voltages use their
        range, and nothing else as long as no rail is reached.

        Args:
            weights: one matrix (inputs, outputs) per layer. They give the dtype of everything.
            biases: one (outputs,) per layer; None for none (the bias rows are still there).
            activation: "relu", "tanh", "sigmoid", or any elementwise function in JAX (which SPICE
                then does not know).
            hardware: all that the layers' circuits are, one or one per layer, in place of the
                keywords below up to `v_bias` and from `open_loop_gain` on.
            window: of the devices, one or one per layer; None takes `Window.preset()`, 10k/1M.
            wires: of the arrays, (inputs + 1, 2 * outputs) cells, one or one per layer; None for
                no resistance.
            mapping: "unipolar" or "balanced", as in `map_weights`.
            v_read: full-scale voltage, () [V].
            v_bias: voltage of the bias rows, () [V]; None takes v_read.
            calibration: inputs of the software network, (n, inputs), that set k.
            k: volts per unit at the input and after each layer, (layers + 1,) [V].
            open_loop_gain: of the amplifiers, (); infinite is ideal.
            v_min: lower rail of the amplifiers, () [V]; None for none.
            v_max: upper rail, () [V]; None for none.

        Returns:
            The network, healthy: as mapped, with the wires given, gains of the ideal circuit.

        Raises:
            TypeError: something is not real numbers.
            ValueError: shapes that do not follow from each other, the wrong number of biases,
                windows or wires, an unknown activation or mapping, both calibration and k, or
                a concrete number that is not finite or out of range.
        """
        software = software_of(weights, biases, activation)
        keywords = {"window": window, "wires": wires, "mapping": mapping, "v_read": v_read}
        keywords |= {"v_bias": v_bias, "open_loop_gain": open_loop_gain}
        keywords |= {"v_min": v_min, "v_max": v_max}
        each = hardware_of(hardware, keywords, len(software.weights))
        ks, each, ideal = scaled(software, each, calibration, k)
        columns = [
            hardware.columns(with_bias_row(w, b, k, hardware.v_bias))
            for w, b, k, hardware in zip(software.weights, software.biases, ks, each, strict=False)
        ]
        phis = [activation] * (len(columns) - 1) + [None]
        layers = [mapped(*part) for part in zip(columns, ks, ks[1:], each, phis, strict=False)]
        warn_of_outliers(columns, layers)
        for number, layer in enumerate(layers):
            if layer.cells is not None and ideal is not None:
                layers[number] = with_fitted_gain(layer, *ideal[number])
        return Network(tuple(layers), cast(ks[0], columns[0].dtype))

    @staticmethod
    def from_mlp(mlp: eqx.nn.MLP, **options: Any) -> "Network":
        """Map an `equinox.nn.MLP` to arrays.

        Args:
            mlp: any, without a final activation. ReLU, tanh and sigmoid are recognised by their
                values; SPICE knows no others.
            options: of `from_weights`: window, wires, calibration and so on.

        Returns:
            The network; `net(x)` is `net.output_scale * jax.vmap(mlp)(x)` if the circuit is ideal.

        Raises:
            TypeError: not an MLP.
            ValueError: a final activation, or as `from_weights`.
        """
        weights, biases, activation = unpack_mlp(mlp)
        return Network.from_weights(weights, biases, activation=activation, **options)

    @property
    def k(self) -> Float[Array, "*batch layers_1"]:
        """Volts per unit at the input and after each layer, (layers + 1,) [V]."""
        xp = namespace(self)
        k = xp.stack([self.k_in, *(layer.k for layer in self.layers)], axis=-1)
        return on_device(k) if xp is np else k

    @property
    def output_scale(self) -> Float[Array, "*batch"]:
        """Volts per unit of logit, () [V]: the ideal circuit has net(x) = output_scale * logits."""
        return self.layers[-1].k

    def __call__(
        self,
        x: Any,
        *,
        solver: AbstractSolver | None = None,
        throw: bool = True,
        key: PRNGKeyArray | None = None,
    ) -> Samples:
        """Output voltages.

        Args:
            x: inputs in the software network's unit, (n, inputs) or (inputs,).
            solver: of the arrays; None for the default.
            throw: raise if an array cannot be solved (inside jit: NaN); False lets it through.
            key: JAX key of one read, for readouts with noise.

        Returns:
            (n, outputs) or (outputs,) [V].

        Raises:
            ValueError: x has another shape or is not finite where concrete, or as `transfer`.
        """
        circuits = [layer.circuit() for layer in self.layers]
        if all(circuit.linear for circuit in circuits):
            return self.apply(transfers_of(circuits, solver, throw=throw), x, key=key)
        arrays = [circuit.answers(solver, throw=throw) for circuit in circuits]
        return behind(self.layers, arrays, self.input_volts(self._inputs(x)), key)

    def transfers(
        self, *, solver: AbstractSolver | None = None, throw: bool = True
    ) -> tuple[Array, ...]:
        """Each array's transfer matrix, (2 * outputs, inputs + 1) [S]; for `apply`."""
        return transfers_of([layer.circuit() for layer in self.layers], solver, throw=throw)

    def apply(
        self, transfers: Sequence[Array], x: Any, *, key: PRNGKeyArray | None = None
    ) -> Samples:
        """Output voltages of inputs x as in `net(x)`, given the arrays' transfer matrices."""
        return self.voltages(transfers, x, key=key)[-1].v_out

    def voltages(
        self, transfers: Sequence[Array], x: Any, *, key: PRNGKeyArray | None = None
    ) -> tuple[LayerVoltages, ...]:
        """Row, amplifier and output voltages of each layer, given the transfer matrices."""
        if len(transfers) != len(self.layers):
            raise ValueError(f"transfers: got {len(transfers)}, needs {len(self.layers)}")
        return _voltages(self, tuple(transfers), self._inputs(x), key)

    def onwards(self, transfers: Sequence[Array], layer: int, v_tia: Samples) -> Samples:
        """Output voltages, given the amplifier voltages of one layer and the later layers' arrays.

        Args:
            transfers: one per layer, as from `transfers`; those up to `layer` are not used.
            layer: index of the layer.
            v_tia: its amplifier voltages, (..., outputs) [V].

        Returns:
            (..., outputs of the last layer) [V].
        """
        layer = layer_index(layer, len(self.layers))
        later, known = self.layers[layer + 1 :], transfers[layer + 1 :]
        arrays = [part.circuit().prepared(t) for part, t in zip(later, known, strict=True)]
        return behind(later, arrays, self.layers[layer].activate(v_tia))

    def solve(
        self,
        x: Any,
        *,
        solver: AbstractSolver | None = None,
        throw: bool = True,
        key: PRNGKeyArray | None = None,
    ) -> tuple[tuple[LayerVoltages, Solution], ...]:
        """Each layer's voltages, and its array solved with every node, for one or a few inputs.

        Arguments and errors as for `net(x)`, which is the faster way to the outputs alone.

        Returns:
            Per layer its voltages (n, ...) [V] and its `Solution` (..., n); one input has no n.
        """
        check_one_cycle("solve", self.layers)
        arrays = [Solving(layer.circuit(), solver, throw, []) for layer in self.layers]
        volts = forward(self.layers, arrays, self.input_volts(self._inputs(x)), key)
        return tuple((v, array.found[0]) for v, array in zip(volts, arrays, strict=True))

    def layer_voltages(
        self, x: Any, *, solver: AbstractSolver | None = None, throw: bool = True
    ) -> tuple[Samples, ...]:
        """Output voltages of every layer, one (n, outputs) [V] each; arguments as for `net(x)`."""
        return tuple(v.v_out for v in self.voltages(self.transfers(solver=solver, throw=throw), x))

    def power(
        self,
        x: Any,
        *,
        solver: AbstractSolver | None = None,
        throw: bool = True,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "layers *n"]:
        """Power that the drivers deliver into each array, per input.

        All power that is dissipated in cells, wires and amplifier inputs; not what the amplifiers'
        supplies take.

        Args:
            x: inputs, (n, inputs) or (inputs,).
            solver: of the arrays; None for the default.
            throw: as for `net(x)`; so is `key`.
            key: of one read.

        Returns:
            (layers, n) or (layers,) [W].

        Raises:
            ValueError: as `net(x)`.
        """
        check_one_cycle("power", self.layers)
        x = self._inputs(x)
        circuits = [layer.circuit() for layer in self.layers]
        if not all(circuit.linear for circuit in circuits):
            found = self.solve(x, solver=solver, throw=throw, key=key)
            # Of a layer in tiles, each tile's: they lead.
            powers = [solution.p_total for _, solution in found]
            return jnp.stack([p if p.ndim < x.ndim else p.sum(0) for p in powers])
        solved = [circuit.admittance(solver, throw=throw) for circuit in circuits]
        volts = self.voltages([each.t for each in solved], x, key=key)
        rows = [circuit.split(v.v_in) for circuit, v in zip(circuits, volts, strict=True)]
        return _by_admittance(rows, [each.y for each in solved])

    def input_volts(self, x: Float[Array, "*n inputs"]) -> Float[Array, "*n inputs"]:
        """Input voltages of the first array [V]."""
        # The network's dtype is the weights': float64 data do not promote a float32 network.
        return self.k_in * x.astype(self.k_in.dtype)

    def _inputs(self, x: Any) -> Samples:
        inputs = self.layers[0].pairs.shape[0] - 1
        x_ = checked("x", x, "finite numbers", np.isfinite)
        if x_.ndim not in (1, 2) or x_.shape[-1] != inputs:
            raise ValueError(f"x: got shape {x_.shape}, needs (n, {inputs}) or ({inputs},)")
        return x_

    def without_noise(self) -> "Network":
        """The network with noiseless readouts: what its derivatives and fault maps are of."""
        layers = tuple(layer.without_noise() for layer in self.layers)
        if all(quiet is layer for quiet, layer in zip(layers, self.layers, strict=True)):
            return self
        return eqx.tree_at(lambda net: net.layers, self, layers)

    def with_fault(
        self,
        layer: int,
        mask: Any,
        fault: AbstractFault,
        key: PRNGKeyArray | None = None,
        *,
        window: Window | None = None,
        include_bias_row: bool = True,
        tile: tuple[int, int] | None = None,
    ) -> "Network":
        """The network with a fault in one layer; its gains stay as they were.

        Args:
            layer: index; -1 is the last.
            mask: which pairs, as for `inject`: a mask, or booleans (inputs + 1, outputs).
            fault: what happens to them.
            key: JAX key, for faults that draw.
            window: of the stuck values; None takes the layer's.
            include_bias_row: whether a mask's geometry includes the bias row.
            tile: row and column of the one tile that the mask is over, all its rows and pairs;
                None for a mask over the layer.

        Returns:
            A new network.

        Raises:
            TypeError: the fault is none.
            ValueError: no such layer, or as `inject`.
        """
        layer = layer_index(layer, len(self.layers))
        new = faulty(self.layers[layer], mask, fault, key, window, include_bias_row, tile)
        return eqx.tree_at(lambda net: net.layers[layer], self, new)

    def __repr__(self) -> str:
        if not is_concrete(self) or np.ndim(self.k_in):  # batched: by their shapes
            return eqx.tree_pformat(self)
        return summary(self.layers, self.k_in)


@program(eqx.filter_jit)
def _voltages(
    net: Network, transfers: tuple[Array, ...], x: Array, key: PRNGKeyArray | None
) -> tuple[LayerVoltages, ...]:
    arrays = [layer.circuit().prepared(t) for layer, t in zip(net.layers, transfers, strict=True)]
    return forward(net.layers, arrays, net.input_volts(x), key)


@program()
def _by_admittance(rows: list[Array], drawn: list[Array]) -> Float[Array, "layers *n"]:
    """Power v_in . (Y v_in), Y (rows x rows) the drivers' currents per volt on each row."""
    return jnp.stack(
        [jnp.einsum("...ri,rij,...rj->...", v, y, v) for v, y in zip(rows, drawn, strict=True)]
    )
