"""Figures of the corrector's size."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from xbar.paper.circuits import NEIGHBOURS
from xbar.paper.draw import legend_below
from xbar.paper.tables import Rows, over_seeds
from xbar.plots.style import COLOURS, OTHER, new_figure, plain


def by_parameters(table: Rows, known: Rows, rows: np.ndarray) -> Figure:
    """Accuracy against the number of parameters; linear maps apart from those with ReLU."""
    figure = new_figure(4.0)
    axes = figure.subplots()
    for linear, colour, word in (
        (True, "#d98e04", "linear"),
        (False, COLOURS["corrected"], "ReLU"),
    ):
        chosen = np.flatnonzero(known["linear"] == linear)
        names = known["name"][chosen].tolist()
        found = [over_seeds(table, table[name], rows) for name in names]
        axes.errorbar(
            known["parameters"][chosen],
            [100 * i.mean for i in found],
            yerr=[100 * np.nan_to_num(i.half_width) for i in found],
            fmt="s" if linear else "o",
            color=colour,
            label=word,
            markersize=5,
            capsize=3,
        )
        for name, count, i in zip(names, known["parameters"][chosen], found, strict=True):
            place = (5, -11) if linear else (5, 6)
            axes.annotate(
                name, (count, 100 * i.mean), place, textcoords="offset points", fontsize=7
            )
    for name, colour in (
        ("healthy", COLOURS["healthy"]),
        (NEIGHBOURS, OTHER),
        ("defective", COLOURS["defective"]),
    ):
        i = over_seeds(table, table[name], rows)
        label = "uncorrected" if name == "defective" else name
        axes.axhline(100 * i.mean, color=colour, linewidth=1.2, linestyle="--", label=label)
    axes.set_xscale("log")
    axes.set_xlim(7, 7000)
    axes.set_ylim(20, 102)
    axes.set_xlabel("parameters of the corrector")
    axes.set_ylabel("test accuracy [%]")
    plain(axes)
    legend_below(figure, axes, 5)
    return figure


def each_circuit(table: Rows, rows: np.ndarray, names: Sequence[str]) -> Figure:
    """Corrected against uncorrected accuracy, circuit by circuit, a panel for each corrector."""
    figure = new_figure(4.6)
    grid = figure.subplots(2, -(-len(names) // 2), sharex=True, sharey=True)
    for axes, name in zip(grid.flat, names, strict=True):
        x, y = 100 * table["defective"][rows], 100 * table[name][rows]
        axes.plot([0, 100], [0, 100], color="#999999", linewidth=0.8)
        axes.plot(x, y, "o", color=COLOURS["corrected"], markersize=2.5, alpha=0.6)
        axes.set_title(name, fontsize=9, loc="left")
        axes.set_xlim(35, 85)
        axes.set_ylim(0, 102)
        plain(axes)
    figure.supxlabel("uncorrected accuracy [%]", fontsize=9)
    figure.supylabel("corrected accuracy [%]", fontsize=9)
    return figure
