"""Results files describe themselves and are never half written."""

import h5py
import numpy as np
import pytest

from xbar.io.store import Field, StoreError, published, read_results, write_results


@pytest.fixture
def groups():
    values = np.arange(6.0).reshape(2, 3)
    return {"circuit": {"g": Field(values, "S", ("row", "col"), "cells"), "deep": {}}}


def test_round_trip_with_units_and_origin(tmp_path, groups):
    path = tmp_path / "results.h5"
    write_results(path, groups, {"seed": 3, "hidden": (5, 4)})
    arrays, attributes = read_results(path)
    np.testing.assert_array_equal(arrays["circuit"]["g"], np.arange(6.0).reshape(2, 3))
    assert attributes["config"] == {"seed": 3, "hidden": [5, 4]}
    assert {"versions", "commit", "created", "machine", "format_version"} <= set(attributes)
    with h5py.File(path) as file:
        dataset = file["circuit/g"]
        assert dataset.attrs["unit"] == "S"
        assert list(dataset.attrs["axes"]) == ["row", "col"]
        assert dataset.attrs["about"] == "cells"


def test_axes_must_match(tmp_path, groups):
    groups["circuit"]["g"] = Field(np.ones(3), "S", ("row", "col"), "cells")
    with pytest.raises(ValueError, match="got 1 axes, needs"):
        write_results(tmp_path / "results.h5", groups, {})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write_half():
        with published(path) as partial:
            partial.write_text("ne")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["missing", "text", "foreign", "newer", "older", "truncated"])
def test_other_files_get_one_clear_sentence(tmp_path, groups, kind):
    path = tmp_path / "results.h5"
    if kind == "text":
        path.write_text("not HDF5")
    elif kind == "foreign":
        with h5py.File(path, "w") as file:
            file["x"] = 1
    elif kind in ("newer", "older", "truncated"):
        write_results(path, groups, {})
        if kind == "truncated":
            path.write_bytes(path.read_bytes()[:-100])
        else:
            with h5py.File(path, "a") as file:
                file.attrs["format_version"] = 99 if kind == "newer" else 1
    needs = {
        "missing": "got no file, needs a file",
        "foreign": "another program",
        "newer": "format version 99, needs 3; read it with the newer xbar",
        "older": "format version 1, needs 3; read it with the older xbar .* --overwrite",
    }
    with pytest.raises(StoreError, match=needs.get(kind, "cannot be read or is damaged")):
        read_results(path)
