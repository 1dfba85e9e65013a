"""Shards: what a long run has computed so far, one file for each chunk, each of them whole.

A shard is an HDF5 file with a tree of arrays and modules and their checksums, the fingerprint of
the run that it belongs to, and its own name, so that two that change places are found out. It is
built in memory, written beside its final name, brought to disk and renamed, so that a file under
that name is complete whatever happens in between.
"""

import errno
import io
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import h5py

from xbar.io.files import StoreError, readable
from xbar.io.store import is_sealed, read_tree, seal, write_tree
from xbar.io.tree import decode, encode
from xbar.io.writing import write_bytes

FORMAT = "xbar shard"
FORMAT_VERSION = 2


def write_shard(path: Path, tree: Mapping[str, Any], belongs_to: str) -> None:
    """Write a shard.

    Args:
        path: where; its folder is there.
        tree: arrays and modules by name, nested.
        belongs_to: fingerprint of the run.

    Raises:
        OSError: it cannot be written; no file of that name is there then.
        TypeError: it holds what no file can.
    """
    memory = io.BytesIO()  # HDF5 itself survives a full disk badly
    with h5py.File(memory, "w", track_order=True) as file:
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["belongs_to"] = belongs_to
        file.attrs["name"] = path.name
        write_tree(file, "tree", encode(dict(tree)))
        seal(file)
    write_bytes(path, memory.getbuffer())


def read_shard(path: Path, belongs_to: str) -> dict[str, Any]:
    """The arrays and modules of a shard, nested as they were written.

    Args:
        path: of the shard.
        belongs_to: fingerprint of the run that it has to belong to.

    Raises:
        StoreError: not there, damaged, of another run or format, or of another name.
    """
    with readable(path), h5py.File(path, "r") as file:
        found = dict(file.attrs)
        if (found.get("format"), found.get("format_version")) != (FORMAT, FORMAT_VERSION):
            needs = f"{FORMAT!r} version {FORMAT_VERSION}"
            raise StoreError(f"{path}: got another format, needs {needs}")
        if found.get("belongs_to") != belongs_to:
            raise StoreError(f"{path}: got a shard of another run")
        if found.get("name") != path.name:
            raise StoreError(f"{path}: got the shard {found.get('name')!r}")
        if not is_sealed(file):
            raise StoreError(f"{path}: got names or units that are not those which were written")
        return decode(read_tree(file["tree"]), path.name)


def reserve(folder: Path, size: int) -> None:
    """Raise now if a folder has no room for a file of that many bytes.

    Raises:
        OSError: no room.
    """
    with TemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):  # not on macOS
            os.posix_fallocate(file.fileno(), 0, max(size, 1))
        elif shutil.disk_usage(folder).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
