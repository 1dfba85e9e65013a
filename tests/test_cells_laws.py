"""Laws of the cells by themselves: values, slopes, inverses, and what may not be asked of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar import cells
from xbar.cells.base import point

SHAPE = (2, 3)
G = np.array([[1e-6, 2e-5, 0.0], [1e-4, 3e-3, 1e2]])  # an open cell, and nearly a short circuit
MASK = np.array([[True, False, True], [False, True, False]])
VOLTS = (-2.0, -0.3, -1e-9, 0.0, 1e-3, 0.2, 0.5, 2.0)

LAWS = {
    "ohmic": cells.Ohmic(G),
    "sinh": cells.Sinh(G, v_0=0.1),
    "sinh, v_0 of each cell": cells.Sinh(G, np.linspace(0.1, 0.6, 6).reshape(SHAPE)),
    "stanford": cells.Stanford(np.linspace(0.2e-9, 1.7e-9, 6).reshape(SHAPE)),
    "polynomial": cells.Polynomial(np.array([3e-5, -2e-6, 1e-5])[:, None, None] * np.ones(SHAPE)),
    "selector": cells.Selector(1e-9 * np.ones(SHAPE), 0.06),
    "1S1R": cells.Series(cells.Ohmic(G), cells.Selector(1e-9, 0.03)),
    "S1R1": cells.Series(cells.Selector(1e-9, 0.03), cells.Ohmic(G)),
    "two exponentials": cells.Series(cells.Sinh(G, 0.05), cells.Selector(1e-9, 0.06)),
    "access resistance": cells.Series(cells.Sinh(G, 0.1), cells.Ohmic(1e-3)),
    "1T1R": cells.Series(cells.Ohmic(G), cells.Transistor(1e-4, 0.4)),
    "transistor": cells.Transistor(1e-4 * np.ones(SHAPE), 0.4),
    "transistor, off": cells.Transistor(1e-4 * np.ones(SHAPE), -0.1),
    "stuck among others": cells.Where(MASK, cells.Ohmic(1e-3), cells.Sinh(G, 0.1)),
    "resistors in series": cells.Series(cells.Ohmic(G), cells.Ohmic(1e-4)),
}


@pytest.fixture(scope="module")
def at():
    """Current, slope, voltage read back, and whether the law holds, of all laws at all voltages."""

    @jax.jit
    def everything(laws):
        u = jnp.asarray(VOLTS)[:, None, None] * jnp.ones(SHAPE)
        step = 1e-5 * (1e-3 + jnp.abs(u))
        found = {}
        for name, law in laws.items():
            i, slope = point(law, u)
            numeric = (law.current(u + step) - law.current(u - step)) / (2 * step)
            found[name] = (i, slope, numeric, law.voltage(i), law.holds(u), law.slope(u))
        return found

    return {name: [np.asarray(x) for x in found] for name, found in everything(LAWS).items()}


@pytest.mark.parametrize("name", LAWS)
def test_slopes_are_those_of_the_current(at, name):
    i, slope, numeric, _, holds, alone = at[name]
    assert i.shape == slope.shape == (len(VOLTS), *SHAPE)
    assert np.all(np.isfinite(i))
    assert np.all(np.isfinite(slope))
    assert np.all(holds)
    np.testing.assert_array_equal(slope, alone)
    scale = np.max(np.abs(slope), axis=(1, 2), keepdims=True)
    assert np.max(np.abs(slope - numeric) / np.where(scale == 0, 1, scale)) <= 1e-5
    assert np.all(slope >= 0)


@pytest.mark.parametrize("name", LAWS)
def test_the_sign_of_the_current_is_that_of_the_voltage(at, name):
    i = at[name][0]
    sign = np.sign(np.asarray(VOLTS))[:, None, None]
    assert np.all((np.sign(i) == sign) | (i == 0))
    assert np.all(i[VOLTS.index(0.0)] == 0)


@pytest.mark.parametrize("name", [name for name, law in LAWS.items() if law.invertible])
def test_reading_backwards_gives_the_voltage(at, name):
    i, _, _, back, _, _ = at[name]
    u = np.asarray(VOLTS)[:, None, None] * np.ones(SHAPE)
    known = np.isfinite(back)
    assert np.sum(~known & (i != 0)) == 0  # only an open cell has no voltage of its own
    assert np.max(np.abs(back - u)[known]) <= 1e-14 * np.max(np.abs(VOLTS))


def test_published_resistances_of_the_stanford_model():
    """At 0.1 V and gaps of 0.2 and 1.7 nm, as other packages have them."""
    law = cells.Stanford(np.array([[0.2e-9, 1.7e-9]]))
    r = 0.1 / np.asarray(law.current(jnp.asarray(0.1)))
    np.testing.assert_allclose(r, [[541.821, 218_586]], rtol=1e-6)


def test_series_shares_current_and_adds_voltages():
    u = jnp.asarray(VOLTS)[:, None, None] * jnp.ones(SHAPE)
    for name in ("1S1R", "S1R1", "two exponentials"):
        law = LAWS[name]
        i = np.asarray(law.current(u))
        parts = np.asarray(law.a.voltage(i)) + np.asarray(law.b.voltage(i))
        known = np.isfinite(parts)
        assert np.max(np.abs(parts - u)[known]) <= 1e-14 * np.max(np.abs(VOLTS))


def test_a_transistor_in_series_obeys_its_quadratic():
    """``i = beta (v d - d^2 / 2)``, d = u - i / g, up to saturation; reversed, ``+ d^2 / 2``."""
    beta, v, g = 1e-4, 0.4, 3e-5
    u = np.linspace(-1, 3, 41)
    d = np.abs(u)
    c = 1 + beta / g * v
    sign = np.where(u < 0, -1.0, 1.0)
    drop = 2 * d / (c + np.sqrt(np.maximum(c**2 - sign * 2 * beta / g * d, 0)))
    triode = beta * (v * drop - sign * drop**2 / 2)
    expected = np.where((drop < v) | (u < 0), sign * triode, beta * v**2 / 2)
    law = cells.Series(cells.Ohmic(g * np.ones((1, 1))), cells.Transistor(beta, v))
    found = np.asarray(law.current(jnp.asarray(u)[:, None, None]))[:, 0, 0]
    assert np.max(np.abs(found - expected)) <= 1e-14 * np.max(np.abs(expected))


def test_small_voltages_keep_their_digits():
    u = jnp.asarray([1e-300, 1e-20, 1e-10])
    np.testing.assert_allclose(cells.Sinh(1e-5, 0.1).current(u), 1e-5 * u, rtol=1e-15)
    np.testing.assert_allclose(
        cells.Series(cells.Sinh(np.full((1, 1), 1e-5), 0.1), cells.Ohmic(1e-5)).current(u),
        5e-6 * u[None, :],
        rtol=1e-15,
    )
    # v_ov - (v_ov - u) would have lost them.
    np.testing.assert_allclose(cells.Transistor(1e-4, 0.4).current(u), 4e-5 * u, rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_no_voltage_overflows(dtype):
    u = jnp.asarray([-1e4, -500, 500, 1e4], dtype)
    law = cells.Sinh(jnp.asarray(1e-5, dtype), jnp.asarray(0.03, dtype))
    i, slope = point(law, u)
    assert i.dtype == slope.dtype == dtype
    assert np.all(np.isfinite(i))
    assert np.all(np.isfinite(np.asarray(slope) ** 2))
    assert np.all(np.diff(i) > 0)
    assert np.all(np.asarray(slope) > 0)
    assert not np.any(law.holds(u))  # and says that it is no longer itself there


@pytest.mark.parametrize("name", ["1S1R", "two exponentials", "1T1R", "stuck among others"])
def test_second_derivatives(name):
    """Of the current by all parameters and the voltage, against differences of the first."""
    law = LAWS[name]
    u = jnp.asarray([[0.3, 0.35, 0.2], [0.25, 0.1, 0.15]])

    def total(scale):
        scaled = jax.tree.map(lambda x: x * scale[0] if x.dtype == u.dtype else x, law)
        return jnp.sum(jnp.sin(jnp.arange(6).reshape(SHAPE)) * scaled.current(scale[1] * u))

    one = jnp.ones(2)
    slope, curve = jax.jit(jax.grad(total)), jax.jit(jax.hessian(total))(one)
    assert np.all(np.isfinite(curve))
    for k in range(2):
        step = np.zeros(2)
        step[k] = 1e-6
        numeric = (slope(one + step) - slope(one - step)) / 2e-6
        assert np.max(np.abs(numeric - curve[k])) <= 1e-7 * np.max(np.abs(curve))


def test_what_is_not_in_force_leaves_no_trace_in_derivatives():
    """A NaN of the other law, times zero, would be a NaN."""

    class Root(cells.AbstractCell):
        g: jax.Array

        def current(self, u):
            return self.g * jnp.sqrt(u)

    law = cells.Where(
        np.array([[True, False]]), Root(jnp.ones((1, 2))), cells.Ohmic(np.ones((1, 2)))
    )

    def total(law, u):
        return jnp.sum(law.current(u))

    u = jnp.array([[4.0, -1.0]])
    slope = jax.grad(total, argnums=1)(law, u)
    np.testing.assert_allclose(slope, [[0.25, 1.0]])


def test_linear_by_class():
    linear = {name for name, law in LAWS.items() if law.linear}
    assert linear == {"ohmic", "resistors in series"}
    assert cells.Where(MASK, cells.Ohmic(G), cells.Ohmic(1e-3)).linear
    assert not cells.Series(cells.Ohmic(G), cells.Sinh(G, 0.1)).linear


def test_a_polynomial_holds_where_it_increases():
    """``u - u^2`` up to 1/2; ``u^3`` everywhere; a dip in the middle is seen past it."""
    u = jnp.array([-3.0, -0.4, 0.0, 0.4, 0.499, 0.501, 3.0])
    assert cells.Polynomial([1.0, -1.0]).holds(u).tolist() == [True] * 5 + [False] * 2
    assert np.all(cells.Polynomial([0.0, 0.0, 1.0]).holds(u))
    # Slope (t - 1)^2 - 0.01 and (t - 1)^2 + 0.01.
    dips = cells.Polynomial([0.99, -1.0, 1 / 3])
    assert dips.holds(jnp.array([-3.0, 0.89, 0.91, 1.0, 2.0, 9.0])).tolist() == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    assert np.all(cells.Polynomial([1.01, -1.0, 1 / 3]).holds(u))


def test_a_law_of_ones_own_is_watched():
    class Hump(cells.AbstractCell):
        g: jax.Array

        def current(self, u):
            return self.g * jnp.sin(u)

    law = Hump(jnp.ones(SHAPE))
    assert not law.linear
    assert not law.invertible
    assert law.shape == SHAPE
    # 7 V is where the sine increases again.
    assert law.holds(jnp.array([-1.5, 2.0, 7.0])).tolist() == [[True, False, False]] * 2


WRONG = {
    "a negative literal": (lambda: cells.Sinh(-1.0, 0.1), "Sinh.g: got -1.0, needs a finite"),
    "no scale": (lambda: cells.Sinh(G, 0.0), "Sinh.v_0: got 0.0, needs a finite value > 0"),
    "text": (lambda: cells.Selector("1", 0.1), "Selector.i_s: got str"),
    "one axis": (lambda: cells.Sinh(np.ones(3), 0.1), r"Sinh.g: got shape \(3,\)"),
    "a batch": (lambda: cells.Stanford(np.ones((4, 2, 3))), "vmap"),
    "two axes of coefficients": (lambda: cells.Polynomial(np.ones((2, 3))), "Polynomial.coeff"),
    "no law": (lambda: cells.Series(cells.Ohmic(G), G), "Series.b: got ndarray"),
    "a mask of numbers": (
        lambda: cells.Where(np.ones(SHAPE), cells.Ohmic(G), cells.Ohmic(G)),
        "Where.mask: got dtype float64",
    ),
    "shapes that do not fit": (
        lambda: xb.Crossbar(cells.Sinh(G, np.ones((3, 2)))),
        "Crossbar.cells: got Sinh whose parameters do not fit together",
    ),
    "no shape at all": (
        lambda: xb.Crossbar(cells.Sinh(1e-5, 0.1)),
        r"Crossbar.cells: got shape \(\)",
    ),
    "infinite overdrive": (
        lambda: cells.Transistor(1e-4, float("inf")),
        "Transistor.v_ov: got inf",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_calls(case, no_shape_checks):
    call, message = WRONG[case]
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
