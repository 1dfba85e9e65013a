"""The change of a transfer matrix, from how the array answers its inputs.

With `u` the cell voltages for 1 V on each row, a change of conductances, of segments and of sense
resistances acts as a current past each cell (a parallel source); one of the sources, which carry
the currents `J` of whole rows and are not in `d_drop`, as a voltage in front of the first column:

    q = dg u - g d_drop(g u)         dw_{-1} = -d_source J

With the symbols of `xbar.solvers.sweep.elimination`, a bit line by itself draws ``C^T q`` from its
word-line nodes and passes ``c^T q`` to its output. Gathered towards the source and walked back,

    p_j = P_j^T (C_j^T q_j + p_{j+1})      dw_j = P_j dw_{j-1} - D_j p_j
    dT_j = out_j dw_j + c_j q_j

which is linear in `q` and `dw_{-1}`, so that JAX can transpose it for reverse mode. Each column
costs three products of matrices and one more for `u`, where differentiating the elimination would
take eight. What does not change is left out of the program, and little is kept that has a number
for each input and cell: what a call reserves beyond 32 MiB costs more than the products
(benchmarks/log.md).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from xbar.solvers.base import Problem, Transfer
from xbar.solvers.lines import WORD, product, running_sum
from xbar.solvers.sweep.elimination import Lines, columns_of, mutual_impedance, nothing, passages

CellVolts = Float[Array, "cols inputs rows"]


class ColumnAnswers(NamedTuple):
    """Per column from the driven end; ``P_j = diag(kept_j - lost_j) + change_j``."""

    kept: Lines  # 1 where P is near the unit matrix, so that its change keeps its digits
    change: Float[Array, "cols rows rows"]
    lost: Lines
    u: CellVolts  # cell voltages for 1 V on each row [V]
    beside: Float[Array, "cols rows rows"]  # C of the bit line by itself, less its diagonal
    own: Lines  # C = beside + diag(own)
    reach: Lines  # its c


def answers_of(problem: Problem, rtol: float) -> tuple[Transfer, ColumnAnswers]:
    """T and answers by the elimination, for any drop; in operations that JAX differentiates.

    Args:
        problem: an array that has at least as many columns as rows.
        rtol: bound on the error of T, relative to its largest entry.
    """
    rows, dtype = problem.g.shape[0], problem.g.dtype
    columns = columns_of(problem)
    line, mutual = columns.line, mutual_impedance(columns.line)
    passage, _ = passages(columns, mutual, nothing(rows, dtype), rtol)
    beside = -line.g[:, None, :] * mutual
    if passage.low is None:
        kept, change = jnp.zeros_like(line.g), passage.high
    else:
        kept, change = jnp.diagonal(passage.high, axis1=1, axis2=2), passage.low

    def walk(word: Array, inputs: tuple) -> tuple:
        kept, change, line, beside = inputs
        word = kept[:, None] * word + product(change, word)
        u = line.own[:, None] * word + product(beside, word)
        return word, (product(line.out, word), u.T)

    start = jnp.eye(rows, dtype=dtype)
    _, (matrix, u) = lax.scan(walk, start, (kept, change, line, beside))
    lost = jnp.zeros_like(line.g)
    return matrix, ColumnAnswers(kept, change, lost, u, beside, line.own, line.reach)


class WireChange(NamedTuple):
    """A change of wires [ohm], column by column; None where there is none."""

    word: Lines | None  # of the segment left of each cell, without the source
    bit: Lines | None  # of the segment below each cell, without the sense resistance
    source: Float[Array, " rows"] | None
    sense: Float[Array, " cols"] | None


def transfer_change(
    answers: ColumnAnswers, problem: Problem, matrix: Transfer, dg: Lines, wires: WireChange
) -> Transfer:
    """Change of T.

    Args:
        answers: to 1 V on each row.
        problem: the array they are of.
        matrix: its T.
        dg: change of the conductances [S].
        wires: change of the wires.
    """
    g, segment = problem.g.T, problem.segments()[0].T
    start, d_word = _along_word_lines(g, answers.u, wires)

    def gather(pushed: Array, inputs: tuple) -> tuple:
        (kept, change, lost, u, beside, own, reach), g, dg, d_word, d_below, d_sense, i_out = inputs
        # Made here and not before: whole arrays of q would be as many again as there are.
        q = dg * u
        if d_word is not None:
            q = q - g * d_word
        if d_below is not None:
            q = q - g * _lost_below(g, u, d_below)
        if d_sense is not None:
            q = q - g * (d_sense * i_out)[:, None]
        pushed = product(q, beside) + own * q + pushed
        pushed = kept * pushed + product(pushed, change) - lost * pushed
        return pushed, (pushed, product(q, reach))

    i_out = None if wires.sense is None else matrix
    past_cells = answers, g, dg, d_word, wires.bit, wires.sense, i_out
    _, (pushed, past) = lax.scan(gather, jnp.zeros_like(start), past_cells, reverse=True)

    def walk(word: Array, inputs: tuple) -> tuple:
        kept, change, lost, segment, pushed, out = inputs
        word = kept * word + product(word, change.T) - lost * word
        word = word - segment * pushed
        return word, product(word, out)

    parts = answers.kept, answers.change, answers.lost, segment, pushed, g * answers.reach
    return lax.scan(walk, start, parts)[1] + past


@jax.checkpoint
def _lost_below(g: Float[Array, " rows"], u: Float[Array, "inputs rows"], d_below: Array) -> Array:
    """Drop along one bit line [V]; what it carries is found again in reverse mode, not kept."""
    return running_sum(d_below * running_sum(g * u, WORD), WORD, reverse=True)


def _along_word_lines(
    g: Lines, u: CellVolts, wires: WireChange
) -> tuple[Float[Array, "inputs rows"], CellVolts | None]:
    """What a change of word lines and sources takes, by the currents that flow without it [V].

    Returns:
        The change of the voltages behind the sources, (inputs, rows), and that of the drop from
        there to each cell, None where no segment changes.
    """
    none = jnp.zeros_like(u[0])
    if wires.source is None and wires.word is None:
        return none, None

    of_rows, of_segments = _sums(g, u, reverse=True)
    start = none if wires.source is None else -wires.source * of_rows
    return start, None if wires.word is None else _sums(wires.word, of_segments)[1]


def _sums(a: Lines, b: CellVolts, *, reverse: bool = False) -> tuple[Array, CellVolts]:
    """Sum of a b over all columns, and up to each of them."""

    def step(before: Array, inputs: tuple) -> tuple:
        a, b = inputs
        here = before + a * b
        return here, here

    return lax.scan(step, jnp.zeros_like(b[0]), (a, b), reverse=reverse)
