"""Gradient of a loss with respect to every cell, wire segment and amplifier of a network.

By JAX, through the one forward pass and the derivative rule of the transfer matrix
(`xbar.solvers`): whatever the readout is, however many inputs. An amplifier has two numbers that
matter, its gain R_f / (1 + a) and its input resistance R_f a / (1 + a), with a = 1/A, A the
open-loop gain; so

    dL/dR_f = (dL/dgain + a dL/dr_in) / (1 + a)      dL/da = R_f (dL/dr_in - dL/dgain) / (1 + a)^2

which is finite for ideal amplifiers, too. r_in adds to the sense resistance: dL/dr_in is the sum of
those over the columns.

Derivatives by wire segments alone also follow from a baseline, `wire_slopes`. A segment that
carries the current J_u,k for 1 V on row k, and J_l,o for 1 V in series with column o, has by
reciprocity

    dT[o,k]/dr = -J_l,o J_u,k           dL/dr = -sum_ok D[o,k] J_l,o J_u,k        D = dL/dT

A word-line segment carries the currents of the cells behind it, a bit-line segment those above.
Where there is a baseline, this compiles in a tenth of the time of `gradients`.
"""

from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import flag, is_concrete
from xbar.devices.mapping import Pairs
from xbar.learn.mlp import accuracy
from xbar.nn import AbstractStep, Layer, Network, Readout, Transimpedance, forward
from xbar.programs import program
from xbar.sensitivity.arrays import Arrays, tiling_of
from xbar.sensitivity.baseline import Baseline, transfer_of
from xbar.sensitivity.inputs import Criterion, labelled, loss_of
from xbar.sensitivity.response import Response
from xbar.solvers import AbstractSolver


@final
class LayerGradient(eqx.Module):
    """Derivatives of the loss with respect to what one layer is made of.

    Args:
        g: of each cell, columns (+, -, +, -), (rows, cols) [loss/S].
        word_line: of the segment left of each cell, (rows, cols) [loss/ohm]; None if left out.
        bit_line: of the segment below each cell, (rows, cols) [loss/ohm]; None if left out.
        source: of each driver's resistance, (rows,) [loss/ohm]; of tiles (rows, C), as each column
            of tiles has drivers of its own.
        sense: of each sense resistance, (cols,) [loss/ohm]; of tiles (R, cols).
        r_f: of the feedback resistance, () or one per output, (outputs,) [loss/ohm]; None where the
            amplifiers are no `Transimpedance`.
        inverse_gain: of the amplifiers' 1/A, A the open-loop gain, () [loss]; at 0 for ideal ones;
            None as r_f.
    """

    g: Float[Array, "rows cols"]
    word_line: Float[Array, "rows cols"] | None
    bit_line: Float[Array, "rows cols"] | None
    source: Float[Array, "rows *C"]
    sense: Float[Array, "*R cols"]
    r_f: Float[Array, "..."] | None
    inverse_gain: Float[Array, ""] | None


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
    loss: Criterion = "cross_entropy",
    *,
    segments: bool = True,
    solver: AbstractSolver | None = None,
    throw: bool = True,
) -> Gradients:
    """Derivative of a loss over a data set with respect to every circuit element.

    All layers at once, through the activations of the later ones; converters count as the identity
    within their range, noise as 0. Works under `jit` and `vmap`; for many networks,
    `xb.batch_map(lambda net: gradients(net, x, labels), nets)`.

    Args:
        net: the network, healthy or defective.
        x: inputs in the software network's unit, (n, inputs).
        labels: the class of each, (n,).
        loss: "cross_entropy", "margin", or a function of voltages (n, classes) [V] and labels,
            returning (); compiled once per function object.
        segments: whether to find those of the segments of the lines.
        solver: of the arrays; None for the default.
        throw: raise where something missed its tolerance; inside `jit` the numbers are NaN.

    Returns:
        The loss, the accuracy and the derivatives.

    Raises:
        ValueError: shapes or labels that do not fit, or an unknown loss.
        RuntimeError: (with `throw`) a result that is not finite.
    """
    x, labels = labelled(net, x, labels)
    loss_of(loss, net)
    segments = flag("segments", segments)
    found, sound = _gradients(net, x, labels, loss, segments, solver)
    if flag("throw", throw) and is_concrete(sound) and not sound:
        raise RuntimeError(
            "gradients: a transfer matrix or its derivative missed its tolerance, or the loss is "
            "not finite; try solver=xbar.CG()"
        )
    return found


