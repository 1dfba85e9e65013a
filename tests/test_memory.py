"""Arrays as memories: margins of reads and writes against closed forms and against each other."""

from itertools import product
from typing import Any

import jax
import numpy as np
import pytest
from scipy.optimize import brentq

import xbar as xb
from xbar import memory

SOLVER = xb.CG(rtol=1e-12)
G_ON, G_OFF = 1e-4, 1e-6
WRONG: Any = "quarter"


def closed_form(rows, cols, r_pull_up):
    """Flocke and Noll (ESSCIRC 2007): all other cells on, no wires."""
    r_on, r_off = 1 / G_ON, 1 / G_OFF
    sneak = r_on * (1 / (cols - 1) + 1 / (rows - 1) + 1 / ((rows - 1) * (cols - 1)))

    def low(r):
        both = r * sneak / (r + sneak)
        return r_pull_up / (r_pull_up + both)

    return low(r_on) - low(r_off)


@pytest.mark.parametrize("size", [2, 3, pytest.param(8, marks=pytest.mark.slow)])
def test_margin_against_array_size_is_the_published_curve(size):
    ours = memory.pull_up_margin(size, size, G_ON, G_OFF, 1 / G_ON, solver=SOLVER)
    assert abs(float(ours) - closed_form(size, size, 1 / G_ON)) <= 1e-12


def test_wires_make_the_margin_smaller():
    wires = xb.Wires(100.0, 100.0)
    ours = memory.pull_up_margin(3, 3, G_ON, G_OFF, 1 / G_ON, wires, solver=SOLVER)
    assert 0 < float(ours) < closed_form(3, 3, 1 / G_ON)


@pytest.mark.parametrize(
    "unselected", ["grounded", pytest.param("floating", marks=pytest.mark.slow)]
)
def test_worst_pattern_is_the_worst_of_all(unselected):
    """Of the 2^8 patterns of a 3x3 array."""
    wires = xb.Wires(300.0, 200.0, 100.0, 50.0)
    options = {"v": 0.2, "unselected": unselected, "solver": SOLVER}
    found = memory.read_margin(3, 3, G_ON, G_OFF, wires, **options)
    every = np.array([[*bits[:2], False, *bits[2:]] for bits in product((False, True), repeat=8)])
    every = every.reshape(-1, 3, 3)

    @jax.jit
    @jax.vmap
    def currents(g):
        return memory.read(g, wires, row=0, col=2, **options).i_out

    def all_of(state):
        g = np.where(every, G_ON, G_OFF)
        g[:, 0, 2] = state
        return np.asarray(currents(g))

    np.testing.assert_allclose(found.i_on, all_of(G_ON).min(), rtol=1e-9)
    np.testing.assert_allclose(found.i_off, all_of(G_OFF).max(), rtol=1e-9)
    np.testing.assert_allclose(found.margin, 1 - float(found.i_off) / float(found.i_on))


def test_given_patterns_count_by_their_worst():
    patterns = np.zeros((2, 3, 3), bool)
    patterns[1] = True
    given = memory.read_margin(
        3, 3, G_ON, G_OFF, v=0.2, unselected="floating", patterns=patterns, solver=SOLVER
    )
    worst = memory.read_margin(3, 3, G_ON, G_OFF, v=0.2, unselected="floating", solver=SOLVER)
    np.testing.assert_allclose(given.window, worst.window, rtol=1e-9)
    for found in (given, worst):  # a pattern says what the cell that is read holds, too
        assert found.worst_on[0, -1]
        assert not found.worst_off[0, -1]


