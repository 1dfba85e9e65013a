"""Work on many arrays: all local devices, in chunks that fit a memory budget."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "batch"
# Members that are compiled together to learn how much memory one takes on an accelerator.
SAMPLE = 16


def batch_map(
    function: Callable[[Any], Any],
    batch: Any,
    *,
    memory: int = 2**30,
    chunk: int | None = None,
) -> Any:
    """Apply a function to each member of a batch, however large.

    The batch is shared out over all local devices. An accelerator works on as many members at a
    time as the memory budget allows (`jax.vmap`); a CPU on one at a time, which keeps it in the
    cache: there, memory is what the batch and its results take, and a process uses more than one
    core if JAX is told so before it starts (``JAX_NUM_CPU_DEVICES=2``).

    ```python
    def currents(g):
        return xb.solve(xb.Crossbar(g, wires), v_in).i_out

    i_out = xb.batch_map(currents, g)          # g: (arrays, rows, cols)
    ```

    Args:
        function: of one member, in JAX; compiled once per function object and shapes.
        batch: pytree of arrays with the batch as leading axis.
        memory: bytes that temporary arrays and results of one chunk may take per accelerator.
        chunk: members at a time; None derives it from `memory` (1 on a CPU).

    Returns:
        What `function` returns, with the batch as leading axis.

    Raises:
        ValueError: no array in the batch, different or zero lengths, or an option below 1.
    """
    sizes = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(batch)}
    if len(sizes) != 1 or sizes & {(), (0,)}:
        found = sorted(size[0] if size else "no axis" for size in sizes) or "no arrays"
        raise ValueError(f"batch: got {found}, needs arrays of one leading length >= 1")
    for name, value in (("memory", memory), ("chunk", chunk)):
        if value is not None and value < 1:
            raise ValueError(f"{name}: got {value}, needs at least 1")
    devices = tuple(jax.local_devices())
    (n,) = next(iter(sizes))
    if chunk is None:
        chunk = 1 if devices[0].platform == "cpu" else _fitting(function, batch, memory)
    share = -(-n // len(devices))
    padded = jax.tree.map(lambda x: _lengthened(x, share * len(devices) - n), batch)
    if len(devices) > 1:
        padded = jax.device_put(padded, NamedSharding(Mesh(devices, AXIS), PartitionSpec(AXIS)))
    out = _mapped(function, min(chunk, share), devices, padded)
    return out if share * len(devices) == n else jax.tree.map(lambda x: x[:n], out)


def _lengthened(x: Any, extra: int) -> Any:
    """More members, copies of the last, so that all devices get the same number."""
    return jnp.concatenate([x, jnp.repeat(x[-1:], extra, axis=0)]) if extra else x


@partial(jax.jit, static_argnums=(0, 1, 2))
def _mapped(function: Callable[[Any], Any], chunk: int, devices: tuple, batch: Any) -> Any:
    def share(batch: Any) -> Any:
        return lax.map(function, batch, batch_size=chunk if chunk > 1 else None)

    return shared_out(lambda batch, _: share(batch), batch, (), Mesh(devices, AXIS))


def shared_out(function: Callable[[Any, Any], Any], parts: Any, whole: Any, mesh: Mesh) -> Any:
    """Let each device do its share; to be called while JAX traces.

    Args:
        function: from a share of `parts` and all of `whole` to what leads as the share does.
        parts: pytree of arrays whose leading axis the devices divide evenly.
        whole: pytree of arrays that every device needs.
        mesh: the devices along one axis.

    Returns:
        The results, leading as `parts` does.
    """
    if mesh.size == 1:
        return function(parts, whole)
    split = PartitionSpec(*mesh.axis_names)
    specs = split, PartitionSpec()
    each = jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=split, check_vma=False)
    return each(parts, whole)


def _fitting(function: Callable[[Any], Any], batch: Any, memory: int) -> int:
    """Members whose temporary arrays and results fit the budget, by the compiler's own account."""
    leaves, structure = jax.tree.flatten(batch)
    n = len(leaves[0])
    sample = min(n, SAMPLE)
    members = tuple(jax.ShapeDtypeStruct((sample, *x.shape[1:]), x.dtype) for x in leaves)
    each = _bytes_each(function, structure, members)
    return sample if each is None else max(1, min(n, int(memory / max(each, 1))))


@lru_cache(maxsize=128)
def _bytes_each(function: Callable[[Any], Any], structure: Any, members: tuple) -> float | None:
    """Bytes that one of some members takes; compiling it takes seconds, so it is remembered."""
    shapes = jax.tree.unflatten(structure, members)
    analysis = jax.jit(jax.vmap(function)).lower(shapes).compile().memory_analysis()
    if analysis is None:
        return None
    return (analysis.temp_size_in_bytes + analysis.output_size_in_bytes) / members[0].shape[0]
