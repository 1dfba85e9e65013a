"""Which layer suffers most? Six shapes x layers x severities."""

import numpy as np

from xbar.paper.circuits import CORRECTOR, NEIGHBOURS, circuit_table, severity_sweep
from xbar.paper.draw import loss_by_coverage, loss_by_hit_share
from xbar.paper.experiment import Claim, Drawn, Experiment, Findings, Read, Tables
from xbar.paper.lab import Lab
from xbar.paper.tables import Rows, by_seed, difference, groups, over_seeds, paired, percent
from xbar.paper.verdicts import decide, inside
from xbar.statistics import Interval

AXES = ("layer", "seed", "shape", "coverage", "placement")
FIGURES = {
    "healthy": "healthy",
    "defective": "defective",
    CORRECTOR: "corrected",
    NEIGHBOURS: "neighbours",
}


def compute(lab: Lab) -> Tables:
    """One row for each circuit."""
    return {"circuits": circuit_table(severity_sweep(lab), AXES, FIGURES)}


def contrasts(table: Rows) -> dict[tuple[str, float, int], Interval]:
    """How much more the last layer loses than another one, by shape, coverage and other layer.

    Paired by seed: the same base network and split.
    """
    loss = table["healthy"] - table["defective"]
    last = int(table["layer"].max())
    found = {}
    for (shape, coverage), rows in groups(table, "shape", "coverage"):
        most = by_seed(table, loss, rows & (table["layer"] == last))
        for layer in range(last):
            less = by_seed(table, loss, rows & (table["layer"] == layer))
            found[shape, coverage, layer] = paired(most, less)
    return found


def draw(read: Read) -> list[Drawn]:
    """Loss against coverage, and against what was really hit."""
    table = read["circuits"]
    loss = table["healthy"] - table["defective"]
    layers = np.unique(table["layer"])
    means = {int(k): over_seeds(table, loss, table["layer"] == k) for k in layers}
    worst = max(means, key=lambda k: means[k].mean)
    ranks = ", ".join(f"layer {k} {100 * means[k].mean:.0f}" for k in means)
    first = (
        f"Over all shapes and severities layer {worst} loses most (mean loss in points: {ranks}). "
        "Points of accuracy against the healthy circuit, uncorrected; bars: 95 % intervals over "
        "seeds. The coverage of a checkerboard is fixed."
    )
    small, rows = f"layer {layers[-1]}", table["layer"] == layers[-1]
    spread = table["hit_share"][rows] - table["coverage"][rows]
    second = (
        f"The same circuits by the share of pairs that are really stuck: a small array samples a "
        f"shape with few pairs (in {small} the share differs from the coverage by "
        f"{100 * np.sqrt(np.mean(spread**2)):.1f} points RMS). Dots: circuits; lines: means in "
        "each tenth of the share."
    )
    return [
        Drawn("coverage", "Loss by layer", first, loss_by_coverage(table)),
        Drawn("hit_share", "Loss by what is stuck", second, loss_by_hit_share(table)),
    ]


def find(read: Read) -> Findings:
    """Is the last layer the most sensitive?"""
    table, found = read["circuits"], contrasts(read["circuits"])
    last = int(table["layer"].max())
    loss = table["healthy"] - table["defective"]
    supported = {key: inside(i, low=0) for key, i in found.items()}
    against = [key for key, i in found.items() if inside(i, high=0)]
    overall = _overall(table, loss, last)
    shapes = list(dict.fromkeys(table["shape"].tolist()))
    where = [
        f"{shape} {sum(ok for (s, _, _), ok in supported.items() if s == shape)} of "
        f"{sum(s == shape for s, _, _ in supported)}"
        for shape in shapes
    ]
    sentences = [
        f"Of {len(found)} comparisons of layer {last} with an earlier one (shape x severity x "
        f"layer), {sum(supported.values())} show a larger loss in layer {last} and "
        f"{len(against)} a smaller one; the others are within their intervals. By shape: "
        f"{', '.join(where)} show the larger loss.",
        f"Pooled over shapes and severities, the loss in layer {last} minus that in layer "
        + ", ".join(f"{k}: {difference(i)}" for k, i in overall.items())
        + ".",
    ]
    claim = Claim(
        "layers",
        "The output layer suffers most, earlier layers less",
        "ordering",
        f"layer {last} minus layer "
        + ", ".join(f"{k}: {difference(i)}" for k, i in overall.items())
        + f"; {sum(supported.values())} of {len(found)} conditions",
        decide(list(supported.values())),
        "A condition: the loss in the last layer exceeds that in an earlier one, same shape and "
        "coverage, paired by seed.",
        {f"layer {last} minus layer {k}": percent(i) for k, i in overall.items()},
    )
    return Findings(sentences, [claim])


def _overall(table: Rows, loss: np.ndarray, last: int) -> dict[int, Interval]:
    """The last layer's loss over that of each other one, means over all else, paired by seed."""
    most = by_seed(table, loss, table["layer"] == last)
    found = {}
    for layer in range(last):
        less = by_seed(table, loss, table["layer"] == layer)
        found[layer] = paired(most, less)
    return found


EXPERIMENT = Experiment(
    name="sensitivity",
    title="Which layer suffers most",
    question="How much accuracy does a defect cost, by its shape, its size and the layer it hits?",
    method="Both cells of a pair stuck-on, one layer at a time. Loss is against the healthy "
    "circuit of the same seed, with its wires and without the defect. No corrector.",
    compute=compute,
    draw=draw,
    find=find,
    open_points="How many pairs were stuck in each layer: the same coverage hits a "
    "thousand pairs in the first layer and a few in the last.",
)
