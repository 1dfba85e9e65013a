"""Faults some at a time: as many as a memory bound allows."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from xbar.sensitivity.baseline import Baseline

# Bytes of temporary arrays: enough for matrix products, few enough to stay near the cache.
MEMORY = 2**24
# Arrays of the widest layer's size that may live at once.
ALIVE = 3


def members_at_once(base: Baseline, layer: int, memory: int) -> int:
    """How many faults of a layer fit the memory bound, at least one."""
    widest = max(len(stage.w) for stage in base.stages[layer:])
    each = ALIVE * len(base.labels) * widest * base.voltages.dtype.itemsize
    return max(1, memory // each)


def in_batches(function: Callable[[tuple], Any], parts: tuple, batch: int) -> Any:
    """Apply a function of a batch to all, batch by batch; the last one is filled up.

    Args:
        function: from arrays that lead with the batch to a pytree that does.
        parts: arrays of one leading length.
        batch: members at a time.

    Returns:
        What the function returns, leading as the parts do.
    """
    n = len(parts[0])
    count = -(-n // min(batch, n))
    size = -(-n // count)  # evenly, so that little is filled up

    def split(x: Array) -> Array:
        x = jnp.concatenate([x, jnp.repeat(x[-1:], count * size - n, axis=0)])
        return x.reshape(count, size, *x.shape[1:])

    out = lax.map(function, tuple(split(x) for x in parts))
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:n], out)
