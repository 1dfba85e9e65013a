"""Published devices: their check values to 6 digits, their ranges, and what they print."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xbar.devices import PRESETS, Device, ProgrammingError, from_table, preset
from xbar.devices.mapping import Window

KEY = jax.random.key(7)
N = 100_000
needs_cells = pytest.mark.skipif(
    importlib.util.find_spec("xbar.cells") is None, reason="xbar.cells is not there yet"
)


def sigma_of(device, g):
    """Standard deviation of the device's programming error [uS]."""
    return 1e6 * float(device.effects[0].sigma.at(jnp.asarray(g)))


# What the published formula gives, worked out apart from the package: (name, g in uS, sigma in uS).
QUARTIC = (-16.815, 45.393, -43.853, 16.030, 0.348)
PROGRAMMING = [
    ("milo", 100.0, 4.782321 - 0.009107 * 100),
    ("milo", 50.0, 4.782321 - 0.009107 * 50),
    ("wan2022", 10.0, np.polyval(QUARTIC, 0.25)),
    ("wan2022", 0.0, 0.348),
    ("wan2022", 40.0, sum(QUARTIC)),
    ("cmo_hfox", 50.0, 0.01129027418 * 50 + 0.0112185391),
    ("pcm", 12.5, 0.26348 + 1.9650 * 0.5 - 1.1731 * 0.25),
    ("pcm", 25.0, 0.26348 + 1.9650 - 1.1731),
]
ROUNDED = {  # as the collection of sources rounds them
    ("milo", 100.0): 3.87,
    ("wan2022", 10.0): 2.26,
    ("cmo_hfox", 50.0): 0.576,
    ("pcm", 12.5): 0.953,
}


@pytest.mark.parametrize(("name", "g", "sigma"), PROGRAMMING)
def test_programming_errors_are_those_published(name, g, sigma):
    np.testing.assert_allclose(sigma_of(preset(name), g * 1e-6), sigma, rtol=1e-6)
    if (name, g) in ROUNDED:
        assert f"{sigma:.3g}" == f"{ROUNDED[name, g]:.3g}"
    target = jnp.full(N, g * 1e-6)
    drawn = 1e6 * np.asarray(preset(name).program(target, KEY))
    if g > 5 * sigma:  # else held at 0
        assert abs(drawn.mean() - g) <= 4 * sigma / N**0.5
        assert abs(drawn.std() - sigma) <= 4 * sigma / (2 * N) ** 0.5


def test_cmo_takes_the_acceptance_asked_for_and_says_so():
    strict = preset("cmo_hfox", acceptance=0.002)
    np.testing.assert_allclose(sigma_of(strict, 50e-6), 0.00106879 * 50 + 0.00081107, rtol=1e-6)
    assert "acceptance 2 %" in str(preset("cmo_hfox"))
    assert "acceptance 0.2 %" in str(strict)
    with pytest.raises(ValueError, match=r"acceptance: got 0.2, needs 0.02 or 0.002, a fraction"):
        preset("cmo_hfox", acceptance=0.2)


WAN = {  # quartic of x = g / 40 uS, and its value at 10 uS as the collection of sources rounds it
    1.0: (QUARTIC, 2.26),
    86_400.0: ((-16.458, 47.095, -50.773, 22.086, 0.701), 3.72),
    172_800.0: ((-11.934, 37.062, -43.507, 20.274, 0.782), 3.66),
}


@pytest.mark.parametrize("seconds", WAN)
def test_wan2022_spreads_about_the_target_as_measured(seconds):
    device, target = preset("wan2022"), jnp.full(N, 10e-6)
    g = device.age(device.program(target, KEY), KEY, seconds, target)
    quartic, rounded = WAN[seconds]
    exact = np.polyval(quartic, 0.25)
    assert round(exact, 2) == rounded
    spread = 1e6 * np.asarray(g) - 10
    # Held at 0 from 2.7 sigma below the target on: the spread is a little less.
    held = np.maximum(np.random.default_rng(0).normal(10, exact, 10**6), 0)
    assert abs(spread.std() - held.std()) <= 5 * exact / (2 * N) ** 0.5
    added = device.effects[1].sigma(jnp.asarray(10e-6), jnp.asarray(seconds))
    total = np.hypot(sigma_of(device, 10e-6), 1e6 * float(added))
    np.testing.assert_allclose(total, exact, rtol=1e-6)


def test_wan2022_between_its_times_lies_between_its_spreads():
    sigma = preset("wan2022").effects[1].sigma
    added = [
        float(sigma(jnp.asarray(2e-5), jnp.asarray(t))) for t in (0.5, 1.0, 1e2, 8e4, 86_400.0)
    ]
    assert added[:2] == [0, 0]
    assert added == sorted(added)


