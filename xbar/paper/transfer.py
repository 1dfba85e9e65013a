"""Does a corrector that was trained on one shape repair another? Unseen places, every layer."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from xbar.io.runs import Run
from xbar.learn.mlp import accuracy
from xbar.paper.experiment import Experiment, Tables, column
from xbar.paper.lab import Lab
from xbar.paper.transfer_findings import ALL, EQUAL, draw, find
from xbar.run.config import CorrectorSettings, DefectSettings, StoreSettings
from xbar.run.readers import Labelled, correct

MINIBATCH = 256  # of the labelled voltages of all circuits in a pool


class Pool(NamedTuple):
    """Circuits that train one corrector: the first `places` of each shape, of the same network."""

    name: str
    shapes: tuple[str, ...]
    places: int


def pools(shapes: tuple[str, ...], size: int) -> Iterator[Pool]:
    """Each shape alone; all, as many of each; all, as many together."""
    for shape in shapes:
        yield Pool(shape, (shape,), size)
    yield Pool(ALL, shapes, size)
    if size % len(shapes) == 0:
        yield Pool(EQUAL, shapes, size // len(shapes))


def sweep(lab: Lab) -> Run:
    """Circuits of every shape: places that train, and places that test."""
    asked = lab.settings
    places = max(asked.pools) + asked.tested
    defects = tuple(
        DefectSettings(
            shape, asked.transfer_coverage(shape), asked.transfer_layers, placements=places
        )
        for shape in asked.shapes
    )
    # Voltages are the study's largest part, and half as large in float32, whose rounding is far
    # below the differences between images.
    store = StoreSettings("labelled", precision="float32")
    return lab.study("transfer", lab.base(defects=defects, store=store))


def compute(lab: Lab) -> Tables:
    """One row for each layer, pool size, training set, tested shape and seed."""
    asked, run = lab.settings, sweep(lab)
    found = []
    for layer in asked.transfer_layers:
        for size in asked.pools:
            kept = lab.kept(
                f"transfer-{layer}-{size}", lambda k=layer, n=size: _trained(lab, run, k, n)
            )
            found.append((layer, size, kept["corrected"], kept["defective"]))
    rows = [
        (
            *(layer, size, pool.name, pool.places * len(pool.shapes), shape, seed),
            *(corrected[p, seed, s], defective[seed, s]),
        )
        for layer, size, corrected, defective in found
        for p, pool in enumerate(pools(asked.shapes, size))
        for s, shape in enumerate(asked.shapes)
        for seed in range(asked.seeds)
    ]
    layer, size, trained, circuits, tested, seed, corrected, defective = zip(*rows, strict=True)
    return {
        "accuracy": {
            "layer": column(layer, "1", "layer that is broken, 0 the first"),
            "pool": column(size, "1", "training circuits of each shape"),
            "trained": column(trained, "1", "shape of the training circuits"),
            "circuits": column(circuits, "1", "training circuits in all"),
            "tested": column(tested, "1", "shape of the test circuits, at places not seen before"),
            "seed": column(seed, "1", "repetition"),
            "corrected": column(corrected, "1", "test accuracy, mean over the test places"),
            "defective": column(defective, "1", "uncorrected, mean over the same places"),
        }
    }


def _trained(lab: Lab, run: Run, layer: int, size: int) -> dict[str, np.ndarray]:
    """Accuracies of each pool's correctors (pools, seeds, shapes), and without (seeds, shapes)."""
    asked = lab.settings
    volts, labels = voltages(lab, run, layer)
    trained = run.read("data")["corrector"].shape[-1]
    first = max(asked.pools)
    test_v, test_y = volts[:, :, first:, trained:], labels[:, trained:]
    seeds, shapes, places, images, outputs = test_v.shape
    flat = jnp.asarray(test_v.reshape(seeds, -1, outputs))
    flat_y = jnp.asarray(np.tile(test_y, (1, shapes * places)))
    corrected = []
    for number, pool in enumerate(pools(asked.shapes, size)):
        chosen = [asked.shapes.index(shape) for shape in pool.shapes]
        train_v = volts[:, chosen, : pool.places, :trained].reshape(seeds, -1, outputs)
        train_y = np.tile(labels[:, :trained], (1, len(chosen) * pool.places))
        root = jax.random.fold_in(jax.random.key(asked.seed), 1000 * layer + 10 * size + number)
        read = correct(
            CorrectorSettings((14,), steps=asked.steps, batch_size=MINIBATCH),
            Labelled(jnp.asarray(train_v), jnp.asarray(train_y), flat, flat_y),
            jax.random.split(root, seeds),
            lab.how,
        )
        right = (
            np.asarray(read.classes).reshape(seeds, shapes, places, images) == test_y[:, None, None]
        )
        corrected.append(right.mean((-1, -2)))
        lab.stages.check()
    uncorrected = accuracy(jnp.asarray(test_v), jnp.asarray(_like(test_y, test_v)))
    return {"corrected": np.stack(corrected), "defective": np.asarray(uncorrected).mean(-1)}


def _like(labels: np.ndarray, volts: np.ndarray) -> np.ndarray:
    return np.broadcast_to(labels[:, None, None], volts.shape[:-1])


def voltages(lab: Lab, run: Run, layer: int) -> tuple[np.ndarray, Any]:
    """Voltages (seeds, shapes, places, images, outputs) [V] and classes (seeds, images)."""
    asked = lab.settings
    places = max(asked.pools) + asked.tested
    table = run.table
    order = [
        int(
            np.flatnonzero(
                (table["layer"] == layer)
                & (table["seed"] == seed)
                & (table["shape"] == shape)
                & (table["placement"] == place)
            )[0]
        )
        for seed in range(asked.seeds)
        for shape in asked.shapes
        for place in range(places)
    ]
    volts, labels = run.voltages(order)
    lead = (asked.seeds, len(asked.shapes), places)
    return (
        volts.astype(float).reshape(*lead, *volts.shape[1:]),
        labels.reshape(*lead, -1)[:, 0, 0],
    )


EXPERIMENT = Experiment(
    name="transfer",
    title="From one shape to another",
    question="Does a corrector that was trained on circuits with one shape repair another shape?",
    method="A corrector of 304 parameters is trained on the pooled voltages of several circuits: "
    "the same base network and labelled images, one shape of defect at several places, stuck-on "
    "pairs, one layer. It is tested on places that no training saw, with images that trained "
    "nothing. The complement is that of the same circle. 'All' has as many circuits of each shape.",
    compute=compute,
    draw=draw,
    find=find,
    open_points="How many circuits were pooled, whether they share the base network, and whether "
    "the test places were new.",
)
