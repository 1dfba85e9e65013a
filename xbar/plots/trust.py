"""Predictions from derivatives against exact effects."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from xbar.plots.style import decade_ticks, new_figure, plain

KINDS = {"stuck-on": "#c0392b", "stuck-off": "#2e86ab"}
ORDERS = {1: "#d98e04", 2: "#3b3b98"}


def scatter_figure(
    exact: Sequence[Mapping[str, Any]], predicted: Sequence[Mapping[str, Any]], label: str
) -> Figure:
    """Predicted against exact change for every cell, a panel for each layer.

    Args:
        exact: of each layer by kind of fault, any shape.
        predicted: of the same cells.
        label: what changes, with its unit.

    Returns:
        The figure; on the line, the prediction is right. Both axes are linear near 0.
    """
    rows = -(-len(exact) // 2)
    figure = new_figure(2.35 * rows + 0.7)
    panels = figure.subplots(rows, 2, squeeze=False).ravel()
    for number, axes in enumerate(panels):
        if number >= len(exact):
            axes.set_visible(False)
            continue
        kinds = {k: (np.ravel(exact[number][k]), np.ravel(predicted[number][k])) for k in KINDS}
        most = max(np.nanmax(np.abs(np.concatenate(pair))) for pair in kinds.values()) or 1.0
        for kind, (x, y) in kinds.items():
            axes.plot(x, y, "o", ms=1.6, alpha=0.35, mew=0, color=KINDS[kind], label=kind)
        axes.plot([-most, most], [-most, most], color="0.4", lw=0.8)
        ticks = decade_ticks(most, (0, 2))
        for axis, scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
            scale("symlog", linthresh=1e-3 * most)
            axis.set_ticks(ticks, labels=[f"{t:g}" for t in ticks])
            axis.set_ticks([], minor=True)
        axes.tick_params(labelsize=6)
        axes.set_title(f"layer {number}", fontsize=9, loc="left")
        plain(axes)
    figure.supxlabel(f"exact {label}", fontsize=9)
    figure.supylabel(f"predicted {label}", fontsize=9)
    handles = panels[0].get_legend_handles_labels()
    legend = figure.legend(
        *handles, loc="outside upper right", ncols=2, frameon=False, fontsize=8, markerscale=4
    )
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)
    return figure


def growth_figure(fractions: Any, errors: Mapping[int, Sequence[Any]]) -> Figure:
    """How wrong predictions are as the change of a cell grows, a line for each layer.

    Args:
        fractions: shares of the way to the stuck conductance, (n,).
        errors: by order of the prediction, relative error of each layer at each share, (n,).

    Returns:
        The figure.
    """
    figure = new_figure(3.6)
    axes = figure.subplots()
    marks = ("o", "s", "^", "D", "v", "P", "X", "*")
    for order, layers in errors.items():
        for number, values in enumerate(layers):
            axes.plot(
                100 * np.asarray(fractions),
                values,
                marker=marks[number % len(marks)],
                ms=4,
                lw=1.1,
                color=ORDERS[order],
                linestyle="-" if order == 1 else "--",
                label=f"{'first' if order == 1 else 'second'} order, layer {number}",
            )
    axes.axhline(1, color="0.5", lw=0.8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("share of the way from programmed to stuck-on [%]", fontsize=9)
    axes.set_ylabel("RMS error of the prediction\nover RMS of the exact change", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.2)
    plain(axes)
    handles = axes.get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2, frameon=False, fontsize=7.5)
    return figure