@pytest.mark.parametrize(
    ("seconds", "mean", "sigma"), [(1.0, 0, 0.41), (3600.0, -0.73, 0.76), (3.156e8, -1.74, 1.23)]
)
def test_cmo_relaxes_as_published(seconds, mean, sigma):
    device, g = preset("cmo_hfox"), jnp.full(N, 50e-6)
    moved = 1e6 * np.asarray(device.age(g, KEY, seconds)) - 50
    t = np.log(seconds)
    exact = -0.08900206 * t, 0.04201137 * t + 0.41183342
    assert (round(exact[0], 2), round(exact[1], 2)) == (mean, sigma)
    assert abs(moved.mean() - exact[0]) <= 4 * exact[1] / N**0.5
    assert abs(moved.std() - exact[1]) <= 4 * exact[1] / (2 * N) ** 0.5
    noise = device.effects[2].sigma(g[:1], 1.0)
    by_hand = 0.0277316483 * np.log10(50) * np.sqrt(np.log((1 + 1e-6) / 2e-6))
    np.testing.assert_allclose(1e6 * noise[0], by_hand, rtol=1e-6)


def test_pcm_drifts_and_is_read_as_published():
    device = preset("pcm")
    _, drift, flicker = device.effects
    x = np.array([0.05, 0.2, 0.5, 1.0])
    g = jnp.asarray(25e-6 * x)
    nu = np.clip(-0.0155 * np.log(x) + 0.0244, 0.049, 0.1)
    spread = np.clip(-0.0125 * np.log(x) - 0.0059, 0.008, 0.045)
    np.testing.assert_allclose(drift.nu(g), nu, rtol=1e-6)
    np.testing.assert_allclose(drift.spread(g), spread, rtol=1e-6)
    assert [round(float(n), 4) for n in (drift.nu(g)[0], drift.nu(g)[3])] == [0.0708, 0.049]
    q = np.minimum(0.0088 * x**-0.65, 0.2)
    grown = np.sqrt(np.log((3600 + 250e-9) / 500e-9))
    np.testing.assert_allclose(flicker.sigma(g, 3600.0) / g, q * grown, rtol=1e-6)
    target = jnp.full(N, 12.5e-6)
    aged = np.asarray(device.age(target, KEY, 20 * np.e**5, target))
    np.testing.assert_allclose(-np.log(aged / 12.5e-6).mean() / 5, 0.049, atol=4 * 0.008 / N**0.5)


# --- current-voltage laws ---------------------------------------------------------------------


@needs_cells
def test_stanford_cells_have_their_resistances_at_a_tenth_of_a_volt():
    device = preset("stanford_asu")
    low, high = device.about.g_range
    np.testing.assert_allclose([1 / high, 1 / low], [541.821, 218_586], rtol=1e-6)
    g = np.array([[low, 1e-4, high]])
    law = device.cells(g)
    np.testing.assert_allclose(law.gap[0, [0, 2]], [1.7e-9, 0.2e-9], rtol=1e-9)
    np.testing.assert_allclose(law.current(jnp.asarray(0.1)) / 0.1, g, rtol=1e-9)


@needs_cells
def test_milo_cells_are_the_published_cubic():
    device = preset("milo")
    law = device.cells(np.array([[62.5e-6, 110e-6]]))
    np.testing.assert_allclose(law.coefficients[1:, 0, 0], [-2.384e-5, 9.320e-6], rtol=2e-4)
    u = np.linspace(-0.5, 0.5, 101)[:, None, None]
    slope = np.asarray(law.slope(jnp.asarray(u)))[:, 0, 0] / 62.5e-6
    assert [round(float(s), 2) for s in (slope.min(), slope.max())] == [0.73, 1.49]
    with pytest.raises(ValueError, match=r"g: got 50 uS, needs 62.5 to 110 uS, the range that"):
        device.cells(np.full((2, 2), 50e-6))
    # Errors of programming may leave the range: the targets are what has to be in it.
    off = device.cells(np.full((1, 1), 60e-6), g_target=np.full((1, 1), 62.5e-6))
    np.testing.assert_allclose(off.coefficients[:, 0, 0], [60e-6, -2.384e-5, 9.32e-6], rtol=2e-4)


# --- ranges, words ----------------------------------------------------------------------------

