"""Many cells at once, for thousands of sets of cells on one programmed array.

A set of k cells takes a system of k equations in place of a new solution of the array; which of the
two is less work, `xbar.sensitivity.cost` says.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Int

from xbar.circuit import Crossbar
from xbar.sensitivity.baseline import (
    Baseline,
    FaultMap,
    onwards,
    scores_of,
    stuck_values,
    weights_of_change,
)
from xbar.sensitivity.cost import update_is_cheaper
from xbar.sensitivity.coupling import MAX_BYTES, Coupling, coupling
from xbar.sensitivity.inputs import cells_of, conductances, layer_index
from xbar.sensitivity.losses import Loss, loss_of
from xbar.sensitivity.response import Response
from xbar.sensitivity.update import changed_transfer
from xbar.solve import transfer

METHODS = ("auto", "update", "resolve")


def fault_sets(
    base: Baseline,
    layer: int,
    cells: Any,
    g_new: Any,
    loss: Loss = "cross_entropy",
    *,
    method: str = "auto",
    known: Coupling | None = None,
) -> FaultMap:
    """Loss and accuracy with each of many sets of cells of a layer changed, exactly.

    Args:
        base: the baseline.
        layer: index of the layer.
        cells: (row, column) of each set's cells, (sets, k, 2), each cell once. Fill up smaller sets
            with any cell and the conductance that it has; `sets_of` does.
        g_new: their conductances, () or (sets, k) [S].
        loss: "cross_entropy", "margin", or a function of voltages (n, classes) [V] and labels.
        method: "update", "resolve" (the array is solved anew), or "auto", the cheaper one.
        known: `coupling(base.net.layers[layer].array())`, where it is found already.

    Returns:
        (sets,) each.

    Raises:
        ValueError: no such layer, cell, loss or method, a conductance that is negative or not
            finite, or no room for the coupling of an array as large as this.
    """
    layer = layer_index(layer, len(base.stages))
    loss_of(loss, base.net)
    if method not in METHODS:
        raise ValueError(f"method: got {method!r}, needs one of {list(METHODS)}")
    g = base.stages[layer].response.g
    at = cells_of(cells, g.shape)
    if at.ndim != 3:
        raise ValueError(f"cells: got shape {at.shape}, needs (sets, k, 2)")
    values = conductances("g_new", g_new, at.shape[:2]).astype(g.dtype)
    dg = values - g[at[..., 0], at[..., 1]]
    if method == "auto":
        fits = known is not None or g.size**2 * g.dtype.itemsize <= MAX_BYTES
        cheaper = update_is_cheaper(g.shape, at.shape[1], len(at), known is not None)
        method = "update" if fits and cheaper else "resolve"
    if method == "resolve":
        return _resolved(base, layer, at, dg, loss)
    known = coupling(base.net.layers[layer].array()) if known is None else known
    return _updated(base, layer, known, at, dg, loss)


def changed_transfers(
    response: Response, known: Coupling, cells: Any, g_new: Any
) -> Float[Array, "sets cols rows"]:
    """Transfer matrices of an array with each of many sets of cells changed, exactly.

    Args:
        response: of the array as it was.
        known: its coupling.
        cells: (row, column) of each set's cells, (sets, k, 2).
        g_new: their conductances, () or (sets, k) [S].

    Returns:
        (sets, cols, rows) [S].

    Raises:
        ValueError: no such cell, or a conductance that is negative or not finite.
    """
    at = cells_of(cells, response.g.shape)
    values = conductances("g_new", g_new, at.shape[:2]).astype(response.g.dtype)
    return _transfers(response, known, at, values - response.g[at[..., 0], at[..., 1]])


def sets_of(g: Any, g_new: Any) -> tuple[np.ndarray, np.ndarray]:
    """The cells in which whole arrays differ from one, as `fault_sets` takes them.

    Args:
        g: conductances of the one, (rows, cols) [S].
        g_new: of the others, (sets, rows, cols) [S].

    Returns:
        Cells (sets, k, 2), k the most that one of them changes (at least 1), and their conductances
        (sets, k) [S]. Smaller sets are filled up with cells that do not change.
    """
    g, g_new = np.asarray(g), np.asarray(g_new)
    if g_new.ndim != 3 or g_new.shape[1:] != g.shape:
        raise ValueError(
            f"g_new: got shape {g_new.shape}, needs (sets, {g.shape[0]}, {g.shape[1]})"
        )
    changed = (g_new != g).reshape(len(g_new), -1)
    k = max(1, int(changed.sum(1).max()))
    first = np.argsort(~changed, axis=1, kind="stable")[:, :k]  # the changed ones come first
    cells = np.stack(np.unravel_index(first, g.shape), axis=-1)
    return cells, np.take_along_axis(g_new.reshape(len(g_new), -1), first, axis=1)


def pair_column_faults(
    base: Baseline, layer: int, stuck: Any = "on", loss: Loss = "cross_entropy"
) -> FaultMap:
    """Loss and accuracy with both bit lines of each pair of a layer stuck, exactly.

    Arguments and errors as for `xbar.sensitivity.cell_faults`.

    Returns:
        (outputs,) each.
    """
    g_new = stuck_values(base, layer, stuck)
    rows, cols = g_new.shape
    row = jnp.tile(jnp.arange(rows), 2)
    col = 2 * jnp.arange(cols // 2)[:, None] + jnp.repeat(jnp.arange(2), rows)
    cells = jnp.stack([jnp.broadcast_to(row, col.shape), col], axis=-1)
    return fault_sets(base, layer, cells, g_new[cells[..., 0], cells[..., 1]], loss)


@jax.jit
def _transfers(
    response: Response, known: Coupling, cells: Int[Array, "sets k 2"], dg: Float[Array, "sets k"]
) -> Float[Array, "sets cols rows"]:
    def one(part: tuple) -> Array:
        at, change = part
        return changed_transfer(response, known.among(at), at, change)

    return lax.map(one, (cells, dg))


@partial(jax.jit, static_argnames=("layer", "loss"))
def _updated(
    base: Baseline, layer: int, known: Coupling, cells: Array, dg: Array, loss: Loss
) -> FaultMap:
    answers = base.stages[layer].response

    def one(part: tuple) -> FaultMap:
        at, change = part
        return _scores(base, layer, changed_transfer(answers, known.among(at), at, change), loss)

    return lax.map(one, (cells, dg))


@partial(jax.jit, static_argnames=("layer", "loss"))
def _resolved(base: Baseline, layer: int, cells: Array, dg: Array, loss: Loss) -> FaultMap:
    array = base.net.layers[layer].array()

    def one(part: tuple) -> FaultMap:
        at, change = part
        # Added, so that a cell that fills up a set leaves one that changes alone.
        g = array.g.at[at[:, 0], at[:, 1]].add(change)
        t = transfer(Crossbar(jnp.maximum(g, 0), array.wires))  # rounding may pass zero
        return _scores(base, layer, t, loss)

    return lax.map(one, (cells, dg))


def _scores(base: Baseline, layer: int, t: Array, loss: Loss) -> FaultMap:
    """Loss and accuracy with another transfer matrix in one layer."""
    w = weights_of_change(base.net.layers[layer].readout.gain, t)
    return scores_of(base, onwards(base, layer, base.stages[layer].v_in @ w.T), loss)
