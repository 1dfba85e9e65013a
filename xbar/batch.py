"""Work on many members of a batch: devices, chunks, blocks. The one mapper of the package.

    chunk    members that are worked on side by side (`jax.vmap`); chunk after chunk in one program
    devices  share the chunks out
    block    members of one call of the compiled program: any number of blocks is one compilation

Whatever does not divide evenly is filled up with copies of the last member.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from xbar.checks import is_concrete, on_device
from xbar.programs import program

AXIS = "batch"
# Members that are compiled together to learn how much memory one takes on an accelerator.
SAMPLE = 16


class Batching(NamedTuple):
    """Where members are worked on, and how many side by side; hashable.

    Args:
        mesh: the devices, along one axis.
        lanes: members side by side on a device.
    """

    mesh: Mesh
    lanes: int


def local_mesh() -> Mesh:
    """All devices of this process."""
    return Mesh(np.array(jax.local_devices()), (AXIS,))


def batch_map(
    function: Callable[..., Any],
    batch: Any,
    *shared: Any,
    memory: int = 2**30,
    chunk: int | None = None,
    block: int | None = None,
    devices: Mesh | Sequence[Any] | None = None,
    done: Callable[[int], None] | None = None,
) -> Any:
    """Apply a function to each member of a batch, however large.

    The batch is shared out over all local devices. An accelerator works on as many members at a
    time as the memory budget allows (`jax.vmap`); a CPU on one at a time, which keeps it in the
    cache: there, memory is what the batch and its results take, and a process uses more than one
    core if JAX is told so before it starts (``JAX_NUM_CPU_DEVICES=2``). Inside `jit` it is part of
    the program around it, and stays on one device unless `devices` are named.

    ```python
    def currents(g):
        return xb.solve(xb.Crossbar(g, wires), v_in).i_out

    i_out = xb.batch_map(currents, g)          # g: (arrays, rows, cols)
    ```

    Args:
        function: of one member and of what is shared, in JAX; compiled once per function object
            and shapes.
        batch: pytree of arrays with the batch as leading axis.
        shared: whatever all members need, arrays or not; unlike what the function closes over, it
            may change from call to call without compiling anew.
        memory: bytes that temporary arrays and results of one chunk may take per accelerator.
        chunk: members at a time; None derives it from `memory` (1 on a CPU).
        block: members of one call of the compiled program, so that a batch of another length
            compiles nothing; None takes the whole batch. Inside `jit` it has no effect.
        devices: to share the batch among; None for all local ones.
        done: called after each block with the number of its members, for progress.

    Returns:
        What `function` returns, with the batch as leading axis.

    Raises:
        ValueError: no array in the batch, different or zero lengths, or an option below 1.
    """
    sizes = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(batch)}
    if len(sizes) != 1 or sizes & {(), (0,)}:
        found = sorted(size[0] if size else "no axis" for size in sizes) or "no arrays"
        raise ValueError(f"batch: got {found}, needs arrays of one leading length >= 1")
    for name, value in (("memory", memory), ("chunk", chunk), ("block", block)):
        if value is not None and value < 1:
            raise ValueError(f"{name}: got {value}, needs at least 1")
    known = is_concrete(batch, shared)
    mesh = _mesh(devices, known)
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    if not known:
        return _spread(function, batch, shared, chunk or (1 if on_cpu else SAMPLE), mesh)
    if chunk is None:
        chunk = 1 if on_cpu else _fitting(function, batch, memory, shared)
    if mesh.size > 1:
        batch, shared = _everywhere(batch, mesh), _everywhere(shared, mesh)
    if block is None:
        return _mapped(function, batch, shared, chunk, mesh)
    return _by_blocks(function, batch, shared, chunk, mesh, block, done or (lambda _: None))


def map_blocks(
    function: Callable[..., Any],
    batch: Any,
    *shared: Any,
    size: int,
    devices: Mesh | Sequence[Any] | None = None,
) -> Any:
    """Apply a function of whole blocks to a batch; to be called while JAX traces.

    Args:
        function: of a block, whose arrays lead with its members, and of what is shared; what it
            returns leads with the members too.
        batch: pytree of arrays with the batch as leading axis.
        shared: as for `batch_map`; so is `devices`.
        size: members of a block; a batch of no more is one block.
        devices: to share the blocks among; None for one.

    Returns:
        What `function` returns, with the batch as leading axis.
    """
    count = len(jax.tree.leaves(batch)[0])
    if count <= size:
        return function(batch, *shared)
    number = -(-count // size)
    filled = np.minimum(np.arange(number * size), count - 1)
    # Sizes are said outright: an array may have an axis of length 0.
    blocks = jax.tree.map(lambda x: x[filled].reshape(number, size, *x.shape[1:]), batch)
    found = batch_map(function, blocks, *shared, chunk=1, devices=devices)
    return jax.tree.map(lambda x: x.reshape(number * size, *x.shape[2:])[:count], found)


def _mesh(devices: Mesh | Sequence[Any] | None, known: bool) -> Mesh:
    if isinstance(devices, Mesh):
        return devices
    local = jax.local_devices() if known else jax.local_devices()[:1]
    return Mesh(np.array(local if devices is None else list(devices)), (AXIS,))


def _everywhere(tree: Any, mesh: Mesh) -> Any:
    """What was put on one device, on all of them; the rest JAX moves by itself."""

    def placed(x: Any) -> Any:
        fixed = (
            isinstance(x, jax.Array)
            and x.committed
            and x.sharding.device_set != {*mesh.devices.flat}
        )
        return jax.device_put(x, NamedSharding(mesh, PartitionSpec())) if fixed else x

    return jax.tree.map(placed, tree)


def _by_blocks(
    function: Callable[..., Any],
    batch: Any,
    shared: tuple,
    chunk: int,
    mesh: Mesh,
    block: int,
    done: Callable[[int], None],
) -> Any:
    """Block after block through one compiled program; what leaves it waits on the host."""
    batch, parts = jax.tree.map(_on_host, batch), []
    n = len(jax.tree.leaves(batch)[0])
    for first in range(0, n, block):
        at = np.minimum(first + np.arange(block), n - 1)
        members = jax.tree.map(lambda x, at=at: x[at], batch)
        found = _mapped(function, members, shared, chunk, mesh)
        parts.append(jax.tree.map(_on_host, found))
        done(min(block, n - first))
    return jax.tree.map(lambda *xs: _joined(xs, n), *parts)


def _on_host(x: Any) -> Any:
    """As a NumPy array; JAX's typed keys stay what they are."""
    return x if jnp.issubdtype(x.dtype, jax.dtypes.extended) else np.asarray(x)


