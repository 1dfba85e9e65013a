"""A corrector for many circuits that knows something about the one it reads, or nothing."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from xbar.paper import charts, tables
from xbar.paper.correctors import Samples, train
from xbar.paper.experiment import Experiment, Findings
from xbar.paper.pools import Pools, class_order, last_layer_pools, members, own, pooled_recipe
from xbar.paper.tables import Tables, chosen, interval, per_seed, percent, points
from xbar.paper.workspace import Workspace

UNCORRECTED, NOTHING, SHAPE, HEADS = "uncorrected", "nothing", "the shape", "a head per shape"
REFERENCES = "reference voltages"
OWN, OWN_FEW = "trained for the circuit", "trained for the circuit, few images"
FAILED = 15.0  # points below the median of the seeds: a training that failed


class Variant(NamedTuple):
    """A corrector for many circuits: what it knows, of how many images, its hidden units."""

    information: str
    images: int
    hidden: int


def compute(work: Workspace) -> Tables:
    """One row for each severity, corrector, tested shape and seed."""
    asked, frames = work.settings, []
    axes = {"seed": range(asked.seeds), "tested": asked.shapes}
    kinds = [(NOTHING, 0), (SHAPE, 0), (HEADS, 0), *((REFERENCES, k) for k in asked.side_images)]
    for coverage, pools in last_layer_pools(work):
        alone = work.kept(f"own-{coverage:g}", lambda p=pools: own(work, p))
        found = {
            Variant(UNCORRECTED, 0, 0): pools.uncorrected(),
            Variant(OWN, pools.trained, 14): alone["own"],
            Variant(OWN_FEW, max(asked.side_images), 14): alone["own_few"],
        }
        for variant in (Variant(*kind, units) for units in asked.side_hidden for kind in kinds):
            name = "-".join(map(str, ("side", coverage, *variant)))
            kept = work.kept(name, lambda v=variant, p=pools: {"accuracy": _right(work, p, v)})
            found[variant] = kept["accuracy"]
        for variant, accuracy in found.items():
            frame = tables.long({"accuracy": accuracy}, **axes)
            frames.append(frame.assign(coverage=coverage, **variant._asdict()))
    return {"accuracy": pd.concat(frames, ignore_index=True)}


def _right(work: Workspace, pools: Pools, variant: Variant) -> np.ndarray:
    """Accuracy on each shape, (seeds, shapes); one corrector for all shapes, or one for each."""
    shapes, found = tuple(range(pools.volts.shape[1])), []
    recipe = pooled_recipe(work, (variant.hidden,), pools.volts.shape[-1])
    for group in [(s,) for s in shapes] if variant.information == HEADS else [shapes]:
        keys = work.keys(f"side information {group}", range(pools.seeds))
        classes = train(work, recipe, samples(work, pools, variant, group), keys).classes
        found.append(classes.reshape(pools.seeds, len(group), -1))
    return pools.right(np.concatenate(found, axis=1))


def samples(work: Workspace, pools: Pools, variant: Variant, shapes: tuple[int, ...]) -> Samples:
    """What trains and tests a variant on circuits of some shapes: voltages, then what is known."""
    training = members(shapes, work.settings.side_pool // pools.volts.shape[1] * len(shapes))
    tests = [(s, p) for s in shapes for p in range(pools.first, pools.volts.shape[2])]
    order, n = class_order(work, pools), pools.trained

    def of(circuits: Sequence[tuple[int, int]], images: slice) -> np.ndarray:
        which, places = np.array(circuits).T
        volts = pools.volts[:, which, places]
        known = reference_voltages(volts[:, :, :n], order, variant.images)
        if variant.information == SHAPE:
            shape = np.eye(pools.volts.shape[1])[which] * np.sqrt(np.mean(volts**2))  # as large
            known = np.broadcast_to(shape.astype(volts.dtype), (pools.seeds, *shape.shape))
        volts = volts[:, :, images]
        beside = np.broadcast_to(known[:, :, None], (*volts.shape[:3], known.shape[-1]))
        both = np.concatenate([volts, beside], -1)
        return both.reshape(pools.seeds, -1, both.shape[-1])

    return Samples(
        of(training, slice(0, n)),
        np.tile(pools.labels[:, :n], (1, len(training))),
        of(tests, slice(n, None)),
        np.tile(pools.test_y, (1, len(tests))),
    )


def reference_voltages(
    volts: Float[np.ndarray, "seeds circuits n outputs"],
    order: Int[np.ndarray, "seeds images"],
    k: int,
) -> Float[np.ndarray, "seeds circuits known"]:
    """Output voltages [V] of each circuit for the first k images of an order."""
    picked = np.take_along_axis(volts, order[:, None, :k, None], 2)
    return picked.reshape(*volts.shape[:2], -1)


def find(found: Tables) -> Findings:
    """What each kind of knowledge gives over none, and what is left to the circuit's own."""
    coverage = found["accuracy"]["coverage"].max()
    table = chosen(found["accuracy"], coverage=coverage)
    units = sorted(chosen(table, information=NOTHING)["hidden"].unique())
    most, k = int(units[-1]), int(chosen(table, information=REFERENCES)["images"].max())

    def of(name: str, **more: Any) -> pd.Series:
        return per_seed(chosen(table, information=name, **more), "accuracy")

    best, nothing = of(REFERENCES, images=k, hidden=most), {u: of(NOTHING, hidden=u) for u in units}
    over, failed = {}, []
    for (name, images, u), part in table.groupby(["information", "images", "hidden"], sort=False):
        seeds = per_seed(part, "accuracy")
        label = f"{name}, {images} images" if images else str(name)
        low = int((seeds < seeds.median() - FAILED).sum())
        if u in nothing and name in (SHAPE, HEADS, REFERENCES):
            over[label, f"{u} hidden units"] = interval(seeds - nothing[u])
            failed += [f"{low} of {len(seeds)} with {label} and {u} hidden units"] if low else []
    facts = {
        "images": str(k),
        "units": str(most),
        "nothing": percent(nothing[most]),
        "best": percent(best),
        "gain": points(best - nothing[most]),
        "own": points(best - of(OWN)),
        "few": points(best - of(OWN_FEW)),
        "failed": "; ".join(failed) or "none",
        "coverage": f"{coverage:.0%}",
    }
    shown = tables.cells(tables.labelled(over, "information", "units"), "units")
    return Findings(facts, {}, {"gain": shown}, {"references": _draw(table, most)})


def _draw(table: pd.DataFrame, most: int) -> Figure:
    part = chosen(table, information=[NOTHING, REFERENCES])
    part = part.assign(units=[f"{u} hidden units" for u in part["hidden"]])
    named = {
        "uncorrected": chosen(table, information=UNCORRECTED),
        f"knows the shape ({most} units)": chosen(table, information=SHAPE, hidden=most),
        "own corrector, few labels": chosen(table, information=OWN_FEW),
        "own corrector, all labels": chosen(table, information=OWN),
    }
    levels = {name: tables.mean(rows, "accuracy") for name, rows in named.items()}
    labels = (
        "images whose output voltages the corrector knows",
        "test accuracy, mean of all shapes [%]",
    )
    found = tables.summary(per_seed(part, "accuracy", "images", "units"))
    look = {"labels": labels, "levels": {None: levels}, "columns": 2}
    return charts.curves(found, "images", "units", **look)


EXPERIMENT = Experiment("side_information", compute, find)
