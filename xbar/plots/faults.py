"""Maps of what single faults do: a panel for each array, as a test engineer numbers its cells."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xbar.plots.style import decade_ticks, new_figure

FAINTEST = 1e-3  # of the largest value: what is smaller is drawn as if it were linear
PAIRS_DRAWN = 25  # most pairs of an array between which lines still help


def fault_maps_figure(
    maps: Sequence[Any], label: str, *, mark: bool = True, names: Sequence[str] | None = None
) -> Figure:
    """Something that each cell of each array has, on one scale; red is harm, blue the reverse.

    Args:
        maps: of each layer, columns (+, -, +, -), (rows, columns); NaN is grey.
        label: what it is, with its unit.
        mark: ring the cell with the largest value of each array.
        names: of the arrays; None for layers by their number.

    Returns:
        The figure; faint lines part the pairs of small arrays.
    """
    arrays = [np.asarray(array, float) for array in maps]
    largest = max((np.nanmax(np.abs(a)) for a in arrays if np.isfinite(a).any()), default=0) or 1.0
    norm = SymLogNorm(FAINTEST * largest, vmin=-largest, vmax=largest)
    heights = [float(np.clip(len(a) / 65 * 2.7, 1.0, 2.7)) for a in arrays]
    figure = new_figure(sum(heights) + 0.75 * len(arrays) + 0.8)
    panels = list(figure.subplots(len(arrays), 1, height_ratios=heights, squeeze=False)[:, 0])
    image = None
    for number, (axes, array) in enumerate(zip(panels, arrays, strict=True)):
        axes.set_facecolor("0.8")
        image = axes.imshow(array, cmap="RdBu_r", norm=norm, aspect="auto", interpolation="none")
        name = f"layer {number}" if names is None else names[number]
        title = f"{name}: {array.shape[0]} word lines, {array.shape[1]} bit lines"
        if mark and np.isfinite(array).any():
            row, column = np.unravel_index(np.nanargmax(array), array.shape)
            title += f"; largest at word line {row}, bit line {column}"
            axes.plot(column, row, "o", mec="black", mfc="none", ms=9, mew=1.3, clip_on=False)
        axes.set_title(title, fontsize=8.5, loc="left")
        _label(axes, array.shape)
    assert image is not None
    bar = figure.colorbar(image, ax=panels, location="bottom", aspect=40, pad=0.02)
    bar.set_label(label, fontsize=9)
    ticks = decade_ticks(largest, (0, 1, 2))
    bar.set_ticks(ticks, labels=[f"{t:g}" for t in ticks])
    bar.ax.tick_params(labelsize=7)
    bar.ax.minorticks_off()
    return figure


def _label(axes: Axes, shape: tuple[int, ...]) -> None:
    """Lines by number; the bias row is the last word line."""
    rows, columns = shape
    axes.set_ylabel("word line", fontsize=8)
    axes.set_xlabel("bit line (+, -, +, -, ...)", fontsize=8, labelpad=1)
    axes.tick_params(labelsize=7)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    if columns // 2 <= PAIRS_DRAWN:
        axes.vlines(np.arange(2, columns, 2) - 0.5, -0.5, rows - 0.5, color="0.6", linewidth=0.4)


def lines_figure(rows: Sequence[Any], columns: Sequence[Any], label: str) -> Figure:
    """What a whole line of stuck cells does: word lines on the left, bit lines on the right.

    Args:
        rows: of each layer by the kind of fault, (word lines,) each.
        columns: of each layer by the kind of fault, (bit lines,) each.
        label: what it is, with its unit.

    Returns:
        The figure.
    """
    figure = new_figure(1.45 * len(rows) + 0.6)
    panels = figure.subplots(len(rows), 2, squeeze=False)
    colours = {"stuck-on": "#c0392b", "stuck-off": "#2e86ab"}
    for number, pair in enumerate(zip(rows, columns, strict=True)):
        for axes, kinds, name in zip(panels[number], pair, ("word", "bit"), strict=True):
            for kind, values in kinds.items():
                size = 2 if len(values) > 50 else 3
                axes.plot(values, "o-", ms=size, lw=0.6, color=colours[kind], label=kind)
            axes.set_title(f"layer {number}: {name} lines", fontsize=8.5, loc="left")
            axes.tick_params(labelsize=7)
            axes.set_yscale("symlog", linthresh=0.01)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.spines[["top", "right"]].set_visible(False)
    figure.supylabel(label, fontsize=9)
    handles = panels[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure
