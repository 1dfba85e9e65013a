"""What a circuit reads: accuracies with intervals, confusion matrices, clouds of output voltages.

The clouds are a person's view of what a corrector sees.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from xbar.plots.style import ACCURACY, COLOURS, OTHER, Quantity, new_figure, plain


def accuracy_figure(
    accuracies: Mapping[str, Any], intervals: Mapping[str, Any], quantity: Quantity = ACCURACY
) -> Figure:
    """Test accuracy (or another score) of each row with its interval, every seed as a dot.

    Args:
        accuracies: test accuracies per seed, (seeds,) by name, from the top down.
        intervals: half-width of the mean's interval by the same names, or (2,), how far it reaches
            below and above.
        quantity: what they are.

    Returns:
        The figure.
    """
    figure = new_figure(0.9 + 0.36 * len(accuracies))
    axes = figure.subplots()
    for place, (name, shares) in enumerate(accuracies.items()):
        values = quantity.factor * np.asarray(shares)
        half = np.broadcast_to(quantity.factor * np.reshape(intervals[name], (-1, 1)), (2, 1))
        colour, mean = COLOURS.get(name, OTHER), values.mean()
        axes.barh(place, mean, height=0.66, color=colour, alpha=0.3)
        axes.errorbar(mean, place, xerr=half, color=colour, capsize=4, linewidth=2, zorder=3)
        spread = np.linspace(-0.2, 0.2, len(values))
        axes.plot(values, place + spread, "o", color=colour, markersize=2.5, alpha=0.8)
        text, at = quantity.form[0].format(mean), axes.get_yaxis_transform()
        axes.text(0.02, place, text, transform=at, va="center", fontweight="bold", fontsize=9)
    axes.set_yticks(range(len(accuracies)), list(accuracies))
    axes.invert_yaxis()
    axes.set_xlabel(quantity.label)
    axes.set_xlim(0, quantity.top)
    plain(axes)
    return figure


def confusion_figure(labels: Any, predicted: Mapping[str, Any]) -> Figure:
    """Confusion matrices side by side: of each true class, the share read as each class.

    Args:
        labels: true classes, (n,).
        predicted: predicted classes by the circuit's name, (n,) each.

    Returns:
        The figure.
    """
    true = np.asarray(labels)
    classes = 1 + max(int(true.max()), *(int(np.max(p)) for p in predicted.values()))
    figure = new_figure(2.75)
    panels = figure.subplots(1, len(predicted), sharey=True, squeeze=False)[0]
    image = None
    for axes, (name, found) in zip(panels, predicted.items(), strict=True):
        share = confusion(true, np.asarray(found), classes)
        image = axes.imshow(100 * share, cmap="Blues", vmin=0, vmax=100)
        axes.set_title(name, fontsize=10, color=COLOURS.get(name, "black"))
        axes.set_xlabel("read as class")
        ticks = np.arange(0, classes, max(1, classes // 10))
        axes.set_xticks(ticks)
        axes.set_yticks(ticks)
        axes.tick_params(labelsize=7)
    panels[0].set_ylabel("true class")
    assert image is not None
    figure.colorbar(image, ax=list(panels), label="share of the true class [%]", location="bottom")
    return figure


def confusion(labels: Any, predicted: Any, classes: int) -> np.ndarray:
    """Share of each true class that is read as each class, (true, read); 0 for absent classes."""
    counts = np.zeros((classes, classes))
    np.add.at(counts, (labels, predicted), 1)
    return counts / np.maximum(counts.sum(1, keepdims=True), 1)


def outputs_figure(labels: Any, voltages: Mapping[str, Any], fitted_on: str = "healthy") -> Figure:
    """Output voltages of each circuit in one plane, the one that parts the fitted circuit best.

    Args:
        labels: class of each image, (n,).
        voltages: output voltages by the circuit's name, (n, classes) [V] each.
        fitted_on: the circuit whose voltages choose the plane.

    Returns:
        The figure; ellipses hold about two thirds of a class, numerals stand at its mean.
    """
    y = np.asarray(labels)
    project, unit = plane(np.asarray(voltages[fitted_on]), y)
    figure = new_figure(0.3 + 2.35 * len(voltages))
    panels = figure.subplots(len(voltages), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    points = {name: project(np.asarray(volts)) for name, volts in voltages.items()}
    for axes, (name, projected) in zip(panels, points.items(), strict=True):
        _clouds(axes, projected, y)
        axes.set_title(name, fontsize=10, loc="left", color=COLOURS.get(name, "black"))
        axes.set_ylabel(f"2nd axis [{unit}]", fontsize=8)
        axes.tick_params(labelsize=7)
    _limit(panels[0], np.concatenate(list(points.values())))
    panels[-1].set_xlabel(f"1st axis, of the {fitted_on} circuit [{unit}]", fontsize=8)
    return figure


def plane(volts: np.ndarray, labels: np.ndarray) -> tuple[Any, str]:
    """Function to the plane that parts the classes best (LDA) or varies most (PCA), and its unit.

    Two classes have a discriminant line only, so they, dead outputs, and fewer images than LDA
    needs get PCA; a single image is shown by its first two voltages.
    """
    from sklearn.decomposition import PCA  # not at import time: it takes most of a second
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    if len(volts) < 2:
        return (lambda v: v[:, :2]), "V"
    dead = np.ptp(volts, axis=0) == 0
    if 2 < len(np.unique(labels)) < len(labels) and not dead.any():
        fitted = LinearDiscriminantAnalysis(n_components=2).fit(volts, labels)
        return fitted.transform, "spreads within a class"
    return PCA(2).fit(volts).transform, "V"


def _clouds(axes: Axes, points: np.ndarray, labels: np.ndarray) -> None:
    classes = np.unique(labels)
    for place, name in enumerate(classes):
        colour = colormaps["tab10"](place % 10)
        cloud = points[labels == name]
        axes.plot(*cloud.T, "o", color=colour, markersize=2, alpha=0.45)
        if len(cloud) > 2:
            spread, turn = np.linalg.eigh(np.cov(cloud.T))
            width, height = 3 * np.sqrt(np.maximum(spread, 0))  # 1.5 sigma: 68 % of a normal cloud
            angle = np.degrees(np.arctan2(turn[1, 0], turn[0, 0]))
            ellipse = Ellipse(
                tuple(cloud.mean(0)), width, height, angle=angle, fill=False, color=colour
            )
            axes.add_patch(ellipse)
        text = axes.annotate(
            str(name), cloud.mean(0), ha="center", va="center", fontweight="bold", fontsize=11
        )
        text.set_bbox({"boxstyle": "circle,pad=0.12", "fc": "white", "ec": colour, "alpha": 0.85})


def _limit(axes: Axes, points: np.ndarray) -> None:
    """Show what lies together: a few far points must not shrink the clouds."""
    for limits, values in ((axes.set_xlim, points[:, 0]), (axes.set_ylim, points[:, 1])):
        low, high = np.percentile(values, [0.5, 99.5])
        margin = 0.08 * (high - low) or 1.0
        limits(low - margin, high + margin)
