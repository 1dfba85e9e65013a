"""The demo's figures with captions that state what they show, from its stored results alone.

Among them what its corrector is compared with: references on the same voltages, and controls.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np

from xbar import plots
from xbar.io.runs import run_of
from xbar.nn import Network
from xbar.plots.accuracy import confusion
from xbar.plots.arrays import drop
from xbar.programs import program
from xbar.run.reports.page import CaptionedFigure, CellMap, ReportFigure
from xbar.run.study.readers import NEIGHBOURS
from xbar.run.study.scores import SHOWN, points
from xbar.statistics import paired_interval, share_bounds, t_interval

Summary = Mapping[str, Any]
CIRCUITS: tuple[str, ...] = ("healthy", "defective")
PROBED = 32  # test images of the first circuit whose power is measured


class DemoResults(NamedTuple):
    """What the figures show, from the results file and its circuits.

    Args:
        accuracy: test accuracies per seed by name, (seeds,) each.
        layer: that is broken.
        g: conductances of the first circuit's arrays as they are built [S].
        hit: pairs of the broken layer that are stuck, (seeds, rows, pairs).
        labels: classes of the test images, (seeds, images).
        volts: output voltages for them, healthy and defective, (seeds, images, classes) [V].
        corrected: classes that the corrector reads, (seeds, images).
        power: that the drivers deliver into each array of the first circuit, healthy and defective,
            (layers, some images) [W].
        v_rows: row voltages of each array of the first defective circuit for one image [V].
        v_cells: cell voltages of each of these arrays for it [V].
    """

    accuracy: dict[str, np.ndarray]
    layer: int
    g: list[np.ndarray]
    hit: np.ndarray
    labels: np.ndarray
    volts: dict[str, np.ndarray]
    corrected: np.ndarray
    power: dict[str, np.ndarray]
    v_rows: list[np.ndarray]
    v_cells: list[np.ndarray]

    @staticmethod
    def of(folder: Path) -> "DemoResults":
        """Read a finished demo's results, and solve its first circuit with every node."""
        run = run_of(folder)
        layer, test = int(run.table["layer"][0]), run.read("data")["test"]
        images = run.images[test[0, :PROBED]]
        solved = {name: _solve(run.network(name), images) for name in CIRCUITS}
        count = test.shape[-1]
        return DemoResults(
            accuracy=dict(run.read("accuracy")),
            layer=layer,
            g=[np.asarray(part.pairs.interleave()) for part in run.network("defective").layers],
            hit=run.read(f"arrays/layer_{layer}")["hit"],
            labels=run.labels[test],
            volts={name: run.read(f"voltages/{name}")[:, -count:] for name in CIRCUITS},
            corrected=run.read(f"correctors/{CORRECTED}")["classes"],
            power={n: np.stack([np.asarray(s.p_total) for _, s in solved[n]]) for n in CIRCUITS},
            v_rows=[np.asarray(volts.v_in[0]) for volts, _ in solved["defective"]],
            v_cells=[np.asarray((s.v_word - s.v_bit)[..., 0]) for _, s in solved["defective"]],
        )


@program(eqx.filter_jit)
def _solve(network: Network, images: Any) -> Any:
    return network.solve(images)


def cell_maps(results: DemoResults) -> list[CellMap]:
    """Each array of the first defective circuit, for the pointer."""
    maps = []
    for number, (g, v, u) in enumerate(
        zip(results.g, results.v_rows, results.v_cells, strict=True)
    ):
        quantities = {"conductance [µS]": 1e6 * g, "lost in wires [mV]": 1e3 * drop(v, u)}
        maps.append(CellMap(f"layer {number}", quantities))
    return maps


def draw(results: DemoResults, summary: Summary) -> Iterator[CaptionedFigure]:
    """The figures in the report's order.

    Args:
        results: what there is to show.
        summary: as in `summary.json`.
    """
    for figure in (_accuracy, _arrays, _outputs, _confusion, _drop, _power):
        yield figure(results, summary)


