"""Files of others: what is in them is looked at before it is believed, and before it takes memory.

Nothing that is not a regular file is opened (a pipe would be waited on), no link inside a file is
followed, nothing is unpickled, and no array is made that the file or the memory cannot hold.
Whatever is wrong is one sentence: place, what was found, what is needed.
"""

import csv
import math
import os
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError  # of a header of NumPy's
from typing import Any

import h5py
import numpy as np

MOST_SHRUNK = 1100  # no byte that zlib wrote holds more; neither HDF5's gzip nor .npz go beyond


# What NumPy, HDF5, zip and JSON make of a file that is none of theirs.
_RAISED = (
    *(OSError, EOFError, KeyError, ValueError, TypeError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, struct.error, csv.Error, TokenError),
)


class StoreError(ValueError):
    """A file that is not ours, is damaged, or lacks what was asked of it."""


def regular_file(path: Path | str) -> Path:
    """The path, if a regular file is there.

    Raises:
        StoreError: nothing is there, or something else.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise StoreError(f"{path}: got no file, needs a file") from None
    except (OSError, ValueError) as error:  # a name that is too long, or has a NUL in it
        reason = getattr(error, "strerror", None) or error
        raise StoreError(f"{str(path)[:200]!r}: got no file ({reason}), needs a file") from None
    if stat.S_ISDIR(mode):
        raise StoreError(f"{path}: got a folder, needs a file")
    if not stat.S_ISREG(mode):
        raise StoreError(f"{path}: got a pipe, socket or device, needs a regular file")
    return Path(path)


@contextmanager
def readable(path: Path | str) -> Iterator[Path]:
    """A regular file to read from; whatever its library raises becomes one sentence.

    Raises:
        StoreError: it is not there, or cannot be read.
    """
    path = regular_file(path)
    try:
        yield path
    except StoreError:
        raise
    except _RAISED as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        text = f"{path}: got a file that cannot be read or is damaged ({reason})"
        raise StoreError(text) from error


def check_size(shape: tuple[int, ...], itemsize: int, held: int) -> int:
    """How many bytes an array takes.

    Args:
        shape: that the file claims for it.
        itemsize: bytes of a number.
        held: bytes that the file has for it.

    Raises:
        ValueError: the file does not hold so many, or the machine has no memory for them.
    """
    size = math.prod(shape) * itemsize  # Python's integers: nothing overflows
    if size > MOST_SHRUNK * held:
        raise ValueError(f"shape {shape} claims {size:.3g} bytes, where the file has {held:,}")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > memory:
        raise ValueError(f"shape {shape} takes {size:.3g} bytes, more than the memory's {memory:,}")
    return size


def read_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """The arrays in a .npz, .npy or .h5 file, by name; that of a .npy file is called "".

    Of HDF5, those outside of groups, and a word among the file's attributes is one of them.

    Args:
        path: of the file; its suffix says what it is.

    Raises:
        StoreError: another suffix, no such file, or one that cannot be read.
    """
    readers = {".npz": _read_npz, ".npy": _read_npy, ".h5": _read_hdf5, ".hdf5": _read_hdf5}
    suffix = Path(path).suffix
    if suffix not in readers:
        raise StoreError(f"{path}: got {suffix or 'no suffix'}, needs a .npz or .h5 file")
    with readable(path) as file:
        return readers[suffix](file)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    if not zipfile.is_zipfile(path):
        raise ValueError("not NumPy's .npz format")
    found = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if info.file_size > MOST_SHRUNK * max(info.compress_size, 1):
                raise ValueError(f"{name} claims {info.file_size:.3g} bytes that are not there")
            with archive.open(info) as stream:
                found[name] = _npy(name, stream, info.file_size)
    return found


def _read_npy(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as stream:
        return {"": _npy(path.name, stream, path.stat().st_size)}


def _npy(name: str, stream: Any, size: int) -> np.ndarray:
    """An array in NumPy's format, from a stream of so many bytes."""
    version = np.lib.format.read_magic(stream)
    headers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in headers:
        raise ValueError(f"{name}: version {version} of NumPy's format, needs 1.0 or 2.0")
    shape, fortran, dtype = headers[version](stream)
    if dtype.hasobject:
        raise ValueError(f"{name}: pickled objects, which are never read")
    if dtype.itemsize == 0 or min(shape, default=0) < 0:
        raise ValueError(f"{name}: {dtype} of shape {shape}")
    behind = size - stream.tell()
    claimed = check_size(shape, dtype.itemsize, max(behind, 0))
    content = stream.read(claimed)
    if len(content) != claimed:
        raise ValueError(f"{name}: shape {shape} claims {claimed:,} bytes, {len(content):,} there")
    values = np.frombuffer(content, dtype) if content else np.empty(0, dtype)
    return values.reshape(shape[::-1]).T if fortran else values.reshape(shape)


