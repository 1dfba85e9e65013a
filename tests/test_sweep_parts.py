"""The parts of the column sweep, and tiles: against plain linear algebra and their derivatives."""

import circuits
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar.solvers import admittance
from xbar.solvers.admittance import by_iteration, seen_through
from xbar.solvers.base import problem_of
from xbar.solvers.bit_line import columns_of
from xbar.solvers.tiles import tiled_transfer


def admittances(size, scale, seed=0):
    """A symmetric positive admittance and segments with ``Y D`` of about `scale`."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((size, size))
    y = 1e-3 * root @ root.T / size
    d = scale * 1e3 * rng.uniform(0.5, 2, size)
    d[0] = 0
    return jnp.asarray(y), jnp.asarray(d)


@pytest.mark.parametrize("scale", [0, 1e-3, 0.3, 10, 1e6])
@pytest.mark.parametrize("start", ["zero", "near", "far", "nan"])
def test_admittance_seen_through_segments(scale, start):
    y, d = admittances(7, scale)
    expected = np.linalg.solve(np.eye(7) + np.asarray(y * d), y)
    first = {
        "zero": jnp.zeros_like(y),
        "near": jnp.asarray(expected) * 1.001,
        "far": 30 * y,
        "nan": jnp.full_like(y, jnp.nan),
    }[start]
    ahead, passage = seen_through(y, d, first, jnp.asarray(1e-14))
    h = jnp.arange(7.0)
    x = np.linalg.inv(np.eye(7) + np.asarray(y * d))
    assert np.max(np.abs(ahead - expected)) <= 1e-9 * np.max(np.abs(expected))
    np.testing.assert_allclose(passage.forwards(h), x @ h, atol=1e-9 * np.max(np.abs(x @ h)))
    np.testing.assert_allclose(passage.backwards(h), x.T @ h, atol=1e-9 * np.max(np.abs(x.T @ h)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tolerance_that_rounding_cannot_meet_ends(dtype):
    y, d = (x.astype(dtype) for x in admittances(40, 0.1))
    exact = np.linalg.inv(np.eye(40) + np.asarray(y * d, float)) @ np.asarray(y, float)
    ahead, _ = seen_through(y, d, jnp.asarray(exact, dtype), jnp.zeros((), dtype))
    assert np.max(np.abs(ahead - exact)) <= 100 * np.finfo(dtype).eps * np.max(np.abs(exact))


def test_iteration_without_a_start_stops_where_it_is_not_wanted():
    y, d = admittances(5, 10)
    x = by_iteration(y, d, jnp.asarray(True))
    np.testing.assert_allclose(x, np.linalg.inv(np.eye(5) + np.asarray(y * d)), atol=1e-12)
    batch = jax.vmap(lambda wanted: by_iteration(y, d, wanted))(jnp.array([False, True]))
    np.testing.assert_allclose(batch[1], x, atol=1e-15)
    assert np.max(np.abs(batch[0] - x)) > 0.1  # the start, untouched


@pytest.mark.parametrize("scale", [1e-3, 10])
def test_derivative_of_an_admittance_seen_through_segments(scale):
    y, d = admittances(4, scale)
    rng = np.random.default_rng(1)
    dy = rng.standard_normal((4, 4))
    dy, dd = jnp.asarray(1e-3 * (dy + dy.T)), jnp.asarray(1e3 * scale * rng.uniform(0.1, 1, 4))

    def found(y, d):
        ahead, passage = seen_through(y, d, jnp.zeros_like(y), jnp.asarray(1e-20))
        return ahead, passage.backwards(jnp.ones(4))

    def plain(y, d):
        x = jnp.linalg.inv(jnp.eye(4) + y * d)
        return x @ y, x.T @ jnp.ones(4)

    for changes in ((dy, dd), (dy, jnp.zeros(4)), (jnp.zeros((4, 4)), dd)):
        ours, expected = (jax.jvp(f, (y, d), changes)[1] for f in (found, plain))
        for a, b in zip(ours, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-10 * np.max(np.abs(b)))


def test_bit_lines_by_nodal_analysis():
    rng = np.random.default_rng(2)
    g, below = rng.uniform(1e-4, 1e-2, 6), rng.uniform(1, 500, 6)
    g[2] = 0
    # Bit-line nodes alone, word lines at w: (laplacian + g) b = g w.
    nodal = np.diag(g)
    for i, r in enumerate(below):
        nodal[i, i] += 1 / r
        if i < 5:
            nodal[i + 1, i + 1] += 1 / r
            nodal[i, i + 1] -= 1 / r
            nodal[i + 1, i] -= 1 / r
    b = np.linalg.solve(nodal, np.diag(g))
    found = columns_of(jnp.asarray(g)[None], jnp.asarray(below)[None])
    np.testing.assert_allclose(found.admittance[0], g[:, None] * (np.eye(6) - b), atol=1e-15)
    np.testing.assert_allclose(found.out[0], b[-1] / below[-1], rtol=1e-12)


def test_bit_lines_without_resistance_and_long_ones():
    g = jnp.asarray(np.random.default_rng(3).uniform(1e-4, 1e-2, (1, 5)))
    free = columns_of(g, jnp.zeros((1, 5)))
    np.testing.assert_allclose(free.admittance[0], np.diag(g[0]), rtol=1e-15)
    np.testing.assert_allclose(free.out, g, rtol=1e-15)
    long = columns_of(jnp.ones((1, 2000)), jnp.full((1, 2000), 1e6))
    assert np.all(np.isfinite(long.admittance))
    assert np.all(np.isfinite(long.out))


def test_derivatives_of_bit_lines_are_those_of_plain_differences():
    rng = np.random.default_rng(4)
    g, below = rng.uniform(1e-4, 1e-2, (2, 5)), rng.uniform(1, 500, (2, 5))
    g[0, 1] = below[1, 2] = 0
    g, below = jnp.asarray(g), jnp.asarray(below)
    changes = jnp.asarray(rng.uniform(0, 1e-3, (2, 5))), jnp.asarray(rng.uniform(0, 100, (2, 5)))

    def first(g, below):
        return columns_of(g, below)

    def second(g, below):
        return jax.jvp(first, (g, below), changes)[1]

    h = 1e-5
    for f in (first, second):
        ours = jax.jvp(f, (g, below), changes)[1]
        ahead = [f(g + k * h * changes[0], below + k * h * changes[1]) for k in (1, 2)]
        here = f(g, below)
        for x, one, two, zero in zip(*map(jax.tree.leaves, (ours, *ahead, here)), strict=True):
            numeric = (-1.5 * zero + 2 * one - 0.5 * two) / h
            assert np.max(np.abs(x - numeric)) <= 1e-6 * np.max(np.abs(numeric))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (6, 1), (9, 13), (17, 6), (30, 41)])
def test_tiles_give_the_transfer_matrix(shape):
    circuit = circuits.random_circuit(np.random.default_rng(5), *shape, "severe")
    array = circuit.array()
    expected = xb.solve(array, np.eye(shape[0]), xb.Dense()).i_out
    found = jax.jit(tiled_transfer)(problem_of(array.g, array.wires))
    assert np.max(np.abs(found - expected)) <= 1e-12 * np.max(np.abs(expected))


@pytest.mark.parametrize("regime", sorted(circuits.REGIMES))
def test_tiles_match_exact_fractions(regime):
    for seed in range(3):
        circuit = circuits.random_circuit(np.random.default_rng(seed), 5, 4, regime)
        i_cell, _, _ = circuits.exact(circuit)
        array = circuit.array()
        found = tiled_transfer(problem_of(array.g, array.wires)) @ circuit.v_in
        limit = 1e-10 * circuits.largest_current(i_cell)
        assert np.max(np.abs(found - i_cell.sum(0))) <= limit


def test_gradient_through_tiles_equals_that_of_the_sweep():
    circuit = circuits.random_circuit(np.random.default_rng(6), 9, 11, "mild")
    array = circuit.array()
    weights = jnp.asarray(np.random.default_rng(7).standard_normal((11, 9)))

    def tiles(array):
        return jnp.sum(weights * tiled_transfer(problem_of(array.g, array.wires)))

    def sweep(array):
        return jnp.sum(weights * xb.transfer(array, xb.ColumnSweep()))

    def cells(array):
        return jnp.sum(weights * xb.transfer(array, xb.Dense()))

    expected = jax.tree.leaves(jax.grad(cells)(array))
    for f in (tiles, sweep):
        for ours, theirs in zip(
            jax.tree.leaves(jax.jit(jax.grad(f))(array)), expected, strict=True
        ):
            assert np.max(np.abs(ours - theirs)) <= 1e-9 * np.max(np.abs(theirs))


def in_jit(solver):
    """Transfer matrix and whether it is right, compiled with what is monkeypatched by now."""
    return jax.jit(lambda problem: solver.transfer(solver.factor(problem), problem))


def test_default_uses_tiles_for_large_arrays_and_checks_them(monkeypatch):
    from xbar.solvers import auto

    circuit = circuits.random_circuit(np.random.default_rng(8), 9, 7, "mild")
    array, solver = circuit.array(), xb.Auto()
    problem = problem_of(array.g, array.wires)
    expected = xb.transfer(array, xb.Dense())
    monkeypatch.setattr(auto, "TILED_SIDE", 4)
    found, ok = in_jit(solver)(problem)
    assert ok
    assert np.max(np.abs(found - expected)) <= 1e-11 * np.max(expected)
    # Wrong tiles are found out, and repaired.
    monkeypatch.setattr(auto, "tiled_transfer", lambda problem: 1.001 * tiled_transfer(problem))
    assert not jax.jit(solver.own_transfer)(problem)[1]
    found, ok = in_jit(solver)(problem)
    assert ok
    assert np.max(np.abs(found - expected)) <= 1e-11 * np.max(expected)


def test_wrong_columns_are_found_out_and_repaired(monkeypatch):
    from xbar.solvers import elimination

    circuit = circuits.random_circuit(np.random.default_rng(9), 6, 9, "severe")
    array, solver = circuit.array(), xb.ColumnSweep()
    problem = problem_of(array.g, array.wires)
    expected = xb.transfer(array, xb.Dense())

    def imprecise(y, d, start, tolerance):
        ahead, passage = seen_through(y, d, start, tolerance)
        return ahead, admittance.Passage((1 + 1e-7) * passage.change, passage.kept)

    monkeypatch.setattr(elimination, "seen_through", imprecise)
    assert not jax.jit(solver.own_transfer)(problem)[1]
    found, ok = in_jit(solver)(problem)
    assert ok
    assert np.max(np.abs(found - expected)) <= 1e-10 * np.max(expected)
