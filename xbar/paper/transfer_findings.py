"""What the table of transfers says, and its figure."""

from collections.abc import Iterator

import numpy as np
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from xbar.paper.draw import matrix
from xbar.paper.experiment import Claim, Drawn, Findings, Read
from xbar.paper.tables import Rows, by_seed, difference, over_seeds, paired, percent, where
from xbar.paper.verdicts import decide, inside, spread
from xbar.plots.style import new_figure
from xbar.statistics import Interval

ALL, EQUAL = "all", "all, equal number"
POOR = ("checkerboard", "circle-complement")


def conditions(table: Rows) -> Iterator[tuple[str, np.ndarray]]:
    """Each layer and pool size, in words, with its rows."""
    for layer in np.unique(table["layer"]):
        for pool in np.unique(table["pool"]):
            yield f"layer {layer}, {pool} circuits", where(table, layer=layer, pool=pool)


def gain(table: Rows, rows: np.ndarray, trained: str, tested: str) -> Interval:
    """Accuracy over the uncorrected circuit, paired by seed and place."""
    chosen = rows & where(table, trained=trained, tested=tested)
    return over_seeds(table, table["corrected"] - table["defective"], chosen)


def foreign(table: Rows, rows: np.ndarray, tested: str) -> np.ndarray:
    """Gain on a shape by correctors of each other single shape, mean of each seed, (seeds,)."""
    single = (table["trained"] != ALL) & (table["trained"] != EQUAL)
    chosen = rows & single & (table["trained"] != tested) & (table["tested"] == tested)
    return by_seed(table, table["corrected"] - table["defective"], chosen)


def draw(read: Read) -> list[Drawn]:
    """Change by correctors of each training set on each tested shape, by layer."""
    table = read["accuracy"]
    size = int(table["pool"].max())
    rows = table["pool"] == size
    own = rows & (table["trained"] == table["tested"])
    change = table["corrected"] - table["defective"]
    other = rows & (table["trained"] != table["tested"])
    other &= (table["trained"] != ALL) & (table["trained"] != EQUAL)
    caption = (
        f"Points of accuracy over the uncorrected circuit, {size} training circuits of each shape. "
        f"Own shape: {difference(over_seeds(table, change, own))}; another shape: "
        f"{difference(over_seeds(table, change, other))}; all shapes: "
        f"{difference(over_seeds(table, change, rows & (table['trained'] == ALL)))}. "
        "Brackets: not told from 0 at 95 %."
    )
    return [
        Drawn("matrix", "Trained on one shape, tested on another", caption, figure_of(table, size))
    ]