def _joined(parts: Sequence[Any], n: int) -> jax.Array:
    if isinstance(parts[0], np.ndarray):
        return on_device(np.concatenate(parts)[:n])
    return jnp.concatenate(parts)[:n]


@program(eqx.filter_jit)
def _mapped(function: Callable[..., Any], batch: Any, shared: tuple, chunk: int, mesh: Mesh) -> Any:
    return _spread(function, batch, shared, chunk, mesh)


def _spread(function: Callable[..., Any], batch: Any, shared: tuple, chunk: int, mesh: Mesh) -> Any:
    """All members, chunk after chunk on each device; to be called while JAX traces.

    A chunk is the same computation whatever the number of devices, so that no number follows from
    it.
    """
    n = len(jax.tree.leaves(batch)[0])
    count = -(-n // chunk)
    size = -(-n // count)  # evenly, so that little is filled up
    count += -count % mesh.size

    def chunks(x: Any) -> Any:
        extra = count * size - n
        if extra:
            x = jnp.concatenate([x, jnp.broadcast_to(x[-1:], (extra, *x.shape[1:]))])
        return x if size == 1 else x.reshape(count, size, *x.shape[1:])

    arrays, rest = eqx.partition(shared, eqx.is_array)

    def local(parts: Any, arrays: tuple) -> Any:
        def one(member: Any) -> Any:
            return function(member, *eqx.combine(arrays, rest))

        return lax.map(one if size == 1 else jax.vmap(one), parts)

    out = shared_out(local, jax.tree.map(chunks, batch), arrays, mesh)
    if size > 1:
        out = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), out)
    return out if count * size == n else jax.tree.map(lambda x: x[:n], out)


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
    parts = lax.with_sharding_constraint(parts, NamedSharding(mesh, split))
    specs = split, PartitionSpec()
    each = jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=split, check_vma=False)
    return each(parts, whole)


def _fitting(function: Callable[..., Any], batch: Any, memory: int, shared: tuple = ()) -> int:
    """Members whose temporary arrays and results fit the budget, by the compiler's own account."""
    leaves, structure = jax.tree.flatten(batch)
    n = len(leaves[0])
    sample = min(n, SAMPLE)
    members = tuple(jax.ShapeDtypeStruct((sample, *x.shape[1:]), x.dtype) for x in leaves)
    whole, around = jax.tree.flatten(shared)
    rest = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) if eqx.is_array(x) else x for x in whole)
    each = _bytes_each(function, structure, members, around, rest)
    return sample if each is None else max(1, min(n, int(memory / max(each, 1))))


@lru_cache(maxsize=128)
def _bytes_each(
    function: Callable[..., Any], structure: Any, members: tuple, around: Any, rest: tuple
) -> float | None:
    """Bytes that one of some members takes; compiling it takes seconds, so it is remembered."""
    shapes, shared = jax.tree.unflatten(structure, members), jax.tree.unflatten(around, rest)
    arrays, words = eqx.partition(shared, lambda x: isinstance(x, jax.ShapeDtypeStruct))

    def all_at_once(shapes: Any, arrays: Any) -> Any:
        return jax.vmap(lambda member: function(member, *eqx.combine(arrays, words)))(shapes)

    analysis = jax.jit(all_at_once).lower(shapes, arrays).compile().memory_analysis()
    if analysis is None:
        return None
    return (analysis.temp_size_in_bytes + analysis.output_size_in_bytes) / members[0].shape[0]
