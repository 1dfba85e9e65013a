"""The sweep that finds its factors anew: the same answers, in less memory."""

from functools import partial

import circuits
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar.solvers import lean_sweep
from xbar.solvers.base import problem_of, unit_drives

WAYS = {
    name: jax.jit(partial(way, rtol=1e-10))
    for name, way in (("at once", lean_sweep._at_once), ("by blocks", lean_sweep._by_blocks))
}
ways = pytest.mark.parametrize("way", WAYS)


@ways
@pytest.mark.parametrize("regime", sorted(circuits.REGIMES))
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (5, 4)])
def test_exact_fractions(shape, regime, way):
    for seed in range(4):
        circuit = circuits.random_circuit(np.random.default_rng(seed), *shape, regime)
        i_cell, _, _ = circuits.exact(circuit)
        array = circuit.array()
        e = jnp.broadcast_to(jnp.asarray(circuit.v_in)[:, None], shape)[None]
        answer = WAYS[way](problem_of(array.g, array.wires), e)
        assert answer.ok.tolist() == [True]
        off = np.max(np.abs(array.g * answer.u[0] - i_cell))
        assert off <= 1e-10 * circuits.largest_current(i_cell)


@ways
@pytest.mark.parametrize("regime", sorted(circuits.REGIMES))
@pytest.mark.parametrize("shape", [(12, 23), (21, 8)])
def test_blocks_that_do_not_come_out_even(shape, regime, way):
    """Drives inside the array and several of them, as derivatives have; blocks of 5 columns."""
    rng = np.random.default_rng(1)
    circuit = circuits.random_circuit(rng, *shape, regime)
    problem = problem_of(circuit.array().g, circuit.array().wires)
    e = jnp.asarray(rng.uniform(-1, 1, (3, *shape)))
    answer = WAYS[way](problem, e)
    dense = xb.Dense()
    expected = dense.cell_voltages(dense.factor(problem), problem, e)
    assert np.all(answer.ok)
    off, right = (np.asarray(problem.g * u) for u in (answer.u - expected.u, expected.u))
    assert np.max(np.abs(off)) <= 1e-10 * np.max(np.abs(right))


@pytest.mark.parametrize(("inputs", "lean"), [(1, True), (4, True), (5, False)])
def test_the_default_repairs_a_few_inputs_of_a_large_array_by_it(monkeypatch, inputs, lean):
    called, cell_voltages = [], lean_sweep.cell_voltages

    def counted(problem, e, rtol):
        called.append(rtol)
        return cell_voltages(problem, e, rtol)

    monkeypatch.setattr(lean_sweep, "MAX_IDLE_BYTES", 100_000)
    monkeypatch.setattr(lean_sweep, "cell_voltages", counted)
    circuit = circuits.random_circuit(np.random.default_rng(5), 24, 20, "extreme")
    problem = problem_of(circuit.array().g, circuit.array().wires)
    e = unit_drives(problem.g, jnp.arange(inputs))
    solver = xb.Auto()
    answer = jax.jit(lambda p: solver.cell_voltages(solver.factor(p), p, e))(problem)
    assert called == ([1e-10] if lean else [])
    assert np.all(answer.ok)
    dense = xb.Dense()
    expected = problem.g * dense.cell_voltages(dense.factor(problem), problem, e).u
    assert np.max(np.abs(problem.g * answer.u - expected)) <= 1e-10 * np.max(np.abs(expected))


def test_cg_gets_more_room_where_the_repair_takes_long(monkeypatch):
    """10 mS cells behind 1 kohm: past CG's bound on its steps, within 16 times its limit."""
    problem = problem_of(jnp.full((24, 20), 1e-2), xb.Wires(1e3, 1e3))
    assert not xb.Auto().factor(problem)
    monkeypatch.setattr(lean_sweep, "MAX_IDLE_BYTES", 1000)
    assert xb.Auto().factor(problem)
    assert not xb.Auto().factor(problem_of(problem.g * 1e4, problem.wires))


def test_large_arrays_idle_below_what_the_c_library_hands_out_again():
    """Memory that XLA reserves for one solve, the repair included."""

    def reserved(n):
        solve = jax.jit(lambda g, v: xb.solve(xb.Crossbar(g, xb.Wires(1.0, 1.0)), v).i_out)
        arguments = (jax.ShapeDtypeStruct(shape, jnp.float64) for shape in ((n, n), (n,)))
        return solve.lower(*arguments).compile().memory_analysis().temp_size_in_bytes

    assert reserved(128) < 2**25
    assert reserved(256) < 2**25


@ways
def test_a_batch(way):
    rng = np.random.default_rng(2)
    g = jnp.asarray(10 ** rng.uniform(-4, -2, (3, 7, 9)))
    wires, e = xb.Wires(10.0, 20.0), jnp.asarray(rng.uniform(-1, 1, (1, 7, 9)))
    found = jax.jit(jax.vmap(lambda g: WAYS[way](problem_of(g, wires), e).u))(g)
    for one, u in zip(g, found, strict=True):
        np.testing.assert_allclose(u, WAYS[way](problem_of(one, wires), e).u, atol=1e-12)
