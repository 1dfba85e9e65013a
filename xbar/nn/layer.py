"""One layer: an array, its readout amplifiers and its activation.

Layer l is one array of differential pairs, its last row the bias:

    v_in = [k_l a_l, v_bias]                    k_l volts stand for one unit of activation
    i = T v_in                                  the array, T its transfer matrix
    v_tia = R_f (i_plus - i_minus)              the amplifiers (gain and rails: see `Readout`)
    v_out = k_{l+1} phi(v_tia / k_{l+1})        no phi after the last array

With R_f = k_{l+1} / (s_l k_l) and ideal wires, v_out = k_{l+1} a_{l+1}: the circuit is the software
network times a known scale. The gains are always those of the ideal circuit, never recalibrated.
"""

from typing import Any, NamedTuple, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from xbar.activations import ACTIVATIONS
from xbar.checks import checked, finite_above_0, is_concrete
from xbar.circuit import Crossbar, Wires
from xbar.devices.mapping import Pairs, Window
from xbar.fields import described
from xbar.solve import transfer
from xbar.solvers import AbstractSolver


@final
class Readout(eqx.Module):
    """The amplifiers of an array: one transimpedance amplifier per bit line, then the difference.

    v = clip(R_f (i_plus - i_minus) / (1 + 1/A), v_min, v_max); each amplifier's input is not quite
    at 0 V but behind R_f / (1 + A), which adds to the array's sense resistance.

    Args:
        r_f: feedback resistance, () [ohm].
        open_loop_gain: A, (); infinite is ideal.
        v_min: lower rail, () [V]; None or -inf for none.
        v_max: upper rail, () [V]; None or inf for none.

    Raises:
        ValueError: a concrete r_f or gain is not above 0, or v_max is not above v_min.
    """

    r_f: Float[Array, ""] = eqx.field(metadata=described("ohm", (), "feedback of the amplifiers"))
    open_loop_gain: Float[Array, ""] = eqx.field(
        metadata=described("1", (), "of the amplifiers; infinite is ideal")
    )
    v_min: Float[Array, ""] = eqx.field(metadata=described("V", (), "lower rail of the amplifiers"))
    v_max: Float[Array, ""] = eqx.field(metadata=described("V", (), "upper rail of the amplifiers"))

    def __init__(
        self, r_f: Any, open_loop_gain: Any = np.inf, v_min: Any = None, v_max: Any = None
    ):
        v_min = -np.inf if v_min is None else v_min
        v_max = np.inf if v_max is None else v_max
        self.r_f = checked("Readout.r_f", r_f, "a finite value > 0 [ohm]", finite_above_0, 0)
        self.open_loop_gain = checked(
            "Readout.open_loop_gain", open_loop_gain, "a value > 0", lambda a: a > 0, 0
        )
        self.v_min = checked("Readout.v_min", v_min, "a value < inf [V]", lambda v: v < np.inf, 0)
        self.v_max = checked("Readout.v_max", v_max, "a value > -inf [V]", lambda v: v > -np.inf, 0)
        if is_concrete(v_min, v_max) and not np.asarray(v_max) > np.asarray(v_min):
            raise ValueError(f"Readout.v_max: got {v_max}, needs more than v_min, {v_min} [V]")

    @property
    def r_in(self) -> Float[Array, ""]:
        """Resistance at each amplifier's input, R_f / (1 + A) [ohm]."""
        return self.r_f / (1 + self.open_loop_gain)

    @property
    def gain(self) -> Float[Array, ""]:
        """Volts per ampere of i_plus - i_minus, R_f / (1 + 1/A) [ohm]."""
        return self.r_f / (1 + 1 / self.open_loop_gain)

    def volts(self, i_out: Float[Array, "*n two_cols"]) -> Float[Array, "*n outputs"]:
        """Amplifier voltages of an array's output currents.

        Args:
            i_out: column currents (+, -, +, -), (..., 2 * outputs) [A].

        Returns:
            v_tia, (..., outputs) [V].
        """
        gain = self.gain.astype(i_out.dtype)
        return self.clip(gain * (i_out[..., 0::2] - i_out[..., 1::2]))

    def clip(self, v: Float[Array, "*n outputs"]) -> Float[Array, "*n outputs"]:
        """Amplifier voltages held between the rails [V]."""
        return jnp.clip(v, self.v_min.astype(v.dtype), self.v_max.astype(v.dtype))


