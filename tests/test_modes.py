"""Laws of what preconditions conjugate gradients, and of the choices around them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar.solvers import cg
from xbar.solvers.base import problem_of
from xbar.solvers.modes import MOST, modes_of

SHAPE = (49, 60)


def random_array(seed, ohm, shape=SHAPE):
    rng = np.random.default_rng(seed)
    g = np.exp(rng.uniform(np.log(1e-6), np.log(1e-4), shape))
    g[rng.random(shape) < 0.1] = 0
    return g, xb.Wires(ohm, ohm), rng


def wires_of(kind, rng, rows, cols):
    if kind == "ends":
        return xb.Wires(0.5, 2.0, source=rng.uniform(0, 50, rows), sense=rng.uniform(0, 50, cols))
    if kind == "segments":
        return xb.Wires(rng.uniform(0, 2, (rows, cols)), rng.uniform(0, 2, (rows, cols)))
    if kind == "ends alone":
        return xb.Wires(0.0, 0.0, source=20.0, sense=10.0)
    return xb.Wires(2.0, 1.0)


@pytest.mark.parametrize("kind", ["alike", "ends", "ends alone", "segments"])
@pytest.mark.parametrize("shape", [SHAPE, (1, 40), (40, 1)])
def test_the_preconditioner_is_self_adjoint_and_positive(kind, shape):
    """In the inner product weighted by g, whatever the wires: all that CG asks of it."""
    g, _, rng = random_array(3, 1.0, shape)
    problem = problem_of(jnp.asarray(g), wires_of(kind, rng, *shape))
    modes = modes_of(problem)
    assert bool(modes.mild)
    count = 12
    a = jnp.asarray(rng.normal(size=(count, *shape)))
    # The modes themselves are what it changes most.
    a = a.at[0].set(jnp.broadcast_to(modes.word, shape)).at[1].set(modes.bit[:, None] + 0 * a[1])
    image = modes(a, problem.g * a)
    products = np.einsum("ij,aij,bij->ab", g, a, image)
    np.testing.assert_allclose(products, products.T, rtol=0, atol=1e-13 * np.abs(products).max())
    lengths = np.einsum("ij,aij,aij->a", g, a, a)
    quotients = np.diag(products) / lengths
    assert np.all(quotients > 0)
    assert np.all(quotients <= 1 + 1e-12)
    assert quotients[:2].min() < 1 - 1e-6


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("ends", [(0.0, 0.0), (3.0, 7.0), (50.0, 0.0)])
@pytest.mark.parametrize("line", [0.0, 2.0])
def test_a_mode_is_what_equal_currents_lose(line, ends, dtype):
    g = jnp.full((6, 9), 1e-4, dtype)
    problem = problem_of(g, xb.Wires(line, line, *ends))
    modes = modes_of(problem)
    ones = jnp.ones((1, 6, 9), dtype)
    sides = (
        (modes.word, problem.drop.word(ones)[0, 0]),
        (modes.bit, problem.drop.bit(ones)[0, :, 0]),
    )
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    for shape, lost in sides:
        size = np.linalg.norm(lost)
        wanted = lost / size if size else lost
        np.testing.assert_allclose(shape, wanted, rtol=0, atol=tolerance)


def test_it_is_the_product_of_inverses_that_its_docstring_names():
    """Against dense matrices of a small array."""
    rows, cols = 4, 5
    g, _, rng = random_array(9, 1.0, (rows, cols))
    problem = problem_of(jnp.asarray(g), xb.Wires(900.0, 600.0, 300.0, 100.0))
    modes = modes_of(problem)
    assert bool(modes.mild)
    weights = np.diag(g.ravel())

    def of_lines(shape, drop, line_of):
        """I + x phi <phi, .>_g / <phi, phi>_g of every line, x by the lines' own resistances."""
        matrix = np.eye(rows * cols)
        for k in range(shape.shape[0]):
            phi = line_of(k)
            lost = float(np.sum(phi * np.asarray(drop(jnp.asarray(phi)[None]))[0]))
            matrix += lost * np.outer(phi.ravel(), phi.ravel() @ weights)
        return matrix

    def root_of_inverse(matrix):
        values, vectors = np.linalg.eig(matrix)
        return (vectors / np.sqrt(values.real)) @ np.linalg.inv(vectors)

    word, bit = np.asarray(modes.word), np.asarray(modes.bit)
    in_row = lambda k: np.eye(rows)[k][:, None] * word  # noqa: E731
    in_column = lambda k: bit[:, None] * np.eye(cols)[k]  # noqa: E731
    of_word = of_lines(np.eye(rows), problem.drop.word, in_row)
    half = root_of_inverse(of_lines(np.eye(cols), problem.drop.bit, in_column)).real
    dense = half @ np.linalg.inv(of_word) @ half
    residual = rng.normal(size=(3, rows, cols))
    found = modes(jnp.asarray(residual), problem.g * residual)
    wanted = (residual.reshape(3, -1) @ dense.T).reshape(found.shape)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


