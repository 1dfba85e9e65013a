"""Cell and node voltages by the elimination, refined until currents and voltages are right.

The elimination itself loses no digits, but a cell's voltage is the difference of two node voltages,
and may be a millionth of either where wires dominate. So what is left of the cell equation is swept
again, by sums without rounding (`xbar.solvers.unrounded`). Each sweep takes away all but a few
roundings times ``1 + g r``, so that any legal circuit gets there in a few.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Int

from xbar.solvers.base import (
    Answer,
    Drives,
    Left,
    Problem,
    Voltages,
    relative_change,
    within,
)
from xbar.solvers.sweep.elimination import (
    Column,
    Sweep,
    columns_of,
    driven,
    factored,
    gathered,
    mutual_impedance,
    nothing,
    swept,
)
from xbar.solvers.unrounded import Wide, left_in_full, plus

# Sweeps after which what is still not right is marked. In float32, 1 S behind 1 Mohm takes about
# ten; random legal circuits never took more than half of this (tests).
MAX_SWEEPS = 25
# From this sweep on the upper part of the cell voltages stays as it is, so that the roundings of
# their products with the conductances do, too.
SETTLED = 3
# What a solve reserves beyond 32 MiB is mapped anew by the C library at each call
# (benchmarks/log.md). Factors of more than so many bytes are found anew for each block of columns,
MAX_BYTES = 3 * 2**23
# mutual impedances of more, which take twice that while they are made, for each column.
MUTUAL_BYTES = 2**23


def prepared(problem: Problem) -> Sweep | Column:
    """What all drives of an array share: its factors, or blocks of its columns to find them from.

    Args:
        problem: an array that has at least as many columns as rows.
    """
    columns, (rows, cols) = columns_of(problem), problem.g.shape
    one_each = cols * rows**2 * problem.g.dtype.itemsize
    if one_each <= MAX_BYTES:
        mutual = mutual_impedance(columns.line) if one_each <= MUTUAL_BYTES else None
        return factored(columns, mutual, nothing(rows, problem.g.dtype))[0]
    # One matrix for each column of a block and one for each block: least together.
    width = round(cols**0.5)
    return jax.tree.map(partial(_cut, width=width), columns)


def cell_voltages(state: Sweep | Column, problem: Problem, e: Drives, rtol: float) -> Answer:
    """Cell voltages of an array that has at least as many columns as rows.

    Args:
        state: what was `prepared` of the array.
        problem: the array.
        e: drives (n, rows, cols), or those of the ends of lines, (n, rows, 1) or (n, 1, cols) [V].
        rtol: bound on the errors, relative to the largest current and drive.
    """

    def improve(it: Iterate) -> Iterate:
        return improved(problem, e, it, _swept(state, it.left.residual), rtol)

    def unfinished(it: Iterate) -> Bool[Array, ""]:
        return ~jnp.all(it.ok) & (jnp.max(it.sweeps) < MAX_SWEEPS)

    return answer_of(lax.while_loop(unfinished, improve, start_of(problem, e)))


class Iterate(NamedTuple):
    """Cell voltages on their way to the tolerance."""

    u: Wide
    left: Left
    ok: Bool[Array, " n"]
    sweeps: Int[Array, " n"]


def start_of(problem: Problem, e: Drives) -> Iterate:
    """Cell voltages of zero, of which the drives are left."""
    n = len(e)
    none = jnp.zeros((n, *problem.g.shape), e.dtype)
    left = Left(none, none, e + none, none, none[:, 0, 0])
    return Iterate(Wide(none, none), left, jnp.zeros(n, bool), jnp.zeros(n, int))


def improved(problem: Problem, e: Drives, it: Iterate, du: Voltages, rtol: float) -> Iterate:
    """Cell voltages after a change, and whether they are right.

    Args:
        problem: the array.
        e: drives [V].
        it: the cell voltages before.
        du: what a direct solve finds for what they leave of the cell equation [V].
        rtol: bound on the errors, relative to the largest current and drive.
    """
    u, low = plus(it.u, du), it.u.low + du
    settled = it.sweeps.max() >= SETTLED
    u = Wide(jnp.where(settled, it.u.high, u.high), jnp.where(settled, low, u.low))
    left = left_in_full(problem, e, u)
    # The bound takes no account of what wires keep from flowing. What one more sweep changes is
    # nearly all of the error that there was, if what is left is small as well.
    same = _unmoved(it.left, left, e, rtol) & (relative_change(problem.g, u.high, du) <= rtol)
    ok = within(problem, e, u.high, left, rtol) | (same & (it.sweeps > 0))
    return Iterate(u, left, ok, it.sweeps + ~it.ok)


def answer_of(it: Iterate) -> Answer:
    """The last cell voltages, right or not."""
    return Answer(it.u.high + it.u.low, it.left.word, it.left.bit, it.ok, it.sweeps)


def _unmoved(before: Left, after: Left, e: Drives, rtol: float) -> Bool[Array, " n"]:
    """Whether node voltages have not changed by more than `rtol` of the largest drive, nor will."""
    word, bit = jnp.abs(after.word - before.word), jnp.abs(after.bit - before.bit)
    moved = jnp.max(jnp.maximum(word, bit), axis=(1, 2))
    moves = jnp.sqrt(jnp.sum(after.residual**2, axis=(1, 2)))
    return jnp.maximum(moved, moves) <= rtol * jnp.max(jnp.abs(e), axis=(1, 2))


def _swept(state: Sweep | Column, e: Voltages) -> Voltages:
    if isinstance(state, Sweep):
        return swept(state, e.T).T
    return _swept_by_blocks(state, e)


def _cut(by_columns: Array, width: int) -> Array:
    """Blocks of columns, the last one filled up with open cells."""
    filled = [(0, -len(by_columns) % width)] + [(0, 0)] * (by_columns.ndim - 1)
    return jnp.pad(by_columns, filled).reshape(-1, width, *by_columns.shape[1:])


def _swept_by_blocks(blocks: Column, e: Voltages) -> Voltages:
    """Gather block by block, keeping the mesh at each border, then eliminate again and drive."""
    _, rows, cols = e.shape
    drives = _cut(e.T, blocks.segment.shape[1])
    none = jnp.zeros_like(drives[0, 0])

    def leftwards(carry: tuple, inputs: tuple) -> tuple:
        behind, sources = carry
        block, drive = inputs
        sweep, ahead = factored(block, None, behind)
        first, pushed = gathered(sweep, drive, sources)
        return (ahead, first), (behind, pushed)

    start = nothing(rows, e.dtype), none
    _, (behind, pushed) = lax.scan(leftwards, start, (blocks, drives), reverse=True)

    def rightwards(word: Array, inputs: tuple) -> tuple:
        block, drive, behind, pushed = inputs
        return driven(factored(block, None, behind)[0], drive, pushed, word, open_end=False)

    u = lax.scan(rightwards, none, (blocks, drives, behind, pushed))[1]
    return u.reshape(-1, *u.shape[2:])[:cols].T
