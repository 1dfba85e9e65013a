"""An array's response: exact single changes, against rational arithmetic and against its laws."""

import dataclasses
from functools import partial

import circuits
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xbar as xb
from xbar import sensitivity as sens
from xbar.sensitivity.response import _sound
from xbar.sensitivity.update import changed_transfer, update_factor
from xbar.solvers.base import problem_of

ROWS, COLS = 5, 4
REGIMES = list(circuits.REGIMES)
seeds = st.integers(0, 2**32 - 1)
regimes = st.sampled_from(REGIMES)


def circuit_of(seed, regime="severe"):
    return circuits.random_circuit(np.random.default_rng(seed), ROWS, COLS, regime)


@jax.jit
def one_cell(response, row, column, g_new):
    """T with one cell changed, by the diagonal of K."""
    k = response.k_cell[row, column][None, None, None]
    factor = update_factor(k, (g_new - response.g[row, column])[None, None])[0, 0, 0]
    return response.t + factor * jnp.outer(response.l[:, row, column], response.u[:, row, column])


@jax.jit
def set_of_cells(response, known, cells, g_new):
    dg = g_new - response.g[cells[:, 0], cells[:, 1]]
    return several(response, known.among(cells), cells, dg)


def several(response, coupling, cells, dg):
    """T with several cells changed, whose coupling is given."""
    u, l = (x[:, cells[:, 0], cells[:, 1]].T for x in (response.u, response.l))  # noqa: E741
    return changed_transfer(response.t, u, l, coupling, dg)


def off(t, circuit):
    """Largest error of the output currents, relative to the largest current."""
    i_cell, *_ = circuits.exact(circuit)
    wrong = np.abs(np.asarray(t) @ circuit.v_in - i_cell.sum(0))
    return np.max(wrong) / circuits.largest_current(i_cell)


def changed(circuit, row, column, g_new):
    g = circuit.g.copy()
    g[row, column] = g_new
    return circuit._replace(g=g)


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("seed", range(6))
def test_any_single_change_is_exact(seed, regime):
    """Opened, put to the ends of the range, made far larger: within 1e-10 of rational arithmetic.

    Where rounding could pass that, the answer is NaN and never a wrong number.
    """
    circuit = circuit_of(seed, regime)
    response = sens.response(circuit.array())
    assert off(response.t, circuit) <= 1e-10
    rng, known = np.random.default_rng(seed), 0
    low, high = circuits.REGIMES[regime][0]
    for g_new in (0.0, low, high, 1e3 * high):
        row, column = rng.integers(ROWS), rng.integers(COLS)
        t = one_cell(response, row, column, g_new)
        if not bool(jnp.isnan(t).any()):
            known += 1
            assert off(t, changed(circuit, row, column, g_new)) <= 1e-10
    assert known >= (2 if regime == "extreme" else 4)


@pytest.mark.parametrize("regime", ["mild", "severe"])
def test_float32_errors(regime):
    for seed in range(4):
        circuit = circuit_of(seed, regime)
        response = sens.response(circuit.array(np.float32))
        assert response.t.dtype == response.k_rows.dtype == jnp.float32
        t = one_cell(response, 2, 1, jnp.float32(circuits.REGIMES[regime][0][1]))
        found = changed(circuit, 2, 1, circuits.REGIMES[regime][0][1])
        assert off(t, found) <= 2e-5


@pytest.mark.slow
def test_voltages_are_those_of_solve():
    circuit = circuit_of(3)
    response = sens.response(circuit.array())
    solution = xb.solve(circuit.array(), np.eye(ROWS), xb.Dense())
    u = np.moveaxis(np.asarray(solution.v_word - solution.v_bit), -1, 0)
    np.testing.assert_allclose(response.u, u, atol=1e-10)
    back = xb.solve(circuit.turned().array(), np.eye(COLS), xb.Dense())
    left = np.asarray(back.v_word - back.v_bit)[::-1, ::-1, ::-1]
    np.testing.assert_allclose(response.l, left.transpose(2, 1, 0), atol=1e-10)


