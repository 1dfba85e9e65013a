"""Gradient of a loss with respect to every cell, wire segment and amplifier of a network.

A change of a transfer matrix is a product of two cell voltages, or of two segment currents (see
`xbar.sensitivity.response`, `xbar.solvers.sweep.bit_line`):

    dT[o,k] = sum_cells l_o[c] u_k[c] dg[c] - sum_segments i_o[s] i_k[s] dr[s]

with `l_o`, `i_o` the voltages and currents for 1 V in series with column o, and `u_k`, `i_k` those
for 1 V on row k. Weighted by the derivative of the loss with respect to T, which the chain rule
gives, the sum over k is the answer to one drive of all rows per output. So the gradient of a data
set costs two drives per pair of columns beside the factors that T needs, however many inputs.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from xbar.checks import is_concrete
from xbar.circuit import RESULTS
from xbar.learn.mlp import accuracy
from xbar.nn import Layer, Network
from xbar.sensitivity.column_gradient import (
    Slopes,
    column_gradient,
    differences_of,
    pulled_pairs,
)
from xbar.sensitivity.inputs import labelled
from xbar.sensitivity.losses import Loss, loss_of
from xbar.sensitivity.sweep import sweep
from xbar.solve import legal_problem
from xbar.solvers import AbstractSolver, Auto
from xbar.solvers.auto import TILED_SIDE
from xbar.solvers.base import Problem
from xbar.solvers.lines import BIT, WORD, running_sum

Differences = Float[Array, "pairs rows"]
# From the derivatives with respect to W to those with respect to elements.
ByDifferences = Callable[[Differences], Slopes]


@final
class LayerGradient(eqx.Module):
    """Derivatives of the loss with respect to what one layer is made of.

    Args:
        g: of each cell, columns (+, -, +, -), (rows, cols) [loss/S].
        word_line: of the segment left of each cell, (rows, cols) [loss/ohm]; None if left out.
        bit_line: of the segment below each cell, (rows, cols) [loss/ohm]; None if left out.
        source: of each driver's resistance, (rows,) [loss/ohm].
        sense: of each sense resistance, (cols,) [loss/ohm].
        r_f: of the feedback resistance that all amplifiers of the array have, () [loss/ohm].
        inverse_gain: of their 1/A, A the open-loop gain, () [loss]; at 0 for ideal amplifiers.
    """

    g: Float[Array, "rows cols"]
    word_line: Float[Array, "rows cols"] | None
    bit_line: Float[Array, "rows cols"] | None
    source: Float[Array, " rows"]
    sense: Float[Array, " cols"]
    r_f: Float[Array, ""]
    inverse_gain: Float[Array, ""]


@final
class Gradients(eqx.Module):
    """Loss of a network on a data set, and its derivatives.

    Args:
        loss: ().
        accuracy: share of inputs that are classified right, ().
        layers: derivatives per layer.
    """

    loss: Float[Array, ""]
    accuracy: Float[Array, ""]
    layers: tuple[LayerGradient, ...]


def gradients(
    net: Network,
    x: Any,
    labels: Any,
    loss: Loss = "cross_entropy",
    *,
    segments: bool = True,
    solver: AbstractSolver | None = None,
    throw: bool = True,
) -> Gradients:
    """Derivative of a loss over a data set with respect to every circuit element.

    All layers at once, through the activations of the later ones. Works under `jit` and `vmap`;
    for many networks, `xb.batch_map(lambda net: gradients(net, x, labels), nets)`.

    Args:
        net: the network, healthy or defective.
        x: inputs in the software network's unit, (n, inputs).
        labels: the class of each, (n,).
        loss: "cross_entropy", "margin", or a function of voltages (n, classes) [V] and labels,
            returning (); compiled once per function object.
        segments: whether to find those of the segments of the lines; drivers, sense resistances and
            amplifiers take no work of their own, segments do.
        solver: of the arrays; None for a sweep over their columns, the fastest.
        throw: raise where something missed its tolerance; inside `jit` the numbers are NaN.

    Returns:
        The loss, the accuracy and the derivatives.

    Raises:
        ValueError: shapes or labels that do not fit, or an unknown loss.
        RuntimeError: (with `throw`) a result that is not finite.
    """
    x, labels = labelled(net, x, labels)
    loss_of(loss, net)
    found = _gradients(net, x, labels, loss, segments, solver)
    if throw and is_concrete(found.loss):
        sound = jax.tree.map(lambda leaf: bool(jnp.all(jnp.isfinite(leaf))), found)
        if not all(jax.tree.leaves(sound)):
            raise RuntimeError(
                "gradients: a transfer matrix or its derivative missed its tolerance, or the loss "
                "is not finite; try solver=xbar.CG()"
            )
    return found


@partial(jax.jit, static_argnames=("loss", "segments", "solver"))
def _gradients(
    net: Network,
    x: Array,
    labels: Array,
    loss: Loss,
    segments: bool,
    solver: AbstractSolver | None,
) -> Gradients:
    solved = (_solved(layer, segments, solver) for layer in net.layers)
    differences, back = zip(*solved, strict=True)
    gains = [layer.readout.gain for layer in net.layers]

    def of(differences: tuple[Array, ...], gains: list[Array]) -> tuple[Array, Array]:
        v = net.k_in * x
        for layer, w, gain in zip(net.layers, differences, gains, strict=True):
            v_tia = layer.readout.clip(gain * (layer.row_voltages(v) @ w.T))
            v = layer.activate(v_tia)
        return loss_of(loss, net)(v, labels), v

    slopes = jax.value_and_grad(of, argnums=(0, 1), has_aux=True)
    (value, voltages), (by_w, by_gain) = slopes(differences, gains)
    layers = tuple(
        _whole(layer, slopes_of(w), gain)
        for layer, slopes_of, w, gain in zip(net.layers, back, by_w, by_gain, strict=True)
    )
    return Gradients(value, accuracy(voltages, labels), layers)


def _whole(layer: Layer, slopes: Slopes, by_gain: Array) -> LayerGradient:
    """With the amplifiers."""
    # Their gain is R_f / (1 + a), and R_f a / (1 + a) adds to the sense resistance, with a = 1/A.
    r_f, a = layer.readout.r_f, 1 / layer.readout.open_loop_gain
    by_sense = jnp.sum(slopes.sense)
    return LayerGradient(
        g=slopes.g,
        word_line=slopes.word_line,
        bit_line=slopes.bit_line,
        source=slopes.source,
        sense=slopes.sense,
        r_f=(by_gain + a * by_sense) / (1 + a),
        inverse_gain=r_f * (by_sense - by_gain) / (1 + a) ** 2,
    )


def _solved(
    layer: Layer, segments: bool, solver: AbstractSolver | None
) -> tuple[Differences, ByDifferences]:
    """W of a layer's array, T_plus - T_minus, and what leads back from it to the elements."""
    array = layer.array()
    problem, result = legal_problem(array, array.dtype)
    if solver is None and min(problem.g.shape) <= TILED_SIDE:
        # The factors of T serve the gradient as well.
        swept = sweep(problem)
        drawn = pulled_pairs(swept)
        w = differences_of(drawn)
        slopes = partial(column_gradient, swept, drawn, problem.g, segments)
    else:
        solver = Auto() if solver is None else solver
        state = solver.factor(problem)
        t, ok = solver.transfer(problem)
        w = jnp.where(ok, t[0::2] - t[1::2], jnp.nan)
        slopes = partial(_by_drives, solver, state, problem, segments)
    return jnp.where(result == RESULTS.successful, w, jnp.nan), slopes


