"""What a corrector is to be compared with: references on the same voltages, and controls."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xbar.corrector import Corrector, nearest_neighbour_accuracy, train_correctors
from xbar.mlp import MLP, accuracy
from xbar.statistics import paired_interval, t_interval
from xbar.studies.demo import (
    Data,
    DemoConfig,
    Voltages,
    build,
    keys_of,
    of_part,
    output_voltages,
    retrain,
)

LARGE = (143,)  # 3,013 parameters with ten outputs, as the largest corrector of the paper
NEIGHBOURS = 5

MAIN = "trained on the defective circuit's voltages for labelled images"
ABOUT = {
    "bias only": "one number added to each output voltage",
    "linear": "a linear map of the output voltages",
    "large": f"one hidden layer of {LARGE[0]} units, on the same voltages: what can be had",
    "nearest neighbours": f"vote of the {NEIGHBOURS} nearest labelled voltages: what can be had",
    "trained on healthy": "the corrector, trained on the healthy circuit's voltages for the same "
    "images, used on the defective circuit's",
    "retrained network": "no corrector: the software network trained on with the labels of the "
    "base and the corrector part, mapped anew, the same pairs stuck; the fault is not known",
}


class References(NamedTuple):
    """Test accuracies per seed of everything beside the corrector, (seeds,) each."""

    bias_only: Array
    linear: Array
    large: Array
    nearest_neighbours: Array
    trained_on_healthy: Array
    retrained_network: Array


def measure(config: DemoConfig, data: Data, models: MLP, voltages: Voltages) -> References:
    """Train and score everything that the corrector is compared with, on the same test part."""
    train, test = data.parts.corrector, data.parts.test
    train_y, test_y = data.labels[train], data.labels[test]
    train_v, test_v = (of_part(voltages.defective, part) for part in (train, test))
    keys = keys_of(config, "corrector")

    def score(trained_on: Array, hidden: tuple[int, ...] | None, **options: Any) -> Array:
        fitted = train_correctors(trained_on, train_y, keys, hidden=hidden, **options)
        return accuracy(fitted(test_v), test_y)

    return References(
        bias_only=score(train_v, None),
        linear=score(train_v, ()),
        # Minibatches: a third of the time, and no measurable cost at this size.
        large=score(train_v, LARGE, batch_size=64),
        nearest_neighbours=nearest_neighbour_accuracy(
            train_v, train_y, test_v, test_y, min(NEIGHBOURS, train_v.shape[1])
        ),
        trained_on_healthy=score(of_part(voltages.healthy, train), config.corrector),
        retrained_network=_retrained(config, data, models, test_y),
    )


def _retrained(config: DemoConfig, data: Data, models: MLP, test_y: Array) -> Array:
    again = retrain(config, data, models)
    circuits = build(config, data, again)  # the keys are the same, hence the pairs that are hit
    volts = output_voltages(circuits.defective, data.images)
    return accuracy(of_part(volts, data.parts.test), test_y)


def table(
    found: Mapping[str, Any], corrected: Any, corrector: Corrector, network_parameters: int
) -> dict[str, dict[str, Any]]:
    """The corrector and everything beside it, as `summary.json` holds it.

    Args:
        found: accuracies per seed by name, as in `References`, (seeds,) each.
        corrected: those of the corrector, (seeds,).
        corrector: the trained correctors.
        network_parameters: of the software network.

    Returns:
        By name: parameters (None where they do not describe it), accuracy and ci95, difference
        to the corrector on the same seeds and its ci95, and what it is.
    """
    outputs = corrector.mean.shape[-1]
    head = jax.eval_shape(lambda: Corrector.init(jax.random.key(0), jnp.zeros((1, outputs)), LARGE))
    parameters = {
        "bias only": outputs,
        "linear": outputs * (outputs + 1),
        "large": head.parameter_count,
        "nearest neighbours": None,
        "trained on healthy": corrector.parameter_count,
        "retrained network": network_parameters,
    }
    rows = {"corrector": _row(corrected, corrected, corrector.parameter_count, MAIN)}
    for name, about in ABOUT.items():
        values = found[name.replace(" ", "_")]
        rows[name] = _row(values, corrected, parameters[name], about)
    return rows


def _row(values: Any, corrected: Any, parameters: int | None, about: str) -> dict[str, Any]:
    mean, half, _ = t_interval(np.asarray(values))
    difference, half_difference, _ = paired_interval(np.asarray(values), np.asarray(corrected))
    return {
        "parameters": parameters,
        "accuracy": mean,
        "ci95": half,
        "difference": difference,
        "difference_ci95": half_difference,
        "about": about,
    }
