"""1T1R arrays whose gates are held against ground, not against each cell's bit-line node.

A transistor's source is the bit-line node (`xbar.cells.Transistor`), so that a gate at a fixed
voltage has an overdrive that falls as the bit line rises:

    v_ov[i, j] = v_gate - v_threshold - v_bit[i, j]

With the overdrives given, the array is one of two-terminal cells, which `solve` finds. So the
bit-line voltages x are a fixed point, ``x = P(x)``, of "solve with the overdrives that x leaves".
It contracts by about the transistor's transconductance over its conductance times the drop.

The Jacobian of the whole circuit is not symmetric. Its inverse is not needed as such: a change of
parameters moves x by ``(1 - dP/dx) dx = dP``, solved by the same contraction, forwards or
transposed.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from xbar.cells import AbstractCell, Series, Transistor, Where
from xbar.checks import as_real, check_kind, flag, is_concrete
from xbar.circuit import RESULTS, Crossbar, Solution
from xbar.solve import solve
from xbar.solvers import AbstractSolver
from xbar.solvers.base import default_rtol
from xbar.solvers.derivatives import filled, may_be_shown

CellVoltages = Float[Array, "rows cols"]
# A contraction by a half each time would need 34 of them.
MAX_PASSES = 60


def solve_gated(
    array: Crossbar, v_in: Any, solver: AbstractSolver | None = None, *, throw: bool = True
) -> Solution:
    """As `solve`, with the gates of all transistors at fixed voltages against ground.

    ```python
    law = cells.Series(cells.Ohmic(g), cells.Transistor(beta, v_ov=0.8))  # gate - threshold [V]
    sol = xb.solve_gated(xb.Crossbar(law, wires), v_in)
    ```

    Args:
        array: of cells with a `Transistor` at the bit line; its `v_ov` is here the gate's voltage
            against ground, less the threshold voltage.
        v_in: driver voltages (rows,) or (rows, n) [V].
        solver: as for `solve`.
        throw: as for `solve`.

    Returns:
        As `solve`; `steps` are the last pass's. Exact forwards and in its derivatives, which cost a
        few linear solves each. Where the passes do not contract, the result is
        `RESULTS.tolerance_missed`.

    Raises:
        TypeError, ValueError, RuntimeError: as `solve`, or the cells have no transistor at their
            bit line, or another one elsewhere.
    """
    check_kind("array", array, Crossbar, "xbar.Crossbar")
    v = as_real("v_in", v_in)
    if v.ndim not in (1, 2) or v.shape[0] != array.rows:
        raise ValueError(f"v_in: got shape {v.shape}, needs ({array.rows},) or ({array.rows}, n)")
    if not _has_transistor(array.cells):
        raise ValueError(
            f"array: got {type(array.cells).__name__} cells without a transistor; use xbar.solve"
        )
    lowered(array.cells, jnp.zeros(array.cells.shape))  # raises where transistors are misplaced
    one = partial(_solve_one, solver, flag("throw", throw), array)
    found = one(v) if v.ndim == 1 else _over_inputs(one, v)
    if throw and is_concrete(found.result) and found.result != RESULTS.successful:
        raise (RuntimeError if may_be_shown(found.result) else ValueError)(RESULTS[found.result])
    return found


def lowered(law: AbstractCell, x: CellVoltages) -> AbstractCell:
    """The law with the overdrives that bit-line voltages x leave [V].

    Raises:
        ValueError: a transistor that is not at the bit line.
    """
    if isinstance(law, Transistor):
        return Transistor(law.beta, law.v_ov - x)
    if isinstance(law, Series):
        if _has_transistor(law.a):
            raise ValueError(
                "array: got a transistor at the word-line end of a Series, whose source is not "
                "the bit line; needs it as the second part"
            )
        return Series(law.a, lowered(law.b, x))
    if isinstance(law, Where):
        return Where(law.mask, lowered(law.a, x), lowered(law.b, x))
    return law


def _has_transistor(law: AbstractCell) -> bool:
    if isinstance(law, Series | Where):
        return _has_transistor(law.a) or _has_transistor(law.b)
    return isinstance(law, Transistor)


def _solve_one(
    solver: AbstractSolver | None, throw: bool, array: Crossbar, v: Float[Array, " rows"]
) -> Solution:
    x = _bit_voltages(solver, array, v)
    found = _with(solver, array, v, x)
    largest = jnp.max(jnp.abs(v))
    off = lax.stop_gradient(jnp.max(jnp.abs(found.v_bit - x)))
    settled = off <= default_rtol(_rtol_of(solver), v.dtype) * largest
    good = found.result == RESULTS.successful
    result = RESULTS.where(good & ~settled, RESULTS.tolerance_missed, found.result)
    numbers = filled(_numbers(found), result, throw)
    return eqx.tree_at(lambda s: (*_numbers(s), s.result), found, (*numbers, result))


def _numbers(solution: Solution) -> tuple[Any, ...]:
    """What failed results hide, and what has the inputs as its last axis."""
    s = solution
    return s.i_out, s.v_word, s.v_bit, s.i_cell, s.p_total


def _over_inputs(one: Callable[[Array], Solution], v: Float[Array, "rows n"]) -> Solution:
    """Solutions of all inputs, as `solve` has them: inputs last, one result."""
    found = jax.vmap(one, in_axes=1)(v)
    worst = found.result != RESULTS.successful
    first = jax.tree.map(lambda x: x[jnp.argmax(worst)], found.result)
    numbers = [jnp.moveaxis(x, 0, -1) for x in _numbers(found)]
    return eqx.tree_at(
        lambda s: (*_numbers(s), s.result, s.kcl_residual),
        found,
        (*numbers, first, jnp.max(found.kcl_residual)),
    )


def _rtol_of(solver: AbstractSolver | None) -> float | None:
    return getattr(solver, "rtol", None)


def _with(solver: AbstractSolver | None, array: Crossbar, v: Array, x: CellVoltages) -> Solution:
    """The array with the overdrives that x leaves."""
    return solve(Crossbar(lowered(array.cells, x), array.wires), v, solver, throw=False)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _bit_voltages(solver: AbstractSolver | None, array: Crossbar, v: Array) -> CellVoltages:
    """The bit-line voltages that belong to themselves, by passes."""
    rtol = 0.1 * default_rtol(_rtol_of(solver), v.dtype) * jnp.max(jnp.abs(v))

    def going(now: tuple) -> Array:
        _, moved, passes = now
        return (moved > rtol) & (passes < MAX_PASSES)

    def one_pass(now: tuple) -> tuple:
        x, _, passes = now
        new = _with(solver, array, v, x).v_bit
        return new, jnp.max(jnp.abs(new - x)), passes + 1

    dtype = jnp.result_type(array.dtype, v)
    start = jnp.zeros(array.cells.shape, dtype), jnp.asarray(jnp.inf, dtype), 0
    return lax.while_loop(going, one_pass, start)[0]


@_bit_voltages.defjvp
def _bit_voltages_jvp(
    solver: AbstractSolver | None, primals: tuple, tangents: tuple
) -> tuple[CellVoltages, CellVoltages]:
    array, v = primals
    x = _bit_voltages(solver, array, v)

    def one_pass(array: Crossbar, v: Array, x: CellVoltages) -> CellVoltages:
        return _with(solver, array, v, x).v_bit

    _, change = jax.jvp(lambda array, v: one_pass(array, v, x), primals, tangents)

    _, follows = jax.linearize(lambda x: one_pass(array, v, x), x)

    def left(dx: CellVoltages) -> CellVoltages:
        return dx - follows(dx)

    return x, lax.custom_linear_solve(left, change, _contracted, _contracted)


def _contracted(matvec: Callable[[CellVoltages], CellVoltages], b: CellVoltages) -> CellVoltages:
    """``matvec(x) = b`` by ``x <- x + b - matvec(x)``; NaN where that does not end."""
    enough = 10 * jnp.finfo(b.dtype).eps * jnp.max(jnp.abs(b))

    def going(now: tuple) -> Array:
        _, left, passes = now
        return (jnp.max(jnp.abs(left)) > enough) & (passes < MAX_PASSES)

    def step(now: tuple) -> tuple:
        x, left, passes = now
        x = x + left
        return x, b - matvec(x), passes + 1

    x, left, _ = lax.while_loop(going, step, (b, b - matvec(b), 0))
    # Rounding of the linear solves keeps the last digits from settling.
    failed = jnp.max(jnp.abs(left)) > 1e4 * enough
    return x * jnp.where(failed, jnp.nan, 1).astype(x.dtype)
