"""Batches: the same numbers as one array at a time, whatever forms the batch."""

import os
import subprocess
import sys

import circuits
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import programs

import xbar as xb
from xbar.batch import map_blocks
from xbar.solvers import cg
from xbar.solvers.base import problem_of, unit_drives
from xbar.solvers.batching import per_array, repaired

WIRES = xb.Wires(2.0, 3.0)


def conductances(*batch, rows=5, cols=4):
    return jnp.asarray(np.random.default_rng(0).uniform(1e-6, 1e-3, (*batch, rows, cols)))


def currents(g):
    return xb.solve(xb.Crossbar(g, WIRES), jnp.linspace(0.1, 1, 5)).i_out


def test_batch_map_is_one_at_a_time():
    g = conductances(7)
    expected = jnp.stack([currents(one) for one in g])
    np.testing.assert_allclose(xb.batch_map(currents, g), expected, rtol=1e-13)
    np.testing.assert_allclose(xb.batch_map(currents, g, chunk=3), expected, rtol=1e-13)


def test_batch_map_takes_and_returns_trees():
    batch = {"g": conductances(3), "r": jnp.array([0.0, 1.0, 2.0])}

    def both(one):
        array = xb.Crossbar(one["g"], xb.Wires(one["r"], one["r"]))
        return {"t": xb.transfer(array), "g": one["g"].sum()}

    found = xb.batch_map(both, batch)
    assert found["t"].shape == (3, 4, 5)
    np.testing.assert_allclose(found["t"][0], batch["g"][0].T, rtol=1e-12)
    np.testing.assert_allclose(found["g"], batch["g"].sum((1, 2)))


@pytest.mark.parametrize(
    ("batch", "options", "message"),
    [
        ((), {}, "batch: got no arrays, needs arrays of one leading length"),
        ((jnp.ones(2), jnp.ones(3)), {}, r"batch: got \[2, 3\]"),
        (jnp.ones((0, 2)), {}, r"batch: got \[0\]"),
        (jnp.ones(()), {}, r"batch: got \['no axis'\]"),
        (jnp.ones(2), {"memory": 0}, "memory: got 0, needs at least 1"),
        (jnp.ones(2), {"chunk": -1}, "chunk: got -1, needs at least 1"),
    ],
)
def test_batch_map_says_what_it_needs(batch, options, message):
    with pytest.raises(ValueError, match=message):
        xb.batch_map(lambda x: x, batch, **options)


def test_memory_budget_sets_the_chunk():
    from xbar.batch import _fitting

    g = conductances(64)
    small, large = (_fitting(currents, g, memory) for memory in (20_000, 200_000))
    assert 1 <= small < large <= 64
    assert large >= 5 * small


def test_memory_is_asked_for_once(monkeypatch):
    from xbar import batch

    compiled, vmap = [], jax.vmap

    def counted(function):
        compiled.append(function)
        return vmap(function)

    def own(g):
        return g.sum()

    monkeypatch.setattr(batch.jax, "vmap", counted)
    for n in (20, 30):  # the same sample of both
        batch._fitting(own, conductances(n), 10_000)
    assert len(compiled) == 1


