"""How large must the corrector be? All of them on the same voltages, trained long and briefly."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from xbar.paper import charts
from xbar.paper.circuits import NEIGHBOURS, circuit_table
from xbar.paper.correctors import MINIBATCH, Recipe, Samples, train
from xbar.paper.experiment import Experiment, Findings
from xbar.paper.settings import AREA
from xbar.paper.tables import (
    Tables,
    cells,
    interval,
    labelled,
    mean,
    per_seed,
    percent,
    points,
    summary,
)
from xbar.paper.workspace import Workspace
from xbar.run import DefectSettings, StoreSettings

BRIEF = ", brief"  # behind a corrector's name
LINEAR, SKIP, ONE = "linear", "10-1-10 with a skip", "10-1-10"
MEDIUM, MAIN, LARGEST = "10-8-10", "10-14-10", "10-143-10"
FEW = 32  # parameters: at most so many are "too few"


def recipes(steps: int, brief: int) -> dict[str, Recipe]:
    """All correctors by name, from the smallest.

    Minibatches only for the largest, where all samples at once would take most of the time; by
    `xbar.learn.corrector`'s measurements they cost small ones up to five points.
    """
    sizes = ((1,), (2,), (4,), (8,), (6, 6), (14,), (32,), (143,))
    names = {"-".join(map(str, (10, *hidden, 10))): hidden for hidden in sizes}
    long = {
        "bias only": Recipe(None, steps=steps, batch=None),
        "diagonal": Recipe("diagonal", steps=steps, batch=None),
        LINEAR: Recipe((), steps=steps, batch=None),
        **{f"rank {r}": Recipe((r,), "identity", steps=steps, batch=None) for r in (1, 2, 4)},
        SKIP: Recipe((1,), skip=True, steps=steps, batch=None),
    }
    for name, hidden in names.items():
        long[name] = Recipe(hidden, steps=steps, batch=MINIBATCH if sum(hidden) > 14 else None)
    short = (ONE, "10-2-10", "10-4-10", MEDIUM, MAIN, LARGEST)
    return long | {name + BRIEF: Recipe(names[name], steps=brief, brief=True) for name in short}


def compute(work: Workspace) -> Tables:
    """One row for each circuit, one column for each corrector; and what the correctors are."""
    asked = work.settings
    study = work.base(
        defects=(DefectSettings(asked.size_shapes, asked.size_coverages, asked.layers),),
        references=("nearest-neighbours",),
        store=StoreSettings("labelled"),
    )
    run = work.study("sizes", study)
    columns = ("layer", "seed", "shape", "coverage", "placement")
    table = circuit_table(run, *columns, **{NEIGHBOURS: NEIGHBOURS})
    volts, labels = run.voltages(np.arange(run.circuits))
    n, keys = run.parts["corrector"].shape[-1], work.keys("sizes", range(run.circuits))
    parted = Samples(volts[:, :n], labels[:, :n], volts[:, n:], labels[:, n:])
    known, rows = recipes(asked.steps, asked.brief_steps), []
    with work.timed(f"{len(known)} correctors", len(known), "correctors") as advance:
        for name, recipe in known.items():

            def accuracy(recipe: Recipe = recipe) -> dict[str, np.ndarray]:
                return {"accuracy": train(work, recipe, parted, keys).accuracy}

            table[name] = work.kept(f"sizes-{name}", accuracy)["accuracy"]
            linear = recipe.activation == "identity" or recipe.hidden in (None, "diagonal", ())
            rows.append((name, recipe.parameters(volts.shape[-1]), linear, recipe.brief))
            advance(1)
    correctors = pd.DataFrame(rows, columns=["corrector", "parameters", "linear", "brief"])
    return {"circuits": table, "correctors": correctors}


def change(table: pd.DataFrame, name: str, *by: str, minus: str = "defective") -> pd.Series:
    """What a corrector changes against the uncorrected circuit, or another one, by seed."""
    return per_seed(table, name, *by, minus=minus)


def by_start(table: pd.DataFrame) -> pd.DataFrame:
    """Circuits by where they start, in tens of per cent, from the lowest."""
    tens = np.floor(10 * table["defective"].to_numpy() + 1e-9).astype(int)
    found = table.assign(start=[f"{10 * t} to {10 * t + 10} %" for t in tens], tens=10 * tens + 5)
    return found.sort_values("tens", kind="stable")


def own_circle(table: pd.DataFrame) -> pd.DataFrame:
    """The study's own circle."""
    return table[(table["shape"] == "circle") & np.isclose(table["coverage"], AREA)]


