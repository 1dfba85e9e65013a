"""Figures that several experiments share, in the house's style, from tables alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xbar.paper.tables import Rows, over_seeds, where
from xbar.plots.style import new_figure, plain

LAYER_COLOURS = ("#2e86ab", "#d98e04", "#8a7fb5", "#c0392b", "#2a9d4a", "#17a2b8")


def layer_colour(layer: int) -> str:
    """The same layer has the same colour in every figure."""
    return LAYER_COLOURS[layer % len(LAYER_COLOURS)]


def bars(
    axes: Axes, x: Any, means: Sequence[float], halves: Sequence[float], colour: str, label: str
) -> None:
    """A line with its 95 % intervals, in per cent or points of shares."""
    axes.errorbar(
        x,
        100 * np.asarray(means),
        yerr=100 * np.nan_to_num(np.asarray(halves)),
        fmt="o-",
        color=colour,
        label=label,
        markersize=3.5,
        capsize=2.5,
        linewidth=1.3,
    )


def legend_below(figure: Figure, axes: Axes, columns: int = 4) -> None:
    """One legend for all panels; faint dots are shown in full there."""
    handles, labels = axes.get_legend_handles_labels()
    shown = [
        Line2D([], [], color=h.get_color(), marker="o", linestyle="none", markersize=5)
        if isinstance(h, Line2D) and h.get_alpha() is not None
        else h
        for h in handles
    ]
    figure.legend(
        shown, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=8
    )


def loss_by_coverage(table: Rows) -> Figure:
    """One panel for each shape, one line for each layer: loss against coverage."""
    shapes = list(dict.fromkeys(table["shape"].tolist()))
    across = min(2, len(shapes))
    down = -(-len(shapes) // across)
    figure = new_figure(1.75 * down + 0.5)
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    loss = table["healthy"] - table["defective"]
    for axes, shape in zip(grid.flat, shapes, strict=False):
        for layer in np.unique(table["layer"]):
            rows = where(table, shape=shape, layer=layer)
            covers = np.unique(table["coverage"][rows])
            found = [over_seeds(table, loss, rows & (table["coverage"] == c)) for c in covers]
            # Shifted a little, so that intervals do not lie on each other.
            bars(
                axes,
                100 * covers + 0.6 * (layer - 1.5),
                [i.mean for i in found],
                [i.half_width for i in found],
                layer_colour(int(layer)),
                f"layer {layer}",
            )
        axes.set_title(shape, fontsize=9, loc="left")
        axes.grid(axis="y", alpha=0.25)
        axes.tick_params(labelsize=8)
        plain(axes)
    for axes in grid.flat[len(shapes) :]:
        axes.set_visible(False)
    grid.flat[0].set_ylim(-8, 102)
    for axes in grid[-1]:  # not the figure's own label, on which the legend would lie
        axes.set_xlabel("share of the array covered [%]", fontsize=9)
    figure.supylabel("accuracy lost [points]", fontsize=9)
    legend_below(figure, grid.flat[0])
    return figure


def loss_by_hit_share(table: Rows) -> Figure:
    """Every circuit by what is stuck in it, with the mean in each tenth of the share."""
    figure = new_figure(3.4)
    axes = figure.subplots()
    loss = 100 * (table["healthy"] - table["defective"])
    for layer in np.unique(table["layer"]):
        rows = (table["layer"] == layer) & np.isfinite(loss)
        share, lost = 100 * table["hit_share"][rows], loss[rows]
        colour = layer_colour(int(layer))
        axes.plot(share, lost, "o", color=colour, markersize=2.2, alpha=0.35, mew=0)
        tenth = np.floor(share / 10)
        parts = [tenth == k for k in np.unique(tenth)]
        axes.plot(
            [share[p].mean() for p in parts],
            [lost[p].mean() for p in parts],
            "-",
            color=colour,
            linewidth=2,
            label=f"layer {layer}",
        )
    axes.set_xlabel("share of the layer's pairs that are stuck [%]")
    axes.set_ylabel("accuracy lost [points]")
    axes.grid(axis="y", alpha=0.25)
    plain(axes)
    legend_below(figure, axes)
    return figure


def matrix(
    axes: Axes,
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    norm: Normalize,
    cmap: str,
    marks: Mapping[tuple[int, ...], tuple[str, str]] | None = None,
) -> Any:
    """A labelled matrix of numbers, in per cent or points of shares.

    Args:
        axes: where.
        values: (rows, columns); NaN is left blank.
        rows: names.
        columns: names.
        norm: of the colours, in per cent.
        cmap: colour map.
        marks: what stands before and behind a number.

    Returns:
        The image, for a colour bar.
    """
    percent = 100 * np.asarray(values, float)
    texts = np.full(percent.shape, "", object)
    for place, value in np.ndenumerate(percent):
        if np.isfinite(value):
            left, right = (marks or {}).get(place, ("", ""))
            texts[place] = f"{left}{value:.0f}{right}"
    return labelled_matrix(axes, percent, texts, rows, columns, norm, cmap)


def labelled_matrix(
    axes: Axes,
    values: np.ndarray,
    texts: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    norm: Normalize,
    cmap: str,
) -> Any:
    """A matrix of colours with a text in each field, black or white by the colour below it."""
    image = axes.imshow(values, norm=norm, cmap=cmap, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, fontsize=7, rotation=35, ha="right")
    axes.set_yticks(range(len(rows)), rows, fontsize=7)
    for (i, j), text in np.ndenumerate(texts):
        red, green, blue, _ = image.cmap(image.norm(values[i, j]))
        colour = "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else "white"
        axes.text(j, i, text, ha="center", va="center", fontsize=7, color=colour)
    return image
