"""Accuracy along the axes of a sweep, and maps over pairs of them."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from xbar.plots.style import ACCURACY, COLOURS, PALETTE, Quantity, legend_below, new_figure, plain

DECADES = 1e3  # of an axis's values, from which on it is logarithmic, as times are
Curve = tuple[Any, Any]  # means and half-widths, one for each value of the axis


def axis_figure(
    values: Sequence[Any], label: str, curves: Mapping[str, Curve], quantity: Quantity = ACCURACY
) -> Figure:
    """Test accuracy (or another score) at each value of one axis, with intervals.

    Args:
        values: of the axis, numbers or words.
        label: of the axis, with its unit.
        curves: means (n,) and half-widths of their intervals (n,), or (2, n) below and above, by
            name; accuracies in 0..1; NaN leaves out.
        quantity: what they are.

    Returns:
        The figure.
    """
    figure = new_figure(3.4 + 0.16 * len(curves))
    axes = figure.subplots()
    numeric = all(isinstance(v, int | float) and np.isfinite(v) for v in values)
    places = np.asarray(values, float) if numeric else np.arange(len(values), dtype=float)
    step = np.min(np.diff(places)) if numeric and len(places) > 1 else 1.0
    if numeric and min(places) > 0 and max(places) / min(places) >= DECADES:
        axes.set_xscale("log")
    others = cycle(PALETTE)
    for number, (name, (means, halves)) in enumerate(curves.items()):
        shift = 0.0 if numeric else 0.5 * ((number + 0.5) / len(curves) - 0.5)
        axes.errorbar(
            places + shift * step,
            quantity.factor * np.asarray(means, float),
            yerr=quantity.factor * np.nan_to_num(np.asarray(halves, float)),
            fmt="o-" if numeric else "o",
            color=COLOURS.get(name) or next(others),
            label=name,
            markersize=4,
            capsize=3,
            linewidth=1.3,
        )
    if not numeric:
        long = max(len(str(v)) for v in values) * len(values) > 60
        looks = {"rotation": 25, "ha": "right"} if long else {}
        axes.set_xticks(places, [str(v) for v in values], fontsize=8, **looks)
    elif len(values) <= 8:
        axes.set_xticks(places, [_short(v) for v in values])
    axes.set_xlabel(label)
    axes.set_ylabel(quantity.label)
    axes.set_ylim(0, None if quantity.top is None else 1.02 * quantity.top)
    axes.grid(axis="y", alpha=0.25)
    plain(axes)
    legend_below(figure, axes, 3)
    return figure


def map_figure(
    rows: tuple[str, Sequence[Any]],
    columns: tuple[str, Sequence[Any]],
    panels: Mapping[str, Any],
    quantity: Quantity = ACCURACY,
) -> Figure:
    """Maps of accuracy over two axes, one under the other.

    Args:
        rows: label and values of the axis that runs down.
        columns: label and values of the axis that runs to the right.
        panels: accuracies by name, (rows, columns) in 0..1; NaN is left blank.
        quantity: what they are.

    Returns:
        The figure.
    """
    height = 0.9 + 0.34 * len(rows[1])
    figure = new_figure(height * len(panels) + 1.0)
    grid = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    image, (low, high) = None, _ends(panels, quantity)
    for axes, (name, shares) in zip(grid, panels.items(), strict=True):
        percent = quantity.factor * np.asarray(shares, float)
        image = axes.imshow(percent, cmap="viridis", vmin=low, vmax=high, aspect="auto")
        axes.set_title(name, fontsize=10, loc="left", color=COLOURS.get(name, "black"))
        axes.set_yticks(range(len(rows[1])), [_short(v) for v in rows[1]], fontsize=8)
        axes.set_ylabel(rows[0], fontsize=8)
        for (i, j), value in np.ndenumerate(percent):
            if np.isfinite(value) and percent.shape[1] <= 12:
                colour = "black" if value > low + 0.6 * (high - low) else "white"
                text = quantity.form[1].format(value)
                axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=8)
    labels = [_short(v) for v in columns[1]]
    turned = max(map(len, labels)) * len(labels) > 60
    looks = {"rotation": 25, "ha": "right"} if turned else {}
    grid[-1].set_xticks(range(len(labels)), labels, fontsize=8, **looks)
    grid[-1].set_xlabel(columns[0], fontsize=9)
    assert image is not None
    figure.colorbar(image, ax=list(grid), label=quantity.label, aspect=30)
    return figure


def _ends(panels: Mapping[str, Any], quantity: Quantity) -> tuple[float, float]:
    """Whole tens of percent around all that is shown, so that differences have colours."""
    every = np.concatenate([np.ravel(np.asarray(p, float)) for p in panels.values()])
    known = quantity.factor * every[np.isfinite(every)]
    if not known.size:
        return 0.0, quantity.top or 1.0
    if quantity.top is None:
        return float(known.min()), float(known.max())
    low, high = 10 * np.floor(known.min() / 10), 10 * np.ceil(known.max() / 10)
    return float(low), float(max(high, low + 10))


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
