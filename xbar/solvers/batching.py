"""Batches of arrays: side by side on an accelerator, one or a few after the other on a CPU.

A batch that `jax.vmap` forms does every step for all arrays at once. That is what a GPU wants; a
CPU then fetches every vector of every array from memory at each step, where few arrays at a time
stay in its cache, and does the steps of the slowest array for all of them (benchmarks/log.md).
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.custom_batching import custom_vmap
from jaxtyping import Bool, Int


def per_array(function: Callable[..., Any], lanes: int = 1) -> Callable[..., Any]:
    """Let `vmap` of a function of arrays run in turn on a CPU, as usual elsewhere.

    Args:
        function: from pytrees of arrays to a pytree of arrays; never differentiated.
        lanes: arrays that a CPU works on side by side; more than one where an array is so small
            that each operation is mostly overhead.
    """

    @custom_vmap
    def call(*args: Any) -> Any:
        return function(*args)

    @call.def_vmap
    def batched(size: int, is_batched: list, *args: Any) -> tuple[Any, Any]:
        leaves, structure = jax.tree.flatten(args)
        marks = jax.tree.leaves(is_batched)
        moving = [x for x, mark in zip(leaves, marks, strict=True) if mark]
        axes = [0 if mark else None for mark in marks]

        def whole(mine: Sequence[Any]) -> list[Any]:
            own = iter(mine)
            return [next(own) if mark else x for x, mark in zip(leaves, marks, strict=True)]

        def one(mine: list) -> Any:
            return call(*jax.tree.unflatten(structure, whole(mine)))

        def side_by_side(*every: Any) -> Any:
            return jax.vmap(lambda *mine: function(*jax.tree.unflatten(structure, mine)), axes)(
                *every
            )

        def at_once(*moving: Any) -> Any:
            return side_by_side(*whole(moving))

        def in_turn(*moving: Any) -> Any:
            if lanes == 1 or size == 1:
                return lax.map(one, list(moving))
            width = min(lanes, size)
            # An outer batch takes the blocks in turn.
            block = per_array(side_by_side)
            out = lax.map(lambda mine: block(*whole(mine)), [_in_blocks(x, width) for x in moving])
            return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:size], out)

        out = lax.platform_dependent(*moving, cpu=in_turn, default=at_once)
        return out, jax.tree.map(lambda _: True, out)

    return call


def _in_blocks(x: Array, width: int) -> Array:
    """Blocks of equal width along the leading axis, the last filled up with its last member."""
    place = np.minimum(np.arange(-(-len(x) // width) * width), len(x) - 1)
    whole = x if len(place) == len(x) else x[place]
    return whole.reshape(-1, width, *x.shape[1:])


def repaired(ok: Bool[Array, ""], answer: Any, repair: Callable[..., Any], *args: Any) -> Any:
    """`answer` where it is `ok`, else `repair(*args)`, which is computed only if it is needed.

    In a batch on an accelerator it is computed for all members if any of them needs it.
    """

    @custom_vmap
    def call(ok: Array, answer: Any, *args: Any) -> Any:
        # A loop of one turn at most: branches would copy an answer that is right.
        def unfinished(state: tuple) -> Array:
            return ~state[0]

        def one_turn(_: tuple) -> tuple:
            return jnp.ones((), bool), repair(*args)

        return lax.while_loop(unfinished, one_turn, (ok, answer))[1]

    @call.def_vmap
    def batched(size: int, is_batched: list, ok: Array, answer: Any, *args: Any) -> tuple:
        axes = jax.tree.map(lambda mark: 0 if mark else None, is_batched)

        def all_of_them(ok: Array, answer: Any, *args: Any) -> Any:
            def one(ok: Array, answer: Any, *args: Any) -> Any:
                mended = repair(*args)
                return jax.tree.map(lambda a, b: jnp.where(ok, a, b), answer, mended)

            return jax.vmap(one, axes)(ok, answer, *args)

        whole = jax.vmap(lambda ok, answer: answer, axes[:2], axis_size=size)(ok, answer)
        # Through `repaired` again, so that a batch of batches also decides once for all of it.
        out = repaired(jnp.all(ok), whole, all_of_them, ok, answer, *args)
        return out, jax.tree.map(lambda _: True, out)

    return call(ok, answer, *args)


@custom_vmap
def agreed(which: Int[Array, ""]) -> Int[Array, ""]:
    """The same number; one for all of a batch side by side, the largest that any member needs.

    What branches on it stays one branch, where a number for each member would compute them all.
    """
    return which


@agreed.def_vmap
def _agreed_in_batch(size: int, is_batched: list, which: Array) -> tuple[Array, bool]:
    return jnp.max(which), False


def chosen(which: Int[Array, ""], branches: Sequence[Callable[..., Any]], *args: Any) -> Any:
    """``branches[which](*args)``; a batch side by side takes the last that any member needs."""
    return lax.switch(agreed(which), branches, *args)
