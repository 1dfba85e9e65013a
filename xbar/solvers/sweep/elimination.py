"""The elimination of an array column by column, from the open end to the source; for any drop.

Looking right from the word-line nodes of column j, the array is a mesh of conductances `Y_j` with
sources: the row currents that arrive at column j are ``I_j = Y_j w_j + h_j``, where `w_j` are the
word-line node voltages. With `S_j` column j seen from its own word-line nodes,
`e_j` the drives of its cells and `D_j` the diagonal of the word-line segments left of it (`D_0`
with the sources), and starting from nothing at the open end,

    Y_j = S_j + G_{j+1}           P_j = (I + D_j Y_j)^-1           G_j = Y_j P_j
    h_j = S_j e_j + p_{j+1}       p_j = P_j^T h_j

`G_j` and `p_j` are the same mesh and sources seen from left of the segments; `G` and `P` come
without a subtraction (below). Walking back from the sources, where
``w_{-1} = 0``,

    w_j = P_j w_{j-1} - D_j p_j

and the cell voltages of column j are ``C_j (w_j + e_j)``.

**Bit lines by themselves**, what each does to its cells and passes to its output, are written with
admittances and impedances that only add, so nothing cancels. For one bit line with
cells `g_i` and segments `r_i` below node i: admittance looking up ``a_i = y_i + g_i``, ``y_0 = 0``,
``y_{i+1} = a_i / (1 + r_i a_i)``; impedance looking down ``z_i = r_i + z_{i+1} / (1 + g_{i+1}
z_{i+1})``, ending in ``r + sense``. The impedance of node k is ``z_k / (1 + z_k a_k)``; a voltage
at node i+1 is divided by ``1 + r_i a_i`` on its way up to node i, so that a current into node k
raises node i <= k by

    K_ik = z_k / (1 + z_k a_k) prod_{m=i}^{k-1} 1 / (1 + r_m a_m)            symmetric

per ampere. With word-line nodes at `w`, cell voltages are ``C w`` and cell currents ``S w``,

    C_ik = -g_k K_ik        C_ii = 1 - g_i K_ii = (1 + z_i y_i) / (1 + z_i a_i)        S = diag(g) C

Of the current ``g_k w_k / (1 + z_k a_k)`` that leaves node k downwards, each cell further down
diverts its part; the output takes ``g_k c_k w_k`` with

    c_k = 1 / (1 + z_k a_k) prod_{m>k} 1 / (1 + g_m z_m)

which is also the voltage of cell k with the output, not the word line, pulled by 1 V. Seen from
its word-line nodes the bit line is a star-mesh of conductances: ``g_i K_ik g_k`` between nodes i
and k, and ``g_i c_i`` from node i to the output's ground.

**Nodes** are eliminated as in `xbar.solvers.sweep.nodes`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float

from xbar.solvers.base import Problem, Transfer
from xbar.solvers.lines import product
from xbar.solvers.sweep.nodes import Divisor, Parts, in_parts, through_segments

LineValues = Float[Array, "*cols rows"]
Squares = Float[Array, "*cols rows rows"]


class BitLine(NamedTuple):
    """Bit lines by themselves, one or an axis of them in front."""

    g: LineValues  # [S]
    own: LineValues  # C_ii
    reach: LineValues  # c
    node: LineValues  # K_ii [ohm]
    lost: LineValues  # per volt at this node, on the way up to it from the next node down [V]

    @property
    def out(self) -> LineValues:
        """Conductance from each word-line node to the output's ground [S]."""
        return self.g * self.reach


def bit_lines(g: LineValues, below: LineValues) -> BitLine:
    """Every bit line by itself.

    Args:
        g: conductances, a bit line per row (cols, rows) [S].
        below: resistance of the segment below each cell, sense included (cols, rows) [ohm].
    """

    def step(before: tuple, inputs: tuple) -> tuple:
        reached, passed = before
        more, across = inputs
        total = reached + more
        lost = across * total
        across_it = Divisor.of(lost)
        onwards = across_it(total)
        return (onwards, across_it(passed)), (total, lost, passed, onwards)

    # Admittances looking up, from the top, and impedances looking down, from the bottom, follow the
    # same law with the roles of g and r exchanged: one loop for both.
    more, across = jnp.stack([g.T, below.T[::-1]], 1), jnp.stack([below.T, g.T[::-1]], 1)
    start = jnp.zeros_like(more[0]), jnp.ones_like(more[0])
    total, lost, passed, onwards = lax.scan(step, start, (more, across))[1]
    a, z, passed = total[:, 0].T, total[::-1, 1].T, passed[::-1, 1].T
    above = jnp.concatenate([start[0][:1], onwards[:-1, 0]]).T  # y
    down = 1 / (1 + z * a)
    return BitLine(g, (1 + z * above) * down, passed * down, z * down, lost[:, 0].T)


def mutual_impedance(line: BitLine) -> Squares:
    """`K` without its diagonal [ohm], by products along the lines.

    Exponentials of differences of logarithms would take fewer steps, but lose as many digits as
    the attenuation of the whole line has, also between neighbours.
    """
    place = jnp.arange(line.g.shape[-1])

    def step(reached: Array, inputs: tuple) -> tuple:
        k, divisor, node = inputs
        # What a voltage of 1 V at node k raises the nodes above it to.
        reached = jnp.where(place < k, divisor(reached), 0)
        return jnp.where(place == k, 1, reached), reached * node[..., None]

    lost, node = (jnp.moveaxis(x, -1, 0) for x in (jnp.roll(line.lost, 1, axis=-1), line.node))
    along = jax.tree.map(lambda x: x[..., None], Divisor.of(lost)), node
    above = jnp.moveaxis(lax.scan(step, jnp.zeros_like(line.g), (place, *along))[1], 0, -2)
    return above + jnp.swapaxes(above, -1, -2)


