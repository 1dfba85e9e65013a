"""Power that the drivers of a network's arrays deliver.

An array of linear cells takes p = v_in . (Y v_in), with Y (rows x rows) the currents out of the
drivers for one volt on each row; any other array is solved for each input.
"""

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.circuit import Solution
from xbar.nn.array import one_volt
from xbar.solvers import AbstractSolver

if TYPE_CHECKING:
    from xbar.nn.layer import LayerVoltages
    from xbar.nn.network import Network


def power_of(
    net: "Network",
    x: Float[Array, "*n inputs"],
    solver: AbstractSolver | None,
    throw: bool,
    key: PRNGKeyArray | None,
) -> Float[Array, "layers *n"]:
    """As `Network.power`, of checked inputs."""
    circuits = [layer.circuit() for layer in net.layers]
    if not all(circuit.cells is None or circuit.crossbar().cells.linear for circuit in circuits):
        found = net.solve(x, solver=solver, throw=throw, key=key)
        return jnp.stack([solution.p_total for _, solution in found])
    solved = [circuit.solve(one_volt(circuit.pairs), solver, throw=throw) for circuit in circuits]
    volts = net.voltages([solution.i_out for solution in solved], x, key=key)
    return _by_admittance(volts, solved)


@jax.jit
def _by_admittance(
    volts: "tuple[LayerVoltages, ...]", solved: list[Solution]
) -> Float[Array, "layers *n"]:
    def one(v: Array, found: Solution) -> Array:
        far = found.i_word_far
        drawn = found.i_word if far is None else found.i_word + far
        return jnp.einsum("...i,ij,...j->...", v, drawn, v)

    return jnp.stack([one(v.v_in, found) for v, found in zip(volts, solved, strict=True)])
