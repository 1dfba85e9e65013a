"""From the shards of a study to its one results file, a shard at a time."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from xbar.io.store import SEAL, add_rows, checksum, create_field, results_file, write_tree
from xbar.io.tree import flatten

OF_LAYER = "circuit_of_layer"  # the circuits of one layer alone, whose arrays are of one shape


class Part(NamedTuple):
    """Some rows of a results file, from one shard.

    Args:
        tree: nested `Field`s, each leading with the rows, and words.
        total: how many rows there will be of those fields.
        layer_total: how many of those whose first axis is `OF_LAYER`.
    """

    tree: Mapping[str, Any]
    total: int
    layer_total: int


def merge(
    path: Path, groups: Mapping[str, Any], parts: Iterable[Part], config: Mapping[str, Any]
) -> None:
    """Write the results file.

    Args:
        path: where it goes.
        groups: what does not come from shards, as for `write_results`.
        parts: the rest, in the order of its rows; each is let go before the next.
        config: JSON-able configuration.

    Raises:
        OSError: it cannot be written; the file of that name is as it was.
        ValueError: parts differ in more than numbers.
    """
    done: dict[str, tuple[int, Any]] = {}  # rows that are there, and their checksum
    with results_file(path, config) as file:
        for name, tree in groups.items():
            write_tree(file, name, tree)
        for part in parts:
            for name, item in flatten(part.tree):
                group, last = _place(file, name)
                if isinstance(item, str):
                    if group.attrs.setdefault(last, item) != item:
                        raise ValueError(f"{name}: got {item!r} after {group.attrs[last]!r}")
                    continue
                values = np.asarray(item.values)
                total = part.layer_total if item.axes[0] == OF_LAYER else part.total
                if name not in done:
                    create_field(group, last, item, total)
                    done[name] = 0, checksum(values[:0], total)
                first, digest = done[name]
                group[last][first : first + len(values)] = values
                done[name] = first + len(values), add_rows(digest, values)
        for name, (_, digest) in done.items():
            file[name].attrs[SEAL] = digest.hexdigest()


def _place(file: h5py.File, name: str) -> tuple[h5py.Group, str]:
    """The group that a name is in, made if it is not there."""
    *groups, last = name.split("/")
    group = file
    for below in groups:  # not require_group: the order is to be kept
        group = group[below] if below in group else group.create_group(below, track_order=True)
    return group, last
