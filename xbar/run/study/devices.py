"""Circuits over all devices of a process, some at a time (`xbar.batch`)."""

from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

AXIS = "circuits"


class Batching(NamedTuple):
    """Where circuits are computed, and how many side by side; hashable.

    Args:
        mesh: the devices, along one axis.
        lanes: circuits side by side on a device.
    """

    mesh: Mesh
    lanes: int


def local_mesh() -> Mesh:
    """All devices of this process."""
    return Mesh(np.array(jax.local_devices()), (AXIS,))