class Chains(NamedTuple):
    """Every bit line by itself: ``S_ii = own_i``, ``S_ik = -upper_i lower_k`` for i < k."""

    own: LineValues  # [S]
    out: LineValues  # g c: output current [A] per volt on each word-line node
    upper: LineValues  # [S]
    lower: LineValues  # 1


def chains_of(line: BitLine) -> Chains:
    """Admittances in numbers per node; for lines that are not too long.

    Not finite where the products along a line leave the range of numbers.
    """
    length = _length(line)
    down = line.node * jnp.exp(-length)
    return Chains(line.g * line.own, line.out, line.g * jnp.exp(length), line.g * down)


def short_mutual_impedance(line: BitLine) -> Squares:
    """As `mutual_impedance`, with few exponentials; for lines that are not too long."""
    length = _length(line)
    up, down = jnp.exp(length), line.node * jnp.exp(-length)
    i, k = jnp.arange(up.shape[-1])[:, None], jnp.arange(up.shape[-1])
    above, below = up[:, :, None] * down[:, None, :], down[:, :, None] * up[:, None, :]
    return jnp.where(i == k, 0, jnp.where(i < k, above, below))


def _length(line: BitLine) -> LineValues:
    """Logarithm of the voltage lost from each node up to the first."""
    return sum_before(jnp.log1p(line.lost))


def sum_before(x: LineValues, *, turned: bool = False) -> LineValues:
    """Sum of what lies before each place along the last axis, or behind it."""
    # A product with a constant matrix: `jnp.cumsum` is several pieces of code to compile.
    before = np.triu(np.ones((x.shape[-1], x.shape[-1]), x.dtype), 1)
    return product(x, before.T if turned else before)


Mesh = Float[Array, "rows rows_1"]
Lines = Float[Array, "cols rows"]
Drives = Float[Array, "cols rows n"]
Nodes = Float[Array, "rows n"]


class Sweep(NamedTuple):
    """Per column, from the driven end."""

    line: BitLine
    mutual: Squares | None  # K of each bit line, without its diagonal [ohm]; None: made when needed
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


def factored(columns: Column, mutual: Squares | None, behind: Mesh) -> tuple[Sweep, Mesh]:
    """Eliminate some columns in front of a mesh; also returns the mesh that all of it is.

    Args:
        columns: one after the other, from the driven end.
        mutual: as in `Sweep`.
        behind: the mesh right of the last of them; `nothing` at the open end.
    """
    # What these factors find is refined.
    passage, ahead = passages(columns, mutual, behind, 1.0)
    return Sweep(columns.line, mutual, passage.high, columns.segment), ahead


def passages(
    columns: Column, mutual: Squares | None, behind: Mesh, rtol: float
) -> tuple[Parts, Mesh]:
    """`Sweep.passage` by parts of which the upper is diagonal, and the mesh in front.

    Args:
        columns: as for `factored`.
        mutual: as in `Sweep`.
        behind: as for `factored`.
        rtol: what the passages together may be wrong by.
    """
    rows = len(behind)
    unit = jnp.eye(rows, rows + 1, dtype=behind.dtype)

    def step(behind: Parts, inputs: tuple) -> tuple:
        (line, segment), mutual = inputs
        own = line.g[:, None] * _known(line, mutual) * line.g
        own = jnp.concatenate([own, line.out[:, None]], axis=1)
        ahead, passage = through_segments(behind.plus(own), segment, unit)
        return ahead, jax.tree.map(lambda x: x[:, :rows], passage)

    start = in_parts(behind, len(columns.segment), rtol)
    ahead, passage = lax.scan(step, start, (columns, mutual), reverse=True)
    return passage, ahead.high


def _known(line: BitLine, mutual: Array | None) -> Array:
    """The mutual impedances of one bit line."""
    return mutual_impedance(line) if mutual is None else mutual


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


def _alone(line: BitLine, mutual: Array | None, w: Nodes) -> Nodes:
    """Cell voltages ``C w`` of one bit line for word-line voltages."""
    return line.own[:, None] * w - product(_known(line, mutual), line.g[:, None] * w)


def transfer_of(columns: Column, rtol: float) -> Transfer:
    """Transfer matrix: what is left between sources and outputs when all nodes are eliminated.

    Every number that enters is >= 0 and no digits are subtracted away, so every entry of T is right
    relative to itself: by as many roundings as `xbar.solvers.sweep.nodes.lost_in` says.

    Args:
        columns: of the whole array.
        rtol: bound on the error, relative to the largest entry.
    """
    cols, rows = columns.segment.shape
    output = jnp.arange(cols)

    def step(mesh: Parts, inputs: tuple) -> tuple:
        (line, segment), j = inputs
        own = line.g[:, None] * mutual_impedance(line) * line.g
        to_ground = line.out[:, None] * (output == j)
        own = jnp.concatenate([own, to_ground], axis=1)
        return through_segments(mesh.plus(own), segment, own[:0])[0], None

    start = in_parts(jnp.zeros((rows, rows + cols), columns.segment.dtype), cols, rtol)
    mesh, _ = lax.scan(step, start, (columns, output), reverse=True)
    return mesh.high[:, rows:].T
