"""Laws of device effects: mean and variance within 4 standard errors, limits and invariances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import erf

from xbar.devices import (
    Drift,
    FlickerNoise,
    Levels,
    LogFit,
    Lognormal,
    ProgrammingError,
    Relaxation,
    Telegraph,
    Wear,
    WriteVerify,
)
from xbar.devices.mapping import Window

KEY = jax.random.key(11)
N = 100_000
WINDOW = Window(1e-6, 1e-4)
TARGETS = (2e-6, 10e-6, 30e-6, 60e-6, 1e-4)


def cells(g, dtype=np.float64):
    return jnp.asarray(np.full(N, g, dtype))


def agree(sample, mean, variance):
    """Mean and variance of a sample within 4 standard errors of the law's."""
    x = np.asarray(sample, float)
    off = x - x.mean()
    fourth = np.mean(off**4)
    assert abs(x.mean() - mean) <= 4 * np.sqrt(variance / len(x))
    assert abs(off.var() - variance) <= 4 * np.sqrt((fourth - off.var() ** 2) / len(x))


def test_the_check_of_a_law_sees_an_error_of_2_per_cent():
    x = np.random.default_rng(0).normal(1.0, 0.1, N)
    agree(x, 1.0, 0.01)
    for mean, variance in ((1.002, 0.01), (1.0, 0.0104)):
        with pytest.raises(AssertionError):
            agree(x, mean, variance)


# --- levels -----------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", ["linear", "log"])
@pytest.mark.parametrize("n", [2, 16])
def test_levels_are_the_nearest_of_n_and_are_kept(spacing, n):
    g = jnp.asarray(np.random.default_rng(1).uniform(0, 1.2e-4, 1000))
    levels = np.asarray(Levels(n, spacing).levels(WINDOW, jnp.float64))
    space = np.linspace if spacing == "linear" else np.geomspace
    np.testing.assert_allclose(levels, space(1e-6, 1e-4, n), rtol=1e-12)
    assert levels[0] == 1e-6
    assert levels[-1] == 1e-4
    once = Levels(n, spacing).program(g, KEY, WINDOW)
    off = np.abs(levels[:, None] - np.asarray(g)).min(0)
    np.testing.assert_allclose(np.abs(np.asarray(once - g)), off, atol=1e-18)
    again = Levels(n, spacing).program(once, KEY, WINDOW)
    assert (np.asarray(again) == np.asarray(once)).all()


def test_many_levels_change_nothing():
    g = jnp.asarray(np.random.default_rng(2).uniform(1e-6, 1e-4, 1000))
    fine = np.asarray(Levels(2**20).program(g, KEY, WINDOW))
    assert np.abs(fine - g).max() <= 0.5 * 99e-6 / (2**20 - 1) * (1 + 1e-9)


def test_derivatives_pass_straight_through_levels_inside_the_window():
    slope = jax.grad(lambda g: Levels(4).program(g, KEY, WINDOW).sum())
    found = slope(jnp.array([0.0, 1.5e-6, 40e-6, 99e-6, 2e-4]))
    assert np.asarray(found).tolist() == [0, 1, 1, 1, 0]


# --- programming ------------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
def test_programming_error_has_its_mean_and_spread(target):
    effect = ProgrammingError(lambda g: 1e-7 + 0.02 * g)
    agree(effect.program(cells(target), KEY), target, (1e-7 + 0.02 * target) ** 2)
    as_fraction = ProgrammingError(fraction=0.03)
    agree(as_fraction.program(cells(target), KEY), target, (0.03 * target) ** 2)


def test_no_spread_changes_nothing_and_no_conductance_is_negative():
    g = cells(1e-6)
    for effect in (ProgrammingError(0.0), Lognormal(0.0), WriteVerify(0.01, 3, 0.0)):
        assert (np.asarray(effect.program(g, KEY)) == g).all()
    held = np.asarray(ProgrammingError(1e-6).program(g, KEY))
    assert held.min() == 0
    # E max(0, 1 + N) of a standard normal is Phi(1) + phi(1)
    mean = 1e-6 * (stats.norm.cdf(1) + stats.norm.pdf(1))
    assert abs(held.mean() - mean) <= 4 * held.std() / N**0.5


def test_an_error_about_another_mean():
    effect = ProgrammingError(1e-6, mean_g=lambda g: 0.9 * g + 1e-6)
    agree(effect.program(cells(5e-5), KEY), 46e-6, 1e-12)


