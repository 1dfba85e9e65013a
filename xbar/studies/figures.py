"""The demo's figures with captions that state what they show, from its stored results alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xbar import plots
from xbar.plots.accuracy import confusion
from xbar.plots.arrays import drop

Arrays = Mapping[str, Any]
Summary = Mapping[str, Any]
CIRCUITS: tuple[str, ...] = ("healthy", "defective")  # in the order of the stored probe


class Shown(NamedTuple):
    """A figure in the report.

    Args:
        file: its name in the run's folder.
        title: what it is.
        caption: what it found.
    """

    file: str
    title: str
    caption: str


def write_figures(folder: Path, arrays: Arrays, summary: Summary) -> list[Shown]:
    """Draw everything into the folder.

    Args:
        folder: the run's.
        arrays: of results.h5, as `read_results` gives them.
        summary: as in `summary.json`.

    Returns:
        The figures in the report's order.
    """
    shown = []
    for draw in (_accuracy, _arrays, _outputs, _confusion, _drop, _power):
        figure, entry = draw(arrays, summary)
        plots.save(figure, folder / entry.file)
        shown.append(entry)
    return shown


def _accuracy(arrays: Arrays, summary: Summary) -> tuple[Any, Shown]:
    table, mean = summary["references"], summary["accuracy"]
    found = arrays["references"]
    rows = dict(arrays["accuracy"])
    half = dict(summary["ci95"])
    for name, row in table.items():
        if name != "corrector":
            rows[name] = found[name.replace(" ", "_")]
            half[name] = row["ci95"]
    best = max(table, key=lambda name: table[name]["accuracy"])
    caption = (
        f"The defect costs {_points(mean['healthy'] - mean['defective'])} of the healthy "
        f"circuit's accuracy; the corrector brings back "
        f"{_points(mean['corrected'] - mean['defective'])}. The linear map of "
        f"{table['linear']['parameters']} parameters {_against(table['linear'])}. Best of this "
        f"table: {best}, "
        f"{100 * table[best]['accuracy']:.1f} %. Bars: mean over {summary['seeds']} seeds with "
        "95 % intervals (Student's t); dots: seeds."
    )
    figure = plots.accuracy_figure(rows, half)
    return figure, Shown("accuracy.png", "What is lost and what comes back", caption)


def _arrays(arrays: Arrays, summary: Summary) -> tuple[Any, Shown]:
    circuit, hit, layer = arrays["defective"], arrays["defect"]["hit"][0], summary["layer"]
    count = sum(name.startswith("layer_") for name in circuit)
    g = [_interleaved(circuit[f"layer_{k}"]) for k in range(count)]
    cells = sum(array.size for array in g)
    share = arrays["defect"]["hit"].mean((1, 2))
    caption = (
        f"The first of {summary['seeds']} circuits: {count} arrays, {cells:,} cells. In layer "
        f"{layer}, {int(hit.sum())} of {hit.size} pairs ({hit.mean():.0%}) are stuck; over the "
        f"seeds {share.min():.0%} to {share.max():.0%}, each at its own place. A pair is two "
        "neighbouring columns; the last row is the bias."
    )
    figure = plots.arrays_figure(g, hit, layer)
    return figure, Shown("arrays.png", "The arrays and the defect", caption)


def _interleaved(group: Arrays) -> np.ndarray:
    """The array as it is built, of the first seed."""
    pairs = np.stack([group["g_plus"][0], group["g_minus"][0]], axis=-1)
    return pairs.reshape(len(pairs), -1)


def _outputs(arrays: Arrays, summary: Summary) -> tuple[Any, Shown]:
    test = arrays["data"]["test"][0]
    volts = {name: arrays["voltages"][name][0, test] for name in CIRCUITS}
    largest = np.argmax(volts["defective"], -1) == arrays["data"]["labels"][test]
    neighbours = arrays["references"]["nearest_neighbours"][0]
    shift = np.sqrt(np.mean((volts["defective"] - volts["healthy"]) ** 2))
    spread = np.sqrt(np.mean(volts["healthy"] ** 2))
    caption = (
        f"The {len(test)} test images of the first circuit, {volts['healthy'].shape[1]} voltages "
        "each, in the plane that parts the healthy circuit's classes best. The defect changes the "
        f"voltages by {1e3 * shift:.0f} mV (RMS; they are {1e3 * spread:.0f} mV). The largest "
        f"voltage is then the right class for {largest.mean():.0%} of the images, the vote of the "
        f"nearest labelled voltages for {neighbours:.0%}: the difference is what a corrector can "
        "use. Ellipses hold two thirds of a class."
    )
    figure = plots.outputs_figure(arrays["data"]["labels"][test], volts)
    return figure, Shown("outputs.png", "Output voltages before and after", caption)


def _confusion(arrays: Arrays, summary: Summary) -> tuple[Any, Shown]:
    data, volts = arrays["data"], arrays["voltages"]
    seeds = np.arange(len(data["test"]))[:, None]
    labels = data["labels"][data["test"]].ravel()
    predicted = {name: volts[name][seeds, data["test"]].argmax(-1).ravel() for name in CIRCUITS}
    predicted["corrected"] = arrays["predictions"]["corrected"].ravel()
    classes = volts["healthy"].shape[-1]
    recall = {name: np.diag(confusion(labels, p, classes)) for name, p in predicted.items()}
    worst = int(np.argmax(recall["healthy"] - recall["defective"]))
    before, after = recall["defective"][worst], recall["corrected"][worst]
    left = int(np.argmin(recall["corrected"]))
    caption = (
        f"Class {worst} suffers most: {recall['healthy'][worst]:.0%} right in the healthy circuit, "
        f"{before:.0%} in the defective, {after:.0%} corrected. The corrector's weakest class is "
        f"{left}, {recall['corrected'][left]:.0%} right. {len(labels):,} test images of all seeds."
    )
    figure = plots.confusion_figure(labels, predicted)
    return figure, Shown("confusion.png", "Which classes are confused", caption)


def _drop(arrays: Arrays, summary: Summary) -> tuple[Any, Shown]:
    numbers = sorted({0, summary["layer"]})
    probe = [arrays["probe"][f"layer_{k}"] for k in numbers]
    rows, cells = ([group[name][1] for group in probe] for name in ("v_rows", "v_cells"))
    parts = []
    for number, v, u in zip(numbers, rows, cells, strict=True):
        lost, full = drop(v, u), np.max(np.abs(v))
        parts.append(
            f"in layer {number} a cell loses up to {1e3 * lost.max():.2f} mV, "
            f"{lost.max() / full:.1%} of the largest row voltage ({1e3 * full:.0f} mV)"
        )
    caption = (
        f"One test image in the first defective circuit: {'; '.join(parts)}. Currents share their "
        "word line from the left and their bit line to the bottom, so that cells far from both "
        "driver and amplifier lose most."
    )
    figure = plots.drop_figure(rows, cells, numbers)
    return figure, Shown("drop.png", "What the wires take", caption)


def _power(arrays: Arrays, summary: Summary) -> tuple[Any, Shown]:
    power = dict(zip(CIRCUITS, arrays["probe"]["power"], strict=True))
    healthy, defective = (1e6 * power[name].mean(-1) for name in CIRCUITS)
    most, layer = int(np.argmax(healthy)), summary["layer"]
    caption = (
        f"Layer {most} takes most, {healthy[most]:.0f} of {healthy.sum():.0f} µW in the healthy "
        f"circuit; the defect changes layer {layer} from {healthy[layer]:.1f} to "
        f"{defective[layer]:.1f} µW. Power from the drivers into the arrays of the first circuit, "
        f"mean over {power['healthy'].shape[-1]} test images (dots); amplifiers' supplies are not "
        "counted."
    )
    return plots.power_figure(power), Shown("power.png", "Power per array", caption)


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


def _against(row: Mapping[str, Any]) -> str:
    """The paired difference to the corrector in words."""
    difference, half = 100 * row["difference"], 100 * row["difference_ci95"]
    if abs(difference) <= half:
        return f"cannot be told apart from the corrector ({difference:+.1f} ± {half:.1f} points)"
    side = "above" if difference > 0 else "below"
    return f"is {abs(difference):.1f} ± {half:.1f} points {side} the corrector"
