"""Accuracies with their intervals, and confusion matrices."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

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