def test_sneak_current_is_what_another_cell_lets_through():
    """2x2, floating: three cells in series beside the selected one."""
    g = np.array([[1e-6, 1e-4], [2e-4, 5e-5]])
    found = memory.read(g, v=0.2, row=0, col=0, unselected="floating", solver=SOLVER)
    series = 1 / (1 / 1e-4 + 1 / 5e-5 + 1 / 2e-4)
    np.testing.assert_allclose(found.i_sneak, 0.2 * series, rtol=1e-10)
    np.testing.assert_allclose(found.i_cell, 0.2 * 1e-6, rtol=1e-10)
    np.testing.assert_allclose(found.i_word, found.i_out, rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("state", [G_ON, G_OFF])
def test_a_floating_read_of_selectors_is_that_of_three_cells_in_series(state):
    """2x2 behind a pull-up, 0 V to 0.44 V on the cells: the law itself says what flows."""
    law = lambda g: xb.cells.Series(xb.cells.Ohmic(g), xb.cells.Selector(1e-9, 0.06))  # noqa: E731
    r_pull_up, g = 1e4, jax.numpy.array([[G_ON, state], [G_ON, G_ON]])

    def current(g, u):
        return float(law(jax.numpy.full((1, 1), g)).current(jax.numpy.full((1, 1), u))[0, 0])

    def missing(u):
        return (1 - u) / r_pull_up - current(state, u) - current(G_ON, u / 3)

    u = brentq(missing, 0, 1, xtol=1e-14, rtol=1e-14)
    found = memory.read(
        g, xb.Wires(source=r_pull_up), v=1.0, row=0, col=1, unselected="floating", law=law
    )
    np.testing.assert_allclose(found.i_cell, current(state, u), rtol=1e-8)
    np.testing.assert_allclose(found.i_sneak, current(G_ON, u / 3), rtol=1e-6)


@pytest.mark.slow
def test_floating_reads_of_steep_selectors_end_within_a_dozen_steps():
    """What is left of their equations may grow on the way: steps halved too soon came to no end."""
    draw = np.random.default_rng(5).uniform
    on = jax.numpy.asarray(draw(size=(40, 2, 2)) < 0.5)
    ohms, volts, leak = 10 ** draw(1, 3.5, 40), draw(0.5, 2, 40), 10 ** draw(-12, -7, 40)

    def read(on, ohms, volts, leak):
        cells = xb.cells.Ohmic(jax.numpy.where(on, G_ON, G_OFF))
        law = xb.cells.Series(cells, xb.cells.Selector(leak, 0.06))
        array = xb.Crossbar(law, xb.Wires(1.0, 1.0, source=ohms, sense=ohms))
        bias = xb.Bias.read(2, 2, volts, row=0, col=1, unselected="floating")
        return xb.solve(array, bias, throw=False)

    found = jax.jit(jax.vmap(read))(on, ohms, volts, leak)
    assert bool(jax.numpy.all(found.result == xb.RESULTS.successful))
    assert int(found.steps.max()) <= 12
    np.testing.assert_allclose(found.i_word[:, 0], found.i_out[:, 1], rtol=1e-9)


@pytest.mark.parametrize(("scheme", "half", "rest"), [("half", 0.5, 0.0), ("third", 1 / 3, 1 / 3)])
def test_writes_without_wires_put_the_scheme_s_voltages_on_cells(scheme, half, rest):
    g = np.full((3, 4), 1e-4)
    found = memory.write_margin(g, v=2.0, row=1, col=2, scheme=scheme, solver=SOLVER)
    np.testing.assert_allclose(found.v_cell, 2.0, rtol=1e-12)
    np.testing.assert_allclose(found.v_half, 2 * half, rtol=1e-12)
    np.testing.assert_allclose(found.v_rest, 2 * rest, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.margin, 1 - half, rtol=1e-12)


def test_wires_take_from_a_write():
    g, wires = np.full((3, 4), 1e-3), xb.Wires(20.0, 20.0)
    one = memory.write_margin(g, wires, v=2.0, row=0, col=3, solver=SOLVER)
    other = memory.write_margin(g, wires, v=-2.0, row=0, col=3, solver=SOLVER)
    assert 1.0 < float(one.v_cell) < 2.0
    np.testing.assert_allclose(other.margin, one.margin, rtol=1e-12)
    np.testing.assert_allclose(other.p_total, one.p_total, rtol=1e-12)


def test_margin_has_a_gradient():
    """With respect to the wires, at the worst pattern."""

    def margin(r):
        wires = xb.Wires(r, r, 1.0, 1.0)
        return memory.read_margin(
            3, 3, G_ON, G_OFF, wires, v=0.2, unselected="floating", patterns="high", solver=SOLVER
        ).margin

    slope = float(jax.grad(margin)(300.0))
    difference = (float(margin(301.0)) - float(margin(299.0))) / 2
    assert abs(slope - difference) <= 1e-5 * abs(slope)


@pytest.mark.usefixtures("no_shape_checks")
def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="patterns: got 'all'"):
        memory.read_margin(2, 2, G_ON, G_OFF, v=0.2, patterns="all")
    for nothing, named in ((None, "None"), (np.zeros((0, 3, 3), bool), "none")):
        with pytest.raises(ValueError, match=f"patterns: got {named}, needs booleans"):
            memory.read_margin(3, 3, 1e-4, 1e-6, v=0.2, patterns=nothing)
    with pytest.raises(ValueError, match="patterns: got bool"):
        memory.read_margin(2, 2, G_ON, G_OFF, v=0.2, patterns=np.zeros((2, 2), bool))
    with pytest.raises(ValueError, match="cols: got 0, needs at least 1"):
        memory.read_margin(2, 0, G_ON, G_OFF, v=0.2)
    with pytest.raises(ValueError, match="scheme: got 'quarter'"):
        memory.write_margin(np.full((2, 2), 1e-4), v=1.0, row=0, col=0, scheme=WRONG)
    with pytest.raises(ValueError, match="row: got 2"):
        memory.write_margin(np.full((2, 2), 1e-4), v=1.0, row=2, col=0)
