"""Arrays in HDF5 files that describe themselves: units, axis names, configuration, origin.

Every dataset carries `unit`, `axes` and `about`; every file carries the format's version, the
configuration as JSON, seeds, software versions and the commit. Files are published whole: they
are written beside their final name and moved there, so that a reader never meets half a file.
"""

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

FORMAT = "xbar results"
FORMAT_VERSION = 1
PACKAGES = ("xbar", "jax", "jaxlib", "equinox", "optax", "numpy", "h5py", "scikit-learn")


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
    with published(path) as partial, h5py.File(partial, "w", track_order=True) as file:
        for name, value in {**_origin(), "config": json.dumps(config)}.items():
            file.attrs[name] = value
        for name, tree in groups.items():
            _write(file, name, tree)


def read_results(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The groups of a results file as nested dictionaries of arrays, and its attributes.

    Args:
        path: a file that `write_results` made.

    Returns:
        Arrays and texts by nested name, and the file's attributes with `config` decoded.

    Raises:
        StoreError: not a file of ours, of a newer format, or damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            attributes = dict(file.attrs)
            if attributes.get("format") != FORMAT:
                raise StoreError(f"{path}: got an HDF5 file of another program, needs {FORMAT!r}")
            if (found := int(attributes["format_version"])) > FORMAT_VERSION:
                raise StoreError(
                    f"{path}: got format version {found}, needs at most {FORMAT_VERSION}; "
                    "read it with a newer xbar"
                )
            attributes["config"] = json.loads(attributes["config"])
            return _read(file), attributes
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise StoreError(f"{path}: got a file that is missing or damaged ({error})") from error


def _write(parent: h5py.Group, name: str, tree: Any) -> None:
    if isinstance(tree, str):
        parent.attrs[name] = tree
        return
    if not isinstance(tree, Field):
        group = parent.create_group(name, track_order=True)
        for key, child in tree.items():
            _write(group, key, child)
        return
    values = np.asarray(tree.values)
    if values.ndim != len(tree.axes):
        raise ValueError(f"{name}: got {values.ndim} axes, needs those named, {tree.axes}")
    packed = {"compression": "gzip", "shuffle": True} if values.size > 1000 else {}
    dataset = parent.create_dataset(name, data=values, **packed)
    dataset.attrs["unit"] = tree.unit
    dataset.attrs["axes"] = list(tree.axes) if tree.axes else ""
    dataset.attrs["about"] = tree.about


def _read(group: h5py.Group) -> dict[str, Any]:
    words = {} if group.name == "/" else dict(group.attrs)
    return words | {
        name: _read(item) if isinstance(item, h5py.Group) else item[()]
        for name, item in group.items()
    }


@contextmanager
def published(path: Path) -> Iterator[Path]:
    """A name to write to; it takes the final name only when everything is on disk."""
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


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
