"""Rung 5: derivatives against finite differences and against each other, zeros included."""

import circuits
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import xbar as xb

pytestmark = pytest.mark.optimized

SOLVERS = {
    "dense": xb.Dense(),
    "cg": xb.CG(rtol=1e-13),
    "column_sweep": xb.ColumnSweep(),
    "default": xb.Auto(rtol=1e-13),
}


def inputs(seed=0, rows=4, cols=3):
    """A circuit with an open cell and segments of zero resistance among its parameters."""
    rng = np.random.default_rng(seed)
    g = rng.uniform(1e-4, 1e-3, (rows, cols))
    word, bit = rng.uniform(10, 100, (rows, cols)), rng.uniform(10, 100, (rows, cols))
    g[1, 1] = word[0, 0] = word[2, 1] = bit[3, 2] = bit[0, 0] = 0
    source, sense = rng.uniform(1, 50, rows), rng.uniform(1, 50, cols)
    source[0] = sense[0] = 0
    return jax.tree.map(jnp.asarray, (g, (word, bit, source, sense), rng.uniform(-1, 1, rows)))


def scalar(parameters, solver):
    """A function of every output of the solution."""
    g, wires, v_in = parameters
    sol = xb.solve(xb.Crossbar(g, xb.Wires(*wires)), v_in, solver)
    weights = jnp.cos(jnp.arange(g.size)).reshape(g.shape)
    volts = jnp.sum(weights * (sol.v_word**2 + jnp.sin(sol.v_bit)))
    amperes = jnp.sum(jnp.sin(1e3 * sol.i_out)) + 1e3 * jnp.sum(weights * sol.i_cell)
    return volts + amperes + 1e3 * sol.p_total


gradient_of = jax.jit(jax.grad(scalar), static_argnums=1)


def one_sided_difference(x):
    """Fourth-order forward difference: a resistance or conductance of zero cannot go below it."""
    flat, unravel = ravel_pytree(x)
    sizes, _ = ravel_pytree(jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.max(leaf)), x))
    f = jax.jit(lambda flat: scalar(unravel(flat), xb.Dense()))
    weights = np.array([-25 / 12, 4, -3, 4 / 3, -1 / 4])

    def slope(k, h):
        return weights @ [float(f(flat.at[k].add(m * h))) for m in range(5)] / h

    return np.array([slope(k, 1e-3 * size) for k, size in enumerate(np.asarray(sizes))])


@pytest.fixture(scope="module")
def expected():
    return one_sided_difference(inputs())


@pytest.mark.parametrize("solver", SOLVERS)
def test_gradient_matches_finite_differences(solver, expected):
    gradient, _ = ravel_pytree(gradient_of(inputs(), SOLVERS[solver]))
    groups = np.cumsum([12, 12, 12, 4, 3, 4])
    for ours, theirs in zip(
        np.split(gradient, groups[:-1]), np.split(expected, groups[:-1]), strict=True
    ):
        assert np.max(np.abs(ours - theirs)) <= 1e-7 * np.max(np.abs(theirs))


@pytest.mark.parametrize("solver", SOLVERS)
def test_forward_mode_equals_reverse_mode(solver):
    x = inputs()
    along, unravel = ravel_pytree(x)
    along = jnp.sin(1 + jnp.arange(along.size)) * along

    @jax.jit
    def slope(x, dx):
        return jax.jvp(lambda x: scalar(x, SOLVERS[solver]), (x,), (dx,))[1]

    forward = slope(x, unravel(along))
    backward, _ = ravel_pytree(gradient_of(x, SOLVERS[solver]))
    assert abs(forward - backward @ along) <= 1e-11 * np.sum(np.abs(backward * along))


@pytest.mark.parametrize(
    "solver",
    [name if name == "cg" else pytest.param(name, marks=pytest.mark.slow) for name in SOLVERS],
)
def test_hessian(solver):
    g, wires, v_in = inputs(1)
    solver = SOLVERS[solver]

    def f(g):
        return scalar((g, wires, v_in), solver)

    hessian = jax.jit(jax.hessian(f))(g).reshape(g.size, g.size)
    assert np.max(np.abs(hessian - hessian.T)) <= 1e-9 * np.max(np.abs(hessian))
    slope = jax.jit(jax.grad(f))
    for k in (0, 5, 11):
        step = jnp.zeros(g.size).at[k].set(1e-7).reshape(g.shape)
        numeric = (slope(g + step) - slope(g - step)).ravel() / 2e-7
        assert np.max(np.abs(numeric - hessian[k])) <= 1e-6 * np.max(np.abs(hessian[k]))
    assert np.all(np.isfinite(hessian))  # also at the open cell


def test_sensitivity_is_a_product_of_two_cell_voltages():
    """dT[o, k] / dg[c] = l_o[c] u_k[c] (design 3), with l_o solved on the circuit turned around."""
    circuit = circuits.random_circuit(np.random.default_rng(2), 5, 4, "severe")
    array = circuit.array()

    def transfer_of(g):
        return xb.transfer(xb.Crossbar(g, array.wires))

    sol = xb.solve(array, np.eye(5))
    u = np.asarray(sol.v_word - sol.v_bit)  # (rows, cols, k)
    back = xb.solve(circuit.turned().array(), np.eye(4))
    left = np.asarray(back.v_word - back.v_bit)[::-1, ::-1, ::-1].transpose(1, 0, 2)
    expected = np.einsum("ijo,ijk->okij", left, u)
    jacobian = jax.jit(jax.jacobian(transfer_of))(array.g)
    assert np.max(np.abs(jacobian - expected)) <= 1e-9 * np.max(np.abs(expected))


@pytest.mark.slow
def test_gradient_through_a_batch_of_transfers():
    rng = np.random.default_rng(3)
    g = jnp.asarray(rng.uniform(1e-6, 1e-4, (3, 5, 4)))
    wires = xb.Wires(1.0, 1.0)

    def loss(g):
        return jnp.sum(jax.vmap(lambda g: xb.transfer(xb.Crossbar(g, wires)))(g) ** 2)

    slope = jax.jit(jax.grad(loss))
    one_by_one = jnp.stack([slope(g[k : k + 1])[0] for k in range(3)])
    np.testing.assert_allclose(slope(g), one_by_one, rtol=1e-8)


@pytest.mark.slow
def test_float32_gradient():
    ours, _ = ravel_pytree(gradient_of(circuits.cast(inputs(), jnp.float32), None)[0])
    exact, _ = ravel_pytree(gradient_of(inputs(), None)[0])
    assert ours.dtype == jnp.float32
    assert np.max(np.abs(ours - exact)) <= 1e-5 * np.max(np.abs(exact))
