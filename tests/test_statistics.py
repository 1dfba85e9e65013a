import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from xbar.statistics import Interval, paired_interval, t_interval

accuracies = arrays(float, st.integers(2, 30), elements=st.floats(0, 1))


def test_textbook_interval():
    # t_{0.975, 4} = 2.776 from any table; mean 3, standard deviation sqrt(2.5).
    interval = t_interval([1, 2, 3, 4, 5])
    assert interval.mean == 3
    assert interval.half_width == pytest.approx(2.776 * math.sqrt(2.5 / 5), rel=2e-4)
    assert interval.n == 5


@given(accuracies, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_agrees_with_scipy(values, level):
    mean, half_width, _ = t_interval(values, level)
    if np.ptp(values) > 1e-9:
        low, high = stats.t.interval(level, len(values) - 1, mean, stats.sem(values))
        np.testing.assert_allclose([mean - half_width, mean + half_width], [low, high], atol=1e-12)


@given(accuracies, st.floats(-5, 5), st.floats(0.1, 10))
def test_follows_shift_and_scale(values, shift, scale):
    plain, moved = t_interval(values), t_interval(scale * values + shift)
    assert moved.mean == pytest.approx(scale * plain.mean + shift, abs=1e-9)
    assert moved.half_width == pytest.approx(scale * plain.half_width, abs=1e-9)


def test_covers_the_true_mean_at_its_level():
    draws = np.random.default_rng(0).normal(0.7, 0.1, (4000, 6))
    hits = [abs(t_interval(x, 0.9).mean - 0.7) <= t_interval(x, 0.9).half_width for x in draws]
    assert np.mean(hits) == pytest.approx(0.9, abs=0.02)  # four standard errors


def test_single_seed_has_no_width():
    interval = t_interval([0.9])
    assert (interval.mean, interval.n) == (0.9, 1)
    assert math.isnan(interval.half_width)
    assert math.isnan(paired_interval([0.9], [0.5]).half_width)


def test_equal_seeds_have_zero_width():
    assert t_interval([0.5, 0.5, 0.5]) == Interval(0.5, 0.0, 3)


def test_pairing_removes_what_the_seeds_share():
    rng = np.random.default_rng(1)
    seed = rng.normal(0.7, 0.1, 20)
    a, b = seed + 0.03 + rng.normal(0, 0.005, 20), seed + rng.normal(0, 0.005, 20)
    paired = paired_interval(a, b)
    assert paired.mean == pytest.approx(a.mean() - b.mean())
    assert abs(paired.mean) > paired.half_width
    assert paired.half_width < 0.2 * t_interval(a).half_width


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: t_interval([]), r"values: got shape \(0,\)"),
        (lambda: t_interval([[0.1, 0.2]]), r"values: got shape \(1, 2\)"),
        (lambda: t_interval([0.1, np.nan]), "values: got 1 NaN"),
        (lambda: t_interval([0.1, 0.2], level=95), "level: got 95"),
        (lambda: t_interval([0.1, 0.2], level=np.nan), "level: got nan"),
        (lambda: paired_interval([0.1, 0.2], [0.1]), "b: got 1 seeds, needs the 2 of a"),
        (lambda: paired_interval([0.1], [np.inf]), "b: got 1 NaN or infinite"),
    ],
)
def test_wrong_calls_say_so(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_import_xbar_leaves_it_alone():
    code = "import sys, xbar; sys.exit('xbar.statistics' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
