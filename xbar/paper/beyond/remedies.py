"""Published remedies for a given fault map beside the corrector, on the same circuits."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from xbar.io.store import Field
from xbar.learn.mlp import MLP, accuracy
from xbar.paper.beyond.bench import Bench, benches, evenly, keys
from xbar.paper.beyond.following import multiply_adds
from xbar.paper.beyond.remapping import Places, importance, permuted, places
from xbar.paper.beyond.remedies_findings import (
    BOTH,
    CORRECTOR,
    ENSEMBLE,
    HEALTHY,
    LAYER,
    LINEAR,
    OUTPUTS,
    REMAPPED,
    REMAPPED_LINEAR,
    RETRAINED,
    UNCORRECTED,
    draw,
    find,
)
from xbar.paper.beyond.repaired import array_remedies, match, remapped_voltages
from xbar.paper.beyond.retraining import retrain
from xbar.paper.experiment import Experiment, Tables, column
from xbar.paper.lab import Lab
from xbar.run.config import CorrectorSettings
from xbar.run.readers import correct, corrector_parameters

MINIBATCH = 64


def compute(lab: Lab) -> Tables:
    """One row for each setting, remedy and seed; and what each remedy needs."""
    rows, needs = [], []
    for bench in benches(lab):
        found = lab.kept(f"remedies-{bench.layer}", lambda b=bench: _accuracies(lab, b))
        rows += [
            (bench.name, name, seed, value)
            for name, values in found.items()
            for seed, value in zip(bench.seeds.tolist(), values, strict=True)
        ]
        needs += [(bench.name, name, *_needs(lab, bench, name)) for name in found]
    setting, remedy, seed, value = zip(*rows, strict=True)
    return {
        "accuracy": {
            "setting": column(setting, "1", "layer that is broken"),
            "remedy": column(remedy, "1", "what is done"),
            "seed": column(seed, "1", "repetition"),
            "accuracy": column(value, "1", "test accuracy"),
        },
        "needs": _needs_table(needs),
    }


def _accuracies(lab: Lab, bench: Bench) -> dict[str, np.ndarray]:
    """Test accuracy with each remedy, (seeds,) each."""
    settings = lab.settings
    labels = bench.defective.test_y
    volts = {
        UNCORRECTED: bench.defective.test_v,
        OUTPUTS: jax.vmap(match)(
            bench.defective.test_v, bench.defective.train_v, bench.undamaged.train_v
        ),
    }
    count = max(settings.beyond.spares)
    arrays = array_remedies(lab, bench, count)
    if bench.layer < len(settings.hidden):  # in the last layer these are the outputs' statistics
        volts[LAYER] = bench.read(arrays["statistics"]).test_v
    for m in settings.beyond.spares:
        volts[ENSEMBLE.format(m)] = bench.read(arrays["ensemble"][m - 1]).test_v
    lab.stages.check()
    at = [_places(bench, number) for number in range(len(bench.seeds))]
    moved = _moved(bench, at)
    remapped = _solved(lab, bench, moved, at)
    volts[REMAPPED] = bench.read(remapped).test_v
    stay = [Places(np.arange(len(p.rows)), np.arange(len(p.columns)), 0.0) for p in at]
    for name, models, where in ((RETRAINED, bench.software, stay), (BOTH, moved, at)):
        models = _retrained(lab, bench, models, where)
        volts[name] = bench.read(_solved(lab, bench, models, where)).test_v
        lab.stages.check()
    found = {name: np.asarray(accuracy(v, labels)) for name, v in volts.items()}
    linear, small = CorrectorSettings((), steps=settings.steps), _small(lab)
    for name, reader, read in (
        (LINEAR, linear, bench.defective),
        (CORRECTOR, small, bench.defective),
        (REMAPPED_LINEAR, linear, bench.read(remapped)),
    ):
        starts = keys(settings.seed, reader.label, bench.seeds)
        found[name] = np.asarray(
            correct(reader, read, starts, evenly(lab.how, len(starts))).accuracy
        )
    return found | {HEALTHY: np.asarray(accuracy(bench.undamaged.test_v, labels))}


def _small(lab: Lab) -> CorrectorSettings:
    return CorrectorSettings((14,), steps=lab.settings.steps, batch_size=MINIBATCH)


def _one(models: MLP, number: int) -> MLP:
    return jax.tree.map(lambda x: x[number], models)


def _places(bench: Bench, number: int) -> Places:
    images = bench.run.images[bench.parts["base"][number]]
    d = importance(_one(bench.software, number), images, bench.layer)
    return places(d, bench.hit[number])


def _moved(bench: Bench, at: list[Places]) -> MLP:
    """The software networks with their neurons at other places."""
    each = [permuted(_one(bench.software, n), bench.layer, p) for n, p in enumerate(at)]
    return jax.tree.map(lambda *x: jnp.stack(x), *each)


def _solved(lab: Lab, bench: Bench, models: MLP, at: list[Places]) -> np.ndarray:
    """Output voltages of moved networks on the broken arrays, outputs in the classes' order [V]."""
    inputs = np.stack([p.rows for p in at]) if bench.layer == 0 else None
    volts = remapped_voltages(lab, bench, models, inputs)
    if bench.layer < len(models.weights) - 1:
        return volts
    back = np.stack([np.argsort(p.columns) for p in at])
    return np.take_along_axis(volts, back[:, None], 2)


