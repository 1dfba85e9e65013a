"""How many labelled images does a corrector need? From one of each class to all there are."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from xbar.learn.corrector import nearest_neighbour_accuracy
from xbar.paper import charts
from xbar.paper.circuits import NEIGHBOURS, Circuits, broken_circuits
from xbar.paper.correctors import Recipe, by_class, train
from xbar.paper.experiment import Experiment, Findings
from xbar.paper.tables import (
    Tables,
    cells,
    chosen,
    interval,
    long,
    mean,
    per_seed,
    percent,
    points,
    summary,
)
from xbar.paper.workspace import Workspace

VOTES = 5  # nearest neighbours, or as many as there are images of each class
LINEAR, MAIN = "linear", "10-14-10"


def compute(work: Workspace) -> Tables:
    """Accuracy of every reader with every number of images, and the circuits themselves."""
    frames, known = [], []
    for circuits in broken_circuits(work):
        every = circuits.parts["corrector"].shape[-1]
        for count in (*(n for n in work.settings.label_counts if n < every), every):
            name = f"labels-{circuits.name}-{count}"
            found = work.kept(name, lambda c=circuits, n=count: _read(work, c, n))
            values = {"accuracy": np.stack(list(found.values()))}
            frame = long(values, reader=list(found), seed=circuits.seeds)
            frames.append(frame.assign(setting=circuits.name, images=count))
        before = circuits.defective.uncorrected, circuits.undamaged.uncorrected
        frame = long(dict(zip(("defective", "healthy"), before, strict=True)), seed=circuits.seeds)
        known.append(frame.assign(setting=circuits.name))
    return {
        "accuracy": pd.concat(frames, ignore_index=True),
        "circuits": pd.concat(known, ignore_index=True),
    }


def _read(work: Workspace, circuits: Circuits, count: int) -> dict[str, np.ndarray]:
    """Accuracies of all readers that learn from so many images, (seeds,) each."""
    volts, steps = circuits.defective, work.settings.steps
    keys = work.keys("images", circuits.seeds)
    order = np.asarray(jax.vmap(by_class)(jnp.asarray(volts.train_y), keys))[:, :count]
    few = volts._replace(
        train_v=np.take_along_axis(volts.train_v, order[..., None], 1),
        train_y=np.take_along_axis(volts.train_y, order, 1),
    )
    recipes = {
        "bias only": Recipe(None, steps=steps, batch=None),
        LINEAR: Recipe((), steps=steps, batch=None),
        "10-8-10": Recipe((8,), steps=steps),
        MAIN: Recipe((14,), steps=steps),
        "10-143-10": Recipe((143,), steps=steps),
    }
    found = {
        name: train(work, recipe, few, work.keys(name, circuits.seeds)).accuracy
        for name, recipe in recipes.items()
    }
    k = min(VOTES, max(1, count // volts.test_v.shape[-1]))
    train_v, train_y, test_v, test_y = map(jnp.asarray, few)
    votes = nearest_neighbour_accuracy(train_v, train_y, test_v, test_y, k)
    return found | {NEIGHBOURS: np.asarray(votes)}


def find(tables: Tables) -> Findings:
    """What few images give, and how many come near all of them."""
    table, known = tables["accuracy"], tables["circuits"]
    settings = list(table["setting"].unique())
    counts = sorted(map(int, table["images"].unique()))
    by = {name: chosen(table, reader=name) for name in (LINEAR, MAIN)}
    linear, main = (per_seed(part, "accuracy", "setting", "images") for part in by.values())
    gap = summary(linear - main)["mean"]
    first = chosen(by[LINEAR], setting=settings[0], images=counts[0])
    facts = {
        "least": f"{gap.min():+.1f}",
        "most": f"{gap.max():+.1f}",
        "first": str(counts[0]),
        "few": percent(per_seed(first, "accuracy")),
        "output": _few(by[LINEAR], known, settings[0], counts),
        "hidden": _few(by[LINEAR], known, settings[1], counts),
    }
    found = summary(per_seed(table, "accuracy", "images", "reader", "setting"))
    columns = {"healthy": "healthy", "uncorrected": "defective"}
    levels = {
        setting: {w: mean(part, c) for w, c in columns.items()}
        for setting, part in known.groupby("setting")
    }
    labels = ("labelled images that train the corrector", "test accuracy [%]")
    look = {"labels": labels, "levels": levels, "log": True}
    figure = charts.curves(found, "images", "reader", "setting", **look)
    shown = cells(found.reorder_levels(["setting", "reader", "images"]), "images", ".1f")
    return Findings(facts, {}, {"accuracy": shown}, {"curve": figure})


def _few(linear: pd.DataFrame, known: pd.DataFrame, setting: str, counts: list[int]) -> str:
    rows = chosen(linear, setting=setting)
    each = {n: per_seed(chosen(rows, images=n), "accuracy") for n in counts}
    before = per_seed(chosen(known, setting=setting), "defective")
    first, last = each[counts[0]], each[counts[-1]]
    near = min(n for n in counts if interval(last - each[n]).mean <= 2)
    enough = f"{near} are" if near < counts[-1] else "no fewer are"
    return (
        f"Broken {setting} ({percent(before)} uncorrected): {counts[0]} labelled images give the "
        f"linear map {points(first - before)}, all {counts[-1]} bring it to {percent(last)}, and "
        f"{enough} within two points of that."
    )


EXPERIMENT = Experiment("labels", compute, find)
