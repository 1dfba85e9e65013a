"""The k cells whose faults together hurt most, found one by one.

Greedy: with the faults so far in place, the exact single-fault maps of every layer say which one
more does most damage. Beside it, the k cells that are worst alone, and k cells at random. Finding
the best set is a search over all of them, so greedy is a lower bound of the worst case, by name.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from xbar.nn import Network
from xbar.programs import program
from xbar.sensitivity.all_cells import (
    conductances,
    solve_all,
    stuck_conductances,
    with_conductances,
)
from xbar.sensitivity.baseline import baseline
from xbar.sensitivity.fault_maps import cell_faults
from xbar.sensitivity.inputs import Criterion

Maps = dict[str, np.ndarray]  # loss of every single fault by its kind, all cells in a row


class Chosen(NamedTuple):
    """Cells in the order in which they were chosen, and what the first 1, 2, ... do together.

    Args:
        cell: place among all cells in a row (see `all_cells.places_of`), (k,).
        g: conductance that it is stuck at, (k,) [S].
        loss: with this and all cells before it stuck, (k,).
        accuracy: of the same circuits, (k,).
    """

    cell: Int[np.ndarray, " k"]
    g: Float[np.ndarray, " k"]
    loss: Float[np.ndarray, " k"]
    accuracy: Float[np.ndarray, " k"]


def single_losses(
    network: Network,
    x: Any,
    labels: Int[Array, " n"],
    kinds: Sequence[str] = ("on", "off"),
    loss: Criterion = "cross_entropy",
) -> Maps:
    """Exact loss of every single fault, all cells in a row.

    Args:
        network: may have faults already.
        x: inputs, (n, inputs).
        labels: their classes, (n,).
        kinds: of faults, of "on" and "off".
        loss: what counts as bad.

    Returns:
        By kind, (cells,).
    """
    base = baseline(network, x, labels)
    layers = range(len(network.layers))
    return {
        kind: np.concatenate(
            [np.ravel(cell_faults(base, layer, kind, loss=loss).loss) for layer in layers]
        )
        for kind in kinds
    }


def greedy_cells(
    network: Network,
    x: Any,
    labels: Int[Array, " n"],
    count: int,
    kinds: Sequence[str] = ("on", "off"),
    loss: Criterion = "cross_entropy",
    among: Bool[np.ndarray, " cells"] | None = None,
    done: Callable[[int], None] = lambda _: None,
) -> Chosen:
    """Cells chosen one by one, each the worst on top of those before it.

    Args:
        network: healthy.
        x: inputs, (n, inputs).
        labels: their classes, (n,).
        count: how many cells.
        kinds: of faults, of "on" and "off".
        loss: what counts as bad.
        among: cells that may be chosen, (cells,); None for all.
        done: called with 1 after each cell, for progress.

    Returns:
        The cells, with the loss of the circuit solved anew, not of the update.

    Raises:
        ValueError: count is not within 1 to the number of cells that may be chosen.
    """

    def maps(g: np.ndarray) -> Maps:
        changed = with_conductances(network, jnp.asarray(g))
        return single_losses(changed, x, labels, kinds, loss)

    return _chosen(network, count, among, maps, x, labels, loss, done)


def worst_of(maps: Maps, free: np.ndarray) -> tuple[str, int]:
    """Kind and place of the largest loss among free cells; faults without a solution are not asked.

    Args:
        maps: loss of every single fault by kind, (cells,).
        free: cells that may be chosen, (cells,).

    Returns:
        The kind, and the cell's place in the row.
    """
    best = {
        kind: np.where(free & np.isfinite(losses), losses, -np.inf) for kind, losses in maps.items()
    }
    kind = max(best, key=lambda name: best[name].max())
    return kind, int(np.argmax(best[kind]))


def individually_worst(
    network: Network,
    maps: Maps,
    x: Any,
    labels: Int[Array, " n"],
    count: int,
    loss: Criterion = "cross_entropy",
    among: Bool[np.ndarray, " cells"] | None = None,
) -> Chosen:
    """The cells that are worst alone, stuck together.

    Args:
        network: healthy.
        maps: from `single_losses`.
        x: inputs, (n, inputs).
        labels: their classes, (n,).
        count: how many cells.
        loss: what counts as bad.
        among: cells that may be chosen, (cells,); None for all.

    Returns:
        The cells, with the loss of the first 1, 2, ... of them together.

    Raises:
        ValueError: count is not within 1 to the number of cells that may be chosen.
    """
    return _chosen(network, count, among, lambda _: maps, x, labels, loss, lambda _: None)


def random_circuits(
    network: Network, key: PRNGKeyArray, faults: int, circuits: int
) -> Float[Array, "circuits cells"]:
    """Circuits with a given number of stuck cells anywhere, each on or off with equal chance.

    Args:
        network: healthy.
        key: JAX key; the same key with fewer faults draws a part of the same cells.
        faults: stuck cells in each circuit.
        circuits: how many.

    Returns:
        Conductances of all cells in a row, for `solve_all`, (circuits, cells) [S].

    Raises:
        ValueError: faults is not within 1 to the number of cells.
    """
    g = conductances(network)
    _free(faults, len(g), None)
    on, off = stuck_conductances(network, "on"), stuck_conductances(network, "off")
    return _drawn(jax.random.split(key, circuits), faults, on, off, g)


@program()
def _drawn(keys: Array, faults: Int[Array, ""], on: Array, off: Array, g: Array) -> Array:
    def one(key: Array) -> Array:
        place, kind = jax.random.split(key)
        hit = jax.random.permutation(place, len(g)) < faults
        return jnp.where(hit, jnp.where(jax.random.bernoulli(kind, 0.5, g.shape), on, off), g)

    return jax.vmap(one)(keys)


def _chosen(
    network: Network,
    count: int,
    among: np.ndarray | None,
    maps_of: Callable[[np.ndarray], Maps],
    x: Any,
    labels: Array,
    loss: Criterion,
    done: Callable[[int], None],
) -> Chosen:
    """The worst cell of the maps of circuits (cells,) [S], again and again; all solved anew."""
    g = np.array(conductances(network))
    free, cells, steps = _free(count, len(g), among), [], []
    for _ in range(count):
        kind, cell = worst_of(maps_of(g), free)
        g[cell] = stuck_conductances(network, kind)[cell]
        free[cell] = False
        cells.append(cell)
        steps.append(g.copy())
        done(1)
    scores = solve_all(network, jnp.asarray(np.stack(steps)), x, labels, loss)
    values = np.array(g[cells], float)
    return Chosen(np.array(cells), values, np.asarray(scores.loss), np.asarray(scores.accuracy))


def _free(count: int, cells: int, among: np.ndarray | None) -> np.ndarray:
    """Cells that may be chosen, if there are enough."""
    free = np.ones(cells, bool) if among is None else np.array(among, bool)
    if free.shape != (cells,):
        raise ValueError(f"among: got shape {free.shape}, needs ({cells},), all cells in a row")
    if not 1 <= count <= free.sum():
        raise ValueError(f"count: got {count}, needs 1 to {free.sum()}, the cells to choose from")
    return free
