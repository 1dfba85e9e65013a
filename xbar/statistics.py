"""Means over seeds with their confidence intervals, by Student's t."""

from typing import Any, NamedTuple

import numpy as np
from scipy import special, stats


class Interval(NamedTuple):
    """A mean and the half-width of its confidence interval: mean - half_width to mean + half_width.

    Args:
        mean: over the seeds, in the unit of what was averaged.
        half_width: of the interval; NaN for a single seed, which says nothing about the spread.
        n: number of seeds.
    """

    mean: float
    half_width: float
    n: int


def t_interval(values: Any, level: float | int = 0.95) -> Interval:
    """Mean over seeds and its confidence interval, half_width = t_{n-1} s / sqrt(n).

    Args:
        values: one number per seed, such as accuracies, (seeds,).
        level: confidence, above 0 and below 1.

    Returns:
        The interval.

    Raises:
        ValueError: values is not (seeds,) with at least one, has a NaN or infinite entry, or the
            level is out of range.
    """
    array = _as_seeds("values", values)
    if not 0 < level < 1:
        raise ValueError(f"level: got {level}, needs above 0 and below 1")
    n = array.size
    if n == 1:
        return Interval(float(array[0]), float("nan"), 1)
    half_width = stats.t.ppf((1 + level) / 2, n - 1) * stats.sem(array)
    return Interval(float(array.mean()), float(half_width), n)


def share_bounds(found: Interval) -> tuple[float, float]:
    """Ends of the confidence interval of a mean share, which stay within 0 and 1.

    Student's interval of the mean m, taken over to the logit log(m / (1 - m)), whose slope is
    1 / (m (1 - m)), and back: the same where it is narrow, never past an end where it is wide.

    Args:
        found: of shares such as accuracies, as `t_interval` gives it.

    Returns:
        Lower and upper end; NaN where the half-width is.
    """
    mean, half, _ = found
    if not half > 0 or not 0 < mean < 1:
        return (mean + 0 * half, mean + 0 * half)  # without spread; NaN where it is not known
    middle, reach = special.logit(mean), half / (mean * (1 - mean))
    return float(special.expit(middle - reach)), float(special.expit(middle + reach))


def paired_interval(a: Any, b: Any, level: float | int = 0.95) -> Interval:
    """Mean of a - b over seeds that they share, and its confidence interval.

    Far narrower than comparing two intervals where the seeds (network, split, defect) move a and b
    together.

    Args:
        a: one number per seed, (seeds,).
        b: the same seeds in the same order, (seeds,).
        level: confidence, above 0 and below 1.

    Returns:
        The interval of the difference; a differs from b at this level if 0 lies outside.

    Raises:
        ValueError: as `t_interval`, or a and b have different lengths.
    """
    a, b = _as_seeds("a", a), _as_seeds("b", b)
    if a.size != b.size:
        raise ValueError(f"b: got {b.size} seeds, needs the {a.size} of a")
    return t_interval(a - b, level)


def _as_seeds(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name}: got shape {array.shape}, needs (seeds,) with at least one")
    if bad := int(np.count_nonzero(~np.isfinite(array))):
        raise ValueError(f"{name}: got {bad} NaN or infinite entries, needs finite ones")
    return array
