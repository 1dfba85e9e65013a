"""Circuits over all devices of a process, in blocks of a fixed size.

A block of `lanes` circuits is the same computation whatever the number of devices, so that numbers
do not follow from it; blocks go round the devices by `jax.shard_map`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from xbar.batch import shared_out

AXIS = "circuits"


class Batching(NamedTuple):
    """Where circuits are computed, and how many side by side; hashable.

    Args:
        mesh: the devices, along one axis.
        lanes: circuits in a block.
    """

    mesh: Mesh
    lanes: int


def local_mesh() -> Mesh:
    """All devices of this process."""
    return Mesh(np.array(jax.local_devices()), (AXIS,))


def in_blocks(body: Callable[[Any, Any], Any], rows: Any, shared: Any, how: Batching) -> Any:
    """Map a function of blocks over circuits; to be called while JAX traces.

    Args:
        body: from a block of rows, leading with the lanes, and what is shared, to results that lead
            with the lanes.
        rows: arrays that lead with the circuits.
        shared: arrays that all circuits use.
        how: where.

    Returns:
        The results, leading with the circuits.
    """
    count = len(jax.tree.leaves(rows)[0])
    lanes = min(how.lanes, count)
    devices = how.mesh.size
    each = -(-count // (lanes * devices)) * lanes
    filled = np.minimum(np.arange(each * devices), count - 1)
    number = len(filled) // lanes  # said outright: an array may have an axis of length 0
    blocks = jax.tree.map(lambda x: x[filled].reshape(number, lanes, *x.shape[1:]), rows)

    def local(blocks: Any, shared: Any) -> Any:
        return jax.lax.map(lambda block: body(block, shared), blocks)

    found = shared_out(local, blocks, shared, how.mesh)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:count], found)


def one_by_one(body: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The function of a block that does each of its circuits; alone, it is not batched."""

    def block(rows: Any, shared: Any) -> Any:
        if len(jax.tree.leaves(rows)[0]) > 1:
            return jax.vmap(lambda row: body(row, shared))(rows)
        found = body(jax.tree.map(lambda x: x[0], rows), shared)
        return jax.tree.map(lambda x: x[None], found)

    return block
