"""What every single broken segment or bridge of an array would do, exactly, from what is known.

A broken segment is a series source in it that takes the value at which its current is 0. With `n`
the cells that the source drives (those beyond the segment, seen from the line's driver), `c` the
segment's current as it was, and u, l and K as in `xbar.sensitivity.response`,

    i_out' = i_out - o c / Y       o = n^T g l        Y = n^T (g - g K g) n

where `o` is what 1 V of the source sends to the outputs and `Y` what it draws itself: a change of
rank one, whose effect on a network's data set `segment_faults` gives. Where nearly all of that has
to flow through the rest of the array (``Y / n^T g n`` near 0), the rounding of K may pass the
tolerance, and the result is NaN: such a fault has to be solved anew.

Likewise a bridge of resistance R takes the current ``t = w / (R + Z)``, with `w` the voltage across
it as it was and `Z` the resistance that the array has between its two nodes, and changes the
outputs by t times what 1 A through it would.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from xbar.batch import batch_map
from xbar.checks import as_real, check_kind
from xbar.circuit import Bridge, Crossbar, LineFaults
from xbar.nn.layer import layer_index
from xbar.programs import program
from xbar.sensitivity.baseline import (
    MEMORY,
    Baseline,
    FaultMap,
    members_at_once,
    onwards,
    scores_of,
)
from xbar.sensitivity.inputs import Criterion, loss_of
from xbar.sensitivity.response import Response, response
from xbar.sensitivity.update import is_safe
from xbar.solve import legal_problem, solve
from xbar.solvers import AbstractSolver, Auto
from xbar.solvers.base import Problem
from xbar.solvers.lines import BIT, WORD, running_sum


class OpenSegments(NamedTuple):
    """Output currents with each single segment broken.

    Args:
        word: with the segment left of cell (i, j) broken, (rows, cols, outputs) or with n last [A].
        bit: with the segment below cell (i, j) broken, the same.
    """

    word: Float[Array, "rows cols outputs *n"]
    bit: Float[Array, "rows cols outputs *n"]


class SegmentFaults(NamedTuple):
    """What each single broken segment of a layer leaves of a network.

    Args:
        word: with the segment left of cell (i, j) broken, (rows, cols) each.
        bit: with the segment below cell (i, j) broken, the same.
    """

    word: FaultMap
    bit: FaultMap


def every_open_segment(
    array: Crossbar, v_in: Any, *, known: Response | None = None
) -> OpenSegments:
    """Output currents of an array with each one of its segments broken, one at a time.

    Costs about as much as five transfer matrices, however many segments there are.

    Args:
        array: the circuit, with near drivers alone and no line faults.
        v_in: driver voltages (rows,) or (rows, n) [V].
        known: `response(array)`, where it is found already.

    Returns:
        The currents; NaN where rounding may pass the tolerance, and where the array's response
        failed inside `jit`.

    Raises:
        TypeError, ValueError, RuntimeError: as `response`, or inputs that do not fit.
    """
    check_kind("array", array, Crossbar, "xbar.Crossbar")
    v = as_real("v_in", v_in)
    if v.ndim not in (1, 2) or v.shape[0] != array.rows:
        raise ValueError(f"v_in: got shape {v.shape}, needs (rows,) or (rows, n) of {array.rows}")
    known = response(array) if known is None else known
    found = _every_open_segment(known, v.reshape(len(v), -1))
    return OpenSegments(*(x[..., 0] for x in found)) if v.ndim == 1 else found


@program()
def _every_open_segment(known: Response, v: Float[Array, "rows n"]) -> OpenSegments:
    i_out, out = known.t @ v, []
    for axis in (WORD, BIT):
        taken, sent = _beyond(known, axis)
        share = jnp.einsum("kn,kij->nij", v, taken)
        lost = jnp.einsum("oij,nij->ijon", sent, share) + _vanishing(known, v, axis)
        out.append(i_out - lost)
    return OpenSegments(*out)


def _beyond(known: Response, axis: int) -> tuple[Array, Array]:
    """What opens each segment, and where it goes.

    Returns:
        The source's voltage ``c / Y`` for 1 V on each row, (rows, rows, cols), NaN where rounding
        may pass the tolerance; and what 1 V of it sends to each output, (cols, rows, cols) [S].
    """
    # Beyond a segment: to the right of it, or above it.
    beyond = partial(running_sum, axis=axis, reverse=axis == WORD)
    y, most = _drawn(known, axis), beyond(known.g)
    # Where nothing conducts beyond it, nothing flows through it.
    idle = most == 0
    pivot = jnp.where(idle, 1, y / jnp.where(idle, 1, most))
    y = jnp.where(is_safe(pivot) & (pivot > 0), jnp.where(idle, 1, y), jnp.nan)
    return beyond(known.g * known.u) / y, beyond(known.g * known.l)


def _vanishing(known: Response, v: Float[Array, "rows n"], axis: int) -> Array:
    """0, with what a first cell beyond each segment would carry as derivative; (i, j, o, n).

    Where nothing conducts there yet: `_beyond` has a product of two numbers that vanish. Broken off
    from its driver, a cell that closes alone carries nothing.
    """
    beyond = partial(running_sum, axis=axis, reverse=axis == WORD)
    each = jnp.einsum("kn,kij,oij->onij", v, known.u, known.g * known.l)
    carried = jnp.where(beyond(known.g) == 0, beyond(each), 0)
    return jnp.moveaxis(carried, (0, 1), (2, 3))


def _drawn(known: Response, axis: int) -> Float[Array, "rows cols"]:
    """`Y` of every segment: sums over the cells beyond it, among those of its line."""
    g = known.g if axis == WORD else known.g.T
    k = known.k_rows if axis == WORD else known.k_cols
    own = jnp.eye(g.shape[1], dtype=g.dtype) * g[:, :, None] - g[:, :, None] * k * g[:, None, :]
    reverse = axis == WORD
    among = running_sum(running_sum(own, WORD, reverse=reverse), BIT, reverse=reverse)
    y = jnp.diagonal(among, axis1=1, axis2=2)
    return y if axis == WORD else y.T


def segment_faults(
    base: Baseline, layer: int, loss: Criterion = "cross_entropy", *, memory: int = MEMORY
) -> SegmentFaults:
    """Loss and accuracy of a network with each single segment of a layer's lines broken, exactly.

    ```python
    base = sens.baseline(net, x, labels)
    harm = sens.segment_faults(base, 0).word.loss - base.scores().loss  # (rows, cols)
    ```

    Args:
        base: the baseline.
        layer: index of the layer.
        loss: "cross_entropy", "margin", or a function of voltages (n, classes) [V] and labels.
        memory: bytes that temporary arrays may take, about; at least one fault at a time.

    Returns:
        (rows, cols) each; NaN where rounding may pass the tolerance. Derivatives with respect to
            open cells lack what a first cell beyond a segment would carry, where no other conducts
            there (`every_open_segment` has it).

    Raises:
        TypeError: `base` is no `Baseline`.
        ValueError: no such layer or loss.
    """
    check_kind("base", base, Baseline, "what baseline() returns")
    loss_of(loss, base.net)
    return _segment_faults(base, layer_index(layer, len(base.stages)), loss, memory)


@program(static_argnames=("layer", "loss", "memory"))
def _segment_faults(base: Baseline, layer: int, loss: Criterion, memory: int) -> SegmentFaults:
    arrays, chunk = base.arrays(layer), members_at_once(base, layer, memory)
    lost = -jnp.ones((1, 1), arrays.answers.g.dtype)

    def of_array(number: Any) -> FaultMap:
        both = [_beyond(arrays.one(number), axis) for axis in (WORD, BIT)]
        batch = [
            jnp.concatenate([x.reshape(len(x), -1).T for x in xs]) for xs in zip(*both, strict=True)
        ]

        def one(fault: list[Array]) -> FaultMap:
            taken, sent = fault
            moved = arrays.moved(number, taken[:, None], sent[:, None], lost)
            return scores_of(base, onwards(base, layer, arrays.added(number, moved)), loss)

        found = batch_map(one, batch, chunk=chunk)
        return jax.tree.map(lambda x: x.reshape(2, *arrays.answers.g.shape[1:]), found)

    found = arrays.each(of_array)
    return SegmentFaults(
        *(jax.tree.map(lambda x, k=k: arrays.whole(x[:, k]), found) for k in (0, 1))
    )


def every_bridge(
    array: Crossbar,
    v_in: Any,
    bridges: Sequence[Bridge],
    *,
    solver: AbstractSolver | None = None,
) -> Float[Array, "bridges outputs *n"]:
    """Output currents of an array with each one of some bridges, one at a time.

    Costs one solution of the array for each bridge, from one factorization.

    Args:
        array: the circuit, with near drivers alone and no line faults.
        v_in: driver voltages (rows,) or (rows, n) [V].
        bridges: any number of them, between nodes of any kinds.
        solver: of the array; `Auto()` by default.

    Returns:
        The currents into the amplifiers [A]; NaN for a bridge of 0 ohm between two drivers.

    Raises:
        TypeError, ValueError, RuntimeError: as `xbar.solve`, or no bridge, or one that does not
            fit the array.
    """
    bridges = tuple(bridges)
    if not bridges:
        raise ValueError("bridges: got none, needs at least one")
    LineFaults(bridges=bridges).check(array.rows, array.cols)
    before = solve(array, v_in, solver)
    v_word, v_bit, i_out = (
        x[..., None] if jnp.ndim(v_in) == 1 else x
        for x in (before.v_word, before.v_bit, before.i_out)
    )
    places = jnp.array([[[kind == "bit", i, j] for kind, i, j in b.ends] for b in bridges], int)
    ohms = jnp.stack([b.r for b in bridges]).astype(i_out.dtype)
    problem, _ = legal_problem(array, i_out.dtype)
    solver = Auto() if solver is None else solver
    found = _every_bridge(solver, problem, v_word, v_bit, i_out, places, ohms)
    return found[..., 0] if jnp.ndim(v_in) == 1 else found


@program(static_argnums=0)
def _every_bridge(
    solver: AbstractSolver,
    problem: Problem,
    v_word: Array,
    v_bit: Array,
    i_out: Array,
    places: Array,
    ohms: Array,
) -> Array:
    state = solver.factor(problem)
    shape, dtype = problem.g.shape, problem.g.dtype

    def one(inputs: tuple[Array, Array]) -> Array:
        nodes, r = inputs
        word, bit = jnp.zeros(shape, dtype), jnp.zeros(shape, dtype)
        volts = jnp.zeros_like(i_out[0])
        for (is_bit, i, j), sign in zip(nodes, (1.0, -1.0), strict=True):
            # Drawn from word-line nodes, given to bit-line nodes.
            word = word.at[i, j].add(jnp.where(is_bit, 0, sign))
            bit = bit.at[i, j].add(jnp.where(is_bit, -sign, 0))
            volts = volts + sign * jnp.where(is_bit, v_bit[i, j], v_word[i, j])
        lost = problem.drop.word(word), problem.drop.bit(bit)
        u = solver.cell_voltages(state, problem, -(lost[0] + lost[1])[None]).u[0]
        i_cell = problem.g * u
        # Voltage that 1 A through the bridge takes from across it.
        own = jnp.sum(word * lost[0]) + jnp.sum(bit * lost[1])
        z = own + jnp.sum(i_cell * (lost[0] + lost[1]))
        # A node bridged to itself carries nothing, whatever the resistance.
        apart = jnp.any(nodes[0] != nodes[1])
        t = jnp.where(apart, volts / jnp.where(apart, r + z, 1), 0)
        sent = jnp.sum(i_cell, axis=0) + jnp.sum(bit, axis=0)
        return i_out + sent[:, None] * t

    return lax.map(one, (places, ohms))
