"""First and second derivatives along the change of each single cell.

A change ``dg`` of cell c changes T by ``l u^T f``, and along that line

    f(dg) = dg / (1 + dg K_cc) = dg - K_cc dg^2 + ...

so the loss has the slope and the curvature that the chain rule gives through the amplifiers,
activations and later arrays. ReLU and the rails have no curvature: what a kink does is in neither.
"""

from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from xbar.batch import batch_map
from xbar.nn.layer import layer_index
from xbar.programs import program
from xbar.sensitivity.baseline import MEMORY, Baseline, members_at_once, onwards
from xbar.sensitivity.inputs import cells_of
from xbar.sensitivity.losses import Loss, loss_of


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
    base: Baseline, layer: int, loss: Loss = "cross_entropy", *, memory: int = MEMORY
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
    return _voltages(base, layer, cells_of(cells, base.stages[layer].response.g.shape))


@program(static_argnames=("layer", "loss", "memory"))
def _expansion(base: Baseline, layer: int, loss: Loss, memory: int) -> Expansion:
    shape = base.stages[layer].response.g.shape
    judge = loss_of(loss, base.net)
    one = _derivatives(base, layer, lambda v: judge(v, base.labels))
    # Three values travel together where `cell_faults` has one.
    chunk = members_at_once(base, layer, memory // 3)
    found = batch_map(one, jnp.arange(shape[0] * shape[1]), chunk=chunk)
    return Expansion(*(x.reshape(shape) for x in found))


@program(static_argnames=("layer",))
def _voltages(base: Baseline, layer: int, at: Int[Array, "cells 2"]) -> tuple[Array, Array]:
    members = at[:, 0] * base.stages[layer].response.g.shape[1] + at[:, 1]
    return jax.vmap(_derivatives(base, layer, lambda v: v))(members)


def _derivatives(
    base: Baseline, layer: int, of: Callable[[Array], Array]
) -> Callable[[Array], tuple[Array, Array]]:
    """First and second derivative along one cell's change of a function of output voltages."""
    stage = base.stages[layer]
    answers = stage.response
    u = answers.u.reshape(len(answers.u), -1)
    push = base.net.layers[layer].fold(answers.l.reshape(len(answers.l), -1))

    def one(member: Int[Array, ""]) -> tuple[Array, Array]:
        k = answers.k_cell.ravel()[member]
        line = jnp.outer(stage.v_in @ u[:, member], push[:, member])  # volts per siemens

        def along(dg: Array) -> Array:
            return of(onwards(base, layer, stage.v_lin + dg / (1 + dg * k) * line))

        def slope(dg: Array) -> Array:
            return jax.jvp(along, (dg,), (jnp.ones_like(dg),))[1]

        return jax.jvp(slope, (jnp.zeros_like(k),), (jnp.ones_like(k),))

    return one
