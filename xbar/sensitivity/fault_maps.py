"""Exact effect of every fault of a kind, one at a time, on a data set; nothing is solved anew.

A fault in cells S of one array changes its currents by ``l_S^T F (u_S v_in)`` (see
`xbar.sensitivity.response`), and so the amplifier voltages by

    dv = (v_in u_S^T) F^T p_S          p_S = gain (l_plus - l_minus) at the cells S

a product of a few numbers for one cell or one pair; amplifiers, activations and later arrays, which
stay as they are, do the rest. For a whole line of cells the change of the weights themselves,
``p_S^T F u_S``, is less work.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Int

from xbar.sensitivity.baseline import (
    Baseline,
    FaultMap,
    onwards,
    scores_of,
    stuck_values,
    weights_of_change,
)
from xbar.sensitivity.batches import MEMORY, in_batches, members_at_once
from xbar.sensitivity.inputs import cells_of, conductances, layer_index
from xbar.sensitivity.losses import Loss, loss_of
from xbar.sensitivity.update import update_factor


def cell_faults(
    base: Baseline,
    layer: int,
    stuck: Any = "on",
    loss: Loss = "cross_entropy",
    *,
    memory: int = MEMORY,
) -> FaultMap:
    """Loss and accuracy with each single cell of a layer stuck, exactly.

    Args:
        base: the baseline.
        layer: index of the layer.
        stuck: "on", "off", or a conductance, a number or (rows, cols) [S].
        loss: "cross_entropy", "margin", or a function of voltages (n, classes) [V] and labels.
        memory: bytes that temporary arrays may take, about; at least one fault at a time.

    Returns:
        (rows, cols) each.

    Raises:
        ValueError: no such layer, stuck value or loss.
    """
    layer, dg = _change(base, layer, stuck, loss)
    rows, cols = dg.shape
    members = jnp.arange(rows * cols)[:, None]
    coupling = base.stages[layer].response.k_cell.reshape(-1, 1, 1)
    found = _by_members(base, layer, members, coupling, dg.reshape(-1, 1), loss, memory)
    return jax.tree.map(lambda x: x.reshape(rows, cols), found)


def pair_faults(
    base: Baseline,
    layer: int,
    stuck: Any = "on",
    loss: Loss = "cross_entropy",
    *,
    memory: int = MEMORY,
) -> FaultMap:
    """Loss and accuracy with both cells of each pair of a layer stuck, exactly.

    Arguments and errors as for `cell_faults`.

    Returns:
        (rows, outputs) each.
    """
    layer, dg = _change(base, layer, stuck, loss)
    rows, cols = dg.shape
    members = jnp.arange(rows * cols).reshape(-1, 2)
    k = base.stages[layer].response.k_rows.reshape(rows, cols // 2, 2, cols // 2, 2)
    coupling = jnp.einsum("iapaq->iapq", k).reshape(-1, 2, 2)
    found = _by_members(base, layer, members, coupling, dg.reshape(-1, 2), loss, memory)
    return jax.tree.map(lambda x: x.reshape(rows, cols // 2), found)


def row_faults(
    base: Baseline,
    layer: int,
    stuck: Any = "on",
    loss: Loss = "cross_entropy",
    *,
    memory: int = MEMORY,
) -> FaultMap:
    """Loss and accuracy with all cells of each word line of a layer stuck, exactly.

    Arguments and errors as for `cell_faults`.

    Returns:
        (rows,) each.
    """
    layer, dg = _change(base, layer, stuck, loss)
    rows, cols = dg.shape
    members = jnp.arange(rows * cols).reshape(rows, cols)
    coupling = base.stages[layer].response.k_rows
    return by_weights(base, layer, members, coupling, dg, loss, memory)


def column_faults(
    base: Baseline,
    layer: int,
    stuck: Any = "on",
    loss: Loss = "cross_entropy",
    *,
    memory: int = MEMORY,
) -> FaultMap:
    """Loss and accuracy with all cells of each bit line of a layer stuck, exactly.

    Arguments and errors as for `cell_faults`.

    Returns:
        (cols,) each.
    """
    layer, dg = _change(base, layer, stuck, loss)
    rows, cols = dg.shape
    members = jnp.arange(rows * cols).reshape(rows, cols).T
    coupling = base.stages[layer].response.k_cols
    return by_weights(base, layer, members, coupling, dg.T, loss, memory)


def fault_voltages(
    base: Baseline, layer: int, cells: Any, stuck: Any = "on"
) -> Float[Array, "k n classes"]:
    """Output voltages with each of some single cells stuck, exactly.

    Args:
        base: the baseline.
        layer: index of the layer.
        cells: (row, column) each, (k, 2).
        stuck: "on", "off", or a conductance, a number or (k,) [S].

    Returns:
        (k, n, classes) [V]; all k at once.

    Raises:
        ValueError: no such layer, cell or stuck value.
    """
    layer = layer_index(layer, len(base.stages))
    answers = base.stages[layer].response
    rows, columns = cells_of(cells, answers.g.shape).T
    if isinstance(stuck, str):
        g_new = stuck_values(base, layer, stuck)[rows, columns]
    else:
        g_new = conductances("stuck", stuck, rows.shape)
    dg = (g_new - answers.g[rows, columns])[:, None]
    members = (rows * answers.g.shape[1] + columns)[:, None]
    coupling = answers.k_cell[rows, columns][:, None, None]
    return _voltages(base, layer, members, coupling, dg)


def _change(base: Baseline, layer: int, stuck: Any, loss: Loss) -> tuple[int, Array]:
    """The layer's index and what the fault changes each cell by [S]."""
    if not isinstance(base, Baseline):
        raise TypeError(f"base: got {type(base).__name__}, needs what baseline() returns")
    loss_of(loss, base.net)
    layer = layer_index(layer, len(base.stages))
    return layer, stuck_values(base, layer, stuck) - base.stages[layer].response.g