def test_severe_drop_is_left_alone():
    g, wires, rng = random_array(4, 1e4)
    problem = problem_of(jnp.asarray(g), wires)
    modes = modes_of(problem)
    assert not bool(modes.mild)
    residual = jnp.asarray(rng.normal(size=(2, *SHAPE)))
    np.testing.assert_array_equal(modes(residual, problem.g * residual), residual)
    uniform = problem_of(jnp.full((64, 64), 1e-4), xb.Wires(1.0, 1.0))
    of_lines = 2 * 1e-4 * (2 * 64 / np.pi) ** 2
    assert of_lines < MOST
    assert bool(modes_of(uniform).mild)


@pytest.mark.parametrize(("ohm", "least"), [(1.0, 1), (5.0, 3), (20.0, 6)])
def test_mild_drop_takes_fewer_steps_to_the_same_currents(monkeypatch, ohm, least):
    g, wires, rng = random_array(5, ohm, (65, 100))
    problem = problem_of(jnp.asarray(g), wires)
    e = jnp.asarray(rng.uniform(0.02, 0.2, 65))[None, :, None]
    found = xb.CG().of_one(problem, e)
    monkeypatch.setattr(cg, "MODES_CELLS", range(0))
    plain = xb.CG().of_one(problem, e)
    assert bool(found.ok[0])
    assert bool(plain.ok[0])
    assert int(found.steps[0]) <= int(plain.steps[0]) - least
    currents = [np.asarray(jnp.sum(problem.g * x.u[0], axis=0)) for x in (found, plain)]
    np.testing.assert_allclose(*currents, rtol=0, atol=2e-10 * np.abs(currents[1]).max())


def test_inputs_of_one_array_stop_by_themselves():
    """One of zero takes no step; all are as right as alone."""
    g, wires, rng = random_array(6, 5.0)
    v_in = rng.uniform(-0.2, 0.2, (SHAPE[0], 4))
    v_in[:, 1] = 0
    array = xb.Crossbar(g, wires)
    together = xb.solve(array, v_in, xb.CG())
    assert int(together.steps[1]) == 0
    right = xb.solve(array, v_in, xb.ColumnSweep())
    scale = np.abs(right.i_out).max(axis=0)
    wrong = np.abs(together.i_out - right.i_out).max(axis=0)
    assert np.all(wrong <= 1e-10 * scale)


@pytest.mark.parametrize("shape", [(12, 10), (50, 50)])
def test_an_input_takes_about_the_steps_that_it_takes_alone(shape):
    """Also where another goes on, and where rounding asks both for another pass."""
    rng = np.random.default_rng(2)
    g = 10 ** rng.uniform(-3, -2, shape)
    array = xb.Crossbar(g, xb.Wires(100.0, 100.0))
    v_in = np.stack([rng.uniform(0.1, 1, shape[0]), np.eye(shape[0])[0], np.zeros(shape[0])], 1)
    together = xb.solve(array, v_in, xb.CG(), throw=False)
    for k in range(3):
        alone = xb.solve(array, v_in[:, k], xb.CG(), throw=False)
        # Hundreds of steps round differently.
        assert int(together.steps[k]) == pytest.approx(int(alone.steps), rel=0.2, abs=2)
        np.testing.assert_allclose(
            together.i_out[:, k], alone.i_out, rtol=0, atol=2e-10 * np.abs(alone.i_out).max()
        )


def test_without_wires_there_is_nothing_to_solve():
    """No step, and exact; in a batch, too, of which some members have wires."""
    g, _, rng = random_array(7, 0.0, (12, 9))
    v_in = rng.uniform(0, 0.2, 12)

    def solved(ohm):
        found = xb.solve(xb.Crossbar(g, xb.Wires(ohm, ohm)), v_in, xb.CG())
        return found.i_out, found.steps

    ohms = jnp.asarray([0.0, 3.0, 0.0])
    i_out, steps = jax.vmap(solved)(ohms)
    assert steps[0] == steps[2] == 0 < steps[1]
    for k in (0, 2):
        np.testing.assert_allclose(i_out[k], v_in @ g, rtol=1e-14)
    np.testing.assert_allclose(i_out[1], solved(3.0)[0], rtol=1e-12)


def test_a_batch_chooses_its_method_member_by_member():
    """What one severe array asks for changes nothing about the others: not a digit."""
    g, _, rng = random_array(8, 1.0, (20, 24))
    v_in = rng.uniform(0.02, 0.2, 20)

    def solved(ohm):
        found = xb.solve(xb.Crossbar(g, xb.Wires(ohm, ohm)), v_in)
        return found.i_out, found.steps, found.result == xb.RESULTS.successful

    mild = jnp.asarray([1.0, 2.0, 1.5, 3.0])
    mixed = mild.at[2].set(1e6)
    alone, together = (jax.jit(jax.vmap(solved))(ohms) for ohms in (mild, mixed))
    assert bool(jnp.all(together[2]))
    for k in (0, 1, 3):
        np.testing.assert_array_equal(together[0][k], alone[0][k])
        assert together[1][k] == alone[1][k]
