"""The main job on real digits: train, map, break, solve, correct; many seeds at once."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xbar.corrector import Corrector, train_correctors
from xbar.crossbar import Wires
from xbar.data.digits import Dataset, Split, load_digits, split_many
from xbar.defects import random_mask
from xbar.mapping import Window
from xbar.mlp import MLP, accuracy, fit_many
from xbar.network import Network
from xbar.studies.config import DemoConfig as DemoConfig


class Data(NamedTuple):
    """What the demo works on, and every seed's three parts of it.

    Args:
        dataset: the digits, or a user's own data.
        parts: (seeds, n_part) each.
        given: a user's own network, or None: each seed trains its own.
    """

    dataset: Dataset
    parts: Split
    given: MLP | None

    @property
    def images(self) -> Array:
        """All images, (images, features)."""
        return jnp.asarray(self.dataset.images)

    @property
    def labels(self) -> Array:
        """All labels, (images,)."""
        return jnp.asarray(self.dataset.labels)


class Circuits(NamedTuple):
    """The circuits of all seeds, stacked."""

    healthy: Network
    defective: Network
    hit: Array  # (seeds, inputs + 1, outputs): pairs of the broken layer


class Voltages(NamedTuple):
    """Output voltages of every image, (seeds, images, classes) [V]."""

    healthy: Array
    defective: Array


class Probe(NamedTuple):
    """A closer look at the first circuit, healthy and defective.

    Args:
        power: that the drivers deliver into each array, (2, layers, probed images) [W].
        v_rows: row voltages of each array for the first probed image, (2, rows) [V].
        v_cells: cell voltages of each array for that image, (2, rows, columns) [V].
    """

    power: Array
    v_rows: tuple[Array, ...]
    v_cells: tuple[Array, ...]


class Accuracies(NamedTuple):
    """Test accuracies per seed, (seeds,) each."""

    software: Array
    healthy: Array
    defective: Array
    corrected: Array


PROBED = 32  # test images of the first circuit whose power is measured


def keys_of(config: DemoConfig, purpose: str) -> Array:
    """One JAX key per seed for one purpose; purposes do not share randomness."""
    purposes = ("split", "init", "fit", "defect", "corrector", "fault", "references")
    root = jax.random.fold_in(jax.random.key(config.seed), purposes.index(purpose))
    return jax.random.split(root, config.seeds)


def load(config: DemoConfig, dataset: Dataset | None = None, network: MLP | None = None) -> Data:
    """The digits or the user's data, split once per seed, and what else is given, all checked.

    Args:
        config: the settings.
        dataset: a user's data; None takes the digits.
        network: a user's trained network; None trains one per seed.

    Raises:
        ValueError: network, data and settings do not fit each other.
    """
    dataset = load_digits() if dataset is None else dataset
    if (classes := dataset.n_classes) < 2:
        raise ValueError(f"data: got {classes} class, needs at least 2")
    if network is not None:
        shape = (network.weights[0].shape[-2], network.weights[-1].shape[-1])
        if shape != (needs := (dataset.n_features, classes)):
            raise ValueError(
                f"network: got {shape[0]} inputs and {shape[1]} outputs, needs {needs[0]} and "
                f"{needs[1]}, the features and classes of {dataset.name}"
            )
    layers = len(config.hidden) + 1 if network is None else len(network.weights)
    if config.layer is not None and config.layer >= layers:
        raise ValueError(f"layer: got {config.layer}, needs 0 to {layers - 1}")
    return Data(dataset, split_many(dataset.labels, keys_of(config, "split")), network)


def sizes(config: DemoConfig, data: Data) -> tuple[int, ...]:
    """Units per layer of the base network."""
    if data.given is not None:
        return (data.dataset.n_features, *(b.shape[-1] for b in data.given.biases))
    return (data.dataset.n_features, *config.hidden, data.dataset.n_classes)


def broken_layer(config: DemoConfig, data: Data) -> int:
    """Number of the layer that is broken."""
    return len(sizes(config, data)) - 2 if config.layer is None else config.layer


def train(config: DemoConfig, data: Data) -> MLP:
    """The software network of each seed: trained on its base part, or the one that was given."""
    if data.given is not None:
        return jax.tree.map(lambda p: jnp.broadcast_to(p, (config.seeds, *p.shape)), data.given)
    models = eqx.filter_vmap(
        lambda key: MLP.init(key, sizes(config, data), config.activation, data.images.dtype)
    )(keys_of(config, "init"))
    models = _scale_inputs(models, 1 / _rms(data))
    base = data.parts.base
    return _fit(data, models, base, keys_of(config, "fit"))


def retrain(config: DemoConfig, data: Data, models: MLP) -> MLP:
    """The software networks trained further, on the labels of the base and corrector parts."""
    parts = jnp.concatenate([data.parts.base, data.parts.corrector], axis=-1)
    return _fit(data, models, parts, keys_of(config, "references"))


def _fit(data: Data, models: MLP, part: Array, keys: Array) -> MLP:
    """Train on inputs of RMS 1, which suits any data set, and undo the scale afterwards.

    On raw pixels (0 to 16) one in eight 64-12-10 networks collapsed; scaled, none.
    """
    rms = _rms(data)
    scaled = _scale_inputs(models, rms)
    fitted = fit_many(scaled, data.images[part] / rms, data.labels[part], keys=keys)
    return _scale_inputs(fitted, 1 / rms)


def _rms(data: Data) -> Array:
    return jnp.sqrt(jnp.mean(data.images**2))


def _scale_inputs(models: MLP, factor: Array) -> MLP:
    """The same networks for inputs that are smaller by the factor."""
    return MLP((models.weights[0] * factor, *models.weights[1:]), models.biases, models.activation)


def build(config: DemoConfig, data: Data, models: MLP) -> Circuits:
    """Map every network to arrays and put the defect into one of them."""
    wires = Wires(word_line=config.wire_ohm, bit_line=config.wire_ohm)
    window = Window.preset(config.window)
    stuck_window = Window.preset(config.stuck_window or config.window)
    layer = broken_layer(config, data)

    @eqx.filter_jit
    @eqx.filter_vmap
    def one(model: MLP, calibration: Array, key: Array, fault_key: Array) -> Circuits:
        healthy = Network.from_weights(
            model.weights,
            model.biases,
            activation=model.activation,
            window=window,
            mapping=config.mapping,
            wires=wires,
            calibration=calibration,
            open_loop_gain=np.inf if config.gain is None else config.gain,
            v_min=None if config.rail is None else -config.rail,
            v_max=config.rail,
        )
        mask = random_mask(config.shape, key, config.coverage)
        hit = mask.mask(healthy.layers[layer].pairs.shape)
        defective = healthy.with_fault(
            layer, hit, config.make_fault(), fault_key, window=stuck_window
        )
        return Circuits(healthy, defective, hit)

    keys = keys_of(config, "defect"), keys_of(config, "fault")
    return one(models, data.images[data.parts.base], *keys)


@eqx.filter_jit
def output_voltages(networks: Network, images: Array) -> Array:
    """Output voltages of stacked networks, one after the other, (networks, images, classes) [V].

    In turn, not side by side: it compiles faster, runs faster (0.7 s against 1.9 s for 40 arrays)
    and takes 0.4 GB less.
    """
    arrays, static = eqx.partition(networks, eqx.is_array)
    return jax.lax.map(lambda leaves: eqx.combine(leaves, static)(images), arrays)


def solve_circuits(data: Data, circuits: Circuits) -> Voltages:
    """Output voltages of every image through the healthy and the defective circuits."""
    return Voltages(
        output_voltages(circuits.healthy, data.images),
        output_voltages(circuits.defective, data.images),
    )


def probe(data: Data, circuits: Circuits) -> Probe:
    """Cell voltages for one image and power for some, of the first seed's circuits."""
    images = data.images[data.parts.test[0, :PROBED]]
    both = jax.tree.map(lambda a, b: jnp.stack([a[0], b[0]]), circuits.healthy, circuits.defective)
    arrays, static = eqx.partition(both, eqx.is_array)

    @jax.jit
    def look(arrays: Network) -> Probe:
        def one(leaves: Network) -> Probe:
            layers = eqx.combine(leaves, static).solve(images)
            return Probe(
                jnp.stack([solution.p_total for _, solution in layers]),
                tuple(volts.v_in[0] for volts, _ in layers),
                tuple((solution.v_word - solution.v_bit)[..., 0] for _, solution in layers),
            )

        return jax.lax.map(one, arrays)

    return look(arrays)


def correct(config: DemoConfig, data: Data, voltages: Voltages) -> Corrector:
    """One corrector per seed, trained on the defective circuit's outputs for the corrector part."""
    part = data.parts.corrector
    return train_correctors(
        of_part(voltages.defective, part),
        data.labels[part],
        keys_of(config, "corrector"),
        hidden=config.corrector,
    )


def score(data: Data, models: MLP, voltages: Voltages, correctors: Corrector) -> Accuracies:
    """Everything on the test part, which trained nothing."""
    test = data.parts.test
    labels = data.labels[test]
    defective = of_part(voltages.defective, test)
    return Accuracies(
        software=accuracy(models(data.images[test]), labels),
        healthy=accuracy(of_part(voltages.healthy, test), labels),
        defective=accuracy(defective, labels),
        corrected=accuracy(correctors(defective), labels),
    )


def of_part(values: Array, part: Array | np.ndarray) -> Array:
    """The rows of a part, per seed: (seeds, images, ...) and (seeds, n) give (seeds, n, ...)."""
    return jax.vmap(lambda v, rows: v[rows])(values, jnp.asarray(part))
