"""What a study's table says: accuracies by axis, with intervals over seeds; arrays by named axes.

Circuits of one seed share a network, a split and correctors' images: they are averaged first, and
the interval is that of the seeds' means. Circuits that failed are left out and counted.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xbar.io.runs import Run
from xbar.run.study.chunks import STATUS
from xbar.run.study.plan import AXES
from xbar.run.study.scores import score_in
from xbar.statistics import Interval, t_interval

Columns = Mapping[str, np.ndarray]
REPEATS = ("seed", "placement")  # axes that are repetitions, not settings
WORDS = {
    "layer": "broken layer",
    "window": "device window",
    "wire_ohm": "wire resistance per segment [Ω]",
    "mapping": "mapping",
    "device": "device",
    "seconds": "time since programming [s]",
    "law": "law of the cells",
    "v_0": "v_0 of the cells [V]",
    "i_s": "current scale of selectors [A]",
    "v_s": "voltage scale of selectors [V]",
    "beta": "transconductance of transistors [A/V²]",
    "v_ov": "gate overdrive [V]",
    "shape": "shape of the defect",
    "coverage": "share of the array covered",
    "fault": "fault",
    "stuck": "stuck at",
    "stuck_window": "window of stuck cells",
    "bias_row": "bias row",
}
ROUGH = 0.05  # error of an array's currents, over the largest, that a reader has to be told
OWN = {"stuck": "stuck value", "stuck_window": "window of stuck cells"}  # after "each with its"


class Axis(NamedTuple):
    """A setting that the study sweeps.

    Args:
        name: its column.
        label: for people, with its unit.
        values: in the order in which to show them.
    """

    name: str
    label: str
    values: list[Any]


def quantities(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Test scores of each circuit by name: software, healthy, defective, whatever reads them.

    Args:
        arrays: groups "circuits" and "accuracy" (or another score's) of results.h5.

    Returns:
        (circuits,) each; NaN where a circuit failed.
    """
    circuits, found = arrays["circuits"], dict(arrays[score_in(arrays).name])
    rows = {"software": circuits["seed"], "healthy": circuits["healthy"]}
    order = ("software", "healthy", "defective")
    first = {name: found[name][rows[name]] if name in rows else found[name] for name in order}
    return first | {name: column for name, column in found.items() if name not in first}


def axes_of(circuits: Columns) -> list[Axis]:
    """The settings that take more than one value, in the table's order.

    One that follows from another, as a shape's own coverage does, is not an axis of its own.
    """
    found: list[Axis] = []
    for name in (name for name in AXES if name in circuits):
        column = circuits[name]
        values = list(dict.fromkeys(column.tolist()))
        if len(values) < 2 or name in REPEATS:
            continue
        leads = [_follows(column, circuits[axis.name], len(axis.values)) for axis in found]
        if any(leads):
            first = leads.index(True)
            label = f"{found[first].label}, each with its own {OWN.get(name, name)}"
            found[first] = found[first]._replace(label=label)
            continue
        if column.dtype.kind in "fiu":
            values.sort()
        found.append(Axis(name, WORDS[name], values))
    return found


def _follows(column: np.ndarray, other: np.ndarray, count: int) -> bool:
    """Whether a column is known from another one, of so many values."""
    return len(set(zip(other.tolist(), column.tolist(), strict=True))) == count


def interval(values: np.ndarray, seeds: np.ndarray) -> Interval:
    """Mean of the seeds' means, and its 95 % interval; n = 0 and NaN where nothing is known."""
    fine = np.isfinite(values)
    if not fine.any():
        return Interval(float("nan"), float("nan"), 0)
    kept, groups = values[fine], seeds[fine]
    return t_interval([kept[groups == seed].mean() for seed in np.unique(groups)])


def along(axis: Axis, circuits: Columns, values: np.ndarray) -> list[Interval]:
    """The interval at each value of an axis, over everything else."""
    column, seeds = circuits[axis.name], circuits["seed"]
    return [interval(values[column == v], seeds[column == v]) for v in axis.values]


