"""Exact effect of every fault of a kind, one at a time, on a data set; nothing is solved anew.

`ranked` lists the worst of all layers.

A fault in cells S of one array changes its currents by ``l_S^T F (u_S v_in)`` (see
`xbar.sensitivity.response`), and so the readout's voltages by

    dv = (v_in u_S^T) F^T p_S          p_S = gain (l_plus - l_minus) at the cells S

a product of a few numbers for one cell or one pair; the rest of the readout, activations and later
arrays, which stay as they are, do the rest. For a whole line of cells the change of the weights
themselves, ``p_S^T F u_S``, is less work.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from xbar.batch import batch_map
from xbar.checks import check_kind
from xbar.nn.layer import layer_index
from xbar.programs import program
from xbar.sensitivity.baseline import (
    MEMORY,
    Baseline,
    FaultMap,
    members_at_once,
    onwards,
    scores_of,
    stuck_values,
)
from xbar.sensitivity.inputs import Criterion, cells_of, conductances, loss_of
from xbar.sensitivity.response import Response
from xbar.sensitivity.update import update_factor


def cell_faults(
    base: Baseline,
    layer: int,
    stuck: Any = "on",
    loss: Criterion = "cross_entropy",
    *,
    memory: int = MEMORY,
) -> FaultMap:
    """Loss and accuracy with each single cell of a layer stuck, exactly.

    ```python
    base = sens.baseline(net, x, labels)
    harm = sens.cell_faults(base, 0, "on").loss - base.scores().loss
    ```

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
    return _map("cell", base, layer, stuck, loss, memory)


def pair_faults(
    base: Baseline,
    layer: int,
    stuck: Any = "on",
    loss: Criterion = "cross_entropy",
    *,
    memory: int = MEMORY,
) -> FaultMap:
    """Loss and accuracy (rows, outputs) with both cells of each pair of a layer stuck, exactly.

    Arguments and errors as for `cell_faults`.
    """
    return _map("pair", base, layer, stuck, loss, memory)


def row_faults(
    base: Baseline, layer: int, stuck: Any = "on", loss: Criterion = "cross_entropy"
) -> FaultMap:
    """Loss and accuracy (rows,) with all cells of each word line of a layer stuck, exactly.

    Of tiles (rows, C): each column of tiles has word lines of its own.

    Arguments and errors as for `cell_faults`.
    """
    return _map("row", base, layer, stuck, loss)


def column_faults(
    base: Baseline, layer: int, stuck: Any = "on", loss: Criterion = "cross_entropy"
) -> FaultMap:
    """Loss and accuracy (cols,) with all cells of each bit line of a layer stuck, exactly.

    Of tiles (R, cols): each row of tiles has bit lines of its own.

    Arguments and errors as for `cell_faults`.
    """
    return _map("column", base, layer, stuck, loss)


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
    shape = base.net.layers[layer].pairs.interleave().shape
    at = cells_of(cells, shape)
    if isinstance(stuck, str):
        g_new = stuck_values(base, layer, stuck)[at[:, 0], at[:, 1]]
    else:
        g_new = conductances("stuck", stuck, at.shape[:1])
    return _voltages(base, layer, at, g_new)


def _map(
    kind: str, base: Baseline, layer: int, stuck: Any, loss: Criterion, memory: int = MEMORY
) -> FaultMap:
    check_kind("base", base, Baseline, "what baseline() returns")
    loss_of(loss, base.net)
    layer = layer_index(layer, len(base.stages))
    return _scores(base, stuck_values(base, layer, stuck), layer, kind, loss, memory)


@program(static_argnames=("layer", "kind", "loss", "memory"))
def _scores(
    base: Baseline, g_new: Array, layer: int, kind: str, loss: Criterion, memory: int
) -> FaultMap:
    arrays = base.arrays(layer)
    answers = arrays.answers
    members, coupling = _faults(answers, kind)
    *shape, k = members.shape
    dg = arrays.cut(g_new) - answers.g  # 0 where there are no cells
    dg = dg.reshape(len(dg), -1)[:, members]
    # A line's fault changes all weights: there, side by side is no faster.
    chunk = members_at_once(base, layer, memory) if k <= 2 else 1

    def of_array(number: Any, coupling: Array, dg: Array) -> FaultMap:
        def one(fault: tuple[Array, Array, Array]) -> FaultMap:
            members, coupling, dg = fault
            factor = update_factor(coupling[None], dg[None])[0]
            v_lin = arrays.changed(number, members, factor)
            return scores_of(base, onwards(base, layer, v_lin), loss)

        batch = members.reshape(-1, k), coupling.reshape(-1, k, k), dg.reshape(-1, k)
        return batch_map(one, batch, chunk=chunk)

    found = arrays.each(of_array, coupling, dg)
    lines = base.net.layers[layer].tiling is None and len(shape) == 1
    unit = (*shape, 1) if kind == "row" else (1, *shape) if kind == "column" else tuple(shape)
    whole = jax.tree.map(lambda x: arrays.whole(x, unit), found)
    return jax.tree.map(jnp.ravel, whole) if lines else whole


