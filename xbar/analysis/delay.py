"""How long an array takes to settle: Elmore delays of its lines, first moments of its outputs.

The Elmore delay of a node of an RC line is the sum over capacitances of C times the resistance that
its path to the driver shares with the node's. That sum is the line's own voltage drop with
capacitances in place of currents:

    tau_word = drop_word(c)        tau_bit = drop_bit(c)        [ohm F = s]

For the whole circuit the same number, the first moment of the step response, follows from one more
solve. After a step of the inputs, G v + C dv/dt = b, so that the integral of v_end - v(t) is
m = G^-1 C v_end: the array's answer to the charges C v_end as currents into its nodes. With charges
q_w, q_b the cell equation reads u + drop(g u) = drop_word(q_w) - drop_bit(q_b), and an output's
moment is the sum of g u + q_b down its column. Divided by the final current it is the delay

    tau = integral of (1 - i(t) / i_end) dt

which a response of one time constant reaches to 63 %.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from xbar.checks import check_kind, checked, finite_from_0, is_concrete
from xbar.circuit import RESULTS, Crossbar, Solution
from xbar.programs import program
from xbar.solve import legal_problem, solve
from xbar.solvers import AbstractSolver, Auto
from xbar.solvers.base import Problem
from xbar.solvers.derivatives import cells, marked

Grid = Float[Array, "rows cols"]


class LineDelay(NamedTuple):
    """Elmore delays of an array's lines [s].

    ```python
    delays = xb.elmore_delay(array, c_word=1e-15)
    print(delays.word.shape)  # (rows, cols) [s]
    ```

    Args:
        word: from each row's driver to the word-line node of each cell, (rows, cols).
        bit: from the bit-line node of each cell to the amplifier, (rows, cols).
    """

    word: Grid
    bit: Grid

    @property
    def path(self) -> Grid:
        """From the driver through each cell to the amplifier, (rows, cols) [s]."""
        return self.word + self.bit


def elmore_delay(
    array: Crossbar, *, c_cell: Any = 0.0, c_word: Any = 0.0, c_bit: Any = 0.0
) -> LineDelay:
    """Elmore delays of the lines, from wires and capacitances alone.

    Each line by itself: cells count with their capacitance, which hangs on the word line and on the
    bit line, and not with the current that they draw (see `output_delay`). Differentiable, under
    `jit` and `vmap`.

    ```python
    c_word, c_bit = geometry.capacitance_at_node(22)
    delay = xb.elmore_delay(array, c_cell=0.1e-15, c_word=c_word, c_bit=c_bit)
    delay.path.max()  # [s]
    ```

    Args:
        array: the circuit, for its wires.
        c_cell: capacitance of each cell, () or (rows, cols) [F].
        c_word: capacitance to ground of the segment left of each cell, likewise.
        c_bit: capacitance to ground of the segment below each cell, likewise.

    Returns:
        The delays.

    Raises:
        TypeError: `array` is no `Crossbar`.
        ValueError: a capacitance that is negative, not finite or of another shape.
    """
    c_cell, c_word, c_bit = _capacitances(array, c_cell, c_word, c_bit)
    return _elmore_delay(array, c_cell, c_word, c_bit)


def output_delay(
    array: Crossbar,
    v_in: Any,
    *,
    c_cell: Any = 0.0,
    c_word: Any = 0.0,
    c_bit: Any = 0.0,
    solver: AbstractSolver | None = None,
    throw: bool = True,
) -> Float[Array, " cols"]:
    """Delay of each output current after a step of the inputs, the whole circuit counted.

    The first moment of the step response, exact: cells conduct, and their capacitance couples the
    lines. Differentiable, under `jit` and `vmap`.

    ```python
    xb.output_delay(array, v_in, c_word=1e-15, c_bit=1e-15)  # farad per segment
    ```

    Args:
        array: the circuit.
        v_in: driver voltages after the step, from 0 V, (rows,) [V].
        c_cell: capacitance of each cell, () or (rows, cols) [F].
        c_word: capacitance to ground of the segment left of each cell, likewise.
        c_bit: capacitance to ground of the segment below each cell, likewise.
        solver: as for `xbar.solve`.
        throw: as for `xbar.solve`; without it, and inside `jit`, what failed is NaN.

    Returns:
        Delays, (cols,) [s]; NaN where a column's final current is 0. An output that overshoots has
        a small or negative one.

    Raises:
        TypeError, ValueError, RuntimeError: as `xbar.solve` and `elmore_delay`.
    """
    c_cell, c_word, c_bit = _capacitances(array, c_cell, c_word, c_bit)
    if jnp.ndim(v_in) != 1:
        raise ValueError(f"v_in: got {jnp.ndim(v_in)} axes, needs (rows,), one step of the inputs")
    solver = Auto() if solver is None else solver
    solution = solve(array, v_in, solver, throw=throw)
    found, ok = _output_delay(array, solution, (c_cell, c_word, c_bit), solver)
    if throw and is_concrete(ok) and not bool(ok):
        raise RuntimeError(RESULTS[RESULTS.tolerance_missed])
    return found


def _capacitances(array: Crossbar, *values: Any) -> tuple[Array, Array, Array]:
    check_kind("array", array, Crossbar, "xbar.Crossbar")
    found = []
    for name, value in zip(("c_cell", "c_word", "c_bit"), values, strict=True):
        c = checked(name, value, "finite capacitances >= 0 [F]", finite_from_0)
        shape = (array.rows, array.cols)
        if c.shape not in ((), shape):
            raise ValueError(f"{name}: got shape {c.shape}, needs a number or {shape}")
        found.append(c)
    return found[0], found[1], found[2]


def _spread(c: Array, problem: Problem) -> Grid:
    return jnp.broadcast_to(c.astype(problem.g.dtype), problem.g.shape)


@program()
def _elmore_delay(array: Crossbar, c_cell: Array, c_word: Array, c_bit: Array) -> LineDelay:
    problem, result = legal_problem(array, jnp.result_type(array.dtype))
    word, bit = (_spread(c_cell + c, problem)[None] for c in (c_word, c_bit))
    bad = result != RESULTS.successful
    found = problem.drop.word(word)[0], problem.drop.bit(bit)[0]
    return LineDelay(*(marked(tau, bad, jnp.where(bad, jnp.nan, tau)) for tau in found))


@program(static_argnames=("solver",))
def _output_delay(
    array: Crossbar,
    solution: Solution,
    capacitances: tuple[Array, Array, Array],
    solver: AbstractSolver,
) -> tuple[Float[Array, " cols"], Bool[Array, ""]]:
    problem, _ = legal_problem(array, solution.i_out.dtype)
    c_cell, c_word, c_bit = (_spread(c, problem) for c in capacitances)
    across = c_cell * (solution.v_word - solution.v_bit)
    q_word, q_bit = c_word * solution.v_word + across, c_bit * solution.v_bit - across
    drive = problem.drop.word(q_word[None]) - problem.drop.bit(q_bit[None])
    moment = cells(solver, problem, drive)
    ok = moment.ok[0] & (solution.result == RESULTS.successful)
    charge = jnp.sum(moment.i_cell[0] + q_bit, axis=0)
    some = solution.i_out != 0
    delay = charge / jnp.where(some, solution.i_out, 1)
    return marked(delay, ~ok, jnp.where(some & ok, delay, jnp.nan)), ok
