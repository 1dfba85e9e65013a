"""Stored results -> figures. Never simulates, knows no circuit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

COLOURS = {
    "software": "#7f8c8d",
    "healthy": "#2e86ab",
    "defective": "#c0392b",
    "corrected": "#2a9d4a",
}


def accuracy_figure(accuracies: Mapping[str, Any], summary: Mapping[str, Any], path: Path) -> None:
    """Accuracy of each circuit with its interval, every seed as a dot.

    Args:
        accuracies: test accuracies per seed, (seeds,) by name.
        summary: means and half-widths, as in `summary.json`.
        path: PNG file to write.
    """
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for place, (name, values) in enumerate(accuracies.items()):
        values = 100 * np.asarray(values)
        colour = COLOURS.get(name, "#555555")
        mean, half = 100 * summary["accuracy"][name], 100 * summary["ci95"][name]
        axes.bar(place, mean, width=0.62, color=colour, alpha=0.35)
        axes.errorbar(place, mean, half, color=colour, capsize=5, linewidth=2)
        spread = np.linspace(-0.18, 0.18, len(values))
        axes.plot(place + spread, values, "o", color=colour, markersize=3.5)
        axes.text(place, 3, f"{mean:.1f} %", ha="center", fontweight="bold")
    axes.set_xticks(range(len(accuracies)), list(accuracies))
    axes.set_ylabel("test accuracy [%]")
    axes.set_ylim(0, 100)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
