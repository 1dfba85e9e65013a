"""Which mix of training shapes, and how many circuits, repair shapes that transfer poorly?"""

from collections.abc import Iterator
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from xbar.paper.beyond.bench import evenly, keys
from xbar.paper.beyond.mixes_findings import (
    ALL,
    FEW,
    LARGE,
    LINEAR,
    PAIR,
    POOR,
    SINGLE,
    WITHOUT,
    draw,
    find,
)
from xbar.paper.beyond.pools import (
    HIDDEN_UNITS,
    MINIBATCH,
    Pools,
    class_order,
    load_pools,
    members,
    own,
    pooled,
)
from xbar.paper.experiment import Experiment, Tables, column
from xbar.paper.lab import Lab
from xbar.paper.settings import Settings
from xbar.run.config import CorrectorSettings
from xbar.run.readers import Labelled, correct

LARGE_UNITS = 143  # 3,013 parameters


class Mix(NamedTuple):
    """What trains one corrector of each seed.

    Args:
        kind: of the mix.
        about: the shape that the mix is about; "" for none.
        shapes: that it trains on, the same number of circuits of each as far as it goes.
        circuits: how many.
        images: labelled images of each circuit; 0 is all.
        hidden: hidden layers of the corrector.
    """

    kind: str
    about: str
    shapes: tuple[str, ...]
    circuits: int
    images: int = 0
    hidden: tuple[int, ...] = (HIDDEN_UNITS,)


def mixes(asked: Settings) -> Iterator[Mix]:
    """Every mix that is trained."""
    beyond, shapes = asked.beyond, asked.shapes
    poor = [shape for shape in POOR if shape in shapes]
    for shape in shapes:
        others = tuple(other for other in shapes if other != shape)
        sizes = beyond.pool_sizes if shape in poor else ()
        for size in sorted({beyond.pool, *sizes}):
            if size <= beyond.pool_places:
                yield Mix(SINGLE, shape, (shape,), size)
            if size <= beyond.pool_places * len(others):
                yield Mix(WITHOUT, shape, others, size)
        if shape in poor:
            for other in others:
                yield Mix(PAIR, shape, (shape, other), beyond.pool)
    sizes = {beyond.pool, *beyond.pool_sizes}
    for size in sorted(n for n in sizes if n <= beyond.pool_places * len(shapes)):
        yield Mix(ALL, "", shapes, size)
    for images in beyond.pool_images:
        yield Mix(FEW, "", shapes, beyond.pool, images)
    for kind, hidden in ((LINEAR, ()), (LARGE, (LARGE_UNITS,))):
        yield Mix(kind, "", shapes, beyond.pool, 0, hidden)


def compute(lab: Lab) -> Tables:
    """One row for each mix, tested shape and seed; and what it is held against."""
    asked, pools = lab.settings, load_pools(lab)
    rows = []
    for number, mix in enumerate(mixes(asked)):
        found = lab.kept(f"mixes-{number}", lambda m=mix, n=number: _trained(lab, pools, m, n))
        images = mix.images or pools.trained
        words = (mix.kind, mix.about, "+".join(mix.shapes), mix.circuits, images)
        rows += [
            (*words, shape, seed, found["accuracy"][seed, s])
            for s, shape in enumerate(asked.shapes)
            for seed in range(asked.seeds)
        ]
    names = ("kind", "about", "shapes", "circuits", "images", "tested", "seed", "accuracy")
    about = (
        "kind of mix",
        "shape that the mix is about",
        "shapes that train",
        "circuits that train",
        "labelled images of each",
        "shape of the test circuits, at places not seen before",
        "repetition",
        "test accuracy, mean over the test places",
    )
    columns = zip(names, zip(*rows, strict=True), about, strict=True)
    return {
        "accuracy": {name: column(values, "1", text) for name, values, text in columns},
        "references": _references(lab, pools),
    }


def _trained(lab: Lab, pools: Pools, mix: Mix, number: int) -> dict[str, np.ndarray]:
    """Accuracy of the mix's correctors on each shape, (seeds, shapes)."""
    asked = lab.settings
    chosen = members([asked.shapes.index(shape) for shape in mix.shapes], mix.circuits)
    order = class_order(lab, pools)[:, : mix.images] if mix.images else None
    train_v, train_y = pooled(pools, chosen, order)
    settings = CorrectorSettings(mix.hidden, steps=asked.steps, batch_size=MINIBATCH)
    volts = Labelled(jnp.asarray(train_v), jnp.asarray(train_y), *pools.flat_test())
    starts = keys(asked.seed, f"mix {number}", range(pools.seeds))
    read = correct(settings, volts, starts, evenly(lab.how, pools.seeds))
    lab.stages.check()
    return {"accuracy": pools.right(read.classes)}


def _references(lab: Lab, pools: Pools) -> dict:
    known = {"uncorrected": pools.uncorrected(), **own(lab, pools)}
    places = [
        (shape, seed, *(values[seed, s] for values in known.values()))
        for s, shape in enumerate(lab.settings.shapes)
        for seed in range(pools.seeds)
    ]
    tested, seed, uncorrected, every, few = zip(*places, strict=True)
    return {
        "tested": column(tested, "1", "shape of the test circuits"),
        "seed": column(seed, "1", "repetition"),
        "uncorrected": column(uncorrected, "1", "test accuracy, mean over the test places"),
        "own": column(every, "1", "the same by correctors trained for each circuit itself"),
        "own_few": column(few, "1", "the same, on a few labelled images of it"),
    }


EXPERIMENT = Experiment(
    name="mixes",
    title="Mixes of shapes",
    question="Does training on a mix of shapes repair circle-complement and checkerboard, and how "
    "many circuits does it take?",
    method="As in the transfer between shapes, with more places: a corrector of 304 parameters is "
    "trained on the labelled voltages of many circuits of one base network, each with one shape of "
    "defect in the last layer, and tested at places and with images that trained nothing. A pool "
    "holds as many circuits of each of its shapes as it can, and the same number in all whatever "
    "the mix, unless the number is the question.",
    compute=compute,
    draw=draw,
    find=find,
    open_points="The paper trains on one shape or on all, and does not say how many circuits.",
    section="beyond",
)
