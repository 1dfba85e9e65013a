"""All cells of a network in one row, layer after layer: for faults anywhere in it."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from xbar.batch import batch_map
from xbar.checks import namespace, on_device
from xbar.devices.mapping import Pairs
from xbar.learn.mlp import accuracy
from xbar.nn import Network
from xbar.sensitivity.baseline import FaultMap
from xbar.sensitivity.inputs import Criterion, loss_of

# Networks in one call of the compiled program: any number of them is then one compilation.
BLOCK = 16


class CellPlaces(NamedTuple):
    """Where each cell of the row is.

    Args:
        layer: of each, (cells,).
        row: word line, the bias row last, (cells,).
        column: bit line, plus and minus cells in turn, (cells,).
    """

    layer: np.ndarray
    row: np.ndarray
    column: np.ndarray


def places_of(network: Network) -> CellPlaces:
    """Layer, word line and bit line of every cell.

    Args:
        network: any.

    Returns:
        Their numbers, (cells,) each.
    """
    shapes = [(layer.pairs.shape[0], 2 * layer.pairs.shape[1]) for layer in network.layers]
    places = [np.indices(shape).reshape(2, -1) for shape in shapes]
    rows, columns = np.concatenate(places, axis=1)
    return CellPlaces(np.repeat(np.arange(len(shapes)), [r * c for r, c in shapes]), rows, columns)


def conductances(network: Network) -> Float[Array, " cells"]:
    """Conductances of all cells in one row [S]."""
    return _in_a_row([layer.pairs.interleave() for layer in network.layers])


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
    ends = [layer.window.g_max if stuck == "on" else layer.window.g_min for layer in network.layers]
    sizes = [2 * layer.pairs.shape[0] * layer.pairs.shape[1] for layer in network.layers]
    xp, dtype = namespace(ends), network.k_in.dtype
    return _in_a_row([xp.full(n, g, dtype) for g, n in zip(ends, sizes, strict=True)])


def _in_a_row(parts: list[Any]) -> Float[Array, " cells"]:
    xp = namespace(parts)
    row = xp.concatenate([xp.ravel(part) for part in parts])
    return on_device(row) if xp is np else row


def with_conductances(network: Network, g: Float[Array, " cells"]) -> Network:
    """The network with other conductances, given in one row [S]."""
    first, pairs, g = 0, [], namespace(g).asarray(g)
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
    loss: Criterion = "cross_entropy",
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
    return batch_map(_score, g, network, jnp.asarray(x), labels, loss, block=BLOCK)


def _score(g: Array, network: Network, x: Array, labels: Array, loss: Criterion) -> FaultMap:
    volts = with_conductances(network, g)(x)  # inside jit: NaN where an array has no solution
    return FaultMap(loss_of(loss, network)(volts, labels), accuracy(volts, labels))
