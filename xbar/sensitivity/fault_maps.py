"""Exact effect of every fault of a kind, one at a time, on a data set; nothing is solved anew.

A fault in cells S of one array changes its currents by ``l_S^T F (u_S v_in)`` (see
`xbar.sensitivity.response`), and so the readout's voltages by

    dv = (v_in u_S^T) F^T p_S          p_S = gain (l_plus - l_minus) at the cells S

a product of a few numbers for one cell or one pair; the rest of the readout, activations and later
arrays, which stay as they are, do the rest. For a whole line of cells the change of the weights
themselves, ``p_S^T F u_S``, is less work.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from xbar.batch import batch_map
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
from xbar.sensitivity.inputs import cells_of, conductances
from xbar.sensitivity.losses import Loss, loss_of
from xbar.sensitivity.response import Response
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
    loss: Loss = "cross_entropy",
    *,
    memory: int = MEMORY,
) -> FaultMap:
    """Loss and accuracy (rows, outputs) with both cells of each pair of a layer stuck, exactly.

    Arguments and errors as for `cell_faults`.
    """
    return _map("pair", base, layer, stuck, loss, memory)


def row_faults(
    base: Baseline, layer: int, stuck: Any = "on", loss: Loss = "cross_entropy"
) -> FaultMap:
    """Loss and accuracy (rows,) with all cells of each word line of a layer stuck, exactly.

    Arguments and errors as for `cell_faults`.
    """
    return _map("row", base, layer, stuck, loss)


def column_faults(
    base: Baseline, layer: int, stuck: Any = "on", loss: Loss = "cross_entropy"
) -> FaultMap:
    """Loss and accuracy (cols,) with all cells of each bit line of a layer stuck, exactly.

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
    at = cells_of(cells, base.stages[layer].response.g.shape)
    if isinstance(stuck, str):
        g_new = stuck_values(base, layer, stuck)[at[:, 0], at[:, 1]]
    else:
        g_new = conductances("stuck", stuck, at.shape[:1])
    return _voltages(base, layer, at, g_new)


def _map(
    kind: str, base: Baseline, layer: int, stuck: Any, loss: Loss, memory: int = MEMORY
) -> FaultMap:
    if not isinstance(base, Baseline):
        raise TypeError(f"base: got {type(base).__name__}, needs what baseline() returns")
    loss_of(loss, base.net)
    layer = layer_index(layer, len(base.stages))
    return _scores(base, stuck_values(base, layer, stuck), layer, kind, loss, memory)


@program(static_argnames=("layer", "kind", "loss", "memory"))
def _scores(
    base: Baseline, g_new: Array, layer: int, kind: str, loss: Loss, memory: int
) -> FaultMap:
    answers, changed = base.stages[layer].response, _changed(base, layer)
    members, coupling = _faults(answers, kind)
    *shape, k = members.shape
    dg = (g_new - answers.g).ravel()[members]

    def one(fault: tuple[Array, Array, Array]) -> FaultMap:
        return scores_of(base, onwards(base, layer, changed(*fault)), loss)

    batch = members.reshape(-1, k), coupling.reshape(-1, k, k), dg.reshape(-1, k)
    # A line's fault changes all weights: there, side by side is no faster.
    chunk = members_at_once(base, layer, memory) if k <= 2 else 1
    return jax.tree.map(lambda x: x.reshape(shape), batch_map(one, batch, chunk=chunk))


@program(static_argnames=("layer",))
def _voltages(base: Baseline, layer: int, at: Array, g_new: Array) -> Array:
    answers, changed = base.stages[layer].response, _changed(base, layer)
    rows, columns = at.T
    members = (rows * answers.g.shape[1] + columns)[:, None]
    coupling = answers.k_cell[rows, columns][:, None, None]
    dg = (g_new - answers.g[rows, columns])[:, None]
    return onwards(base, layer, jax.vmap(changed)(members, coupling, dg))


def _faults(answers: Response, kind: str) -> tuple[np.ndarray, Array]:
    """The cells of each fault of a kind, (faults..., k), and K between them, (faults..., k, k)."""
    rows, cols = answers.g.shape
    cells = np.arange(rows * cols).reshape(rows, cols)
    if kind == "cell":
        return cells[..., None], answers.k_cell[..., None, None]
    if kind == "pair":
        k = answers.k_rows.reshape(rows, cols // 2, 2, cols // 2, 2)
        return cells.reshape(rows, cols // 2, 2), jnp.einsum("iapaq->iapq", k)
    return (cells, answers.k_rows) if kind == "row" else (cells.T, answers.k_cols)


def _changed(base: Baseline, layer: int) -> Callable[[Array, Array, Array], Array]:
    """The voltages (n, outputs) [V] behind a readout's linear steps, of cells (k,) that change."""
    stage = base.stages[layer]
    answers = stage.response
    u = answers.u.reshape(len(answers.u), -1)
    push = base.net.layers[layer].fold(answers.l.reshape(len(answers.l), -1))

    def changed(members: Array, coupling: Array, dg: Array) -> Array:
        factor = update_factor(coupling[None], dg[None])[0]
        if len(members) > 2:
            return stage.v_lin + stage.v_in @ (push[:, members] @ factor @ u[:, members].T).T
        moved, v_lin = factor @ (stage.v_in @ u[:, members]).T, stage.v_lin
        for k, member in enumerate(members):  # one or two: a product of matrices would be slower
            v_lin = v_lin + moved[k, :, None] * push[:, member]
        return v_lin

    return changed
