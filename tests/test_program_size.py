"""How large programs are, which a clock cannot tell: what a user's first call compiles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb


def operations(function, *args):
    text = jax.jit(function).lower(*args).as_text()
    return sum(" = " in line for line in text.splitlines())


def solve(g):
    wires = xb.Wires(1.0, 1.0)
    return xb.solve(xb.Crossbar(g, wires), np.ones(g.shape[0]))


def transfer(g):
    return xb.transfer(xb.Crossbar(g, xb.Wires(1.0, 1.0)))


def gradient(function):
    return jax.grad(lambda g: sum(jnp.sum(x**2) for x in jax.tree.leaves(function(g))))


def of_currents(g):
    return solve(g).i_out


# Measured, and a fifth more.
@pytest.mark.parametrize(
    ("function", "shape", "most"),
    [
        (solve, (6, 5), 1600),
        (transfer, (6, 5), 700),
        (gradient(of_currents), (6, 5), 2450),
        (gradient(transfer), (6, 5), 950),
        (solve, (65, 100), 2400),
        (transfer, (65, 100), 1370),
    ],
)
def test_no_program_holds_what_it_does_not_need(function, shape, most):
    assert operations(function, np.full(shape, 1e-5)) <= most


def test_arrays_of_one_shape_share_one_program():
    calls = 0

    def counted(g):
        nonlocal calls
        calls += 1
        return transfer(g)

    jitted = jax.jit(counted)
    for value in (1e-6, 1e-5, 1e-4):
        jitted(np.full((3, 4), value))
    assert calls == 1
