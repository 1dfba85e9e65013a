"""Tables as data frames, and what they say: means over seeds with 95 % intervals.

Circuits of one seed share a base network, a split and the correctors' images. They are averaged
first; an interval is Student's t over the seeds' means, and a comparison is paired by seed:
differences of `per_seed` are taken before `summary`.

On disk they are one HDF5 file for each finished experiment, results.h5 of all, and CSV.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from xbar.io.store import Field, StoreError, read_results, write_results, write_text
from xbar.run.study.plan import AXES
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


# Units and meanings; columns that are not here are accuracies, or say it themselves.
COLUMNS: dict[str, tuple[str, str]] = {
    **{name: AXES[name] for name in ("layer", "seed", "coverage", "placement")},
    "hit_share": ("1", "share of the pairs that are stuck"),
    "defective": ("1", "test accuracy, uncorrected"),
    "corrected": ("1", "test accuracy with a corrector of 304 parameters"),
    "parameters_31": ("1", "test accuracy with a corrector of 31 parameters"),
    "neighbours": ("1", "test accuracy of the vote of the nearest labelled voltages"),
    "parameters": ("1", "trained parameters; 0 for neighbours"),
    "pool": ("1", "training circuits of each shape"),
    "trained": ("1", "shape of the training circuits"),
    "tested": ("1", "shape of the test circuits"),
    "circuits": ("1", "training circuits in all"),
    "shared": ("1", "stuck pairs in common over pairs stuck in either circuit"),
    "radius": ("1", "of the circle that tests, in sides of the array"),
    "about": ("1", "shape that the mix is about"),
    "images": ("1", "labelled images that are used of each circuit"),
    "own": ("1", "test accuracy of correctors trained for each circuit itself"),
    "own_few": ("1", "the same, on a few labelled images of it"),
    "information": ("1", "what the corrector knows of the circuit it reads"),
    "rms": ("1", "RMS change of the output voltages over the healthy circuit's RMS"),
    "left": ("1", "needs to be below `right`"),
    "required": ("1", "whether physics asks for it"),
    "live": ("1", "labelled images at each time"),
    "time": ("s", "since programming"),
    "voltages": ("1", "images read without labels"),
    "digital": ("1", "digital multiply-adds for each image"),
    "error": ("1", "largest difference over the largest voltage or current"),
    "allowed": ("1", "largest difference that counts as agreement"),
    "seconds": ("s", "processor time of ngspice, one input, healthy array"),
    "solves": ("1", "arrays x images that they read"),
    "word_lines": ("1", "arrays x word lines: runs that suffice, as arrays are linear"),
}


COST = "cost"  # group with each experiment's seconds


def write_tables(
    path: Path, tables: Mapping[str, Tables], seconds: Mapping[str, float], config: Any
) -> None:
    """Store tables by experiment and name, what each took [s], and the settings of the run."""
    groups: dict[str, Any] = {
        name: {table: _fields(frame) for table, frame in found.items()}
        for name, found in tables.items()
    }
    about = "computing it took, in the process that ended it"
    groups[COST] = {name: Field(s, "s", (), about) for name, s in seconds.items()}
    write_results(path, groups, config)


def _fields(frame: pd.DataFrame) -> dict[str, Field]:
    found = {}
    for name in map(str, frame):
        values, (unit, about) = frame[name].to_numpy(), COLUMNS.get(name, ("1", name))
        words = values.dtype.kind not in "fiub"
        found[name] = Field(values.astype(np.str_) if words else values, unit, ("row",), about)
    return found


def read_tables(path: Path) -> tuple[dict[str, Tables], dict[str, float], dict[str, Any]]:
    """Tables by experiment, each experiment's seconds, and the attributes of a file.

    Raises:
        StoreError: the file is missing or damaged.
    """
    groups, attributes = read_results(path)
    seconds = {name: float(s) for name, s in groups.pop(COST).items()}
    tables: dict[str, Tables] = {
        name: {table: pd.DataFrame(columns) for table, columns in group.items()}
        for name, group in groups.items()
    }
    return tables, seconds, attributes


def has_tables(path: Path, config: Any) -> bool:
    """Whether a finished experiment of these settings is there, whole."""
    try:
        return read_results(path)[1]["config"] == config
    except StoreError:
        return False


def write_csv(tables: Mapping[str, Tables], folder: Path) -> None:
    """Write every table as `<experiment>_<table>.csv`; heads name units where there are any."""
    folder.mkdir(exist_ok=True)
    for experiment, found in tables.items():
        for name, frame in found.items():
            units = [COLUMNS.get(str(column), ("1", ""))[0] for column in frame]
            heads = [c if u == "1" else f"{c} [{u}]" for c, u in zip(frame, units, strict=True)]
            # Six digits are more than any table here means.
            text = frame.to_csv(index=False, header=heads, float_format="%.6g", na_rep="nan")
            write_text(folder / f"{experiment}_{name}.csv", text)


def read_csv(folder: Path, experiments: list[str]) -> dict[str, Tables]:
    """The tables that `write_csv` wrote, of those experiments that are there."""
    found: dict[str, dict[str, pd.DataFrame]] = {}
    for path in sorted(folder.glob("*.csv")):
        name = next((n for n in experiments if path.stem.startswith(f"{n}_")), None)
        if name is not None:
            frame = pd.read_csv(path, keep_default_na=False, na_values=["nan"])
            frame.columns = [column.partition(" [")[0] for column in frame]
            found.setdefault(name, {})[path.stem.removeprefix(f"{name}_")] = frame
    return dict(found)
