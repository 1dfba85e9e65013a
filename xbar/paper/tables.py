"""Tables as data frames, and what they say: means over seeds with 95 % intervals.

Circuits of one seed share a base network, a split and the correctors' images. They are averaged
first; an interval is Student's t over the seeds' means, and a comparison is paired by seed:
differences of `per_seed` are taken before `summary`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from xbar.statistics import Interval, t_interval

Tables = Mapping[str, pd.DataFrame]
"""Table of an experiment by name."""


def long(values: Mapping[str, Any], **axes: Any) -> pd.DataFrame:
    """Arrays with named axes as a table, a row for each entry.

    Args:
        values: arrays by the name of their column, all of one shape.
        axes: coordinates along each axis, by its name.
    """
    index = pd.MultiIndex.from_product(list(axes.values()), names=list(axes))
    columns = {name: np.ravel(array) for name, array in values.items()}
    return pd.DataFrame(columns, index=index).reset_index()


def chosen(frame: pd.DataFrame, **values: Any) -> pd.DataFrame:
    """The rows that have these values; of a list, any of them."""
    keep = np.ones(len(frame), bool)
    for name, value in values.items():
        keep &= frame[name].isin(value if isinstance(value, list) else [value]).to_numpy()
    return frame[keep]


def per_seed(frame: pd.DataFrame, value: str, *by: str, minus: str | None = None) -> pd.Series:
    """Means over the rows of each seed, in per cent or points.

    Args:
        frame: with a column "seed".
        value: column of shares; NaN is left out.
        by: columns whose values are kept apart.
        minus: column that is subtracted row by row.

    Returns:
        One number for each combination of `by` and seed, in the order in which they appear.
    """
    numbers = 100 * (frame[value] if minus is None else frame[value] - frame[minus])
    return numbers.groupby([frame[name] for name in (*by, "seed")], sort=False).mean().dropna()


def interval(values: pd.Series) -> Interval:
    """Mean over the seeds of numbers from `per_seed`, and its interval; NaN where none is known."""
    seeds = values.dropna().groupby(level="seed").mean()
    return t_interval(seeds) if len(seeds) else Interval(float("nan"), float("nan"), 0)


def mean(frame: pd.DataFrame, column: str) -> float:
    """Mean over the seeds of a column of shares, in per cent."""
    return interval(per_seed(frame, column)).mean


def summary(values: pd.Series) -> pd.DataFrame:
    """The interval for each combination of the other levels of the index.

    Args:
        values: from `per_seed`, or differences of such.

    Returns:
        Columns mean, half (of the interval's width) and seeds, by all levels but "seed".
    """
    fine = values.dropna()
    groups = fine.groupby(level=[n for n in fine.index.names if n != "seed"], sort=False)
    if not len(fine):
        return pd.DataFrame(columns=["mean", "half", "seeds"], dtype=float)
    return groups.agg(mean="mean", half=lambda v: t_interval(v).half_width, seeds="size")


def labelled(found: Mapping[Any, Interval], *names: str) -> pd.DataFrame:
    """Intervals under names, or tuples of names, as `summary` gives them."""
    keys = [key if isinstance(key, tuple) else (key,) for key in found]
    index = pd.MultiIndex.from_tuples(keys, names=names)
    rows = [(i.mean, i.half_width, i.n) for i in found.values()]
    return pd.DataFrame(rows, index=index, columns=["mean", "half", "seeds"])


def percent(found: Any) -> str:
    """An interval of accuracies in words, "55.0 ± 3.1 %"; of a Series, over its seeds."""
    return f"{_plus_minus(found, '.1f')} %"


def points(found: Any) -> str:
    """An interval of differences in words, "-12.3 ± 2.0 points"; of a Series, over its seeds."""
    return f"{_plus_minus(found, '+.1f')} points"


def cells(found: pd.DataFrame, across: str | None = None, form: str = "+.1f") -> pd.DataFrame:
    """A table in words from intervals: "+12.3 ± 2.0"; blank where there is none.

    Args:
        found: from `summary` or `labelled`.
        across: level whose values become columns.
        form: of the means.
    """
    rows = zip(found["mean"], found["half"], strict=True)
    texts = pd.Series([_plus_minus(row, form) for row in rows], found.index)
    if across is None:
        return texts.to_frame("")
    order = found.index.get_level_values(across).unique()
    down = found.index.droplevel(across).unique()
    wide = texts.unstack(across).reindex(index=down, columns=order).fillna("")
    return wide.rename(columns="layer {}".format) if across == "layer" else wide


def _plus_minus(found: Any, form: str) -> str:
    if isinstance(found, pd.Series):
        found = interval(found) if "seed" in found.index.names else tuple(found[["mean", "half"]])
    mean, half = found[:2]
    return f"{mean:{form}}" + ("" if np.isnan(half) else f" ± {half:.1f}")
