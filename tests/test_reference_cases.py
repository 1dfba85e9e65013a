"""Rung 1 of the ladder: independent cases with expected numbers, and closed forms."""

import json
from pathlib import Path

import numpy as np
import pytest

import xbar as xb

PATH = Path(__file__).parent / "data" / "reference_cases.json"
GROUPS = {group["id"]: group["cases"] for group in json.loads(PATH.read_text())["groups"]}
SOLVERS = {"dense": (xb.Dense(), 1e-11), "cg": (xb.CG(), 1e-10), "default": (None, 1e-10)}
# `Dense` and `ColumnSweep` answer to the same cases.
SOLVERS["column_sweep"] = (xb.ColumnSweep(), 1e-11)


def conductances(resistances) -> np.ndarray:
    return 1 / np.array(resistances, dtype=float)  # "inf" reads as infinity: an open cell


def assert_close(actual, expected, scale, rtol):
    expected = np.array(expected, dtype=float)
    assert actual.shape == expected.shape
    assert np.max(np.abs(np.asarray(actual) - expected)) <= rtol * scale


def by_name(group):
    return [pytest.param(case, id=case["name"]) for case in GROUPS[group]]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("case", by_name("badcrossbar_qucs"))
def test_qucs(case, solver):
    solver, rtol = SOLVERS[solver]
    wires = xb.Wires(word_line=case["r_word_line"], bit_line=case["r_bit_line"])
    sol = xb.solve(xb.Crossbar(conductances(case["R"]), wires), np.array(case["V"]), solver)
    expected = {name: np.array(value) for name, value in case["expected"].items()}
    current = max(float(np.max(np.abs(expected[k]))) for k in expected if k[0] == "I")
    voltage = max(float(np.max(np.abs(expected[k]))) for k in expected if k[0] == "V")
    assert sol.result == xb.RESULTS.successful
    assert_close(sol.i_out, expected["I_out"], current, rtol)
    assert_close(sol.i_cell, expected["I_device"], current, rtol)
    assert_close(sol.v_word, expected["V_word_line"], voltage, rtol)
    assert_close(sol.v_bit, expected["V_bit_line"], voltage, rtol)
    # Kirchhoff's current law turns cell currents into segment currents.
    behind = np.cumsum(np.asarray(sol.i_cell)[:, ::-1], axis=1)[:, ::-1]
    assert_close(behind, expected["I_word_line"], current, rtol)
    assert_close(np.cumsum(sol.i_cell, axis=0), expected["I_bit_line"], current, rtol)


@pytest.mark.parametrize("solver", SOLVERS)
def test_badcrossbar_readme(solver):
    (case,) = GROUPS["badcrossbar_readme"]
    solver, rtol = SOLVERS[solver]
    wires = xb.Wires(word_line=case["r_word_line"], bit_line=case["r_bit_line"])
    inputs = np.array(case["V_columns_are_inputs"], dtype=float)
    sol = xb.solve(xb.Crossbar(conductances(case["R"]), wires), inputs, solver)
    expected = np.array(case["computed"]["I_out_per_input"]).T
    scale = np.max(np.abs(expected))
    assert_close(sol.i_out, expected, scale, rtol)
    one = case["computed"]["I_device_row0_col3_input2"]
    assert abs(sol.i_cell[0, 3, 2] - one) <= rtol * scale


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("case", by_name("fibonacci_ladder_exact"))
def test_unit_ladder(case, solver):
    solver, rtol = SOLVERS[solver]
    n = case["n"]
    word = np.array(case["expected"]["V_word_line"])
    total = case["expected"]["I_total"]
    row = xb.solve(xb.Crossbar(np.ones((1, n)), xb.Wires(word_line=1.0)), np.ones(1), solver)
    assert_close(row.v_word[0], word, 1.0, rtol)
    assert abs(np.sum(row.i_out) - total) <= rtol * total
    column = xb.solve(xb.Crossbar(np.ones((n, 1)), xb.Wires(bit_line=1.0)), np.ones(n), solver)
    assert_close(column.v_bit[::-1, 0], 1 - word, 1.0, rtol)
    assert abs(column.i_out[0] - total) <= rtol * total


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("case", by_name("multi_tool_agreement"))
@pytest.mark.parametrize("ends", ["in the segments", "as source and sense"])
def test_other_tools(case, solver, ends):
    solver, rtol = SOLVERS[solver]
    rows, cols = case["shape"]
    word = np.full((rows, cols), case["r_word_line"])
    bit = np.full((rows, cols), case["r_bit_line"])
    if ends == "in the segments":
        word[:, 0], bit[-1] = case["r_source"], case["r_load"]
        wires = xb.Wires(word_line=word, bit_line=bit)
    else:
        word[:, 0] = bit[-1] = 0
        wires = xb.Wires(word, bit, source=case["r_source"], sense=case["r_load"])
    sol = xb.solve(xb.Crossbar(conductances(case["R"]), wires), np.array(case["V"]), solver)
    expected = case["expected"]
    scale = np.max(np.abs(expected["I_out"]))
    assert_close(sol.i_out, expected["I_out"], scale, rtol)
    voltage = np.max(np.abs(expected["V_word_line"]))
    assert_close(sol.v_word, expected["V_word_line"], voltage, rtol)
    assert_close(sol.v_bit, expected["V_bit_line"], voltage, rtol)


@pytest.mark.parametrize("solver", SOLVERS)
def test_one_cell(solver):
    solver, rtol = SOLVERS[solver]
    wires = xb.Wires(word_line=2.0, bit_line=3.0, source=5.0, sense=7.0)
    sol = xb.solve(xb.Crossbar([[0.1]], wires), np.array([1.5]), solver)
    current = 1.5 / (1 / 0.1 + 2 + 3 + 5 + 7)
    assert_close(sol.i_out, [current], current, rtol)
    assert_close(sol.v_word, [[1.5 - 7 * current]], 1.5, rtol)
    assert_close(sol.v_bit, [[10 * current]], 1.5, rtol)
    assert abs(sol.p_total - 1.5 * current) <= rtol * 1.5 * current


@pytest.mark.parametrize("solver", ["ideal", *SOLVERS])
def test_wires_of_zero_resistance(solver):
    solver = xb.Ideal() if solver == "ideal" else SOLVERS[solver][0]
    g = np.random.default_rng(3).uniform(0, 1e-3, (7, 5))
    v_in = np.random.default_rng(4).uniform(-1, 1, 7)
    sol = xb.solve(xb.Crossbar(g), v_in, solver)
    assert_close(sol.i_out, g.T @ v_in, np.max(np.abs(g.T @ v_in)), 1e-14)
    assert_close(xb.transfer(xb.Crossbar(g), solver), g.T, np.max(g), 1e-14)
