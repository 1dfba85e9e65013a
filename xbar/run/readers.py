"""What reads the output voltages of circuits: correctors, and a vote of neighbours."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from xbar.batch import map_blocks
from xbar.learn.corrector import Corrector, nearest_neighbour_accuracy, train_correctors
from xbar.learn.mlp import accuracy
from xbar.run.config import CorrectorSettings
from xbar.run.devices import Batching

NEIGHBOURS = 5


class Labelled(NamedTuple):
    """Voltages with their labels, leading with circuits: what trains a reader, and what tests it.

    Args:
        train_v: (circuits, n_train, outputs) [V].
        train_y: (circuits, n_train).
        test_v: (circuits, n_test, outputs) [V].
        test_y: (circuits, n_test).
    """

    train_v: Array
    train_y: Array
    test_v: Array
    test_y: Array


class CorrectorResult(NamedTuple):
    """What a corrector made of the test part: itself, its accuracy (circuits,), its classes."""

    corrector: Corrector
    accuracy: Array
    classes: Array


@partial(jax.jit, static_argnames=("settings", "how"))
def correct(
    settings: CorrectorSettings, volts: Labelled, keys: Array, how: Batching
) -> CorrectorResult:
    """Train a corrector on each circuit and test it."""

    def block(rows: tuple[Labelled, Array]) -> CorrectorResult:
        volts, keys = rows
        fitted = train_correctors(
            volts.train_v,
            volts.train_y,
            keys,
            hidden=settings.head,
            activation=settings.activation,
            steps=settings.steps,
            batch_size=settings.batch_size,
        )
        logits = fitted(volts.test_v)
        classes = jnp.argmax(logits, -1).astype(jnp.int16)
        return CorrectorResult(fitted, accuracy(logits, volts.test_y), classes)

    return map_blocks(block, (volts, keys), size=how.lanes, devices=how.mesh)


@partial(jax.jit, static_argnames="how")
def neighbours(volts: Labelled, how: Batching) -> Array:
    """Accuracy of the vote of the nearest labelled voltages, (circuits,)."""

    def block(rows: Labelled) -> Array:
        return nearest_neighbour_accuracy(*rows, min(NEIGHBOURS, rows.train_v.shape[-2]))

    return map_blocks(block, volts, size=how.lanes, devices=how.mesh)


def corrector_parameters(settings: CorrectorSettings, outputs: int) -> int:
    """Number of parameters of a corrector for so many outputs."""

    def made() -> Any:
        return Corrector.init(jax.random.key(0), jnp.zeros((1, outputs)), settings.head)

    return jax.eval_shape(made).parameter_count
