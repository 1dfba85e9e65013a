"""Transfer matrices of the sweeps over columns, with a derivative of their own.

A change of conductances and of wires acts as a current past each cell (a parallel source)

    q = dg u - g d_drop(g u)

with `u` the cell voltages for 1 V on each row. With the symbols of `xbar.solvers.elimination` and
`xbar.solvers.bit_line`, a bit line by itself then draws ``C^T q`` from its word-line nodes and
passes ``c^T q`` to its output. Gathered towards the source and walked back,

    p_j = X_j (C_j^T q_j + p_{j+1})        dw_j = X_j^T dw_{j-1} - D_j p_j
    dT_j = out_j dw_j + c_j q_j

which is linear in `q`: JAX turns it around for reverse mode. Each column costs three products of
matrices and one more for `u`, where differentiating the elimination itself would take eight.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Bool, Float

from xbar.circuit import Wires
from xbar.solvers.adjoint import is_zero
from xbar.solvers.base import Problem, Transfer, problem_of
from xbar.solvers.batching import chosen, per_array
from xbar.solvers.bit_line import alone
from xbar.solvers.drop import drop_of
from xbar.solvers.elimination import factored, walked
from xbar.solvers.lines import product
from xbar.solvers.mild_sweep import Answers, is_mild, mild_answers
from xbar.solvers.sweep_check import lying, turned

Squares = Float[Array, "cols inputs rows"]
Lines = Float[Array, "cols rows"]
Ok = Bool[Array, ""] | np.ndarray  # as a tangent: JAX's float0, which is a NumPy type


class Found(NamedTuple):
    """A transfer matrix, whether it is right, and how the array answers."""

    matrix: Transfer
    ok: Ok
    answers: Answers


def own_transfer(problem: Problem, rtol: float) -> tuple[Transfer, Bool[Array, ""]]:
    """Transfer matrix and whether it is right, to be differentiated to any order.

    Args:
        problem: the array.
        rtol: bound on the error of every current, relative to the largest.
    """
    flat = lying(problem)
    matrix, ok = _transfer(rtol, flat.g, flat.wires)
    return (matrix if flat is problem else turned(matrix)), ok


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _transfer(rtol: float, g: Array, wires: Wires) -> tuple[Transfer, Ok]:
    return _found(rtol, g, wires)[:2]


def _transfer_jvp(rtol: float, primals: tuple, tangents: tuple) -> tuple:
    g, wires = primals
    dg, dwires = tangents
    matrix, ok, answers = _found(rtol, g, wires)
    dg = jnp.zeros_like(g) if is_zero(dg) else dg
    if all(map(is_zero, jax.tree.leaves(dwires, is_leaf=is_zero))):
        series = None
    else:
        series = -g.T[:, None, :] * _drop_change(g, wires, dwires, answers.u)
    d_matrix = _response(answers, problem_of(g, wires), dg.T, series)
    return (matrix, ok), (d_matrix, np.zeros((), jax.dtypes.float0))


_transfer.defjvp(_transfer_jvp, symbolic_zeros=True)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _found(rtol: float, g: Array, wires: Wires) -> Found:
    """By the sweep for mild drop, where it is; by the other elsewhere."""

    # Chosen beforehand, not repaired afterwards: what a repair might replace would be there twice,
    # and all arrays together pass the size up to which a C library keeps memory for the next call.
    def found(g: Array, wires: Wires) -> Found:
        mild = is_mild(problem_of(g, wires), rtol)
        return chosen(jnp.where(mild, 0, 1), [by_mild, partial(_by_sweep, rtol)], g, wires)

    def by_mild(g: Array, wires: Wires) -> Found:
        return Found(*mild_answers(problem_of(g, wires), rtol))

    return per_array(found)(g, wires)


@_found.defjvp
def _found_jvp(rtol: float, primals: tuple, tangents: tuple) -> tuple:
    """Derivatives of the answers themselves, for second derivatives of T: those of the sweep."""
    return jax.jvp(partial(_by_sweep, rtol), primals, tangents)


def _by_sweep(rtol: float, g: Array, wires: Wires) -> Found:
    problem = problem_of(g, wires)
    sweep = factored(problem, rtol)
    matrix, ok, word = walked(sweep, problem, rtol)
    lines, none = alone(g.T, problem.segments()[1].T), jnp.zeros_like(g.T)
    u = jnp.swapaxes(product(lines.voltage, word), 1, 2)
    return Found(matrix, ok, Answers(sweep.passage, none, u, lines.voltage, none, lines.reach))


def _drop_change(g: Array, wires: Wires, dwires: Any, u: Squares) -> Squares:
    """Change of the voltage lost on the way to each cell, its current kept (cols, inputs, rows)."""
    i_cell = g * jnp.moveaxis(u, 0, 2)
    along = jax.tree.map(
        lambda x, dx: jnp.zeros_like(x) if is_zero(dx) else dx, wires, dwires, is_leaf=is_zero
    )
    _, change = jax.jvp(lambda wires: drop_of(wires, g)(i_cell), (wires,), (along,))
    return jnp.moveaxis(change, 2, 0)


def _response(answers: Answers, problem: Problem, dg: Lines, more: Squares | None) -> Transfer:
    """Change of T for the currents ``q = dg u + more`` past the cells [A]."""
    segment, out = problem.segments()[0].T, problem.g.T * answers.reach

    def gather(pushed: Array, inputs: tuple) -> tuple:
        (passage, lost, u, beside, own, reach), dg, more = inputs
        # Made here and not before: whole arrays of q would be as many again as there are.
        q = dg * u if more is None else dg * u + more
        pushed = product(q, beside) + own * q + pushed
        pushed = passage.kept * pushed + product(pushed, passage.change) - lost * pushed
        return pushed, (pushed, product(q, reach))

    nothing = jnp.zeros_like(answers.u[0])
    _, (pushed, past) = lax.scan(gather, nothing, (answers, dg, more), reverse=True)

    def walk(word: Array, inputs: tuple) -> tuple:
        passage, lost, segment, pushed, out = inputs
        word = passage.kept * word + product(word, passage.change.T) - lost * word
        word = word - segment * pushed
        return word, product(word, out)

    parts = answers.passage, answers.lost, segment, pushed, out
    return lax.scan(walk, nothing, parts)[1] + past