def figure_of(table: Rows, size: int) -> Figure:
    """A matrix for each layer."""
    layers, tested = np.unique(table["layer"]), list(dict.fromkeys(table["tested"].tolist()))
    rows = table["pool"] == size
    trained = list(dict.fromkeys(table["trained"][rows].tolist()))
    down = -(-len(layers) // 2)
    figure = new_figure(2.75 * down + 0.6)
    across = min(2, len(layers))
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    image = None
    for axes, layer in zip(grid.flat, layers, strict=False):
        values, marks = np.full((len(trained), len(tested)), np.nan), {}
        for i, a in enumerate(trained):
            for j, b in enumerate(tested):
                found = gain(table, rows & (table["layer"] == layer), a, b)
                values[i, j] = found.mean
                if not abs(found.mean) > found.half_width:
                    marks[i, j] = ("(", ")")
        image = matrix(axes, values, trained, tested, TwoSlopeNorm(0, -60, 60), "RdBu", marks)
        axes.set_title(f"layer {layer}", fontsize=9, loc="left")
    for axes in grid.flat[len(layers) :]:
        axes.set_visible(False)
    assert image is not None
    figure.supxlabel("tested on", fontsize=9)
    figure.supylabel("trained on", fontsize=9)
    bar = figure.colorbar(image, ax=list(grid.flat), location="top", aspect=40, extend="both")
    bar.set_label("accuracy gained over the uncorrected circuit [points]", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def find(read: Read) -> Findings:
    """The claims about transfer."""
    table = read["accuracy"]
    shapes = set(table["tested"].tolist())
    claims = []
    if {"ring", "circle"} <= shapes:
        claims.append(_ring(table))
    if {"circle", "circle-complement"} <= shapes:
        claims.append(_complement(table))
    if set(POOR) <= shapes:
        claims.append(_poor(table))
    claims.append(_robust(table))
    sentences = [_pool_size(table), _own(table)]
    return Findings([s for s in sentences if s], claims)


def _claim(
    words: tuple[str, str, str], found: dict[str, Interval], supported: list[bool], rule: str
) -> Claim:
    name, text, published = words
    values = {condition: percent(i) for condition, i in found.items()}
    ours = spread(found, supported)
    return Claim(name, text, published, ours, decide(supported), rule, values)


def _ring(table: Rows) -> Claim:
    found = {name: gain(table, rows, "ring", "circle") for name, rows in conditions(table)}
    return _claim(
        (
            "ring_to_circle",
            "Trained on ring, tested on circle: transfers reasonably well",
            "recovers",
        ),
        found,
        [inside(i, low=0) for i in found.values()],
        "A condition: a layer and a number of pooled circuits; above the uncorrected circuit.",
    )


def _complement(table: Rows) -> Claim:
    found = {
        name: gain(table, rows, "circle-complement", "circle") for name, rows in conditions(table)
    }
    return _claim(
        (
            "complement_to_circle",
            "Trained on circle-complement, tested on circle: below the uncorrected circuit",
            "below",
        ),
        found,
        [inside(i, high=0) for i in found.values()],
        "A condition: a layer and a number of pooled circuits; below the uncorrected circuit.",
    )


def _poor(table: Rows) -> Claim:
    others = [s for s in dict.fromkeys(table["tested"].tolist()) if s not in POOR]
    found = {}
    for name, rows in conditions(table):
        usual = np.mean([foreign(table, rows, shape) for shape in others], axis=0)
        for shape in POOR:
            found[f"{shape}, {name}"] = paired(foreign(table, rows, shape), usual)
    return _claim(
        (
            "poor_tests",
            "Checkerboard and circle-complement as test shapes: poor transfer",
            "poor",
        ),
        found,
        [inside(i, high=0) for i in found.values()],
        "A condition: one of the two shapes, a layer and a number of pooled circuits; what "
        "correctors of other single shapes gain on it is less than what they gain on the usual "
        "shapes, paired by seed.",
    )


def _robust(table: Rows) -> Claim:
    found = {}
    for name, rows in conditions(table):
        singles = {
            t: by_seed(table, table["corrected"], rows & (table["trained"] == t))
            for t in dict.fromkeys(table["trained"][rows].tolist())
            if t not in (ALL, EQUAL)
        }
        best = max(singles, key=lambda t: singles[t].mean())
        whole = by_seed(table, table["corrected"], rows & (table["trained"] == ALL))
        found[f"{name}, over {best}"] = paired(whole, singles[best])
    return _claim(
        ("all_shapes", "Trained on all shapes: most robust", "best"),
        found,
        [inside(i, low=0) for i in found.values()],
        "A condition: a layer and a number of pooled circuits; mean accuracy over all test shapes "
        "above that of the best single shape.",
    )


def _pool_size(table: Rows) -> str:
    sizes = np.unique(table["pool"])
    single = (table["trained"] != ALL) & (table["trained"] != EQUAL)
    change = table["corrected"] - table["defective"]
    parts = []
    for size in sizes:
        own = over_seeds(
            table, change, (table["pool"] == size) & (table["trained"] == table["tested"])
        )
        rest = (table["pool"] == size) & single & (table["trained"] != table["tested"])
        parts.append(
            f"with {size} circuits {difference(own)} on the own shape and "
            f"{difference(over_seeds(table, change, rest))} on another"
        )
    text = "Pooled over layers and shapes, a corrector gains " + ", ".join(parts) + "."
    if (table["trained"] == EQUAL).any():
        rows = table["trained"] == EQUAL
        size = int(table["circuits"][rows][0])
        text += (
            f" Mixing all shapes in as many circuits ({size}) gains "
            f"{difference(over_seeds(table, change, rows))}."
        )
    return text


def _own(table: Rows) -> str:
    change = table["corrected"] - table["defective"]
    own = table["trained"] == table["tested"]
    parts = [
        f"layer {layer} {difference(over_seeds(table, change, own & where(table, layer=layer)))}"
        for layer in np.unique(table["layer"])
    ]
    return f"Own shape, new places, by broken layer: {', '.join(parts)}."
