"""What the page opens with: the circuit with its corrector, and the six shapes of defects."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle

from xbar.devices import SHAPES, placed_mask
from xbar.paper.settings import AREA, SIX
from xbar.plots.style import COLOURS, STUCK, new_figure

PAIRS = ((65, 50), (51, 20), (21, 8), (9, 10))  # of each array, bias row included
DARK, PALE, CELL, LINE = "#333333", "#e8eef3", "#9db8cc", "#b5c4d0"
LEGEND = (
    "word lines (rows) carry inputs, bit lines (columns) sum currents; a weight is G+ - G- of a "
    "pair; red: stuck"
)


def circuit_drawing() -> Figure:
    """Four arrays in a row, amplifiers between them, the corrector behind; one array broken."""
    figure = new_figure(2.0)
    axes = figure.subplots()
    axes.set(xlim=(0, 100), ylim=(0, 44), aspect="equal")
    axes.axis("off")
    _box(axes, 0, 9, "64\npixels", PALE, DARK)
    for layer, (rows, columns) in enumerate(PAIRS):
        left = 13 + 18 * layer
        _array(axes, left, broken=layer == len(PAIRS) - 1)
        _arrow(axes, left - 4 if layer == 0 else left - 6, left)
        _text(axes, left + 6, 34, f"layer {layer}", 8)
        _text(axes, left + 6, 10, f"{rows} x {columns}\npairs", 7)
        _text(axes, left + 15, 26, "ReLU" if layer < len(PAIRS) - 1 else "10 V", 6.5)
    _arrow(axes, 79, 86)
    _box(axes, 86, 14, "corrector\n10-14-10", "#d7eedd", COLOURS["corrected"])
    _text(axes, 50, 2, LEGEND, 6.5)
    _text(axes, 50, 40, "one layer is broken at a time; corrected from the ten voltages alone", 8)
    return figure


def _text(axes: Axes, x: float | int, y: float | int, text: str, size: float | int) -> None:
    axes.text(x, y, text, ha="center", va="center", fontsize=size, color=DARK)


def _box(axes: Axes, x: float | int, width: float | int, text: str, face: str, edge: str) -> None:
    style: Any = "round,pad=0,rounding_size=1.5"
    axes.add_patch(FancyBboxPatch((x, 18), width, 12, boxstyle=style, fc=face, ec=edge))
    _text(axes, x + width / 2, 24, text, 7)


def _array(axes: Axes, x: float | int, broken: bool) -> None:
    """A crossbar of 6 x 6 cells with its lines."""
    axes.add_patch(Rectangle((x, 16), 12, 16, fc=PALE, ec=DARK, linewidth=0.8))
    for i in range(6):
        axes.plot([x, x + 12], [18 + 2.4 * i] * 2, color=LINE, linewidth=0.6)
        axes.plot([x + 1.5 + 1.8 * i] * 2, [16, 32], color=LINE, linewidth=0.6)
        for j in range(6):
            hit = broken and np.hypot(i - 2.5, j - 2.5) < 1.7
            spot = (x + 1.5 + 1.8 * j, 18 + 2.4 * i)
            axes.add_patch(Circle(spot, 0.62, fc=STUCK if hit else CELL, ec="none", zorder=3))


def _arrow(axes: Axes, x: float | int, to: float | int) -> None:
    arrow = FancyArrowPatch((x, 24), (to, 24), arrowstyle="-|>", mutation_scale=7, color=DARK)
    axes.add_patch(arrow)


def shapes_drawing() -> Figure:
    """The six shapes on the first array, at the area of the study's circle where they can."""
    figure, (rows, columns) = new_figure(1.35), PAIRS[0]
    for axes, name in zip(figure.subplots(1, len(SIX)), SIX, strict=True):
        known = SHAPES[name]
        coverage = AREA if known.least <= AREA <= known.most else known.coverage
        mask = placed_mask(name, jnp.full(known.dims, 0.5), coverage).mask((rows, columns))
        axes.imshow(np.asarray(mask), cmap="Reds", vmin=0, vmax=1.4, aspect=columns / rows)
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"{name.replace('-', chr(10))}\n{float(np.mean(mask)):.0%}", fontsize=7)
    return figure
