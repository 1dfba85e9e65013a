"""Circuits of every shape at many places: those that train pooled correctors, those that test."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from xbar.io.runs import Run
from xbar.learn.mlp import accuracy
from xbar.paper.correctors import UNITS, Recipe, Samples, by_class, train
from xbar.paper.settings import Settings
from xbar.paper.workspace import Workspace
from xbar.run import DefectSettings, StoreSettings

MINIBATCH = 256  # of the labelled voltages of all circuits in a pool


def pooled_recipe(work: Workspace, hidden: Any = (UNITS,), outputs: int | None = None) -> Recipe:
    """A corrector for circuits that did not train it."""
    steps = work.settings.steps
    return Recipe(hidden, steps=steps, batch=MINIBATCH, elsewhere=True, outputs=outputs)


class Pools(NamedTuple):
    """Voltages [V] of all circuits with one layer broken, and classes of the labelled images.

    The first `trained` images train and the others test; places from `first` on test.
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

    def right(self, classes: Any) -> Float[np.ndarray, "seeds shapes"]:
        """Accuracy of classes read from all test voltages of each seed, in order.

        NaN where a test circuit could not be solved, and for all of a seed with a training circuit
        that could not: its correctors are not finite, and their classes mean nothing.
        """
        read = np.asarray(classes).reshape(self.test_v.shape[:-1])
        found = (read == self.test_y[:, None, None]).mean((-1, -2))
        trains = np.all(np.isfinite(self.volts[:, :, : self.first]), axis=(1, 2, 3, 4))
        tests = np.all(np.isfinite(self.test_v), axis=(2, 3, 4))
        return np.where(trains[:, None] & tests, found, np.nan)

    def uncorrected(self) -> Float[np.ndarray, "seeds shapes"]:
        """Accuracy of the test circuits' own output voltages."""
        labels = np.broadcast_to(self.test_y[:, None, None], self.test_v.shape[:-1])
        return np.asarray(accuracy(jnp.asarray(self.test_v), jnp.asarray(labels))).mean(-1)


def pools_sweep(
    work: Workspace, name: str, layers: tuple[int, ...], coverages: tuple[float, ...], places: int
) -> Run:
    """Every shape at many places.

    Voltages are stored in float32, and so are the correctors that they train: its rounding is far
    below the differences between images, and training takes half the time.
    """
    asked = work.settings
    kinds = dict.fromkeys((s, asked.coverage_of(s, c)) for c in coverages for s in asked.shapes)
    defects = tuple(DefectSettings(s, c, layers, placements=places) for s, c in kinds)
    store = StoreSettings("labelled", precision="float32")
    return work.study(name, work.base(defects=defects, store=store))


def read_pools(run: Run, asked: Settings, layer: int, coverage: float, first: int) -> Pools:
    """The circuits of `pools_sweep` with one layer broken, at one severity."""
    found, labels = [], np.zeros(0)
    for shape in asked.shapes:
        rows = run.rows(layer=layer, shape=shape, coverage=asked.coverage_of(shape, coverage))
        volts, labels = run.voltages(rows)
        found.append(volts.reshape(asked.seeds, -1, *volts.shape[1:]))
    each = labels.reshape(asked.seeds, -1, labels.shape[-1])[:, 0]
    return Pools(np.stack(found, 1), each, run.read("data")["corrector"].shape[-1], first)


def last_layer_pools(work: Workspace) -> Iterator[tuple[float, Pools]]:
    """Each severity with its circuits, the last layer broken at many places."""
    asked, last = work.settings, len(work.settings.hidden)
    places = asked.pool_places + asked.pool_tested
    run = pools_sweep(work, "pools", (last,), asked.pool_coverages, places)
    for coverage in asked.pool_coverages:
        yield coverage, read_pools(run, asked, last, coverage, asked.pool_places)


def members(shapes: Sequence[int], circuits: int) -> list[tuple[int, int]]:
    """Shape and place of so many circuits, the shapes in turn; a larger pool holds a smaller."""
    return [(shapes[k % len(shapes)], k // len(shapes)) for k in range(circuits)]


def accuracy_of(
    work: Workspace,
    pools: Pools,
    recipe: Recipe,
    chosen: Sequence[tuple[int, int]],
    keys: Array,
) -> Float[np.ndarray, "seeds shapes"]:
    """Accuracy, on every shape at the test places, of correctors trained on some circuits.

    Args:
        work: where.
        pools: all circuits.
        recipe: of the correctors.
        chosen: shape and place of each circuit that trains.
        keys: JAX keys, (seeds,).
    """
    seeds, shapes, places, _, outputs = pools.test_v.shape
    which, where = np.array(chosen).T
    samples = Samples(
        pools.volts[:, which, where, : pools.trained].reshape(seeds, -1, outputs),
        np.tile(pools.labels[:, : pools.trained], (1, len(chosen))),
        pools.test_v.reshape(seeds, -1, outputs),
        np.tile(pools.test_y, (1, shapes * places)),
    )
    return pools.right(train(work, recipe, samples, keys).classes)


def class_order(work: Workspace, pools: Pools) -> np.ndarray:
    """A random order of each seed's training images, classes in turn, (seeds, n_train)."""
    labels = jnp.asarray(pools.labels[:, : pools.trained])
    return np.asarray(jax.vmap(by_class)(labels, work.keys("order", range(pools.seeds))))


def own(work: Workspace, pools: Pools) -> dict[str, np.ndarray]:
    """Accuracy of correctors trained for each test circuit itself, (seeds, shapes).

    Returns:
        "own" on all labelled images, "own_few" on as many as the most reference images.
    """
    seeds, shapes, places, _, outputs = pools.test_v.shape
    count, order, found = seeds * shapes * places, class_order(work, pools), {}
    keys, recipe = work.keys("own", range(count)), Recipe(steps=work.settings.steps)
    few = order[:, : max(work.settings.side_images)]
    for name, images in (("own", order), ("own_few", few)):
        every = pools.volts[:, :, pools.first :]
        train_v = np.take_along_axis(every, images[:, None, None, :, None], 3)
        samples = Samples(
            train_v.reshape(count, -1, outputs),
            np.repeat(np.take_along_axis(pools.labels, images, 1), shapes * places, 0),
            pools.test_v.reshape(count, -1, outputs),
            np.repeat(pools.test_y, shapes * places, 0),
        )
        accuracies = train(work, recipe, samples, keys).accuracy
        found[name] = accuracies.reshape(seeds, shapes, places).mean(-1)
    return found
