"""Shards: what a long run has computed so far, one file for each chunk, each of them whole.

A shard is an HDF5 file with a tree of arrays, the fingerprint of what it belongs to, and the
SHA-256 of its content. It is built in memory, written beside its final name, brought to disk and
renamed, so that a file under that name is complete whatever happens in between.
"""

import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from xbar.io.store import StoreError, published
from xbar.io.trees import flatten, nest

FORMAT = "xbar shard"
FORMAT_VERSION = 1


def write_shard(path: Path, tree: Mapping[str, Any], belongs_to: str) -> None:
    """Write a shard.

    Args:
        path: where; its folder is there.
        tree: arrays by name, nested.
        belongs_to: fingerprint of the run.

    Raises:
        OSError: it cannot be written; no file of that name is there then.
    """
    flat = dict(flatten(tree))
    memory = io.BytesIO()  # HDF5 itself survives a full disk badly
    with h5py.File(memory, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["belongs_to"] = belongs_to
        file.attrs["sha256"] = digest(flat)
        file.attrs["names"] = json.dumps(list(flat))  # in order, which HDF5 would not keep
        for name, values in flat.items():
            file.create_dataset(name, data=values)
    with published(path) as partial:
        partial.write_bytes(memory.getbuffer())


def read_shard(path: Path, belongs_to: str) -> dict[str, Any]:
    """The arrays of a shard, nested as they were written.

    Args:
        path: of the shard.
        belongs_to: fingerprint of the run that it has to belong to.

    Raises:
        StoreError: not there, damaged, or of another run or format.
    """
    try:
        with h5py.File(path, "r") as file:
            found = dict(file.attrs)
            names = json.loads(found.get("names", "[]"))
            flat = {name: np.asarray(file[name][()]) for name in names}
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise StoreError(f"{path}: got a shard that is missing or damaged ({error})") from error
    if (found.get("format"), found.get("format_version")) != (FORMAT, FORMAT_VERSION):
        raise StoreError(f"{path}: got another format, needs {FORMAT!r} version {FORMAT_VERSION}")
    if found.get("belongs_to") != belongs_to:
        raise StoreError(f"{path}: got a shard of another run")
    if found.get("sha256") != digest(flat):
        raise StoreError(f"{path}: got numbers that are not those which were written")
    return nest(flat)


def digest(flat: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of arrays with their names, types and shapes."""
    total = hashlib.sha256()
    for name in sorted(flat):
        values = np.ascontiguousarray(flat[name])
        total.update(json.dumps([name, values.dtype.str, values.shape]).encode())
        total.update(values.data if values.size else b"")
    return total.hexdigest()


def reserve(path: Path, size: int) -> None:
    """Raise now if the disk has no room for a file of that many bytes.

    Raises:
        OSError: no room.
    """
    with path.open("wb") as file:
        try:
            if hasattr(os, "posix_fallocate"):  # not on macOS
                os.posix_fallocate(file.fileno(), 0, max(size, 1))
            elif shutil.disk_usage(path.parent).free < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        finally:
            path.unlink()
