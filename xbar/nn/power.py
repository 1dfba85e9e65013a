"""Power that the drivers of a network's arrays deliver.

An array of linear cells takes p = v_in . (Y v_in), with Y (rows x rows) the currents out of the
drivers for one volt on each row; any other array is solved for each input.
"""

from typing import TYPE_CHECKING

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.nn.layer import check_one_cycle
from xbar.programs import program
from xbar.solvers import AbstractSolver

if TYPE_CHECKING:
    from xbar.nn.network import Network


def power_of(
    net: "Network",
    x: Float[Array, "*n inputs"],
    solver: AbstractSolver | None,
    throw: bool,
    key: PRNGKeyArray | None,
) -> Float[Array, "layers *n"]:
    """As `Network.power`, of checked inputs."""
    check_one_cycle("power", net.layers)
    circuits = [layer.circuit() for layer in net.layers]
    if not all(circuit.linear for circuit in circuits):
        found = net.solve(x, solver=solver, throw=throw, key=key)
        # Of a layer in tiles, each tile's: they lead.
        powers = [solution.p_total for _, solution in found]
        return jnp.stack([p if p.ndim < x.ndim else p.sum(0) for p in powers])
    solved = [circuit.admittance(solver, throw=throw) for circuit in circuits]
    volts = net.voltages([each.t for each in solved], x, key=key)
    rows = [circuit.split(v.v_in) for circuit, v in zip(circuits, volts, strict=True)]
    return _by_admittance(rows, [each.y for each in solved])


@program()
def _by_admittance(rows: list[Array], drawn: list[Array]) -> Float[Array, "layers *n"]:
    return jnp.stack(
        [jnp.einsum("...ri,rij,...rj->...", v, y, v) for v, y in zip(rows, drawn, strict=True)]
    )
