"""From the shards of a study to its one results file, a shard at a time; and its check."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from xbar.io.shards import digest
from xbar.io.store import (
    Field,
    StoreError,
    create_field,
    opened_results,
    results_file,
    write_tree,
)

# First axis of a dataset -> kind of the chunks that its rows come from.
KINDS = {"seed": "software", "healthy": "healthy", "circuit": "circuits"}
OF_LAYER = "circuit_of_layer"  # the circuits of one layer alone, whose arrays are of one shape


@dataclass(frozen=True)
class Part:
    """Some rows of a results file, from one shard.

    Args:
        kind: of the rows, a value of `KINDS`.
        fields: by name in the file; each leads with the rows, under an axis name of `KINDS` or
            `OF_LAYER`.
        first: first row.
        count: how many rows.
        total: how many rows of this kind there are.
        layer_first: first row among those of the same layer.
        layer_total: how many rows of this layer there are.
    """

    kind: str
    fields: dict[str, Field]
    first: int
    count: int
    total: int
    layer_first: int
    layer_total: int


def merge(
    path: Path, groups: Mapping[str, Any], parts: Iterable[Part], config: Mapping[str, Any]
) -> None:
    """Write the results file.

    Args:
        path: where it goes.
        groups: what does not come from shards, as for `write_results`.
        parts: the rest, in order; each is let go before the next.
        config: JSON-able configuration.

    Raises:
        OSError: it cannot be written; the file of that name is as it was.
    """
    chunks = []
    with results_file(path, config) as file:
        for name, tree in groups.items():
            write_tree(file, name, tree)
        for part in parts:
            for name, field in part.fields.items():
                _put(file, name, field, part)
            names = "\n".join(sorted(part.fields))
            arrays = {name: np.asarray(field.values) for name, field in part.fields.items()}
            chunks.append(
                (part.kind, part.first, part.layer_first, part.count, names, digest(arrays))
            )
        about = {
            "kind": "what its rows are",
            "first": "first row",
            "layer_first": "first row among the circuits of its layer",
            "count": "how many rows",
            "fields": "datasets that have these rows",
            "sha256": "of the rows of these datasets, see xbar.io.shards.digest",
        }
        columns = zip(about.items(), zip(*chunks, strict=True), strict=True)
        fields = {
            name: Field(np.array(column), "1", ("chunk",), text) for (name, text), column in columns
        }
        write_tree(file, "chunks", fields)


def _put(file: h5py.File, name: str, field: Field, part: Part) -> None:
    of_layer = field.axes[0] == OF_LAYER
    first, total = (part.layer_first, part.layer_total) if of_layer else (part.first, part.total)
    if name not in file:
        *groups, last = name.split("/")
        group = file
        for below in groups:  # not require_group: the order is to be kept
            group = group[below] if below in group else group.create_group(below, track_order=True)
        create_field(group, last, field, total)
    file[name][first : first + part.count] = np.asarray(field.values)


def verify_results(path: Path | str) -> list[str]:
    """Check every number of a results file against the checksum taken when it was computed.

    Args:
        path: a results file of a study.

    Returns:
        A line for each chunk that is not as it was; none where all is well.

    Raises:
        StoreError: not a results file of a study.
    """
    bad = []
    with opened_results(Path(path)) as (file, _):
        if "chunks" not in file:
            raise StoreError(f"{path}: got no group 'chunks', needs the results of a study")
        table = {name: file["chunks"][name][()] for name in file["chunks"]}
        for kind, first, of_layer, count, names, expected in zip(
            *(table[n] for n in ("kind", "first", "layer_first", "count", "fields", "sha256")),
            strict=True,
        ):
            rows = f"{kind.decode()} {first} to {first + count - 1}"
            try:
                arrays = {}
                for name in names.decode().split("\n"):
                    start = of_layer if file[name].attrs["axes"][0] == OF_LAYER else first
                    arrays[name] = file[name][start : start + count]
                if digest(arrays) != expected.decode():
                    bad.append(f"{rows}: other numbers than were computed")
            except (OSError, KeyError) as error:
                bad.append(f"{rows}: cannot be read ({error})")
    return bad
