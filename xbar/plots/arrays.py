"""Maps of arrays: conductances with the defect, cell voltages, power, and what single faults do."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xbar.plots.style import COLOURS, KINDS, STUCK, decade_ticks, legend_below, new_figure, plain


def arrays_figure(g: Sequence[Any], hit: Any, layer: int) -> Figure:
    """Conductances of every array as it is built, what is stuck outlined.

    Args:
        g: of each array, columns (+, -, +, -), (rows, columns) [S].
        hit: pairs of the broken array that are stuck, (rows, columns / 2).
        layer: number of the broken array.

    Returns:
        The figure.
    """
    micro = [1e6 * np.asarray(array) for array in g]
    norm = _norm(micro)
    figure, panels = _panels([array.shape for array in micro])
    image = None
    for number, (axes, array) in enumerate(zip(panels, micro, strict=True)):
        image = axes.imshow(array, cmap="viridis", norm=norm, aspect="auto", interpolation="none")
        title = f"layer {number}: {array.shape[0]} rows, {array.shape[1]} columns"
        broken = number == layer
        axes.set_title(title + (", broken" if broken else ""), fontsize=9, loc="left")
        _label(axes)
        if broken:
            _outline(axes, np.repeat(np.asarray(hit), 2, axis=1))
    assert image is not None
    label = "cell conductance [µS]; red outline: stuck"
    bar = figure.colorbar(image, ax=panels, location="bottom", aspect=40, pad=0.02)
    bar.set_label(label, fontsize=9)
    bar.ax.tick_params(labelsize=8)
    return figure


def _norm(arrays: Sequence[np.ndarray]) -> Normalize:
    """One colour scale; logarithmic where no cell is open."""
    least, most = min(a.min() for a in arrays), max(a.max() for a in arrays)
    return LogNorm(least, most) if 0 < least < most else Normalize(least, most)


def _panels(shapes: Sequence[tuple[int, ...]]) -> tuple[Figure, list[Axes]]:
    """One panel under the other, high enough for the rows to be seen."""
    heights = [float(np.clip(rows / 65 * 2.6, 0.9, 2.6)) for rows, _ in shapes]
    figure = new_figure(sum(heights) + 0.55 * len(shapes) + 0.8)
    return figure, list(figure.subplots(len(shapes), 1, height_ratios=heights, squeeze=False)[:, 0])


def _label(axes: Axes, row: str = "row", column: str = "column") -> None:
    axes.set_ylabel(row, fontsize=8)
    axes.set_xlabel(f"{column} (+, -, +, -, ...)", fontsize=8, labelpad=1)
    axes.tick_params(labelsize=7)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))


def _outline(axes: Axes, hit: np.ndarray) -> None:
    """Draw the border between cells that are hit and cells that are not."""
    padded = np.pad(hit.astype(bool), 1)
    down, across = np.diff(padded, axis=0)[:, 1:-1], np.diff(padded, axis=1)[1:-1]
    y, x = np.nonzero(down)
    axes.hlines(y - 0.5, x - 0.5, x + 0.5, color=STUCK, linewidth=1.6)
    y, x = np.nonzero(across)
    axes.vlines(x - 0.5, y - 0.5, y + 0.5, color=STUCK, linewidth=1.6)


def drop_figure(v_rows: Sequence[Any], v_cells: Sequence[Any], numbers: Sequence[int]) -> Figure:
    """What the wires take away from each cell: the row's voltage minus the cell's.

    Args:
        v_rows: voltages that the rows are driven at, (rows,) [V] for each array.
        v_cells: cell voltages, (rows, columns) [V] for each array.
        numbers: number of each array's layer.

    Returns:
        The figure.
    """
    lost = [1e3 * drop(v, u) for v, u in zip(v_rows, v_cells, strict=True)]
    figure, panels = _panels([array.shape for array in lost])
    for axes, array, number in zip(panels, lost, numbers, strict=True):
        image = axes.imshow(array, cmap="magma", aspect="auto", vmin=0, interpolation="none")
        axes.set_title(f"layer {number}: row voltage minus cell voltage", fontsize=9, loc="left")
        _label(axes)
        bar = figure.colorbar(image, ax=axes, pad=0.01)
        bar.set_label("lost [mV]", fontsize=8)
        bar.ax.tick_params(labelsize=7)
    return figure


def drop(v_rows: Any, v_cells: Any) -> np.ndarray:
    """Voltage lost in the wires on the way to and from each cell, (rows, columns) [V]."""
    return np.asarray(v_rows)[:, None] - np.asarray(v_cells)


def power_figure(power: Mapping[str, Any]) -> Figure:
    """Power into each array, a dot for every image, a line for their mean.

    Args:
        power: of the circuits by name, (layers, images) [W].

    Returns:
        The figure.
    """
    figure = new_figure(2.8)
    axes = figure.subplots()
    width = 0.8 / len(power)
    layers = 0
    for place, (name, watts) in enumerate(power.items()):
        micro, colour = 1e6 * np.asarray(watts), COLOURS.get(name, "black")
        layers = len(micro)
        at = np.arange(layers) + (place - (len(power) - 1) / 2) * width
        # No bars: a logarithmic axis has no zero for them to stand on.
        axes.hlines(micro.mean(1), at - width / 2, at + width / 2, color=colour, label=name)
        jitter = np.linspace(-0.35, 0.35, micro.shape[1]) * width
        axes.plot(at[:, None] + jitter, micro, "o", color=colour, markersize=1.6, alpha=0.6)
    axes.set_yscale("log")
    axes.set_xticks(range(layers), [f"layer {k}" for k in range(layers)])
    axes.set_ylabel("power into the array [µW]")
    axes.legend(frameon=False, fontsize=9, ncols=len(power), loc="upper right")
    plain(axes)
    return figure


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
        rows, columns = array.shape
        title = f"{name}: {rows} word lines, {columns} bit lines"
        if mark and np.isfinite(array).any():
            row, column = np.unravel_index(np.nanargmax(array), array.shape)
            title += f"; largest at word line {row}, bit line {column}"
            axes.plot(column, row, "o", mec="black", mfc="none", ms=9, mew=1.3, clip_on=False)
        axes.set_title(title, fontsize=8.5, loc="left")
        _label(axes, "word line", "bit line")
        if columns // 2 <= PAIRS_DRAWN:
            lines = np.arange(2, columns, 2) - 0.5
            axes.vlines(lines, -0.5, rows - 0.5, color="0.6", linewidth=0.4)
    assert image is not None
    bar = figure.colorbar(image, ax=panels, location="bottom", aspect=40, pad=0.02)
    bar.set_label(label, fontsize=9)
    ticks = decade_ticks(largest, (0, 1, 2))
    bar.set_ticks(ticks, labels=[f"{t:g}" for t in ticks])
    bar.ax.tick_params(labelsize=7)
    bar.ax.minorticks_off()
    return figure


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
    for number, pair in enumerate(zip(rows, columns, strict=True)):
        for axes, kinds, name in zip(panels[number], pair, ("word", "bit"), strict=True):
            for kind, values in kinds.items():
                size = 2 if len(values) > 50 else 3
                axes.plot(values, "o-", ms=size, lw=0.6, color=KINDS[kind], label=kind)
            axes.set_title(f"layer {number}: {name} lines", fontsize=8.5, loc="left")
            axes.tick_params(labelsize=7)
            axes.set_yscale("symlog", linthresh=0.01)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.spines[["top", "right"]].set_visible(False)
    figure.supylabel(label, fontsize=9)
    legend_below(figure, panels[0, 0], 2)
    return figure
