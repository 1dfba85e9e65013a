"""Output voltages of circuits whose networks or arrays a remedy has changed, solved exactly."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from xbar.devices import StuckPair, random_mask
from xbar.learn.mlp import MLP
from xbar.nn import Network
from xbar.paper.beyond.bench import SHAPE, Bench, keys
from xbar.paper.beyond.solved import solve, stacked
from xbar.paper.lab import Lab
from xbar.run.circuits import limits, map_network


def remapped_voltages(
    lab: Lab, bench: Bench, models: MLP, inputs: np.ndarray | None = None
) -> Float[np.ndarray, "seeds images outputs"]:
    """Other software networks on the same arrays, the same pairs stuck.

    Args:
        lab: with the devices.
        bench: the circuits.
        models: stacked software networks.
        inputs: order in which the first layer takes its inputs, (seeds, features); None as it is.

    Returns:
        Output voltages of the labelled images [V].
    """
    table, rows = bench.run.table, bench.rows
    mapping = str(table["mapping"][rows[0]])
    windows = np.array([limits(name) for name in table["window"][rows]])
    images = bench.run.images[bench.parts["base"]]
    if inputs is not None:
        images = np.take_along_axis(images, inputs[:, None], 2)

    arrays = windows, table["wire_ohm"][rows], images, bench.hit
    networks = _mapped(models, tuple(map(jnp.asarray, arrays)), bench.layer, mapping)
    return solve(lab, bench, networks, inputs).volts


@partial(jax.jit, static_argnames=("layer", "mapping"))
def _mapped(models: MLP, circuits: tuple[Array, ...], layer: int, mapping: str) -> Network:
    def one(model: MLP, window: Array, wire_ohm: Array, base: Array, hit: Array) -> Network:
        healthy = map_network(model, window, wire_ohm, base, mapping, gain=None, rail=None)
        return healthy.with_fault(layer, hit, StuckPair("on"))

    return jax.vmap(one)(models, *circuits)


def spares(bench: Bench, seed: int, count: int) -> np.ndarray:
    """Stuck pairs of more arrays, the same shape elsewhere, (seeds, count, inputs + 1, outputs)."""
    shape = bench.hit.shape[1:]

    @jax.jit
    def of(key: Array) -> Array:
        each = jax.random.split(key, count)
        return jax.vmap(lambda k: random_mask(SHAPE, k, bench.coverage).mask(shape))(each)

    return np.stack([np.asarray(of(key)) for key in keys(seed, "spares", bench.seeds)])


def array_remedies(lab: Lab, bench: Bench, count: int) -> dict[str, np.ndarray]:
    """Remedies in and behind the broken layer: its statistics, and spare arrays.

    Args:
        lab: with the devices and the seed.
        bench: the circuits.
        count: arrays in the largest ensemble, the broken one the first of them.

    Returns:
        Output voltages of the labelled images [V]: "statistics", (seeds, labelled, outputs), with
        the layer's amplifier voltages brought to the healthy layer's mean and spread over the
        images that train; "ensemble", (count, seeds, labelled, outputs), with the amplifier
        voltages of the first 1, 2, ... arrays averaged.
    """
    more = spares(bench, lab.settings.seed, count - 1)
    hits = jnp.asarray(np.concatenate([bench.hit[:, None], more], axis=1))
    networks, layer = stacked(bench), bench.layer
    healthy = solve(lab, bench, networks).transfers

    def broken(network: Network, hits: Array) -> Network:
        return jax.vmap(lambda hit: network.with_fault(layer, hit, StuckPair("on")))(hits)

    each = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), jax.vmap(broken)(networks, hits))
    arrays = solve(lab, bench, each).transfers[layer]
    arrays = arrays.reshape(*hits.shape[:2], *arrays.shape[1:])
    trained, x = bench.parts["corrector"].shape[-1], bench.run.images[bench.labelled]

    @jax.jit
    @jax.vmap
    def one(
        network: Network, healthy: tuple[Array, ...], arrays: Array, x: Array
    ) -> dict[str, Array]:
        # amplifiers without rails are linear: the mean of their voltages is that of the currents
        numbers = jnp.arange(1, len(arrays) + 1)[:, None, None]
        means = jnp.cumsum(arrays, axis=0) / numbers
        ensemble = jax.vmap(lambda t: network.apply(_with(healthy, layer, t), x))(means)
        whole, part = (
            network.voltages(_with(healthy, layer, t), x)[layer].v_tia
            for t in (healthy[layer], arrays[0])
        )
        v = match(part, part[:trained], whole[:trained])
        return {"statistics": _behind(network, layer, healthy, v), "ensemble": ensemble}

    found = one(networks, jax.tree.map(jnp.asarray, healthy), jnp.asarray(arrays), jnp.asarray(x))
    return {
        "statistics": np.asarray(found["statistics"]),
        "ensemble": np.moveaxis(np.asarray(found["ensemble"]), 1, 0),
    }


def _with(transfers: tuple[Array, ...], layer: int, t: Array) -> list[Array]:
    return [t if number == layer else other for number, other in enumerate(transfers)]


def _behind(network: Network, layer: int, transfers: tuple[Array, ...], v_tia: Array) -> Array:
    """Output voltages, given the amplifier voltages of a layer."""
    v = network.layers[layer].activate(v_tia)
    for part, t in list(zip(network.layers, transfers, strict=True))[layer + 1 :]:
        v = part.apply(t, v).v_out
    return v


def match(v: Any, of: Any, like: Any) -> Any:
    """Voltages scaled and shifted, each output by itself, so that its samples' statistics match.

    v' = (v - mean(of)) std(like) / std(of) + mean(like); an output that never changes is only
    shifted.

    Args:
        v: voltages, (..., outputs) [V].
        of: a sample of them, (n, outputs) [V].
        like: voltages whose mean and spread it takes on, (m, outputs) [V].

    Returns:
        Voltages, (..., outputs) [V].
    """
    spread = jnp.std(of, 0)
    dead = spread <= 1e-9 * jnp.max(jnp.abs(of))  # solver noise must not become a signal
    scale = jnp.where(dead, 1, jnp.std(like, 0) / jnp.where(dead, 1, spread))
    return (v - jnp.mean(of, 0)) * scale + jnp.mean(like, 0)