def _by_drives(
    solver: AbstractSolver,
    state: Any,
    problem: Problem,
    segments: bool,
    by_w: Float[Array, "pairs rows"],
) -> Slopes:
    """As `column_gradient`, by any solver: two drives per pair."""
    rows, cols = problem.g.shape
    size = jnp.max(jnp.abs(by_w), axis=1)
    size = jnp.where(size > 0, size, 1)  # drives of one size: all are checked together
    pulled = jnp.repeat(jnp.eye(cols // 2, dtype=by_w.dtype), 2, axis=1)
    pulled = pulled * jnp.tile(jnp.array([1, -1], by_w.dtype), cols // 2)
    drives = [pulled[:, None, :], (by_w / size[:, None])[:, :, None]]
    e = jnp.concatenate([jnp.broadcast_to(d, (cols // 2, rows, cols)) for d in drives])
    answer = solver.cell_voltages(state, problem, e)
    u = jnp.where(answer.ok[:, None, None], answer.u, jnp.nan)
    both = u[: cols // 2], u[cols // 2 :] * size[:, None, None]
    i_cell = [problem.g * v for v in both]
    source, sense = (-_product(*(jnp.sum(i, axis) for i in i_cell)) for axis in (WORD, BIT))
    word = bit = None
    if segments:
        word = -_product(*(running_sum(i, WORD, reverse=True) for i in i_cell))
        bit = -_product(*(running_sum(i, BIT) for i in i_cell))
    return Slopes(_product(*both), source, sense, word, bit)


def _product(a: Float[Array, "pairs *elements"], b: Float[Array, "pairs *elements"]) -> Array:
    return jnp.sum(a * b, axis=0)
