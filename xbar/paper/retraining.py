"""Retraining with the fault map known: stuck pairs hold their weights, the rest learns around them.

The gradient is that of the ideal circuit, where a pair stuck at equal values is a weight of 0; the
result is then mapped to arrays with wires and solved exactly.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from xbar.learn.mlp import MLP, fit_many


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
    """Stacked networks trained on, with the pairs of one layer held that are stuck.

    The weights of stuck pairs are 0, to the last bit.
    """
    # Inputs of RMS 1, which the learning rate is for; the first weights take the scale back.
    rms = jnp.sqrt(jnp.mean(x**2))
    start = _scaled(without(models, layer, hit), rms)
    free = jax.tree.map(jnp.ones_like, eqx.filter(start, eqx.is_inexact_array))
    free = without(free, layer, hit)
    fitted = fit_many(start, x / rms, labels, keys=keys, steps=steps, trainable=free)
    return _scaled(fitted, 1 / rms)


def _scaled(models: MLP, factor: Array) -> MLP:
    return MLP((models.weights[0] * factor, *models.weights[1:]), models.biases, models.activation)
