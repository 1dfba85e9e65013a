"""What reads the output voltages of circuits: correctors, and a vote of neighbours."""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from xbar.batch import Batching, map_blocks
from xbar.learn.corrector import Corrector, nearest_neighbour_accuracy, train_correctors
from xbar.learn.scores import LOSSES
from xbar.programs import program
from xbar.run.settings.study import CorrectorSettings
from xbar.run.study.task import Task

NEIGHBOURS = 5


class Labelled(NamedTuple):
    """Voltages with labels or targets, leading with circuits: what trains a reader, what tests it.

    Args:
        train_v: (circuits, n_train, outputs) [V].
        train_y: (circuits, n_train), or (circuits, n_train, outputs).
        test_v: (circuits, n_test, outputs) [V].
        test_y: likewise.
    """

    train_v: Array
    train_y: Array
    test_v: Array
    test_y: Array


class CorrectorResult(NamedTuple):
    """What a corrector made of the test part: itself, its score (circuits,), what it reads."""

    corrector: Corrector
    score: Array
    read: dict[str, Array]


def correct(
    settings: CorrectorSettings, volts: Labelled, keys: Array, task: Task, how: Batching
) -> CorrectorResult:
    """Train a corrector on each circuit and test it."""
    # Alike but for their names and whose voltages they are given, they share a program. Fixed steps
    # take so long that they want the faster program, the others the one that compiles faster.
    same = replace(settings, name=None, trained_on="defective")
    fixed = settings.steps is not None or settings.batch_size is not None
    return (_correct_slowly if fixed else _correct_soon)(same, volts, keys, task, how)


def _correct(
    settings: CorrectorSettings, volts: Labelled, keys: Array, task: Task, how: Batching
) -> CorrectorResult:

    def block(rows: tuple[Labelled, Array], task: Task) -> CorrectorResult:
        volts, keys = rows
        fitted = train_correctors(
            volts.train_v,
            volts.train_y,
            keys,
            hidden=settings.head,
            activation=settings.activation,
            steps=settings.steps,
            batch_size=settings.batch_size,
            loss=LOSSES[task.loss],
        )
        outputs = fitted(volts.test_v)
        return CorrectorResult(fitted, task.scored(outputs, volts.test_y), task.read(outputs))

    return map_blocks(block, (volts, keys), task, size=how.lanes, devices=how.mesh)


_STATIC = ("settings", "how")
_correct_slowly = jax.jit(_correct, static_argnames=_STATIC)
_correct_soon = program(static_argnames=_STATIC)(_correct)


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
