"""The comparison of two versions: what is the same is said to be, and what is not is found."""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.same_results import compare

X = np.array([1.0, -2.0, np.nan, np.inf])


def test_a_difference_is_relative_to_the_largest_size():
    assert compare.apart(X, X) == 0
    assert compare.apart(X, X + np.array([1e-6, 0, 0, 0])) == pytest.approx(5e-7)
    assert compare.apart(np.zeros(2), np.array([0, 1e-3])) == pytest.approx(1e-3)


@pytest.mark.parametrize(
    "other",
    [X[:3], np.array([1.0, np.nan, np.nan, np.inf]), np.array([1.0, -2.0, np.nan, -np.inf])],
)
def test_another_shape_or_place_of_nan_is_infinitely_far(other):
    assert compare.apart(X, other) == np.inf


def test_words_and_whole_numbers_are_equal_or_not():
    assert compare.apart(np.array(["a", "b"]), np.array(["a", "b"])) == 0
    assert compare.apart(np.array([1, 2]), np.array([1, 3])) == np.inf


def test_a_quantity_of_one_version_alone_is_neither_same_nor_apart():
    rows = compare.compared({"a": X, "b": X}, {"a": X + 1e-3, "c": X}, lambda _: 1e-9)
    assert [(row.name, row.same) for row in rows] == [("a", False), ("b", False), ("c", False)]
    assert np.isnan([row.apart for row in rows]).tolist() == [False, True, True]


def test_arrays_have_the_names_of_now(tmp_path):
    names = {
        "healthy/layer_2/g_plus": "healthy/layers/2/pairs/g_plus",
        "healthy/layer_0/r_sense": "healthy/layers/0/wires/sense",
        "software/weights_1": "software/weights/1",
        "correctors/bias only/log_scale": "correctors/bias only/corrector/head/log_scale",
        "voltages/healthy": "voltages/healthy",
    }
    with h5py.File(tmp_path / "results.h5", "w") as file:
        for name in names:
            file[name] = X
        file["chunks/sha256"] = 1
    assert sorted(compare.results(tmp_path / "results.h5")) == sorted(names.values())


def test_times_are_no_results(tmp_path):
    path = tmp_path / "summary.json"
    path.write_text(json.dumps({"wall_s": 3.0, "stage_s": {"map": 1.0}, "ci95": {"a": [0.5, 1]}}))
    assert compare.numbers(path) == {"ci95/a/0": 0.5, "ci95/a/1": 1.0}


def test_a_figure_stands_under_whatever_name(tmp_path):
    old = {"ring_to_circle": {"verdict": "holds", "values": {"a": [1.0, 0.5], "b": [2.0, 0.1]}}}
    new = {"ring_to_circle_elsewhere": {"verdict": "open", "values": {"c": [1.0, 0.5]}}}
    assert compare.claims(old, new) == [("ring_to_circle", 1, 2, 1, "holds", "open")]
    for folder, head in ((tmp_path / "old", "told"), (tmp_path / "new", "information")):
        folder.mkdir()
        name = "told" if head == "told" else "side_information"
        word = "trained for it" if head == "told" else "trained for the circuit"
        (folder / f"{name}_accuracy.csv").write_text(f"{head},accuracy\n{word},0.5\n")
    a, b = compare.tables(tmp_path / "old", tmp_path / "new")
    assert {name: list(values) for name, values in a.items()} == {
        name: list(values) for name, values in b.items()
    }
