"""Single stuck cells of arrays whose cells are not linear."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar import cells
from xbar import sensitivity as sens

RNG = np.random.default_rng(7)
ROWS, COLS = 4, 6
G = np.exp(RNG.uniform(np.log(1e-6), np.log(1e-4), (ROWS, COLS)))
WIRES = xb.Wires(30.0, 20.0, 50.0, 10.0)
V_IN = RNG.uniform(0.05, 0.3, ROWS)
STUCK = 3e-4


def array(v_0=0.1, g=G):
    return xb.Crossbar(cells.Sinh(g, v_0), WIRES)


def largest(x) -> float:
    return float(np.max(np.abs(x)))


@pytest.fixture(scope="module")
def found():
    return sens.nonlinear_cell_faults(array(), V_IN, STUCK)


@jax.jit
def solved_anew(stuck):
    """Every fault, each array solved from the drive."""

    def one(mask):
        law = cells.Where(mask, cells.Ohmic(jnp.full((ROWS, COLS), stuck)), cells.Sinh(G, 0.1))
        sol = xb.solve(xb.Crossbar(law, WIRES), V_IN)
        return sol.i_out, sol.steps

    i_out, steps = jax.vmap(one)(jnp.eye(ROWS * COLS, dtype=bool).reshape(-1, ROWS, COLS))
    return i_out.reshape(ROWS, COLS, COLS), steps.reshape(ROWS, COLS)


def test_each_fault_is_the_array_solved_anew(found):
    right, steps = solved_anew(STUCK)
    np.testing.assert_allclose(found.i_out, right, rtol=0, atol=1e-10 * largest(right))
    assert np.all(np.asarray(found.steps) <= np.asarray(steps))
    assert float(jnp.mean(found.steps)) < float(jnp.mean(steps))


def test_the_linearised_update_is_nearly_right(found):
    """Far nearer than no update; the wires drop a good part of the voltage here."""
    assert float(jnp.max(found.off)) < 0.2
    assert float(jnp.median(found.off)) > 1e-4  # the cells do bend


@pytest.mark.slow
def test_linear_cells_are_right_by_the_update_alone():
    linear = xb.Crossbar(G, WIRES)
    found = sens.nonlinear_cell_faults(linear, V_IN, STUCK, cells=[[0, 0], [2, 5]])
    for k, (row, col) in enumerate(((0, 0), (2, 5))):
        g = G.copy()
        g[row, col] = STUCK
        right = xb.solve(xb.Crossbar(g, WIRES), V_IN).i_out
        for ours in (found.linearised[k], found.i_out[k]):
            np.testing.assert_allclose(ours, right, rtol=0, atol=1e-10 * largest(right))
    assert np.all(np.asarray(found.steps) <= 2)  # the start lacks cells beside the two lines


@pytest.mark.slow
def test_a_chosen_cell_has_its_own_value_and_its_derivative(found):
    at = np.array([[1, 2], [3, 0]])
    some = sens.nonlinear_cell_faults(array(), V_IN, np.array([STUCK, 0.0]), at)
    np.testing.assert_allclose(some.i_out[0], found.i_out[1, 2], rtol=1e-9)
    assert largest(some.i_out[1] - some.before) > 0

    def total(stuck):
        return jnp.sum(sens.nonlinear_cell_faults(array(), V_IN, stuck, at).i_out[0])

    slope = jax.grad(total)(jnp.full(2, STUCK))
    step = 1e-4 * STUCK
    high, low = (total(jnp.full(2, STUCK + sign * step)) for sign in (1, -1))
    assert abs((high - low) / (2 * step) - slope[0]) <= 1e-6 * abs(slope[0])
    assert slope[1] == 0


def test_wrong_arguments_get_a_sentence(no_shape_checks):
    def refused(match, *arguments, kind: type[Exception] = ValueError):
        with pytest.raises(kind, match=match):
            sens.nonlinear_cell_faults(*arguments)

    refused("array: got ndarray, needs", G, V_IN, STUCK, kind=TypeError)
    refused(r"v_in: got shape \(4, 1\), needs \(4,\)", array(), V_IN[:, None], STUCK)
    refused("stuck: got", array(), V_IN, -1.0)
    refused(r"cells: got \(4, 0\), needs rows 0..3", array(), V_IN, STUCK, [[4, 0]])
    far = xb.Crossbar(cells.Sinh(G, 0.1), xb.Wires(1.0, 1.0, source_far=1.0))
    refused("array: got drivers at far ends", far, V_IN, STUCK)


def test_exact_maps_of_all_faults_say_what_to_use_instead():
    with pytest.raises(ValueError, match=r"use xbar\.sensitivity\.nonlinear_cell_faults"):
        sens.response(array())
