"""The main job on real digits: train, map, break, solve, correct; many seeds at once."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xbar.corrector import Corrector, train_correctors
from xbar.crossbar import Wires
from xbar.data.digits import Dataset, Split, load_digits, split_many
from xbar.defects import StuckPair, random_mask
from xbar.mapping import Window
from xbar.mlp import MLP, accuracy, fit_many
from xbar.network import Network
from xbar.statistics import t_interval


@dataclass(frozen=True)
class DemoConfig:
    """Everything that fixes the demo's numbers.

    Args:
        seed: of all randomness.
        seeds: repetitions: base network, defect placement, split and corrector of each their own.
        hidden: hidden layers of the base network.
        window: preset name of the devices' conductance range.
        wire_ohm: resistance of every wire segment [ohm].
        layer: the array that is broken; 3 is the output layer.
        shape: the defect's shape.
        coverage: fraction of the array that the shape covers.
        stuck: where both cells of a hit pair are stuck, "on" or "off".
        corrector: hidden layers of the corrector.
    """

    seed: int = 0
    seeds: int = 8
    hidden: tuple[int, ...] = (50, 20, 8)
    window: str = "mnsim"
    wire_ohm: float = 1.0
    layer: int = 3
    shape: str = "circle"
    coverage: float = 0.35
    stuck: str = "on"
    corrector: tuple[int, ...] = (14,)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)


class Data(NamedTuple):
    """The digits and every seed's three parts of them."""

    digits: Dataset
    parts: Split  # (seeds, n_part)

    @property
    def images(self) -> Array:
        """All images, (images, features)."""
        return jnp.asarray(self.digits.images)

    @property
    def labels(self) -> Array:
        """All labels, (images,)."""
        return jnp.asarray(self.digits.labels)


class Circuits(NamedTuple):
    """The circuits of all seeds, stacked."""

    healthy: Network
    defective: Network
    hit: Array  # (seeds, inputs + 1, outputs): pairs of the broken layer


class Voltages(NamedTuple):
    """Output voltages of every image, (seeds, images, classes) [V]."""

    healthy: Array
    defective: Array


class Accuracies(NamedTuple):
    """Test accuracies per seed, (seeds,) each."""

    software: Array
    healthy: Array
    defective: Array
    corrected: Array


def keys_of(config: DemoConfig, purpose: str) -> Array:
    """One JAX key per seed for one purpose; purposes do not share randomness."""
    purposes = ("split", "init", "fit", "defect", "corrector")
    root = jax.random.fold_in(jax.random.key(config.seed), purposes.index(purpose))
    return jax.random.split(root, config.seeds)


def load(config: DemoConfig) -> Data:
    """The digits, split once per seed."""
    digits = load_digits()
    return Data(digits, split_many(digits.labels, keys_of(config, "split")))


def sizes(config: DemoConfig, data: Data) -> tuple[int, ...]:
    """Units per layer of the base network."""
    return (data.digits.n_features, *config.hidden, data.digits.n_classes)


def train(config: DemoConfig, data: Data) -> MLP:
    """One software network per seed, trained on its base part."""
    models = eqx.filter_vmap(lambda key: MLP.init(key, sizes(config, data)))(
        keys_of(config, "init")
    )
    base = data.parts.base
    return fit_many(models, data.images[base], data.labels[base], keys=keys_of(config, "fit"))


def build(config: DemoConfig, data: Data, models: MLP) -> Circuits:
    """Map every network to arrays and put the defect into one of them."""
    wires = Wires(word_line=config.wire_ohm, bit_line=config.wire_ohm)
    window = Window.preset(config.window)

    @eqx.filter_jit
    @eqx.filter_vmap
    def one(model: MLP, calibration: Array, key: Array) -> Circuits:
        healthy = Network.from_weights(
            model.weights,
            model.biases,
            activation=model.activation,
            window=window,
            wires=wires,
            calibration=calibration,
        )
        mask = random_mask(config.shape, key, config.coverage)
        hit = mask.mask(healthy.layers[config.layer].pairs.shape)
        return Circuits(
            healthy, healthy.with_fault(config.layer, hit, StuckPair(config.stuck)), hit
        )

    return one(models, data.images[data.parts.base], keys_of(config, "defect"))


def solve_circuits(config: DemoConfig, data: Data, circuits: Circuits) -> Voltages:
    """Output voltages of every image through the healthy and the defective circuits.

    The two differ in one array: the others are solved once.
    """

    @eqx.filter_jit
    @eqx.filter_vmap
    def one(healthy: Network, defective: Network) -> Voltages:
        transfers = list(healthy.transfers())
        before = healthy.apply(transfers, data.images)
        transfers[config.layer] = defective.layers[config.layer].transfer()
        return Voltages(before, defective.apply(transfers, data.images))

    return one(circuits.healthy, circuits.defective)


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


def summary(
    config: DemoConfig, data: Data, accuracies: Accuracies, correctors: Corrector, wall_s: float
) -> dict[str, Any]:
    """The headline figures, as `summary.json` holds them."""
    means = {name: t_interval(np.asarray(values)) for name, values in accuracies._asdict().items()}
    return {
        "accuracy": {name: ci.mean for name, ci in means.items()},
        "ci95": {name: ci.half_width for name, ci in means.items()},
        "defect": (
            f"{config.shape} over {config.coverage:.0%} of the array, "
            f"both cells of a pair stuck-{config.stuck}"
        ),
        "layer": config.layer,
        "seed": config.seed,
        "seeds": config.seeds,
        "network": "-".join(str(size) for size in sizes(config, data)),
        "corrector_parameters": correctors.parameter_count,
        "test_images": int(data.parts.test.shape[-1]),
        "wall_s": round(wall_s, 1),
    }
