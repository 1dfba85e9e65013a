"""Power: what the drivers give is what the parts take, each by its own law."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from circuits import REGIMES, exact, random_circuit

import xbar as xb

ROWS, COLS = 4, 3
SOLVER = xb.CG()


def taken(array, v_in):
    sol = xb.solve(array, v_in, SOLVER)
    return sol, xb.power(array, sol)


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("seed", range(3))
def test_the_parts_add_up_to_what_the_drivers_give(regime, seed):
    case = random_circuit(np.random.default_rng(seed), ROWS, COLS, regime)
    sol, power = taken(case.array(), case.v_in)
    assert abs(float(power.total) - float(sol.p_total)) <= 1e-12 * float(sol.p_total)
    leaves = sum(float(np.sum(x)) for x in jax.tree.leaves(power))
    assert abs(leaves - float(sol.p_total)) <= 1e-12 * float(sol.p_total)
    assert all((np.asarray(x) >= 0).all() for x in jax.tree.leaves(power))


@pytest.mark.parametrize("seed", range(3))
def test_each_part_is_that_of_the_exact_circuit(seed):
    case = random_circuit(np.random.default_rng(seed), ROWS, COLS, "severe")
    i_cell, word, bit = exact(case)
    power = taken(case.array(), case.v_in)[1]
    behind = np.cumsum(i_cell[:, ::-1], axis=1)[:, ::-1]
    above = np.cumsum(i_cell, axis=0)
    expected = {
        "cells": case.g * (word - bit) ** 2,
        "word_lines": case.word_line * behind**2,
        "bit_lines": case.bit_line * above**2,
        "drivers": case.source * behind[:, 0] ** 2,
        "amplifiers": case.sense * above[-1] ** 2,
    }
    largest = max(x.max() for x in expected.values())
    for name, x in expected.items():
        assert np.abs(np.asarray(getattr(power, name)) - x).max() <= 1e-9 * largest
        np.testing.assert_allclose(power.parts[name], x.sum(), atol=1e-9 * largest)


def test_many_inputs_energy_and_wires_by_broadcast():
    case = random_circuit(np.random.default_rng(1), ROWS, COLS, "mild")
    array = xb.Crossbar(case.g, xb.Wires(2.0, np.arange(1.0, 4.0)[None], 5.0, case.sense))
    inputs = np.random.default_rng(2).uniform(-1, 1, (ROWS, 2))
    sol, power = taken(array, inputs)
    assert power.cells.shape == (ROWS, COLS, 2)
    assert power.drivers.shape == (ROWS, 2)
    np.testing.assert_allclose(power.total, sol.p_total, rtol=1e-12)
    np.testing.assert_allclose(power.energy(10e-9), 10e-9 * np.asarray(sol.p_total), rtol=1e-12)
    alone = taken(array, inputs[:, 1])[1]
    for one, many in zip(jax.tree.leaves(alone), jax.tree.leaves(power), strict=True):
        np.testing.assert_allclose(many[..., 1], one, rtol=1e-9, atol=1e-18)


def test_where_the_power_goes_has_derivatives():
    case = random_circuit(np.random.default_rng(0), ROWS, COLS, "mild")
    array = case.array()

    def in_wires(r):
        moved = xb.Crossbar(array.g, xb.Wires(r, r))
        return taken(moved, case.v_in)[1].parts["word_lines"]

    slope = jax.jit(jax.grad(in_wires))(5.0)
    value = jax.jit(in_wires)
    step = 1e-4
    found = (float(value(5 + step)) - float(value(5 - step))) / (2 * step)
    np.testing.assert_allclose(slope, found, rtol=1e-6)


@pytest.mark.usefixtures("no_shape_checks")
def test_bad_input_gets_one_sentence():
    array = xb.Crossbar(np.full((2, 2), 1e-5))
    sol = xb.solve(array, np.ones(2), SOLVER)
    with pytest.raises(TypeError, match=r"array: got ndarray, needs xbar.Crossbar"):
        xb.power(np.ones((2, 2)), sol)
    with pytest.raises(TypeError, match=r"sol: got float, needs what xbar.solve returns"):
        xb.power(array, 1.0)
    with pytest.raises(ValueError, match="sol: got that of a 2 x 2 array, needs 3 x 2"):
        xb.power(xb.Crossbar(np.full((3, 2), 1e-5)), sol)
    with pytest.raises(ValueError, match=r"seconds: got -1.0, needs a finite time"):
        xb.power(array, sol).energy(-1.0)


def test_a_failed_solution_has_no_power():
    array = xb.Crossbar(jnp.asarray([[np.nan, 1e-5]]))
    sol = xb.solve(array, np.ones(1), SOLVER, throw=False)
    assert np.isnan(xb.power(array, sol).total)
