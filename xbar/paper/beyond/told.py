"""A corrector for many circuits that is told something about the one it reads, or nothing."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from xbar.learn.corrector import LEARNING_RATE, WEIGHT_DECAY, normalisation
from xbar.learn.mlp import MLP, fit
from xbar.paper.beyond.bench import evenly, keys
from xbar.paper.beyond.pools import (
    HIDDEN_UNITS,
    MINIBATCH,
    Pools,
    class_order,
    load_pools,
    members,
    own,
)
from xbar.paper.beyond.told_findings import (
    HEADS,
    NOTHING,
    OWN,
    OWN_FEW,
    REFERENCES,
    SHAPE,
    UNCORRECTED,
    draw,
    find,
)
from xbar.paper.experiment import Experiment, Tables, column
from xbar.paper.lab import Lab
from xbar.run.devices import Batching, in_blocks


class Told(NamedTuple):
    """Samples of several circuits with what is told of each, leading with seeds.

    Args:
        train_v: output voltages that train, (seeds, circuits, n, outputs) [V].
        train_told: numbers told of each of these circuits, (seeds, circuits, told).
        train_y: classes, (seeds, circuits, n).
        test_v: voltages to classify, (seeds, tests, m, outputs) [V].
        test_told: told of each of those circuits, (seeds, tests, told).
    """

    train_v: Float[Array, "seeds circuits n outputs"]
    train_told: Float[Array, "seeds circuits told"]
    train_y: Int[Array, "seeds circuits n"]
    test_v: Float[Array, "seeds tests m outputs"]
    test_told: Float[Array, "seeds tests told"]


@partial(jax.jit, static_argnames=("hidden", "steps", "how"))
def read_told(
    samples: Told, keys: Array, hidden: tuple[int, ...], steps: int, how: Batching
) -> Int[Array, "seeds tests m"]:
    """Train a corrector of each seed on what it reads and is told, and let it read the tests.

    logits = head([(v - mean) / std, told]); with nothing told it is the corrector of
    `xbar.learn.corrector`, trained from the same key in the same way.

    Args:
        samples: what trains and what is read.
        keys: JAX keys, (seeds,).
        hidden: hidden layers of the head.
        steps: updates.
        how: where.

    Returns:
        Classes of the test voltages.
    """

    def block(rows: tuple[Told, Array], _: None) -> Array:
        return jax.vmap(lambda one, key: _read_told(one, key, hidden, steps))(*rows)

    return in_blocks(block, (samples, keys), None, how)


def _read_told(one: Told, key: Array, hidden: tuple[int, ...], steps: int) -> Array:
    """The corrector of one seed: arrays of `Told` without the first axis."""
    outputs = one.train_v.shape[-1]
    flat = one.train_v.reshape(-1, outputs)
    mean, std = normalisation(flat)

    def inputs(volts: Array, told: Array) -> Array:
        said = jnp.broadcast_to(told[:, None], (*volts.shape[:2], told.shape[-1]))
        both = jnp.concatenate([(volts - mean) / std, said], -1)
        return both.reshape(-1, both.shape[-1])

    init, shuffle = jax.random.split(key)
    x = inputs(one.train_v, one.train_told)
    head = MLP.init(init, (x.shape[-1], *hidden, outputs), dtype=flat.dtype)
    head = fit(
        head,
        x,
        one.train_y.reshape(-1),
        key=shuffle,
        steps=steps,
        batch_size=MINIBATCH,
        learning_rate=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
    )
    classes = jnp.argmax(head(inputs(one.test_v, one.test_told)), -1)
    return classes.reshape(one.test_v.shape[:2])


def reference_voltages(
    volts: Float[np.ndarray, "seeds circuits n outputs"],
    order: Int[np.ndarray, "seeds images"],
    k: int,
) -> Float[np.ndarray, "seeds circuits told"]:
    """What k known images cause at the outputs of each circuit, as numbers of about 1.

    Args:
        volts: of labelled images, (seeds, circuits, n, outputs) [V].
        order: of each seed's images; the first k are the known ones, the same for all circuits.
        k: how many.

    Returns:
        Voltages over the seed's RMS voltage, (seeds, circuits, k * outputs).
    """
    rms = np.sqrt(np.mean(volts**2, axis=(1, 2, 3), keepdims=True))
    chosen = np.take_along_axis(volts / rms, order[:, None, :k, None], 2)
    return chosen.reshape(*volts.shape[:2], -1)


def one_hot(shapes: Any, count: int, seeds: int) -> np.ndarray:
    """The shape of each circuit as 0 and 1, (seeds, circuits, count)."""
    return np.broadcast_to(np.eye(count)[np.asarray(shapes)], (seeds, len(shapes), count))


class Variant(NamedTuple):
    """A corrector for many circuits: what it is told, how many numbers, its hidden units."""

    told: str
    images: int
    hidden: int


def variants(lab: Lab) -> list[Variant]:
    """Every corrector that is told something, or nothing."""
    beyond = lab.settings.beyond
    told = [(NOTHING, 0), (SHAPE, 0), (HEADS, 0), *((REFERENCES, k) for k in beyond.told_images)]
    return [Variant(name, k, units) for units in beyond.told_hidden for name, k in told]


def samples(lab: Lab, pools: Pools, variant: Variant, only: int | None = None) -> Told:
    """What trains and tests a variant.

    Args:
        lab: with the settings.
        pools: all circuits.
        variant: what is told.
        only: train and test on this shape alone; None takes all.
    """
    shapes = range(pools.volts.shape[1]) if only is None else (only,)
    each = lab.settings.beyond.told_pool // pools.volts.shape[1]
    training = members(shapes, each * len(shapes))
    tests = [(s, p) for s in shapes for p in range(pools.first, pools.volts.shape[2])]
    order = class_order(lab, pools)

    def of(circuits: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
        which, places = np.array(circuits).T
        volts = pools.volts[:, which, places]
        if variant.told == SHAPE:
            told = one_hot(which, pools.volts.shape[1], pools.seeds)
        else:
            told = reference_voltages(volts[:, :, : pools.trained], order, variant.images)
        return volts, told.astype(volts.dtype)

    (train_v, train_told), (test_v, test_told) = of(training), of(tests)
    labels = np.repeat(pools.labels[:, None, : pools.trained], len(training), 1)
    arrays = (
        train_v[:, :, : pools.trained],
        train_told,
        labels,
        test_v[:, :, pools.trained :],
        test_told,
    )
    return Told(*map(jnp.asarray, arrays))


def _classes(lab: Lab, pools: Pools, variant: Variant, only: int | None = None) -> np.ndarray:
    """What a variant's correctors read at the test places, (seeds, tests, n_test)."""
    starts = keys(lab.settings.seed, f"told {only}", range(pools.seeds))
    classes = read_told(
        samples(lab, pools, variant, only),
        starts,
        (variant.hidden,),
        lab.settings.steps,
        evenly(lab.how, pools.seeds),
    )
    lab.stages.check()
    return np.asarray(classes)


