"""Files that are wrong: one sentence with place, found and needed; nothing waits, nothing is run.

Every file is made here, tiny, whatever it claims to hold.
"""

import gzip
import os
import socket
import struct
import zipfile
from pathlib import Path

import h5py
import jax.numpy as jnp
import numpy as np
import pytest
from bad_files import X, Y, refused

from xbar.io import read_dataset, read_network
from xbar.io.files import read_arrays, regular_file
from xbar.io.mnist import read_idx, read_idx_images
from xbar.io.shards import read_shard
from xbar.io.store import read_results

# --- not a file that may be opened ------------------------------------------------------------


def a_socket(path):
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's whole path may have 100 characters only
    try:
        with socket.socket(socket.AF_UNIX) as it:
            it.bind(path.name)
    finally:
        os.chdir(here)


NO_FILES = {
    "missing": (lambda path: None, "got no file, needs a file"),
    "folder": (lambda path: path.mkdir(), "got a folder, needs a file"),
    "pipe": (os.mkfifo, "got a pipe, socket or device, needs a regular file"),
    "socket": (a_socket, "got a pipe, socket or device"),
    "link to a device": (lambda path: path.symlink_to("/dev/zero"), "got a pipe, socket or device"),
    "link to nowhere": (lambda path: path.symlink_to("nowhere"), "got no file"),
    "link to itself": (lambda path: path.symlink_to(path.name), "got no file"),
}
READERS = {
    "data.npz": read_dataset,
    "data.h5": read_dataset,
    "net.npz": read_network,
    "results.h5": read_results,
    "shard.h5": lambda path: read_shard(path, "run"),
    "train-images-idx3-ubyte": read_dataset,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_regular_file_is_never_opened(tmp_path, kind, reader):
    make, message = NO_FILES[kind]
    make(tmp_path / reader)
    refused(READERS[reader], tmp_path / reader, message)


@pytest.mark.parametrize("name", ["x" * 300 + ".npz", "a\0b.npz"])
def test_names_that_no_file_can_have(tmp_path, name):
    refused(read_dataset, tmp_path / name, "got no file")
    refused(regular_file, tmp_path / name, "got no file")


# --- .npz and .npy ----------------------------------------------------------------------------


def npy(shape, descr="<f8", content=b"", version=(1, 0), header=None):
    """A file in NumPy's format that says whatever it says."""
    text = header or str({"descr": descr, "fortran_order": False, "shape": shape})
    head = text.encode() + b"\n"
    size = struct.pack("<H" if version[0] == 1 else "<I", len(head))
    return b"\x93NUMPY" + bytes(version) + size + head + content


def zipped(path, compression=zipfile.ZIP_STORED, **members):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)


def saved(**arrays):
    return lambda path: np.savez(path, **({"x": X, "y": Y} | arrays))


def flipped(path):
    np.savez(path, x=X, y=Y)
    content = bytearray(path.read_bytes())
    content[300] ^= 1
    path.write_bytes(content)


def bomb(path):
    zipped(path, zipfile.ZIP_BZIP2, x=npy((10**8,), "<f8", bytes(8 * 10**6)), y=npy((1,)))


