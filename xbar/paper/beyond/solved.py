"""Exact solutions of many networks, compiled once for all of this package's experiments."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xbar.nn import Network
from xbar.paper.beyond.bench import Bench
from xbar.paper.lab import Lab
from xbar.run.devices import Batching, in_blocks, one_by_one

BLOCK = 32  # networks in a call: compiling takes far longer than the few that fill up the last


class Solved(NamedTuple):
    """What networks do.

    Args:
        transfers: transfer matrix of each layer, (networks, 2 * outputs, inputs + 1) [S] each.
        volts: output voltages, (networks, images, outputs) [V].
    """

    transfers: tuple[np.ndarray, ...]
    volts: np.ndarray


def stacked(bench: Bench) -> Network:
    """The healthy networks of some circuits, each array leading with the seeds."""
    return bench.healthy


def solve(lab: Lab, bench: Bench, networks: Network, inputs: np.ndarray | None = None) -> Solved:
    """Solve every array of networks, as many of each seed, the seeds in order.

    Args:
        lab: with the devices.
        bench: whose labelled images the networks read.
        networks: stacked, (seeds * each) of them.
        inputs: order in which each seed's first layer takes its inputs, (seeds, features).

    Returns:
        Transfer matrices, and the output voltages of the seed's labelled images.
    """
    count, seeds = len(networks.k_in), len(bench.rows)
    each = np.arange(count) // (count // seeds)
    order = np.arange(bench.run.images.shape[-1])
    order = np.tile(order, (seeds, 1)) if inputs is None else inputs
    rows = {"network": networks, "labelled": bench.labelled[each], "order": order[each]}
    rows, images = jax.tree.map(jnp.asarray, rows), jnp.asarray(bench.run.images)
    how, parts = Batching(lab.how.mesh, 1), []  # one at a time is fastest on a processor
    for first in range(0, count, BLOCK):
        filled = np.minimum(first + np.arange(BLOCK), count - 1)
        found = _solve(jax.tree.map(lambda x, at=filled: x[at], rows), images, how)
        parts.append(jax.tree.map(lambda x, n=count - first: np.asarray(x)[:n], found))
        lab.stages.check()
    return jax.tree.map(lambda *x: np.concatenate(x), *parts)


@partial(jax.jit, static_argnames="how")
def _solve(rows: Any, images: Array, how: Batching) -> Solved:
    def one(row: Any, images: Array) -> Solved:
        transfers = row["network"].transfers()
        x = images[row["labelled"]][:, row["order"]]
        return Solved(transfers, row["network"].apply(transfers, x))

    return in_blocks(one_by_one(one), rows, images, how)
