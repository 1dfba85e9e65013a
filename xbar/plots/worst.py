"""The worst case beside the average one: places, cells together, correctors, yield.

And predictions from derivatives against exact effects.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xbar.plots.style import COLOURS, KINDS, PALETTE, decade_ticks, legend_below, new_figure, plain

WAYS = {"random": ("o", "#6b7780"), "grid": ("s", "#3b3b98"), "ascent": ("^", "#d98e04")}


def places_figure(random: Sequence[Any], worst: Sequence[Mapping[str, float]]) -> Figure:
    """Accuracy with a defect at random places (dots), and at the worst that each way found.

    Args:
        random: of each layer, accuracies at random places, (n,).
        worst: of each layer, accuracy at the worst place by how it was found.

    Returns:
        The figure.
    """
    figure = new_figure(1.1 + 0.5 * len(random))
    axes = figure.subplots()
    for number, (dots, marks) in enumerate(zip(random, worst, strict=True)):
        values = 100 * np.asarray(dots)
        spread = number + np.linspace(-0.22, 0.22, len(values))
        axes.plot(values, spread, "o", ms=2.2, alpha=0.5, mew=0, color=COLOURS["healthy"])
        axes.plot(values.mean(), number, "|", ms=22, mew=2, color=COLOURS["healthy"])
        for shift, (way, accuracy) in zip((-0.14, 0, 0.14), marks.items(), strict=True):
            mark, colour = WAYS[way]
            label = f"worst, {way}" if number == 0 else None
            axes.plot(100 * accuracy, number + shift, mark, ms=6, color=colour, label=label)
    axes.set_yticks(range(len(random)), [f"layer {k}" for k in range(len(random))])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("test accuracy [%]")
    plain(axes)
    legend_below(figure, axes, 3)
    return figure


def cells_figure(worst: Mapping[str, Any], counts: Any, random: Any, healthy: float) -> Figure:
    """Accuracy with more and more stuck cells: chosen ones, and random ones with their spread.

    Args:
        worst: accuracies with 1, 2, ... cells by how they were chosen, (k,) each, at most four.
        counts: numbers of random cells, (counts,).
        random: accuracies with them, (counts, circuits).
        healthy: accuracy without faults.

    Returns:
        The figure.
    """
    figure = new_figure(3.5)
    axes = figure.subplots()
    axes.axhline(100 * healthy, color=COLOURS["software"], lw=0.9, ls=":", label="healthy")
    looks = (
        (COLOURS["defective"], "-"),
        (COLOURS["defective"], "--"),
        (PALETTE[0], "-"),
        (PALETTE[0], "--"),
    )
    for (name, values), (colour, style) in zip(worst.items(), looks, strict=False):
        k = 1 + np.arange(len(values))
        axes.plot(
            k, 100 * np.asarray(values), style, marker="o", ms=3, lw=1.2, color=colour, label=name
        )
    shares = 100 * np.asarray(random)
    low, high = np.nanpercentile(shares, [5, 95], axis=1)
    axes.fill_between(counts, low, high, color=COLOURS["healthy"], alpha=0.2, lw=0)
    axes.plot(
        counts,
        np.nanmean(shares, axis=1),
        "s-",
        ms=3.5,
        lw=1.3,
        color=COLOURS["healthy"],
        label="random cells: mean, 5 to 95 %",
    )
    axes.set_xlabel("stuck cells")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("test accuracy [%]")
    axes.set_ylim(0, 102)
    plain(axes)
    legend_below(figure, axes, 2)
    return figure


def yield_figure(rates: Any, predicted: Any, solved: Any) -> Figure:
    """Accuracy over circuits against the fault rate: added up from the map, and solved exactly.

    Args:
        rates: shares of stuck cells, (rates,).
        predicted: accuracies of sampled sums, (rates, n).
        solved: accuracies of solved circuits, (rates, circuits).

    Returns:
        The figure.
    """
    figure = new_figure(3.1)
    axes = figure.subplots()
    x = 100 * np.asarray(rates)
    looks = (
        ("effects added up", predicted, PALETTE[0], "--"),
        ("solved exactly", solved, COLOURS["healthy"], "-"),
    )
    for name, values, colour, style in looks:
        shares = 100 * np.asarray(values)
        low, high = np.nanpercentile(shares, [5, 95], axis=1)
        axes.fill_between(x, low, high, color=colour, alpha=0.18, lw=0)
        mean = np.nanmean(shares, axis=1)
        axes.plot(
            x, mean, f"o{style}", ms=3.5, lw=1.4, color=colour, label=f"{name}: mean, 5 to 95 %"
        )
    axes.set_xscale("log")
    axes.set_xlabel("stuck cells, half on, half off [% of all cells]")
    axes.set_ylabel("test accuracy [%]")
    axes.set_ylim(0, 102)
    plain(axes)
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    return figure


def correctors_figure(average: Mapping[str, Any], worst: Mapping[str, float]) -> Figure:
    """Accuracy of each reader at average places (dots, mean as a bar) and at the worst one.

    Args:
        average: test accuracies by reader, (places,) each.
        worst: test accuracy at the worst place by reader.

    Returns:
        The figure.
    """
    figure = new_figure(0.9 + 0.62 * len(average))
    axes = figure.subplots()
    for number, (name, values) in enumerate(average.items()):
        shares, at_worst = 100 * np.asarray(values), 100 * worst[name]
        axes.barh(
            number - 0.18,
            shares.mean(),
            0.32,
            color=COLOURS["healthy"],
            alpha=0.35,
            label="average places" if number == 0 else None,
        )
        spread = number - 0.18 + np.linspace(-0.1, 0.1, len(shares))
        axes.plot(shares, spread, "o", ms=2.2, color=COLOURS["healthy"], alpha=0.7)
        axes.barh(
            number + 0.18,
            at_worst,
            0.32,
            color=COLOURS["defective"],
            alpha=0.5,
            label="the worst place" if number == 0 else None,
        )
        for y, value in ((number - 0.18, shares.mean()), (number + 0.18, at_worst)):
            axes.text(1.5, y, f"{value:.1f} %", va="center", fontsize=8, fontweight="bold")
    axes.set_yticks(range(len(average)), list(average), fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("test accuracy [%]")
    plain(axes)
    legend_below(figure, axes, 2)
    return figure


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
    legend_below(figure, axes, 2, 7.5)
    return figure
