"""Derivatives of the loss by every wire segment, from a baseline: nothing is solved for them.

A segment that carries the current J_u,k for 1 V on row k, and J_l,o for 1 V in series with column
o, has by reciprocity

    dT[o,k]/dr = -J_l,o J_u,k           dL/dr = -sum_ok D[o,k] J_l,o J_u,k        D = dL/dT

A word-line segment carries the currents of the cells behind it, a bit-line segment those above.
`gradients` has the same without a baseline, and those of cells, amplifiers and drivers; where there
is a baseline, this compiles in a tenth of its time.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from xbar.nn import forward
from xbar.programs import program
from xbar.sensitivity.arrays import Arrays
from xbar.sensitivity.baseline import Baseline, transfer_of
from xbar.sensitivity.losses import Criterion, loss_of
from xbar.sensitivity.response import Response


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
