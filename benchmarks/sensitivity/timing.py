"""Times of warm calls, taken in turn so that they can be compared."""

import time
from collections.abc import Callable, Hashable
from typing import NamedTuple, TypeVar

import jax
import numpy as np

Name = TypeVar("Name", bound=Hashable)


class Times(NamedTuple):
    """Of one call."""

    wall: float  # median [s]
    processor: float  # least, of all threads [s]: what a busy machine changes least


def in_turn(calls: dict[Name, Callable], repeats: int) -> dict[Name, Times]:
    """Times of each call, after one that compiles it."""
    for call in calls.values():
        jax.block_until_ready(call())
    found = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            wall, processor = time.perf_counter(), time.process_time()
            jax.block_until_ready(call())
            found[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return {
        name: Times(float(np.median([w for w, _ in of])), min(p for _, p in of))
        for name, of in found.items()
    }
