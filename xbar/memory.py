"""Arrays as memories: what a read tells apart, and what a write reaches and disturbs.

A cell is read with `v` on its word line and 0 V on its bit line, whose current tells its state. The
other lines are grounded or float (`xbar.Bias.read`); what they carry to the sensed line beside the
cell's own current is the sneak current. A cell is written with `v` across its two lines and V/2 or
V/3 on the others, which must not disturb the cells there.

Patterns are what the other cells hold. `"worst"` looks for the one that hurts most: of a passive
array with floating lines the sensed current grows with every conductance (Rayleigh's monotonicity
law), so that all cells low or all high are the worst exactly; elsewhere each cell is set by the
sign of its own effect, which is monotonic for one cell at a time, until nothing changes.

All numbers are differentiable, so that a margin's gradient with respect to wires, cells or voltages
is a `jax.grad` away.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool

from xbar.checks import as_real, check_word
from xbar.circuit import Bias, Crossbar, Wires
from xbar.circuit.bias import Unselected
from xbar.solve import solve
from xbar.solvers import AbstractSolver

Pattern = Literal["low", "high", "worst"]
SelectScheme = Literal["half", "third"]
# What a cell is, for its conductance: a law that `Crossbar` takes. None for ohmic cells.
LawOf = Callable[[Array], Any]

# Turns of the search for the worst pattern; it never took more than a few in tests.
MAX_TURNS = 10


class Read(NamedTuple):
    """One read.

    Args:
        i_out: current of the sensed bit line [A], ().
        i_cell: the selected cell's own [A], ().
        i_sneak: what came another way, ``i_out - i_cell`` [A], ().
        i_word: current out of the selected word line's driver [A], ().
    """

    i_out: Array
    i_cell: Array
    i_sneak: Array
    i_word: Array


class ReadMargin(NamedTuple):
    """How far apart the two states of a cell are, read against patterns.

    Args:
        i_on: least sensed current with the cell on [A], ().
        i_off: most with it off [A], ().
        window: ``i_on - i_off`` [A], (); below 0 no threshold tells the states apart.
        margin: the window relative to `i_on`, ().
        worst_on: pattern for which `i_on` was found, (rows, cols), True where a cell is on, the
            one that is read included.
        worst_off: for `i_off`.
    """

    i_on: Array
    i_off: Array
    window: Array
    margin: Array
    worst_on: Bool[Array, "rows cols"]
    worst_off: Bool[Array, "rows cols"]


class WriteMargin(NamedTuple):
    """What a write does to the cells.

    Args:
        v_cell: voltage that reaches the selected cell [V], ().
        v_half: largest magnitude on a cell that shares a line with it [V], ().
        v_rest: largest magnitude on any other cell [V], ().
        margin: ``v_cell - max(v_half, v_rest)`` relative to the write voltage, ().
        p_total: power taken from the drivers [W], ().
    """

    v_cell: Array
    v_half: Array
    v_rest: Array
    margin: Array
    p_total: Array


def read(
    g: Any,
    wires: Wires | None = None,
    *,
    v: Any,
    row: int,
    col: int,
    unselected: Unselected = "grounded",
    law: LawOf | None = None,
    solver: AbstractSolver | None = None,
) -> Read:
    """Read one cell of an array.

    Args:
        g: conductances of all cells, (rows, cols) [S].
        wires: line resistances; none by default.
        v: read voltage, () [V].
        row: word line of the cell.
        col: its bit line.
        unselected: all other lines "grounded" or "floating".
        law: what a cell of conductance g is; None for ohmic cells.
        solver: of the circuit.

    Returns:
        The currents.

    Raises:
        ValueError, RuntimeError: as `xbar.solve`.

    Example:
        >>> read(g, Wires(2.0, 2.0), v=0.2, row=0, col=0, unselected="floating").i_sneak
    """
    array = _array(as_real("g", g), wires, law)
    bias = Bias.read(array.rows, array.cols, v, row, col, unselected)
    found = solve(array, bias, solver)
    i_out, i_cell = found.i_out[col], found.i_cell[row, col]
    return Read(i_out, i_cell, i_out - i_cell, found.i_word[row])


def read_margin(
    rows: int,
    cols: int,
    g_on: Any,
    g_off: Any,
    wires: Wires | None = None,
    *,
    v: Any,
    row: int = 0,
    col: int = -1,
    unselected: Unselected = "grounded",
    patterns: Any = "worst",
    law: LawOf | None = None,
    solver: AbstractSolver | None = None,
) -> ReadMargin:
    """How well one cell's two states are told apart.

    Args:
        rows: word lines.
        cols: bit lines.
        g_on: conductance of a cell that is on, () [S].
        g_off: of one that is off, () [S].
        wires: line resistances; none by default.
        v: read voltage, () [V].
        row: word line of the cell; by default the first, on which bit lines are longest.
        col: its bit line; by default the last, on which word lines are longest.
        unselected: all other lines "grounded" or "floating".
        patterns: what the other cells hold: "low" (all off), "high" (all on), "worst", or booleans
            (patterns, rows, cols), True where a cell is on, of which the worst counts.
        law: what a cell of conductance g is; None for ohmic cells.
        solver: of the circuit.

    Returns:
        The margin, differentiable in conductances, wires and voltage at the patterns found.

    Raises:
        ValueError: patterns that do not fit, or no such cell.
        RuntimeError: as `xbar.solve`.

    Example:
        >>> read_margin(64, 64, 1e-4, 1e-6, Wires(2.0, 2.0), v=0.2).margin
    """
    for name, lines in (("rows", rows), ("cols", cols)):
        if lines < 1:
            raise ValueError(f"{name}: got {lines}, needs at least 1")
    on, off = as_real("g_on", g_on), as_real("g_off", g_off)
    row, col = _place("row", row, rows), _place("col", col, cols)
    here = (jnp.arange(rows)[:, None] == row) & (jnp.arange(cols) == col)

    def sensed(g: Array, throw: bool = True) -> Array:
        bias = Bias.read(rows, cols, v, row, col, unselected)
        return solve(_array(g, wires, law), bias, solver, throw=throw).i_out[col]

    def conductances(state: bool, pattern: Array) -> Array:
        return jnp.where(jnp.where(here, state, pattern), on, off)

    def against(state: bool) -> tuple[Array, Array]:
        """The least current of a cell that is on, the most of one that is off."""
        sign = -1.0 if state else 1.0
        if not isinstance(patterns, str):
            given = _patterns(patterns, rows, cols)
            every = jnp.stack([sensed(conductances(state, pattern)) for pattern in given])
            at = jnp.argmax(sign * every)
            return every[at], jnp.where(here, state, given[at])
        pattern = jnp.full((rows, cols), patterns == "high")
        if patterns == "worst":
            pattern = _worst(
                lambda pattern: sign * sensed(conductances(state, pattern), throw=False),
                lambda pattern: conductances(state, pattern),
                lambda g: sign * sensed(g, throw=False),
                here,
            )
        return sensed(conductances(state, pattern)), jnp.where(here, state, pattern)

    if isinstance(patterns, str) and patterns not in get_args(Pattern):
        raise ValueError(
            f"patterns: got {patterns!r}, needs one of {list(get_args(Pattern))} or booleans"
        )
    (i_on, worst_on), (i_off, worst_off) = against(True), against(False)
    window = i_on - i_off
    return ReadMargin(i_on, i_off, window, window / i_on, worst_on, worst_off)


def pull_up_margin(
    rows: int,
    cols: int,
    g_on: Any,
    g_off: Any,
    r_pull_up: Any,
    wires: Wires | None = None,
    *,
    row: int = 0,
    col: int = -1,
    patterns: Any = "high",
    law: LawOf | None = None,
    v: Any = 1.0,
    solver: AbstractSolver | None = None,
) -> Array:
    """Swing of the sensed voltage between the two states, relative to the supply.

    The selected line is pulled up through a resistor, the selected line of the other kind is at 0 V
    and all others float; read is the voltage at the resistor. Without wires and with all other
    cells on this is the closed form

        dV / V = R_pu / (R_pu + R_off | R_s) - R_pu / (R_pu + R_on | R_s)    (its magnitude)
        R_s = R_on (1 / (cols - 1) + 1 / (rows - 1) + 1 / ((rows - 1) (cols - 1)))

    with ``|`` for resistances in parallel (Flocke and Noll, "Fundamental analysis of resistive
    nano-crossbars for the use in hybrid nano/CMOS-memory", ESSCIRC 2007).

    Args:
        rows: word lines.
        cols: bit lines.
        g_on: conductance of a cell that is on, () [S].
        g_off: of one that is off, () [S].
        r_pull_up: the resistor, () [ohm].
        wires: line resistances beside it; none by default. Their `source` is not looked at.
        row: the selected word line, which is pulled up.
        col: the selected bit line.
        patterns: as for `read_margin`.
        law: what a cell of conductance g is; None for ohmic cells.
        v: the supply, () [V]; it matters for cells that are not ohmic.
        solver: of the circuit.

    Returns:
        The swing over the supply voltage, ().

    Raises:
        ValueError, RuntimeError: as `read_margin`.
    """
    ohms = as_real("r_pull_up", r_pull_up)
    lines = Wires() if wires is None else wires
    pulled = Wires(lines.word_line, lines.bit_line, ohms, lines.sense)
    found = read_margin(
        rows,
        cols,
        g_on,
        g_off,
        pulled,
        v=v,
        row=row,
        col=col,
        unselected="floating",
        patterns=patterns,
        law=law,
        solver=solver,
    )
    return ohms * found.window / as_real("v", v)


def write_margin(
    g: Any,
    wires: Wires | None = None,
    *,
    v: Any,
    row: int,
    col: int,
    scheme: SelectScheme = "half",
    law: LawOf | None = None,
    solver: AbstractSolver | None = None,
) -> WriteMargin:
    """What a write reaches, and what it disturbs.

    Args:
        g: conductances of all cells, (rows, cols) [S].
        wires: line resistances; none by default.
        v: write voltage, () [V].
        row: word line of the cell.
        col: its bit line.
        scheme: "half" puts V/2 on all other lines, "third" V/3 on word and 2V/3 on bit lines.
        law: what a cell of conductance g is; None for ohmic cells.
        solver: of the circuit.

    Returns:
        Voltages of the cells.

    Raises:
        ValueError: another scheme, or no such cell.
        RuntimeError: as `xbar.solve`.

    Example:
        >>> write_margin(g, Wires(2.0, 2.0), v=2.0, row=0, col=63, scheme="third").margin
    """
    check_word("scheme", scheme, list(get_args(SelectScheme)))
    conductances = as_real("g", g)
    array = _array(conductances, wires, law)
    rows, cols = conductances.shape
    row, col = _place("row", row, rows), _place("col", col, cols)
    select = Bias.half_select if scheme == "half" else Bias.third_select
    found = solve(array, select(rows, cols, v, row, col), solver)
    u = found.v_word - found.v_bit
    on_row, on_col = jnp.arange(rows)[:, None] == row, jnp.arange(cols) == col
    sign = jnp.sign(as_real("v", v))
    half = _largest(u, on_row ^ on_col)
    rest = _largest(u, ~(on_row | on_col))
    reached = sign * u[row, col]
    margin = (reached - jnp.maximum(half, rest)) / jnp.abs(as_real("v", v))
    return WriteMargin(u[row, col], half, rest, margin, found.p_total)


def _array(g: Array, wires: Wires | None, law: LawOf | None) -> Crossbar:
    return Crossbar(g if law is None else law(g), wires)


def _place(name: str, place: int, size: int) -> int:
    if not -size <= place < size:
        raise ValueError(f"{name}: got {place}, needs {-size}..{size - 1}")
    return place % size


def _patterns(patterns: Any, rows: int, cols: int) -> Bool[Array, "patterns rows cols"]:
    needs = f"needs booleans (patterns, {rows}, {cols}), at least one pattern"
    if patterns is None:
        raise ValueError(f"patterns: got None, {needs}")
    given = jnp.asarray(patterns)
    if given.dtype != jnp.bool_ or given.ndim != 3 or given.shape[1:] != (rows, cols):
        raise ValueError(f"patterns: got {given.dtype} {given.shape}, {needs}")
    if not len(given):
        raise ValueError(f"patterns: got none, {needs}")
    return given


def _largest(u: Array, where: Bool[Array, "rows cols"]) -> Array:
    return jnp.max(jnp.abs(u), where=where, initial=0.0)


def _worst(
    current: Callable[[Array], Array],
    conductances: Callable[[Array], Array],
    of: Callable[[Array], Array],
    here: Bool[Array, "rows cols"],
) -> Bool[Array, "rows cols"]:
    """The pattern for which `current` is largest, from all cells off and all on."""
    slope = jax.grad(of)

    def climb(pattern: Array) -> tuple[Array, Array]:
        def turn(carry: tuple) -> tuple:
            pattern, best, most, _, turns = carry
            new = lax.stop_gradient(slope(conductances(pattern)) > 0) & ~here
            value = current(new)
            better = value > most
            best, most = jnp.where(better, new, best), jnp.maximum(most, value)
            return new, best, most, jnp.any(new != pattern), turns + 1

        def unfinished(carry: tuple) -> Bool[Array, ""]:
            return carry[3] & (carry[4] < MAX_TURNS)

        start = (pattern, pattern, current(pattern), jnp.asarray(True), jnp.zeros((), int))
        _, best, most, *_ = lax.while_loop(unfinished, turn, start)
        return best, most

    found = [climb(jnp.full(here.shape, state)) for state in (False, True)]
    return jnp.where(found[0][1] >= found[1][1], found[0][0], found[1][0])
