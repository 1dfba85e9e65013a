"""Networks whose cells are not linear on many inputs: each array by a corrected transfer matrix."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from xbar.batch import batch_map
from xbar.circuit import Crossbar
from xbar.corrected import CHECKED, CorrectedCurrents, corrected_currents
from xbar.nn.array import Answers, Currents, Volts, with_last
from xbar.nn.array import Array as PairArray
from xbar.nn.layer import Layer, LayerVoltages
from xbar.nn.network import Network, forward
from xbar.nn.tiles import Tiles
from xbar.solvers import AbstractSolver

ReadMode = Literal["exact", "corrected"]


class CorrectedVoltages(NamedTuple):
    """Output voltages of a network, nearly right, and by how much each array is not.

    Args:
        volts: (n, outputs) [V].
        errors: of each layer's currents for the inputs that it was given, as
            `CorrectedCurrents.error`; 0 for linear cells, (layers,).
    """

    volts: Float[Array, "n outputs"]
    errors: Float[Array, " layers"]


def corrected(
    net: Network,
    x: Any,
    *,
    solver: AbstractSolver | None = None,
    checked: int = CHECKED,
    throw: bool = True,
) -> CorrectedVoltages:
    """Output voltages by corrected transfer matrices, `xbar.corrected_currents` of each array.

    Args:
        net: the network; layers of linear cells are exact.
        x: inputs in the software network's unit, (n, inputs).
        solver: of the arrays; None for the default.
        checked: inputs of each array that are solved exactly to measure the error.
        throw: as for `net(x)`.

    Returns:
        Voltages, and the measured error of each array's currents. Errors of a layer change the
        inputs of the next, which the errors of that one do not count.

    Raises:
        ValueError: as `net(x)`.
    """
    x = net._inputs(x)
    if x.ndim != 2:
        raise ValueError(f"x: got shape {x.shape}, needs (n, inputs)")
    found = passed(net.layers, net.input_volts(x), "corrected", solver, checked, throw=throw)
    return CorrectedVoltages(found.volts[-1].v_out, found.errors)


class Passed(NamedTuple):
    """What consecutive layers made of their inputs.

    Args:
        volts: around each layer.
        errors: of each layer's currents as `CorrectedVoltages.errors`; 0 where exact, (layers,).
    """

    volts: tuple[LayerVoltages, ...]
    errors: Float[Array, " layers"]


def passed(
    layers: Sequence[Layer],
    v: Float[Array, "n inputs"],
    read: ReadMode = "exact",
    solver: AbstractSolver | None = None,
    checked: int = CHECKED,
    *,
    throw: bool = True,
) -> Passed:
    """Voltages of consecutive layers, each array solved for each input or by corrected matrices.

    Args:
        layers: of any cells; linear ones are exact in both ways.
        v: input voltages of the first, without the bias row's, (n, inputs) [V].
        read: "exact", or "corrected" as `corrected` does it.
        solver: of the arrays; None for the default.
        checked: as for `corrected`; so is `throw`.
        throw: raise where an array cannot be solved.
    """
    arrays: list[Answers] = []
    for layer in layers:
        circuit = layer.circuit()
        exact = read == "exact" or circuit.linear
        arrays.append(
            circuit.answers(solver, throw=throw)
            if exact
            else _Correcting(circuit, solver, checked, throw, [])
        )
    volts = forward(layers, arrays, v)
    errors = [array.found[0] if isinstance(array, _Correcting) else 0.0 for array in arrays]
    return Passed(volts, jnp.stack([jnp.asarray(e, v.dtype) for e in errors]))


class _Correcting(NamedTuple):
    """An array or tiles that answer by corrected transfer matrices, and keep the errors."""

    circuit: PairArray | Tiles
    solver: AbstractSolver | None
    checked: int
    throw: bool
    found: list[Array]

    def currents(self, v: Volts, last: Float[Array, ""] | None = None) -> Currents:
        """Column currents of row voltages."""
        v = with_last(v, last)
        options: dict[str, Any] = {"checked": self.checked, "throw": self.throw}
        if isinstance(self.circuit, Tiles):

            def one(tile: tuple[Crossbar, Array]) -> CorrectedCurrents:
                return corrected_currents(tile[0], tile[1], self.solver, **options)

            found = batch_map(one, (self.circuit.crossbars(), self.circuit.driven(v)))
        else:
            found = corrected_currents(self.circuit.crossbar(), v.T, self.solver, **options)
        self.found.append(jnp.max(found.error))
        return self.circuit.gathered(found)
