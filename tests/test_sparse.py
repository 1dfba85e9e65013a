"""Sparse elimination on the host, which stands behind the default's `CG` outside of `jit`."""

import importlib

import fuzz
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar.solvers import sparse
from xbar.solvers.base import problem_of

# The module, which the function of the same name hides.
ENTRY = importlib.import_module("xbar.solve")
TOLERANCE = {np.float64: 1e-9, np.float32: 1e-5}

pytestmark = pytest.mark.optimized


@pytest.fixture
def answers(monkeypatch):
    """What sparse elimination found, which every solve comes to: its first method stops at once."""
    found = []

    def recorded(*args):
        found.append(sparse.sparse_answer(*args))
        return found[-1]

    monkeypatch.setattr(ENTRY, "sparse_answer", recorded)
    monkeypatch.setattr(
        ENTRY, "first_of", lambda solver, g, inputs: (xb.CG(1e-15, max_steps=1), True)
    )
    return found


def solved(c, dtype):
    array = jax.tree.map(lambda x: x.astype(dtype), c.array(dtype))
    return xb.solve(array, c.v_in.astype(dtype), throw=False)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("rows", "cols", "count"), [(5, 7, 6), (9, 4, 3), (1, 6, 2), (6, 1, 2)])
def test_it_is_right_on_nearly_all_circuits_and_leaves_the_others_to_the_sweep(
    answers, dtype, rows, cols, count
):
    wrong, left, every = [], 0, 0
    for name in fuzz.REGIMES:
        for seed in range(count):
            c = fuzz.random_circuit(name, rows, cols, seed, dtype)
            solution = jax.tree.map(np.asarray, solved(c, dtype))
            errors = fuzz.errors(solution, fuzz.right_answer(c), c)
            wrong += [] if max(errors) <= TOLERANCE[dtype] else [(name, seed, errors)]
            every += len(answers)
            left += sum(answer is None or not bool(answer.ok.all()) for answer in answers)
            answers.clear()
    assert wrong == []
    # Mostly segments of 0 and of 1e-12 ohm beside such of a megohm.
    assert every > 10 * count
    assert left <= 0.08 * every


def severe(rows, cols, seed=0):
    return fuzz.random_circuit("log_segment", rows, cols, seed)


def test_several_inputs_share_the_factors_and_each_is_right(answers):
    c = severe(7, 5)
    v_in = np.stack([c.v_in, np.zeros(7), 1e-9 * c.v_in[::-1]], axis=1)
    together = xb.solve(c.array(), v_in)
    assert len(answers) == 1
    for k in range(3):
        alone = xb.solve(c.array(), v_in[:, k], xb.ColumnSweep())
        largest = np.abs(alone.i_cell).max()
        np.testing.assert_allclose(together.i_cell[..., k], alone.i_cell, atol=1e-10 * largest)


@pytest.mark.parametrize("error", [RuntimeError("Factor is exactly singular"), MemoryError()])
def test_without_factors_the_sweep_answers(answers, monkeypatch, error):
    def fails(*args, **options):
        raise error

    monkeypatch.setattr("scipy.sparse.linalg.splu", fails)
    c = severe(5, 6)
    found = xb.solve(c.array(), c.v_in)
    assert answers == [None]
    right = fuzz.right_answer(c).i_cell
    np.testing.assert_allclose(found.i_cell, right, atol=1e-10 * np.abs(right).max())


def test_factors_of_another_circuit_are_seen(answers, monkeypatch):
    """Nothing that a factorization gets wrong passes for an answer."""
    matrix = sparse._matrix
    monkeypatch.setattr(sparse, "_matrix", lambda g, *more: matrix(1.5 * g, *more))
    c = severe(5, 6)
    found = xb.solve(c.array(), c.v_in)
    assert not bool(answers[0].ok.all())
    right = fuzz.right_answer(c).i_cell
    np.testing.assert_allclose(found.i_cell, right, atol=1e-10 * np.abs(right).max())


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (1, 9), (8, 1), (3, 3), (6, 11), (16, 16)])
def test_the_order_has_every_node_once(rows, cols):
    assert sorted(sparse._order(rows, cols)) == list(range(2 * rows * cols))