def _measure(lab: Lab, pools: Pools, variant: Variant) -> dict[str, np.ndarray]:
    heads = range(pools.volts.shape[1]) if variant.told == HEADS else (None,)
    read = [_classes(lab, pools, variant, only) for only in heads]
    return {"accuracy": pools.right(np.concatenate(read, axis=1))}


def _parameters(variant: Variant, outputs: int, shapes: int) -> int:
    more = {SHAPE: shapes, REFERENCES: variant.images * outputs}.get(variant.told, 0)
    one = (outputs + more + 1) * variant.hidden + (variant.hidden + 1) * outputs
    return one * (shapes if variant.told == HEADS else 1)


def compute(lab: Lab) -> Tables:
    """One row for each corrector, tested shape and seed."""
    asked, pools = lab.settings, load_pools(lab)
    outputs, shapes = pools.volts.shape[-1], len(asked.shapes)
    found: list[tuple[Variant, int, np.ndarray]] = [
        (Variant(UNCORRECTED, 0, 0), 0, pools.uncorrected())
    ]
    for variant in variants(lab):
        name = f"told-{variant.told}-{variant.images}-{variant.hidden}".replace(" ", "_")
        kept = lab.kept(name, lambda v=variant: _measure(lab, pools, v))
        found.append((variant, _parameters(variant, outputs, shapes), kept["accuracy"]))
    known, few = own(lab, pools), max(asked.beyond.told_images)
    alone = _parameters(Variant(NOTHING, 0, HIDDEN_UNITS), outputs, shapes)
    found.append((Variant(OWN, pools.trained, HIDDEN_UNITS), alone, known["all"]))
    found.append((Variant(OWN_FEW, few, HIDDEN_UNITS), alone, known["few"]))
    rows = [
        (*variant, parameters, shape, seed, values[seed, s])
        for variant, parameters, values in found
        for s, shape in enumerate(asked.shapes)
        for seed in range(pools.seeds)
    ]
    told, images, hidden, parameters, tested, seed, value = zip(*rows, strict=True)
    return {
        "accuracy": {
            "told": column(told, "1", "what the corrector is told of the circuit it reads"),
            "images": column(images, "1", "images known of that circuit"),
            "hidden": column(hidden, "1", "hidden units"),
            "parameters": column(parameters, "1", "trained parameters"),
            "tested": column(tested, "1", "shape of the test circuits, at places not seen before"),
            "seed": column(seed, "1", "repetition"),
            "accuracy": column(value, "1", "test accuracy, mean over the test places"),
        }
    }


EXPERIMENT = Experiment(
    name="told",
    title="Told or untold",
    question="How much better does a corrector for many circuits get when it is told which one it "
    "reads: the shape of the defect, or a few reference voltages?",
    method="One corrector for circuits of all six shapes in the last layer, trained on the pooled "
    "voltages of training places and tested at others. Beside the ten output voltages it gets "
    "nothing, the shape (as six numbers, or a corrector for each shape), or the output voltages "
    "that a few known images cause in that circuit, one of each class first; these images need no "
    "label there. Beside it, correctors trained for the tested circuit itself.",
    compute=compute,
    draw=draw,
    find=find,
    open_points="The paper's corrector is told nothing of the circuit.",
    section="beyond",
)
