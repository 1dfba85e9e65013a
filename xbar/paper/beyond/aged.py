"""Output voltages of circuits as they age: every array solved exactly at every time."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xbar.devices import Ageing, StuckPair
from xbar.devices.ageing import T0
from xbar.devices.mapping import Pairs
from xbar.nn import Layer, Network
from xbar.paper.beyond.bench import Bench, keys
from xbar.paper.beyond.solved import solve, stacked
from xbar.paper.lab import Lab


def times(lab: Lab) -> np.ndarray:
    """When the circuits are looked at, from t0 on, (ages,) [s]."""
    return T0 * np.logspace(0, lab.settings.beyond.decades, lab.settings.beyond.ages)


def aged_voltages(lab: Lab, bench: Bench, stuck: bool) -> np.ndarray:
    """Output voltages of the labelled images at each time, exact, (seeds, times, images, outputs).

    All arrays of a circuit age, each with its own random numbers.

    Args:
        lab: with the settings.
        bench: the circuits.
        stuck: with the defect of the bench in its layer; else the circuits start healthy.
    """
    ages = jnp.asarray(times(lab))
    starts, hits = keys(lab.settings.seed, "ageing", bench.seeds), jnp.asarray(bench.hit & stuck)

    @jax.jit
    def over_time(network: Network, hit: Array, key: Array) -> Network:
        return jax.vmap(lambda t: aged(network, bench.layer, hit, t, key))(ages)

    every = jax.vmap(over_time)(stacked(bench), hits, starts)
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), every)
    volts = solve(lab, bench, flat).volts
    return volts.reshape(len(bench.seeds), len(ages), *volts.shape[1:])


def aged(network: Network, layer: int, hit: Array, t: Array, key: Array) -> Network:
    """A network with stuck-on pairs in one layer at a time, t0 or later.

    Args:
        network: healthy, as it was programmed.
        layer: whose pairs are stuck from the start.
        hit: which of them, (inputs + 1, outputs).
        t: time, () [s].
        key: JAX key of the circuit, the same at every time.

    Returns:
        The network at that time; amplifiers and wires do not age.
    """

    def pairs(number: int, part: Layer) -> Pairs:
        own = jax.random.fold_in(key, number)
        if number != layer:
            return Ageing().apply(part.pairs, t, part.window, own)
        broken = StuckPair("on").apply(part.pairs, hit, part.window)
        return Ageing().apply(broken, t, part.window, own, held=hit)

    new = [pairs(number, part) for number, part in enumerate(network.layers)]
    return eqx.tree_at(lambda net: [part.pairs for part in net.layers], network, new)