def _read_hdf5(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path, "r") as file:
        words = {n: np.asarray(w) for n, w in file.attrs.items() if isinstance(w, str)}
        items = members(file).items()
        return words | {n: values_of(item) for n, item in items if isinstance(item, h5py.Dataset)}


def units_of(path: Path | str) -> dict[str, str]:
    """The attribute `unit` of each dataset outside of groups in an HDF5 file."""
    with readable(path), h5py.File(path, "r") as file:
        return {name: str(item.attrs.get("unit", "")) for name, item in members(file).items()}


def members(group: h5py.Group) -> dict[str, Any]:
    """Groups and datasets of an HDF5 group; no link to elsewhere is followed.

    Raises:
        ValueError: a link to another file or place.
    """
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{group.name}: {name!r} is a link to elsewhere, never followed")
    return {name: group[name] for name in group}


def values_of(item: h5py.Dataset) -> np.ndarray:
    """The numbers of an HDF5 dataset, or its words as NumPy's own.

    Raises:
        ValueError: they are in another file, are no numbers, or the file cannot hold them.
    """
    check_dataset(item)
    try:
        if h5py.check_string_dtype(item.dtype) is None:
            return np.asarray(item[()])
        return np.asarray(item.asstr()[()]).astype(np.str_)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{item.name}: cannot be read ({error})") from error


def check_dataset(item: h5py.Dataset) -> None:
    """Raise unless the numbers are in this file, and fit in memory; as `values_of`."""
    if item.external or item.is_virtual:
        raise ValueError(f"{item.name}: numbers in another file, which is never read")
    if item.shape is None or (item.dtype.hasobject and not h5py.check_string_dtype(item.dtype)):
        raise ValueError(f"{item.name}: neither numbers nor words")
    held = item.id.get_storage_size()
    if item.size and not held:
        raise ValueError(f"{item.name}: claims {item.size:,} numbers, which were never written")
    check_size(item.shape, item.dtype.itemsize, held)


def native(name: str, values: Any) -> np.ndarray:
    """Real numbers as this machine has them: float32, float64 or integers.

    What JAX does not compute with (float16, long double, another byte order) becomes float64, with
    a warning that says so; integers and what is as it should be come back as they are.

    Args:
        name: of the array, for messages.
        values: numbers.

    Raises:
        ValueError: rows of unequal length.
        TypeError: no real numbers.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{name}: got a masked array, needs numbers; fill it first")
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name}: got rows of unequal length, needs a rectangular array") from None
    word = array.dtype.name
    if word == "bfloat16" or array.dtype.kind == "V":  # NumPy stores bfloat16 as two raw bytes
        cure = "store it as float32, .astype('float32')"
        raise TypeError(f"{name}: got dtype {array.dtype}, needs real numbers; {cure}")
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name}: got dtype {array.dtype}, needs real numbers")
    if array.dtype.isnative and word not in ("float16", "longdouble", "float128", "float96"):
        return array
    dtype = np.dtype(float) if array.dtype.kind == "f" else array.dtype.newbyteorder("=")
    if array.dtype.newbyteorder("=") == np.float32:
        dtype = np.dtype(np.float32)
    got = word if array.dtype.isnative else f"{word} of another byte order"
    warnings.warn(f"{name}: got {got}, read as {dtype}", UserWarning, stacklevel=3)
    return array.astype(dtype)


def shaped(name: str, values: Any, *axes: str) -> np.ndarray:
    """Real numbers with these axes, none of them of length 0, all of them finite.

    Raises:
        TypeError: no real numbers.
        ValueError: another number of axes, an empty one, NaN or infinite.
    """
    array = native(name, values)
    if array.ndim != len(axes) or 0 in array.shape:
        needs = f"({', '.join(axes)}{',' if len(axes) == 1 else ''}), neither 0"
        raise ValueError(f"{name}: got shape {array.shape}, needs {needs}")
    if bad := int(np.count_nonzero(~np.isfinite(array))):
        raise ValueError(f"{name}: got {bad} NaN or infinite entries, needs finite ones")
    return array


def need(arrays: Mapping[str, Any], *names: str) -> None:
    """Raise unless all of these are there.

    Raises:
        ValueError: the first that is not, and what there is.
    """
    if missing := [name for name in names if name not in arrays]:
        found = ", ".join(sorted(arrays)[:8]) or "nothing"
        raise ValueError(f"got {found}, needs {missing[0]} too")
