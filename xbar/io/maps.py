"""Measured chips from files: defect maps and conductance maps.

| file | holds |
|---|---|
| .csv with a head | a line for each cell: `row`, `col`, a value; optionally `chip`, its number |
| .csv without a head | the matrix, a word line in each line |
| .npy | the matrix (rows, columns), chips (chips, rows, columns), or lines of row, col, value |
| .npz, .h5 | the matrix, or `row`, `col` and values; or `g_plus` and `g_minus` of the pairs [S] |

The name of the values says their unit (`ohm`, `r_ohm`, `value [S]`), or an HDF5 attribute `unit`,
or the call. NaN, an empty place or `healthy` is a cell of which nothing is known; `on` and `off` is
one that is stuck (as numbers, of the unit `stuck`: 1, -1, and 0 for neither). Rows and columns
count from 0; columns are those of the chip, (+, -, +, -) of neighbouring pairs.
"""

import csv
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from xbar.checks import flag
from xbar.devices.maps import MOST, ChipMap
from xbar.devices.tables import CONDUCTANCE_UNITS
from xbar.io.files import StoreError, check_size, native, read_arrays, readable, units_of

MAP = "map"  # what studies call the shape and the fault of a measured chip
UNITS = {
    "ohm": 1.0,
    "kohm": 1e3,
    "Mohm": 1e6,
    **CONDUCTANCE_UNITS,
    "stuck": 1.0,
}
_STATES = {"on": 1, "stuck-on": 1, "off": -1, "stuck-off": -1}
_HEALTHY = ("", "nan", "healthy")
_PLACES = {"word_line": "row", "column": "col", "bit_line": "col"}


class _Values(NamedTuple):
    """Conductances [S], NaN where there is none, and stuck cells, 1, -1 and 0, of one shape."""

    g: np.ndarray
    stuck: np.ndarray