def test_nested_dissection_keeps_the_factors_small():
    """In the order of the rows a grid of 40x40 has three times the numbers in its factors."""
    splu = importlib.import_module("scipy.sparse.linalg").splu

    def numbers(order):
        ones = np.ones((40, 40))
        matrix = sparse._matrix(1e-3 * ones, ones, ones, order)
        options = {"SymmetricMode": True}
        return splu(matrix, permc_spec="NATURAL", diag_pivot_thresh=0.0, options=options).nnz

    by_rows = np.arange(3200).reshape(2, 1600).T.ravel()
    assert numbers(sparse._order(40, 40)) < numbers(by_rows) / 3


def test_the_default_goes_from_cg_to_sparse_elimination_in_large_arrays_alone(monkeypatch):
    tried = []

    def recorded(*args):
        tried.append(args)
        return sparse.sparse_answer(*args)

    monkeypatch.setattr(ENTRY, "sparse_answer", recorded)
    c = severe(12, 10, seed=1)
    xb.solve(c.array(), c.v_in)
    assert tried == []
    monkeypatch.setattr("xbar.solvers.auto.SPARSE_SIDE", 9)
    found = xb.solve(c.array(), c.v_in)
    assert len(tried) == 1
    right = fuzz.right_answer(c)
    assert max(fuzz.errors(jax.tree.map(np.asarray, found), right, c)) <= 1e-10
    xb.solve(fuzz.random_circuit("mild", 12, 10, 0).array(), c.v_in)
    assert len(tried) == 1


def test_cg_foresees_that_its_steps_will_not_do():
    """And says so at once; where they do, it takes as many as ever."""
    on = xb.Crossbar(np.full((40, 40), 1e-2), xb.Wires(1e3, 1e3))
    v_in = np.linspace(0.1, 1, 40)
    asked = xb.solve(on, v_in, xb.CG(max_steps=200), throw=False)
    foreseen = xb.solve(on, v_in, xb.CG(max_steps=200, foresee=True), throw=False)
    assert int(asked.steps) == 200
    assert int(foreseen.steps) == 50
    assert foreseen.result == asked.result == xb.RESULTS.tolerance_missed
    for ohm in (0.0, 1.0, 50.0):
        mild = xb.Crossbar(np.full((40, 40), 1e-4), xb.Wires(ohm, ohm))
        plain, foreseen = (
            xb.solve(mild, v_in, xb.CG(max_steps=300, foresee=foresee)) for foresee in (False, True)
        )
        assert int(foreseen.steps) == int(plain.steps) < 150
        np.testing.assert_array_equal(foreseen.i_out, plain.i_out)


def test_many_inputs_are_foreseen_one_by_one():
    """Those that will not do stop; those that will go on beyond the look, and pass."""
    rng = np.random.default_rng(3)
    g = np.zeros((40, 40))  # two arrays that share no line
    g[:20, :20] = 1e-2
    g[20:, 20:] = 1e-4 * rng.uniform(0.1, 1, (20, 20))
    v_in = rng.uniform(0.1, 1, (8, 40))
    v_in[:3, :20] = 0
    v_in[5] = 0
    problem = problem_of(jnp.asarray(g), xb.Wires(1e3, 1e3))
    found = xb.CG(max_steps=200, foresee=True).of_one(problem, jnp.asarray(v_in)[:, :, None])
    np.testing.assert_array_equal(found.ok, np.isin(np.arange(8), (0, 1, 2, 5)))
    assert np.all((found.steps[:3] > 50) & (found.steps[:3] < 150))
    np.testing.assert_array_equal(found.steps[3:], [50, 50, 0, 50, 50])