def write_verify_law(accept, pulses, sigma):
    """Variance over sigma^2, and the share within the accepted error, by the truncated normal."""
    x = accept / sigma
    p = erf(x / 2**0.5)
    within = 1 - 2 * x * stats.norm.pdf(x) / p
    beyond = (1 - p * within) / (1 - p)
    q = 1 - (1 - p) ** pulses
    return q * within + (1 - q) * beyond, q


@pytest.mark.parametrize("pulses", [1, 3, 10])
@pytest.mark.parametrize("accept", [0.005, 0.02, 0.1])
def test_write_verify_is_repeated_programming_until_accepted(accept, pulses):
    target, sigma = 5e-5, 2e-6
    effect = WriteVerify(accept, pulses, sigma)
    found = np.asarray(effect.program(cells(target), KEY))
    share, q = write_verify_law(accept * target, pulses, sigma)
    agree(found, target, share * sigma**2)
    within = np.abs(found - target) <= accept * target * (1 + 1e-9)
    assert abs(within.mean() - q) <= 4 * np.sqrt(q * (1 - q) / N) + 1e-12
    np.testing.assert_allclose(effect.converged(cells(target))[0], q, rtol=1e-9)
    # The same by brute force: pulse after pulse until one is accepted.
    rng = np.random.default_rng(3)
    g = target + sigma * rng.standard_normal(N)
    for _ in range(pulses - 1):
        again = np.abs(g - target) > accept * target
        g[again] = target + sigma * rng.standard_normal(again.sum())
    assert stats.ks_2samp(found, g).pvalue > 1e-4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_furthest_draw_of_write_verify_is_finite(dtype, monkeypatch):
    monkeypatch.setattr(jax.random, "uniform", lambda *_: jnp.full(N, -1, dtype))
    for pulses in (1, 5):
        found = np.asarray(WriteVerify(0.02, pulses, 2e-6).program(cells(5e-5, dtype), KEY))
        assert found.dtype == dtype
        assert np.isfinite(found).all()


def test_more_pulses_converge_more_cells_and_a_cell_in_reach_is_within():
    shares = [float(WriteVerify(0.02, n, 2e-6).converged(cells(5e-5))[0]) for n in (1, 2, 5, 50)]
    assert shares == sorted(shares)
    assert shares[0] < 0.5
    assert shares[-1] > 1 - 1e-9
    done = np.asarray(WriteVerify(0.02, 50, 2e-6).program(cells(5e-5), KEY))
    assert np.abs(done / 5e-5 - 1).max() <= 0.02 * (1 + 1e-9)


@pytest.mark.parametrize(("keeps", "mean"), [("median", np.exp(0.045)), ("mean", 1.0)])
def test_lognormal_keeps_its_median_or_its_mean(keeps, mean):
    found = np.asarray(Lognormal(0.3, keeps).program(cells(2e-5), KEY))
    cv = np.sqrt(np.exp(0.09) - 1)
    assert round(cv, 4) == 0.3069
    agree(found, 2e-5 * mean, (cv * mean * 2e-5) ** 2)
    share = np.mean(found < 2e-5 * mean * np.exp(-0.045))  # the median
    assert abs(share - 0.5) <= 4 * 0.5 / N**0.5


# --- derivatives of expected losses -----------------------------------------------------------


def slope_of(effect_of, loss):
    """Mean and standard error of the samples' derivatives at 1."""
    slopes = jax.vmap(jax.grad(lambda scale, key: loss(effect_of(scale, key)[0])), (None, 0))
    found = np.asarray(jax.jit(slopes)(1.0, jax.random.split(KEY, 20_000)))
    return found.mean(), found.std() / len(found) ** 0.5


def test_derivatives_of_expected_losses_are_those_of_the_law():
    def by_target(scale, key):
        effect = ProgrammingError(lambda g: 1e-6 + 0.05 * g)
        return effect.program(scale * jnp.array([5e-5]), key) / 5e-5

    mean, error = slope_of(by_target, lambda g: g**2)
    sigma = (1e-6 + 0.05 * 5e-5) / 5e-5  # E g^2 = s^2 + (0.02 + 0.05 s)^2 at s = 1
    assert abs(mean - (2 + 2 * sigma * 0.05)) <= 4 * error

    def by_lognormal(scale, key):
        return Lognormal(0.3 * scale).program(jnp.array([1.0]), key)

    mean, error = slope_of(by_lognormal, lambda g: g)
    assert abs(mean - 0.09 * np.exp(0.045)) <= 4 * error  # d/ds exp((0.3 s)^2 / 2)


