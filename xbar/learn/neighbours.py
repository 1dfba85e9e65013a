"""The vote of the nearest voltages, and the normalisation that it shares with correctors."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from xbar.batch import batch_map
from xbar.learn.mlp import classes_of

# What spreads less than this share of the largest voltage is divided by that share instead: a dead
# output then stays near 0 and does not become amplified solver noise (the float32 solvers promise
# 1e-5 of the largest current).
_STD_FLOOR = 1e-5


def normalisation(
    voltages: Float[Array, "*batch n outputs"],
) -> tuple[Float[Array, "*batch outputs"], Float[Array, "*batch outputs"]]:
    """Mean and spread of each output over the samples.

    Args:
        voltages: (..., n, outputs) [V].

    Returns:
        mean (..., outputs) and std (..., outputs) [V]; std is at least 1e-5 of the circuit's
        largest |v|, and 1 where that is 0.
    """
    largest = jnp.abs(voltages).max((-2, -1))[..., None]
    return jnp.mean(voltages, -2), floored(jnp.std(voltages, -2), largest)


def nearest_neighbour_accuracy(
    train_v: Float[Array, "*circuits n_train outputs"],
    train_y: Int[Array, "*circuits n_train"],
    test_v: Float[Array, "*circuits n_test outputs"],
    test_y: Int[Array, "*circuits n_test"],
    k: int = 5,
) -> Float[Array, "*circuits"]:
    """Accuracy of the vote of the k nearest training voltages: a reference, not a bound.

    Distances are Euclidean between voltages normalised as the corrector's; the smallest class
    wins a tied vote, the first training sample a tied distance.

    Args:
        train_v: output voltages of the labelled samples, (..., n_train, outputs) [V].
        train_y: their classes, (..., n_train), integers 0..outputs-1.
        test_v: output voltages to classify, (..., n_test, outputs) [V].
        test_y: their classes, (..., n_test).
        k: number of neighbours, 1 to n_train.

    Returns:
        Share of the test samples that are classified right, (...,); NaN where a voltage is NaN.

    Raises:
        ValueError: k is out of range.
    """
    n_train = train_v.shape[-2]
    if not 1 <= k <= n_train:
        raise ValueError(f"nearest_neighbour_accuracy k: got {k}, needs 1 to {n_train}, n_train")

    batch = train_v.shape[:-2]
    flat = [x.reshape(-1, *x.shape[len(batch) :]) for x in (train_v, train_y, test_v, test_y)]
    # In turn: n_train x n_test is large.
    return batch_map(_vote, tuple(flat), k, chunk=1).reshape(batch)


def _vote(circuit: tuple[Array, Array, Array, Array], k: int) -> Array:
    train_v, train_y, test_v, test_y = circuit
    mean, std = normalisation(train_v)
    a, b = (test_v - mean) / std, (train_v - mean) / std
    # |a - b|^2 without |a|^2, which is the same for every neighbour of a test sample
    closeness = 2 * a @ b.T - jnp.sum(b * b, -1)
    nearest = jax.lax.top_k(closeness, k)[1]
    votes = jax.nn.one_hot(train_y[nearest], classes_of(train_v.shape[-1])).sum(-2)
    right = jnp.mean(jnp.argmax(votes, -1) == test_y, dtype=train_v.dtype)
    return jnp.where(jnp.isnan(closeness).any(), jnp.nan, right)


def floored(std: Array, largest: Array) -> Array:
    """A spread (...,) that is no rounding error beside the largest |v|, (...,), to divide by."""
    return jnp.where(largest > 0, jnp.maximum(std, _STD_FLOOR * largest), 1)
