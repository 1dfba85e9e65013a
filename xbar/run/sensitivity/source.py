"""The network that is looked at, and its images: the demo's, or a circuit of a stored run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xbar.io.parts import PARTS
from xbar.io.runs import load_run
from xbar.nn import Network
from xbar.run.errors import UsageError
from xbar.run.settings.chips import limits
from xbar.run.settings.study import Study
from xbar.run.study.circuits import map_network
from xbar.run.study.plan import Chunk, Plan
from xbar.run.study.software import StudyInputs, compute_software


@dataclass(frozen=True)
class Source:
    """A network with the images that it reads.

    Args:
        network: healthy or defective.
        images: all inputs, (images, features).
        labels: their classes, (images,).
        parts: indices of the images "base", "corrector" and "test".
        data: name of the data set.
        circuit: what the network is, in words.
    """

    network: Network
    images: np.ndarray
    labels: np.ndarray
    parts: dict[str, np.ndarray]
    data: str
    circuit: str

    def part(self, name: str) -> tuple[jax.Array, jax.Array]:
        """Inputs and classes of a part, (n, features) and (n,)."""
        chosen = self.parts[name]
        return jnp.asarray(self.images[chosen]), jnp.asarray(self.labels[chosen])

    def seen(self) -> tuple[jax.Array, jax.Array]:
        """Images that worst cases are chosen by, as many as test: of the corrector part first.

        So many because each number of images is compiled for; the base part fills up.
        """
        both = np.concatenate([self.parts["corrector"], self.parts["base"]])
        chosen = both[: len(self.parts["test"])]
        return jnp.asarray(self.images[chosen]), jnp.asarray(self.labels[chosen])

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units per layer."""
        first = self.network.layers[0].pairs.shape[0] - 1
        return (first, *(layer.pairs.shape[1] for layer in self.network.layers))

    def tree(self) -> dict[str, Any]:
        """What `of_tree` reads."""
        own = {"network": self.network, "images": self.images, "labels": self.labels}
        return {**own, **self.parts}

    @staticmethod
    def of_tree(tree: dict[str, Any], data: str, circuit: str) -> "Source":
        """The source whose arrays these are."""
        network = jax.tree.map(jnp.asarray, tree["network"])
        parts = {name: tree[name] for name in PARTS}
        return Source(network, tree["images"], tree["labels"], parts, data, circuit)


def mapped(study: Study, inputs: StudyInputs) -> Source:
    """The first healthy circuit of a study: trained, unless a network is given, and mapped.

    Args:
        study: in its checked form.
        inputs: its data and network.

    Returns:
        The circuit with its images.
    """
    plan = Plan(study, inputs.sizes(study))
    found = compute_software(plan, inputs, Chunk("software", 0, 0, 1, 1))
    network = map_network(
        jax.tree.map(lambda x: jnp.asarray(x[0]), found["software"]),
        limits(str(plan.healthy["window"][0])),
        plan.healthy["wire_ohm"][0],
        inputs.images[found["base"][0]],
        str(plan.healthy["mapping"][0]),
        gain=study.circuit.gain,
        rail=study.circuit.rail,
        tile=study.circuit.tile,
    )
    parts = {name: found[name][0] for name in PARTS}
    images, labels = np.asarray(inputs.images), np.asarray(inputs.labels)
    return Source(network, images, labels, parts, inputs.dataset.name, about(study))


def about(study: Study) -> str:
    """What the network of a study is, in words."""
    if study.network.file is not None:
        return f"the network of {Path(study.network.file).name}, healthy"
    whose = "the demo's" if study.data.file is None else f"{Path(study.data.file).name}'s"
    return f"{whose} first network, seed {study.seed}, healthy"


def stored(path: Path, circuit: int, defective: bool) -> Source:
    """A circuit of a stored run.

    Args:
        path: folder of a finished demo or study.
        circuit: which of its circuits.
        defective: with its defect, or without.

    Returns:
        The circuit with its images.

    Raises:
        UsageError: no such circuit, or the run does not have its arrays.
        StoreError: no such run.
    """
    run = load_run(path)
    if run.score != "accuracy":
        raise UsageError(f"--from {path}: got a run scored by {run.score}, needs one of classes")
    name = "defective" if defective else "healthy"
    try:
        network = run.network(name, circuit)
    except ValueError as error:
        raise UsageError(f"--from {path}: {error}") from error
    parts = {part: indices[circuit] for part, indices in run.parts.items()}
    about = f"circuit {circuit} of {path.name or path}, {name}"
    return Source(network, run.images, run.labels, parts, str(run.read("data")["name"]), about)
