"""The sweep for mild drop: its levels, its limits, and that wrong results are found out."""

import circuits
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xbar as xb
from xbar.solvers import mild_sweep
from xbar.solvers.base import problem_of
from xbar.solvers.bit_line import chains_of, columns_of
from xbar.solvers.mild_sweep import NOT_MILD, ONE_PRODUCT, TWO_PRODUCTS, mildness

SHAPE = 20, 33

mild_transfer = jax.jit(mild_sweep.mild_transfer, static_argnums=1)
reference = jax.jit(lambda p: xb.transfer(xb.Crossbar(p.g, p.wires), xb.CG(1e-13)))
by_nodes = jax.jit(lambda array: xb.transfer(array, xb.Dense()))


def device(r, seed=0, shape=SHAPE, dtype=jnp.float64):
    """Devices from 10 kOhm to 1 MOhm behind segments of r ohm, some of them open or of 0 ohm."""
    rng = np.random.default_rng(seed)
    g = 10 ** rng.uniform(-6, -4, shape)
    g[rng.random(shape) < 0.05] = 0
    word, bit = (r * rng.uniform(0.5, 1.5, shape) for _ in range(2))
    word[rng.random(shape) < 0.05] = 0
    wires = xb.Wires(word, bit, source=r, sense=2 * r)
    return problem_of(jnp.asarray(g, dtype), jax.tree.map(lambda x: x.astype(dtype), wires))


@jax.jit
def level_of(problem):
    word, bit = problem.segments()
    return mildness(chains_of(problem.g.T, bit.T), word.T, 1e-10)


@pytest.mark.parametrize(
    ("r", "level"), [(0.0, ONE_PRODUCT), (1.0, ONE_PRODUCT), (5.0, TWO_PRODUCTS)]
)
@pytest.mark.parametrize("shape", [SHAPE, SHAPE[::-1], (1, 9), (9, 1)])
def test_mild_arrays(r, level, shape):
    problem = device(r, shape=shape)
    if 1 not in shape:
        assert level_of(problem if shape == SHAPE else device(r)) == level
    found, ok = mild_transfer(problem, 1e-10)
    assert ok
    expected = reference(problem)
    assert np.max(np.abs(found - expected)) <= 1e-11 * np.max(expected)


def test_severe_drop_is_not_mild():
    problem = device(1e3)
    assert level_of(problem) == NOT_MILD
    assert not mild_transfer(problem, 1e-10)[1]


@given(
    seed=st.integers(0, 1000), r=st.floats(0.01, 300), rtol=st.sampled_from([1e-8, 1e-10, 1e-12])
)
def test_what_passes_is_right(seed, r, rtol):
    problem = device(r, seed, (7, 11))
    found, ok = mild_transfer(problem, rtol)
    if ok:
        expected = reference(problem)
        assert np.max(np.abs(found - expected)) <= rtol * np.max(expected)


@pytest.mark.parametrize("regime", sorted(circuits.REGIMES))
def test_circuits_of_every_kind_pass_only_if_right(regime):
    for seed in range(5):
        circuit = circuits.random_circuit(np.random.default_rng(seed), 6, 9, regime)
        array = circuit.array()
        found, ok = mild_transfer(problem_of(array.g, array.wires), 1e-10)
        expected = by_nodes(array)
        assert not ok or np.max(np.abs(found - expected)) <= 1e-10 * np.max(expected)


def test_single_precision():
    problem = device(1.0, dtype=jnp.float32)
    found, ok = mild_transfer(problem, 1e-5)
    assert ok
    assert found.dtype == jnp.float32
    exact = reference(device(1.0))
    assert np.max(np.abs(found - exact)) <= 2e-6 * np.max(exact)


def test_a_batch_takes_what_its_worst_member_needs():
    gs = jnp.stack([device(1.0, seed).g for seed in range(3)])
    gs = gs * jnp.asarray([1.0, 30.0, 1.0])[:, None, None]
    wires = xb.Wires(1.0, 1.0)

    @jax.jit
    @jax.vmap
    def all_of_them(g):
        return mild_sweep.mild_transfer(problem_of(g, wires), 1e-10)

    found, ok = all_of_them(gs)
    for g, t, fine in zip(gs, found, ok, strict=True):
        assert fine
        expected = reference(problem_of(g, wires))
        assert np.max(np.abs(t - expected)) <= 1e-10 * np.max(expected)


def test_chains_are_the_columns():
    problem = device(50.0)
    g, below = problem.g.T, problem.segments()[1].T
    chains, columns = chains_of(g, below), columns_of(g, below)
    both = -np.triu(chains.upper[:, :, None] * chains.lower[:, None, :], 1)
    both = both + np.swapaxes(both, 1, 2) + np.asarray(chains.own)[:, :, None] * np.eye(SHAPE[0])
    assert np.max(np.abs(both - columns.admittance)) <= 1e-15 * np.max(columns.admittance)
    assert np.array_equal(chains.out, columns.out)


def test_lines_too_long_for_chains_are_not_mild():
    problem = problem_of(jnp.full((40, 41), 1.0), xb.Wires(1e-9, 1e30))
    assert level_of(problem) == NOT_MILD


def test_a_wrong_step_is_found_out_and_repaired(monkeypatch):
    problem = device(1.0, shape=(12, 17))  # of its own: JAX remembers what it traced for a shape
    expected = reference(problem)
    seen_through = mild_sweep._seen_through

    def imprecise(new, d, start, newton):
        small, diagonal = seen_through(new, d, start, newton)
        return mild_sweep.Split(small * 1.01, diagonal)

    monkeypatch.setattr(mild_sweep, "_seen_through", imprecise)
    assert not jax.jit(lambda p: mild_sweep.mild_transfer(p, 1e-10))(problem)[1]
    solver = xb.ColumnSweep()
    found, ok = jax.jit(lambda p: solver.transfer(solver.factor(p), p))(problem)
    assert ok
    assert np.max(np.abs(found - expected)) <= 1e-11 * np.max(expected)
