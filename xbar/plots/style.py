"""Sizes and colours that the figures share."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# As wide as a phone's text column at the size of its text, so that nothing is shrunk there.
WIDTH = 5.0  # inch
DPI = 170

COLOURS = {
    "software": "#6b7780",
    "healthy": "#2e86ab",
    "defective": "#c0392b",
    "corrected": "#2a9d4a",
}
KINDS = {"stuck-on": COLOURS["defective"], "stuck-off": COLOURS["healthy"]}
OTHER = "#8a7fb5"
# For what has no colour of its own; none is close to one of those above.
PALETTE = ("#d98e04", "#8a7fb5", "#2a9d4a", "#17a2b8", "#8c564b", "#c2559d", "#7f8c1f", "#3b3b98")
STUCK = "#e11d48"  # outlines what is stuck


class Quantity(NamedTuple):
    """What figures of scores show.

    Args:
        label: with its unit.
        factor: from what is stored to what is shown.
        top: end of its axis; None for where the data end.
        form: of a number beside its bar, and in a cell of a map.
    """

    label: str
    factor: float = 1.0
    top: float | None = None
    form: tuple[str, str] = ("{:.3g}", "{:.3g}")


ACCURACY = Quantity("test accuracy [%]", 100.0, 100.0, ("{:.1f} %", "{:.0f}"))


def new_figure(height: float) -> Figure:
    """An empty figure of the common width; height in inches."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def plain(axes: Axes) -> None:
    """No box around the data."""
    axes.spines[["top", "right"]].set_visible(False)


def legend_below(figure: Figure, axes: Axes, columns: int, size: float | int = 8) -> None:
    """The legend of some axes, below the figure."""
    handles, labels = axes.get_legend_handles_labels()
    place = {"loc": "outside lower center", "ncols": columns}
    figure.legend(handles, labels, **place, frameon=False, fontsize=size)


def decade_ticks(largest: float, decades: Sequence[int]) -> list[float]:
    """Round numbers for an axis that is logarithmic on both sides of 0.

    Args:
        largest: end of the axis, above 0.
        decades: how many decades below the largest power of ten within the axis each tick is.

    Returns:
        0, and each power of ten with both signs, in order.
    """
    top = int(np.floor(np.log10(largest)))
    powers = [10.0 ** (top - below) for below in sorted(decades)]
    return [*(-p for p in powers), 0.0, *powers[::-1]]


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whatever the suffix."""
    figure.savefig(path, dpi=DPI, format="png")
