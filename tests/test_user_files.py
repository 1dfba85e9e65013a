"""A user's own network and data from files, and every way in which such a file can be wrong."""

import pickle
from contextlib import nullcontext

import equinox as eqx
import h5py
import numpy as np
import pytest

from xbar.io.store import StoreError
from xbar.io.user import read_dataset, read_network
from xbar.learn.mlp import MLP

RNG = np.random.default_rng(0)
NETWORK = {
    "weights_0": RNG.normal(size=(4, 3)),
    "biases_0": RNG.normal(size=3),
    "weights_1": RNG.normal(size=(3, 2)),
    "biases_1": RNG.normal(size=2),
}
DATA = {"x": RNG.random((30, 4)), "y": np.arange(30) % 2}


def write(path, arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                file[name] = values
    return path


def changed(arrays, **changes):
    merged = {**arrays, **changes}
    return {name: values for name, values in merged.items() if values is not None}


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".hdf5"])
def test_networks_and_data_come_as_they_are(tmp_path, suffix):
    expected = MLP(
        (NETWORK["weights_0"], NETWORK["weights_1"]),
        (NETWORK["biases_0"], NETWORK["biases_1"]),
        "tanh",
    )
    path = write(tmp_path / f"net{suffix}", NETWORK | {"activation": "tanh"})
    assert eqx.tree_equal(read_network(path), expected)
    assert eqx.tree_equal(read_network(path, "tanh"), expected)
    dataset = read_dataset(write(tmp_path / f"data{suffix}", DATA))
    np.testing.assert_array_equal(dataset.images, DATA["x"])
    np.testing.assert_array_equal(dataset.labels, DATA["y"])
    assert dataset.name == f"data{suffix}"


def test_hdf5_may_name_the_activation_in_an_attribute(tmp_path):
    path = write(tmp_path / "net.h5", NETWORK)
    with h5py.File(path, "a") as file:
        file.attrs["activation"] = "sigmoid"
    assert read_network(path).activation == "sigmoid"


@pytest.mark.parametrize("dtype", ["float16", "float32", "int64"])
def test_any_real_numbers_will_do(tmp_path, dtype):
    arrays = {name: (10 * values).astype(dtype) for name, values in NETWORK.items()}
    path, told = write(tmp_path / "net.npz", arrays), nullcontext()
    if dtype == "float16":
        told = pytest.warns(UserWarning, match="got float16, read as float64")
    with told:
        model = read_network(path)
    assert model.weights[0].dtype == np.float64
    np.testing.assert_array_equal(model.weights[0], arrays["weights_0"])


def test_biases_may_be_left_out_altogether(tmp_path):
    arrays = changed(NETWORK, biases_0=None, biases_1=None)
    model = read_network(write(tmp_path / "net.npz", arrays))
    assert not np.any(model.biases[0])
    assert [b.shape for b in model.biases] == [(3,), (2,)]


W1 = NETWORK["weights_1"]
WRONG_NETWORKS = {
    "no weights": ({"a": W1}, "got an array 'a', needs only weights_0"),
    "empty": ({}, "got nothing, needs weights_0 too"),
    "gap": (changed(NETWORK, weights_0=None, biases_0=None), "needs weights_0 too"),
    "numbered from one": (changed(NETWORK, weights_01=W1), "got an array 'weights_01'"),
    "one bias missing": (changed(NETWORK, biases_1=None), "needs biases_1 too"),
    "a bias too many": (changed(NETWORK, biases_2=np.ones(2)), "got biases_2, but 2 layers"),
    "NaN": (changed(NETWORK, weights_1=np.full((3, 2), np.nan)), "weights_1: got 6 NaN"),
    "infinite bias": (changed(NETWORK, biases_0=[1, np.inf, 0]), "biases_0: got 1 NaN or inf"),
    "flat weights": (changed(NETWORK, weights_0=np.ones(4)), r"weights_0: got shape \(4,\)"),
    "batched weights": (changed(NETWORK, weights_0=np.ones((2, 4, 3))), "weights_0: got shape"),
    "no units": (changed(NETWORK, weights_0=np.ones((4, 0))), "weights_0: got shape"),
    "complex": (changed(NETWORK, weights_0=np.ones((4, 3)) * 1j), "weights_0: got dtype complex"),
    "text": (changed(NETWORK, weights_0=np.array([["a"]])), "weights_0: got dtype"),
    "transposed": (changed(NETWORK, weights_1=W1.T), r"biases\[1\]: got shape"),
    "no chain": (
        changed(NETWORK, weights_1=np.ones((5, 2))),
        r"weights\[1\]: got 5 inputs, needs the 3 outputs",
    ),
    "long bias": (changed(NETWORK, biases_0=np.ones(4)), r"biases\[0\]: got shape \(4,\)"),
    "unknown activation": (changed(NETWORK, activation="gelu"), "gelu"),
    "two activations": (changed(NETWORK, activation=["relu", "tanh"]), "activation: got 2"),
}
WRONG_DATA = {
    "no y": ({"x": DATA["x"]}, "got x, needs y too"),
    "no x": ({"y": DATA["y"]}, "got y, needs x too"),
    "images in two dimensions": (changed(DATA, x=np.ones((30, 2, 2))), "x: got shape"),
    "a label too few": (changed(DATA, y=DATA["y"][1:]), "got 29 labels"),
    "NaN": (changed(DATA, x=np.full((30, 4), np.nan)), "got 120 NaN or infinite"),
    "all zero": (changed(DATA, x=np.zeros((30, 4))), "max_input: got 0"),
    "labels from one": (changed(DATA, y=DATA["y"] + 1), r"needs all of 0..classes-1"),
    "labels in halves": (changed(DATA, y=DATA["y"] / 2), "y: got dtype float64"),
    "one-hot labels": (changed(DATA, y=np.eye(30, dtype=int)), "y: got shape"),
    "complex": (changed(DATA, x=DATA["x"] + 1j), "x: got dtype complex128"),
    "text": (changed(DATA, x=np.full((30, 4), "a")), "x: got dtype"),
}


