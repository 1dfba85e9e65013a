"""Does a corrector that was trained on one shape repair another, at places not seen before?"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from xbar.paper import charts
from xbar.paper.experiment import Experiment, Findings
from xbar.paper.pools import Pools, accuracy_of, members, pooled_recipe, pools_sweep, read_pools
from xbar.paper.tables import Tables, cells, chosen, long, per_seed, points, summary
from xbar.paper.workspace import Workspace

ALL, EQUAL = "all", "all, equal number"
POOR = ["checkerboard", "circle-complement"]
BY = ["coverage", "layer", "pool"]


def mixes(shapes: tuple[str, ...], size: int) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """Name and circuits: each shape alone; all, as many of each; all, as many together."""
    every = range(len(shapes))
    for number, shape in enumerate(shapes):
        yield shape, members([number], size)
    yield ALL, members(every, size * len(shapes))
    if size % len(shapes) == 0:
        yield EQUAL, members(every, size)


def compute(work: Workspace) -> Tables:
    """One row for each layer, severity, pool size, training set, tested shape and seed."""
    asked, first, frames = work.settings, max(work.settings.pools), []
    places = first + asked.tested
    run = pools_sweep(work, "transfer", asked.transfer_layers, asked.transfer_coverages, places)
    for layer in asked.transfer_layers:
        for coverage in asked.transfer_coverages:
            pools = read_pools(run, asked, layer, coverage, first)
            before = {"defective": pools.uncorrected()}
            for size in asked.pools:
                name = f"transfer-{layer}-{coverage:g}-{size}"
                found = work.kept(name, lambda p=pools, n=size, k=layer: _gained(work, p, n, k))
                for mix, circuits in mixes(asked.shapes, size):
                    axes = {"seed": range(asked.seeds), "tested": asked.shapes}
                    frame = long({"corrected": found[mix]} | before, **axes)
                    words = {"layer": layer, "coverage": coverage, "pool": size, "trained": mix}
                    frames.append(frame.assign(**words, circuits=len(circuits)))
    return {"accuracy": pd.concat(frames, ignore_index=True)}


def _gained(work: Workspace, pools: Pools, size: int, layer: int) -> dict[str, np.ndarray]:
    """Accuracies of each mix's correctors, (seeds, shapes) each."""
    recipe, found = pooled_recipe(work), {}
    for name, circuits in mixes(work.settings.shapes, size):
        keys = work.keys(f"transfer {layer} {size} {name}", range(pools.seeds))
        found[name] = accuracy_of(work, pools, recipe, circuits, keys)
    return found


def gained(table: pd.DataFrame, *by: str) -> pd.DataFrame:
    """Accuracy over the uncorrected circuit, paired by seed and place."""
    return summary(per_seed(table, "corrected", *by, minus="defective"))


def find(tables: Tables) -> Findings:
    """The claims about transfer."""
    table = tables["accuracy"]
    single, own = ~table["trained"].isin([ALL, EQUAL]), table["trained"] == table["tested"]
    parts = {"own": table[single & own], "foreign": table[single & ~own]}
    circles, (size, coverage) = chosen(table, tested="circle"), table[["pool", "coverage"]].max()
    claims = {
        "ring_to_circle_elsewhere": gained(chosen(circles, trained="ring"), *BY),
        "complement_to_circle": gained(chosen(circles, trained="circle-complement"), *BY),
        "poor_tests": gained(chosen(parts["foreign"], tested=POOR), "tested", *BY),
        "all_shapes": _robust(table),
    }
    alone = per_seed(chosen(parts["own"], tested="circle"), "corrected", minus="defective")
    facts = {"circle": points(alone), "size": f"{size:.0f}", "coverage": f"{coverage:.0%}"}
    for name, part in parts.items():
        rows = chosen(part, pool=size)
        facts[name] = points(per_seed(rows, "corrected", minus="defective"))
    shown = {n: cells(gained(part, "tested", "layer"), "layer") for n, part in parts.items()}
    found = gained(chosen(table, pool=size, coverage=coverage), "layer", "trained", "tested")
    look = {"label": "accuracy gained [points]", "heads": ("trained on", "tested on")}
    figure = charts.matrices(found, "trained", "tested", "layer", colours=charts.GAIN, **look)
    return Findings(facts, claims, shown, {"matrix": figure})


def _robust(table: pd.DataFrame) -> pd.DataFrame:
    """All shapes against the single shape with the largest mean, circuits in all alike."""
    found = {}
    for key, part in table[table["circuits"] == table["pool"]].groupby(BY, sort=False):
        means = per_seed(part, "corrected", "trained").unstack("trained")
        if EQUAL in means:
            singles = means.drop(columns=EQUAL)
            found[key[:2]] = means[EQUAL] - singles[singles.mean().idxmax()]
    return summary(pd.concat(found, names=BY[:2])) if found else pd.DataFrame()


EXPERIMENT = Experiment("transfer", compute, find)