@partial(jax.jit, static_argnames=("layer", "loss", "memory"))
def _by_members(
    base: Baseline,
    layer: int,
    members: Int[Array, "faults k"],
    coupling: Float[Array, "faults k k"],
    dg: Float[Array, "faults k"],
    loss: Loss,
    memory: int,
) -> FaultMap:
    def some(parts: tuple) -> FaultMap:
        return scores_of(base, _voltages_of(base, layer, *parts), loss)

    batch = members_at_once(base, layer, memory)
    return in_batches(some, (members, coupling, dg), batch)


@partial(jax.jit, static_argnames=("layer",))
def _voltages(base: Baseline, layer: int, members: Array, coupling: Array, dg: Array) -> Array:
    return _voltages_of(base, layer, members, coupling, dg)


def _voltages_of(
    base: Baseline, layer: int, members: Array, coupling: Array, dg: Array
) -> Float[Array, "faults n classes"]:
    """Output voltages for faults of k cells each, from the products of a few numbers."""
    stage = base.stages[layer]
    answers, gain = stage.response, base.net.layers[layer].readout.gain
    u = answers.u.reshape(len(answers.u), -1)[:, members]  # (rows, faults, k)
    push = weights_of_change(gain, answers.l.reshape(len(answers.l), -1))[:, members]
    seen = jnp.einsum("nr,rfk->fkn", stage.v_in, u)  # cell voltages on the data set
    moved = jnp.einsum("fjk,fkn->fjn", update_factor(coupling, dg), seen)
    v_lin = stage.v_lin
    for k in range(members.shape[1]):  # one or two: a product of matrices would be slower
        v_lin = v_lin + moved[:, k, :, None] * push[:, :, k].T[:, None, :]
    return onwards(base, layer, v_lin)


@partial(jax.jit, static_argnames=("layer", "loss", "memory"))
def by_weights(
    base: Baseline,
    layer: int,
    members: Int[Array, "faults k"],
    coupling: Float[Array, "faults k k"],
    dg: Float[Array, "faults k"],
    loss: Loss,
    memory: int,
) -> FaultMap:
    """Loss and accuracy for faults of many cells each, from the change of the layer's weights."""
    stage = base.stages[layer]
    answers, gain = stage.response, base.net.layers[layer].readout.gain
    u = answers.u.reshape(len(answers.u), -1)
    push = weights_of_change(gain, answers.l.reshape(len(answers.l), -1))

    def one(part: tuple) -> FaultMap:
        member, k, change = part
        moved = update_factor(k[None], change[None])[0] @ u[:, member].T
        v_lin = stage.v_lin + stage.v_in @ (push[:, member] @ moved).T
        return scores_of(base, onwards(base, layer, v_lin), loss)

    return lax.map(one, (members, coupling, dg))
