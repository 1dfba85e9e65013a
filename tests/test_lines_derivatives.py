"""Derivatives of arrays with any lines: forward, reverse, second, and of what failed."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from line_cases import KINDS, exact, random_case

import xbar as xb

SOLVER = xb.CG(rtol=1e-13)


def is_number(x) -> bool:
    return isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jnp.floating)


class Example:
    """A circuit of every kind of part, as a function of all its numbers."""

    def __init__(self):
        case = random_case(np.random.default_rng(5), 3, 4, "severe", KINDS["everything"])
        assert not exact(case).floating
        whole = case.array(max_open=7), case.bias()
        numbers, self.rest = eqx.partition(whole, is_number)
        self.at, self.unravel = ravel_pytree(numbers)
        self.along = jnp.asarray(np.sin(1 + np.arange(self.at.size))) * self.at

    def scalar(self, x):
        """A function of every voltage and current of the solution."""
        array, bias = eqx.combine(self.unravel(x), self.rest)
        sol = xb.solve(array, bias, SOLVER, throw=False)
        weights = np.cos(np.arange(12)).reshape(3, 4)
        amps = jnp.sum(weights * sol.i_cell) + jnp.sum(jnp.sin(sol.i_out)) + sol.p_total
        for number, current in enumerate((sol.i_word, sol.i_word_far, sol.i_bit_far)):
            assert current is not None
            amps = amps + jnp.sum(np.cos(number + np.arange(len(current))) * current)
        return 1e3 * amps + jnp.sum(weights * (sol.v_word**2 + jnp.sin(sol.v_bit)))


@pytest.fixture(scope="module")
def example():
    return Example()


@pytest.fixture(scope="module")
def gradient(example):
    return jax.jit(jax.grad(example.scalar))


def difference(f, x, along, h=1e-3):
    """Fourth-order central difference."""
    return (
        sum(
            w * np.asarray(f(x + k * h * along))
            for k, w in ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))
        )
        / h
    )


def test_gradient_is_that_of_finite_differences(example, gradient):
    """Cells, segments, drivers at all ends, bridges and every voltage at once."""
    slope = difference(jax.jit(example.scalar), example.at, example.along)
    parts = np.asarray(gradient(example.at) * example.along)
    assert abs(parts.sum() - slope) <= 1e-9 * np.abs(parts).sum()


@pytest.mark.slow
def test_forward_mode_equals_reverse_mode(example, gradient):
    forward = jax.jit(lambda x, dx: jax.jvp(example.scalar, (x,), (dx,))[1])
    parts = np.asarray(gradient(example.at) * example.along)
    slope = float(forward(example.at, example.along))
    assert abs(parts.sum() - slope) <= 1e-12 * np.abs(parts).sum()


@pytest.mark.slow
def test_second_derivatives_are_those_of_finite_differences(example, gradient):
    found = jax.jit(lambda x, dx: jax.jvp(jax.grad(example.scalar), (x,), (dx,))[1])
    ours = np.asarray(found(example.at, example.along) * example.at)
    theirs = difference(gradient, example.at, example.along) * np.asarray(example.at)
    assert np.max(np.abs(ours - theirs)) <= 1e-8 * np.max(np.abs(theirs))


# Cells of one row float where its near driver is disconnected and all its cells are open.
FLOATING = np.array([[1e-4, 2e-4], [0.0, 0.0]])
WORD_FLOATS = np.array([False, True])


def floating(g, read="i_out"):
    array = xb.Crossbar(g, xb.Wires(2.0, 3.0, 1.0, 1.0))
    sol = xb.solve(array, xb.Bias(jnp.ones(2), word_floats=WORD_FLOATS), SOLVER)
    return jnp.sum(getattr(sol, read))


def test_undefined_potentials_leak_into_no_derivative():
    """0 x NaN is NaN: voltages without a value must not touch currents or what follows of them."""
    array = xb.Crossbar(FLOATING, xb.Wires(2.0, 3.0, 1.0, 1.0))
    sol = xb.solve(array, xb.Bias(np.ones(2), word_floats=WORD_FLOATS), SOLVER)
    assert bool(sol.result == xb.RESULTS.floating)
    assert np.all(np.isnan(sol.v_word) == [[False, False], [True, True]])
    assert np.all(np.isfinite(sol.v_bit))
    assert np.all(np.isfinite(sol.i_cell))
    gradient = np.asarray(jax.grad(floating)(FLOATING))
    assert np.all(np.isfinite(gradient))
    assert gradient[0, 0] > 0
    # Two open cells of one floating line: closing one alone changes nothing.
    np.testing.assert_allclose(gradient[1], 0, atol=1e-20)

    def bent(i_0):
        array = xb.Crossbar(xb.cells.Sinh(i_0, jnp.array(0.3)), xb.Wires(2.0, 3.0, 1.0, 1.0))
        bias = xb.Bias(jnp.ones(2), word_floats=WORD_FLOATS)
        return jnp.sum(xb.solve(array, bias, xb.Newton(SOLVER)).i_out)

    gradient = np.asarray(jax.grad(bent)(jnp.asarray(FLOATING)))
    assert gradient[0, 0] > 0
    np.testing.assert_allclose(gradient[1], 0, atol=1e-20)


def test_a_failed_array_has_no_derivative():
    """NaN, not 0: for illegal numbers, and for drivers that are joined by 0 ohm."""

    def total(r):
        bridge = xb.Bridge(("word", 0, 0), ("word", 1, 0), r)
        array = xb.Crossbar(np.full((2, 2), 1e-4), xb.Wires(), xb.LineFaults(bridges=bridge))
        sol = xb.solve(array, xb.Bias(jnp.array([1.0, 2.0])), SOLVER, throw=False)
        return jnp.sum(sol.i_out) + sol.i_word[0]

    slope = jax.jit(jax.grad(total))
    assert np.isfinite(slope(1.0))
    assert np.isnan(slope(-1.0))
    assert np.isnan(slope(0.0))
