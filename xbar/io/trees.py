"""Nested trees of arrays, and the same by names like "network/layer_0/g_plus"."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


def flatten(tree: Mapping[str, Any], below: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Arrays of a nested tree by names like "network/layer_0/g_plus"."""
    for name, item in tree.items():
        if isinstance(item, Mapping):
            yield from flatten(item, f"{below}{name}/")
        else:
            yield f"{below}{name}", np.asarray(item)


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The tree that `flatten` took apart."""
    tree: dict[str, Any] = {}
    for name, item in flat.items():
        *groups, last = name.split("/")
        group = tree
        for part in groups:
            group = group.setdefault(part, {})
        group[last] = item
    return tree
