"""The kinds of figures: intervals by category, curves, matrices. From intervals alone.

All take what `tables.summary` gives, columns mean and half in per cent or points, and the names of
the index's levels: what stands along an axis, what has a colour of its own, what a panel.
"""

from collections.abc import Mapping
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure

from xbar.plots.style import COLOURS, PALETTE, legend_below, new_figure, plain

SMALL, TEXT = 8, 9  # sizes of type
LAYERS = ("#2e86ab", "#d98e04", "#8a7fb5", "#c0392b", "#2a9d4a", "#17a2b8")
KNOWN = {"uncorrected": COLOURS["defective"], "healthy": COLOURS["healthy"]}
MARKERS = "osD^vP*X<>"
ACCURACY = (Normalize(0, 100), "viridis")  # colours of accuracies [%] ...
GAIN = (TwoSlopeNorm(0, -60, 60), "RdBu")  # ... and of gains [points]


def curves(
    found: pd.DataFrame,
    x: str,
    line: str,
    panel: str | None = None,
    *,
    labels: tuple[str, str],
    levels: Mapping[Any, Mapping[str, float]] | None = None,
    log: bool = False,
    across: int = 1,
    joined: bool = True,
    columns: int = 3,
) -> Figure:
    """Means with their intervals along an axis of numbers.

    Args:
        found: the intervals.
        x: level along the horizontal axis.
        line: level with a line for each value.
        panel: level with a panel for each value; None for one panel.
        labels: of both axes, with units.
        levels: of a panel (None for the one): heights of dashed lines by their names.
        log: whether the horizontal axis is logarithmic, with a tick at each value.
        across: panels side by side.
        joined: whether the means of a line are joined.
        columns: of the legend.
    """
    panels = [None] if panel is None else list(found.index.unique(panel))
    down = -(-len(panels) // across)
    figure = new_figure((2.0 if across > 1 else 2.4) * down + 0.9)
    grid = figure.subplots(down, across, sharex=True, sharey=across > 1, squeeze=False)
    ticks, lines = np.unique(found.index.get_level_values(x)), list(found.index.unique(line))
    for axes, name in zip(grid.flat, panels, strict=False):
        _dashed(axes.axhline, (levels or {}).get(name, {}))
        part = found if panel is None else found.xs(name, level=panel)
        for number, value in enumerate(lines):
            rows = part[part.index.get_level_values(line) == value]
            places = rows.index.get_level_values(x).to_numpy(float)
            shift = number - (len(lines) - 1) / 2  # else intervals hide each other
            places = places * 1.025**shift if log else places + 0.006 * np.ptp(ticks) * shift
            _bars(axes, places, rows, line, value, number, joined)
        axes.set_title("" if name is None else str(name), fontsize=TEXT, loc="left")
        _tidy(axes, "y")
        if log:
            axes.set_xscale("log")
        if log and len(ticks) < 10:
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel(labels[0], fontsize=TEXT)
    figure.supylabel(labels[1], fontsize=TEXT)
    legend_below(figure, grid.flat[0], columns, SMALL)
    return figure


def intervals(
    found: pd.DataFrame,
    category: str,
    series: str,
    panel: str | None = None,
    *,
    label: str,
    levels: Mapping[str, float] | None = None,
    columns: int = 3,
) -> Figure:
    """Means with their intervals beside the names of categories, first on top.

    Args:
        found: the intervals.
        category: level whose values stand beside the vertical axis.
        series: level with a colour for each value.
        panel: level with a panel side by side for each value; None for one panel.
        label: what the means are, with their unit.
        levels: places of dashed lines by their names.
        columns: of the legend.
    """
    rows, names = list(found.index.unique(category)), list(found.index.unique(series))
    panels = [None] if panel is None else list(found.index.unique(panel))
    figure = new_figure((0.15 + 0.09 * len(names)) * len(rows) + 1.3)
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, name in zip(grid, panels, strict=True):
        _dashed(axes.axvline, levels or {})
        part = found if panel is None else found.xs(name, level=panel)
        for number, value in enumerate(names):
            means = part[part.index.get_level_values(series) == value]
            shift = 0.7 * ((number + 0.5) / len(names) - 0.5)
            places = [rows.index(row) + shift for row in means.index.get_level_values(category)]
            _bars(axes, places, means, series, value, number, upright=True)
        for place in np.arange(1, len(rows)) - 0.5 if len(names) > 1 else ():
            axes.axhline(place, color="0.92", linewidth=0.8, zorder=0)
        axes.set_title("" if name is None else fill(str(name), 16), fontsize=TEXT)
        _tidy(axes, "x")
    grid[0].set_yticks(range(len(rows)), [str(row) for row in rows], fontsize=SMALL)
    grid[0].invert_yaxis()
    # below the middle: of one panel, or between two
    middle = 0.5 if len(panels) % 2 else 1.1
    grid[(len(panels) - 1) // 2].set_xlabel(label, fontsize=TEXT, x=middle)
    if len(names) > 1:
        legend_below(figure, grid[0], columns, SMALL)
    return figure


def matrices(
    found: pd.DataFrame,
    row: str,
    column: str,
    panel: str,
    *,
    label: str,
    colours: tuple[Normalize, str],
    across: int = 2,
    heads: tuple[str, str] = ("", ""),
    form: str = ".0f",
) -> Figure:
    """A panel of coloured numbers for each value of a level.

    Gains whose interval holds 0 stand in brackets.

    Args:
        found: the intervals.
        row: level down.
        column: level across.
        panel: level with a panel for each value.
        label: of the colours, with their unit.
        colours: their norm and map.
        across: panels side by side.
        heads: words beside the rows and below the columns.
        form: of the numbers.
    """
    rows, names = list(found.index.unique(row)), list(found.index.unique(column))
    panels = list(found.index.unique(panel))
    down, image = -(-len(panels) // across), None
    figure = new_figure((0.25 * len(rows) + 0.6) * down + 0.9)
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for axes, name in zip(grid.flat, panels, strict=False):
        wide = found.xs(name, level=panel).unstack(column)
        means, halves = (wide[k].reindex(rows)[names].to_numpy(float) for k in ("mean", "half"))
        image = axes.imshow(means, norm=colours[0], cmap=colours[1], aspect="auto")
        for (i, j), mean in np.ndenumerate(means):
            if np.isfinite(mean):
                open_ = colours is GAIN and not abs(mean) > halves[i, j]
                text = f"({mean:{form}})" if open_ else f"{mean:{form}}"
                red, green, blue, _ = image.cmap(image.norm(mean))
                shade = "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else "white"
                axes.text(j, i, text, ha="center", va="center", fontsize=7, color=shade)
        axes.set_xticks(range(len(names)), names, fontsize=7, rotation=35, ha="right")
        axes.set_yticks(range(len(rows)), rows, fontsize=7)
        axes.set_title(_style(panel, name, 0)[1], fontsize=TEXT, loc="left")
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    figure.supylabel(heads[0], fontsize=TEXT)
    figure.supxlabel(heads[1], fontsize=TEXT)
    assert image is not None
    bar = figure.colorbar(image, ax=list(grid.flat), location="top", aspect=40)
    bar.set_label(label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=7)
    return figure


def _bars(
    axes: Axes,
    places: Any,
    rows: pd.DataFrame,
    level: str,
    value: Any,
    number: int,
    joined: bool = False,
    upright: bool = False,
) -> None:
    """The intervals of one value of a level; nothing where it has none."""
    if not len(rows):
        return
    means, halves = rows["mean"].to_numpy(float), np.nan_to_num(rows["half"].to_numpy(float))
    x, y = (means, places) if upright else (places, means)
    colour, label = _style(level, value, number)
    axes.errorbar(
        x,
        y,
        **{"xerr" if upright else "yerr": halves},
        fmt=MARKERS[number % len(MARKERS)] + ("-" if joined else ""),
        color=colour,
        label=label,
        markersize=4,
        capsize=2,
        linewidth=1.2,
    )


def _style(level: str, value: Any, number: int) -> tuple[str, str]:
    """Colour and words: a layer has the same colour in every figure, and so have known words."""
    if level == "layer":
        return LAYERS[int(value) % len(LAYERS)], f"layer {value}"
    return KNOWN.get(str(value), PALETTE[number % len(PALETTE)]), str(value)


def _dashed(line: Any, levels: Mapping[str, float]) -> None:
    others = iter(("#6b7780", "#2a9d4a", "#8a7fb5", "#17a2b8"))
    for name, value in levels.items():
        line(value, color=KNOWN.get(name) or next(others), linewidth=1.1, ls="--", label=name)


def _tidy(axes: Axes, along: Any) -> None:
    axes.grid(axis=along, alpha=0.25)
    axes.tick_params(labelsize=SMALL)
    plain(axes)