def test_batch_map_shares_out_over_devices():
    """Two CPU devices, a batch that they cannot share evenly: same numbers to the last digits."""
    code = """
import jax, numpy as np, xbar as xb
jax.config.update("jax_enable_x64", True)
g = np.random.default_rng(0).uniform(1e-6, 1e-3, (5, 4, 3))
f = lambda g: xb.solve(xb.Crossbar(g, xb.Wires(2.0, 3.0)), np.ones(4)).i_out
assert len(jax.local_devices()) == 2
out = xb.batch_map(f, g)
assert len(jax.jit(lambda x: x + 0, out_shardings=None)(out).devices()) >= 1
np.testing.assert_allclose(out, [f(one) for one in g], rtol=1e-13)
"""
    env = os.environ | {"JAX_NUM_CPU_DEVICES": "2"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("solver", [xb.CG(), xb.ColumnSweep(), xb.Auto()])
def test_vmap_twice(solver):
    g = conductances(2, 3)

    def f(g):
        return xb.solve(xb.Crossbar(g, WIRES), jnp.ones(5), solver).i_out

    nested = jax.jit(jax.vmap(jax.vmap(f)))(g)
    one_by_one = jnp.stack([jnp.stack([f(g[i, j]) for j in range(3)]) for i in range(2)])
    np.testing.assert_allclose(nested, one_by_one, rtol=1e-12)


def test_vmap_over_wires_inputs_and_a_bad_member():
    g = conductances(3).at[1, 0, 0].set(jnp.nan)

    def f(g, r, v):
        sol = xb.solve(xb.Crossbar(g, xb.Wires(r, 1.0)), v, throw=False)
        return sol.i_out, sol.result == xb.RESULTS.successful

    r, v = jnp.array([0.0, 1.0, 2.0]), jnp.ones((3, 5))
    i_out, ok = jax.jit(jax.vmap(f))(g, r, v)
    assert ok.tolist() == [True, False, True]
    assert np.all(np.isnan(i_out[1]))
    for k in (0, 2):
        np.testing.assert_allclose(i_out[k], f(g[k], r[k], v[k])[0], rtol=1e-12)


def test_per_array_is_the_function_itself_in_turn_on_a_cpu():
    f = per_array(lambda a, b: {"sum": a + b, "one": jnp.sum(b)})
    a, b = jnp.arange(3.0), jnp.arange(6.0).reshape(3, 2)
    found = jax.vmap(f, (None, 0))(a[0], b)
    np.testing.assert_allclose(found["sum"], a[0] + b)
    np.testing.assert_allclose(found["one"], b.sum(1))
    text = jax.jit(jax.vmap(f, (None, 0))).lower(a[0], b).as_text()
    assert "while" in text  # a loop over the arrays


def test_repairs_happen_where_needed_alone():
    def mend(x):
        return 10 * x

    def f(x):
        return repaired(x > 0, x, mend, x)

    assert float(f(jnp.asarray(2.0))) == 2
    assert float(f(jnp.asarray(-2.0))) == -20
    np.testing.assert_allclose(jax.vmap(f)(jnp.array([1.0, -1.0, 3.0])), [1, -10, 3])
    np.testing.assert_allclose(jax.vmap(f)(jnp.array([1.0, 2.0])), [1, 2])


@pytest.mark.parametrize("preconditioned", [range(0), range(1, 2**19)], ids=["plain", "modes"])
def test_large_arrays_are_refined_from_float32(monkeypatch, preconditioned):
    """Whether steps are preconditioned, as they are up to twice that size, or not."""
    monkeypatch.setattr(cg, "MODES_CELLS", preconditioned)
    circuit = circuits.random_circuit(np.random.default_rng(1), 12, 9, "mild")
    array = circuit.array()
    problem = problem_of(array.g, array.wires)
    e = unit_drives(problem.g)
    monkeypatch.setattr(cg, "ROUGH_CELLS", 1)
    rough = xb.CG().cell_voltages(None, problem, e)
    monkeypatch.setattr(cg, "MAX_PASSES", 0)  # float32 passes alone bring it to 1e-10
    alone = xb.CG().cell_voltages(None, problem, e)
    exact = xb.Dense().cell_voltages(xb.Dense().factor(problem), problem, e)
    for answer in (rough, alone):
        assert np.all(answer.ok)
        off = problem.g * (answer.u - exact.u)
        assert np.max(np.abs(off)) <= 1e-10 * np.max(np.abs(problem.g * exact.u))


@pytest.mark.slow
def test_a_solver_drive_by_drive_gives_the_same_matrix():
    array = xb.Crossbar(conductances(rows=11, cols=10), WIRES)
    expected = xb.transfer(array, xb.Dense())
    for solver in (xb.CG(), xb.ColumnSweep(), xb.Auto()):
        off = np.max(np.abs(xb.transfer(array, solver) - expected))
        assert off <= 1e-10 * np.max(expected)


# --- what is shared, blocks, progress -----------------------------------------------------------


def scaled(x, by, name):
    assert name == "static"
    return {"y": x * by, "sum": jnp.sum(x)}


@pytest.mark.parametrize("options", [{}, {"chunk": 3}, {"block": 4}, {"block": 4, "chunk": 3}])
def test_chunks_and_blocks_fill_up_and_leave_nothing_out(options):
    x, counted = np.arange(20.0).reshape(10, 2), []
    found = xb.batch_map(scaled, x, 3.0, "static", done=counted.append, **options)
    np.testing.assert_array_equal(found["y"], 3 * x)
    np.testing.assert_array_equal(found["sum"], x.sum(1))
    assert counted == ([4, 4, 2] if "block" in options else [])


def test_blocks_of_any_number_are_one_program_whatever_is_shared():
    keys = jax.random.split(jax.random.key(0), 9)
    with programs() as compiled:
        for n, by in ((3, 2.0), (9, -1.0), (5, 0.5)):
            found = xb.batch_map(scaled, np.ones((n, 2)), np.array(by), "static", block=4)
            assert found["y"].shape == (n, 2)
            assert (np.asarray(found["y"]) == by).all()
    assert len(compiled) == 1, compiled
    for options in ({"block": 4}, {"chunk": 2}):  # the last one filled up
        drawn = xb.batch_map(lambda key: jax.random.uniform(key), keys, **options)
        np.testing.assert_array_equal(drawn, jax.vmap(jax.random.uniform)(keys))


def test_inside_jit_it_is_part_of_the_program_and_has_derivatives():
    x = np.arange(5.0)

    def total(by):
        found = xb.batch_map(scaled, x, by, "static", chunk=2, block=2)
        return jnp.sum(found["y"])

    assert jax.jit(total)(2.0) == 20
    assert jax.grad(total)(2.0) == 10


@pytest.mark.parametrize("count", [1, 4, 5, 9])
def test_functions_of_blocks_see_blocks_of_one_size_and_leave_nothing_out(count):
    sizes = []

    def block(x, scale):
        sizes.append(len(x["a"]))
        return {"a": scale * x["a"], "nothing": x["nothing"] + scale}

    def mapped(a):
        return map_blocks(block, {"a": a, "nothing": jnp.zeros((count, 0))}, 2.0, size=4)

    a = jnp.arange(3.0 * count).reshape(count, 3)
    found = jax.jit(mapped)(a)
    assert set(sizes) == {min(count, 4)}
    np.testing.assert_array_equal(found["a"], 2 * a)
    assert found["nothing"].shape == (count, 0)
    slope = jax.grad(lambda a: mapped(a)["a"].sum())(a)
    np.testing.assert_array_equal(slope, np.full((count, 3), 2.0))
