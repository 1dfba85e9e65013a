"""The operations for sparse solvers that run under JAX: assembly, solve and read-out in one jit."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.peers.case import AMPERE, Case
from benchmarks.peers.nodal import Nodal

Solve = Callable[[jax.Array, jax.Array], jax.Array]


def assembly(nodal: Nodal) -> Callable[[jax.Array], jax.Array]:
    """Values of the entries in their order.

    Where the entries of the cells come first, in the cells' order, g is repeated instead of
    gathered: the derivative of that is a sum of slices, much faster than a scatter.
    """
    wires, sign, cell = (
        jnp.asarray(x) for x in (nodal.entries.wires, nodal.entries.sign, nodal.entries.cell)
    )
    cells = nodal.size // 2
    copies, rest = divmod(int(jnp.sum(sign != 0)), cells)
    in_order = jnp.tile(jnp.arange(cells), copies)
    if rest == 0 and bool(jnp.all(cell[: copies * cells] == in_order)):
        nothing = jnp.zeros(wires.size - copies * cells)
        return lambda g: wires + sign * jnp.concatenate([g.ravel()] * copies + [nothing])
    return lambda g: wires + sign * g.ravel()[cell]


def operation(op: str, case: Case, nodal: Nodal, solve: Solve) -> Callable[[int], Any]:
    """`call(k)` of an operation; `solve(values, b)` gets the entries' values in their order."""
    values = assembly(nodal)
    one, unit = jnp.asarray(nodal.drive(case.v)), jnp.eye(case.shape[0])
    outputs, drivers, data = nodal.outputs, nodal.drivers, jnp.asarray(case.data)

    def current(g: jax.Array) -> jax.Array:
        return nodal.g_bit * solve(values(g), one)[outputs]

    def transfer(g: jax.Array) -> jax.Array:
        rows, cols = case.shape
        if rows <= cols:
            b = jnp.zeros((nodal.size, rows)).at[drivers].set(nodal.g_word * unit)
            return nodal.g_bit * solve(values(g), b)[outputs]
        b = jnp.zeros((nodal.size, cols)).at[outputs].set(nodal.g_bit * jnp.eye(cols))
        return nodal.g_word * solve(values(g), b)[drivers].T

    def loss(g: jax.Array) -> jax.Array:
        return jnp.sum(current(g) ** 2) / (2 * AMPERE**2)

    def loss_data(g: jax.Array) -> jax.Array:
        return jnp.sum((data @ transfer(g).T) ** 2) / (2 * AMPERE**2 * len(data))

    functions = {
        "values": values,
        "solve": current,
        "transfer": transfer,
        "gradient": jax.grad(loss),
        "gradient_data": jax.grad(loss_data),
    }
    arrays = [jax.device_put(g) for g in case.g]
    if op.endswith("_all"):
        batched, stacked = jax.jit(jax.vmap(functions[op.removesuffix("_all")])), jnp.stack(arrays)
        return lambda k: batched(stacked)
    compiled = jax.jit(functions[op])
    return lambda k: compiled(arrays[k % len(arrays)])
