"""Tables on disk: one HDF5 file for each finished experiment, results.h5 of all, and CSV."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from xbar.io.store import Field, StoreError, read_results, write_results, write_text
from xbar.paper.tables import Tables

# Units and meanings; columns that are not here are accuracies, or say it themselves.
COLUMNS: dict[str, tuple[str, str]] = {
    "layer": ("1", "layer that is broken, 0 the first"),
    "seed": ("1", "repetition: split, base network, places, correctors"),
    "coverage": ("1", "share of the array that the shape covers"),
    "placement": ("1", "number of the place in this seed's circuit"),
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
