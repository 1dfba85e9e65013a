"""Figures of the corrector's size."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from xbar.paper.circuits import NEIGHBOURS
from xbar.paper.draw import legend_below
from xbar.paper.tables import Rows, over_seeds
from xbar.plots.style import COLOURS, OTHER, new_figure, plain


def by_parameters(table: Rows, known: Rows, rows: np.ndarray) -> Figure:
    """Accuracy of every corrector, from the fewest parameters down; linear maps apart."""
    order = np.argsort(known["parameters"], kind="stable")
    names, counts = known["name"][order].tolist(), known["parameters"][order].tolist()
    figure = new_figure(0.26 * len(names) + 1.2)
    axes = figure.subplots()
    for linear, colour, word in (
        (True, "#d98e04", "linear"),
        (False, COLOURS["corrected"], "with ReLU"),
    ):
        places = np.flatnonzero(known["linear"][order].astype(bool) == linear)
        found = [over_seeds(table, table[names[k]], rows) for k in places]
        axes.errorbar(
            [100 * i.mean for i in found],
            places,
            xerr=[100 * np.nan_to_num(i.half_width) for i in found],
            fmt="s" if linear else "o",
            color=colour,
            label=word,
            markersize=4.5,
            capsize=2.5,
        )
    for name, colour in (
        ("defective", COLOURS["defective"]),
        (NEIGHBOURS, OTHER),
        ("healthy", COLOURS["healthy"]),
    ):
        i = over_seeds(table, table[name], rows)
        label = "uncorrected" if name == "defective" else name
        axes.axvline(100 * i.mean, color=colour, linewidth=1.3, linestyle="--", label=label)
    labels = [f"{name}  ({count:,})" for name, count in zip(names, counts, strict=True)]
    axes.set_yticks(range(len(names)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.25)
    axes.set_xlim(20, 102)
    axes.set_xlabel("test accuracy [%]")
    axes.set_ylabel("corrector (parameters)")
    plain(axes)
    legend_below(figure, axes, 3)
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
