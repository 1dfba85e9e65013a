"""Whatever failed has NaN as its derivative, in every mode and order, and spoils nobody else's."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb

GOOD = np.random.default_rng(0).uniform(1e-6, 1e-3, (4, 3))
WIRES = (2.0, 3.0, 5.0, 7.0)
ONE_STEP = xb.CG(rtol=1e-12, max_steps=1)  # misses its tolerance behind 100 ohm


def bad(value):
    g = GOOD.copy()
    g[2, 1] = value
    return g


def of_solve(g, solver=None, wires=WIRES, throw=True):
    array = xb.Crossbar(g, xb.Wires(*wires))
    return jnp.sum(xb.solve(array, jnp.ones(4), solver, throw=throw).i_out ** 2)


def of_transfer(g, solver=None, wires=WIRES, throw=True):
    return jnp.sum(xb.transfer(xb.Crossbar(g, xb.Wires(*wires)), solver, throw=throw) ** 2)


def of_network(g):
    net = xb.Network.from_weights([np.ones((3, 3))], wires=xb.Wires(*WIRES))
    pairs = net.layers[0].pairs
    pairs = jax.tree.map(lambda p: p * 0 + g[:, :3], pairs)
    return jnp.sum(eqx.tree_at(lambda n: n.layers[0].pairs, net, pairs)(jnp.ones(3)) ** 2)


def hessian_vector(f):
    return lambda g: jax.jvp(jax.grad(f), (g,), (jnp.ones_like(g),))[1]


MODES = {"grad": jax.grad, "jacfwd": jax.jacfwd, "hessian-vector": hessian_vector}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("f", [of_solve, of_transfer], ids=["solve", "transfer"])
def test_a_bad_member_is_nan_and_the_others_are_as_without_it(f, mode):
    derivative = jax.jit(jax.vmap(MODES[mode](f)))
    batch = np.stack([GOOD, bad(np.nan), GOOD, bad(-1e-6), bad(np.inf)])
    found = np.asarray(derivative(batch))
    alone = np.asarray(derivative(np.stack([GOOD] * 5)))
    assert np.all(np.isnan(found[[1, 3, 4]]))
    np.testing.assert_array_equal(found[[0, 2]], alone[[0, 2]])
    assert np.all(np.abs(found[0]) > 0)


@pytest.mark.parametrize("throw", [True, False])
@pytest.mark.parametrize("f", [of_solve, of_transfer], ids=["solve", "transfer"])
def test_a_missed_tolerance_has_no_derivative(f, throw):
    def missed(g):
        return f(g, ONE_STEP, (100.0, 100.0), throw)

    value, gradient = jax.jit(jax.value_and_grad(missed))(GOOD)
    assert np.isnan(value) == throw
    assert np.all(np.isnan(gradient))
    assert np.all(np.isnan(jax.jit(jax.jacfwd(missed))(GOOD)))


def test_illegal_wires_and_inputs_have_no_derivative():
    def by_wires(r):
        return of_solve(GOOD, wires=(r, r))

    def by_input(v):
        array = xb.Crossbar(GOOD, xb.Wires(*WIRES))
        return jnp.sum(xb.solve(array, v).i_out)

    assert np.isnan(jax.jit(jax.grad(by_wires))(-1.0))
    assert np.all(np.isnan(jax.jit(jax.grad(by_input))(jnp.array([1.0, jnp.inf, 1, 1]))))


def test_a_network_with_an_illegal_cell_has_no_derivative():
    assert np.all(np.isnan(jax.jit(jax.grad(of_network))(jnp.asarray(bad(np.nan)))))


@pytest.mark.parametrize("mode", [jax.grad, jax.value_and_grad, jax.jacfwd])
@pytest.mark.parametrize("f", [of_solve, of_transfer], ids=["solve", "transfer"])
def test_an_eager_derivative_names_argument_and_place(f, mode):
    with pytest.raises(ValueError, match=r"Crossbar\.g: got nan at \(2, 1\)"):
        mode(f)(jnp.asarray(bad(np.nan)))
