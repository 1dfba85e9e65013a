"""Newton's method: Kirchhoff's laws for every law, marks, batches, precision, derivatives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from newton_cases import Case, lines

import xbar as xb
from xbar import cells
from xbar.solvers.newton import Newton, _start

ROWS, COLS = 2, 3
SEGMENT, SOURCE, SENSE = 40.0, 30.0, 20.0
WIRES = xb.Wires(SEGMENT, SEGMENT, SOURCE, SENSE)
V_IN = np.array([[0.8, -0.5], [0.3, 1.0]])  # (rows, n)

# One law to each column, an open cell in the first.
WIDE = 6
EACH = np.arange(WIDE) == np.arange(WIDE)[:, None]
G = np.full((ROWS, WIDE), 3e-4)
G[0, 0] = 0
EVERY_LAW = [
    cells.Sinh(G, np.linspace(0.1, 0.3, ROWS * WIDE).reshape(ROWS, WIDE)),
    cells.Series(cells.Ohmic(G), cells.Selector(1e-9, 0.05)),
    cells.Stanford(np.full((ROWS, WIDE), 0.4e-9)),
    cells.Polynomial(np.array([3e-4, -2e-5, 1e-4])[:, None, None] * np.ones((ROWS, WIDE))),
    cells.Series(cells.Ohmic(G), cells.Transistor(1e-3, 0.3)),
    cells.Ohmic(1e-3),
]


def side_by_side(laws: list[cells.AbstractCell]) -> cells.AbstractCell:
    """The first law in the first column, and so on."""
    law = laws[-1]
    for column, other in zip(EACH[-2::-1], laws[-2::-1], strict=True):
        law = cells.Where(column[None], other, law)
    return law


def test_kirchhoffs_laws_hold_for_every_law():
    """The equation itself, in NumPy; it has one solution."""
    law = side_by_side(EVERY_LAW)
    found = xb.solve(xb.Crossbar(law, WIRES), V_IN)
    case = Case(np.ones((ROWS, WIDE)), V_IN[:, 0], SEGMENT, SOURCE, SENSE, 0.0, 0.0)
    drop = np.asarray(lines(case), float)
    for k in range(V_IN.shape[1]):
        u, i = (np.asarray(x)[..., k] for x in (found.v_word - found.v_bit, found.i_cell))
        left = np.repeat(V_IN[:, k], WIDE) - u.ravel() - drop @ i.ravel()
        assert np.max(np.abs(left)) <= 1e-10
        largest = np.max(np.abs(i))
        for column, each in enumerate(EVERY_LAW):
            carried = np.broadcast_to(each.current(jnp.asarray(u)), u.shape)[:, column]
            assert np.max(np.abs(carried - i[:, column])) <= 1e-9 * largest
        np.testing.assert_allclose(found.i_out[:, k], i.sum(0), rtol=1e-12)
    assert found.steps.shape == found.inner_steps.shape == (2,)


def test_ohmic_cells_by_any_name_share_one_program():
    """What is not used costs the path of resistors nothing."""

    def by_conductance(g):
        return xb.solve(xb.Crossbar(g, WIRES), V_IN[:, 0]).i_out

    def by_law(g):
        return xb.solve(xb.Crossbar(cells.Ohmic(g), WIRES), V_IN[:, 0]).i_out

    g = jnp.ones((ROWS, COLS)) * 1e-4
    assert str(jax.make_jaxpr(by_conductance)(g)) == str(jax.make_jaxpr(by_law)(g))
    assert xb.solve(xb.Crossbar(g, WIRES), V_IN).inner_steps is None


MASK = np.array([[True, False, False], [False, False, True]])
START = {
    "g": jnp.asarray(np.array([[1e-3, 3e-4, 0.0], [2e-4, 1e-3, 5e-5]])),
    "v_0": jnp.asarray(0.15),
    "stuck": jnp.asarray(2e-3),
    "segment": jnp.asarray(np.full((ROWS, COLS), SEGMENT)),
    "source": jnp.asarray(SOURCE),
    "v_in": jnp.asarray(V_IN[:, 0]),
}


def mixture(p, dtype=None):
    """An array of stuck, open and exponential cells."""
    law = cells.Where(MASK, cells.Ohmic(p["stuck"]), cells.Sinh(p["g"], p["v_0"]))
    sense = p["source"] * 0.5
    return xb.Crossbar(law, xb.Wires(p["segment"], p["segment"], p["source"], sense))


def loss(p, solver=None):
    found = xb.solve(mixture(p), p["v_in"], solver, throw=False)
    return jnp.sum(jnp.array([1.0, -2.0, 0.7]) * 1e3 * found.i_out), found


def direction():
    """A change of all parameters together."""
    rng = np.random.default_rng(3)
    return {k: x * jnp.asarray(rng.uniform(0.5, 1, x.shape)) for k, x in START.items()}


@functools.cache
def along():
    """Value, first and second derivative along it."""
    way = direction()

    def value(t):
        p = {k: START[k] + t * way[k] for k in START}
        return loss(p)[0]

    def all_three(t):
        slope = jax.grad(value)
        return value(t), slope(t), jax.jvp(slope, (t,), (jnp.ones_like(t),))[1]

    return jax.jit(jax.vmap(all_three))


def test_derivatives_to_second_order_are_those_of_finite_differences():
    h = 1e-5
    t = jnp.array([-h, 0.0, h])
    value, slope, curve = (np.asarray(x) for x in along()(t))
    assert abs((value[2] - value[0]) / (2 * h) - slope[1]) <= 1e-8 * abs(slope[1])
    assert abs((slope[2] - slope[0]) / (2 * h) - curve[1]) <= 1e-7 * abs(curve[1])
    assert abs(curve[1]) > 1e-3 * abs(slope[1])


def test_the_gradient_of_every_parameter_adds_up_to_the_slope_along_all():
    gradient = jax.jit(jax.grad(lambda p: loss(p)[0]))(START)
    total = sum(jnp.sum(gradient[name] * direction()[name]) for name in START)
    slope = along()(jnp.array([-1e-5, 0.0, 1e-5]))[1][1]
    assert abs(total - slope) <= 1e-11 * abs(slope)
    assert gradient["g"][0, 0] == 0  # not in force
    assert all(np.all(np.isfinite(x)) for x in gradient.values())


def test_large_v_0_is_the_linear_array():
    """The difference falls as ``v_0^-2``."""
    g = jnp.asarray(np.array([[1e-3, 3e-4, 1e-4], [2e-4, 1e-3, 5e-5]]))
    linear = xb.solve(xb.Crossbar(g, WIRES), V_IN[:, 0]).i_out
    found = jax.jit(lambda v_0: xb.solve(xb.Crossbar(cells.Sinh(g, v_0), WIRES), V_IN[:, 0]).i_out)
    off = [float(np.max(np.abs(found(jnp.asarray(v)) - linear))) for v in (10.0, 100.0)]
    assert 90 < off[0] / off[1] < 110


def test_float32_is_right_to_a_hundred_thousandth():
    right = loss(START)[1]
    p = {k: x.astype(jnp.float32) for k, x in START.items()}
    found = xb.solve(mixture(p), p["v_in"])
    assert found.i_out.dtype == jnp.float32
    assert np.max(np.abs(found.i_out - right.i_out)) <= 1e-5 * np.max(np.abs(right.i_cell))


# --- the start -----------------------------------------------------------------------------------


def test_the_start_is_the_drive_halved_until_no_cell_carries_more_than_twice_what_wires_let():
    """For a law that cannot be read backwards; the eighth cell takes many halvings, some none."""
    rng = np.random.default_rng(5)
    e, most = jnp.asarray(rng.uniform(0.1, 2, (2, 4))), jnp.asarray(10 ** rng.uniform(2, 5, (2, 4)))
    most = most.at[1, 3].set(1e12)
    law = cells.Polynomial(1e-4 * jnp.stack([jnp.full((2, 4), k) for k in (0.5, 0.0, 3.0)]))
    assert not law.invertible

    def ratio(u):
        return jnp.abs(law.current(u)) * most / jnp.abs(e)

    u = jax.jit(_start)(law, most, e)
    halved = u < e
    assert bool(halved[1, 3])
    assert not bool(halved.all())
    assert np.all(np.log2(e / u) == np.round(np.log2(e / u)))
    assert np.all(jnp.where(halved, ratio(u), 0) <= 2)
    assert np.all(jnp.where(halved, ratio(2 * u), np.inf) > 2)


# --- what failed is marked ----------------------------------------------------------------------


@functools.cache
def humps():
    """Arrays of ``i = c u - u^3``, and their gradients by the input."""

    def current(v, c):
        law = cells.Polynomial(
            jnp.stack([c, 0.0 * c, -jnp.ones_like(c)])[:, None, None] * jnp.full((ROWS, COLS), 1e-4)
        )
        found = xb.solve(xb.Crossbar(law, WIRES), v * V_IN[:, 0], throw=False)
        return jnp.sum(found.i_out), found.result == xb.RESULTS.cells_out_of_range

    return jax.jit(jax.vmap(jax.value_and_grad(current, has_aux=True), (0, None)))


def test_a_law_that_stops_increasing_says_so_each_member_of_a_batch():
    """The slope is zero at ``u^2 = c / 3``: reached by the third input alone."""
    (value, marked), slope = humps()(jnp.array([0.1, 0.5, 5.0]), jnp.asarray(1.0))
    assert marked.tolist() == [False, False, True]
    assert np.isfinite(slope).tolist() == [True, True, False]
    assert np.all(np.isfinite(value[:2]))


def test_out_of_range_raises_by_name():
    law = cells.Polynomial(np.array([1.0, 0.0, -1.0])[:, None, None] * np.full((ROWS, COLS), 1e-4))
    with pytest.raises(RuntimeError, match="increas"):
        xb.solve(xb.Crossbar(law, WIRES), 5 * V_IN)


def test_too_few_steps_are_a_missed_tolerance_with_derivatives_of_nan():
    solver = Newton(max_steps=1)
    both = jax.jit(jax.value_and_grad(functools.partial(loss, solver=solver), has_aux=True))
    (_, found), slope = both(START)
    assert found.result == xb.RESULTS.tolerance_missed
    assert np.isnan(slope["v_0"])
    assert np.all(np.isnan(slope["v_in"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": Newton()}, "needs a linear solver"),
        ({"rtol": 2.0}, r"Newton\.rtol: got 2\.0"),
        ({"inner_rtol": 0.0}, r"Newton\.inner_rtol: got 0\.0"),
        ({"max_steps": 0}, r"Newton\.max_steps: got 0"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Newton(**options)
