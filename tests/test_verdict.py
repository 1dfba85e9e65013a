"""What a failed result shows: bad answers on request, never numbers that are no answer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar.solvers.base import largest_current, not_negative
from xbar.solvers.derivatives import also, filled, possible

R = xb.RESULTS
DRIVES, BAD, ABSURD = jnp.array([1.0, -2.0]), jnp.array([3.0, -1.0]), jnp.array([3.0, -1e14])


def test_the_first_failure_is_kept():
    found = also(
        also(R.successful, jnp.asarray(False), R.invalid_wires), jnp.asarray(False), R.floating
    )
    assert bool(found == R.invalid_wires)
    assert bool(also(R.successful, jnp.asarray(True), R.invalid_wires) == R.successful)


@pytest.mark.parametrize(
    ("result", "volts", "shown"),
    [
        (R.successful, BAD, True),
        (R.floating, BAD, True),
        (R.tolerance_missed, BAD, True),
        (R.cells_out_of_range, BAD, True),
        (R.tolerance_missed, ABSURD, False),
        (R.invalid_conductance, BAD, False),
    ],
)
def test_bad_answers_are_shown_and_absurd_ones_are_not(result, volts, shown):
    """And nothing that failed has a derivative."""

    def read(volts):
        return filled(volts, result, ~possible((DRIVES,), (volts,)))

    np.testing.assert_array_equal(read(volts), volts if shown else np.full(2, np.nan))
    good = bool((result == R.successful) | (result == R.floating))
    slopes = jax.vjp(read, volts)[1](jnp.ones(2))[0]
    np.testing.assert_array_equal(slopes, np.ones(2) if good else np.full(2, np.nan))


@pytest.mark.parametrize(("siemens", "shown"), [(1e-2, True), (1e-1, False)])
def test_wired_answers_that_missed_are_shown_alike(siemens, shown):
    """Two-ended lines, one step of an iteration: far off, or beyond anything a circuit does."""
    rng = np.random.default_rng(0)
    wires = xb.Wires(10.0, 10.0, 1.0, 1.0, source_far=1.0)
    array = xb.Crossbar(siemens * rng.uniform(0.01, 1, (6, 5)), wires)
    bias = xb.Bias(np.ones(6), np.zeros(5), np.ones(6))
    sol = xb.solve(array, bias, xb.CG(max_steps=1), throw=False)
    assert bool(sol.result == R.tolerance_missed)
    assert np.isfinite(sol.v_word).all() == shown
    assert np.isnan(sol.v_word).all() != shown


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1e-30])
def test_one_illegal_number_is_noticed_among_many(bad):
    """Of so many that XLA takes their minimum by a routine of its own, which passes over NaN."""
    x = np.full((65, 100), 1e-5)
    legal = jax.jit(not_negative)
    assert legal(x)
    x[40, 70] = bad
    assert not legal(x)


@pytest.mark.parametrize("place", [(40, 70), (0, 0), (64, 99)])
def test_one_current_without_a_value_leaves_its_input_without_a_largest(place):
    """Of so many that XLA takes their maximum by a routine of its own, which passes over NaN."""
    i_cell = np.full((2, 65, 100), 1e-5)
    i_cell[1][place] = np.nan
    of_first, of_second = jax.jit(largest_current)(i_cell)
    assert of_first == pytest.approx(1e-3)  # of a row: 100 cells
    assert np.isnan(of_second)


@pytest.mark.parametrize("signs", [False, True])
def test_large_arrays_in_float32_are_right_within_their_tolerance_and_known_to_be(signs):
    """Roundings of 262,144 cells, each taken at its worst, would add up to more than that."""
    rng = np.random.default_rng(0)
    g = np.exp(rng.uniform(np.log(1e-6), np.log(1e-4), (512, 512))).astype(np.float32)
    v_in = rng.uniform(0.02, 0.2, 512).astype(np.float32)
    v_in = v_in * rng.choice(np.float32([-1, 1]), 512) if signs else v_in
    array = xb.Crossbar(g, xb.Wires(np.float32(1), np.float32(1)))
    found = xb.solve(array, v_in, xb.CG())
    assert found.i_out.dtype == np.float32
    exact = xb.solve(
        xb.Crossbar(g.astype(float), xb.Wires(1.0, 1.0)), v_in.astype(float), xb.CG(rtol=1e-9)
    )
    largest = np.abs(exact.i_cell).max()
    assert np.abs(found.i_cell - exact.i_cell).max() <= 1e-5 * largest