OUTSIDE = {
    "stanford_asu": (1e-6, "4.57486 to 1845.63 uS"),
    "milo": (40e-6, "50 to 225 uS"),
    "wan2022": (50e-6, "0 to 40 uS"),
    "cmo_hfox": (100e-6, "9 to 88.2 uS"),
    "pcm": (30e-6, "0 to 25 uS"),
}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_says_what_it_is_and_refuses_targets_outside_its_range(name):
    device = preset(name)
    text = str(device)
    g, needs = OUTSIDE[name]
    for part in (name, "uS", "source: ", f"targets: {needs}", "cells: "):
        assert part in text
    for effect in device.effects:
        assert f"{type(effect).__name__}: {effect.describe()}" in text
    with pytest.raises(ValueError, match=f"g_target: got {1e6 * g:g} uS, needs {needs}.*{name!r}"):
        device.program(np.array([10e-6, g]) if name != "milo" else np.array([1e-4, g]), KEY)
    low, high = device.about.g_range
    ends = np.array([low, high], np.float32)
    assert np.isfinite(device.program(ends, KEY)).all()  # rounded to float32 they are still in it
    assert (float(device.window.g_min), float(device.window.g_max)) == (low, high)


def test_what_is_traced_and_outside_becomes_nan():
    device = preset("wan2022")
    program = jax.jit(lambda g: device.program(g, KEY))
    found = np.asarray(program(jnp.array([10e-6, 50e-6])))
    assert np.isnan(found).tolist() == [False, True]
    with pytest.raises(ValueError, match=r"seconds: got 200000.0, needs at most 172800 s"):
        device.age(np.array([1e-5]), KEY, 200_000.0)
    late = jax.jit(lambda t: device.age(jnp.array([1e-5]), KEY, t))(200_000.0)
    assert np.isnan(late).all()


def test_a_preset_takes_another_window_inside_its_range():
    narrow = preset("pcm").within(Window(1e-6, 20e-6))
    assert float(narrow.window.g_max) == 20e-6
    assert str(narrow) == str(preset("pcm"))
    with pytest.raises(ValueError, match=r"window.g_max: got 100 uS, needs 0 to 25 uS.*'pcm'"):
        preset("pcm").within(Window.preset())


def test_an_unknown_preset_is_named():
    with pytest.raises(ValueError, match=r"preset: got 'wan', needs one of \['stanford_asu'"):
        preset("wan")


# --- devices of one's own ---------------------------------------------------------------------


def test_a_table_makes_a_device(tmp_path):
    path = tmp_path / "chip.csv"
    path.write_text("target, mean, sigma\n10, 11, 1\n20, 20, 2\n# a remark\n\n40, 39, 2\n")
    device = from_table(path, "uS", name="chip")
    assert sigma_of(device, 15e-6) == pytest.approx(1.5)
    g = 1e6 * np.asarray(device.program(jnp.full(N, 30e-6), KEY))
    assert abs(g.mean() - 29.5) <= 4 * 2 / N**0.5
    assert abs(g.std() - 2) <= 4 * 2 / (2 * N) ** 0.5
    assert "chip.csv" in str(device)
    with pytest.raises(ValueError, match=r"g_target: got 5 uS, needs 10 to 40 uS.*'chip'"):
        device.program(np.array([5e-6]), KEY)
    rows = np.array([[10, 11, 1], [20, 20, 2], [40, 39, 2.0]]) * 1e-6
    same = from_table(rows, "S").program(jnp.full(9, 30e-6), KEY)
    np.testing.assert_allclose(same, device.program(jnp.full(9, 30e-6), KEY), rtol=1e-12)


def test_a_function_makes_a_device():
    device = Device([ProgrammingError(lambda g: 0.1 * g)])
    drawn = np.asarray(device.program(jnp.full(N, 1e-5), KEY))
    assert abs(drawn.std() - 1e-6) <= 4e-6 / (2 * N) ** 0.5


@pytest.mark.parametrize(
    ("rows", "unit", "message"),
    [
        ([[1, 1, 0], [2, 2, 0]], "ohm", "unit: got 'ohm', needs one of"),
        ([[1, 1, 0]], "uS", r"table: got shape \(1, 3\), needs at least two rows"),
        ([[1, 1], [2, 2]], "uS", r"table: got shape \(2, 2\), needs at least two rows"),
        ([[2, 1, 0], [1, 2, 0]], "uS", "table: got targets that do not rise"),
        ([[1, 1, -1], [2, 2, 0]], "uS", "table: got a number that is negative"),
    ],
)
def test_a_bad_table_gets_one_sentence(rows, unit, message):
    with pytest.raises(ValueError, match=message):
        from_table(np.array(rows, float), unit)


def test_a_bad_line_of_a_file_is_named(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("target,mean,sigma\n1,1,0\n2,two,0\n")
    with pytest.raises(ValueError, match=r"table: got '2,two,0' in row 2 of .*bad.csv, needs"):
        from_table(path, "uS")
