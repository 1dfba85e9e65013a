"""The elimination of an array column by column, from the open end to the source; for any drop.

Looking right from the word-line nodes of column j, the array is a mesh of conductances `Y_j` with
sources: the row currents that arrive at column j are ``I_j = Y_j w_j + h_j``, where `w_j` are the
word-line node voltages. With `S_j` column j seen from its own word-line nodes
(`xbar.solvers.sweep.bit_line`), `e_j` the drives of its cells and `D_j` the diagonal of the
word-line segments left of it (`D_0` with the sources), and starting from nothing at the open end,

    Y_j = S_j + G_{j+1}           P_j = (I + D_j Y_j)^-1           G_j = Y_j P_j
    h_j = S_j e_j + p_{j+1}       p_j = P_j^T h_j

`G_j` and `p_j` are the same mesh and sources seen from left of the segments; `G` and `P` come from
`xbar.solvers.sweep.star_mesh`, without a subtraction. Walking back from the sources, where
``w_{-1} = 0``,

    w_j = P_j w_{j-1} - D_j p_j

and the cell voltages of column j are ``C_j (w_j + e_j)``.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from xbar.solvers.base import Problem, Transfer
from xbar.solvers.lines import product
from xbar.solvers.sweep.bit_line import BitLine, bit_lines, mutual_impedance
from xbar.solvers.sweep.star_mesh import through_segments

Squares = Float[Array, "cols rows rows"]
Mesh = Float[Array, "rows rows_1"]
Lines = Float[Array, "cols rows"]
Drives = Float[Array, "cols rows n"]
Nodes = Float[Array, "rows n"]


class Sweep(NamedTuple):
    """Per column, from the driven end."""

    line: BitLine
    mutual: Squares  # K of each bit line, without its diagonal [ohm]
    passage: Squares  # P_j
    segment: Lines  # diagonal of D_j [ohm]


class Column(NamedTuple):
    """What the elimination takes: bit lines by themselves, and the segments left of them."""

    line: BitLine
    segment: Lines


def columns_of(problem: Problem) -> Column:
    """Every column of an array, from the driven end."""
    word, bit = problem.segments()
    return Column(bit_lines(problem.g.T, bit.T), word.T)


def nothing(rows: int, dtype: jnp.dtype) -> Mesh:
    """The mesh at the open end: no conductance between nodes, none to ground (the last column)."""
    return jnp.zeros((rows, rows + 1), dtype)


def factored(columns: Column, behind: Mesh) -> tuple[Sweep, Mesh]:
    """Eliminate some columns in front of a mesh; also returns the mesh that all of it is.

    Args:
        columns: one after the other, from the driven end.
        behind: the mesh right of the last of them; `nothing` at the open end.
    """
    rows = len(behind)
    unit = jnp.eye(rows, rows + 1, dtype=behind.dtype)
    mutual = mutual_impedance(columns.line)

    def step(behind: Mesh, inputs: tuple) -> tuple:
        (line, segment), mutual = inputs
        own = line.g[:, None] * mutual * line.g
        mesh = behind + jnp.concatenate([own, line.out[:, None]], axis=1)
        ahead, passage = through_segments(mesh, segment, unit)
        return ahead, passage[:, :rows]

    ahead, passage = lax.scan(step, behind, (columns, mutual), reverse=True)
    return Sweep(columns.line, mutual, passage, columns.segment), ahead


def swept(sweep: Sweep, drives: Drives) -> Drives:
    """Cell voltages for drives of the cells, both (cols, rows, n) [V]."""
    none = jnp.zeros_like(drives[0])
    return driven(sweep, drives, gathered(sweep, drives, none)[1], none)[1]


def gathered(sweep: Sweep, drives: Drives, behind: Nodes) -> tuple[Nodes, Drives]:
    """The sources `p_j` of each column and all behind it, for drives `e_j` of its cells.

    Args:
        sweep: the factors.
        drives: voltages in series with the cells (cols, rows, n) [V].
        behind: sources of what comes after the last of these columns (rows, n) [A].

    Returns:
        `p` of the first column, and of all.
    """

    def step(pushed: Array, inputs: tuple) -> tuple:
        (line, mutual, passage, _), drive = inputs
        drawn = line.g[:, None] * _alone(line, mutual, drive)
        pushed = product(passage.T, drawn + pushed)
        return pushed, pushed

    return lax.scan(step, behind, (sweep, drives), reverse=True)


def driven(
    sweep: Sweep, drives: Drives, pushed: Drives, word: Nodes, *, open_end: bool = True
) -> tuple[Nodes, Drives]:
    """Word-line voltages behind these columns, and their cell voltages.

    A cell's current ``g u`` is a difference of two currents, of which little is left where wires
    dominate. There it is taken as what the segment before it carries more than the one behind.

    Args:
        sweep: the factors.
        drives: voltages in series with the cells (cols, rows, n) [V].
        pushed: what was `gathered` of them [A].
        word: word-line voltages in front of the first of these columns (rows, n) [V].
        open_end: there is nothing behind the last of these columns.
    """

    def step(word: Array, inputs: tuple) -> tuple:
        (line, mutual, passage, segment), drive, pushed = inputs
        after = product(passage, word) - segment[:, None] * pushed
        carried = (word - after) / jnp.where(segment > 0, segment, 1)[:, None]
        return after, (_alone(line, mutual, after + drive), carried)

    after, (u, carried) = lax.scan(step, word, (sweep, drives, pushed))
    g, segment = sweep.line.g, sweep.segment
    errors = jnp.where(segment > 0, 1 / jnp.where(segment > 0, segment, 1), jnp.inf)
    onwards = jnp.concatenate([carried[1:], jnp.zeros_like(carried[:1])])
    last = jnp.full_like(errors[:1], 0 if open_end else jnp.inf)
    better = errors + jnp.concatenate([errors[1:], last]) < g
    by_wires = (carried - onwards) / jnp.where(g > 0, g, 1)[:, :, None]
    return after, jnp.where(better[:, :, None], by_wires, u)


def _alone(line: BitLine, mutual: Array, w: Nodes) -> Nodes:
    """Cell voltages ``C w`` of one bit line for word-line voltages."""
    return line.own[:, None] * w - product(mutual, line.g[:, None] * w)


def transfer_of(columns: Column) -> Transfer:
    """Transfer matrix: what is left between sources and outputs when all nodes are eliminated.

    Every number that enters is >= 0 and none is subtracted, so every entry of T is right to a few
    hundred roundings, relative to itself.
    """
    cols, rows = columns.segment.shape
    output = jnp.arange(cols)

    def step(mesh: Array, inputs: tuple) -> tuple:
        (line, segment), j = inputs
        own = line.g[:, None] * mutual_impedance(line) * line.g
        to_ground = line.out[:, None] * (output == j)
        mesh = mesh + jnp.concatenate([own, to_ground], axis=1)
        return through_segments(mesh, segment, mesh[:0])[0], None

    start = jnp.zeros((rows, rows + cols), columns.segment.dtype)
    mesh, _ = lax.scan(step, start, (columns, output), reverse=True)
    return mesh[:, rows:].T
