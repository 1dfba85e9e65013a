"""Random circuits of cells that are not resistors, mild to absurd: right, or said not to be.

Sixty by default; a thousand are marked slow.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from newton_cases import SIDE, Answer, Case, inner, random_case, right_answer, stacked

import xbar as xb
from xbar import cells

pytestmark = pytest.mark.optimized

TOLERANCE = 1e-9  # of the largest current


@functools.cache
def solved(selector: bool):
    """Many circuits of one law in one call."""

    def one(g, v_in, segment, source, sense, a, b):
        law = cells.Series(cells.Ohmic(g), cells.Selector(a, b)) if selector else cells.Sinh(g, a)
        array = xb.Crossbar(law, xb.Wires(segment, segment, source, sense))
        found = xb.solve(array, v_in, throw=False)
        return found.i_cell, found.result == xb.RESULTS.successful, found.steps

    return jax.jit(jax.vmap(one))


def errors(cases: list[Case], i_cell: np.ndarray) -> np.ndarray:
    """Of each circuit, relative to its largest current."""
    found = []
    for case, i in zip(cases, i_cell, strict=True):
        mine = inner(case, i)
        right = right_answer(case, mine)
        found.append(np.max(np.abs(mine - right.i_cell)) / right.largest)
    return np.array(found, float)


@pytest.mark.parametrize("selector", [False, True], ids=["sinh", "1S1R"])
@pytest.mark.parametrize("count", [30, pytest.param(500, marks=pytest.mark.slow)])
def test_none_is_silently_wrong_and_few_are_flagged(selector, count):
    cases = [random_case(seed, selector) for seed in range(count)]
    i_cell, claims, steps = (np.asarray(x) for x in solved(selector)(*stacked(cases)))
    assert np.mean(~claims) <= 0.005
    wrong = errors(cases, i_cell)
    assert wrong[claims].max() <= TOLERANCE
    assert np.percentile(steps, 99) <= 15


def test_the_oracle_solves_two_cells_in_series_with_one_resistor():
    """One cell behind its wires is a scalar equation, solved here by bisection."""
    case = Case(np.array([[1e-4]]), np.array([1.0]), 1e3, 50.0, 20.0, 0.1, 0.0)
    ohms = 2e3 + 70.0
    low, high = 0.0, 1.0
    for _ in range(200):
        u = (low + high) / 2
        low, high = (u, high) if u + ohms * 1e-5 * np.sinh(u / 0.1) < 1 else (low, u)
    right: Answer = right_answer(case, np.zeros((1, 1)))
    assert abs(float(right.i_cell[0, 0]) - 1e-5 * np.sinh(u / 0.1)) <= 1e-14 * right.largest


def test_currents_off_by_a_ten_millionth_are_noticed():
    case = random_case(0, False)
    right = right_answer(case, np.zeros(case.g.shape))
    whole = np.zeros((1, SIDE, SIDE))
    rows, cols = case.g.shape
    whole[0, SIDE - rows :, :cols] = right.i_cell
    assert errors([case], whole)[0] <= 1e-15
    assert errors([case], whole * (1 + 1e-7))[0] > TOLERANCE
    assert bool(jnp.all(whole[0, : SIDE - rows] == 0))