def _retrained(lab: Lab, bench: Bench, models: MLP, at: list[Places]) -> MLP:
    """Networks trained on around the stuck pairs, with the labels of base and corrector part."""
    more = np.concatenate([bench.parts["base"], bench.parts["corrector"]], axis=-1)
    x, y = bench.run.images[more], bench.run.labels[more]
    if bench.layer == 0:
        x = np.take_along_axis(x, np.stack([p.rows for p in at])[:, None], 2)
    if bench.layer == len(models.weights) - 1:  # classes sit where their outputs do
        y = np.take_along_axis(np.stack([np.argsort(p.columns) for p in at]), y, 1)
    starts = keys(lab.settings.seed, "retrain known", bench.seeds)
    x, y, hit = jnp.asarray(x), jnp.asarray(y), jnp.asarray(bench.hit)
    return retrain(models, bench.layer, hit, x, y, starts, lab.settings.beyond.retrain_steps)


class Needs(NamedTuple):
    """What a remedy needs to know, and what it costs.

    Args:
        fault_map: which pairs are stuck.
        weights: of the network.
        labels: labelled images.
        voltages: images that only have to be read by the broken and a healthy circuit.
        arrays: more arrays.
        programmed: arrays that are programmed anew.
        digital: multiply-adds behind the circuit, for each image.
        training: multiply-adds of training, in all.
    """

    fault_map: bool = False
    weights: bool = False
    labels: int = 0
    voltages: int = 0
    arrays: int = 0
    programmed: int = 0
    digital: int = 0
    training: int = 0


def _needs(lab: Lab, bench: Bench, name: str) -> Needs:
    settings = lab.settings
    layers, outputs = len(settings.hidden) + 1, bench.defective.test_v.shape[-1]
    n = bench.parts["corrector"].shape[-1]
    more = n + bench.parts["base"].shape[-1]
    around = len([k for k in range(layers) if abs(k - bench.layer) <= 1])
    network = bench.software.parameter_count
    retraining = multiply_adds(network, 32, settings.beyond.retrain_steps)
    linear = outputs * outputs
    small = corrector_parameters(_small(lab), outputs) - outputs - 14
    width = bench.hit.shape[-1]
    of_linear = {"labels": n, "digital": linear}
    of_linear["training"] = multiply_adds(linear, n, settings.steps)
    retrained = Needs(True, True, more, programmed=layers, training=retraining)
    known = {
        UNCORRECTED: Needs(),
        HEALTHY: Needs(),
        OUTPUTS: Needs(voltages=n, digital=outputs),
        LAYER: Needs(voltages=n, digital=width),
        REMAPPED: Needs(True, True, programmed=around),
        RETRAINED: retrained,
        BOTH: retrained,
        LINEAR: Needs(**of_linear),
        REMAPPED_LINEAR: Needs(True, True, programmed=around, **of_linear),
        CORRECTOR: Needs(
            labels=n, digital=small, training=multiply_adds(small, MINIBATCH, settings.steps)
        ),
    }
    for m in settings.beyond.spares:
        known[ENSEMBLE.format(m)] = Needs(weights=True, arrays=m - 1, programmed=m - 1)
    return known[name]


def _needs_table(rows: list[tuple]) -> dict[str, Field]:
    names = ("setting", "remedy", *Needs._fields)
    about = (
        "layer that is broken",
        "what is done",
        "knows which pairs are stuck",
        "knows the network's weights",
        "labelled images",
        "images read without labels, by the broken and a healthy circuit",
        "spare arrays",
        "arrays programmed (anew)",
        "digital multiply-adds for each image",
        "multiply-adds of training",
    )
    columns = zip(names, zip(*rows, strict=True), about, strict=True)
    return {name: column(values, "1", text) for name, values, text in columns}


EXPERIMENT = Experiment(
    name="remedies",
    title="Other remedies on the same circuits",
    question="How does a corrector compare with remedies that know the fault map, the weights or "
    "have spare arrays?",
    method="A circle of stuck-on pairs in the output layer or in a hidden layer; every remedy on "
    "the same circuits, each solved exactly after it. Retraining holds stuck pairs at weight 0 and "
    "takes the gradient of the ideal circuit, with the labels of the base and the corrector part. "
    "Sorted remapping moves the neurons before and behind the broken layer so that important "
    "weights avoid stuck pairs (an assignment problem for the rows, then for the columns, until "
    "nothing falls); in the output layer the classes change places. Output statistics scale and "
    "shift each output voltage to the healthy circuit's mean and spread; layer statistics do it "
    "with the amplifiers of the broken layer. An ensemble averages the amplifier voltages of "
    "arrays with the same weights and circles elsewhere.",
    compute=compute,
    draw=draw,
    find=find,
    open_points="The paper compares its corrector with no other remedy.",
    section="beyond",
)