@final
class _Scaled(AbstractStep):
    """Amplifier voltages times a factor of 1, for the derivative with respect to the gain."""

    factor: Array

    @property
    def linear(self) -> bool:
        """Yes."""
        return True

    def volts(self, x: Array, key: PRNGKeyArray | None = None) -> Array:
        """Times the factor of the column's pair."""
        return x * jnp.repeat(self.factor, 2)


class _Elements(eqx.Module):
    """What derivatives are taken with respect to, each of its own size; tiles have own wires."""

    g: Array
    segments: tuple[Array, Array]
    source: Array
    sense: Array
    factor: Array  # of each pair's gain


@program(static_argnames=("loss", "segments", "solver"))
def _gradients(
    net: Network,
    x: Array,
    labels: Array,
    loss: Criterion,
    segments: bool,
    solver: AbstractSolver | None,
) -> tuple[Gradients, Array]:
    net = net.without_noise()
    parts = [_elements(layer) for layer in net.layers]
    every = jax.tree.map(lambda _: True, parts[0])
    asked = eqx.tree_at(lambda p: p.segments, every, (segments, segments))
    chosen, fixed = eqx.partition(parts, [asked] * len(parts))

    def of(chosen: list[_Elements]) -> tuple[Array, Array]:
        made = zip(net.layers, eqx.combine(chosen, fixed), strict=True)
        layers = [_with(layer, part) for layer, part in made]
        arrays = [layer.circuit().answers(solver) for layer in layers]
        v = forward(layers, arrays, net.input_volts(x))[-1].v_out
        return loss_of(loss, net)(v, labels), v

    (value, voltages), slopes = jax.value_and_grad(of, has_aux=True)(chosen)
    slopes = jax.tree.map(lambda slope: jnp.where(jnp.isfinite(value), slope, jnp.nan), slopes)
    layers = tuple(_whole(*part) for part in zip(net.layers, slopes, strict=True))
    found = Gradients(value, accuracy(voltages, labels), layers)
    sound = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(found)]
    return found, jnp.all(jnp.stack(sound))