@pytest.mark.parametrize("pulses", [1, 2, 6])
def test_derivatives_through_write_verify_count_the_cells_that_move_in_and_out(pulses):
    def by_sigma(scale, key):
        effect = WriteVerify(0.02, pulses, 2e-6 * scale)
        return (effect.program(jnp.array([5e-5]), key) - 5e-5) / 2e-6

    mean, error = slope_of(by_sigma, lambda e: e**2)
    step = 1e-5
    ends = [write_verify_law(1e-6, pulses, 2e-6 * s)[0] * s**2 for s in (1 + step, 1 - step)]
    assert abs(mean - (ends[0] - ends[1]) / (2 * step)) <= 4 * error


# --- ageing -----------------------------------------------------------------------------------


def test_drift_at_t0_changes_nothing_and_composes():
    g = jnp.asarray(np.random.default_rng(4).uniform(1e-6, 1e-4, 1000))
    for t in (0.0, 5.0, 20.0):
        assert (np.asarray(Drift().age(g, KEY, t)) == g).all()
    halfway = Drift(t0=20.0).age(g, KEY, 1e3)
    np.testing.assert_allclose(
        Drift(t0=1e3).age(halfway, KEY, 1e6), Drift(t0=20.0).age(g, KEY, 1e6), rtol=1e-12
    )


def test_exponents_of_drift_depend_on_the_target():
    drift = Drift(LogFit(-0.02, 0.2, 1e-4), LogFit(0.0, 0.01, 1e-4))
    for target in (1e-5, 1e-4):
        aged = np.asarray(drift.age(cells(5e-5), KEY, 20 * np.e**2, cells(target)))
        agree(-np.log(aged / 5e-5) / 2, 0.2 - 0.02 * np.log(target / 1e-4), 0.01**2)


@pytest.mark.parametrize("seconds", [1.0, 3600.0, 3e8])
def test_relaxation_has_its_mean_and_spread(seconds):
    relaxation = Relaxation((-0.089e-6, 0.0), (0.042e-6, 0.412e-6))
    moved = np.asarray(relaxation.age(cells(5e-5), KEY, seconds)) - 5e-5
    t = np.log(seconds)
    agree(moved, -0.089e-6 * t, (0.042e-6 * t + 0.412e-6) ** 2)


def test_a_relaxing_cell_has_one_draw_for_all_times():
    relaxation = Relaxation((-0.089e-6, 0.0), (0.042e-6, 0.412e-6))
    g = cells(5e-5)[:100]
    assert (np.asarray(relaxation.age(g, KEY, 0.0)) == g).all()
    times = np.array([1.0, 60.0, 3.6e3, 1e7])
    moved = np.stack([relaxation.age(g, KEY, t) for t in times]) - 5e-5
    t = np.log(times)[:, None]
    draws = (moved + 0.089e-6 * t) / (0.042e-6 * t + 0.412e-6)
    np.testing.assert_allclose(draws, draws[:1].repeat(4, 0), rtol=1e-7, atol=1e-8)


def test_wear_sticks_the_share_of_its_rates_and_keeps_what_stuck():
    wear, g = Wear(0.02, 0.05), cells(5e-5)
    before = np.zeros(N, bool)
    for decades in (0, 1, 4):
        aged = np.asarray(wear.age(g, KEY, 20.0 * 10.0**decades, window=WINDOW))
        now = aged != 5e-5
        assert (now | ~before).all()
        before = now
        for value, rate in ((1e-4, 2 / 7), (1e-6, 5 / 7)):
            share = rate * (1 - 0.93**decades)
            assert abs((aged == value).mean() - share) <= 4 * (share / N) ** 0.5


# --- reading ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1e-3, 1.0, 1e6])
def test_flicker_noise_has_its_spread(seconds):
    grown = np.log((seconds + 1e-6) / 2e-6)
    relative = FlickerNoise(fraction=0.01, t_read=1e-6)
    agree(relative.read(cells(5e-5), KEY, seconds), 5e-5, (0.01 * 5e-5) ** 2 * grown)
    absolute = FlickerNoise(lambda g: 0.003 * g, t_read=1e-6)
    seen = absolute.read(cells(5e-5), KEY, seconds, target=cells(1e-4))
    agree(seen, 5e-5, (0.003 * 1e-4) ** 2 * grown)


def test_reads_are_independent_and_there_is_no_flicker_noise_before_a_read_is_over():
    noise = FlickerNoise(fraction=0.01)
    reads = np.stack([noise.read(cells(5e-5), KEY, 1.0, read) for read in range(3)])
    correlation = np.corrcoef(reads)[np.triu_indices(3, 1)]
    assert np.abs(correlation).max() <= 4 / N**0.5
    again = np.asarray(noise.read(cells(5e-5), KEY, 1.0, 1))
    assert (again == reads[1]).all()
    for t in (0.0, 250e-9):
        assert (np.asarray(noise.read(cells(5e-5), KEY, t)) == 5e-5).all()


