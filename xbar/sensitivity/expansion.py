"""First and second derivatives along the change of each single cell, and how far to trust them.

A change ``dg`` of cell c changes T by ``l u^T f``, and along that line

    f(dg) = dg / (1 + dg K_cc) = dg - K_cc dg^2 + ...

so the loss has the slope and the curvature that the chain rule gives through the amplifiers,
activations and later arrays. ReLU and the rails have no curvature: what a kink does is in neither.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int
from scipy import stats

from xbar.batch import batch_map
from xbar.nn.layer import layer_index
from xbar.programs import program
from xbar.sensitivity.arrays import Arrays, Index
from xbar.sensitivity.baseline import MEMORY, Baseline, members_at_once, onwards
from xbar.sensitivity.inputs import Criterion, cells_of, loss_of


@final
class Expansion(eqx.Module):
    """Derivatives of the loss along the change of each single cell of a layer.

    Args:
        slope: first derivative, (rows, cols) [loss/S].
        curvature: second derivative, (rows, cols) [loss/S^2].
    """

    slope: Float[Array, "rows cols"]
    curvature: Float[Array, "rows cols"]

    def predict(self, dg: Any, order: int = 2) -> Float[Array, "rows cols"]:
        """Predicted change of the loss, ``slope dg + curvature dg^2 / 2``.

        Args:
            dg: change of each cell, one at a time, () or (rows, cols) [S].
            order: 1 leaves the curvature out; 2 has it.

        Returns:
            (rows, cols).

        Raises:
            ValueError: another order.
        """
        if order not in (1, 2):
            raise ValueError(f"order: got {order!r}, needs 1 or 2")
        dg = jnp.asarray(dg, self.slope.dtype)
        first = self.slope * dg
        return first if order == 1 else first + self.curvature * dg**2 / 2


def expansion(
    base: Baseline, layer: int, loss: Criterion = "cross_entropy", *, memory: int = MEMORY
) -> Expansion:
    """Slope and curvature of the loss along the change of each single cell of a layer.

    Args:
        base: the baseline.
        layer: index of the layer.
        loss: "cross_entropy", "margin", or a function of voltages (n, classes) [V] and labels.
        memory: bytes that temporary arrays may take, about.

    Returns:
        The `Expansion`; its slope is `gradients(...).layers[layer].g` on the same data.

    Raises:
        ValueError: no such layer or loss.
    """
    loss_of(loss, base.net)
    return _expansion(base, layer_index(layer, len(base.stages)), loss, memory)


def voltage_expansion(
    base: Baseline, layer: int, cells: Any
) -> tuple[Float[Array, "k n classes"], Float[Array, "k n classes"]]:
    """First and second derivative of the output voltages along the change of each of some cells.

    Args:
        base: the baseline.
        layer: index of the layer.
        cells: (row, column) each, (k, 2).

    Returns:
        (k, n, classes) [V/S], and the same [V/S^2].

    Raises:
        ValueError: no such layer or cell.
    """
    layer = layer_index(layer, len(base.stages))
    return _voltages(base, layer, cells_of(cells, base.net.layers[layer].pairs.interleave().shape))


@program(static_argnames=("layer", "loss", "memory"))
def _expansion(base: Baseline, layer: int, loss: Criterion, memory: int) -> Expansion:
    arrays, judge = base.arrays(layer), loss_of(loss, base.net)
    one = _derivatives(base, layer, arrays, lambda v: judge(v, base.labels))
    # Three values travel together where `cell_faults` has one.
    chunk = members_at_once(base, layer, memory // 3)
    cells = jnp.arange(arrays.answers.g[0].size)

    def of_array(number: Any) -> tuple[Array, Array]:
        return batch_map(lambda member: one(number, member), cells, chunk=chunk)

    return Expansion(*map(arrays.whole, arrays.each(of_array)))


@program(static_argnames=("layer",))
def _voltages(base: Baseline, layer: int, at: Int[Array, "cells 2"]) -> tuple[Array, Array]:
    arrays = base.arrays(layer)
    number, row, column = arrays.places(at)
    members = row * arrays.tiling.cols + column
    return jax.vmap(_derivatives(base, layer, arrays, lambda v: v))(number, members)


def _derivatives(
    base: Baseline, layer: int, arrays: Arrays, of: Callable[[Array], Array]
) -> Callable[[Index, Array], tuple[Array, Array]]:
    """First and second derivative along one cell's change of a function of output voltages."""
    unit = jnp.ones((1, 1), arrays.answers.g.dtype)

    def one(number: Index, member: Int[Array, ""]) -> tuple[Array, Array]:
        k = arrays.of_cells(arrays.answers.k_cell[:, None], number, member[None])[0, 0]
        ends = arrays.answers.u, arrays.answers.l
        taken, sent = (arrays.of_cells(x, number, member[None]) for x in ends)
        line = arrays.moved(number, taken, sent, unit)  # volts per siemens

        def along(dg: Array) -> Array:
            v_lin = arrays.added(number, dg / (1 + dg * k) * line)
            return of(onwards(base, layer, v_lin))

        def slope(dg: Array) -> Array:
            return jax.jvp(along, (dg,), (jnp.ones_like(dg),))[1]

        return jax.jvp(slope, (jnp.zeros_like(k),), (jnp.ones_like(k),))

    return one


class Agreement(NamedTuple):
    """How well predictions match the exact changes.

    Args:
        rank: Spearman's rank correlation; NaN where either side is the same everywhere.
        error: RMS of predicted - exact over RMS of exact; 1 is what predicting 0 would have.
        sign: share of the changes that are predicted with the right sign.
        cells: how many were compared.
    """

    rank: float
    error: float
    sign: float
    cells: int


def agreement(predicted: Any, exact: Any) -> Agreement:
    """Compare predicted with exact changes of the loss.

    Args:
        predicted: of each cell, any shape [loss].
        exact: of the same cells [loss]; what is NaN on either side is left out.

    Returns:
        The agreement.

    Raises:
        ValueError: different shapes, or nothing to compare.
    """
    a, b = np.asarray(predicted, float), np.asarray(exact, float)
    if a.shape != b.shape:
        raise ValueError(f"predicted: got shape {a.shape}, needs that of exact, {b.shape}")
    fine = np.isfinite(a) & np.isfinite(b)
    a, b = a[fine], b[fine]
    if a.size == 0:
        raise ValueError("predicted: got no finite entries, needs at least one")
    varied = a.size > 1 and np.ptp(a) > 0 and np.ptp(b) > 0
    rank = float(stats.spearmanr(a, b).statistic) if varied else float("nan")
    size = np.sqrt(np.mean(b**2))
    off = np.sqrt(np.mean((a - b) ** 2))
    error = float(off / size) if size > 0 else float("nan")
    return Agreement(rank, error, float(np.mean(np.sign(a) == np.sign(b))), a.size)