def _elements(layer: Layer) -> _Elements:
    g, wires, tiling = layer.pairs.interleave(), layer.wires, tiling_of(layer)
    lead = () if layer.tiling is None else tiling.grid(layer.pairs.shape)
    rows, cols = (*lead, tiling.rows), (*lead, tiling.cols)
    cells = *rows, tiling.cols
    lines = jnp.broadcast_to(wires.word_line, cells), jnp.broadcast_to(wires.bit_line, cells)
    source, sense = jnp.broadcast_to(wires.source, rows), jnp.broadcast_to(wires.sense, cols)
    return _Elements(g, lines, source, sense, jnp.ones(g.shape[1] // 2, g.dtype))


def _with(layer: Layer, part: _Elements) -> Layer:
    """The layer with elements in it."""
    first, *rest = layer.readout.steps
    readout = Readout.of([first, _Scaled(part.factor), *rest])
    pairs = Pairs(part.g[:, 0::2], part.g[:, 1::2])
    lines = (*part.segments, part.source, part.sense)
    where = lambda w: (w.word_line, w.bit_line, w.source, w.sense)  # noqa: E731
    wires = eqx.tree_at(where, layer.wires, lines)
    return eqx.tree_at(lambda a: (a.pairs, a.wires, a.readout), layer, (pairs, wires, readout))


def _whole(layer: Layer, slopes: _Elements) -> LayerGradient:
    """With the amplifiers."""
    found = _in_places(layer, slopes)
    sense = found[-1]
    amplifier = layer.readout.amplifier
    if not isinstance(amplifier, Transimpedance):
        return LayerGradient(*found, None, None)
    r_f, a = amplifier.r_f, 1 / amplifier.open_loop_gain
    by_gain = slopes.factor / amplifier.gain  # of each output
    by_column = sense if sense.ndim == 1 else sense.sum(0)  # tiles share a column's amplifier
    by_r_in = by_column[0::2] + by_column[1::2]
    by_r_f = (by_gain + a * by_r_in) / (1 + a)
    by_a = jnp.sum(r_f * (by_r_in - by_gain) / (1 + a) ** 2)
    return LayerGradient(*found, by_r_f if r_f.ndim else jnp.sum(by_r_f), by_a)


def _in_places(
    layer: Layer, slopes: _Elements
) -> tuple[Array, Array | None, Array | None, Array, Array]:
    """Of cells, segments, drivers and sense resistances, those of tiles where these are."""
    if layer.tiling is None:
        return slopes.g, *slopes.segments, slopes.source, slopes.sense
    tiling, pairs = layer.tiling, layer.pairs.shape
    word, bit = (None if x is None else tiling.in_layer(x, pairs) for x in slopes.segments)
    source = tiling.in_layer(slopes.source[..., None], pairs)
    sense = tiling.in_layer(slopes.sense[:, :, None], pairs)
    return slopes.g, word, bit, source, sense


class WireSlopes(NamedTuple):
    """Derivatives by the segments of one layer.

    Args:
        word_line: segment left of each cell, (rows, cols) [loss/ohm]; of tiles, all of theirs.
        bit_line: segment below each cell, (rows, cols) [loss/ohm].
    """

    word_line: Float[Array, "rows cols"]
    bit_line: Float[Array, "rows cols"]


def wire_slopes(base: Baseline, loss: Criterion = "cross_entropy") -> tuple[WireSlopes, ...]:
    """Derivative of the loss by every word-line and bit-line segment of every layer.

    Args:
        base: the baseline.
        loss: "cross_entropy", "margin", or a function of voltages (n, classes) [V] and labels.

    Returns:
        One for each layer.

    Raises:
        ValueError: no such loss.
    """
    loss_of(loss, base.net)
    return _wire_slopes(base, loss)


@program(eqx.filter_jit)
def _wire_slopes(base: Baseline, loss: Criterion) -> tuple[WireSlopes, ...]:
    layers = [layer.without_noise() for layer in base.net.layers]

    def judged(transfers: list[Array]) -> Array:
        known = zip(layers, transfers, strict=True)
        arrays = [layer.circuit().prepared(t) for layer, t in known]
        v = forward(layers, arrays, base.v_in[0][:, :-1])[-1].v_out
        return loss_of(loss, base.net)(v, base.labels)

    known = zip(layers, base.responses, strict=True)
    slopes = jax.grad(judged)([transfer_of(layer, answers) for layer, answers in known])
    return tuple(_of_layer(base.arrays(number), slope) for number, slope in enumerate(slopes))


def _of_layer(arrays: Arrays, slope: Float[Array, "columns rows"]) -> WireSlopes:
    cut = jnp.swapaxes(arrays.cut(slope.T), 1, 2)
    found = arrays.each(lambda number, own: _of_array(arrays.one(number), own), cut)
    return WireSlopes(*map(arrays.whole, found))


def _of_array(response: Response, slope: Float[Array, "cols rows"]) -> WireSlopes:
    def carried(cells: Float[Array, "n rows cols"]) -> tuple[Array, Array]:
        """Currents of word-line and bit-line segments, (n, rows, cols) [A]."""
        i = response.g * cells
        return jnp.cumsum(i[..., ::-1], axis=2)[..., ::-1], jnp.cumsum(i, axis=1)

    pairs = zip(carried(response.u), carried(response.l), strict=True)
    return WireSlopes(*(-jnp.einsum("ok,oij,kij->ij", slope, j_l, j_u) for j_u, j_l in pairs))
