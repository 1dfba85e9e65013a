"""Software networks of a study: what they read, and their training."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xbar.devices import ChipMap
from xbar.io.dataset import Dataset
from xbar.io.datasets import DATASETS, load_dataset
from xbar.io.maps import load_map
from xbar.io.parts import Split, split_many
from xbar.io.user import read_network
from xbar.learn.mlp import MLP, Loss, classes_of, fit_many
from xbar.learn.scores import LOSSES
from xbar.run.errors import StudyError
from xbar.run.settings.checks import in_range, values
from xbar.run.settings.study import Study
from xbar.run.study.plan import Chunk, Plan
from xbar.run.study.task import Task


@dataclass(frozen=True)
class StudyInputs:
    """What a study works on.

    Args:
        dataset: the digits, or a user's own data.
        network: a user's own network, or None: each seed trains its own.
        activation: between the layers of all networks.
        task: what they are trained and scored by.
        maps: measured chips by the file that the study names and the layer that is broken.
    """

    dataset: Dataset
    network: MLP | None
    activation: str
    task: Task
    maps: Mapping[tuple[str, int], ChipMap] = field(default_factory=dict)

    @property
    def images(self) -> Array:
        """All inputs, (images, features), in JAX's default precision."""
        return jnp.asarray(self.dataset.images)

    @property
    def kind(self) -> str:
        """What the networks read, for people: a user's own data need not be images."""
        return "images" if self.dataset.name in DATASETS else "inputs"

    @property
    def test_note(self) -> str:
        """What the test part trained, in words; see `Dataset.test_note`."""
        return self.dataset.test_note(own_network=self.network is not None)

    @property
    def labels(self) -> Array:
        """All labels, (images,), or targets (images, outputs) in units of their spread."""
        return self.task.wanted(self.dataset)

    def sizes(self, study: Study) -> tuple[int, ...]:
        """Units per layer of the base network."""
        features, classes = self.dataset.n_features, self.dataset.n_classes
        if self.network is not None:
            return (features, *(b.shape[-1] for b in self.network.biases))
        return (features, *study.network.hidden, classes)


def load(
    study: Study, folder: Path | None, dataset: Dataset | None, network: MLP | None
) -> StudyInputs:
    """The data and the network that a study names, or those given; all fit together.

    Args:
        study: in its checked form.
        folder: where files that the study names lie; None is the current folder.
        dataset: a user's data instead.
        network: a user's network instead.

    Raises:
        StudyError: they do not fit each other or the study.
        StoreError: a file cannot be read.
    """
    below = Path() if folder is None else folder
    if dataset is None:
        file, test = study.data.file, study.data.test_file
        name = study.data.name if file is None else below / file
        dataset = load_dataset(name, None if test is None else below / test)
    try:
        task = Task.of(dataset, study.score, study.loss)
    except ValueError as error:
        raise StudyError([str(error)]) from error
    if network is None and study.network.file is not None:
        network = read_network(below / study.network.file, study.network.activation)
    activation = study.network.activation or "relu" if network is None else network.activation
    given = StudyInputs(dataset, network, activation, task)
    problems = [*_unfit(given), *_beyond(study, task)]
    layers = len(given.sizes(study)) - 1
    for number, defect in enumerate(study.defects):
        place, needs = f"defects[{number}].layer", f"0 to {layers - 1}"
        for layer in () if defect.layer is None else values(defect.layer):
            problems += in_range(place, layer, layer < layers, needs)
    if not problems:
        try:
            _parts(dataset, jax.random.split(jax.random.key(0), 1), study)
        except ValueError as error:
            problems.append(f"data: {error}")
    if problems:
        raise StudyError(problems)
    if network is not None and not task.classes:
        given = replace(given, network=_in_spreads(network, task))
    return replace(given, maps=_maps(study, given.sizes(study), below))


def _unfit(given: StudyInputs) -> Iterator[str]:
    """What of the data and the network does not fit, in sentences."""
    dataset, network, classes = given.dataset, given.network, given.task.classes
    outputs = dataset.n_classes
    if classes and outputs < 2:
        yield f"data: got {outputs} class, needs at least 2"
    if network is not None:
        inputs, own = network.weights[0].shape[-2], network.weights[-1].shape[-1]
        told = classes_of(own) if classes else own
        if (inputs, told) != (dataset.n_features, outputs):
            of = f"classes of {dataset.name}" if classes else f"targets of {dataset.name}"
            yield (
                f"network: got {inputs} inputs and {own} outputs, needs {dataset.n_features} and "
                f"{outputs}, the features and {of}"
            )


