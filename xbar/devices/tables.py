"""A device of your own from a table of what was measured."""

import os
from typing import Any

import numpy as np

from xbar.checks import check_word
from xbar.devices.device import About, Device
from xbar.devices.effects import ProgrammingError
from xbar.devices.fits import TableFit
from xbar.devices.mapping import Window

CONDUCTANCE_UNITS = {"S": 1.0, "mS": 1e-3, "uS": 1e-6, "nS": 1e-9}
"""Units that a table of conductances may be in, in siemens."""


def from_table(table: Any, unit: str, name: str = "table") -> Device:
    """A device whose error of programming is tabled: target, mean and standard deviation.

    Between the rows mean and sigma are straight lines; targets outside the first and last row are
    refused. For a function instead of a table, give it to the effect:
    `Device([ProgrammingError(lambda g: 1e-6 + 0.02 * g)])`.

    Args:
        table: a CSV file's path, or an array (n, 3): target, mean and sigma of the programmed
            conductances, by rising target. A file may have one line of words on top.
        unit: of all three columns, one of `CONDUCTANCE_UNITS`; never guessed.
        name: of the device.

    Returns:
        The device, its window from the first to the last target.

    Raises:
        ValueError: another unit, not three columns, fewer than two rows, targets that do not rise,
            or numbers that are negative or not finite.
        FileNotFoundError: there is no such file.
    """
    check_word("unit", unit, list(CONDUCTANCE_UNITS))
    path = os.fspath(table) if isinstance(table, str | os.PathLike) else None
    rows = np.asarray(table, float) if path is None else _from_file(path)
    if rows.ndim != 2 or rows.shape[1] != 3 or len(rows) < 2:
        raise ValueError(
            f"table: got shape {rows.shape}, needs at least two rows of target, mean, sigma"
        )
    if not np.all(np.isfinite(rows) & (rows >= 0)):
        raise ValueError("table: got a number that is negative or not finite, needs none")
    if not np.all(np.diff(rows[:, 0]) > 0):
        raise ValueError("table: got targets that do not rise from row to row, needs them rising")
    target, mean, sigma = (rows * CONDUCTANCE_UNITS[unit]).T
    effect = ProgrammingError(TableFit(target, sigma), mean_g=TableFit(target, mean))
    low, high = float(target[0]), float(target[-1])
    source = "a table of your own" if path is None else path
    about = About(name, f"programming error of {len(rows)} targets", source, (low, high))
    return Device([effect], Window(low, high), about=about)


def _from_file(path: str) -> np.ndarray:
    with open(path, encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    rows = [[field.strip() for field in line.split(",")] for line in lines]
    if rows and not _is_number(rows[0][0]):
        rows = rows[1:]
    for number, row in enumerate(rows, 1):
        if len(row) != 3 or not all(map(_is_number, row)):
            raise ValueError(
                f"table: got {','.join(row)!r} in row {number} of {path}, needs three numbers: "
                "target, mean, sigma"
            )
    return np.array(rows, float)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
