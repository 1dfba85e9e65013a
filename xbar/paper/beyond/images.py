"""How many labelled images does a corrector need? From one of each class to all there are."""

from typing import Any

import jax
import numpy as np

from xbar.learn.corrector import nearest_neighbour_accuracy
from xbar.learn.mlp import accuracy
from xbar.paper.beyond.bench import Bench, benches, by_class, evenly, first_of, keys
from xbar.paper.beyond.images_findings import NEAREST, draw, find
from xbar.paper.experiment import Experiment, Tables, column
from xbar.paper.lab import Lab
from xbar.run.config import CorrectorSettings
from xbar.run.readers import NEIGHBOURS, Labelled, correct, corrector_parameters

MINIBATCH = 64  # where there are more; a third of the time, and no measurable cost at these sizes


def readers(steps: int) -> tuple[CorrectorSettings, ...]:
    """The correctors that are compared."""
    return (
        CorrectorSettings((), "bias only", bias_only=True, steps=steps),
        CorrectorSettings((), "linear", steps=steps),
        CorrectorSettings((8,), "10-8-10", steps=steps, batch_size=MINIBATCH),
        CorrectorSettings((14,), "10-14-10", steps=steps, batch_size=MINIBATCH),
        CorrectorSettings((143,), "10-143-10", steps=steps, batch_size=MINIBATCH),
    )


def compute(lab: Lab) -> Tables:
    """Accuracy of every reader with every number of images, and the circuits themselves."""
    rows, circuits = [], []
    for bench in benches(lab):
        known = accuracy(bench.defective.test_v, bench.defective.test_y)
        healthy = accuracy(bench.undamaged.test_v, bench.undamaged.test_y)
        circuits += [
            (bench.name, *row)
            for row in zip(bench.seeds.tolist(), known.tolist(), healthy.tolist(), strict=True)
        ]
        every = bench.parts["corrector"].shape[-1]
        for count in (*(n for n in lab.settings.beyond.label_counts if n < every), every):
            name = f"images-{bench.layer}-{count}"
            found = lab.kept(name, lambda b=bench, n=count: _read(lab, b, n))
            for reader, values in found.items():
                parameters = _parameters(lab, reader, bench)
                for seed, value in zip(bench.seeds, values, strict=True):
                    rows.append((bench.name, count, reader, parameters, seed, value))
    setting, count, reader, parameters, seed, value = zip(*rows, strict=True)
    names, seeds, defective, healthy = zip(*circuits, strict=True)
    return {
        "accuracy": {
            "setting": column(setting, "1", "layer that is broken"),
            "images": column(count, "1", "labelled images that train"),
            "reader": column(reader, "1", "what reads the output voltages"),
            "parameters": column(parameters, "1", "trained parameters; 0 for neighbours"),
            "seed": column(seed, "1", "repetition"),
            "accuracy": column(value, "1", "test accuracy"),
        },
        "circuits": {
            "setting": column(names, "1", "layer that is broken"),
            "seed": column(seeds, "1", "repetition"),
            "defective": column(defective, "1", "test accuracy, uncorrected"),
            "healthy": column(healthy, "1", "test accuracy of the healthy circuit"),
        },
    }


def _read(lab: Lab, bench: Bench, count: int) -> dict[str, np.ndarray]:
    """Accuracies of all readers that learn from so many images, (seeds,) each."""
    volts, seed = bench.defective, lab.settings.seed
    order = jax.vmap(by_class)(volts.train_y, keys(seed, "images", bench.seeds))
    train = first_of(volts.train_v, volts.train_y, order, count)
    few = Labelled(*train, volts.test_v, volts.test_y)
    how, found = evenly(lab.how, len(bench.seeds)), {}
    for settings in readers(lab.settings.steps):
        starts = keys(seed, settings.label, bench.seeds)
        found[settings.label] = np.asarray(correct(settings, few, starts, how).accuracy)
        lab.stages.check()
    k = min(NEIGHBOURS, max(1, count // few.test_v.shape[-1]))
    return found | {NEAREST: np.asarray(nearest_neighbour_accuracy(*few, k))}


def _parameters(lab: Lab, reader: str, bench: Bench) -> int:
    outputs = bench.defective.test_v.shape[-1]
    known: dict[str, Any] = {
        s.label: corrector_parameters(s, outputs) for s in readers(lab.settings.steps)
    }
    return known.get(reader, 0)


EXPERIMENT = Experiment(
    name="images",
    title="Few labelled images",
    question="How many labelled images does a corrector need, and which corrector learns best from "
    "few?",
    method="The same defective circuits are read by correctors trained on the first images of one "
    "random order, in which each class comes equally often; all other settings are those of the "
    "other experiments, chosen for all images. Same circuits, images and test part for all "
    f"readers. Nearest neighbours are {NEIGHBOURS}, or as many as there are images of each class.",
    compute=compute,
    draw=draw,
    find=find,
    section="beyond",
)
