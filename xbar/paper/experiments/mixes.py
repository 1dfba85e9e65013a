"""Which mix of training shapes, and how many circuits, repair shapes that transfer poorly?"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from xbar.paper import charts
from xbar.paper.experiment import Experiment, Findings
from xbar.paper.experiments.transfer import POOR
from xbar.paper.pools import Pools, accuracy_of, last_layer_pools, members, own, pooled_recipe
from xbar.paper.settings import Settings
from xbar.paper.tables import Tables, cells, chosen, long, per_seed, percent, points, summary
from xbar.paper.workspace import Workspace

SINGLE, WITHOUT, ALL = "one shape", "without it", "all shapes"
LINEAR, LARGE = "linear", "large"


class Mix(NamedTuple):
    """What trains one corrector of each seed: so many circuits, as many of each shape as can be.

    Kinds: a shape alone, all but a shape (`about`), all; other sizes of corrector.
    """

    kind: str
    about: str
    shapes: tuple[str, ...]
    circuits: int
    hidden: tuple[int, ...] = (14,)


def mixes(asked: Settings) -> Iterator[Mix]:
    """Every mix that is trained."""
    shapes, size = asked.shapes, asked.pool
    for shape in shapes:
        yield Mix(SINGLE, shape, (shape,), size)
        yield Mix(WITHOUT, shape, tuple(other for other in shapes if other != shape), size)
    for circuits in sorted({size, *asked.pool_sizes}):
        yield Mix(ALL, "", shapes, circuits)
    yield Mix(LINEAR, "", shapes, size, ())
    yield Mix(LARGE, "", shapes, size, (143,))


def compute(work: Workspace) -> Tables:
    """One row for each severity, mix, tested shape and seed; and what it is held against."""
    asked, frames, references = work.settings, [], []
    axes = {"seed": range(asked.seeds), "tested": asked.shapes}
    for coverage, pools in last_layer_pools(work):
        for number, mix in enumerate(mixes(asked)):
            name = f"mixes-{coverage:g}-{number}"
            found = work.kept(name, lambda m=mix, n=name, p=pools: _gained(work, p, m, n))
            frame = long(found, **axes).assign(coverage=coverage, kind=mix.kind, about=mix.about)
            frames.append(frame.assign(circuits=mix.circuits))
        alone = work.kept(f"own-{coverage:g}", lambda p=pools: own(work, p))
        known = long({"uncorrected": pools.uncorrected(), **alone}, **axes)
        references.append(known.assign(coverage=coverage))
    return {
        "accuracy": pd.concat(frames, ignore_index=True),
        "references": pd.concat(references, ignore_index=True),
    }


def _gained(work: Workspace, pools: Pools, mix: Mix, name: str) -> dict[str, np.ndarray]:
    """Accuracy of the mix's correctors on each shape, (seeds, shapes)."""
    circuits = members([work.settings.shapes.index(s) for s in mix.shapes], mix.circuits)
    recipe, keys = pooled_recipe(work, mix.hidden), work.keys(name, range(pools.seeds))
    return {"accuracy": accuracy_of(work, pools, recipe, circuits, keys)}


def find(tables: Tables) -> Findings:
    """What a mix gives for each shape; then numbers of circuits and parameters."""
    coverage = tables["accuracy"]["coverage"].max()
    table, known = (chosen(tables[n], coverage=coverage) for n in ("accuracy", "references"))
    size = int(chosen(table, kind=LINEAR)["circuits"].iloc[0])
    main, every = chosen(table, circuits=size), chosen(table, kind=ALL)
    about = main["about"] == main["tested"]
    parts = {
        "another single shape": main[(main["kind"] == SINGLE) & ~about],
        "all shapes but this": main[(main["kind"] == WITHOUT) & about],
        "all shapes": chosen(main, kind=ALL),
        "this shape": main[(main["kind"] == SINGLE) & about],
    }
    found = {"uncorrected": per_seed(known, "uncorrected", "tested")}
    found |= {name: per_seed(part, "accuracy", "tested") for name, part in parts.items()}
    found["the circuit itself"] = per_seed(known, "own", "tested")
    sizes = summary(per_seed(every, "accuracy", "circuits"))
    first, last = sizes.index.min(), sizes.index.max()
    by = {kind: per_seed(chosen(main, kind=kind), "accuracy") for kind in (ALL, LINEAR, LARGE)}
    facts = {
        "poor": " ".join(_poor(found, shape) for shape in POOR if shape in set(table["tested"])),
        "size": str(size),
        "first": str(first),
        "last": str(last),
        "few": percent(sizes.loc[first]),
        "main": percent(sizes.loc[size]),
        "many": percent(sizes.loc[last]),
        "linear": points(by[LINEAR] - by[ALL]),
        "large": points(by[LARGE] - by[ALL]),
        "coverage": f"{coverage:.0%}",
    }
    shown = pd.concat({k: summary(v) for k, v in found.items()}, names=["trained"])
    label = "test accuracy at places not seen in training [%]"
    figure = charts.intervals(shown, "tested", "trained", label=label)
    texts = cells(shown.swaplevel(), "tested", ".1f")
    return Findings(facts, {}, {"shapes": texts}, {"shapes": figure})


def _poor(found: dict[str, pd.Series], shape: str) -> str:
    got = {name: values.xs(shape, level="tested") for name, values in found.items()}
    mixed = got["all shapes"]
    return (
        f"{shape.capitalize()}: {percent(got['uncorrected'])} uncorrected, {percent(mixed)} by a "
        f"corrector of all six shapes, which is {points(mixed - got['all shapes but this'])} "
        f"against the other five alone and {points(mixed - got['this shape'])} against as many "
        "circuits of this shape."
    )


EXPERIMENT = Experiment("mixes", compute, find)