WRONG_NPZ = {
    "8 EB": (lambda p: zipped(p, x=npy((2**60,))), "shape .* claims 9.22e.18 bytes, where"),
    "1e16 x 1e16": (lambda p: zipped(p, x=npy((10**16, 10**16))), "claims 8e.32 bytes"),
    "a little more than there is": (
        lambda p: zipped(p, x=npy((3,), content=bytes(16))),
        "claims 24 bytes, 16 there",
    ),
    "a negative length": (lambda p: zipped(p, x=npy((-3,), content=bytes(16))), "cannot be read"),
    "no length": (lambda p: zipped(p, x=npy(("a",), content=bytes(16))), "cannot be read"),
    "true lengths": (lambda p: zipped(p, x=npy((True, 2), content=bytes(16))), "cannot be read"),
    "a bomb": (bomb, "claims .* bytes that are not there"),
    "code in the header": (
        lambda p: zipped(p, x=npy((), header="__import__('os').system('true')")),
        "cannot be read",
    ),
    "a deep header": (lambda p: zipped(p, x=npy((), header="(" * 5000)), "cannot be read"),
    "a long header": (lambda p: zipped(p, x=npy((), header=" " * 60_000)), "cannot be read"),
    "version 9": (lambda p: zipped(p, x=npy((2,), version=(9, 0))), "version .9, 0. of NumPy"),
    "no array": (lambda p: zipped(p, x=b"1,2,3"), "cannot be read"),
    "cut header": (lambda p: zipped(p, x=npy((2,))[:20]), "cannot be read"),
    "a flipped bit": (flipped, "cannot be read or is damaged"),
    "objects": (saved(x=np.array([{}, None], object)), "pickled objects, which are never read"),
    "structures": (saved(x=np.zeros(12, [("a", "f8"), ("b", "f8")])), "x: got dtype"),
    "raw bytes": (saved(x=np.zeros((12, 4), "V2")), "store it as float32"),
    "bfloat16": (saved(x=np.asarray(jnp.ones((12, 4), "bfloat16"))), "store it as float32"),
    "booleans": (saved(x=X > 0.5), "x: got dtype bool, needs real numbers"),
    "complex": (saved(x=X * 1j), "x: got dtype complex128"),
    "dates": (saved(x=np.zeros((12, 4), "M8[s]")), "x: got dtype datetime64"),
    "texts": (saved(x=np.full((12, 4), "1.5")), "x: got dtype <U3"),
    "nothing": (saved(x=np.zeros((0, 4)), y=np.zeros(0, int)), r"x: got shape \(0, 4\)"),
    "infinite": (saved(x=np.full((12, 4), np.inf)), "48 NaN or infinite"),
    "one number": (saved(x=np.array(1.0)), r"x: got shape \(\)"),
    "labels of another kind": (saved(y=Y > 0), "y: got dtype bool"),
    "huge labels": (
        saved(y=np.where(Y, 2**60, 0)),
        "y: got 2 classes from 0 to 115292",
    ),
    "marks too few": (saved(part=np.array(["train", "test"])), "part: got <U5"),
    "unknown marks": (
        saved(part=np.where(Y, "train", "verify")),
        "part: got 'verify', needs",
    ),
    "numbered marks": (saved(part=Y), "part: got int64"),
    "no test part": (saved(part=np.full(12, "train")), "part: got no row for 'test'"),
    "a part of Keras's": (lambda p: np.savez(p, x_train=X, y_train=Y), "needs x_test too"),
    "targets too few": (lambda p: np.savez(p, x=X, targets=X[1:]), "got 11 labels, needs one per"),
    "targets of NaN": (lambda p: np.savez(p, x=X, targets=X * np.nan), "48 NaN or infinite"),
    "real labels": (saved(y=Y + 0.5), "needs integers; targets of a regression are called so"),
}


@pytest.mark.parametrize("case", WRONG_NPZ)
def test_wrong_npz_files(tmp_path, case):
    make, message = WRONG_NPZ[case]
    make(tmp_path / "data.npz")
    refused(read_dataset, tmp_path / "data.npz", message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy((2**60,)), "claims 9.22e.18 bytes"),
        (npy((2,), "|O", bytes(16)), "pickled objects"),
        (b"\x80\x04N.", "cannot be read"),
        (b"", "cannot be read"),
        (npy((2,), content=bytes(15)), "claims 16 bytes, 15 there"),
    ],
)
def test_wrong_npy_files(tmp_path, content, message):
    (tmp_path / "a.npy").write_bytes(content)
    refused(read_arrays, tmp_path / "a.npy", message)


@pytest.mark.parametrize("fortran", [False, True])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3), (2, 1, 4)])
def test_right_npy_files_come_as_numpy_reads_them(tmp_path, shape, fortran):
    values = np.random.default_rng(1).random(shape)
    np.save(tmp_path / "a.npy", np.asfortranarray(values) if fortran else values)
    found = read_arrays(tmp_path / "a.npy")[""]
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


# --- numbers that JAX does not compute with -----------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "word"),
    [
        ("float16", "float16, read as float64"),
        ("longdouble", "read as float64"),
        (">f8", "float64 of another byte order, read as float64"),
        (">f4", "float32 of another byte order, read as float32"),
        (">i4", "int32 of another byte order, read as int32"),
    ],
)
def test_what_is_converted_says_so(tmp_path, dtype, word):
    values = (np.arange(48).reshape(12, 4) % 7).astype(dtype)
    np.savez(tmp_path / "data.npz", x=values, y=Y)
    with pytest.warns(UserWarning, match=f"x: got .*{word}"):
        data = read_dataset(tmp_path / "data.npz")
    assert data.images.dtype == np.float64
    np.testing.assert_array_equal(data.images, values.astype(float))


# --- HDF5 ---------------------------------------------------------------------------------------


def hdf5(change):
    def make(path):
        with h5py.File(path.parent / "other.h5", "w") as file:
            file["x"], file["y"] = X, Y
        (path.parent / "numbers").write_bytes(X.tobytes())
        with h5py.File(path, "w") as file:
            file["x"], file["y"] = X, Y
            change(file)

    return make


def instead(**items):
    def change(file):
        for name, item in items.items():
            del file[name]
            if callable(item):
                item(file, name)
            else:
                file[name] = item

    return hdf5(change)


def layout_of_others(file, name):
    layout = h5py.VirtualLayout((12, 4), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "x", (12, 4))
    file.create_virtual_dataset(name, layout)


