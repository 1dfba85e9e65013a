"""The derivative of transfer matrices that sweeps have: against the one found drive by drive."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar.solvers import own_transfer as module
from xbar.solvers.base import problem_of
from xbar.solvers.mild_sweep import is_mild
from xbar.solvers.sweep_check import lying

SHAPE = (7, 11)


def array_of(r, shape=SHAPE, seed=0):
    """Random device conductances, a resistance of its own in every segment about `r` [ohm]."""
    rng = np.random.default_rng(seed)
    word, bit = (jnp.asarray(r * rng.uniform(0.5, 1.5, shape)) for _ in range(2))
    source, sense = (jnp.asarray(r * rng.uniform(1, 3, n)) for n in shape)
    g = jnp.asarray(np.exp(rng.uniform(np.log(1e-6), np.log(1e-4), shape)))
    return xb.Crossbar(g, xb.Wires(word, bit, source, sense))


def loss(array, solver, weights):
    return jnp.sum(weights * xb.transfer(array, solver))


def weights_of(shape):
    return jnp.asarray(np.random.default_rng(1).standard_normal(shape[::-1]))


def agree(ours, exact, rtol):
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(exact), strict=True):
        assert np.max(np.abs(one - other)) <= rtol * np.max(np.abs(other))


@pytest.mark.parametrize("shape", [SHAPE, SHAPE[::-1]])
@pytest.mark.parametrize(("r", "mild"), [(1.0, True), (20.0, True), (1e4, False)])
def test_cells_and_every_part_of_the_wires(r, mild, shape):
    array, weights = array_of(r, shape), weights_of(shape)
    assert is_mild(lying(problem_of(array.g, array.wires)), 1e-10) == mild
    ours, exact = (
        jax.jit(jax.grad(partial(loss, solver=solver, weights=weights)))(array)
        for solver in (xb.ColumnSweep(), xb.Dense())
    )
    agree(ours, exact, 1e-10)


@pytest.mark.parametrize("r", [1.0, pytest.param(1e4, marks=pytest.mark.slow)])
def test_forward_mode_and_second_derivatives(r):
    array, weights = array_of(r, (3, 4)), weights_of((3, 4))
    along = jnp.asarray(np.random.default_rng(2).standard_normal((3, 4)))

    def f(g, solver):
        return loss(xb.Crossbar(g, array.wires), solver, weights) ** 2

    def slope(g):
        return jax.jvp(partial(f, solver=xb.ColumnSweep()), (g,), (along,))[1]

    gradient = jax.grad(partial(f, solver=xb.ColumnSweep()))(array.g)
    terms = gradient * along
    assert abs(slope(array.g) - jnp.sum(terms)) <= 1e-12 * jnp.sum(jnp.abs(terms))
    ours, exact = (
        jax.jit(jax.hessian(partial(f, solver=solver)))(array.g)
        for solver in (xb.ColumnSweep(), xb.Dense())
    )
    agree(ours, exact, 1e-9)


@pytest.mark.parametrize("dtype", [jnp.float64, pytest.param(jnp.float32, marks=pytest.mark.slow)])
def test_the_array_of_the_study(dtype):
    """65x100 at 1 ohm: products of small parts in float32 leave float64 its digits."""
    rng = np.random.default_rng(3)
    g = np.exp(rng.uniform(np.log(1e-6), np.log(1e-4), (65, 100))).astype(np.float32)
    weights = weights_of((65, 100))

    def gradient(dtype, solver):
        array = xb.Crossbar(jnp.asarray(g, dtype), xb.Wires(1.0, 1.0))
        return jax.jit(jax.grad(partial(loss, solver=solver, weights=weights.astype(dtype))))(array)

    by_cells = gradient(jnp.float64, xb.CG(1e-12))
    agree(gradient(dtype, None).g, by_cells.g, 1e-10 if dtype == jnp.float64 else 1e-5)


@pytest.mark.slow
def test_a_batch_of_mild_and_severe_arrays():
    arrays = [array_of(r, seed=k) for k, r in enumerate((1.0, 1e4, 5.0))]
    gradient = jax.grad(partial(loss, solver=xb.ColumnSweep(), weights=weights_of(SHAPE)))
    together = jax.tree.map(lambda *x: jnp.stack(x), *arrays)
    one_by_one = jax.tree.map(lambda *x: jnp.stack(x), *map(gradient, arrays))
    agree(jax.jit(jax.vmap(gradient))(together), one_by_one, 1e-11)


def test_what_does_not_change_is_left_out(monkeypatch):
    """No work for the wires where only conductances are differentiated."""
    array, called = array_of(1.0), []
    monkeypatch.setattr(module, "_drop_change", lambda *args: called.append(args))
    jax.grad(lambda g: loss(xb.Crossbar(g, array.wires), xb.ColumnSweep(), 1.0))(array.g)
    assert not called


def test_a_wrong_answer_has_no_derivative(monkeypatch):
    answers = module.mild_answers

    def wrong(flat, rtol):
        matrix, _, found = answers(flat, rtol)
        return matrix, jnp.asarray(False), found

    monkeypatch.setattr(module, "mild_answers", wrong)
    array = array_of(1.0, (6, 11))  # a shape that is compiled with the wrong function

    def f(array):
        return jnp.sum(xb.transfer(array, xb.ColumnSweep(), throw=False))

    assert np.all(np.isnan(jax.grad(f)(array).g))
