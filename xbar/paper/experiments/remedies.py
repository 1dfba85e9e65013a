"""Published remedies for a given fault map beside the corrector, on the same circuits."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from xbar.learn.mlp import MLP
from xbar.paper import charts
from xbar.paper.circuits import (
    Circuits,
    broken_circuits,
    output_voltages,
    with_stuck_pairs,
)
from xbar.paper.correctors import Recipe, Samples, train
from xbar.paper.experiment import TEXTS, Experiment, Findings
from xbar.paper.remapping import Assignment, importance, permuted, places
from xbar.paper.repaired import ensembles, in_order, match, remapped, retrain
from xbar.paper.tables import Tables, cells, long, per_seed, percent, points, summary
from xbar.paper.workspace import Workspace

UNCORRECTED, HEALTHY, OUTPUTS = "uncorrected", "healthy circuit", "output statistics"
REMAPPED, RETRAINED, BOTH = "sorted remapping", "retraining", "remapping and retraining"
LINEAR, CORRECTOR, ENSEMBLE = "linear corrector", "corrector", "ensemble of {}"
REMAPPED_LINEAR, MORE = "remapping and linear corrector", "healthy network retrained"


def named(remedy: str, labels: int) -> str:
    """A remedy that learns, with the number of its labels."""
    return f"{remedy}, {labels} labels"


def compute(work: Workspace) -> Tables:
    """One row for each setting, remedy and seed."""
    frames = []
    for circuits in broken_circuits(work):
        found = work.kept(f"remedies-{circuits.name}", lambda c=circuits: _accuracies(work, c))
        values = {"accuracy": np.stack(list(found.values()))}
        frame = long(values, remedy=list(found), seed=circuits.seeds)
        frames.append(frame.assign(setting=circuits.name))
    return {"accuracy": pd.concat(frames, ignore_index=True)}


def _parts(circuits: Circuits) -> dict[int, np.ndarray]:
    """Images by their number: the corrector's part, and with it the base network's."""
    few = circuits.parts["corrector"]
    every = np.concatenate([circuits.parts["base"], few], axis=-1)
    return {part.shape[-1]: part for part in (few, every)}


def _accuracies(work: Workspace, circuits: Circuits) -> dict[str, np.ndarray]:
    """Test accuracy with each remedy, (seeds,) each."""
    broken, healthy, layer = circuits.defective, circuits.undamaged, circuits.layer
    models = [
        jax.tree.map(lambda x, n=n: x[n], circuits.software) for n in range(len(circuits.rows))
    ]
    stay = [Assignment(np.arange(h.shape[0] - 1), np.arange(h.shape[1]), 0.0) for h in circuits.hit]
    base = zip(models, circuits.images(circuits.parts["base"]), circuits.hit, strict=True)
    at = [places(importance(model, x, layer), hit) for model, x, hit in base]
    moved = [permuted(model, layer, p) for model, p in zip(models, at, strict=True)]
    moved = jax.tree.map(lambda *leaves: jnp.stack(leaves), *moved)
    resorted = _solved(work, circuits, moved, at, circuits.hit)
    matched = jax.vmap(match)(*map(jnp.asarray, (broken.test_v, broken.train_v, healthy.train_v)))
    found = {
        UNCORRECTED: broken,
        HEALTHY: healthy,
        OUTPUTS: broken._replace(test_v=matched),
        REMAPPED: resorted,
    }
    means = ensembles(work, circuits, max(work.settings.spares))
    for m in work.settings.spares:
        found[ENSEMBLE.format(m)] = circuits.split(means[m - 1])
    none, (few, every) = np.zeros_like(circuits.hit), _parts(circuits)
    for name, start, where, hit, labels in (
        (RETRAINED, circuits.software, stay, circuits.hit, few),
        (RETRAINED, circuits.software, stay, circuits.hit, every),
        (BOTH, moved, at, circuits.hit, few),
        (BOTH, moved, at, circuits.hit, every),
        (MORE, circuits.software, stay, none, every),
    ):
        learned = _retrained(work, circuits, start, where, hit, labels)
        found[named(name, labels)] = _solved(work, circuits, learned, where, hit)
    accuracies = {name: volts.uncorrected for name, volts in found.items()}
    return accuracies | _corrected(work, circuits, resorted)


def _corrected(work: Workspace, circuits: Circuits, moved: Samples) -> dict[str, np.ndarray]:
    """Correctors on few and on all labels, and behind a remapping."""
    steps, found = work.settings.steps, {}
    recipes = {LINEAR: Recipe((), steps=steps, batch=None), CORRECTOR: Recipe(steps=steps)}
    networks = with_stuck_pairs(circuits.healthy, circuits.layer, circuits.hit)
    for labels, part in _parts(circuits).items():
        volts = output_voltages(work, networks, circuits.images(part))
        read = circuits.defective._replace(train_v=volts, train_y=circuits.run.labels[part])
        for name, recipe in recipes.items():
            keys = work.keys(name, circuits.seeds)
            found[named(name, labels)] = train(work, recipe, read, keys).accuracy
    keys, few = work.keys(LINEAR, circuits.seeds), moved.train_y.shape[-1]
    behind = train(work, recipes[LINEAR], moved, keys).accuracy
    return found | {named(REMAPPED_LINEAR, few): behind}


def _inputs(circuits: Circuits, at: list[Assignment]) -> np.ndarray | None:
    return np.stack([p.rows for p in at]) if circuits.layer == 0 else None


def _solved(
    work: Workspace, circuits: Circuits, models: MLP, at: list[Assignment], hit: np.ndarray
) -> Samples:
    """Output voltages of moved networks on the arrays, outputs in the classes' order [V]."""
    inputs = _inputs(circuits, at)
    networks = remapped(circuits, models, hit, inputs)
    volts = output_voltages(work, networks, in_order(circuits.images(), inputs))
    if circuits.layer == len(models.weights) - 1:
        back = np.stack([np.argsort(p.columns) for p in at])
        volts = np.take_along_axis(volts, back[:, None], 2)
    return circuits.split(volts)


