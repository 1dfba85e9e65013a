"""Circuits whose networks or arrays a remedy has changed, and networks retrained for it."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from xbar.devices import random_mask
from xbar.learn.mlp import MLP, fit_many
from xbar.nn import Network
from xbar.paper.circuits import SHAPE, STUCK_ON, Circuits, transfer_matrices, with_stuck_pairs
from xbar.paper.workspace import Workspace
from xbar.run.study.software import scale_inputs


def remapped(
    circuits: Circuits, models: MLP, hit: np.ndarray, inputs: np.ndarray | None
) -> Network:
    """Other software networks on the same arrays, with stuck pairs (seeds, inputs + 1, outputs).

    The first layer takes its inputs in the order `inputs`, (seeds, features); None as they are.
    """
    images = in_order(circuits.images(circuits.parts["base"]), inputs)
    return _mapped(models, circuits.healthy, jnp.asarray(images), jnp.asarray(hit), circuits.layer)


@eqx.filter_jit
def _mapped(models: MLP, healthy: Network, images: Array, hit: Array, layer: int) -> Network:
    def one(model: MLP, network: Network, images: Array, hit: Array) -> Network:
        made = Network.from_weights(
            model.weights,
            model.biases,
            activation=model.activation,
            window=[part.window for part in network.layers],
            wires=[part.wires for part in network.layers],
            calibration=images,
        )
        return made.with_fault(layer, hit, STUCK_ON)

    return eqx.filter_vmap(one)(models, healthy, images, hit)


def in_order(images: np.ndarray, inputs: np.ndarray | None) -> np.ndarray:
    """Images (seeds, n, features) with the features of each seed in another order."""
    return images if inputs is None else np.take_along_axis(images, inputs[:, None], 2)


def ensembles(
    work: Workspace, circuits: Circuits, count: int
) -> Float[np.ndarray, "count seeds images outputs"]:
    """Output voltages [V] with the amplifiers of 1, 2, ... arrays of the broken layer averaged.

    The first is the circuits' own; the others have the same weights and the same shape elsewhere.
    Amplifiers without rails are linear: the mean of their voltages is that of the currents.
    """
    layer, shape, coverage = circuits.layer, circuits.hit.shape[1:], circuits.coverage

    @jax.jit
    @jax.vmap
    def elsewhere(key: Array) -> Array:
        keys = jax.random.split(key, count - 1)
        return jax.vmap(lambda k: random_mask(SHAPE, k, coverage).mask(shape))(keys)

    spares = np.moveaxis(np.asarray(elsewhere(work.keys("spares", circuits.seeds))), 1, 0)
    broken = (with_stuck_pairs(circuits.healthy, layer, hit) for hit in (circuits.hit, *spares))
    arrays = np.stack([transfer_matrices(work, networks)[layer] for networks in broken])
    whole = jax.tree.map(jnp.asarray, transfer_matrices(work, circuits.healthy))

    @eqx.filter_jit
    @eqx.filter_vmap
    def read(network: Network, transfers: tuple[Array, ...], t: Array, x: Array) -> Array:
        return network.apply([*transfers[:layer], t, *transfers[layer + 1 :]], x)

    means = np.cumsum(arrays, 0) / np.arange(1, count + 1)[:, None, None, None]
    x = jnp.asarray(circuits.images())
    return np.stack([read(circuits.healthy, whole, jnp.asarray(mean), x) for mean in means])


def match(v: Any, of: Any, like: Any) -> Float[Array, "..."]:
    """Voltages scaled and shifted, each output by itself, so that its samples' statistics match.

    v' = (v - mean(of)) std(like) / std(of) + mean(like); an output that never changes is only
    shifted.

    Args:
        v: voltages, (..., outputs) [V].
        of: a sample of them, (n, outputs) [V].
        like: voltages whose mean and spread it takes on, (m, outputs) [V].
    """
    spread = jnp.std(of, 0)
    dead = spread <= 1e-9 * jnp.max(jnp.abs(of))  # solver noise must not become a signal
    scale = jnp.where(dead, 1, jnp.std(like, 0) / jnp.where(dead, 1, spread))
    return (v - jnp.mean(of, 0)) * scale + jnp.mean(like, 0)


def without(model: MLP, layer: int, hit: Bool[Array, "*n inputs_1 outputs"]) -> MLP:
    """The network with the weights and biases of stuck pairs at 0, one or stacked."""
    weights, biases = list(model.weights), list(model.biases)
    weights[layer] = jnp.where(hit[..., :-1, :], 0, weights[layer])
    biases[layer] = jnp.where(hit[..., -1, :], 0, biases[layer])
    return MLP(tuple(weights), tuple(biases), model.activation)


def retrain(
    models: MLP,
    layer: int,
    hit: Bool[Array, "models inputs_1 outputs"],
    x: Float[Array, "models n features"],
    labels: Int[Array, "models n"],
    keys: Array,
    steps: int,
) -> MLP:
    """Stacked networks trained on with the fault map known: the rest learns around stuck pairs.

    The gradient is that of the ideal circuit, where a pair stuck at equal values is a weight of 0;
    the result is then mapped to arrays with wires and solved exactly. The weights of stuck pairs
    are 0, to the last bit.
    """
    # Inputs of RMS 1, which the learning rate is for; the first weights take the scale back.
    rms = jnp.sqrt(jnp.mean(x**2))
    start = scale_inputs(without(models, layer, hit), rms)
    free = jax.tree.map(jnp.ones_like, eqx.filter(start, eqx.is_inexact_array))
    free = without(free, layer, hit)
    fitted = fit_many(start, x / rms, labels, keys=keys, steps=steps, trainable=free)
    return scale_inputs(fitted, 1 / rms)