def fails(read, path, message):
    with pytest.raises(StoreError, match=message) as error:
        read(path)
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith(str(path))
    assert len(text.removeprefix(str(path))) < 200


@pytest.mark.parametrize("case", WRONG_NETWORKS)
def test_wrong_networks(tmp_path, case):
    arrays, message = WRONG_NETWORKS[case]
    fails(read_network, write(tmp_path / "net.npz", arrays), message)


@pytest.mark.parametrize("case", WRONG_DATA)
def test_wrong_data(tmp_path, case):
    arrays, message = WRONG_DATA[case]
    fails(read_dataset, write(tmp_path / "data.npz", arrays), message)


def test_an_activation_that_the_file_contradicts(tmp_path):
    path = write(tmp_path / "net.npz", NETWORK | {"activation": "tanh"})
    with pytest.raises(StoreError, match="got 'relu', but the file says 'tanh'"):
        read_network(path, "relu")


class Trap:
    """Unpickling it would be noticed."""

    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def pickled_npz(path):
    np.savez(path, x=np.array([Trap()], dtype=object), y=DATA["y"])


def damaged_npz(path):
    write(path, DATA)
    path.write_bytes(path.read_bytes()[:-40])


def half_compressed_npz(path):
    np.savez_compressed(path, **DATA)
    content = bytearray(path.read_bytes())
    content[100:160] = bytes(60)
    path.write_bytes(content)


def damaged_h5(path):
    write(path, DATA)
    path.write_bytes(path.read_bytes()[:300])


FILES = {
    "missing": ("data.npz", lambda path: None, "got no file"),
    "a folder": ("data.npz", lambda path: path.mkdir(), "got a folder"),
    "another suffix": ("data.csv", lambda path: path.write_text("1,2"), "got .csv, needs"),
    "no suffix": ("data", lambda path: path.write_text("1,2"), "got no suffix"),
    "text": ("data.npz", lambda path: path.write_text("1,2"), "cannot be read"),
    "empty": ("data.npz", lambda path: path.touch(), "cannot be read"),
    "a bare pickle": ("data.npz", lambda path: path.write_bytes(pickle.dumps(Trap())), "be read"),
    "pickled objects": ("data.npz", pickled_npz, "pickled objects, which are never read"),
    "cut off": ("data.npz", damaged_npz, "cannot be read"),
    "damaged inside": ("data.npz", half_compressed_npz, "cannot be read"),
    "text as HDF5": ("data.h5", lambda path: path.write_text("1,2"), "cannot be read"),
    "cut off HDF5": ("data.h5", damaged_h5, "cannot be read"),
    "HDF5 of groups": (
        "data.h5",
        lambda path: h5py.File(path, "w").create_group("x").file.close(),
        "got nothing, needs x too",
    ),
}


@pytest.mark.parametrize("read", [read_network, read_dataset])
@pytest.mark.parametrize("case", FILES)
def test_files_that_cannot_be_read(tmp_path, case, read):
    name, make, message = FILES[case]
    make(tmp_path / name)
    if read is read_network and "needs x" in message:
        message = "needs weights_0 too"
    fails(read, tmp_path / name, message)
