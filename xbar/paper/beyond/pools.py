"""Circuits of every shape at many places: those that train pooled correctors, those that test."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from xbar.learn.mlp import accuracy
from xbar.paper.beyond.bench import by_class, evenly, keys
from xbar.paper.lab import Lab
from xbar.run.config import CorrectorSettings, DefectSettings, StoreSettings
from xbar.run.readers import Labelled, correct

HIDDEN_UNITS = 14  # the paper's corrector of about 300 parameters: 10-14-10 has 304
MINIBATCH = 256  # of the labelled voltages of all circuits in a pool


class Pools(NamedTuple):
    """Voltages of all circuits, with the last layer broken.

    Args:
        volts: of the labelled images, (seeds, shapes, places, images, outputs) [V].
        labels: their classes, (seeds, images).
        trained: how many images train; the others test.
        first: the place from which on circuits test; those before train.
    """

    volts: Float[np.ndarray, "seeds shapes places images outputs"]
    labels: Int[np.ndarray, "seeds images"]
    trained: int
    first: int

    @property
    def seeds(self) -> int:
        """Number of seeds."""
        return len(self.labels)

    @property
    def test_v(self) -> Float[np.ndarray, "seeds shapes tested n_test outputs"]:
        """Voltages of the test images at the test places [V]."""
        return self.volts[:, :, self.first :, self.trained :]

    @property
    def test_y(self) -> Int[np.ndarray, "seeds n_test"]:
        """Classes of the test images."""
        return self.labels[:, self.trained :]

    def flat_test(self) -> tuple[Any, Any]:
        """All test voltages of each seed in one row, (seeds, samples, outputs), with classes."""
        seeds, shapes, tested, _, outputs = self.test_v.shape
        classes = np.tile(self.test_y, (1, shapes * tested))
        return jnp.asarray(self.test_v.reshape(seeds, -1, outputs)), jnp.asarray(classes)

    def right(self, classes: Any) -> np.ndarray:
        """Accuracy of classes read from `flat_test`, (seeds, shapes).

        NaN where a test circuit could not be solved, and for all of a seed with a training circuit
        that could not: its correctors are not finite, and their classes mean nothing.
        """
        read = np.asarray(classes).reshape(self.test_v.shape[:-1])
        found = (read == self.test_y[:, None, None]).mean((-1, -2))
        trains = np.all(np.isfinite(self.volts[:, :, : self.first]), axis=(1, 2, 3, 4))
        tests = np.all(np.isfinite(self.test_v), axis=(2, 3, 4))
        return np.where(trains[:, None] & tests, found, np.nan)

    def uncorrected(self) -> np.ndarray:
        """Accuracy of the test circuits' own output voltages, (seeds, shapes)."""
        labels = np.broadcast_to(self.test_y[:, None, None], self.test_v.shape[:-1])
        return np.asarray(accuracy(jnp.asarray(self.test_v), jnp.asarray(labels))).mean(-1)


def load_pools(lab: Lab) -> Pools:
    """The sweep, computed if it is not there.

    Voltages are in float32, and so are the correctors that they train: its rounding is far below
    the differences between images, and training takes half the time.
    """
    asked, last = lab.settings, len(lab.settings.hidden)
    places = asked.beyond.pool_places + asked.beyond.pool_tested
    defects = tuple(
        DefectSettings(shape, asked.transfer_coverage(shape), last, placements=places)
        for shape in asked.shapes
    )
    store = StoreSettings("labelled", precision="float32")
    run = lab.study("beyond_pools", lab.base(defects=defects, store=store))
    table, data = run.table, run.read("data")
    rank = np.array([asked.shapes.index(shape) for shape in table["shape"]])
    order = np.lexsort((table["placement"], rank, table["seed"]))
    volts, labels = run.voltages(order)
    volts = volts.reshape(asked.seeds, len(asked.shapes), places, *volts.shape[1:])
    labels = labels.reshape(asked.seeds, -1, labels.shape[-1])[:, 0]
    return Pools(volts, labels, data["corrector"].shape[-1], asked.beyond.pool_places)


def members(shapes: Sequence[int], circuits: int) -> list[tuple[int, int]]:
    """Which circuits are in a pool: (shape, place), the shapes in turn.

    Args:
        shapes: numbers of the shapes.
        circuits: how many.

    Returns:
        One pair for each circuit; a larger pool of the same shapes holds a smaller one.
    """
    return [(shapes[k % len(shapes)], k // len(shapes)) for k in range(circuits)]


def pooled(
    pools: Pools, chosen: Sequence[tuple[int, int]], order: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The labelled voltages of some circuits of each seed together.

    Args:
        pools: all circuits.
        chosen: shape and place of each.
        order: images of each seed that are used, (seeds, images); None takes all.

    Returns:
        Voltages (seeds, samples, outputs) [V] and classes (seeds, samples).
    """
    shapes, places = np.array(chosen).T
    volts = pools.volts[:, shapes, places, : pools.trained]
    labels = pools.labels[:, : pools.trained]
    if order is not None:
        volts = np.take_along_axis(volts, order[:, None, :, None], 2)
        labels = np.take_along_axis(labels, order, 1)
    flat = volts.reshape(pools.seeds, -1, volts.shape[-1])
    return flat, np.tile(labels, (1, len(chosen)))


def class_order(lab: Lab, pools: Pools) -> np.ndarray:
    """A random order of each seed's training images, classes in turn, (seeds, n_train)."""
    labels = jnp.asarray(pools.labels[:, : pools.trained])
    order = jax.vmap(by_class)(labels, keys(lab.settings.seed, "order", range(pools.seeds)))
    return np.asarray(order)


def own(lab: Lab, pools: Pools) -> dict[str, np.ndarray]:
    """Accuracy of correctors trained for each test circuit itself, (seeds, shapes).

    Returns:
        "all": on all labelled images; "few": on as many as the most that a corrector is told.
    """

    def compute() -> dict[str, np.ndarray]:
        few = class_order(lab, pools)[:, : max(lab.settings.beyond.told_images)]
        return {"all": _own(lab, pools, None), "few": _own(lab, pools, few)}

    return lab.kept("beyond-own", compute)


def _own(lab: Lab, pools: Pools, order: np.ndarray | None) -> np.ndarray:
    seeds, shapes, tested, n_test, outputs = pools.test_v.shape
    train_v = pools.volts[:, :, pools.first :, : pools.trained]
    train_y = pools.labels[:, : pools.trained]
    if order is not None:
        train_v = np.take_along_axis(train_v, order[:, None, None, :, None], 3)
        train_y = np.take_along_axis(train_y, order, 1)
    each, count = shapes * tested, seeds * shapes * tested
    volts = Labelled(
        jnp.asarray(train_v.reshape(count, -1, outputs)),
        jnp.asarray(np.repeat(train_y, each, 0)),
        jnp.asarray(pools.test_v.reshape(count, n_test, outputs)),
        jnp.asarray(np.repeat(pools.test_y, each, 0)),
    )
    settings = CorrectorSettings((HIDDEN_UNITS,), steps=lab.settings.steps, batch_size=64)
    starts = keys(lab.settings.seed, "own", range(count))
    found = correct(settings, volts, starts, evenly(lab.how, count)).accuracy
    return np.asarray(found).reshape(seeds, shapes, tested).mean(-1)