WRONG_HDF5 = {
    "1e16 entries, never written": (
        instead(x=lambda f, n: f.create_dataset(n, (10**8, 10**8), "f8", chunks=(10, 10))),
        "claims 10,000,000,000,000,000 numbers, which were never written",
    ),
    "1e16 entries, one written": (
        instead(
            x=lambda f, n: f.create_dataset(n, (10**8, 10**8), "f8", chunks=(10, 10)).__setitem__(
                (0, 0), 1
            )
        ),
        "claims 8e.16 bytes, where the file has 800",
    ),
    "numbers in another file": (
        instead(x=lambda f, n: f.create_dataset(n, (12, 4), "f8", external=[("numbers", 0, 384)])),
        "x: numbers in another file, which is never read",
    ),
    "numbers of the password file": (
        instead(
            x=lambda f, n: f.create_dataset(n, (12, 4), "u1", external=[("/etc/passwd", 0, 48)])
        ),
        "x: numbers in another file, which is never read",
    ),
    "a virtual dataset": (instead(x=layout_of_others), "x: numbers in another file"),
    "a link to another file": (
        instead(x=h5py.ExternalLink("other.h5", "/x")),
        "'x' is a link to elsewhere, never followed",
    ),
    "a soft link": (instead(x=h5py.SoftLink("/y")), "'x' is a link to elsewhere"),
    "a link to nowhere": (instead(x=h5py.SoftLink("/z")), "'x' is a link to elsewhere"),
    "a link to itself": (
        instead(x=lambda f, n: f.__setitem__(n, h5py.SoftLink("/x"))),
        "'x' is a link to elsewhere",
    ),
    "a group": (instead(x=lambda f, n: f.create_group(n)), "got y, needs x too"),
    "structures": (instead(x=np.zeros(12, [("a", "f8")])), "x: got dtype"),
    "no space": (instead(x=h5py.Empty("f8")), "x: neither numbers nor words"),
    "rows of unequal length": (
        instead(x=lambda f, n: f.create_dataset(n, (12,), h5py.vlen_dtype("f8"))),
        "x: neither numbers nor words",
    ),
    "references": (
        instead(x=lambda f, n: f.create_dataset(n, data=[f["y"].ref] * 12, dtype=h5py.ref_dtype)),
        "x: neither numbers nor words",
    ),
    "words that are no text": (
        instead(y=lambda f, n: f.create_dataset(n, data=np.array([b"\xff"] * 12))),
        "y: cannot be read|y: got dtype",
    ),
    "a named type": (instead(x=np.dtype("f8")), "got y, needs x too"),
}


@pytest.mark.parametrize("case", WRONG_HDF5)
def test_wrong_hdf5_files(tmp_path, case):
    make, message = WRONG_HDF5[case]
    make(tmp_path / "data.h5")
    refused(read_dataset, tmp_path / "data.h5", message)


def test_an_attribute_that_is_no_word_is_no_activation(tmp_path):
    with h5py.File(tmp_path / "net.h5", "w") as file:
        file["weights_0"] = X
        file.attrs["activation"] = np.arange(3)
    assert read_network(tmp_path / "net.h5").activation == "relu"


# --- IDX ----------------------------------------------------------------------------------------


def idx(values, head=None, shape=None):
    values = np.asarray(values, np.uint8)
    shape = values.shape if shape is None else shape
    lengths = struct.pack(f">{len(shape)}I", *shape)
    return (head or bytes([0, 0, 8, len(shape)])) + lengths + values.tobytes()


PIXELS = np.arange(72).reshape(8, 3, 3)
WRONG_IDX = {
    "empty": (b"", "begin otherwise"),
    "another program's": (b"\x89PNG\r\n", "begin otherwise"),
    "an unknown type": (idx(PIXELS, b"\0\0\x0a\3"), "begin otherwise"),
    "no axes": (b"\0\0\x08\0", "begin otherwise"),
    "cut lengths": (b"\0\0\x08\3\0\0", "cut off within its lengths"),
    "exabytes": (idx(PIXELS, shape=(2**32 - 1,) * 3), "claims 7.92e.28 bytes"),
    "an image too few": (idx(PIXELS, shape=(9, 3, 3)), "claims 81 bytes, 72 or more there"),
    "a byte too many": (idx(PIXELS) + b"1", "claims 72 bytes, 72 or more there"),
    "no gzip": (b"\x1f\x8b\x08nothing", "begin otherwise"),
}


@pytest.mark.parametrize("case", WRONG_IDX)
def test_wrong_idx_files(tmp_path, case):
    content, message = WRONG_IDX[case]
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    refused(read_idx, tmp_path / "train-images-idx3-ubyte", message)


def test_idx_files_that_do_not_fit(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx(PIXELS)))
    refused(read_idx_images, path, "train-labels-idx1-ubyte.gz: got no file")
    labels = tmp_path / "train-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(idx(np.arange(7) % 2)))
    refused(read_idx_images, path, "got 7 labels, needs one per row of x, 8")
    path.write_bytes(path.read_bytes()[:-9])
    refused(read_idx_images, path, "cannot be read or is damaged")
    path.write_bytes(b"not gzip")
    refused(read_idx_images, path, "cannot be read or is damaged")
