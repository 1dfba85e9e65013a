"""Tables of experiments on disk: one file for each finished experiment, then results.h5 of all."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xbar.io.store import (
    Field,
    StoreError,
    opened_results,
    read_results,
    results_file,
    write_results,
    write_text,
)
from xbar.paper.tables import as_csv

Tables = Mapping[str, Mapping[str, Field]]
COST = "cost"  # group with each experiment's seconds


def check_tables(name: str, tables: Tables) -> None:
    """Columns of one table are equally long.

    Raises:
        ValueError: they are not.
    """
    for table, columns in tables.items():
        sizes = {column: len(np.asarray(f.values)) for column, f in columns.items()}
        if len(set(sizes.values())) > 1:
            raise ValueError(f"{name}/{table}: got columns of {sizes} rows, needs equally many")


def write_part(path: Path, name: str, tables: Tables, seconds: float, config: Any) -> None:
    """Store a finished experiment.

    Args:
        path: of its file.
        name: of the experiment.
        tables: what it found.
        seconds: what it took.
        config: JSON-able settings of the run.
    """
    check_tables(name, tables)
    about = "computing it took, in the process that ended it"
    cost = {name: Field(seconds, "s", (), about)}
    write_results(path, {name: tables, COST: cost}, config)


def has_part(path: Path, config: Any) -> bool:
    """Whether a finished experiment of these settings is there, whole."""
    try:
        return read_results(path)[1]["config"] == config
    except StoreError:
        return False


def merge_parts(path: Path, parts: Iterable[Path], config: Any) -> None:
    """Write results.h5 from the files of all experiments."""
    with results_file(path, config) as file:
        cost = file.create_group(COST, track_order=True)
        for part in parts:
            with opened_results(part) as (source, _):
                for name, group in source.items():
                    if name != COST:
                        source.copy(group, file, name)
                for name, seconds in source[COST].items():
                    source.copy(seconds, cost, name)


def write_tables(results: Path, folder: Path) -> list[str]:
    """Write every table of results.h5 as CSV.

    Args:
        results: the file.
        folder: where they go, as `<experiment>_<table>.csv`.

    Returns:
        Names of the files.
    """
    folder.mkdir(exist_ok=True)
    found, _ = read_results(results)
    written = []
    with opened_results(results) as (file, _):
        for experiment, tables in found.items():
            for name, table in tables.items() if experiment != COST else ():
                group = file[experiment][name]
                units = {column: str(group[column].attrs["unit"]) for column in table}
                written.append(f"{experiment}_{name}.csv")
                write_text(folder / written[-1], as_csv(table, units))
    return written
