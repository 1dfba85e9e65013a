"""Networks whose cells are not linear on many inputs: each array by a corrected transfer matrix."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from xbar.circuit import Crossbar
from xbar.corrected import CHECKED, corrected_currents
from xbar.nn.array import Answers, Currents, Volts, with_last
from xbar.nn.network import Network, behind
from xbar.solvers import AbstractSolver


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
    arrays: list[Answers] = []
    for layer in net.layers:
        array = layer.array()
        linear = array.cells.linear
        arrays.append(
            layer.circuit().answers(solver, throw=throw)
            if linear
            else _Correcting(array, solver, checked, throw, [])
        )
    volts = behind(net.layers, arrays, net.input_volts(x))
    errors = [array.found[0] if isinstance(array, _Correcting) else 0.0 for array in arrays]
    return CorrectedVoltages(volts, jnp.stack([jnp.asarray(e, volts.dtype) for e in errors]))


class _Correcting(NamedTuple):
    """An array that answers by its corrected transfer matrix, and keeps the errors."""

    array: Crossbar
    solver: AbstractSolver | None
    checked: int
    throw: bool
    found: list[Array]

    def currents(self, v: Volts, last: Float[Array, ""] | None = None) -> Currents:
        """Column currents of row voltages."""
        v = with_last(v, last)
        found = corrected_currents(
            self.array, v.T, self.solver, checked=self.checked, throw=self.throw
        )
        self.found.append(found.error)
        return found.i_out.T