def _accuracy(results: DemoResults, summary: Summary) -> CaptionedFigure:
    table, mean = summary["references"], summary["accuracy"]
    rows = {n: results.accuracy[n] for n in (*mean, *table) if n != "corrector"}
    reach = SHOWN["accuracy"].reach
    reaches = {name: reach(t_interval(values)) for name, values in rows.items()}
    best = max(table, key=lambda name: table[name]["accuracy"])
    caption = (
        f"The defect costs {points(mean['healthy'] - mean['defective'])} of the healthy "
        f"circuit's accuracy; the corrector brings back "
        f"{points(mean['corrected'] - mean['defective'])}. The linear map of "
        f"{table['linear']['parameters']} parameters {_against(table['linear'])}. Best of this "
        f"table: {best}, "
        f"{100 * table[best]['accuracy']:.1f} %. Bars: mean over {summary['seeds']} seeds with "
        "95 % intervals (Student's t on the logit); dots: seeds."
    )
    figure = plots.accuracy_figure(rows, reaches)
    return figure, ReportFigure("accuracy.png", "What is lost and what comes back", caption)


def _arrays(results: DemoResults, summary: Summary) -> CaptionedFigure:
    g, hit, layer = results.g, results.hit[0], results.layer
    cells = sum(array.size for array in g)
    share = results.hit.mean((1, 2))
    caption = (
        f"The first of {summary['seeds']} circuits: {len(g)} arrays, {cells:,} cells. In layer "
        f"{layer}, {int(hit.sum())} of {hit.size} pairs ({hit.mean():.0%}) are stuck; over the "
        f"seeds {share.min():.0%} to {share.max():.0%}, each at its own place. A pair is two "
        "neighbouring columns; the last row is the bias."
    )
    figure = plots.arrays_figure(g, hit, layer)
    return figure, ReportFigure("arrays.png", "The arrays and the defect", caption)


def _outputs(results: DemoResults, summary: Summary) -> CaptionedFigure:
    volts, labels = {name: results.volts[name][0] for name in CIRCUITS}, results.labels[0]
    largest = np.argmax(volts["defective"], -1) == labels
    neighbours = results.accuracy["nearest neighbours"][0]
    shift = np.sqrt(np.mean((volts["defective"] - volts["healthy"]) ** 2))
    spread = np.sqrt(np.mean(volts["healthy"] ** 2))
    caption = (
        f"The {len(labels)} test {summary['inputs']} of the first circuit, "
        f"{volts['healthy'].shape[1]} voltages each, "
        "in the plane that parts the healthy circuit's classes best. The defect changes the "
        f"voltages by {1e3 * shift:.0f} mV (RMS; they are {1e3 * spread:.0f} mV). The largest "
        f"voltage is then the right class for {largest.mean():.0%} of them, the vote of the "
        f"nearest labelled voltages for {neighbours:.0%}: the difference is what a corrector can "
        "use. Ellipses hold two thirds of a class."
    )
    figure = plots.outputs_figure(labels, volts)
    return figure, ReportFigure("outputs.png", "Output voltages before and after", caption)


def _confusion(results: DemoResults, summary: Summary) -> CaptionedFigure:
    volts, labels = results.volts, results.labels.ravel()
    predicted = {name: volts[name].argmax(-1).ravel() for name in CIRCUITS}
    predicted["corrected"] = results.corrected.ravel().astype(int)
    classes = volts["healthy"].shape[-1]
    recall = {name: np.diag(confusion(labels, p, classes)) for name, p in predicted.items()}
    worst = int(np.argmax(recall["healthy"] - recall["defective"]))
    before, after = recall["defective"][worst], recall["corrected"][worst]
    left = int(np.argmin(recall["corrected"]))
    caption = (
        f"Class {worst} suffers most: {recall['healthy'][worst]:.0%} right in the healthy circuit, "
        f"{before:.0%} in the defective, {after:.0%} corrected. The corrector's weakest class is "
        f"{left}, {recall['corrected'][left]:.0%} right. {len(labels):,} test "
        f"{summary['inputs']} of all seeds."
    )
    figure = plots.confusion_figure(labels, predicted)
    return figure, ReportFigure("confusion.png", "Which classes are confused", caption)


