"""The circuits that several experiments take, with all that a remedy may ask about them."""

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from xbar.io.runs import Run
from xbar.learn.mlp import MLP
from xbar.nn import Network
from xbar.paper.lab import Lab
from xbar.run.config import DefectSettings, StoreSettings
from xbar.run.devices import Batching
from xbar.run.readers import Labelled

OUTPUT, HIDDEN = "output layer", "hidden layer"
SHAPE = "circle"


@dataclass(frozen=True)
class Bench:
    """Circuits with the same layer broken by the same shape, one for each seed.

    Args:
        name: `OUTPUT` or `HIDDEN`.
        layer: the layer that is broken.
        coverage: share of its array that the circle covers.
        run: the sweep.
        rows: their numbers in the sweep, in the order of the seeds, (seeds,).
    """

    name: str
    layer: int
    coverage: float
    run: Run
    rows: np.ndarray

    @property
    def seeds(self) -> np.ndarray:
        """Number of each circuit's seed, (seeds,)."""
        return self.run.table["seed"][self.rows]

    @cached_property
    def parts(self) -> dict[str, np.ndarray]:
        """Which images are "base", "corrector" and "test", (seeds, n_part) each."""
        return {name: part[self.rows] for name, part in self.run.parts.items()}

    @cached_property
    def labelled(self) -> np.ndarray:
        """Images with labels: those that train correctors, then those that test."""
        return np.concatenate([self.parts["corrector"], self.parts["test"]], axis=-1)

    @cached_property
    def hit(self) -> np.ndarray:
        """Which pairs of the broken layer are stuck, (seeds, inputs + 1, outputs)."""
        return np.stack([self.run.hit(int(row)) for row in self.rows])

    @cached_property
    def software(self) -> MLP:
        """The software networks, stacked."""
        stack = self.run.stack("software", MLP)
        return jax.tree.map(lambda leaf: jnp.asarray(leaf[self.seeds]), stack)

    @cached_property
    def healthy(self) -> Network:
        """The healthy networks, stacked."""
        rows, stack = self.run.table["healthy"][self.rows], self.run.stack("healthy", Network)
        return jax.tree.map(lambda leaf: jnp.asarray(leaf[rows]), stack)

    def read(self, volts: Any) -> Labelled:
        """Voltages of the labelled images with their classes, parted into training and test."""
        n, labels = self.parts["corrector"].shape[-1], self.run.labels[self.labelled]
        v, y = jnp.asarray(volts), jnp.asarray(labels)
        return Labelled(v[:, :n], y[:, :n], v[:, n:], y[:, n:])

    @cached_property
    def defective(self) -> Labelled:
        """Output voltages of the defective circuits."""
        return self.read(self.run.voltages(self.rows)[0])

    @cached_property
    def undamaged(self) -> Labelled:
        """Output voltages of the healthy circuits."""
        volts = np.asarray(self.run.read("voltages/healthy"))
        return self.read(volts[self.run.table["healthy"][self.rows]])


def benches(lab: Lab) -> list[Bench]:
    """The two settings: a circle in the output layer, and one in a hidden layer.

    The places are those of the paper's other experiments with the same layer and coverage.
    """
    asked = lab.settings
    places = (
        (OUTPUT, len(asked.hidden), asked.coverage),
        (HIDDEN, asked.beyond.hidden_layer, asked.beyond.hidden_coverage),
    )
    defects = tuple(DefectSettings(SHAPE, coverage, layer) for _, layer, coverage in places)
    study = lab.base(defects=defects, store=StoreSettings("labelled", arrays=True))
    run = lab.study("beyond_circuits", study)
    return [
        Bench(name, layer, coverage, run, run.rows(layer=layer, coverage=coverage))
        for name, layer, coverage in places
    ]


def keys(seed: int, purpose: str, numbers: Any) -> Array:
    """A JAX key for each number; purposes do not share randomness.

    Args:
        seed: of the run.
        purpose: what for.
        numbers: integers, (n,).

    Returns:
        Keys, (n,).
    """
    root = jax.random.fold_in(jax.random.key(seed), zlib.crc32(purpose.encode()))
    return jax.vmap(lambda n: jax.random.fold_in(root, n))(jnp.asarray(numbers, jnp.uint32))


def evenly(how: Batching, rows: int) -> Batching:
    """As many rows side by side as share them evenly over the devices, eight at most."""
    each = -(-rows // how.mesh.size)
    return Batching(how.mesh, -(-each // -(-each // 8)))


def by_class(labels: Int[Array, " n"], key: Array) -> Int[Array, " n"]:
    """A random order in which every first part has the classes as evenly as it can.

    Args:
        labels: classes, (n,).
        key: JAX key.

    Returns:
        Indices, (n,): one of each class in random order, then a second of each, and so on.
    """
    shuffled = jax.random.permutation(key, len(labels))
    same = labels[shuffled][:, None] == labels[shuffled][None, :]
    # how many of its class came before it
    rank = jnp.sum(jnp.tril(same, -1), -1)
    return shuffled[jnp.argsort(rank, stable=True)]


def first_of(
    volts: Float[Array, "circuits n outputs"],
    labels: Int[Array, "circuits n"],
    order: Int[Array, "circuits n"],
    count: int,
) -> tuple[Float[Array, "circuits m outputs"], Int[Array, "circuits m"]]:
    """Voltages and classes of each circuit's first images in an order; m is the count."""
    chosen = order[:, :count]
    return (
        jnp.take_along_axis(volts, chosen[..., None], 1),
        jnp.take_along_axis(labels, chosen, 1),
    )
