"""A network as a chain of arrays."""

from collections.abc import Sequence
from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import checked
from xbar.circuit import Solution, Wires
from xbar.devices import AbstractFault, inject
from xbar.devices.mapping import Window
from xbar.fields import described
from xbar.nn.build import build_layers, unpack_mlp
from xbar.nn.layer import Layer, LayerVoltages
from xbar.solve import solve
from xbar.solvers import AbstractSolver

Batch = Float[Array, "*n outputs"]


@final
class Network(eqx.Module):
    """A trained network on arrays. Make one with `from_weights` or `from_mlp`.

    `net(x)` are the output voltages. Each array is solved once, for its transfer matrix; dense
    products do the rest, however many inputs there are. A sweep that changes one layer can keep the
    others' matrices: `net.transfers()`, `Layer.transfer` and `net.apply`.

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
        activation: str = "relu",
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
            activation: "relu", "tanh" or "sigmoid".
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
        layers, k_in = build_layers(
            weights,
            biases,
            activation=activation,
            window=window,
            wires=wires,
            mapping=mapping,
            v_read=v_read,
            v_bias=v_bias,
            calibration=calibration,
            k=k,
            amplifier={"open_loop_gain": open_loop_gain, "v_min": v_min, "v_max": v_max},
        )
        return Network(layers, k_in)

    @staticmethod
    def from_mlp(mlp: eqx.nn.MLP, **options: Any) -> "Network":
        """Map an `equinox.nn.MLP` to arrays.

        Args:
            mlp: with ReLU, tanh or sigmoid (recognised by its values), and no final activation.
            options: of `from_weights`: window, wires, calibration and so on.

        Returns:
            The network; `net(x)` is `net.output_scale * jax.vmap(mlp)(x)` if the circuit is ideal.

        Raises:
            TypeError: not an MLP.
            ValueError: another activation, a final activation, or as `from_weights`.
        """
        weights, biases, activation = unpack_mlp(mlp)
        return Network.from_weights(weights, biases, activation=activation, **options)

    @property
    def k(self) -> Float[Array, "*batch layers_1"]:
        """Volts per unit at the input and after each layer, (layers + 1,) [V]."""
        return jnp.stack([self.k_in, *(layer.k for layer in self.layers)], axis=-1)

    @property
    def output_scale(self) -> Float[Array, "*batch"]:
        """Volts per unit of logit, () [V]: the ideal circuit has net(x) = output_scale * logits."""
        return self.layers[-1].k

    def __call__(
        self, x: Any, *, solver: AbstractSolver | None = None, throw: bool = True
    ) -> Batch:
        """Output voltages.

        Args:
            x: inputs in the software network's unit, (n, inputs) or (inputs,).
            solver: of the arrays; None for the default.
            throw: raise if an array cannot be solved (inside jit: NaN); False lets it through.

        Returns:
            (n, outputs) or (outputs,) [V].

        Raises:
            ValueError: x has another shape or is not finite where concrete, or as `transfer`.
        """
        return self.apply(self.transfers(solver=solver, throw=throw), x)

    def transfers(
        self, *, solver: AbstractSolver | None = None, throw: bool = True
    ) -> tuple[Array, ...]:
        """Each array's transfer matrix, (2 * outputs, inputs + 1) [S]; for `apply`."""
        return tuple(layer.transfer(solver, throw=throw) for layer in self.layers)

    def apply(self, transfers: Sequence[Array], x: Any) -> Batch:
        """Output voltages of inputs x as in `net(x)`, given the arrays' transfer matrices."""
        return self.voltages(transfers, x)[-1].v_out

    def voltages(self, transfers: Sequence[Array], x: Any) -> tuple[LayerVoltages, ...]:
        """Row, amplifier and output voltages of each layer, given the transfer matrices."""
        if len(transfers) != len(self.layers):
            raise ValueError(f"transfers: got {len(transfers)}, needs {len(self.layers)}")
        v, result = self._input_voltages(x), []
        for layer, t in zip(self.layers, transfers, strict=True):
            result.append(layer.apply(t, v))
            v = result[-1].v_out
        return tuple(result)

    def solve(
        self, x: Any, *, solver: AbstractSolver | None = None, throw: bool = True
    ) -> tuple[tuple[LayerVoltages, Solution], ...]:
        """Each layer's voltages, and its array solved with every node, for one or a few inputs.

        Arguments and errors as for `net(x)`, which is the faster way to the outputs alone.

        Returns:
            Per layer its voltages (n, ...) [V] and its `Solution` (..., n); without n for one
            input.
        """
        v, result = self._input_voltages(x), []
        for layer in self.layers:
            v_in = layer.row_voltages(v)
            solution = solve(layer.array(), v_in.T, solver, throw=throw)
            result.append((layer.read(v_in, solution.i_out.T), solution))
            v = result[-1][0].v_out
        return tuple(result)

    def _input_voltages(self, x: Any) -> Batch:
        inputs = self.layers[0].pairs.shape[0] - 1
        x_ = checked("x", x, "finite numbers", np.isfinite)
        if x_.ndim not in (1, 2) or x_.shape[-1] != inputs:
            raise ValueError(f"x: got shape {x_.shape}, needs (n, {inputs}) or ({inputs},)")
        # The network's dtype is the weights': float64 data do not promote a float32 network.
        return self.k_in * x_.astype(self.k_in.dtype)

    def layer_voltages(
        self, x: Any, *, solver: AbstractSolver | None = None, throw: bool = True
    ) -> tuple[Batch, ...]:
        """Output voltages of every layer, one (n, outputs) [V] each; arguments as for `net(x)`."""
        return tuple(v.v_out for v in self.voltages(self.transfers(solver=solver, throw=throw), x))

    def power(
        self, x: Any, *, solver: AbstractSolver | None = None, throw: bool = True
    ) -> Float[Array, "layers *n"]:
        """Power that the drivers deliver into each array, p = v_in . (Y v_in), per input.

        Y (rows x rows) are the currents out of the drivers for one volt on each. All power that is
        dissipated in cells, wires and amplifier inputs; not what the amplifiers' supplies take.

        Args:
            x: inputs, (n, inputs) or (inputs,).
            solver: of the arrays; None for the default.
            throw: as for `net(x)`.

        Returns:
            (layers, n) or (layers,) [W].

        Raises:
            ValueError: as `net(x)`.
        """
        transfers, admittances = [], []
        for layer in self.layers:
            array = layer.array()
            sol = solve(array, jnp.eye(array.rows, dtype=array.dtype), solver, throw=throw)
            transfers.append(sol.i_out)
            admittances.append(sol.i_cell.sum(axis=1))
        return jnp.stack(
            [
                jnp.einsum("...i,ij,...j->...", v.v_in, y, v.v_in)
                for v, y in zip(self.voltages(transfers, x), admittances, strict=True)
            ]
        )

    def with_fault(
        self,
        layer: int,
        mask: Any,
        fault: AbstractFault,
        key: PRNGKeyArray | None = None,
        *,
        window: Window | None = None,
        include_bias_row: bool = True,
    ) -> "Network":
        """The network with a fault in one layer; its gains stay as they were.

        Args:
            layer: index; -1 is the last.
            mask: which pairs, as for `inject`: a mask, or booleans (inputs + 1, outputs).
            fault: what happens to them.
            key: JAX key, for faults that draw.
            window: of the stuck values; None takes the layer's.
            include_bias_row: whether a mask's geometry includes the bias row.

        Returns:
            A new network.

        Raises:
            ValueError: no such layer, or as `inject`.
        """
        count = len(self.layers)
        if not -count <= layer < count:
            raise ValueError(f"layer: got {layer}, needs 0..{count - 1}")
        old = self.layers[layer]
        window = old.window if window is None else window
        pairs = inject(old.pairs, mask, fault, window, key, include_bias_row=include_bias_row)
        return eqx.tree_at(lambda net: net.layers[layer].pairs, self, pairs)
