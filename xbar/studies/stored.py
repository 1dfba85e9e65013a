"""What the demo puts into results.h5: enough to redo every number and figure from the file."""

from typing import Any

import numpy as np

from xbar.corrector import Corrector, predict
from xbar.data.circuits import corrector_fields, mlp_fields, network_fields
from xbar.data.store import Field
from xbar.mlp import MLP
from xbar.studies.demo import Accuracies, Circuits, Data, Probe, Voltages, of_part
from xbar.studies.references import References

SEED = "seed"


def groups(
    data: Data,
    models: MLP,
    circuits: Circuits,
    voltages: Voltages,
    probe: Probe,
    correctors: Corrector,
    accuracies: Accuracies,
    references: References,
) -> dict[str, Any]:
    """The groups of the demo's results, for `write_results`."""
    return {
        "data": _data(data),
        "software": mlp_fields(models, "software network"),
        "healthy": network_fields(circuits.healthy),
        "defective": network_fields(circuits.defective),
        "defect": {
            "hit": Field(circuits.hit, "1", (SEED, "input", "output"), "pairs that are stuck")
        },
        "voltages": {
            name: Field(values, "V", (SEED, "image", "class"), f"outputs of the {name} circuit")
            for name, values in voltages._asdict().items()
        },
        "probe": _probe(data, probe),
        "corrector": corrector_fields(correctors),
        "predictions": {"corrected": _predictions(data, voltages, correctors)},
        "accuracy": _accuracies(accuracies._asdict()),
        "references": _accuracies(references._asdict()),
    }


def _data(data: Data) -> dict[str, Any]:
    uses = {
        "base": "train the software network",
        "corrector": "train the corrector",
        "test": "score everything",
    }
    return {
        "name": data.dataset.name,
        "source": data.dataset.source,
        "images": Field(data.dataset.images, "1", ("image", "feature"), "inputs"),
        "labels": Field(data.dataset.labels, "1", ("image",), "class of each image"),
        **{
            part: Field(getattr(data.parts, part), "1", (SEED, "sample"), f"images that {use}")
            for part, use in uses.items()
        },
    }


def _probe(data: Data, probe: Probe) -> dict[str, Any]:
    circuit = "circuit"  # healthy, then defective
    images = np.asarray(data.parts.test)[0, : probe.power.shape[-1]]
    about = "power from the drivers into each array of the first seed: healthy, defective"
    fields: dict[str, Any] = {
        "images": Field(images, "1", ("probed",), "which images"),
        "power": Field(probe.power, "W", (circuit, "layer", "probed"), about),
    }
    for k, (v_rows, v_cells) in enumerate(zip(probe.v_rows, probe.v_cells, strict=True)):
        fields[f"layer_{k}"] = {
            "v_rows": Field(v_rows, "V", (circuit, "row"), "row voltages for the first image"),
            "v_cells": Field(v_cells, "V", (circuit, "row", "column"), "cell voltages for it"),
        }
    return fields


def _predictions(data: Data, voltages: Voltages, correctors: Corrector) -> Field:
    found = predict(correctors, of_part(voltages.defective, data.parts.test))
    return Field(found, "1", (SEED, "sample"), "classes of the test part by the corrector")


def _accuracies(accuracies: dict[str, Any]) -> dict[str, Any]:
    return {
        name: Field(np.asarray(values), "1", (SEED,), f"test accuracy, {name.replace('_', ' ')}")
        for name, values in accuracies.items()
    }
