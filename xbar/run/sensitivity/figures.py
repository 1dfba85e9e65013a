"""The figures of `xbar sensitivity`, each with a caption that states what it shows."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from xbar import plots
from xbar.run.reports.page import CaptionedFigure, ReportFigure
from xbar.run.sensitivity.config import KINDS
from xbar.run.sensitivity.findings import predictions
from xbar.run.sensitivity.placed import TRAINED_ON, WAYS
from xbar.run.study.scores import share

Summary = Mapping[str, Any]
SPREAD = 0.05  # of a cell's conductance: what programming leaves on many published devices


class Scene:
    """Arrays and findings in the forms that the figures take.

    Args:
        found: arrays by stage.
        summary: what `findings` made of them.
    """

    def __init__(self, found: Mapping[str, Any], summary: Summary):
        self.found, self.summary = found, summary
        self.maps = found["maps"]
        self.layers = [self.maps[f"layer_{k}"] for k in range(len(self.maps) - 1)]

    def change(self, fault: str, kind: str, score: str = "loss") -> list[np.ndarray]:
        """What a fault changes against the network without it, layer by layer."""
        return [
            layer[f"{fault}_{kind}"][score] - self.maps["healthy"][score] for layer in self.layers
        ]


def draw(found: Mapping[str, Any], summary: Summary) -> Iterator[CaptionedFigure]:
    """The figures in the report's order.

    Args:
        found: arrays by stage.
        summary: the findings, and what the network is.
    """
    scene = Scene(found, summary)
    for figure in _FIGURES:
        yield figure(scene)
    if "chip" in found:
        yield _chip(scene)


def _cell_map(kind: str) -> Callable[[Scene], CaptionedFigure]:
    def draw(scene: Scene) -> CaptionedFigure:
        change = scene.change("cell", kind)
        cost = [-100 * a for a in scene.change("cell", kind, "accuracy")]
        number = int(np.argmax([np.nanmax(c) for c in change]))
        row, column = np.unravel_index(np.nanargmax(change[number]), change[number].shape)
        share = scene.summary["single_faults"]["harmless_by_layer"][kind]
        free = ", ".join(f"{100 * s:.0f} %" for s in share)
        caption = (
            f"The worst cell to be stuck-{kind} is in layer {number}, word line {row}, bit line "
            f"{column}: the loss rises by {change[number][row, column]:.3f}, the accuracy falls "
            f"by {cost[number][row, column]:.1f} points. Layer by layer, {free} of the cells cost "
            "no accuracy when they alone are stuck. Every cell was changed exactly, the whole "
            "test part read; the ring marks each layer's worst. Plus and minus cells take turns; "
            "the last word line is the bias."
        )
        figure = plots.fault_maps_figure(change, f"change of the loss, cell stuck-{kind} [nat]")
        title = f"What each cell does when it alone is stuck-{kind}"
        return figure, ReportFigure(f"cells_stuck_{kind}.png", title, caption)

    return draw


def _accuracy(scene: Scene) -> CaptionedFigure:
    worst = [
        np.fmax(*(-100 * scene.change("cell", kind, "accuracy")[k] for kind in KINDS))
        for k in range(len(scene.layers))
    ]
    most = [float(np.nanmax(w)) for w in worst]
    hard = [float(np.mean(w > 1)) for w in worst]
    caption = (
        "Accuracy lost by the worse of the two faults of each cell. Layer by layer, at most "
        + ", ".join(f"{m:.1f}" for m in most)
        + " points; "
        + ", ".join(f"{100 * h:.1f} %" for h in hard)
        + " of the cells cost more than one point."
    )
    figure = plots.fault_maps_figure(
        worst, "accuracy lost, worse of stuck-on and stuck-off [points]"
    )
    return figure, ReportFigure(
        "accuracy_lost.png", "Accuracy that a single stuck cell costs", caption
    )


def _lines(scene: Scene) -> CaptionedFigure:
    def by_kind(fault: str, tiles: int) -> list[dict[str, np.ndarray]]:
        """Of a line that several tiles have, the worst of theirs."""
        found = {f"stuck-{kind}": scene.change(fault, kind) for kind in KINDS}
        worst = {
            n: [c if c.ndim == 1 else np.fmax.reduce(c, tiles) for c in found[n]] for n in found
        }
        return [{n: c[k] for n, c in worst.items()} for k in range(len(scene.layers))]

    rows, columns = by_kind("row", 1), by_kind("column", 0)
    best = {
        (name, k, fault): float(np.nanmax(values))
        for name, layers in (("word", rows), ("bit", columns))
        for k, kinds in enumerate(layers)
        for fault, values in kinds.items()
    }
    (name, k, fault) = max(best, key=lambda key: best[key])
    line = int(np.nanargmax((rows if name == "word" else columns)[k][fault]))
    caption = (
        f"All cells of a line stuck together. The worst is {name} line {line} of layer {k}, "
        f"{fault}: the loss rises by {best[name, k, fault]:.2f}."
    )
    figure = plots.lines_figure(rows, columns, "change of the loss [nat]")
    return figure, ReportFigure("lines.png", "Whole word lines and bit lines", caption)


def _segments(scene: Scene) -> CaptionedFigure:
    change = {line: scene.change("segment", line) for line in ("word", "bit")}
    cost = {line: scene.change("segment", line, "accuracy") for line in change}
    worst = {
        (line, k): np.unravel_index(np.nanargmax(layer), layer.shape)
        for line, layers in change.items()
        for k, layer in enumerate(layers)
    }
    line, k = max(worst, key=lambda key: change[key[0]][key[1]][worst[key]])
    at, side = worst[line, k], {"word": "left of", "bit": "below"}[line]
    caption = (
        f"One segment of a line broken: what lies behind it floats. The worst is the {line}-line "
        f"segment {side} cell ({at[0]}, {at[1]}) of layer {k}: the loss rises by "
        f"{change[line][k][at]:.3f}, the accuracy falls by {-100 * cost[line][k][at]:.1f} points. "
        "Shown is the worse of each cell's two segments, every one broken exactly; word lines are "
        "driven from the left, bit lines sensed at the bottom."
    )
    both = [np.fmax(w, b) for w, b in zip(change["word"], change["bit"], strict=True)]
    figure = plots.fault_maps_figure(both, "change of the loss, segment broken [nat]")
    title = "What each broken segment of a line does"
    return figure, ReportFigure("segments_broken.png", title, caption)


def _wires(scene: Scene) -> CaptionedFigure:
    # Per ohm and segment; the sum of both is what a bad spot of metal under a cell would do.
    both = [layer["slope_word_line"] + layer["slope_bit_line"] for layer in scene.layers]
    totals = [float(np.sum(b)) for b in both]
    harm = ", ".join(f"{1e3 * t:+.2f}" for t in totals)
    caption = (
        "Derivative of the loss by the resistance of each cell's two wire segments, word line and "
        f"bit line together. One ohm more on every segment of one layer changes the loss by {harm} "
        "thousandths (layer 0 first), to first order."
    )
    figure = plots.fault_maps_figure(
        [1e6 * b for b in both], "change of the loss per ohm, both segments [10⁻⁶ nat/Ω]"
    )
    return figure, ReportFigure("wires.png", "Which wire segments matter", caption)


def _chip(scene: Scene) -> CaptionedFigure:
    worst = np.fmax(*(scene.found["chip"][kind] for kind in KINDS))
    row, column = np.unravel_index(np.nanargmax(worst), worst.shape)
    caption = (
        "All tiles where they stand on the chip, the first layer's first: the worse of both faults "
        f"of each cell. The largest change of the loss, {worst[row, column]:.3f}, is that of the "
        f"cell at word line {row} and bit line {column} of the chip. Grey cells are not used."
    )
    figure = plots.fault_maps_figure(
        [worst], "change of the loss, worse of stuck-on and stuck-off [nat]", names=["chip"]
    )
    return figure, ReportFigure("chip.png", "Single faults by place on the chip", caption)


def _scatter(scene: Scene) -> CaptionedFigure:
    exact, predicted = [], []
    for k, layer in enumerate(scene.layers):
        exact.append({f"stuck-{n}": scene.change("cell", n)[k] for n in KINDS})
        steps = {n: layer[f"g_{n}"] - layer["g"] for n in KINDS}
        predicted.append({f"stuck-{n}": predictions(layer, steps[n])[0] for n in KINDS})
    trust = scene.summary["trust"].values()
    ranks = {n: [entry[n]["rank_correlation"] for entry in trust] for n in KINDS}
    words = "; ".join(f"stuck-{n}: {', '.join(map(_number, ranks[n]))}" for n in KINDS)
    caption = (
        "First-order prediction of each single fault, slope times change of conductance, against "
        f"the exact change. Spearman's rank correlation by layer: {words}. On the line, a "
        "prediction is right; both axes are linear near 0."
    )
    figure = plots.scatter_figure(exact, predicted, "change of the loss [nat]")
    return figure, ReportFigure("trust.png", "How far gradients can be trusted", caption)


def _growth(scene: Scene) -> CaptionedFigure:
    entries = [entry["growing"] for entry in scene.summary["trust"].values()]
    errors = {1: [e["first"] for e in entries], 2: [e["second"] for e in entries]}
    full = [(e["first"][-1], e["second"][-1]) for e in entries]
    better = [k for k, (one, two) in enumerate(full) if two is not None and one and two < one]
    words = "no layer" if not better else "layer " + ", ".join(map(str, better))
    small = ", ".join(_number(e["first"][0]) for e in entries)
    caption = (
        f"Error of the predicted change as a cell goes from its programmed conductance towards "
        f"stuck-on. At {entries[0]['fraction'][0]:.0%} of the way the first order is off by "
        f"{small} of the change (layer 0 first); at the full change the second order is better "
        f"than the first in {words}. Above 1, predicting no change would be better. The second "
        "derivative leaves out ReLUs that switch."
    )
    figure = plots.growth_figure(entries[0]["fraction"], errors)
    return figure, ReportFigure("trust_growth.png", "Where predictions fail", caption)


def _places(scene: Scene) -> CaptionedFigure:
    entries = list(scene.summary["places"].values())
    random = [ways["random"]["test_accuracy"] for ways in scene.found["places"].values()]
    worst = [{way: e["worst"][way]["test_accuracy"] for way in WAYS} for e in entries]
    drops = [e["average"]["test_accuracy"] - e["test_accuracy"] for e in entries]
    hardest = int(np.argmax(drops))
    lost = [k for k, e in enumerate(entries) if "ascent" not in e["found_by"]]
    search = (
        "Gradient ascent found the worst place in every layer."
        if not lost
        else f"Gradient ascent missed the worst place in layer {', '.join(map(str, lost))}."
    )
    caption = (
        f"The same defect, {scene.summary['defect']}, at other places. In layer {hardest} the "
        f"worst place costs {100 * drops[hardest]:.1f} points more than the average one. {search} "
        "Dots: random places with their mean. Places were searched by the loss on other inputs."
    )
    figure = plots.places_figure(random, worst)
    return figure, ReportFigure("places.png", "The worst place and the average one", caption)


def _correctors(scene: Scene) -> CaptionedFigure:
    tree, readers = scene.found["correctors"], scene.summary["correctors"]
    average = {"uncorrected": tree["uncorrected"]["average"]} | {
        f"trained on {name}": tree["average"][k] for k, name in enumerate(TRAINED_ON)
    }
    worst = {"uncorrected": float(tree["uncorrected"]["worst"])} | {
        f"trained on {name}": float(tree["worst"][k]) for k, name in enumerate(TRAINED_ON)
    }
    rows = readers["trained_on"]
    caption = (
        f"In layer {readers['layer']}: a corrector trained on circuits with the defect at average "
        f"places reads {share(rows['average places']['worst'])} at the worst place, one "
        f"trained on the worst place itself {share(rows['the worst place']['worst'])}, one "
        f"trained on both {share(rows['both']['worst'])}. Average places that test are not "
        "those that train."
    )
    if stopped := readers["unconverged"]:
        caption += f" Stopped before it had converged: trained on {', on '.join(stopped)}."
    figure = plots.correctors_figure(average, worst)
    return figure, ReportFigure(
        "correctors.png", "Does a corrector survive the worst place", caption
    )


def _cells(scene: Scene) -> CaptionedFigure:
    tree, cells = scene.found["cells"], scene.summary["cells"]
    count, most = len(cells["greedy_all"]), max(cells["random"], key=int)
    random = cells["random"][most]
    caption = (
        f"One cell alone leaves {share(cells['greedy_all'][0])}, {count} chosen greedily, each the "
        f"worst on top of those before, {share(cells['greedy_all'][-1])}. Among cells of weights "
        f"(bias rows left out), {count} leave {share(cells['greedy_weights'][-1])}, the {count} "
        f"that are worst alone {share(cells['alone_weights'][-1])}. {most} at random leave "
        f"{share(random['mean'])} on average and {share(random['lowest'])} at worst of "
        f"{random['circuits']} circuits. Chosen by the loss on other inputs."
    )
    names = {
        "greedy": "greedy_all",
        "worst alone": "alone_all",
        "greedy, no bias rows": "greedy_weights",
        "worst alone, no bias rows": "alone_weights",
    }
    worst = {label: cells[name] for label, name in names.items()}
    healthy = scene.summary["healthy"]["accuracy"]
    random_tree = tree["random"]
    figure = plots.cells_figure(worst, random_tree["count"], random_tree["accuracy"], healthy)
    return figure, ReportFigure("worst_cells.png", "The worst cells together", caption)


def _yield(scene: Scene) -> CaptionedFigure:
    tree, rows = scene.found["yields"], scene.summary["yield"]
    holds = [row["rate"] for row in rows if row["mean_holds"]]
    breaks = [row["rate"] for row in rows if not row["mean_holds"]]
    parts = []
    if holds:
        parts.append(f"The solved mean lies where added effects put it at {_rates(holds)}")
    if breaks:
        parts.append(f"{'not at' if parts else 'The solved mean is off at'} {_rates(breaks)}")
    caption = (
        f"{'; '.join(parts)}. Dashed: effects of single faults added up, from the exact map. "
        f"Solid: {tree['solved'].shape[1]} circuits at each rate, every array solved anew."
    )
    figure = plots.yield_figure(
        tree["rate"], tree["predicted"].reshape(len(tree["rate"]), -1), tree["solved"]
    )
    return figure, ReportFigure("yield.png", "Accuracy over circuits, by fault rate", caption)


def _variability(scene: Scene) -> CaptionedFigure:
    each = [(layer["slope"] * SPREAD * layer["g"]) ** 2 for layer in scene.layers]
    total = sum(float(e.sum()) for e in each)
    parts = ", ".join(f"{e.sum() / total:.0%}" if total else "none" for e in each)
    cells = np.sort(np.concatenate([e.ravel() for e in each]))[::-1]
    few = int(np.searchsorted(np.cumsum(cells), total / 2)) + 1
    caption = (
        f"Cells that vary by {SPREAD:.0%} of their conductance, each by itself, make the loss of "
        f"chips vary by {np.sqrt(total):.3f} (one standard deviation, to first order). Layer by "
        f"layer, {parts} of its variance; half of all comes from {few:,} of {len(cells):,} cells."
    )
    label = f"share of the loss's variance, cells varying by {SPREAD:.0%} [%]"
    shares = [100 * e / total if total else e for e in each]
    figure = plots.fault_maps_figure(shares, label)
    return figure, ReportFigure("variability.png", "Whose variability costs most", caption)


_FIGURES: tuple[Callable[[Scene], CaptionedFigure], ...] = (
    *(_cell_map(kind) for kind in KINDS),
    _accuracy,
    _lines,
    _segments,
    _wires,
    _variability,
    _scatter,
    _growth,
    _places,
    _correctors,
    _cells,
    _yield,
)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"


def _rates(rates: list[float]) -> str:
    return ", ".join(f"{100 * rate:g} %" for rate in rates)