class LayerVoltages(NamedTuple):
    """Voltages around one layer for a batch of inputs.

    Args:
        v_in: row voltages, the bias row last, (..., inputs + 1) [V].
        v_tia: amplifier voltages, after the rails, (..., outputs) [V].
        v_out: output voltages, after the activation, (..., outputs) [V].
    """

    v_in: Array
    v_tia: Array
    v_out: Array


@final
class Layer(eqx.Module):
    """One array with its amplifiers and activation.

    Args:
        pairs: its differential pairs, bias row last, (inputs + 1, outputs) [S].
        window: that the pairs were mapped to.
        wires: of the array, without the amplifiers' input resistance [ohm].
        readout: its amplifiers.
        s: conductance per unit of weight, () [S].
        k: volts per unit of activation at its output, () [V].
        v_bias: voltage of the bias row, () [V].
        activation: "relu", "tanh", "sigmoid" or None.
    """

    pairs: Pairs
    window: Window
    wires: Wires
    readout: Readout
    s: Float[Array, ""] = eqx.field(metadata=described("S", (), "conductance per unit of weight"))
    k: Float[Array, ""] = eqx.field(
        metadata=described("V", (), "volts per unit of activation at the output")
    )
    v_bias: Float[Array, ""] = eqx.field(metadata=described("V", (), "voltage of the bias row"))
    activation: str | None = eqx.field(static=True)

    def __check_init__(self) -> None:
        if self.activation is not None and self.activation not in ACTIVATIONS:
            needs = f"None or one of {list(ACTIVATIONS)}"
            raise ValueError(f"Layer.activation: got {self.activation!r}, needs {needs}")

    def array(self) -> Crossbar:
        """The circuit that is solved: (inputs + 1, 2 * outputs) cells, and amplifier inputs."""
        g, wires = self.pairs.interleave(), self.wires
        sense = wires.sense + self.readout.r_in.astype(g.dtype)
        return Crossbar(g, Wires(wires.word_line, wires.bit_line, wires.source, sense))

    def transfer(
        self, solver: AbstractSolver | None = None, *, throw: bool = True
    ) -> Float[Array, "two_outputs inputs_1"]:
        """Transfer matrix of the array, as `xbar.transfer`."""
        return transfer(self.array(), solver, throw=throw)

    def apply(
        self, t: Float[Array, "two_outputs inputs_1"], v: Float[Array, "*n inputs"]
    ) -> LayerVoltages:
        """The layer's voltages for input voltages v, given its transfer matrix."""
        v_in = self.row_voltages(v)
        return self.read(v_in, v_in @ t.T)

    def row_voltages(self, v: Float[Array, "*n inputs"]) -> Float[Array, "*n inputs_1"]:
        """What the array's rows are driven at for input voltages v: the bias row is appended."""
        bias = jnp.broadcast_to(self.v_bias.astype(v.dtype), (*v.shape[:-1], 1))
        return jnp.concatenate([v, bias], axis=-1)

    def read(
        self, v_in: Float[Array, "*n inputs_1"], i_out: Float[Array, "*n two_outputs"]
    ) -> LayerVoltages:
        """The layer's voltages for row voltages and the column currents that they cause."""
        v_tia = self.readout.volts(i_out)
        return LayerVoltages(v_in, v_tia, self.activate(v_tia))

    def activate(self, v_tia: Float[Array, "*n outputs"]) -> Float[Array, "*n outputs"]:
        """Output voltages of amplifier voltages, k phi(v_tia / k) [V]."""
        if self.activation is None:
            return v_tia
        k = self.k.astype(v_tia.dtype)
        return k * ACTIVATIONS[self.activation](v_tia / k)
