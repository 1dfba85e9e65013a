"""Two versions' results, quantity by quantity, whatever their formats call them."""

import json
import re
from typing import NamedTuple

import h5py
import numpy as np
import pandas as pd

# Names of version 2 of results.h5 -> those of version 3.
RENAMED = (
    (r"^healthy/layer_(\d+)/(g_plus|g_minus)$", r"healthy/layers/\1/pairs/\2"),
    (r"^healthy/layer_(\d+)/(g_min|g_max)$", r"healthy/layers/\1/window/\2"),
    (r"^healthy/layer_(\d+)/r_(word_line|bit_line|source|sense)$", r"healthy/layers/\1/wires/\2"),
    (r"^healthy/layer_(\d+)/(r_f|open_loop_gain)$", r"healthy/layers/\1/readout/steps/0/\2"),
    (r"^healthy/layer_(\d+)/(v_min|v_max)$", r"healthy/layers/\1/readout/steps/2/\2"),
    (r"^healthy/layer_(\d+)/(s|k|v_bias)$", r"healthy/layers/\1/\2"),
    (r"^(software|retrained)/(weights|biases)_(\d+)$", r"\1/\2/\3"),
    (r"^correctors/([^/]+)/(weights|biases)_(\d+)$", r"correctors/\1/corrector/head/\2/\3"),
    (r"^correctors/([^/]+)/(bias|scale|log_scale)$", r"correctors/\1/corrector/head/\2"),
    (r"^correctors/([^/]+)/(mean|std)$", r"correctors/\1/corrector/\2"),
)
BOOKKEEPING = ("chunks/",)  # which process wrote what: no result
CLAIMS = {"ring_to_circle": "ring_to_circle_elsewhere"}  # renamed


class Row(NamedTuple):
    """A quantity in both versions.

    Args:
        name: what it is.
        numbers: how many there are.
        apart: largest difference over the largest size, inf if shapes or words differ; NaN if one
            version has none.
        allowed: by the comparison.
    """

    name: str
    numbers: int
    apart: float
    allowed: float

    @property
    def same(self) -> bool:
        """Whether the difference is within what is allowed."""
        return self.apart <= self.allowed


def apart(old, new):
    """Largest difference over the largest size; inf for another shape, place of NaN, or word."""
    old, new = np.asarray(old), np.asarray(new)
    if old.shape != new.shape:
        return np.inf
    if old.dtype.kind not in "fc" and new.dtype.kind not in "fc":
        return 0.0 if np.array_equal(old, new) else np.inf
    fine = np.isfinite(old)
    if (
        not np.array_equal(old[~fine], new[~fine], equal_nan=True)
        or not np.isfinite(new[fine]).all()
    ):
        return np.inf
    largest = np.abs(old[fine]).max(initial=0)
    return float(np.abs(old[fine] - new[fine]).max(initial=0) / (largest or 1))


def compared(old, new, allowed):
    """Rows of all quantities of two dictionaries; those of one alone have no difference."""
    rows = []
    for name, value in old.items():
        off = apart(value, new[name]) if name in new else np.nan
        rows.append(Row(name, int(np.size(value)), off, allowed(name)))
    return rows + [Row(name, int(np.size(new[name])), np.nan, 0) for name in new if name not in old]


def results(path):
    """All arrays of a results.h5, under the names of version 3."""
    found = {}

    def take(name, item):
        if isinstance(item, h5py.Dataset) and not name.startswith(BOOKKEEPING):
            words = h5py.check_string_dtype(item.dtype) is not None
            found[renamed(name)] = np.asarray(item.asstr()[()], str) if words else item[()]

    with h5py.File(path) as file:
        file.visititems(take)
    return found


def renamed(name):
    """A name of version 2 as version 3 has it; another as it is."""
    for old, new in RENAMED:
        if re.match(old, name):
            return re.sub(old, new, name)
    return name


def numbers(path):
    """Numbers of a summary.json by their place, without times."""
    found = {}

    def walk(place, value):
        if isinstance(value, dict):
            for key, item in value.items():
                walk(f"{place}/{key}" if place else key, item)
        elif isinstance(value, list):
            for key, item in enumerate(value):
                walk(f"{place}/{key}", item)
        elif isinstance(value, int | float) and not re.search(r"(_s|time|seconds)(/|$)", place):
            found[place] = float(value)

    walk("", json.loads(path.read_text(encoding="utf-8")))
    return found


def claims(old, new):
    """Each claim: how many figures stand among the new ones to 1e-9 points, and both verdicts.

    A figure is a mean with its half-width; which condition it is called may have changed.
    """
    rows = []
    for name, claim in old.items():
        other = new[CLAIMS.get(name, name)]
        known = np.array(list(other["values"].values()), float).reshape(-1, 2)
        kept = [np.abs(known - pair).max(1).min() < 1e-9 for pair in claim["values"].values()]
        rows.append(
            (name, int(np.sum(kept)), len(kept), len(known), claim["verdict"], other["verdict"])
        )
    return rows


# Stored tables of `xbar paper` and their columns that have other names now.
TABLES = {
    "recovery_circuits": "severity_circuits",  # each circuit stood in two tables
    "sensitivity_circuits": "severity_circuits",
    "images_accuracy": "labels_accuracy",
    "images_circuits": "labels_circuits",
    "told_accuracy": "side_information_accuracy",
    "referee_circuits": "simulator_circuits",
    "referee_program": "simulator_program",
}
COLUMNS = {
    ("told_accuracy", "told"): "information",
    ("sizes_correctors", "name"): "corrector",
}


def _with_labels(match):
    number = {"corrector": 359, "retraining": 1437}[match[0]]
    return f"{match[0]}, {number} labels"


# Words of a column that were said anew: of then -> of now.
WORDS = {
    ("told_accuracy", "told"): (r"^trained for it", "trained for the circuit"),
    ("remedies_accuracy", "remedy"): (r"(corrector|retraining)$", _with_labels),
}


def tables(old, new):
    """All columns of the CSV tables in two folders, by table and column, under the names of now."""
    found = {}, {}
    for path in sorted(old.glob("*.csv")):
        other = new / f"{TABLES.get(path.stem, path.stem)}.csv"
        frame = _frame(path)
        theirs = _frame(other) if other.exists() else {}
        for column in frame:
            if (path.stem, column) in WORDS:
                pattern, said = WORDS[path.stem, column]
                frame[column] = frame[column].str.replace(pattern, said, regex=True)
            found[0][f"{path.stem}: {column}"] = frame[column].to_numpy()
            name = COLUMNS.get((path.stem, column), column)
            if name in theirs:
                found[1][f"{path.stem}: {column}"] = theirs[name].to_numpy()
    return found


def _frame(path):
    return pd.read_csv(path, keep_default_na=False, na_values=["nan"])


def errors(old, new):
    """Largest distance of each solver's results from a reference, by shape: before and now.

    The reference is `Dense` of now, and `ColumnSweep` of now where `Dense` has no room.
    """
    found = {}
    for name, value in new.items():
        solver, shape, rest = name.split(", ")
        reference = f"Dense, {shape}, {rest}"
        reference = reference if reference in new else f"ColumnSweep, {shape}, {rest}"
        if solver != "Ideal" and name != reference:
            worst = found.setdefault((solver, shape), [0.0, 0.0])
            for k, x in enumerate((old[name], value)):
                worst[k] = max(worst[k], apart(new[reference], x))
    return found
