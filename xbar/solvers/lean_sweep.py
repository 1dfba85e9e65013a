"""The column sweep in little memory, for a repair that hardly ever runs.

What a repair takes is allocated with every solve, needed or not, and past 32 MiB the C library gets
all of a solve's memory anew from the system: 256x256 then takes 1.5 times as long, 128x128 1.6
times (benchmarks/log.md).

Of the two matrices per column that `xbar.solvers.column_sweep` keeps, one is made here from numbers
per node when needed. Where the other is still too much, it is kept for one block of columns alone,
with the admittance seen at the border of each block; every pass over the drives then eliminates
twice, once on the way to the source and once on the way back.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from xbar.solvers.base import Answer, Problem, Voltages
from xbar.solvers.batching import per_array
from xbar.solvers.bit_line import ThinColumns, thin_columns_of
from xbar.solvers.column_sweep import factor_bytes, one_pass, refined
from xbar.solvers.elimination import (
    ADMITTANCE_SHARE,
    Square,
    Sweep,
    driven,
    eliminated,
    factored,
    gathered,
)
from xbar.solvers.sweep_check import lying, voltages_from

# For what a repair keeps of all columns; with what else there is, a solve stays below 32 MiB.
MAX_IDLE_BYTES = 3 * 2**23

BlocksOfLines = Float[Array, "blocks width rows"]
BlocksOfDrives = Float[Array, "blocks width rows n"]


class Blocks(NamedTuple):
    """An array cut into blocks of columns, the last one filled up with open columns."""

    segment: BlocksOfLines  # word-line segments [ohm]
    column: ThinColumns

    def sweep(self, behind: Square, allowed: float) -> tuple[Sweep, Square]:
        """Factors of one block in front of an admittance, and both as one admittance [S]."""
        passage, ahead = eliminated(self.column, self.segment, allowed, behind)
        return Sweep(self.column, passage, self.segment), ahead


def is_worth_it(problem: Problem) -> bool:
    """Whether two matrices per column are too much."""
    return factor_bytes(problem) > MAX_IDLE_BYTES


def in_blocks(problem: Problem) -> bool:
    """Whether one matrix per column is too much, so that a repair takes long."""
    return factor_bytes(problem) / 2 > MAX_IDLE_BYTES


def cell_voltages(problem: Problem, e: Voltages, rtol: float) -> Answer:
    """As `ColumnSweep.cell_voltages`, in less memory.

    Args:
        problem: the array.
        e: drives (n, rows, cols) [V].
        rtol: bound on the error of every current, relative to the largest.
    """
    by = _by_blocks if in_blocks(problem) else _at_once
    return per_array(partial(by, rtol=rtol))(problem, e)


def _at_once(problem: Problem, e: Voltages, rtol: float) -> Answer:
    flat = lying(problem)
    sweep = factored(flat, rtol, thin=True)
    return refined(problem, flat, e, rtol, lambda e: one_pass(sweep, flat, e))


def _by_blocks(problem: Problem, e: Voltages, rtol: float) -> Answer:
    flat = lying(problem)
    cols = flat.g.shape[1]
    # One matrix for each column of a block and one for each block: least together.
    width = round(cols**0.5)
    word, bit = flat.segments()
    lines = word.T, thin_columns_of(flat.g.T, bit.T)
    blocks = Blocks(*jax.tree.map(partial(_cut, width=width), lines))
    allowed = ADMITTANCE_SHARE * rtol * width / cols

    def swept(e: Voltages) -> Voltages:
        i_cell = _pass(blocks, _cut(e.T, width), allowed)
        return voltages_from(flat, e, i_cell.reshape(-1, *i_cell.shape[2:])[:cols].T)

    return refined(problem, flat, e, rtol, swept, dear=True)


def _cut(by_columns: Array, width: int) -> Array:
    filled = [(0, -len(by_columns) % width)] + [(0, 0)] * (by_columns.ndim - 1)
    return jnp.pad(by_columns, filled).reshape(-1, width, *by_columns.shape[1:])


def _pass(blocks: Blocks, drives: BlocksOfDrives, allowed: float) -> BlocksOfDrives:
    """Cell currents: gather the sources leftwards block by block, then walk to the right."""

    def leftwards(carry: tuple, inputs: tuple) -> tuple:
        behind, sources = carry
        block, drive = inputs
        sweep, ahead = block.sweep(behind, allowed)
        pushed = gathered(sweep, drive, sources)
        return (ahead, pushed[0]), (behind, pushed)

    rows = blocks.segment.shape[-1]
    nothing = jnp.zeros((rows, rows), drives.dtype), jnp.zeros_like(drives[0, 0])
    _, (behind, pushed) = lax.scan(leftwards, nothing, (blocks, drives), reverse=True)

    def rightwards(word: Array, inputs: tuple) -> tuple:
        block, drive, behind, pushed = inputs
        return driven(block.sweep(behind, allowed)[0], drive, pushed, word)

    return lax.scan(rightwards, nothing[1], (blocks, drives, behind, pushed))[1]