def _retrained(
    work: Workspace,
    circuits: Circuits,
    models: MLP,
    at: list[Assignment],
    hit: np.ndarray,
    labels: int,
) -> MLP:
    """Networks trained on around the stuck pairs, with so many labels."""
    part = _parts(circuits)[labels]
    x, y = in_order(circuits.images(part), _inputs(circuits, at)), circuits.run.labels[part]
    if circuits.layer == len(models.weights) - 1:  # classes sit where their outputs do
        y = np.take_along_axis(np.stack([np.argsort(p.columns) for p in at]), y, 1)
    keys, steps = work.keys("retrain known", circuits.seeds), work.settings.retrain_steps
    x, y, stuck = map(jnp.asarray, (x, y, hit))
    return retrain(models, circuits.layer, stuck, x, y, keys, steps)


def find(tables: Tables) -> Findings:
    """Each remedy beside the corrector, and how they compare at equal labels."""
    table = tables["accuracy"]
    each = per_seed(table, "accuracy", "setting", "remedy")
    counts = table["remedy"].str.extract(r", (\d+) labels")[0].dropna().unique()
    settings, labels = list(table["setting"].unique()), sorted(map(int, counts))
    wide = {s: each.loc[s].unstack("remedy") for s in settings}
    first, equal = wide[settings[0]], _equal(each, labels)
    facts = {
        **_gained(equal, {"gain": settings[0], "hidden": settings[1]}, labels),
        "corrector": percent(first[named(CORRECTOR, labels[0])]),
        "retrained": percent(first[named(RETRAINED, labels[-1])]),
        "few": str(labels[0]),
        "labels": f"{labels[-1]:,}",
        "hidden_corrector": percent(wide[settings[1]][named(CORRECTOR, labels[0])]),
        "hidden_retrained": percent(wide[settings[1]][named(RETRAINED, labels[-1])]),
    }
    order = each.groupby(level="remedy").mean().sort_values().index
    ranked = [UNCORRECTED, *(n for n in order if n not in (UNCORRECTED, HEALTHY)), HEALTHY]
    found = summary(each).swaplevel().loc[ranked]
    figure = charts.intervals(found, "remedy", "setting", label="test accuracy [%]")
    needs = pd.Series(TEXTS["remedies"]["needs"], name="needs").rename_axis("remedy").to_frame()
    shown = {
        "equal": cells(equal, "setting"),
        "accuracy": cells(found, "setting", ".1f"),
        "needs": needs,
    }
    return Findings(facts, {}, shown, {"remedies": figure})


def _equal(each: pd.Series, labels: list[int]) -> pd.DataFrame:
    """Remedies that learn from as many labels as the corrector, minus the corrector."""
    found, wide = {}, each.unstack("remedy")
    for count in labels:
        mine = named(CORRECTOR, count)
        for name in wide:
            if str(name).endswith(f", {count} labels") and name != mine and mine in wide:
                found[str(name)] = summary((wide[name] - wide[mine]).dropna())
    return pd.concat(found, names=["remedy"])


def _gained(equal: pd.DataFrame, where: dict[str, str], labels: list[int]) -> dict[str, str]:
    """Retraining minus the corrector, by words for the setting and the number of labels."""
    return {
        f"{name}_{words}": points(equal.loc[key])
        for name, setting in where.items()
        for words, count in (("few", labels[0]), ("many", labels[-1]))
        if (key := (named(RETRAINED, count), setting)) in equal.index
    }


EXPERIMENT = Experiment("remedies", compute, find)
