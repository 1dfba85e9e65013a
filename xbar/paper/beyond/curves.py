"""Figures and sentences that the experiments share, from tables alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from xbar.paper.tables import Rows, by_seed, difference, over_seeds, where
from xbar.plots.style import plain
from xbar.statistics import Interval

Line = tuple[Sequence[float | int], Sequence[Interval]]
Dots = tuple[Sequence[float | int], Sequence[Interval]]  # place on the vertical axis


def lines(axes: Axes, curves: Mapping[str, Line], colours: Mapping[str, str]) -> None:
    """Accuracies along an axis, each line with its 95 % intervals; levels come before them."""
    for name, (x, found) in curves.items():
        axes.errorbar(
            x,
            [100 * i.mean for i in found],
            yerr=[100 * np.nan_to_num(i.half_width) for i in found],
            fmt="o-",
            color=colours[name],
            label=name,
            markersize=3.5,
            capsize=2,
            linewidth=1.3,
        )
    # an interval of few seeds may leave the range that an accuracy has
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0), min(high, 102))
    axes.grid(axis="y", alpha=0.25)
    axes.tick_params(labelsize=8)
    plain(axes)


def dots(axes: Axes, rows: Mapping[str, Dots], colours: Mapping[str, str]) -> None:
    """Accuracies beside names, with their 95 % intervals."""
    for name, (y, found) in rows.items():
        axes.errorbar(
            [100 * i.mean for i in found],
            y,
            xerr=[100 * np.nan_to_num(i.half_width) for i in found],
            fmt="o",
            color=colours[name],
            label=name,
            markersize=4,
            capsize=2,
            linewidth=1.2,
        )
    low, high = axes.get_xlim()
    axes.set_xlim(max(low, 0), min(high, 102))
    axes.grid(axis="x", alpha=0.25)
    axes.tick_params(labelsize=8)
    plain(axes)


def level(axes: Axes, value: float | int, text: str, colour: str) -> None:
    """A dashed line across the panel for what does not follow its axis."""
    axes.axhline(100 * value, color=colour, linewidth=1, linestyle="--", label=text)


def values(table: Rows, name: str, **chosen: Any) -> np.ndarray:
    """One number for each seed: means of a column over the rows with these values, (seeds,)."""
    return by_seed(table, table[name], where(table, **chosen))


def mean(table: Rows, name: str, **chosen: Any) -> Interval:
    """The interval of a column over the rows with these values."""
    return over_seeds(table, table[name], where(table, **chosen))


def word(found: Interval) -> str:
    """Whether a paired difference is told from none at 95 %, in words."""
    if not abs(found.mean) > found.half_width:
        return "no different"
    return "better" if found.mean > 0 else "worse"


def compared(found: Interval) -> str:
    """A paired difference in words: "better (+3.1 ± 1.0 points)"."""
    return f"{word(found)} ({difference(found)})"
