"""Correctors that are trained apart from a sweep: other recipes, and on one circuit for another.

    z = (v - mean) / std        logits = head(z)

For a corrector that reads *other* circuits, `std` has a floor relative to the spread of all
outputs: an output that a defect has made constant where the corrector was trained would otherwise
come out of the division a hundred thousand times too large wherever it lives.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float, Int

from xbar.learn.converged import minimised
from xbar.learn.corrector import LEARNING_RATE, WEIGHT_DECAY, Corrector, penalised
from xbar.learn.mlp import MLP, accuracy, cross_entropy, fit
from xbar.paper.workspace import LANES, Workspace

UNITS = 14  # hidden units of the paper's corrector of about 300 parameters: 10-14-10 has 304
MINIBATCH = 64  # a third of the time of all samples, and no measurable cost at this size

# Of the root mean square spread over the outputs; chosen by an independent reproduction of the
# transfer experiment, which found the artefact that it mends. No other value was tried.
FLOOR = 0.3

# The brief recipe: usual defaults, some 50 passes over 359 images.
BRIEF_RATE, BRIEF_BATCH = 1e-3, 32


class Samples(NamedTuple):
    """Voltages (circuits, n, outputs) [V] and classes (circuits, n) that train, and that test."""

    train_v: Any
    train_y: Any
    test_v: Any
    test_y: Any

    @property
    def uncorrected(self) -> np.ndarray:
        """Accuracy of the test voltages as they are, (circuits,)."""
        return np.asarray(accuracy(jnp.asarray(self.test_v), jnp.asarray(self.test_y)))


@final
class SkipHead(eqx.Module):
    """A small network beside a straight connection: logits = scale z + head(z).

    Args:
        scale: common to all outputs, ().
        head: the network.
    """

    scale: Float[Array, ""]
    head: MLP

    def __call__(self, z: Float[Array, "... outputs"]) -> Float[Array, "... outputs"]:
        """Logits of normalised voltages."""
        return self.scale * z + self.head(z)


@dataclass(frozen=True)
class Recipe:
    """A corrector and its training.

    Args:
        hidden: hidden layers, "diagonal" or None, as `xbar.learn.corrector` takes them.
        activation: of the hidden layers.
        skip: whether a straight connection leads past them.
        steps: updates.
        batch: samples in each; None takes all.
        brief: plain Adam at a constant rate in place of AdamW with a decaying one.
        converged: until the gradient is small, as `xbar.learn.converged`; no steps count.
        elsewhere: whether it is meant for other circuits than those that train it.
        outputs: classes, where more is read than their voltages.
    """

    hidden: Any = (UNITS,)
    activation: str = "relu"
    skip: bool = False
    steps: int = 1500
    batch: int | None = MINIBATCH
    brief: bool = False
    converged: bool = False
    elsewhere: bool = False
    outputs: int | None = None

    def parameters(self, inputs: int) -> int:
        """Number of trained parameters; the normalisation is not among them."""
        made = jax.eval_shape(lambda: self.start(jax.random.key(0), jnp.zeros((1, inputs))))
        return made.parameter_count + self.skip

    def start(self, key: Array, volts: Float[Array, "n inputs"]) -> Corrector:
        """The corrector before training, normalised to the voltages [V]."""
        made, spread = Corrector.init(key, volts, self.hidden, self.activation), jnp.std(volts, 0)
        std, head = made.std, made.head
        if self.elsewhere:
            least = FLOOR * jnp.sqrt(jnp.mean(spread**2))
            std = jnp.where(least > 0, jnp.maximum(spread, least), 1)
        if self.outputs:
            sizes = (volts.shape[-1], *self.hidden, self.outputs)
            head = MLP.init(key, sizes, self.activation, volts.dtype)
        return Corrector(made.mean, std, head)

    def trained(self, key: Array, volts: Float[Array, "n inputs"], labels: Array) -> Corrector:
        """One corrector, trained on voltages [V] and their classes, (n,)."""
        init, key = jax.random.split(key)
        start = self.start(init, volts)
        head: Any = start.head
        if self.skip:
            head = SkipHead(jnp.ones((), volts.dtype), head)
        z = start.normalise(volts)
        if self.brief:
            each = jax.random.split(key, self.steps)
            size = min(BRIEF_BATCH, len(labels))
            picks = jax.vmap(lambda k: jax.random.choice(k, len(labels), (size,), False))(each)

            def loss(head: Any, pick: Array) -> Array:
                return cross_entropy(head(z[pick]), labels[pick])

            head = adam(head, loss, BRIEF_RATE, picks)
        elif self.converged:
            head, _ = minimised(partial(penalised, x=z, labels=labels), head)
        else:
            head = fit(
                head,
                z,
                labels,
                key=key,
                steps=self.steps,
                batch_size=self.batch,
                learning_rate=LEARNING_RATE,
                weight_decay=WEIGHT_DECAY,
            )
        return eqx.tree_at(lambda c: c.head, start, head)


class Trained(NamedTuple):
    """Accuracy of correctors on the test part, (circuits,), and what they read, (circuits, n)."""

    accuracy: Any
    classes: Any


def train(work: Workspace, recipe: Recipe, volts: Samples, keys: Array) -> Trained:
    """Train a corrector on each circuit, from its own JAX key, and test it; NaN in, NaN out."""
    rows = (*map(jnp.asarray, volts), keys)
    return work.map(_tested(recipe), rows, LANES)


@lru_cache(maxsize=64)
def _tested(recipe: Recipe) -> Callable[[Any], Trained]:
    """Of one circuit; the same function each time, so that it is compiled once."""

    def one(row: tuple[Array, ...]) -> Any:
        train_v, train_y, test_v, test_y, key = row
        corrector = recipe.trained(key, train_v, train_y)
        logits = corrector.head(corrector.normalise(test_v))
        return Trained(accuracy(logits, test_y), jnp.argmax(logits, -1).astype(jnp.int16))

    return one


def adam(head: Any, loss: Callable[[Any, Any], Array], rate: float, batches: Array) -> Any:
    """The head after an update by Adam, at a constant rate, for each batch of a loss."""
    params, static = eqx.partition(head, eqx.is_inexact_array)
    optimiser = optax.adam(rate)

    def update(carry: tuple[Any, Any], batch: Any) -> tuple[Any, None]:
        params, memory = carry
        slope = jax.grad(lambda p: loss(eqx.combine(p, static), batch))(params)
        changes, memory = optimiser.update(slope, memory)
        return (optax.apply_updates(params, changes), memory), None

    (params, _), _ = jax.lax.scan(update, (params, optimiser.init(params)), batches)
    return eqx.combine(params, static)


def by_class(labels: Int[Array, " n"], key: Array) -> Int[Array, " n"]:
    """A random order of images, in which every first part has the classes as evenly as it can."""
    shuffled = jax.random.permutation(key, len(labels))
    same = labels[shuffled][:, None] == labels[shuffled][None, :]
    # how many of its class came before it
    rank = jnp.sum(jnp.tril(same, -1), -1)
    return shuffled[jnp.argsort(rank, stable=True)]