def test_telegraph_noise_has_its_mean_and_variance():
    seen = Telegraph(0.2, 0.3).read(cells(5e-5), KEY)
    agree(seen, 5e-5 * (1 - 0.3 * 0.2), 0.3 * 0.7 * 0.2**2 * 5e-5**2)
    assert len(np.unique(seen)) == 2


def test_a_series_of_reads_is_correlated_as_its_rates_say():
    capture, emission = 3e-3, 1e-3
    noise = Telegraph.from_times(0.2, capture, emission)
    assert abs(float(noise.occupancy) - 0.25) < 1e-12
    times = np.array([0.0, 1e-4, 5e-4, 3e-3])
    seen = np.asarray(noise.series(cells(1.0), KEY, jnp.asarray(times)))
    filled = (1 - seen) / 0.2
    for at in filled:
        assert abs(at.mean() - 0.25) <= 4 * np.sqrt(0.25 * 0.75 / N)
    rate = 1 / capture + 1 / emission
    for k in (1, 2, 3):
        found = np.corrcoef(filled[0], filled[k])[0, 1]
        assert abs(found - np.exp(-rate * times[k])) <= 4 / N**0.5


def test_depths_of_telegraph_noise_stay_with_their_cells():
    noise = Telegraph(0.02, 1.0, depth_sigma_ln=0.5)
    first, second = (np.asarray(noise.read(cells(1.0), KEY, read=k)) for k in (0, 1))
    assert (first == second).all()
    agree(np.log((1 - first) / 0.02), 0.0, 0.25)


def test_derivatives_of_telegraph_noise():
    def mean(depth, occupancy):
        return Telegraph(depth, occupancy).read(cells(1.0), KEY).mean()

    by_depth, by_occupancy = jax.grad(mean, (0, 1))(0.2, 0.3)
    assert abs(by_depth + 0.3) <= 4 * np.sqrt(0.21 / N)
    np.testing.assert_allclose(by_occupancy, -0.2, rtol=1e-12)


# --- messages ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Levels(1), r"Levels.n: got 1, needs a whole number, 2 or more"),
        (lambda: Levels(4, "cubic"), r"Levels.spacing: got 'cubic', needs one of"),
        (lambda: Levels(4).program(cells(1e-6), KEY), "window: got None, needs the device's"),
        (
            lambda: Levels(4, "log").program(cells(1e-6), KEY, Window(0.0, 1e-4)),
            "Levels.spacing: got 'log', needs a window with g_min above 0",
        ),
        (lambda: ProgrammingError(), "ProgrammingError: got neither of sigma_g and fraction"),
        (lambda: ProgrammingError(1e-6, fraction=0.1), "ProgrammingError: got both of"),
        (
            lambda: ProgrammingError(0.05),
            r"ProgrammingError.sigma_g: got 0.05, needs a value in 0..0.01 \[S\] \(a fraction",
        ),
        (lambda: ProgrammingError(fraction=5), "fraction: got 5, needs a fraction in 0..1"),
        (lambda: WriteVerify(2, 5, 1e-6), "WriteVerify.accept: got 2, needs a fraction of the t"),
        (lambda: WriteVerify(0.1, 0, 1e-6), "WriteVerify.pulses: got 0, needs a finite number, 1"),
        (lambda: Lognormal(-0.1), "Lognormal.sigma_ln: got -0.1"),
        (lambda: Lognormal(0.1, "mode"), "Lognormal.keeps: got 'mode', needs one of"),
        (lambda: Lognormal(0.1, between="runs"), "Lognormal.between: got 'runs'"),
        (lambda: Drift(t0=0.0), "Drift.t0: got 0.0, needs a finite time > 0"),
        (lambda: Relaxation(None, 1e-6), "Relaxation.sigma: got 1e-06, needs a fit, or"),
        (lambda: FlickerNoise(fraction=0.1, t_read=0.0), "FlickerNoise.t_read: got 0.0"),
        (lambda: Telegraph(1.5), "Telegraph.depth: got 1.5, needs a share in 0..1"),
        (
            lambda: Telegraph(0.1).series(cells(1.0), KEY, jnp.arange(3.0)),
            "Telegraph.t_corr: got None, needs a time",
        ),
    ],
)
def test_bad_input_gets_one_sentence(make, message):
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
