"""Gradient of a loss with respect to every cell, wire segment and amplifier of a network.

A change of a transfer matrix is a product of two cell voltages, or of two segment currents (see
`xbar.sensitivity.response`, `xbar.solvers.bit_line`):

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
from xbar.mlp import accuracy
from xbar.network import Layer, Network
from xbar.sensitivity.column_gradient import Slopes, column_gradient, transfer_of
from xbar.sensitivity.inputs import labelled
from xbar.sensitivity.losses import Loss, loss_of
from xbar.sensitivity.response import legal_problem
from xbar.sensitivity.sweep import sweep
from xbar.solvers import RESULTS, AbstractSolver, Auto
from xbar.solvers.auto import TILED_SIDE
from xbar.solvers.base import Problem, Transfer
from xbar.solvers.lines import BIT, WORD, running_sum

# From the derivatives with respect to the plus columns of T, (pairs, rows), to those of elements.
ByTransfer = Callable[[Array], Slopes]


@final
class LayerGradient(eqx.Module):
    """Derivatives of the loss with respect to what one layer is made of.

    Args:
        g: of each cell, columns (+, -, +, -), (rows, cols) [loss/S].
        word_line: of the segment left of each cell, (rows, cols) [loss/ohm].
        bit_line: of the segment below each cell, (rows, cols) [loss/ohm].
        source: of each driver's resistance, (rows,) [loss/ohm].
        sense: of each sense resistance, (cols,) [loss/ohm].
        r_f: of the feedback resistance that all amplifiers of the array have, () [loss/ohm].
        inverse_gain: of their 1/A, A the open-loop gain, () [loss]; at 0 for ideal amplifiers.
    """

    g: Float[Array, "rows cols"]
    word_line: Float[Array, "rows cols"]
    bit_line: Float[Array, "rows cols"]
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
    found = _gradients(net, x, labels, loss, solver)
    if throw and is_concrete(found.loss):
        sound = jax.tree.map(lambda leaf: bool(jnp.all(jnp.isfinite(leaf))), found)
        if not all(jax.tree.leaves(sound)):
            raise RuntimeError(
                "gradients: a transfer matrix or its derivative missed its tolerance, or the loss "
                "is not finite; try solver=xbar.CG()"
            )
    return found


@partial(jax.jit, static_argnames=("loss", "solver"))
def _gradients(
    net: Network, x: Array, labels: Array, loss: Loss, solver: AbstractSolver | None
) -> Gradients:
    transfers, back = zip(*(_solved(layer, solver) for layer in net.layers), strict=True)
    gains = [layer.readout.gain for layer in net.layers]

    def of(transfers: tuple[Array, ...], gains: list[Array]) -> tuple[Array, Array]:
        v = net.k_in * x
        for layer, t, gain in zip(net.layers, transfers, gains, strict=True):
            i_out = layer.row_voltages(v) @ t.T
            v_tia = layer.readout.clip(gain * (i_out[:, 0::2] - i_out[:, 1::2]))
            v = layer.activate(v_tia)
        return loss_of(loss, net)(v, labels), v

    slopes = jax.value_and_grad(of, argnums=(0, 1), has_aux=True)
    (value, voltages), (by_t, by_gain) = slopes(transfers, gains)
    # The loss depends on the difference of a pair's currents only: the two rows are opposite.
    layers = tuple(
        _whole(layer, slopes_of(t[0::2]), gain)
        for layer, slopes_of, t, gain in zip(net.layers, back, by_t, by_gain, strict=True)
    )
    return Gradients(value, accuracy(voltages, labels), layers)


def _whole(layer: Layer, slopes: Slopes, by_gain: Array) -> LayerGradient:
    """With the ends of the lines and the amplifiers."""
    # Their gain is R_f / (1 + a), and R_f a / (1 + a) adds to the sense resistance, with a = 1/A.
    r_f, a = layer.readout.r_f, 1 / layer.readout.open_loop_gain
    by_sense = jnp.sum(slopes.bit_line[-1])
    return LayerGradient(
        g=slopes.g,
        word_line=slopes.word_line,
        bit_line=slopes.bit_line,
        source=slopes.word_line[:, 0],
        sense=slopes.bit_line[-1],
        r_f=(by_gain + a * by_sense) / (1 + a),
        inverse_gain=r_f * (by_sense - by_gain) / (1 + a) ** 2,
    )


def _solved(layer: Layer, solver: AbstractSolver | None) -> tuple[Transfer, ByTransfer]:
    """Transfer matrix of a layer's array, and what leads back from it to the array's elements."""
    problem, result = legal_problem(layer.array())
    if solver is None and min(problem.g.shape) <= TILED_SIDE:
        # The factors of T serve the gradient as well.
        swept = sweep(problem)
        t, word = transfer_of(swept)
        slopes = partial(column_gradient, swept, t, word, problem.g)
    else:
        solver = Auto() if solver is None else solver
        state = solver.factor(problem)
        t, ok = solver.transfer(state, problem)
        t = jnp.where(ok, t, jnp.nan)
        slopes = partial(_by_drives, solver, state, problem)
    return jnp.where(result == RESULTS.successful, t, jnp.nan), slopes


def _by_drives(
    solver: AbstractSolver, state: Any, problem: Problem, by_t: Float[Array, "pairs rows"]
) -> Slopes:
    """As `column_gradient`, by any solver: two drives per pair."""
    rows, cols = problem.g.shape
    size = jnp.max(jnp.abs(by_t), axis=1)
    size = jnp.where(size > 0, size, 1)  # drives of one size: all are checked together
    pulled = jnp.repeat(jnp.eye(cols // 2, dtype=by_t.dtype), 2, axis=1)
    pulled = pulled * jnp.tile(jnp.array([1, -1], by_t.dtype), cols // 2)
    drives = [pulled[:, None, :], (by_t / size[:, None])[:, :, None]]
    e = jnp.concatenate([jnp.broadcast_to(d, (cols // 2, rows, cols)) for d in drives])
    answer = solver.cell_voltages(state, problem, e)
    u = jnp.where(answer.ok[:, None, None], answer.u, jnp.nan)
    both = u[: cols // 2], u[cols // 2 :] * size[:, None, None]
    word = [running_sum(problem.g * v, WORD, reverse=True) for v in both]
    bit = [running_sum(problem.g * v, BIT) for v in both]
    sums = [jnp.einsum("pij,pij->ij", *pair) for pair in (both, word, bit)]
    return Slopes(sums[0], -sums[1], -sums[2])
