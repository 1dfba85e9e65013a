"""Results of a study as arrays with named axes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from xbar.io.runs import Run
from xbar.run.plan import AXES
from xbar.run.tables import axes_of, quantities


@dataclass(frozen=True)
class Labelled:
    """An array whose axes have names and coordinates.

    Args:
        values: the numbers; NaN where the study has no circuit.
        dims: name of each axis.
        coords: values along each axis, by its name.
        unit: SI unit, "1" for pure numbers.
    """

    values: np.ndarray
    dims: tuple[str, ...]
    coords: dict[str, np.ndarray]
    unit: str

    def sel(self, **where: Any) -> "Labelled":
        """The part at one value of some axes.

        Raises:
            ValueError: no such axis, or no such value on it.
        """
        found, dims, coords = self.values, list(self.dims), dict(self.coords)
        for name, value in where.items():
            if name not in dims:
                raise ValueError(f"sel: got {name!r}, needs one of {dims}")
            at = np.flatnonzero(coords[name] == value)
            if len(at) == 0:
                raise ValueError(f"sel: got {name} = {value!r}, needs one of {list(coords[name])}")
            found = np.take(found, at[0], axis=dims.index(name))
            dims.remove(name)
            del coords[name]
        return Labelled(found, tuple(dims), coords, self.unit)

    def to_xarray(self) -> Any:
        """The same as an `xarray.DataArray`; xarray has to be installed."""
        from importlib import import_module

        xarray = import_module("xarray")  # not among what xbar needs

        return xarray.DataArray(
            self.values, dims=self.dims, coords=self.coords, attrs={"unit": self.unit}
        )


def labelled(run: Run, name: str) -> Labelled:
    """Something that a study found for each circuit, over the study's axes.

    Args:
        run: from `load_run`.
        name: an accuracy such as "defective" or "corrector 14", a column of the table such as
            "pairs_hit", or "voltages".

    Returns:
        An axis for each setting with more than one value, then "seed" and "placement"; behind them,
        for voltages, "sample" and "class".

    Raises:
        ValueError: no such thing.
        StoreError: the study stored no voltages.
    """
    table = run.table
    accuracies = quantities({"circuits": table, "accuracy": run.read("accuracy")})
    columns = {n: c for n, c in table.items() if c.dtype.kind in "fiu"}
    if name == "voltages":
        rows, unit = np.asarray(run.read("voltages/defective")), "V"
    elif name in accuracies:
        rows, unit = accuracies[name], "1"
    elif name in columns:
        rows, unit = columns[name], AXES.get(name, ("1", ""))[0]
    else:
        known = ["voltages", *accuracies, *columns]
        raise ValueError(f"labelled: got {name!r}, needs one of {known}")
    swept = {axis.name: np.array(axis.values) for axis in axes_of(table)}
    coords = swept | {axis: np.unique(table[axis]) for axis in ("seed", "placement")}
    places = tuple(_places(table[axis], values) for axis, values in coords.items())
    values = np.full((*(len(v) for v in coords.values()), *rows.shape[1:]), np.nan)
    values[places] = rows
    behind = ("sample", "class")[: rows.ndim - 1]
    coords |= {axis: np.arange(n) for axis, n in zip(behind, rows.shape[1:], strict=True)}
    return Labelled(values, tuple(coords), coords, unit)


def _places(column: np.ndarray, values: np.ndarray) -> np.ndarray:
    order = np.argsort(values)
    return order[np.searchsorted(values, column, sorter=order)]
