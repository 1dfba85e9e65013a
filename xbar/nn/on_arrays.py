"""What layers of Equinox models on arrays have in common: software weights, software units.

    y = layer(x) / k_out        the rows of the array at k_in x volts, as `xbar.nn.Layer` has it

Only weights and biases are arrays that train: hardware and scales are static, like the options of
any layer, so that no optimiser moves a wire.
"""

import abc
import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import namespace
from xbar.devices.mapping import Pairs
from xbar.nn.array import Answers
from xbar.nn.build import with_bias_row
from xbar.nn.hardware import Hardware
from xbar.nn.layer import Layer, mapped


@dataclasses.dataclass(frozen=True, eq=False)
class Fixed:
    """What a layer stands on, compared by its numbers.

    Args:
        hardware: of the layer; its converters have ranges.
        k_in: volts per unit at its rows [V].
        k_out: volts per unit at its outputs [V].
        gain: factor on the amplifiers' feedback, for cells that are not ohmic.
    """

    hardware: Hardware
    k_in: float = 0.2
    k_out: float = 0.2
    gain: float = 1.0

    def _key(self) -> Any:
        leaves, structure = jax.tree.flatten(self.hardware)
        numbers = tuple((np.shape(x), np.asarray(x).tobytes()) for x in leaves)
        return numbers, structure, self.k_in, self.k_out, self.gain

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fixed) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key()[0])


class Chip(NamedTuple):
    """One chip, and when it is read.

    Args:
        key: JAX key of the layer on this chip.
        cycle: number of the programming, an integer ().
        seconds: since programming [s]; None is at once.
        read: number of the read, an integer (); None reads without noise.
    """

    key: PRNGKeyArray
    cycle: Any = 0
    seconds: float | int | None = None
    read: Any = None


class AbstractOnArrays(eqx.Module):
    """A linear layer of software weights on arrays.

    A kind of layer says how its weights are matrices (`matrices`), and what of its input is on the
    rows of each (`rows`) and how their outputs come together (`outputs`).
    """

    weight: eqx.AbstractVar[Float[Array, "..."]]
    bias: eqx.AbstractVar[Float[Array, "..."] | None]
    fixed: eqx.AbstractVar[Fixed]
    chip: eqx.AbstractVar[Chip | None]
    known: eqx.AbstractVar[tuple[Array, ...] | None]

    @abc.abstractmethod
    def matrices(self) -> list[tuple[Any, Any]]:
        """Weights (inputs, outputs) and biases (outputs,) of each matrix."""

    @abc.abstractmethod
    def rows(self, x: Array) -> list[Array]:
        """What is on the rows of each matrix, (..., inputs) in software units."""

    @abc.abstractmethod
    def outputs(self, found: list[Array], x: Array) -> Array:
        """The layer's output from that of each matrix, (..., outputs), for an input x."""

    def layers(self) -> list[Layer]:
        """Each matrix on arrays, with this layer's chip programmed, aged and read."""
        fixed = self.fixed
        hardware = fixed.hardware
        found = []
        for number, (w, b) in enumerate(self.matrices()):
            xp = namespace(w, b)
            k_in, k_out = (xp.asarray(k, w.dtype) for k in (fixed.k_in, fixed.k_out))
            rows = with_bias_row(xp.asarray(w), xp.asarray(b), k_in, hardware.v_bias)
            layer = mapped(hardware.columns(rows), k_in, k_out, hardware, None)
            if fixed.gain != 1:
                where = lambda layer: layer.readout.r_f  # noqa: E731
                layer = eqx.tree_at(where, layer, layer.readout.r_f * fixed.gain)
            found.append(layer if self.chip is None else _on_chip(layer, self.chip, number))
        return found

    def transfers(self) -> tuple[Array, ...]:
        """Transfer matrix of each matrix's array or tiles [S]; for `xbar.nn.prepare`."""
        return tuple(layer.transfer() for layer in self.layers())

    def __call__(self, x: Array, *, key: PRNGKeyArray | None = None) -> Array:
        """The layer's output in software units.

        Args:
            x: one input, as the software layer takes it.
            key: JAX key of one read, for readouts with noise.

        Raises:
            ValueError, RuntimeError: as `Network.__call__`.
        """
        found = []
        for number, (layer, v) in enumerate(zip(self.layers(), self.rows(x), strict=True)):
            own = None if key is None else jax.random.fold_in(key, number)
            volts = layer.voltages(self._answers(layer, number), self.fixed.k_in * v, own)
            found.append(volts.v_out / self.fixed.k_out)
        return self.outputs(found, x)

    def _answers(self, layer: Layer, number: int) -> Answers:
        if self.known is not None:
            return layer.circuit().prepared(jax.lax.stop_gradient(self.known[number]))
        return layer.circuit().answers()


def _on_chip(layer: Layer, chip: Chip, number: int) -> Layer:
    """A layer as one chip has it, by the same draws as `xbar.nn.program` and the others."""
    if layer.device is None:
        return layer
    key, targets = jax.random.fold_in(chip.key, number), layer.pairs
    pairs: Pairs = layer.device.program(targets, key, cycle=chip.cycle)
    if chip.seconds is not None:
        pairs = layer.device.age(pairs, key, chip.seconds, targets)
    if chip.read is not None:
        seconds = 1.0 if chip.seconds is None else chip.seconds
        pairs = layer.device.read(pairs, key, seconds, chip.read, targets)
    return eqx.tree_at(lambda layer: layer.pairs, layer, pairs)