def find(tables: Tables) -> Findings:
    """The four claims about size."""
    table, known, own = tables["circuits"], tables["correctors"], own_circle(tables["circuits"])
    few = known[(known["parameters"] <= FEW) & ~known["brief"]]
    few = zip(few["corrector"], few["parameters"], strict=True)
    floor = {f"{name} ({count})": interval(change(table, name)) for name, count in few}
    claims = {
        "parameters_31": _worse(table, own),
        "parameters_178": _by_training(table, own, MEDIUM, None),
        "parameters_3013": _by_training(table, own, LARGEST, MAIN),
        "capacity_floor": labelled(floor, "corrector"),
    }
    facts = {
        "one": percent(per_seed(table, ONE)),
        "linear": points(change(table, LINEAR, minus=MAIN)),
        "neighbours": points(change(table, MAIN, minus=NEIGHBOURS)),
        "circuits": "The study's own circle, r = 0.2 (12.6 % of the array), at random places.",
    }
    if SKIP in table:
        facts["skip"] = points(change(table, SKIP, minus=MAIN))
    if not len(own):
        facts["circuits"] = "All circuits; their defects were chosen to start at 40 to 80 %."
    rows = own if len(own) else table
    layers = {name: summary(change(rows, name, "layer")) for name in known["corrector"]}
    shown = {
        "layers": cells(pd.concat(layers, names=["corrector"]), "layer"),
        "starts": cells(_starts(table, (ONE, MEDIUM, LINEAR), "start"), "corrector"),
    }
    return Findings(facts, claims, shown, _draw(table, known))


def _starts(table: pd.DataFrame, names: tuple[str, ...], by: str) -> pd.DataFrame:
    rows = by_start(table)
    found = pd.concat({n: summary(change(rows, n, by)) for n in names}, names=["corrector"])
    return found[found["seeds"] > 2]  # of two an interval says nothing


def _worse(table: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    parts = {"all circuits": _starts(table, (ONE,), "start").droplevel("corrector")}
    if len(own):
        parts["circle r = 0.2"] = summary(change(own, ONE, "layer")).rename("layer {}".format)
    return pd.concat(
        [part.rename_axis("condition") for part in parts.values()], keys=parts, names=["circuits"]
    )


def _by_training(
    table: pd.DataFrame, own: pd.DataFrame, name: str, minus: str | None
) -> pd.DataFrame:
    """By training and layer; for the study's own circle where it was measured."""
    rows, found = own if len(own) else table, {}
    for training, behind in (("long training", ""), ("brief training", BRIEF)):
        if name + behind in rows:
            other = "defective" if minus is None else minus + behind
            found[training] = summary(change(rows, name + behind, "layer", minus=other))
    return pd.concat(found, names=["training"])


def _draw(table: pd.DataFrame, known: pd.DataFrame) -> dict[str, Figure]:
    found = {}
    for row in known.sort_values("parameters", kind="stable").itertuples():
        kind = "linear" if row.linear else "trained briefly" if row.brief else "with ReLU"
        label = f"{row.corrector.removesuffix(BRIEF)}  ({row.parameters:,})"
        found[label, kind] = interval(per_seed(table, row.corrector))
    columns = {"uncorrected": "defective", NEIGHBOURS: NEIGHBOURS, "healthy": "healthy"}
    levels = {name: mean(table, column) for name, column in columns.items()}
    means, label = labelled(found, "corrector", "kind"), "test accuracy, mean of all circuits [%]"
    starts = _starts(table, (ONE, "10-2-10", MEDIUM, LINEAR), "tens")
    labels = ("uncorrected accuracy, middle of ten per cent [%]", "change of accuracy [points]")
    zero = {None: {"no change": 0.0}}
    return {
        "parameters": charts.intervals(means, "corrector", "kind", label=label, levels=levels),
        "start": charts.curves(starts, "tens", "corrector", labels=labels, levels=zero),
    }


EXPERIMENT = Experiment("sizes", compute, find)
