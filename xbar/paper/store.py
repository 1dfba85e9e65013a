"""Tables on disk: one HDF5 file for each finished experiment, results.h5 of all, and CSV."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from xbar.io.store import Field, StoreError, read_results, write_results, write_text
from xbar.paper.columns import COLUMNS
from xbar.paper.tables import Tables

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
