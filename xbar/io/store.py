"""Arrays in HDF5 files that describe themselves: units, axis names, configuration, origin.

Every dataset carries `unit`, `axes`, `about` and its `sha256`; every file carries the format's
version, the configuration as JSON, software versions, the commit, and a `sha256` over all names
and attributes, those of the datasets among them: so a file tells whether it is as it was written.
Files are published whole (see `xbar.io.writing`), so that a reader never meets half a file.
"""

import hashlib
import json
import math
import platform
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from xbar.io.files import StoreError as StoreError
from xbar.io.files import members, readable, values_of
from xbar.io.tree import Field as Field
from xbar.io.tree import encode, nest
from xbar.io.writing import published
from xbar.io.writing import write_text as write_text

FORMAT = "xbar results"
FORMAT_VERSION = 3  # 1: one circuit per seed, of the first demo; 2: networks by hand-written names
READABLE = (2, 3)  # of version 2, whatever is no network or corrector
PACKAGES = ("xbar", "jax", "jaxlib", "equinox", "optax", "numpy", "h5py", "scikit-learn")
CHUNK_BYTES = 2**20  # of HDF5's chunks: its cache holds one of them by default
SEAL = "sha256"


def write_results(path: Path, groups: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Publish a results file: nested groups, the configuration and the origin.

    Args:
        path: where the file goes; replaced if it is there.
        groups: what to store: `Field`s, modules, or dictionaries of these; a text becomes an
            attribute of its group.
        config: JSON-able configuration of the run.

    Raises:
        OSError: the folder cannot be written.
        ValueError: a field has another number of axes than names.
        TypeError: a module holds what no file can.
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
        seal(file)


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
            return read_tree(file), attributes
        found = {name: at(file, name) for name in groups}
        arrays = {n: read_tree(item) for n, item in found.items() if item is not None}
        return nest(arrays), attributes


@contextmanager
def opened_results(path: Path | str) -> Iterator[tuple[h5py.File, dict[str, Any]]]:
    """A results file to read from, and its attributes with `config` decoded; as `read_results`."""
    with readable(path), h5py.File(path, "r") as file:
        attributes = dict(file.attrs)
        if attributes.get("format") != FORMAT:
            raise StoreError(f"{path}: got an HDF5 file of another program, needs {FORMAT!r}")
        found = attributes.get("format_version")
        if not isinstance(found, np.integer) or int(found) not in READABLE:
            newer = isinstance(found, np.integer) and found > FORMAT_VERSION
            raise StoreError(
                f"{path}: got format version {str(found)[:40]}, needs {FORMAT_VERSION}; read it "
                f"with the {'newer' if newer else 'older'} xbar that wrote it, or run the same "
                "command with --overwrite"
            )
        config = json.loads(attributes.get("config", "null"))
        if not isinstance(config, dict):
            raise StoreError(f"{path}: got the settings {str(config)[:40]!r}, needs a table")
        yield file, attributes | {"config": config}


def verify_results(path: Path | str) -> list[str]:
    """Check a results file against the checksums taken when its numbers were computed.

    Args:
        path: the file.

    Returns:
        A line for everything that is not as it was written; none where all is well.

    Raises:
        StoreError: not a results file, or one of an older format.
    """
    bad = []
    with opened_results(path) as (file, attributes):
        if attributes["format_version"] < 3:
            raise StoreError(f"{path}: got format version 2, needs 3, the first with checksums")
        if not is_sealed(file):
            bad.append("names, units or settings: other ones than were written")
        for item in walk(file):
            try:
                if isinstance(item, h5py.Dataset):
                    read_tree(item)
            except ValueError as error:
                bad.append(str(error))
    return bad


def write_tree(parent: h5py.Group, name: str, tree: Any) -> None:
    """Write a field, an array, a module, a text or a nested tree of them into a group."""
    if isinstance(tree, str):
        parent.attrs[name] = tree
        return
    if not isinstance(tree, Field | Mapping):
        tree = encode(tree, name=name)
    if isinstance(tree, Mapping):
        group = parent.create_group(name, track_order=True)
        for key, child in tree.items():
            write_tree(group, key, child)
        return
    values = np.asarray(tree.values)
    dataset = _create(parent, name, values, tree, data=values)
    dataset.attrs[SEAL] = checksum(values).hexdigest()


def create_field(parent: h5py.Group, name: str, field: Field, rows: int) -> h5py.Dataset:
    """A dataset for more rows than the field has; the caller writes them, and its checksum.

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


def at(group: h5py.Group, name: str) -> Any:
    """The group or dataset of a name such as "voltages/defective", None if there is none.

    Raises:
        ValueError: the way leads through a link to elsewhere.
    """
    found: Any = group
    for part in name.split("/"):
        found = members(found).get(part) if isinstance(found, h5py.Group) else None
    return found


def read_tree(item: h5py.Group | h5py.Dataset, seen: set[Any] | None = None) -> Any:
    """What is in a group, as nested dictionaries of arrays and words, or in a dataset.

    Args:
        item: the group or dataset.
        seen: groups that were met on the way, for links that lead back.

    Raises:
        ValueError: a dataset holds other numbers than were written, or cannot be read.
    """
    if isinstance(item, h5py.Dataset):
        values = values_of(item)
        sealed = SEAL in item.file.attrs  # nothing of format 2 is
        if sealed and item.attrs.get(SEAL) != checksum(values).hexdigest():
            raise ValueError(f"{item.name}: other numbers than were written")
        return values
    seen = set() if seen is None else seen
    if not isinstance(item, h5py.Group) or item in seen:
        raise ValueError(f"{item.name}: neither array nor group, or a link to itself")
    seen.add(item)
    words = {} if item.name == "/" else dict(item.attrs)
    return words | {name: read_tree(child, seen) for name, child in members(item).items()}


def checksum(values: np.ndarray, rows: int | None = None) -> Any:
    """The SHA-256 of an array, its kind and shape; it goes on with `add_rows`.

    Args:
        values: the array, or the first rows of it.
        rows: how many there will be; None for these.
    """
    kind = "words" if values.dtype.kind in "US" else values.dtype.str
    shape = values.shape if rows is None else (rows, *values.shape[1:])
    return add_rows(hashlib.sha256(json.dumps([kind, shape]).encode()), values)


def add_rows(total: Any, values: np.ndarray) -> Any:
    """The same hash with further rows in it."""
    if values.dtype.kind in "US":
        for word in values.ravel().tolist():
            total.update(f"{word}\0".encode())
    elif values.size:
        total.update(np.ascontiguousarray(values).data)
    return total


def seal(file: h5py.File) -> None:
    """Note the SHA-256 of all names and attributes, when everything is in the file."""
    file.attrs[SEAL] = _seal(file)


def is_sealed(file: h5py.File) -> bool:
    """Whether all names and attributes are as they were when the file was sealed."""
    return file.attrs.get(SEAL) == _seal(file)


def _seal(file: h5py.File) -> str:
    lines = []
    for item in (file, *walk(file)):
        lines.append(json.dumps([item.name, type(item).__name__]))
        for name, value in item.attrs.items():
            if item.name != "/" or name != SEAL:
                value = value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
                lines.append(json.dumps([item.name, name, value], default=str))
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def walk(group: h5py.Group) -> Iterator[Any]:
    """Everything below a group, each once.

    Raises:
        ValueError: a link to elsewhere, or a group within itself.
    """
    seen, rest = {group}, list(members(group).values())[::-1]
    while rest:
        item = rest.pop()
        if item in seen:
            raise ValueError(f"{item.name}: two names of one thing, or a link to itself")
        seen.add(item)
        yield item
        if isinstance(item, h5py.Group):
            rest += list(members(item).values())[::-1]


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
