"""Placed defects: the worst place against the average one, and the correctors that meet them."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xbar.devices import StuckPair
from xbar.learn.corrector import Corrector, train_correctors
from xbar.learn.mlp import accuracy
from xbar.run.sensitivity.config import SensitivityConfig
from xbar.run.sensitivity.source import Source
from xbar.run.sensitivity.stages import Arrays, key_of
from xbar.sensitivity.worst_place import (
    Ascent,
    Defect,
    OneLayer,
    Places,
    ascend,
    grid_places,
    place,
    random_places,
    voltages_at,
)

WAYS = ("random", "grid", "ascent")
TRAINED_ON = ("average places", "the worst place", "both")


def defect_of(config: SensitivityConfig) -> Defect:
    """The defect that is placed."""
    stuck: Any = config.stuck
    return Defect(config.shape, StuckPair(stuck), config.coverage)


def places(source: Source, config: SensitivityConfig, layer: int) -> Arrays:
    """A defect at random places, on a grid and where gradient ascent ends, in one layer.

    Searched by other images than the test part, which then scores random places, and the worst of
    each way.

    Returns:
        Groups `random`, `grid` and `ascent`: positions (n, dims), loss and accuracy (n,) on
        the images that are searched by, test_loss and test_accuracy, solves, seconds.
    """
    defect = defect_of(config)
    seen = OneLayer.of(source.network, layer, *source.seen())
    unseen = OneLayer.of(source.network, layer, *source.part("test"))
    ascent = Ascent(screened=4 * config.starts, starts=config.starts, steps=config.steps)
    climbing = ascent.screened + ascent.starts * ascent.steps
    ways: dict[str, Callable[[], Places]] = {
        "random": lambda: random_places(seen, defect, key_of(config, 2), config.places),
        "grid": lambda: grid_places(seen, defect),
        "ascent": lambda: ascend(seen, defect, key_of(config, 3), ascent),
    }
    found: Arrays = {}
    for name in WAYS:
        start = time.perf_counter()
        ends = jax.block_until_ready(ways[name]())
        seconds = time.perf_counter() - start
        asked = ends.positions if name == "random" else ends.positions[ends.worst][None]
        tested = place(unseen, defect, asked)
        found[name] = {field: np.asarray(values) for field, values in ends._asdict().items()} | {
            "test_loss": np.asarray(tested.loss),
            "test_accuracy": np.asarray(tested.accuracy),
            "solves": np.array(len(ends.loss) + (name == "ascent") * climbing),
            "seconds": np.array(seconds),
        }
    return found


def worst_of(kept: Arrays) -> tuple[str, np.ndarray, float]:
    """The worst place that any way found in a layer: the way, its position, its loss."""
    best = {way: float(np.nanmax(kept[way]["loss"])) for way in WAYS}
    way = max(WAYS, key=lambda name: best[name])
    return way, kept[way]["positions"][int(np.nanargmax(kept[way]["loss"]))], best[way]


def hardest_layer(kept: list[Arrays]) -> int:
    """The layer whose worst place has the largest loss."""
    return int(np.argmax([worst_of(layer)[2] for layer in kept]))


def correctors(source: Source, config: SensitivityConfig, layer: int, kept: Arrays) -> Arrays:
    """Correctors trained on average places, on the worst place, and on both, where they are tested.

    All are trained on the images that places are searched by, and tested on the test part. Average
    places are random ones; those that train are not those that test.

    Returns:
        `average` (trained on, places) and `worst` (trained on,): test accuracies; `converged`
        (trained on,); `uncorrected` with the first two; `layer` and `position` of the worst place.
    """
    defect, worst = defect_of(config), worst_of(kept)[1]
    drawn = jax.random.uniform(key_of(config, 6), (2 * config.pooled, defect.dims))
    train_at = jnp.concatenate([drawn[: config.pooled], worst[None]])
    test_at = jnp.concatenate([drawn[config.pooled :], worst[None]])
    (x, labels), (test_x, test_labels) = source.seen(), source.part("test")
    seen = voltages_at(OneLayer.of(source.network, layer, x, labels), defect, train_at)
    unseen = voltages_at(OneLayer.of(source.network, layer, test_x, test_labels), defect, test_at)
    chosen = {
        "average places": slice(0, config.pooled),
        "the worst place": slice(config.pooled, None),
        "both": slice(0, None),
    }
    scores, converged = [], []
    for number, name in enumerate(TRAINED_ON):
        fitted = _fitted(seen[chosen[name]], labels, config, number)
        logits = jnp.stack([fitted(volts[None])[0] for volts in unseen])
        scores.append(_accuracies(logits, test_labels))
        converged.append(np.asarray(fitted.converged)[0])
    bare = _accuracies(unseen, test_labels)
    return {
        "layer": np.array(layer),
        "position": worst,
        "average": np.stack([score[:-1] for score in scores]),
        "worst": np.stack([score[-1] for score in scores]),
        "converged": np.stack(converged),
        "uncorrected": {"average": bare[:-1], "worst": bare[-1]},
    }


def _fitted(
    volts: jax.Array, labels: jax.Array, config: SensitivityConfig, number: int
) -> Corrector:
    """One corrector for all circuits: their voltages and labels as one set."""
    pooled = volts.reshape(1, -1, volts.shape[-1])
    classes = jnp.tile(labels, len(volts))[None]
    keys = jax.random.split(key_of(config, 7 + number), 1)
    return train_correctors(pooled, classes, keys, hidden=config.corrector)


def _accuracies(outputs: jax.Array, labels: jax.Array) -> np.ndarray:
    """Of each circuit, (circuits,)."""
    return np.asarray(accuracy(outputs, jnp.broadcast_to(labels, outputs.shape[:2])))
