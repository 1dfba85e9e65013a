"""Rungs 1 and 2: every solver against exact rational arithmetic, from mild to extreme circuits."""

from functools import cache

import circuits
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import xbar as xb

SHAPES = [(1, 1), (1, 4), (4, 1), (5, 4)]
SOLVERS = {
    "dense": xb.Dense(),
    "cg": xb.CG(),
    "cg, fused": xb.CG(fused=True),
    "column_sweep": xb.ColumnSweep(),
    "default": xb.Auto(),
}


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from(SHAPES),
    regime=st.sampled_from(sorted(circuits.REGIMES)),
)
@hypothesis_settings(max_examples=80)
def test_float64_matches_exact_fractions(seed, shape, regime):
    circuit = circuits.random_circuit(np.random.default_rng(seed), *shape, regime)
    i_cell, v_word, v_bit = circuits.exact(circuit)
    largest = circuits.largest_current(i_cell)
    volts = np.max(np.abs(circuit.v_in))
    for name, solver in SOLVERS.items():
        sol = xb.solve(circuit.array(), circuit.v_in, solver, throw=False)
        may_give_up = name.startswith("cg") and regime == "extreme"
        if may_give_up and sol.result == xb.RESULTS.tolerance_missed:
            continue  # but not silently
        assert sol.result == xb.RESULTS.successful, name
        assert np.max(np.abs(sol.i_cell - i_cell)) <= 1e-10 * largest, name
        assert np.max(np.abs(sol.i_out - i_cell.sum(0))) <= 1e-10 * largest, name
        assert np.max(np.abs(sol.v_word - v_word)) <= 1e-10 * volts, name
        assert np.max(np.abs(sol.v_bit - v_bit)) <= 1e-10 * volts, name


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from(SHAPES),
    regime=st.sampled_from(["mild", "severe"]),
)
@hypothesis_settings(max_examples=40)
def test_float32_matches_exact_fractions(seed, shape, regime):
    circuit = circuits.random_circuit(np.random.default_rng(seed), *shape, regime)
    # The exact circuit of the rounded numbers: only the solver's error is measured.
    circuit = circuits.Circuit(*(np.asarray(part, np.float32) for part in circuit))
    i_cell, _, _ = circuits.exact(circuit)
    limit = 2e-6 if regime == "mild" else 1e-5
    largest = circuits.largest_current(i_cell)
    for name, solver in SOLVERS.items():
        sol = xb.solve(circuit.array(np.float32), circuit.v_in, solver)
        assert sol.i_out.dtype == np.float32
        assert np.max(np.abs(sol.i_cell - i_cell)) <= limit * largest, name
        assert np.max(np.abs(sol.i_out - i_cell.sum(0))) <= limit * largest, name


@cache
def severe_drop():
    """32x32 of 100 ohm cells with 40 ohm segments: far cells see a thousandth of the input."""
    array = xb.Crossbar(np.full((32, 32), 1e-2), xb.Wires(word_line=40.0, bit_line=40.0))
    v_in = np.linspace(0.05, 0.2, 32)
    return array, v_in, xb.solve(array, v_in, xb.Dense())


@pytest.mark.parametrize("solver", ["cg", "column_sweep", "default"])
def test_severe_drop_matches_dense(solver):
    array, v_in, expected = severe_drop()
    sol = xb.solve(array, v_in, SOLVERS[solver])
    largest = circuits.largest_current(np.asarray(expected.i_cell))
    assert np.max(np.abs(sol.i_cell - expected.i_cell)) <= 1e-11 * largest
    assert np.max(np.abs(sol.v_bit - expected.v_bit)) <= 1e-11 * 0.2
    in_float32 = xb.solve(
        circuits.cast(array, np.float32), v_in.astype(np.float32), SOLVERS[solver], throw=False
    )
    if solver == "cg" and in_float32.result == xb.RESULTS.tolerance_missed:
        return  # alone it may give up in float32, but not silently
    assert np.max(np.abs(in_float32.i_cell - expected.i_cell)) <= 1e-5 * largest


@pytest.mark.parametrize("solver", SOLVERS)
def test_no_current_is_an_answer(solver):
    for array in (xb.Crossbar(np.zeros((3, 4)), xb.Wires(1.0, 1.0)), xb.Crossbar(np.ones((3, 4)))):
        v_in = np.zeros(3) if np.any(array.g) else np.ones(3)
        sol = xb.solve(array, v_in, SOLVERS[solver])
        assert sol.result == xb.RESULTS.successful
        assert sol.kcl_residual == 0
        assert not np.any(sol.i_cell)
        np.testing.assert_array_equal(sol.v_word, np.repeat(v_in[:, None], 4, axis=1))


def test_kcl_residual_of_a_right_answer_is_rounding():
    circuit = circuits.random_circuit(np.random.default_rng(1), 12, 9, "severe")
    sol = xb.solve(circuit.array(), circuit.v_in, xb.ColumnSweep())
    assert 0 < sol.kcl_residual < 1e-12


def test_default_falls_back_where_cg_gives_up():
    """Cells and wires over nine decades each: CG alone misses its tolerance and says so."""
    circuit = circuits.random_circuit(np.random.default_rng(5), 24, 20, "extreme")
    failed = xb.solve(circuit.array(), circuit.v_in, xb.CG(), throw=False)
    assert failed.result == xb.RESULTS.tolerance_missed
    sol = xb.solve(circuit.array(), circuit.v_in)
    expected = xb.solve(circuit.array(), circuit.v_in, xb.Dense())
    largest = circuits.largest_current(np.asarray(expected.i_cell))
    assert np.max(np.abs(sol.i_cell - expected.i_cell)) <= 1e-10 * largest


@pytest.mark.parametrize("word_shape", [(), (6, 1), (1, 5), (6, 5)])
@pytest.mark.parametrize("bit_shape", [(), (6, 1), (1, 5), (6, 5)])
def test_every_shape_of_wires_means_the_same(word_shape, bit_shape):
    rng = np.random.default_rng(2)
    g = rng.uniform(1e-5, 1e-3, (6, 5))
    word, bit = rng.uniform(1, 50, word_shape), rng.uniform(1, 50, bit_shape)
    source, sense = rng.uniform(1, 50, 6), rng.uniform(1, 50, 5)
    v_in = rng.uniform(-1, 1, 6)
    sol = xb.solve(xb.Crossbar(g, xb.Wires(word, bit, source, sense)), v_in, xb.CG(rtol=1e-13))
    full = xb.Wires(np.broadcast_to(word, (6, 5)), np.broadcast_to(bit, (6, 5)), source, sense)
    expected = xb.solve(xb.Crossbar(g, full), v_in, xb.Dense())
    largest = circuits.largest_current(np.asarray(expected.i_cell))
    assert np.max(np.abs(sol.i_cell - expected.i_cell)) <= 1e-13 * largest
    assert np.max(np.abs(sol.v_bit - expected.v_bit)) <= 1e-13


def test_long_lines_neither_overflow_nor_underflow():
    g = np.full((400, 3), 1e-2)
    array = xb.Crossbar(g, xb.Wires(word_line=1.0, bit_line=1e3))
    expected = xb.solve(array, np.ones(400), xb.Dense())
    sol = xb.solve(array, np.ones(400), xb.ColumnSweep())
    assert np.all(np.isfinite(sol.i_cell))
    assert np.max(np.abs(sol.i_out - expected.i_out)) <= 1e-10 * np.max(expected.i_out)