def test_wires_without_resistance_couple_nothing():
    array = circuit_of(0).array()
    response = sens.response(xb.Crossbar(array.g, jax.tree.map(jnp.zeros_like, array.wires)))
    assert not np.any(response.k_rows)
    assert not np.any(response.k_cols)
    np.testing.assert_array_equal(response.t, array.g.T)


@settings(max_examples=25)
@given(seeds, regimes)
def test_coupling_is_one_symmetric_matrix(seed, regime):
    """The lines' parts of K, found by two sweeps, are parts of one symmetric matrix >= 0."""
    array = circuit_of(seed, regime).array()
    response = sens.response(array)
    cells = jnp.stack(jnp.meshgrid(jnp.arange(ROWS), jnp.arange(COLS), indexing="ij"), -1)
    whole = np.asarray(sens.coupling(array).among(cells.reshape(-1, 2)))
    largest = max(whole.max(), 1e-300)
    assert np.max(np.abs(whole - whole.T)) <= 1e-12 * largest
    assert np.linalg.eigvalsh(whole / largest).min() >= -1e-12
    by_cell = whole.reshape(ROWS, COLS, ROWS, COLS)
    for part, found in (
        (response.k_rows, np.einsum("ijim->ijm", by_cell)),
        (response.k_cols, np.einsum("ijmj->jim", by_cell)),
        (response.k_cell, np.einsum("ijij->ij", by_cell)),
    ):
        assert np.max(np.abs(part - found)) <= 1e-10 * largest


@settings(max_examples=25)
@given(seeds, regimes)
def test_coupling_solves_the_cell_equation(seed, regime):
    """K + drop(g K) = drop, for the drop of the solvers."""
    array = circuit_of(seed, regime).array()
    cells = np.stack(np.unravel_index(np.arange(ROWS * COLS), (ROWS, COLS)), -1)
    k = np.asarray(sens.coupling(array).among(jnp.asarray(cells))).reshape(-1, ROWS, COLS)
    drop = drop_of_unit_currents(array)
    left = k + np.asarray(drop_of(array, array.g * k)) - drop
    assert np.max(np.abs(left)) <= 1e-11 * np.max(drop)


@jax.jit
def drop_of(array, i_cell):
    return problem_of(array.g, array.wires).drop(i_cell)


def drop_of_unit_currents(array):
    return np.asarray(drop_of(array, jnp.eye(ROWS * COLS).reshape(-1, ROWS, COLS)))


@settings(max_examples=25)
@given(seeds, regimes, st.integers(0, ROWS - 1), st.integers(0, COLS - 1))
def test_a_cell_set_to_its_own_value_changes_nothing(seed, regime, row, column):
    response = sens.response(circuit_of(seed, regime).array())
    t = one_cell(response, row, column, response.g[row, column])
    np.testing.assert_array_equal(t, response.t)


@settings(max_examples=8)
@given(seeds, st.sampled_from(["mild", "severe"]), st.data())
def test_two_changes_in_turn_are_the_change_of_both(seed, regime, data):
    circuit = circuit_of(seed, regime)
    cells = data.draw(
        st.lists(
            st.tuples(st.integers(0, ROWS - 1), st.integers(0, COLS - 1)),
            min_size=2,
            max_size=2,
            unique=True,
        )
    )
    low, high = circuits.REGIMES[regime][0]
    a, b = data.draw(st.tuples(*2 * [st.floats(low, high)]))
    array = circuit.array()
    together = set_of_cells(
        sens.response(array), sens.coupling(array), jnp.asarray(cells), jnp.asarray([a, b])
    )
    first = changed(circuit, *cells[0], a)
    in_turn = one_cell(sens.response(first.array()), *cells[1], b)
    scale = np.max(np.abs(in_turn))
    np.testing.assert_allclose(together, in_turn, atol=1e-10 * scale)


@settings(max_examples=25)
@given(seeds, st.sampled_from(["mild", "severe"]), st.integers(0, ROWS - 1))
def test_stuck_and_mended_is_as_before(seed, regime, row):
    circuit = circuit_of(seed, regime)
    response = sens.response(circuit.array())
    stuck = changed(circuit, row, 1, circuits.REGIMES[regime][0][1])
    back = one_cell(sens.response(stuck.array()), row, 1, circuit.g[row, 1])
    np.testing.assert_allclose(back, response.t, atol=1e-10 * np.max(response.t))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (5, 1)], ids=str)