def _drop(results: DemoResults, summary: Summary) -> CaptionedFigure:
    numbers = sorted({0, summary["layer"]})
    rows, cells = ([found[k] for k in numbers] for found in (results.v_rows, results.v_cells))
    parts = []
    for number, v, u in zip(numbers, rows, cells, strict=True):
        lost, full = drop(v, u), np.max(np.abs(v))
        parts.append(
            f"in layer {number} a cell loses up to {1e3 * lost.max():.2f} mV, "
            f"{lost.max() / full:.1%} of the largest row voltage ({1e3 * full:.0f} mV)"
        )
    caption = (
        f"One test input in the first defective circuit: {'; '.join(parts)}. Currents share their "
        "word line from the left and their bit line to the bottom, so that cells far from both "
        "driver and amplifier lose most."
    )
    figure = plots.drop_figure(rows, cells, numbers)
    return figure, ReportFigure("drop.png", "What the wires take", caption)


def _power(results: DemoResults, summary: Summary) -> CaptionedFigure:
    power = results.power
    healthy, defective = (1e6 * power[name].mean(-1) for name in CIRCUITS)
    most, layer = int(np.argmax(healthy)), summary["layer"]
    caption = (
        f"Layer {most} takes most, {healthy[most]:.0f} of {healthy.sum():.0f} µW in the healthy "
        f"circuit; the defect changes layer {layer} from {healthy[layer]:.1f} to "
        f"{defective[layer]:.1f} µW. Power from the drivers into the arrays of the first circuit, "
        f"mean over {power['healthy'].shape[-1]} test {summary['inputs']} (dots); "
        "amplifiers' supplies are not counted."
    )
    return plots.power_figure(power), ReportFigure("power.png", "Power per array", caption)


def _against(row: Mapping[str, Any]) -> str:
    """The paired difference to the corrector in words."""
    difference, half = 100 * row["difference"], 100 * row["difference_ci95"]
    if abs(difference) <= half:
        return f"cannot be told apart from the corrector ({difference:+.1f} ± {half:.1f} points)"
    side = "above" if difference > 0 else "below"
    return f"is {abs(difference):.1f} ± {half:.1f} points {side} the corrector"


CORRECTED = "corrected"  # the corrector's column

ABOUT_CORRECTOR = "trained on the defective circuit's voltages for labelled inputs"
REFERENCES = {
    "bias only": "one number added to each output voltage",
    "linear": "a linear map of the output voltages",
    "large": "one large hidden layer, on the same voltages: what can be had",
    "nearest neighbours": f"vote of the {NEIGHBOURS} nearest labelled voltages: what can be had",
    "trained on healthy": "the corrector, trained on the healthy circuit's voltages for the same "
    "inputs, used on the defective circuit's",
    "retrained network": "no corrector: the software network trained on with the labels of the "
    "base and the corrector part, mapped anew, the same pairs stuck; the fault is not known",
}


def beside_the_corrector(
    found: Mapping[str, Any], parameters: Mapping[str, int | None]
) -> dict[str, dict[str, Any]]:
    """The corrector and everything beside it, as `summary.json` holds it.

    Args:
        found: accuracies per seed by name, `CORRECTED` and those of `REFERENCES`, (seeds,) each.
        parameters: how many each has; None where they do not describe it.

    Returns:
        By name: parameters, accuracy with ci95 and interval95, difference to
        the corrector on the same seeds and its ci95, and what it is.
    """
    corrected = found[CORRECTED]
    rows = {"corrector": _row(corrected, corrected, parameters[CORRECTED], ABOUT_CORRECTOR)}
    for name, about in REFERENCES.items():
        rows[name] = _row(found[name], corrected, parameters[name], about)
    return rows


def _row(values: Any, corrected: Any, parameters: int | None, about: str) -> dict[str, Any]:
    own = t_interval(np.asarray(values))
    difference, half_difference, _ = paired_interval(np.asarray(values), np.asarray(corrected))
    return {
        "parameters": parameters,
        "accuracy": own.mean,
        "ci95": own.half_width,
        "interval95": share_bounds(own),
        "difference": difference,
        "difference_ci95": half_difference,
        "about": about,
    }