def _beyond(study: Study, task: Task) -> Iterator[str]:
    """What a study asks for that only classes have."""
    if not task.classes and "nearest-neighbours" in study.references:
        yield 'references: got "nearest-neighbours", a vote on classes, needs "retrained" alone'


def _in_spreads(network: MLP, task: Task) -> MLP:
    """A user's network with outputs in the unit in which a study learns."""
    (*weights, last), (*biases, b) = network.weights, network.biases
    last, b = last / task.unit, (b - task.mean) / task.unit
    return MLP((*weights, last), (*biases, b), network.activation)


def _maps(study: Study, sizes: tuple[int, ...], below: Path) -> dict[tuple[str, int], ChipMap]:
    """The measured chips that a study names; each has to fit every layer that it breaks."""
    found, problems = {}, []
    for number, defect in enumerate(study.defects):
        if defect.map is None:
            continue
        for layer in (len(sizes) - 2,) if defect.layer is None else values(defect.layer):
            shape = (sizes[layer] + 1, 2 * sizes[layer + 1])
            chips = load_map(below / defect.map, unit=defect.map_unit, shape=shape)
            count = 1 if len(chips.shape) == 2 else len(chips)
            place, got = f"defects[{number}].placements", defect.placements
            needs = f"at most {count}, the chips of {defect.map}"
            problems += in_range(place, got, got <= count, needs)
            found[defect.map, layer] = chips
    if problems:
        raise StudyError(problems)
    return found


def _parts(dataset: Dataset, keys: Array, study: Study) -> Split:
    # Targets have no classes to keep in proportion.
    labels = np.zeros(len(dataset.labels), int) if dataset.is_regression else dataset.labels
    return split_many(labels, keys, study.data.fractions, dataset.part)


def compute_software(plan: Plan, given: StudyInputs, chunk: Chunk) -> dict[str, Any]:
    """Split the data and train the networks of some seeds.

    Returns:
        Arrays and networks by name, each leading with the chunk's seeds.
    """
    seeds = np.arange(chunk.first, chunk.first + chunk.count)
    study = plan.study
    parts = _parts(given.dataset, plan.keys("split", seeds), study)
    if given.network is not None:
        models = jax.tree.map(lambda p: jnp.broadcast_to(p, (len(seeds), *p.shape)), given.network)
    else:
        models = _drawn(plan.keys("init", seeds), plan.sizes, given.activation, given.images)
        models = _fitted(given, models, parts.base, plan.keys("fit", seeds))
    test = parts.test
    found = {
        "base": parts.base,
        "corrector": parts.corrector,
        "test": test,
        "score": _score(given.task, models, given.images, given.labels, test),
        "software": models,
    }
    if "retrained" in study.references:
        more = jnp.concatenate([parts.base, parts.corrector], axis=-1)
        found["retrained"] = _fitted(given, models, more, plan.keys("retrain", seeds))
    return jax.tree.map(np.asarray, found)


def _fitted(given: StudyInputs, models: MLP, part: Array, keys: Array) -> MLP:
    return _fit(models, given.images, given.labels, part, keys, LOSSES[given.task.loss])


# Whole, not operation by operation, each of which would be a program of its own to compile.
@eqx.filter_jit
def _drawn(keys: Array, sizes: tuple[int, ...], activation: str, images: Array) -> MLP:
    """Networks before training."""
    draw = eqx.filter_vmap(lambda key: MLP.init(key, sizes, activation, images.dtype))
    return scale_inputs(draw(keys), 1 / _rms(images))


@eqx.filter_jit
def _fit(models: MLP, images: Array, labels: Array, part: Array, keys: Array, loss: Loss) -> MLP:
    """Train on inputs of RMS 1, which suits any data set, and undo the scale afterwards.

    On raw pixels (0 to 16) one in eight 64-12-10 networks collapsed; scaled, none.
    """
    rms = _rms(images)
    scaled = scale_inputs(models, rms)
    fitted = fit_many(scaled, images[part] / rms, labels[part], keys=keys, loss=loss)
    return scale_inputs(fitted, 1 / rms)


@eqx.filter_jit
def _score(task: Task, models: MLP, images: Array, labels: Array, test: Array) -> Array:
    return task.scored(models(images[test]), labels[test])


def _rms(images: Array) -> Array:
    return jnp.sqrt(jnp.mean(images**2))


def scale_inputs(models: MLP, factor: Array) -> MLP:
    """The same networks for inputs that are smaller by the factor."""
    return MLP((models.weights[0] * factor, *models.weights[1:]), models.biases, models.activation)