@program(static_argnames=("layer",))
def _voltages(base: Baseline, layer: int, at: Array, g_new: Array) -> Array:
    arrays = base.arrays(layer)
    number, row, column = arrays.places(at)
    members = (row * arrays.tiling.cols + column)[:, None]
    coupling = arrays.answers.k_cell[number, row, column][:, None, None]
    dg = (g_new - arrays.answers.g[number, row, column])[:, None]
    factor = update_factor(coupling, dg)
    return onwards(base, layer, jax.vmap(arrays.changed)(number, members, factor))


def _faults(answers: Response, kind: str) -> tuple[np.ndarray, Array]:
    """The cells of each fault of a kind in an array, (faults..., k), and K between them.

    Returns:
        Cells, row after row, and K (arrays, faults..., k, k).
    """
    rows, cols = answers.g.shape[1:]
    cells = np.arange(rows * cols).reshape(rows, cols)
    if kind == "cell":
        return cells[..., None], answers.k_cell[..., None, None]
    if kind == "pair":
        k = answers.k_rows.reshape(-1, rows, cols // 2, 2, cols // 2, 2)
        return cells.reshape(rows, cols // 2, 2), jnp.einsum("niapaq->niapq", k)
    return (cells, answers.k_rows) if kind == "row" else (cells.T, answers.k_cols)


class RankedFault(NamedTuple):
    """One stuck cell, and what it leaves of the network.

    ```python
    worst = sens.ranked(base, n=3)[0]
    print(worst.layer, worst.word_line, worst.bit_line, worst.stuck)
    ```

    Args:
        layer: index of the layer.
        word_line: the last one is the bias row.
        bit_line: even ones hold plus cells, odd ones minus cells.
        stuck: "on" or "off".
        loss: of the data set with this fault alone.
        accuracy: share of inputs that are then classified right.
    """

    layer: int
    word_line: int
    bit_line: int
    stuck: str
    loss: float
    accuracy: float


def ranked(
    base: Baseline,
    n: int = 20,
    kinds: Sequence[str] = ("on", "off"),
    loss: Criterion = "cross_entropy",
) -> list[RankedFault]:
    """The n single stuck cells that raise the loss most, worst first, each exactly.

    ```python
    for fault in sens.ranked(sens.baseline(net, x, labels), n=5):
        print(fault)
    ```

    Args:
        base: the baseline; a network with faults gives one more fault.
        n: how many; fewer where there are fewer cells.
        kinds: of "on" and "off".
        loss: what counts as bad, as in `cell_faults`.

    Returns:
        A list, which `pandas.DataFrame` takes as it is. Faults whose effect is not known (NaN) are
        left out.

    Raises:
        ValueError: n is below 1, or an unknown kind or loss.
    """
    if n < 1:
        raise ValueError(f"n: got {n}, needs 1 or more")
    found: list[RankedFault] = []
    for layer in range(len(base.net.layers)):
        for kind in kinds:
            faults = cell_faults(base, layer, kind, loss)
            found += _worst(layer, kind, np.asarray(faults.loss), np.asarray(faults.accuracy), n)
    return sorted(found, key=lambda fault: -fault.loss)[:n]


def _worst(
    layer: int, kind: str, loss: np.ndarray, accuracy: np.ndarray, n: int
) -> list[RankedFault]:
    order = np.argsort(-loss, axis=None, kind="stable")  # NaN comes last
    places = zip(*np.unravel_index(order[:n], loss.shape), strict=True)
    return [
        RankedFault(layer, int(i), int(j), kind, float(loss[i, j]), float(accuracy[i, j]))
        for i, j in places
        if np.isfinite(loss[i, j])
    ]
