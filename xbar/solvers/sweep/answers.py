"""How an array answers its inputs, column by column, and the change of its transfer matrix.

A change of conductances and of wires acts as a current past each cell (a parallel source)

    q = dg u - g d_drop(g u)

with `u` the cell voltages for 1 V on each row. With the symbols of `xbar.solvers.sweep.elimination`
and `xbar.solvers.sweep.bit_line`, a bit line by itself draws ``C^T q`` from its word-line nodes
and passes ``c^T q`` to its output. Gathered towards the source and walked back,

    p_j = P_j^T (C_j^T q_j + p_{j+1})      dw_j = P_j dw_{j-1} - D_j p_j
    dT_j = out_j dw_j + c_j q_j

which is linear in `q`, so that JAX can transpose it for reverse mode. Each column costs three
products of matrices and one more for `u`, where differentiating the elimination would take eight.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from xbar.solvers.base import Problem, Transfer
from xbar.solvers.lines import product
from xbar.solvers.sweep.elimination import Lines, Sweep, columns_of, factored, nothing

Squares = Float[Array, "cols inputs rows"]


class Answers(NamedTuple):
    """Per column from the driven end; ``P_j = kept I + change_j - diag(lost_j)``."""

    kept: Float[Array, ""]  # 1 where P is near the unit matrix, so that its change keeps its digits
    change: Float[Array, "cols rows rows"]
    lost: Lines
    u: Squares  # cell voltages for 1 V on each row [V]
    beside: Float[Array, "cols rows rows"]  # C of the bit line by itself, less its diagonal
    own: Lines  # C = beside + diag(own)
    reach: Lines  # its c


def answers_of(problem: Problem) -> tuple[Transfer, Answers]:
    """T and answers by the elimination, for any drop; in operations that JAX differentiates.

    Args:
        problem: an array that has at least as many columns as rows.
    """
    rows, dtype = problem.g.shape[0], problem.g.dtype
    sweep, _ = factored(columns_of(problem), nothing(rows, dtype))
    line = sweep.line
    beside = -line.g[:, None, :] * sweep.mutual

    def walk(word: Array, inputs: tuple[Sweep, Array]) -> tuple:
        sweep, beside = inputs
        word = product(sweep.passage, word)
        u = sweep.line.own[:, None] * word + product(beside, word)
        return word, (product(sweep.line.out, word), u.T)

    _, (matrix, u) = lax.scan(walk, jnp.eye(rows, dtype=dtype), (sweep, beside))
    kept, lost = jnp.zeros((), dtype), jnp.zeros_like(line.g)
    return matrix, Answers(kept, sweep.passage, lost, u, beside, line.own, line.reach)


def transfer_change(
    answers: Answers, problem: Problem, dg: Lines, more: Squares | None
) -> Transfer:
    """Change of T for the currents ``q = dg u + more`` past the cells [A]."""
    segment, out = problem.segments()[0].T, problem.g.T * answers.reach
    kept, *columns = answers

    def gather(pushed: Array, inputs: tuple) -> tuple:
        (change, lost, u, beside, own, reach), dg, more = inputs
        # Made here and not before: whole arrays of q would be as many again as there are.
        q = dg * u if more is None else dg * u + more
        pushed = product(q, beside) + own * q + pushed
        pushed = kept * pushed + product(pushed, change) - lost * pushed
        return pushed, (pushed, product(q, reach))

    none = jnp.zeros_like(answers.u[0])
    _, (pushed, past) = lax.scan(gather, none, (tuple(columns), dg, more), reverse=True)

    def walk(word: Array, inputs: tuple) -> tuple:
        change, lost, segment, pushed, out = inputs
        word = kept * word + product(word, change.T) - lost * word
        word = word - segment * pushed
        return word, product(word, out)

    parts = answers.change, answers.lost, segment, pushed, out
    return lax.scan(walk, none, parts)[1] + past