def load_map(
    path: Path | str,
    *,
    unit: str | None = None,
    shape: tuple[int, int] | None = None,
    pairs: bool = False,
) -> ChipMap:
    """A defect map or a conductance map of measured chips.

    ```python
    shape = net.layers[0].array().g.shape
    net.with_fault(0, Everywhere(), load_map("chip.csv", unit="ohm", shape=shape))
    ```

    Args:
        path: .csv, .npy, .npz or .h5 file, as described above.
        unit: of the values, a key of `UNITS`; None takes what the file says.
        shape: (rows, columns) of the array; a list of cells needs it, and a matrix is checked.
        pairs: whether the file's columns are pairs, whose two cells both have the value.

    Returns:
        The map; of several chips, with a leading axis.

    Raises:
        StoreError: the file cannot be read, says no unit or another one, has another shape, names a
            cell off the grid or twice, or a value that is no cell's.
    """
    flag("pairs", pairs)
    try:
        if unit is not None and unit not in UNITS:
            raise ValueError(f"unit: got {unit!r}, needs one of {', '.join(UNITS)}")
        needs = None if shape is None else (shape[0], shape[1] // 2 if pairs else shape[1])
        found = _read(Path(path), unit, needs)
        if needs is not None and found.g.shape[-2:] != needs:
            raise ValueError(f"got {found.g.shape[-2:]} cells, needs {needs}, rows and columns")
        if pairs:
            found = _Values(*(np.repeat(part, 2, axis=-1) for part in found))
        g = None if np.isnan(found.g).all() else found.g
        stuck = found.stuck if g is None or found.stuck.any() else None
        return ChipMap(None if g is None else jnp.asarray(g), stuck)
    except StoreError:
        raise
    except (TypeError, ValueError) as error:
        raise StoreError(f"{path}: {error}") from error


def _read(path: Path, unit: str | None, shape: tuple[int, int] | None) -> _Values:
    arrays = _csv(path) if path.suffix == ".csv" else read_arrays(path)
    arrays = {_PLACES.get(name.strip(), name.strip()): a for name, a in arrays.items()}
    told = units_of(path) if path.suffix in (".h5", ".hdf5") else {}
    if {"g_plus", "g_minus"} <= set(arrays):
        both = np.stack([native(n, arrays[n]) for n in ("g_plus", "g_minus")], axis=-1)
        return _values("g_plus", both.reshape(*both.shape[:-2], -1), "S")
    lone = next(iter(arrays.values())) if len(arrays) == 1 else None
    if lone is not None and _is_list(lone, shape):
        columns = zip(["row", "col", "", "chip"], lone.T, strict=False)
        arrays: dict[str, np.ndarray] = dict(columns)
    places = [name for name in ("chip", "row", "col") if name in arrays]
    names = [name for name in arrays if name not in places]
    if len(names) != 1 or len(places) == 1:
        got = ", ".join(arrays) or "nothing"
        raise ValueError(f"got {got}, needs row, col and one of {', '.join(UNITS)}, or a matrix")
    name = names[0]
    values = _values(name, arrays[name], _unit(name, unit, told.get(name)))
    if not places:
        if values.g.ndim not in (2, 3) or 0 in values.g.shape:
            got = values.g.shape
            raise ValueError(f"got shape {got}, needs (rows, columns) or (chips, rows, columns)")
        return values
    if shape is None:
        raise ValueError("got a list of cells, needs shape=(rows, columns) of the array")
    return _on_grid({n: arrays[n] for n in places}, values, shape)


def _is_list(array: np.ndarray, shape: tuple[int, int] | None) -> bool:
    """Whether a matrix is lines of row, col, value (, chip): only if another shape is asked for."""
    is_one = array.ndim == 2 and array.shape[1] in (3, 4)
    return is_one and shape is not None and array.shape != shape


def _csv(path: Path) -> dict[str, np.ndarray]:
    """Columns by name, or the matrix under the name ""; all of it words."""
    with readable(path), path.open(newline="", encoding="utf-8-sig") as file:
        written = (line for line in file if line.strip() and not line.startswith("#"))
        lines = [[word.strip() for word in line] for line in csv.reader(written)]
        if not lines:
            raise ValueError("no line in it")
        for number, line in enumerate(lines, start=1):
            if len(line) != len(lines[0]):
                got = f"line {number} of the table has {len(line)} places"
                raise ValueError(f"{got}, the first {len(lines[0])}")
    head = lines.pop(0) if any(_is_word(word) for word in lines[0]) else None
    table = np.array(lines, str).reshape(len(lines), len(head or lines[0]))
    if head is None:
        return {"": table}
    return {name: table[:, n] for n, name in enumerate(head)}


def _is_word(text: str) -> bool:
    """Whether a cell of a table stands in its head and is no value."""
    text = text.strip().lower()
    if text in (*_HEALTHY, *_STATES):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False


def _unit(name: str, asked: str | None, told: Any) -> str | None:
    """The unit of values: what the call says, or the end of their name, or an attribute."""
    last = re.split(r"[^A-Za-z]+", name.strip(" ])"))[-1]
    found = last if last in UNITS else told if told in UNITS else None
    if None not in (asked, found) and asked != found:
        raise ValueError(f"unit: got {asked!r}, but the file says {found!r} of {name!r}")
    return asked or found


def _values(name: str, raw: np.ndarray, unit: str | None) -> _Values:
    """Conductances and stuck cells of whatever the file says of each cell."""
    stuck = np.zeros(raw.shape, np.int8)
    numbers = _numbers(raw, stuck) if raw.dtype.kind in "US" else native(name, raw).astype(float)
    known = ~np.isnan(numbers)
    if unit == "stuck":
        if not np.isin(numbers[known], (-1, 0, 1)).all():
            raise ValueError("stuck: got other values than 1, -1, 0, on, off, needs these")
        stuck[known] = numbers[known]
        return _Values(np.full(raw.shape, np.nan), stuck)
    if known.any() and unit is None:
        raise ValueError(f"got values of no unit, needs one of {', '.join(UNITS)}: unit='ohm'")
    scaled = numbers * UNITS[unit or "S"]
    resistive = unit is not None and unit.endswith("ohm")
    fits = scaled >= 1 / MOST if resistive else (scaled >= 0) & (scaled <= MOST)
    if (bad := known & ~fits).any():
        at = np.argwhere(bad)[0].tolist()
        needs = f"{1 / MOST:g} ohm or more" if resistive else f"0 to {MOST:g} S"
        other = "S" if resistive else "ohm"
        got = f"{numbers[bad][0]:g} {unit} at {at}"
        raise ValueError(f"got {got}, needs {needs}, as cells have it; is it {other}?")
    return _Values(1 / scaled if resistive else scaled, stuck)


def _numbers(raw: np.ndarray, stuck: np.ndarray) -> np.ndarray:
    """The numbers among words, NaN elsewhere; what says "on" or "off" is marked in `stuck`."""
    from pandas import Series, to_numeric

    words = np.char.strip(np.char.lower(raw.astype(str)))
    numbers = to_numeric(Series(words.ravel()), errors="coerce").to_numpy(float).reshape(raw.shape)
    for word in np.unique(words[np.isnan(numbers)]).tolist():
        if word in _STATES:
            stuck[words == word] = _STATES[word]
        elif word not in _HEALTHY:
            raise ValueError(f"got {word[:40]!r}, needs a number, on, off, healthy or nothing")
    return numbers


def _on_grid(places: dict[str, np.ndarray], values: _Values, shape: tuple[int, int]) -> _Values:
    """The list of cells as a matrix, or one for each chip."""
    sizes = {"row": shape[0], "col": shape[1]}
    at = {name: _whole(name, column, sizes.get(name)) for name, column in places.items()}
    if len({len(column) for column in (*at.values(), values.g)}) > 1:
        raise ValueError("got columns of different lengths, needs a value for each row and col")
    chips = np.unique(at["chip"]).tolist() if "chip" in at else [0]
    if chips != list(range(len(chips))):
        raise ValueError(f"chip: got {len(chips)} of them up to {chips[-1]}, needs all from 0")
    whole = (len(chips), *shape)
    check_size(whole, 8, 8 * math.prod(whole))  # whether the memory holds them
    index = (at.get("chip", np.zeros(len(values.g), int)), at["row"], at["col"])
    cells, count = np.unique(np.ravel_multi_index(index, whole), return_counts=True)
    if (count > 1).any():
        cell = [int(n) for n in np.unravel_index(cells[count > 1][0], whole)]
        raise ValueError(f"got the cell {tuple(cell[1:])} twice, needs each once")
    g, stuck = np.full(whole, np.nan), np.zeros(whole, np.int8)
    g[index], stuck[index] = values
    return _Values(g, stuck) if "chip" in at else _Values(g[0], stuck[0])


def _whole(name: str, column: np.ndarray, size: int | None) -> np.ndarray:
    """Indices, which may have come as floating-point numbers or words."""
    numbers = native(name, column.astype(float) if column.dtype.kind in "US" else column)
    if numbers.ndim != 1 or not len(numbers):
        raise ValueError(f"{name}: got shape {numbers.shape}, needs one for each cell")
    if not (np.isfinite(numbers).all() and (numbers % 1 == 0).all()):
        raise ValueError(f"{name}: got {numbers[numbers % 1 != 0][0]:g}, needs whole numbers")
    low, high = int(numbers.min()), int(numbers.max())
    if low < 0 or (size is not None and high >= size):
        needs = "0 or more" if size is None else f"0..{size - 1}"
        cure = ", counted from 0" if low == 1 and high == size else ""
        raise ValueError(f"{name}: got {high if low >= 0 else low}, needs {needs}{cure}")
    return numbers.astype(int)
