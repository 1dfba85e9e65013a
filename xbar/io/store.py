"""Arrays in HDF5 files that describe themselves: units, axis names, configuration, origin.

Every dataset carries `unit`, `axes` and `about`; every file carries the format's version, the
configuration as JSON, seeds, software versions and the commit. Files are published whole: they
are written beside their final name and moved there, so that a reader never meets half a file.
"""

import json
import math
import os
import platform
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from xbar.io.trees import nest

FORMAT = "xbar results"
FORMAT_VERSION = 2  # 1: one circuit per seed, of the first demo
PACKAGES = ("xbar", "jax", "jaxlib", "equinox", "optax", "numpy", "h5py", "scikit-learn")
CHUNK_BYTES = 2**20  # of HDF5's chunks: its cache holds one of them by default


class StoreError(ValueError):
    """A file that is not ours, is damaged, or lacks what was asked of it."""


class Field(NamedTuple):
    """One array with what a reader needs to know of it.

    Args:
        values: the numbers.
        unit: SI unit, "1" for pure numbers.
        axes: one name per axis.
        about: what it is, in a sentence.
    """

    values: Any
    unit: str
    axes: tuple[str, ...]
    about: str


Tree = Mapping[str, Any]  # of fields, of words (attributes of the group), or of further trees


def write_results(path: Path, groups: Mapping[str, Tree], config: Mapping[str, Any]) -> None:
    """Publish a results file: nested groups of `Field`s, the configuration and the origin.

    Args:
        path: where the file goes; replaced if it is there.
        groups: what to store; a text becomes an attribute of its group.
        config: JSON-able configuration of the run.

    Raises:
        OSError: the folder cannot be written.
        ValueError: a field has another number of axes than names.
    """
    with results_file(path, config) as file:
        for name, tree in groups.items():
            write_tree(file, name, tree)


@contextmanager
def results_file(path: Path, config: Mapping[str, Any]) -> Iterator[h5py.File]:
    """A results file to write into; it takes its name when all of it is on disk.

    Args:
        path: where the file goes; replaced if it is there.
        config: JSON-able configuration of the run.

    Yields:
        The open file, with the configuration and the origin in it.

    Raises:
        OSError: the folder cannot be written.
    """
    with published(path) as partial, h5py.File(partial, "w", track_order=True) as file:
        for name, value in {**_origin(), "config": json.dumps(config)}.items():
            file.attrs[name] = value
        yield file


def read_results(
    path: Path, groups: Collection[str] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The groups of a results file as nested dictionaries of arrays, and its attributes.

    Args:
        path: a file that `write_results` made.
        groups: names of the groups to read, such as "circuits" or "correctors/14"; None reads all.
            Those that are not there are left out.

    Returns:
        Arrays and texts by nested name, and the file's attributes with `config` decoded.

    Raises:
        StoreError: not a file of ours, of another format version, or damaged.
    """
    with opened_results(path) as (file, attributes):
        if groups is None:
            return _read(file), attributes
        return nest({name: _item(file[name]) for name in groups if name in file}), attributes


@contextmanager
def opened_results(path: Path) -> Iterator[tuple[h5py.File, dict[str, Any]]]:
    """A results file to read from, and its attributes with `config` decoded; as `read_results`."""
    try:
        with h5py.File(path, "r") as file:
            attributes = dict(file.attrs)
            if attributes.get("format") != FORMAT:
                raise StoreError(f"{path}: got an HDF5 file of another program, needs {FORMAT!r}")
            found = int(attributes["format_version"])
            if found != FORMAT_VERSION:
                age = "newer" if found > FORMAT_VERSION else "older"
                raise StoreError(
                    f"{path}: got format version {found}, needs {FORMAT_VERSION}; read it with "
                    f"the {age} xbar that wrote it, or run the same command with --overwrite"
                )
            attributes["config"] = json.loads(attributes["config"])
            yield file, attributes
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise StoreError(f"{path}: got a file that is missing or damaged ({error})") from error


def write_tree(parent: h5py.Group, name: str, tree: Any) -> None:
    """Write a field, a text or a nested tree of them into a group."""
    if isinstance(tree, str):
        parent.attrs[name] = tree
        return
    if not isinstance(tree, Field):
        group = parent.create_group(name, track_order=True)
        for key, child in tree.items():
            write_tree(group, key, child)
        return
    values = np.asarray(tree.values)
    _create(parent, name, values, tree, data=values)


def create_field(parent: h5py.Group, name: str, field: Field, rows: int) -> h5py.Dataset:
    """A dataset for more rows than the field has; the caller writes them.

    Args:
        parent: group that it goes into.
        name: of the dataset.
        field: some of its rows.
        rows: how many there will be.

    Returns:
        The dataset, without numbers in it.
    """
    values = np.asarray(field.values)
    shape = (rows, *values.shape[1:])
    return _create(parent, name, values, field, shape=shape, dtype=values.dtype)


def _create(
    parent: h5py.Group, name: str, values: np.ndarray, field: Field, **options: Any
) -> h5py.Dataset:
    if values.ndim != len(field.axes):
        raise ValueError(f"{name}: got {values.ndim} axes, needs those named, {field.axes}")
    words = values.dtype.kind in "US"
    if words:
        options = {"data": values.astype(object), "dtype": h5py.string_dtype()}
    shape = options.get("shape", values.shape)
    if math.prod(shape) > 1000:
        # Text and integers shrink to little; of floating-point numbers little is to be had:
        # docs/studies.md has what was measured.
        each = max(1, math.prod(shape[1:]) * values.dtype.itemsize)
        rows = int(np.clip(CHUNK_BYTES // each, 1, shape[0]))
        options |= {"chunks": (rows, *shape[1:]), "fletcher32": not words}
        if values.dtype.kind != "f":
            options |= {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    dataset = parent.create_dataset(name, **options)
    dataset.attrs["unit"] = field.unit
    dataset.attrs["axes"] = list(field.axes) if field.axes else ""
    dataset.attrs["about"] = field.about
    return dataset


def _read(group: h5py.Group) -> dict[str, Any]:
    words = {} if group.name == "/" else dict(group.attrs)
    return words | {name: _item(item) for name, item in group.items()}


def _item(item: h5py.Group | h5py.Dataset) -> Any:
    return _read(item) if isinstance(item, h5py.Group) else _values(item)


def _values(item: h5py.Dataset) -> Any:
    """The numbers, or the words as NumPy's own."""
    if h5py.check_string_dtype(item.dtype) is None:
        return item[()]
    return np.asarray(item.asstr()[()]).astype(np.str_)


@contextmanager
def published(path: Path) -> Iterator[Path]:
    """A name to write to; it takes the final name only when everything is on disk."""
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        _to_disk(partial)
        partial.replace(path)
        _to_disk(path.parent)  # the name too
    finally:
        partial.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Publish a text file whole, as `write_results` does."""
    with published(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _origin() -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": json.dumps({name: version(name) for name in PACKAGES}),
        "python": platform.python_version(),
        "machine": platform.platform(),
        "commit": commit(),
    }


def commit() -> str:
    """The commit of the source tree that runs, or "unknown" for an installed package."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return "unknown"
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
