"""Many cells at once, for thousands of sets of cells on one programmed array.

A set of k cells takes a system of k equations in place of a new solution of the array; which of the
two is less work, `xbar.sensitivity.cost` says.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from xbar.batch import batch_map
from xbar.checks import check_word
from xbar.devices.mapping import Pairs
from xbar.nn.layer import layer_index
from xbar.programs import program
from xbar.sensitivity.arrays import tiling_of
from xbar.sensitivity.baseline import (
    Baseline,
    FaultMap,
    onwards,
    scores_of,
    stuck_values,
    transfer_of,
)
from xbar.sensitivity.cost import update_is_cheaper
from xbar.sensitivity.coupling import MAX_BYTES, Coupling, coupling_in
from xbar.sensitivity.inputs import Criterion, cells_of, conductances, loss_of
from xbar.sensitivity.response import Response
from xbar.sensitivity.update import changed_transfer

METHODS = ("auto", "update", "resolve")


def fault_sets(
    base: Baseline,
    layer: int,
    cells: Any,
    g_new: Any,
    loss: Criterion = "cross_entropy",
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
        known: `coupling(base.net.layers[layer].array())` of a layer of one array, or
            `coupling_in(base.net.layers[layer])` of any, where it is found already.

    Returns:
        (sets,) each.

    Raises:
        ValueError: no such layer, cell, loss or method, a conductance that is negative or not
            finite, or no room for the coupling of an array as large as this.
    """
    layer = layer_index(layer, len(base.stages))
    loss_of(loss, base.net)
    check_word("method", method, list(METHODS))
    g = base.net.layers[layer].pairs.interleave()
    at = cells_of(cells, g.shape)
    if at.ndim != 3:
        raise ValueError(f"cells: got shape {at.shape}, needs (sets, k, 2)")
    values = conductances("g_new", g_new, at.shape[:2]).astype(g.dtype)
    dg = values - g[at[..., 0], at[..., 1]]
    if method == "auto":
        tiling = tiling_of(base.net.layers[layer])
        shape, (high, wide) = (
            (tiling.rows, tiling.cols),
            tiling.grid(base.net.layers[layer].pairs.shape),
        )
        many = high * wide
        fits = known is not None or many * np.prod(shape) ** 2 * g.dtype.itemsize <= MAX_BYTES
        cheaper = update_is_cheaper(shape, at.shape[1], len(at), known is not None, many)
        method = "update" if fits and cheaper else "resolve"
    if method == "resolve":
        return _scores(base, None, at, dg, layer, loss)
    known = coupling_in(base.net.layers[layer]) if known is None else known
    return _scores(base, known, at, dg, layer, loss)


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
    base: Baseline, layer: int, stuck: Any = "on", loss: Criterion = "cross_entropy"
) -> FaultMap:
    """Loss and accuracy with both bit lines of each pair of a layer stuck, exactly.

    Arguments and errors as for `xbar.sensitivity.cell_faults`.

    Returns:
        (outputs,) each; of tiles (R, outputs), as each row of tiles has bit lines of its own.
    """
    layer = layer_index(layer, len(base.stages))
    g_new, part = stuck_values(base, layer, stuck), base.net.layers[layer]
    (rows, cols), tiling = g_new.shape, tiling_of(part)
    named = tiling.by_rows(1 + np.arange(rows)) - 1  # (R, rows of a tile), -1 where there is none
    word, bit = np.broadcast_arrays(named[:, None, None], np.arange(cols).reshape(-1, 2, 1))
    cells = np.stack([word, bit], -1).reshape(len(named), cols // 2, -1, 2)
    none = cells[..., 0] < 0
    cells = np.where(none[..., None], 0, cells).reshape(-1, *cells.shape[2:])
    # What fills up a set keeps its value.
    g = part.pairs.interleave()
    at = cells[..., 0], cells[..., 1]
    values = jnp.where(none.reshape(at[0].shape), g[at], g_new[at])
    found = fault_sets(base, layer, cells, values, loss)
    if part.tiling is None:
        return found
    return jax.tree.map(lambda x: x.reshape(len(named), -1), found)


@program()
def _transfers(
    response: Response, known: Coupling, cells: Int[Array, "sets k 2"], dg: Float[Array, "sets k"]
) -> Float[Array, "sets cols rows"]:
    def one(part: tuple) -> Array:
        at, change = part
        u, l = (x[:, at[:, 0], at[:, 1]].T for x in (response.u, response.l))  # noqa: E741
        return changed_transfer(response.t, u, l, known.among(at), change)

    return batch_map(one, (cells, dg))


@program(static_argnames=("layer", "loss"))
def _scores(
    base: Baseline, known: Coupling | None, cells: Array, dg: Array, layer: int, loss: Criterion
) -> FaultMap:
    """By the update where the coupling is known, else with each array solved anew."""
    stage, part, arrays = base.stages[layer], base.net.layers[layer], base.arrays(layer)
    g, folded = part.pairs.interleave(), part.folded.circuit()
    t = transfer_of(part, stage.response)
    half = None if known is None else known.half
    stacked = None if half is None else Coupling(half if half.ndim == 5 else half[None])

    def one(sets: tuple) -> FaultMap:
        at, change = sets
        if stacked is None:
            # Added, so that a cell that fills up a set leaves one that changes alone.
            changed = jnp.maximum(g.at[at[:, 0], at[:, 1]].add(change), 0)  # rounding may pass 0
            pairs = Pairs.from_interleaved(changed)
            found = eqx.tree_at(lambda layer: layer.pairs, part, pairs).transfer()
        else:
            number, row, column = arrays.places(at)
            k = stacked.among(jnp.stack([row, column], -1), number)
            found = changed_transfer(t, *arrays.spread(at), k, change)
        v_lin = folded.prepared(part.fold(found)).currents(stage.v_in)
        return scores_of(base, onwards(base, layer, v_lin), loss)

    return batch_map(one, (cells, dg))
