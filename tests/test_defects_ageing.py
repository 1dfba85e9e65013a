"""Ageing: what drifts, what sticks, and what stays."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbar.devices import Ageing, Drift, Wear
from xbar.devices.mapping import Pairs, Window

KEY = jax.random.key(3)
WINDOW = Window(1e-6, 1e-4)
SIZE = (30, 20)
T0 = 20.0
TIMES = T0 * np.logspace(0, 7, 8)


def healthy(dtype=np.float64):
    return Pairs(*np.random.default_rng(0).uniform(2e-6, 9e-5, (2, *SIZE)).astype(dtype))


def stacked(pairs):
    return np.stack([pairs.g_plus, pairs.g_minus])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_at_t0_nothing_has_changed(dtype):
    before = healthy(dtype)
    after = Ageing(t0=T0).apply(before, T0, WINDOW, KEY)
    assert after.g_plus.dtype == dtype
    assert (stacked(after) == stacked(before)).all()


@given(nu=st.floats(0, 0.3), spread=st.floats(0, 0.1), seed=st.integers(0, 2**32 - 1))
def test_drift_never_raises_a_conductance_and_goes_on_falling(nu, spread, seed):
    ageing = Ageing(Drift(nu, spread), Wear(0, 0), T0)
    at = [
        stacked(ageing.apply(healthy(), t, WINDOW, jax.random.key(seed))) for t in TIMES[[0, 3, 7]]
    ]
    assert (at[1] <= at[0]).all()
    assert (at[2] <= at[1]).all()
    assert (at[2] > 0).all()


def test_without_spread_every_cell_follows_the_power_law():
    aged = Ageing(Drift(0.07, 0), Wear(0, 0), T0).apply(healthy(), 1e6 * T0, WINDOW, KEY)
    np.testing.assert_allclose(stacked(aged), stacked(healthy()) * 1e6**-0.07, rtol=1e-12)


def test_the_exponents_are_those_asked_for_in_mean_and_spread():
    nu = Drift(0.2, 0.03).exponents(jnp.zeros((200, 200)), KEY)
    assert abs(float(nu.mean()) - 0.2) < 5 * 0.03 / 200
    assert abs(float(nu.std()) - 0.03) < 5 * 0.03 / (200 * 2**0.5)


def test_the_law_composes_over_time_for_a_key():
    """From t0 to t1 to t2 is from t0 to t2: exponents stay with the cells."""
    one = Ageing(wear=Wear(0, 0), t0=T0)
    later = Ageing(wear=Wear(0, 0), t0=TIMES[3])
    halfway = one.apply(healthy(), TIMES[3], WINDOW, KEY)
    np.testing.assert_allclose(
        stacked(later.apply(halfway, TIMES[6], WINDOW, KEY)),
        stacked(one.apply(healthy(), TIMES[6], WINDOW, KEY)),
        rtol=1e-12,
    )


def test_stuck_cells_stay_stuck_at_the_windows_ends():
    ageing = Ageing(Drift(0.05, 0.02), Wear(0.03, 0.02), T0)
    before = np.zeros((2, *SIZE), bool)
    for t in TIMES:
        g = stacked(ageing.apply(healthy(), t, WINDOW, KEY))
        on, off = ageing.wear.stuck(jnp.log10(t / T0), (2, *SIZE), jax.random.split(KEY)[1])
        now = np.asarray(on | off)
        assert (now | ~before).all()  # none recovers
        assert (g[on] == 1e-4).all()
        assert (g[off] == 1e-6).all()
        before = now
    assert before.any()


@pytest.mark.parametrize("decades", [1, 4])
def test_as_many_cells_stick_as_the_rates_say(decades):
    cells = 40_000
    on, off = Wear(0.02, 0.05).stuck(jnp.asarray(float(decades)), (cells,), KEY)
    stuck = 1 - 0.93**decades
    for found, share in ((on, stuck * 2 / 7), (off, stuck * 5 / 7)):
        assert abs(float(found.mean()) - share) < 5 * (share / cells) ** 0.5


@pytest.mark.parametrize("cells", [(), (2,)], ids=["pairs", "cells"])
def test_what_is_held_keeps_its_conductance_at_every_time(cells):
    held = np.random.default_rng(1).random((*cells, *SIZE)) < 0.3
    g = stacked(
        Ageing(Drift(0.1, 0.05), Wear(0.2, 0.2)).apply(
            healthy(), 1e9, WINDOW, KEY, held=jnp.asarray(held)
        )
    )
    both = np.broadcast_to(held, g.shape)
    assert (g[both] == stacked(healthy())[both]).all()
    assert (g[~both] != stacked(healthy())[~both]).mean() > 0.99


def test_times_and_rates_can_be_batched_and_compiled():
    @eqx.filter_jit
    @eqx.filter_vmap
    def aged(t, rate):
        return stacked_(Ageing(wear=Wear(rate, rate)).apply(healthy(), t, WINDOW, KEY))

    def stacked_(pairs):
        return jnp.stack([pairs.g_plus, pairs.g_minus])

    rates = jnp.linspace(0, 0.1, len(TIMES))
    for one, t, rate in zip(aged(jnp.asarray(TIMES), rates), TIMES, rates, strict=True):
        alone = Ageing(wear=Wear(rate, rate)).apply(healthy(), t, WINDOW, KEY)
        np.testing.assert_allclose(one, stacked(alone), rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Drift(-0.1), r"Drift.nu: got -0.1, needs a finite value >= 0"),
        (lambda: Drift(spread=np.inf), r"Drift.spread: got inf"),
        (lambda: Wear(1.0), r"Wear.rate_on: got 1.0, needs a value in 0..1"),
        (lambda: Wear(0.6, 0.6), r"Wear.rate_off: got 0.6, needs less than 1 with rate_on, 0.6"),
        (lambda: Ageing(t0=0), r"Ageing.t0: got 0, needs a finite value > 0 \[s\]"),
        (lambda: Ageing().apply(healthy(), 1.0, WINDOW, KEY), r"t: got 1.0, needs at least t0"),
        (
            lambda: Ageing().apply(healthy(), 1e3, WINDOW, KEY, held=jnp.ones((3, 3), bool)),
            r"held: got \(3, 3\), needs \(30, 20\)",
        ),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
