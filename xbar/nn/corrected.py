"""Networks whose cells are not linear: put on a law or taken off it, and read for many inputs.

A network's conductances and gains say all but the law, so that networks of several laws are stored
alike and get theirs back from a study's table. Many inputs are read by a corrected transfer matrix
of each array.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from xbar.batch import batch_map
from xbar.circuit import Crossbar
from xbar.corrected import CHECKED, CorrectedCurrents, corrected_currents
from xbar.nn.array import Answers, Currents, Secant, Volts, with_last
from xbar.nn.array import Array as PairArray
from xbar.nn.layer import Layer, LayerVoltages
from xbar.nn.network import Network, forward
from xbar.nn.stuck import Mixed
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


def with_law(
    net: Network,
    cells: Callable[[Any], Any] | None,
    stuck: Mapping[int, Bool[Array, "rows columns"]] | None = None,
) -> Network:
    """The network with cells of a law that carry, at the bias voltage, what they carried before.

    Args:
        net: the network, in arrays as large as its layers, its bias rows at the read voltage.
        cells: from conductances to a law, as in `Hardware`; None for resistors.
        stuck: by layer, cells (inputs + 1, 2 * outputs) that are resistors all the same.

    Returns:
        A new network, its gains as they were.
    """
    laws = [None if cells is None else Secant(cells, layer.v_bias) for layer in net.layers]
    hit = {} if stuck is None else stuck
    mixed = [
        law if law is None or number not in hit else Mixed(law, hit[number])
        for number, law in enumerate(laws)
    ]
    where = lambda net: [layer.cells for layer in net.layers]  # noqa: E731
    return eqx.tree_at(where, net, mixed, is_leaf=lambda x: x is None)
