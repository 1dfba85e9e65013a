"""Results of a study as arrays with named axes."""

from typing import TYPE_CHECKING, Any

import numpy as np

from xbar.io.runs import Run
from xbar.run.study.plan import AXES
from xbar.run.study.tables import axes_of, quantities

if TYPE_CHECKING:
    import xarray


def labelled(run: Run, name: str) -> "xarray.DataArray":
    """Something that a study found for each circuit, over the study's axes.

    ```python
    array = labelled(load_run("runs/mine"), "defective")
    array.sel(shape="ring", layer=3).mean("seed")
    array.to_dataframe("accuracy")
    ```

    Args:
        run: from `load_run`.
        name: a score such as "defective" or "corrector 14", a column of the table such as
            "pairs_hit", or "voltages".

    Returns:
        An axis for each setting with more than one value, then "seed" and "placement"; behind them,
        for voltages, "sample" and "class". NaN where the study has no circuit; the SI unit is the
        attribute "unit".

    Raises:
        ValueError: no such thing.
        StoreError: the study stored no voltages.
    """
    import xarray  # takes a second, which no command should wait for

    table = run.table
    score = run.score
    accuracies = quantities({"circuits": table, score: run.read(score)})
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
    coords: dict[str, Any] = {axis.name: axis.values for axis in axes_of(table)}
    coords |= {axis: np.unique(table[axis]) for axis in ("seed", "placement")}
    places = tuple(_places(table[axis], np.asarray(values)) for axis, values in coords.items())
    values = np.full((*(len(v) for v in coords.values()), *rows.shape[1:]), np.nan)
    values[places] = rows
    behind = ("sample", "class")[: rows.ndim - 1]
    coords |= {axis: np.arange(n) for axis, n in zip(behind, rows.shape[1:], strict=True)}
    return xarray.DataArray(values, coords, list(coords), name, {"unit": unit})


def _places(column: np.ndarray, values: np.ndarray) -> np.ndarray:
    order = np.argsort(values)
    return order[np.searchsorted(values, column, sorter=order)]