def test_one_line(shape):
    circuit = circuits.random_circuit(np.random.default_rng(1), *shape, "severe")
    response = sens.response(circuit.array())
    t = one_cell(response, shape[0] - 1, 0, 3e-3)
    assert off(t, changed(circuit, shape[0] - 1, 0, 3e-3)) <= 1e-12


@pytest.mark.slow
def test_a_batch_of_arrays():
    made = [circuit_of(seed).array() for seed in range(3)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *made)
    found = jax.vmap(partial(sens.response, throw=False))(stacked)
    for k, array in enumerate(made):
        np.testing.assert_allclose(found.k_cols[k], sens.response(array).k_cols, rtol=1e-12)


PARTS = ["t", "u", "l", "k_rows", "k_cols"]
sound = jax.jit(_sound)


@pytest.mark.parametrize("part", [None, *PARTS])
def test_the_sweeps_find_each_others_errors(part):
    """One number wrong by a millionth of the largest of its kind, and the result is refused."""
    array = circuit_of(4).array()
    response = sens.response(array)
    if part is not None:
        numbers = getattr(response, part)
        worse = numbers.at[(1,) * numbers.ndim].add(1e-6 * jnp.max(numbers))
        response = dataclasses.replace(response, **{part: worse})
    assert bool(sound(problem_of(array.g, array.wires), response)) == (part is None)


def test_a_response_that_missed_its_tolerance_is_refused():
    """Some extreme circuits are too much for float32: an error or NaN. The others are right."""
    refused = 0
    for seed in range(8):
        circuit = circuit_of(seed, "extreme")
        found = sens.response(circuit.array(np.float32), throw=False)
        if found.result == xb.RESULTS.successful:
            assert off(found.t, circuit) <= 1e-4  # the check is made in float32, too
            continue
        refused += 1
        assert found.result == xb.RESULTS.tolerance_missed
        assert all(bool(jnp.isnan(getattr(found, part)).all()) for part in PARTS)
        with pytest.raises(RuntimeError, match="missed their tolerance"):
            sens.response(circuit.array(np.float32))
    assert 0 < refused < 8


@pytest.mark.parametrize("cells", [1, 2])
@pytest.mark.parametrize(("share", "lost"), [(1.0, True), (0.5, False)])
def test_what_rounding_could_spoil_is_nan(cells, share, lost):
    """Cells of 1 S that carry all of their line's current but a billionth, opened: 1 + dg K = 1e-9.

    By each way to the factor F. Half opened, they are fine.
    """
    k = jnp.full((cells, cells), (1 - 1e-9) / cells)
    dg = jnp.full(cells, -share)
    at = jnp.stack([jnp.arange(cells), jnp.zeros(cells, int)], -1)
    response = sens.response(circuit_of(0).array())
    factor = jax.jit(update_factor)(k[None], dg[None])
    for found in (factor, jax.jit(several)(response, k, at, dg)):
        assert bool(jnp.isnan(found).all()) == bool(jnp.isnan(found).any()) == lost


@pytest.mark.usefixtures("no_shape_checks")
def test_bad_arrays_are_refused_or_marked():
    with pytest.raises(TypeError, match=r"array: got ndarray, needs xbar\.Crossbar"):
        sens.response(np.ones((2, 2)))
    array = circuit_of(0).array()
    endless = xb.Crossbar(array.g.at[0, 0].set(jnp.inf), array.wires)
    with pytest.raises(ValueError, match="Conductances must be finite"):
        sens.response(endless)
    marked = sens.response(endless, throw=False)
    assert marked.result == xb.RESULTS.invalid_conductance
    assert bool(jnp.isnan(marked.t).all())
    negative = dataclasses.replace(array.wires, source=array.wires.source.at[1].set(-1.0))
    with pytest.raises(ValueError, match="Wire resistances must be finite"):
        sens.response(xb.Crossbar(array.g, negative))
    large = xb.Crossbar(jnp.ones((200, 200)))
    with pytest.raises(ValueError, match="array: got 200x200 cells, needs at most 11585"):
        sens.coupling(large)
