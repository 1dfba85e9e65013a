"""All cells of a network in one row, layer after layer: for faults anywhere in it."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from xbar.devices.mapping import Pairs
from xbar.learn.mlp import accuracy
from xbar.nn import Network
from xbar.sensitivity.baseline import FaultMap
from xbar.sensitivity.losses import Loss, loss_of

# Networks that are compiled for and solved together: any number of them is then one compilation. An
# accelerator works on a block side by side, a CPU on one network after the other.
BLOCK = 16


class Cells(NamedTuple):
    """Where each cell of the row is.

    Args:
        layer: of each, (cells,).
        row: word line, the bias row last, (cells,).
        column: bit line, plus and minus cells in turn, (cells,).
    """

    layer: np.ndarray
    row: np.ndarray
    column: np.ndarray


def places_of(network: Network) -> Cells:
    """Layer, word line and bit line of every cell.

    Args:
        network: any.

    Returns:
        Their numbers, (cells,) each.
    """
    shapes = [(layer.pairs.shape[0], 2 * layer.pairs.shape[1]) for layer in network.layers]
    places = [np.indices(shape).reshape(2, -1) for shape in shapes]
    rows, columns = np.concatenate(places, axis=1)
    return Cells(np.repeat(np.arange(len(shapes)), [r * c for r, c in shapes]), rows, columns)


def conductances(network: Network) -> Float[Array, " cells"]:
    """Conductances of all cells in one row [S]."""
    return jnp.concatenate([layer.pairs.interleave().ravel() for layer in network.layers])


def stuck_conductances(network: Network, stuck: str) -> Float[Array, " cells"]:
    """What each cell has when it is stuck-on or stuck-off, by its layer's window [S].

    Args:
        network: any.
        stuck: "on" or "off".

    Returns:
        (cells,) [S].

    Raises:
        ValueError: another word.
    """
    if stuck not in ("on", "off"):
        raise ValueError(f'stuck: got {stuck!r}, needs "on" or "off"')
    values = [
        layer.window.g_max if stuck == "on" else layer.window.g_min for layer in network.layers
    ]
    sizes = [2 * layer.pairs.shape[0] * layer.pairs.shape[1] for layer in network.layers]
    dtype = network.k_in.dtype
    return jnp.concatenate([jnp.full(n, g, dtype) for g, n in zip(values, sizes, strict=True)])


def with_conductances(network: Network, g: Float[Array, " cells"]) -> Network:
    """The network with other conductances, given in one row [S]."""
    first, pairs = 0, []
    for layer in network.layers:
        rows, outputs = layer.pairs.shape
        last = first + 2 * rows * outputs
        pairs.append(Pairs.from_interleaved(g[first:last].reshape(rows, 2 * outputs)))
        first = last
    return eqx.tree_at(lambda net: [layer.pairs for layer in net.layers], network, pairs)


def solve_all(
    network: Network,
    g: Float[Array, "networks cells"],
    x: Any,
    labels: Int[Array, " n"],
    loss: Loss = "cross_entropy",
) -> FaultMap:
    """Solve a network anew for each of many sets of conductances: every array, exactly.

    Args:
        network: amplifiers, wires and activations of all.
        g: all cells of each network in one row, (networks, cells) [S].
        x: inputs, (n, inputs).
        labels: their classes, (n,).
        loss: what counts as bad.

    Returns:
        Loss and accuracy, (networks,) each.

    Raises:
        ValueError: the number of cells is another.
    """
    count = len(places_of(network).layer)
    if g.ndim != 2 or g.shape[1] != count:
        raise ValueError(f"g: got shape {g.shape}, needs (networks, {count}), all cells in a row")
    x, labels, g = jnp.asarray(x), jnp.asarray(labels), jnp.asarray(g)
    blocks = []
    for first in range(0, len(g), BLOCK):  # the last is filled up
        at = jnp.minimum(first + jnp.arange(BLOCK), len(g) - 1)
        blocks.append(_solve_block(network, g[at], x, labels, loss))
    return jax.tree.map(lambda *parts: jnp.concatenate(parts)[: len(g)], *blocks)


@eqx.filter_jit
def _solve_block(network: Network, g: Array, x: Array, labels: Array, loss: Loss) -> FaultMap:
    def one(g: Array) -> FaultMap:
        volts = with_conductances(network, g)(x)  # inside jit: NaN where an array has no solution
        return FaultMap(loss_of(loss, network)(volts, labels), accuracy(volts, labels))

    lanes = None if jax.default_backend() == "cpu" else BLOCK
    return jax.lax.map(one, g, batch_size=lanes)