def grid(rows: Axis, columns: Axis, circuits: Columns, values: np.ndarray) -> np.ndarray:
    """Means at each pair of two axes' values, (rows, columns); NaN where no circuit is."""
    found = np.full((len(rows.values), len(columns.values)), np.nan)
    for i, a in enumerate(rows.values):
        for j, b in enumerate(columns.values):
            chosen = (circuits[rows.name] == a) & (circuits[columns.name] == b)
            found[i, j] = interval(values[chosen], circuits["seed"][chosen]).mean
    return found


def pairs(axes: list[Axis]) -> list[tuple[Axis, Axis]]:
    """All pairs of axes."""
    return list(combinations(axes, 2))


def as_csv(columns: Mapping[str, Any], digits: int | None = None) -> str:
    """A table as text of CSV, its head first; no text in it is a formula to a spreadsheet.

    Args:
        columns: equally long, by name.
        digits: of floating-point numbers; None writes all that they have.
    """
    from pandas import DataFrame  # takes most of a second to load

    cells = {_plain(n): list(map(_plain, np.asarray(c).tolist())) for n, c in columns.items()}
    table = DataFrame(cells)
    shown = None if digits is None else f"%.{digits}g"
    return table.to_csv(index=False, lineterminator="\n", na_rep="nan", float_format=shown)


def _plain(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t") else cell


def means(arrays: Mapping[str, Any], most: int = 200) -> dict[str, Any]:
    """Scores of every combination of swept settings, for the report's table."""
    circuits, columns, ends = arrays["circuits"], quantities(arrays), score_in(arrays).ends
    axes = axes_of(circuits)
    keys = list(zip(*(circuits[a.name].tolist() for a in axes), strict=True)) if axes else []
    rows = []
    for key in list(dict.fromkeys(keys))[:most]:
        chosen = np.array([k == key for k in keys])
        cells = [interval(v[chosen], circuits["seed"][chosen]) for v in columns.values()]
        rows.append({"key": key, "cells": [(cell.mean, ends(cell)) for cell in cells]})
    return {"axes": [axis.label for axis in axes], "names": list(columns), "rows": rows}


def _shown(value: Any) -> Any:
    """A value of an axis; an infinite one in a word, since JSON has no number for it."""
    return str(value) if value in (np.inf, -np.inf) else value


def unconverged(arrays: Mapping[str, Any]) -> dict[str, int]:
    """Correctors of circuits that were solved whose training has not converged, by name, if any.

    Args:
        arrays: groups "accuracy" (or another score's) and "converged", if there is one.
    """
    known, scores = arrays.get("converged", {}), arrays[score_in(arrays).name]
    stopped = {n: int(np.sum(~ended & np.isfinite(scores[n]))) for n, ended in known.items()}
    return {name: count for name, count in stopped.items() if count}


def _corrected(circuits: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Of corrected transfer matrices, the largest error; how many circuits are beyond `ROUGH`."""
    if "current_error" not in circuits:
        return {}
    errors = circuits["current_error"][circuits["status"] == 0]
    worst = float(np.max(errors[np.isfinite(errors)], initial=0.0))
    return {"current_error": worst, "rough": int(np.sum(~(errors <= ROUGH)))}


def headline(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """What `summary.json` says of any study, without times and figures."""
    circuits, columns, score = arrays["circuits"], quantities(arrays), score_in(arrays)
    found = {name: interval(values, circuits["seed"]) for name, values in columns.items()}
    status = np.bincount(circuits["status"], minlength=len(STATUS))
    return {
        "circuits": len(circuits["seed"]),
        "status": {word: int(n) for word, n in zip(STATUS, status, strict=True) if n},
        "unconverged": unconverged(arrays),
        "score": score.name,
        score.name: {name: i.mean for name, i in found.items()},
        "ci95": {name: i.half_width for name, i in found.items()},
        "interval95": {name: score.ends(i) for name, i in found.items()},
        "axes": {axis.name: [*map(_shown, axis.values)] for axis in axes_of(circuits)},
        "by_axis": {
            axis.name: {
                name: [
                    {"value": _shown(value), "mean": i.mean, "ci95": i.half_width}
                    for value, i in zip(axis.values, along(axis, circuits, values), strict=True)
                ]
                for name, values in columns.items()
            }
            for axis in axes_of(circuits)
        },
        **_corrected(circuits),
    }


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
