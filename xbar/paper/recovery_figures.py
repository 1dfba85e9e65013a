"""Figures of what correctors bring back."""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from xbar.paper.draw import layer_colour, legend_below, matrix
from xbar.paper.tables import Rows
from xbar.plots.style import new_figure, plain


def before_and_after(
    circuits: Rows,
    settings: Rows,
    chosen: Mapping[str, int],
    published: Mapping[str, tuple[float, float]],
) -> Figure:
    """Corrected against uncorrected accuracy, and against the nearest neighbours'."""
    figure = new_figure(3.3)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, column in ((left, "defective"), (right, "neighbours")):
        axes.plot([0, 100], [0, 100], color="#999999", linewidth=0.8)
        for layer in np.unique(circuits["layer"]):
            rows = circuits["layer"] == layer
            axes.plot(
                100 * circuits[column][rows],
                100 * circuits["corrected"][rows],
                "o",
                color=layer_colour(int(layer)),
                markersize=2.5,
                alpha=0.45,
                markeredgewidth=0,
                label=f"layer {layer}",
            )
        axes.set_xlim(0, 102)
        axes.set_ylim(0, 102)
        axes.tick_params(labelsize=8)
        plain(axes)
    for name, (x, y) in published.items():
        row = chosen[name]
        left.plot(100 * x, 100 * y, "o", mfc="none", mec="black", markersize=10, mew=1.5)
        spot = 100 * settings["defective"][row], 100 * settings["corrected"][row]
        left.plot(*spot, "s", mfc="none", mec="black", markersize=7, mew=1.2)
    left.set_xlabel("uncorrected accuracy [%]", fontsize=9)
    right.set_xlabel("nearest neighbours [%]", fontsize=9)
    left.set_ylabel("corrected accuracy [%]", fontsize=9)
    legend_below(figure, left)
    return figure


def where_nothing_helps(settings: Rows) -> Figure:
    """Mean accuracy before and after correction: layers down, shapes and severities across."""
    keys = list(
        dict.fromkeys(zip(settings["shape"].tolist(), settings["coverage"].tolist(), strict=True))
    )
    layers = np.unique(settings["layer"])
    figure = new_figure(0.27 * len(keys) + 1.2)
    panels = figure.subplots(1, 2, sharey=True)
    image, names = None, [f"{shape} {coverage:.0%}" for shape, coverage in keys]
    for axes, column, title in (
        (panels[0], "defective", "uncorrected"),
        (panels[1], "corrected", "corrected"),
    ):
        values = np.full((len(keys), len(layers)), np.nan)
        for i, (shape, coverage) in enumerate(keys):
            for j, layer in enumerate(layers):
                rows = (settings["shape"] == shape) & (settings["coverage"] == coverage)
                found = settings[column][rows & (settings["layer"] == layer)]
                values[i, j] = found[0] if len(found) else np.nan
        heads = [f"layer {k}" for k in layers]
        image = matrix(axes, values, names, heads, Normalize(0, 100), "viridis")
        axes.set_title(title, fontsize=9)
    assert image is not None
    bar = figure.colorbar(image, ax=list(panels), location="bottom", aspect=40)
    bar.set_label("test accuracy [%]", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure
