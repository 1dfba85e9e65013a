"""Circuits that several experiments take, one for each seed, and their exact solutions."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import Array
from jaxtyping import Float

from xbar.devices import AbstractFault, StuckPair
from xbar.io.runs import Run
from xbar.learn.mlp import MLP
from xbar.nn import Network
from xbar.paper.correctors import MINIBATCH, UNITS, Samples
from xbar.paper.settings import AREA
from xbar.paper.workspace import Workspace
from xbar.programs import program
from xbar.run import CorrectorSettings, DefectSettings, StoreSettings

OUTPUT, HIDDEN, STUDY = "output layer", "hidden layer", "output layer, r = 0.2"
SHAPE = "circle"
CORRECTOR, NEIGHBOURS = "corrected", "nearest neighbours"
STUCK_ON: AbstractFault = cast(Any, StuckPair)("on")


def main_corrector(steps: int) -> CorrectorSettings:
    """The corrector of 304 parameters, as a sweep takes it."""
    return CorrectorSettings((UNITS,), CORRECTOR, steps=steps, batch_size=MINIBATCH)


def circuit_table(run: Run, *columns: str, **renamed: str) -> pd.DataFrame:
    """The circuits of a sweep with their accuracies; NaN for those that failed.

    Args:
        run: the sweep.
        columns: of its table of circuits.
        renamed: column here -> accuracy there; "healthy" and "defective" are there always.
    """
    table, accuracy = run.table, run.read("accuracy")
    frame = pd.DataFrame({name: table[name] for name in columns})
    layers = run.stack("healthy", Network).layers
    pairs = np.array([layer.pairs.g_plus[0].size for layer in layers])
    frame["hit_share"] = table["pairs_hit"] / pairs[table["layer"]]
    frame["healthy"] = accuracy["healthy"][table["healthy"]]
    frame["defective"] = accuracy["defective"]
    for name, there in renamed.items():
        rows = table["seed"] if there == "software" else slice(None)
        frame[name] = accuracy[there][rows]
    return frame


@dataclass(frozen=True)
class Circuits:
    """Circuits with the same layer broken by a circle of stuck-on pairs, one for each seed.

    Args:
        name: `OUTPUT`, `HIDDEN` or `STUDY`.
        layer: the layer that is broken.
        run: the sweep.
        rows: their numbers in the sweep, in the order of the seeds, (seeds,).
    """

    name: str
    layer: int
    run: Run
    rows: np.ndarray

    @property
    def seeds(self) -> np.ndarray:
        """Number of each circuit's seed, (seeds,)."""
        return self.run.table["seed"][self.rows]

    @property
    def coverage(self) -> float:
        """Share of the array that the circle covers."""
        return float(self.run.table["coverage"][self.rows[0]])

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
        return _rows(self.run.stack("software", MLP), self.seeds)

    @cached_property
    def healthy(self) -> Network:
        """The healthy networks, stacked."""
        rows = self.run.table["healthy"][self.rows]
        return _rows(self.run.stack("healthy", Network), rows)

    def images(self, part: np.ndarray | None = None) -> np.ndarray:
        """Inputs of some images of each seed; of the labelled ones if none are named."""
        return self.run.images[self.labelled if part is None else part]

    def split(self, volts: Any) -> Samples:
        """Voltages of the labelled images with their classes, parted into training and test."""
        n, y = self.parts["corrector"].shape[-1], self.run.labels[self.labelled]
        return Samples(volts[:, :n], y[:, :n], volts[:, n:], y[:, n:])

    @cached_property
    def defective(self) -> Samples:
        """Output voltages of the defective circuits."""
        return self.split(self.run.voltages(self.rows)[0])

    @cached_property
    def undamaged(self) -> Samples:
        """Output voltages of the healthy circuits."""
        volts = np.asarray(self.run.read("voltages/healthy"))
        return self.split(volts[self.run.table["healthy"][self.rows]])


def broken_circuits(work: Workspace) -> list[Circuits]:
    """The settings: a circle in the output layer, one in a hidden layer, and the study's own.

    The places are those of the other experiments with the same layer and coverage.
    """
    asked, last = work.settings, len(work.settings.hidden)
    places = (
        (OUTPUT, last, asked.coverage),
        (HIDDEN, asked.hidden_layer, asked.hidden_coverage),
        (STUDY, last, AREA),
    )
    defects = tuple(DefectSettings(SHAPE, coverage, layer) for _, layer, coverage in places)
    study = work.base(defects=defects, store=StoreSettings("labelled", arrays=True))
    run = work.study("circuits", study)
    return [
        Circuits(name, layer, run, run.rows(layer=layer, coverage=coverage))
        for name, layer, coverage in places
    ]


def _rows(modules: Any, rows: np.ndarray) -> Any:
    """Some of stacked modules."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[rows]), modules)


# --- exact solutions --------------------------------------------------------------------------


@program(eqx.filter_jit)
def with_stuck_pairs(networks: Network, layer: int, hit: Any) -> Network:
    """Networks with stuck-on pairs in one layer; both lead with the networks."""
    return eqx.filter_vmap(lambda net, mask: net.with_fault(layer, mask, STUCK_ON))(
        networks, jnp.asarray(hit)
    )


def output_voltages(
    work: Workspace, networks: Network, images: np.ndarray
) -> Float[np.ndarray, "networks images outputs"]:
    """Output voltages [V] of stacked networks that read (networks, images, features), exact."""
    return work.map(_voltages, (networks, jnp.asarray(images)))


def _voltages(row: tuple[Network, Array]) -> Array:
    network, images = row
    return network(images)


def transfer_matrices(work: Workspace, networks: Network) -> tuple[np.ndarray, ...]:
    """Transfer matrix of each layer of stacked networks, (networks, columns, rows) [S] each."""
    return work.map(_transfers, networks)


def _transfers(network: Network) -> tuple[Array, ...]:
    return network.transfers()
