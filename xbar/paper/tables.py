"""Reading tables: rows by condition, intervals over seeds, and numbers in words."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from xbar.run import tables
from xbar.run.tables import interval
from xbar.statistics import Interval, t_interval

Rows = Mapping[str, np.ndarray]


def where(table: Rows, **values: Any) -> np.ndarray:
    """Which rows have these values in these columns, (rows,) booleans."""
    chosen = np.ones(len(next(iter(table.values()))), bool)
    for name, value in values.items():
        chosen &= table[name] == value
    return chosen


def groups(table: Rows, *names: str) -> Iterator[tuple[tuple[Any, ...], np.ndarray]]:
    """Each combination of values of some columns, in order of appearance, and its rows."""
    keys = list(zip(*(table[name].tolist() for name in names), strict=True))
    for key in dict.fromkeys(keys):
        yield key, np.array([k == key for k in keys])


def over_seeds(table: Rows, values: np.ndarray, chosen: np.ndarray | None = None) -> Interval:
    """Mean of the seeds' means and its 95 % interval, over some rows.

    For a paired comparison, `values` are the differences row by row.

    Args:
        table: with a column "seed".
        values: one for each row.
        chosen: which rows; None takes all.

    Returns:
        The interval; NaN where no row has a number.
    """
    rows = np.ones(len(values), bool) if chosen is None else chosen
    return interval(values[rows], table["seed"][rows])


def by_seed(table: Rows, values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Mean over the chosen rows of each seed, (seeds,); NaN where a seed has no number."""
    fine = chosen & np.isfinite(values)
    seeds = np.unique(table["seed"])
    rows = [fine & (table["seed"] == seed) for seed in seeds]
    return np.array([values[r].mean() if r.any() else np.nan for r in rows])


def paired(a: np.ndarray, b: np.ndarray) -> Interval:
    """Mean of a - b over the seeds that have both, and its 95 % interval; NaN if none has."""
    apart = a - b
    fine = apart[np.isfinite(apart)]
    return t_interval(fine) if len(fine) else Interval(float("nan"), float("nan"), 0)


def share(found: Interval) -> str:
    """An accuracy in words: "55.0 ± 3.1 %"."""
    return f"{100 * found.mean:.1f} ± {100 * found.half_width:.1f} %"


def difference(found: Interval) -> str:
    """A difference of accuracies in words: "-12.3 ± 2.0 points"."""
    return f"{100 * found.mean:+.1f} ± {100 * found.half_width:.1f} points"


def percent(found: Interval) -> tuple[float, float]:
    """Mean and half-width in per cent, or in points."""
    return 100 * found.mean, 100 * found.half_width


def as_csv(table: Rows, units: Mapping[str, str]) -> str:
    """A table as text; the head names units where there are any.

    Six digits are more than any table here means.
    """
    named = {n if units[n] == "1" else f"{n} [{units[n]}]": c for n, c in table.items()}
    return tables.as_csv(named, digits=6)
