"""Rung 6 of the ladder: laws that hold for every linear resistive circuit."""

import circuits
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import xbar as xb

drawn = given(seed=st.integers(0, 2**32 - 1), regime=st.sampled_from(["mild", "severe"]))
few = hypothesis_settings(max_examples=25)


def draw(seed, regime):
    return circuits.random_circuit(np.random.default_rng(seed), 6, 5, regime)


@drawn
@few
def test_power_in_is_power_dissipated(seed, regime):
    circuit = draw(seed, regime)
    sol = xb.solve(circuit.array(), circuit.v_in)
    i_cell = np.asarray(sol.i_cell)
    behind = np.cumsum(i_cell[:, ::-1], axis=1)[:, ::-1]
    above = np.cumsum(i_cell, axis=0)
    dissipated = (
        np.sum(i_cell * (np.asarray(sol.v_word) - sol.v_bit))
        + np.sum(circuit.word_line * behind**2)
        + np.sum(circuit.bit_line * above**2)
        + np.sum(circuit.source * behind[:, 0] ** 2)
        + np.sum(circuit.sense * above[-1] ** 2)
    )
    assert abs(sol.p_total - dissipated) <= 1e-10 * dissipated


@drawn
@few
def test_transfer_is_positive_and_superposes(seed, regime):
    circuit = draw(seed, regime)
    t = xb.transfer(circuit.array())
    sol = xb.solve(circuit.array(), circuit.v_in)
    assert t.shape == (5, 6)
    assert np.min(t) >= -1e-10 * np.max(t)
    scale = np.max(np.abs(t) @ np.abs(circuit.v_in))
    assert np.max(np.abs(t @ circuit.v_in - sol.i_out)) <= 1e-10 * scale


@pytest.mark.parametrize(
    "shape", [(6, 5), (5, 6), pytest.param((5, 5), marks=pytest.mark.slow)], ids=str
)
def test_transfer_holds_the_currents_of_unit_inputs(shape):
    """Tall arrays are driven from their columns, wide and square ones from their rows."""
    circuit = circuits.random_circuit(np.random.default_rng(6), *shape, "severe")
    t = xb.transfer(circuit.array())
    unit = xb.solve(circuit.array(), np.eye(shape[0])).i_out
    assert np.max(np.abs(t - unit)) <= 1e-10 * np.max(unit)


@drawn
@few
def test_reciprocity(seed, regime):
    """Turn the array around (bit lines driven, word lines read): the transposed matrix."""
    circuit = draw(seed, regime)
    t = np.asarray(xb.transfer(circuit.array()))
    back = np.asarray(xb.transfer(circuit.turned().array()))
    assert np.max(np.abs(back[::-1, ::-1].T - t)) <= 1e-10 * np.max(t)


def test_many_inputs_equal_one_at_a_time():
    circuit = draw(7, "severe")
    inputs = np.random.default_rng(8).uniform(-1, 1, (6, 3))
    both = xb.solve(circuit.array(), inputs)
    assert both.i_out.shape == (5, 3)
    assert both.v_word.shape == both.v_bit.shape == both.i_cell.shape == (6, 5, 3)
    assert both.p_total.shape == (3,)
    assert both.kcl_residual.shape == ()
    assert bool(both.result == xb.RESULTS.successful)
    for k in range(3):
        one = xb.solve(circuit.array(), inputs[:, k])
        scale = np.max(np.abs(one.i_cell))
        assert np.max(np.abs(both.i_cell[:, :, k] - one.i_cell)) <= 1e-10 * scale
        assert np.max(np.abs(both.v_bit[:, :, k] - one.v_bit)) <= 1e-10
        assert abs(both.p_total[k] - one.p_total) <= 1e-9 * one.p_total


def test_vanishing_wires_approach_the_ideal_array():
    g = np.random.default_rng(9).uniform(0, 1e-3, (6, 5))
    errors = [
        float(np.max(np.abs(xb.transfer(xb.Crossbar(g, xb.Wires(r, r))) - g.T)) / np.max(g))
        for r in (1e-2, 1e-4, 1e-6, 0.0)
    ]
    assert errors[0] > 50 * errors[1] > 2500 * errors[2] > 0
    assert errors[3] == 0


@pytest.mark.parametrize(
    "solver",
    [
        None,
        *(pytest.param(s, marks=pytest.mark.slow) for s in (xb.Dense(), xb.CG(), xb.ColumnSweep())),
    ],
)
def test_jit_and_vmap_equal_the_plain_call(solver):
    rng = np.random.default_rng(10)
    batch = [circuits.random_circuit(rng, 4, 3, "severe") for _ in range(4)]
    g = jnp.stack([c.g for c in batch])
    v_in = jnp.stack([c.v_in for c in batch])
    wires = xb.Wires(10.0, 20.0, 5.0, 5.0)

    def one(g, v_in):
        return xb.solve(xb.Crossbar(g, wires), v_in, solver)

    plain = [one(g[k], v_in[k]) for k in range(4)]
    jitted = jax.jit(one)(g[0], v_in[0])
    np.testing.assert_allclose(jitted.i_cell, plain[0].i_cell, rtol=1e-12)
    batched = jax.jit(jax.vmap(one))(g, v_in)
    for k in range(4):
        scale = np.max(np.abs(plain[k].i_cell))
        assert np.max(np.abs(batched.i_cell[k] - plain[k].i_cell)) <= 1e-11 * scale
    over_inputs = jax.vmap(one, in_axes=(None, 0))(g[0], v_in)
    assert over_inputs.i_out.shape == (4, 3)
    assert np.all(over_inputs.result == xb.RESULTS.successful)


def test_one_bad_array_leaves_the_others_right():
    g = np.random.default_rng(11).uniform(1e-6, 1e-4, (4, 3, 2))
    bad = g.copy()
    bad[1, 0, 0], bad[2, 1, 1] = np.nan, -1.0

    def one(g):
        return xb.solve(xb.Crossbar(g, xb.Wires(1.0, 1.0)), jnp.ones(3), throw=False)

    sol = jax.jit(jax.vmap(one))(bad)
    right = jax.vmap(one)(g)
    np.testing.assert_array_equal(sol.result == xb.RESULTS.successful, [True, False, False, True])
    np.testing.assert_array_equal(np.isnan(sol.i_out).any(axis=1), [False, True, True, False])
    np.testing.assert_allclose(
        np.asarray(sol.i_out)[[0, 3]], np.asarray(right.i_out)[[0, 3]], rtol=1e-12
    )
