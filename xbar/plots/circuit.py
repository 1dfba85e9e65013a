"""One solved array as a picture: the circuit itself, or a map of its cells.

Each function takes an `xb.Solution`, or anything with its fields, and returns a Matplotlib figure;
`figure.savefig("array.svg")` writes it as a vector drawing.
"""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

MOST = 32  # lines on a side that a drawing still shows apart
_SHIFT = 0.36  # of a bit-line node from its word-line node, in cells: right and down
_CURRENTS, _VOLTAGES = "viridis", "coolwarm"


class _Branches(NamedTuple):
    """Ends and currents of the branches of an array: (n, 2, 2) and (n,) [A]."""

    lines: np.ndarray
    amperes: np.ndarray


class _One(NamedTuple):
    """The solution of one input vector, as NumPy arrays."""

    i_out: np.ndarray
    v_word: np.ndarray
    v_bit: np.ndarray
    i_cell: np.ndarray
    i_word: np.ndarray | None = None  # out of the near drivers; None is the sum over the cells
    i_word_far: np.ndarray | None = None  # out of drivers at the far ends, where there are any
    i_bit_far: np.ndarray | None = None

    @staticmethod
    def of(sol: Any, which: int) -> "_One":
        needed = [name for name in _One._fields if name not in _One._field_defaults]
        if not all(hasattr(sol, name) for name in needed):
            raise TypeError(
                f"sol: got {type(sol).__name__}, needs an xb.Solution, or its {', '.join(needed)}"
            )
        there = [name for name in _One._field_defaults if getattr(sol, name, None) is not None]
        parts = {name: np.asarray(getattr(sol, name)) for name in (*needed, *there)}
        if parts["v_word"].ndim == 3:
            count = parts["v_word"].shape[-1]
            if not 0 <= which < count:
                raise ValueError(f"which: got {which}, needs 0..{count - 1}, an input of sol")
            parts = {name: part[..., which] for name, part in parts.items()}
        shape = parts["v_word"].shape
        if len(shape) != 2:
            raise ValueError(
                f"sol.v_word: got shape {shape}, needs (rows, cols) or (rows, cols, n)"
            )
        return _One(**parts)


def circuit(sol: Any, which: int = 0, *, values: bool | None = None) -> Figure:
    """The array as a drawing: branches coloured by current, nodes by voltage.

    Word lines run to the right from their drivers, bit lines down to their amplifiers, a cell
    slants from one to the other; drivers at the far ends are on the right and on top. Segment
    currents are sums of cell currents from a line's far end, which holds for floating and broken
    lines too.

    ```python
    figure = xb.plots.circuit(sol)
    figure.savefig("array.svg")
    ```

    Args:
        sol: an `xb.Solution` of at most 32x32 cells.
        which: the input vector, where `sol` has several.
        values: write currents beside the drivers and amplifiers; None where there is room (8x8).

    Returns:
        The figure.

    Raises:
        TypeError: `sol` is no solution.
        ValueError: larger than 32x32 (`drop` and `power` show those), bridged lines, or `which`
            out of range.
    """
    one = _One.of(sol, which)
    rows, cols = one.i_cell.shape
    if getattr(getattr(sol, "terminals", None), "bridge", None) is not None:
        raise ValueError(
            "sol: got bridged lines, needs lines that do not touch: segment currents are drawn as "
            "sums of cell currents"
        )
    if max(rows, cols) > MOST:
        raise ValueError(
            f"sol: got {rows}x{cols} cells, needs at most {MOST}x{MOST} to be drawn; "
            "xbar.plots.drop and xbar.plots.power show larger arrays"
        )
    written = max(rows, cols) <= 8 if values is None else values
    figure = Figure(figsize=_size(rows, cols), layout="constrained")
    axes = figure.subplots()
    branches = _branches(one)
    norm = Normalize(0, max(float(np.abs(branches.amperes).max()), 1e-30) * 1e6)
    thin = float(np.clip(24 / max(rows, cols), 0.9, 3.0))
    drawn = LineCollection(list(branches.lines), cmap=_CURRENTS, norm=norm, linewidths=thin)
    drawn.set_array(1e6 * np.abs(branches.amperes))
    axes.add_collection(drawn)
    nodes = _nodes(axes, one)
    _ends(axes, one, written)
    axes.set(
        xlim=(-1.6 if written else -1.0, cols + 0.2), ylim=(rows + (0.75 if written else 0.4), -0.6)
    )
    axes.set_aspect("equal")
    axes.axis("off")
    axes.set_title(f"{rows} word lines, {cols} bit lines", fontsize=9, loc="left")
    _bar(figure, axes, drawn, "branch current [µA]")
    _bar(figure, axes, nodes, "node voltage [mV]")
    return figure


def _size(rows: int, cols: int) -> tuple[float, float]:
    """Inches: each cell the same, nothing smaller than a page's column."""
    side = float(np.clip(11 / max(rows, cols), 0.26, 0.8))
    return max(4.8, side * cols + 3.0), max(2.6, side * rows + 1.0)


def _branches(one: _One) -> _Branches:
    rows, cols = one.i_cell.shape
    y, x = np.mgrid[:rows, :cols].astype(float)
    word, bit = np.stack([x, y], -1), np.stack([x + _SHIFT, y + _SHIFT], -1)
    left, below = word - np.array([1.0, 0.0]), bit + np.array([0.0, 1.0])
    left[:, 0, 0] = -0.6  # the driver
    below[-1, :, 1] = rows - 0.15  # the amplifier
    along_word = np.cumsum(one.i_cell[:, ::-1], axis=1)[:, ::-1]
    along_bit = np.cumsum(one.i_cell, axis=0)
    ends = [(left, word), (word, bit), (bit, below)]
    if one.i_word_far is not None:
        along_word = along_word - one.i_word_far[:, None]
        ends.append((word[:, -1:], np.stack([np.full((rows, 1), cols - 0.4), y[:, -1:]], -1)))
    if one.i_bit_far is not None:
        along_bit = along_bit + one.i_bit_far
        ends.append((np.stack([x[:1] + _SHIFT, np.full((1, cols), -0.5)], -1), bit[:1]))
    lines = [np.stack(pair, 2).reshape(-1, 2, 2) for pair in ends]
    far = [part for part in (one.i_word_far, one.i_bit_far) if part is not None]
    amperes = [part.ravel() for part in (along_word, one.i_cell, along_bit, *far)]
    return _Branches(np.concatenate(lines), np.concatenate(amperes))


def _nodes(axes: Axes, one: _One) -> EllipseCollection:
    rows, cols = one.i_cell.shape
    y, x = np.mgrid[:rows, :cols].astype(float)
    places = np.concatenate(
        [np.stack([x, y], -1).reshape(-1, 2), np.stack([x + _SHIFT, y + _SHIFT], -1).reshape(-1, 2)]
    )
    millivolt = 1e3 * np.concatenate([one.v_word.ravel(), one.v_bit.ravel()])
    most = max(float(np.nanmax(np.abs(millivolt))), 1e-30)
    low = -most if float(np.nanmin(millivolt)) < 0 else 0.0
    size = np.full(len(places), 0.17)
    nodes = EllipseCollection(
        size, size, 0 * size, units="x", offsets=places, transOffset=axes.transData,
        cmap=_VOLTAGES, norm=Normalize(low, most), edgecolors="black", linewidths=0.4, zorder=3,
    )  # fmt: skip
    nodes.set_array(millivolt)
    axes.add_collection(nodes)
    return nodes


def _ends(axes: Axes, one: _One, values: bool) -> None:
    """Drivers on the left, amplifiers below, and their currents."""
    rows, cols = one.i_cell.shape
    axes.plot(np.full(rows, -0.6), np.arange(rows), ">", color="0.25", markersize=5, clip_on=False)
    at = np.arange(cols) + _SHIFT
    axes.plot(at, np.full(cols, rows - 0.15), "v", color="0.25", markersize=5, clip_on=False)
    if one.i_word_far is not None:
        right = np.full(rows, cols - 0.4)
        axes.plot(right, np.arange(rows), "<", color="0.25", markersize=5, clip_on=False)
    if one.i_bit_far is not None:
        axes.plot(at, np.full(cols, -0.5), "v", color="0.25", markersize=5, clip_on=False)
    if not values:
        return
    near = one.i_cell.sum(axis=1) if one.i_word is None else one.i_word
    for row, amperes in enumerate(near):
        axes.text(-0.72, row, f"{1e6 * amperes:.3g} µA", fontsize=7, ha="right", va="center")
    for x, amperes in zip(at, one.i_out, strict=True):
        axes.text(x, rows + 0.05, f"{1e6 * amperes:.3g}\nµA", fontsize=7, ha="center", va="top")


def _bar(figure: Figure, axes: Axes, drawn: ScalarMappable | Any, label: str) -> None:
    bar = figure.colorbar(drawn, ax=axes, shrink=0.85, aspect=25, pad=0.02)
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)


def array(g: Any, title: str | None = None) -> Figure:
    """Conductances of one array as a map.

    ```python
    xb.plots.array(g).savefig("cells.png")
    ```

    Args:
        g: (rows, cols) [S].
        title: None says how many lines there are.

    Returns:
        The figure; the scale is logarithmic where the cells span a decade and none is open.
    """
    micro = 1e6 * _map(g, "g")
    least, most = float(micro.min()), float(micro.max())
    norm = LogNorm(least, most) if 0 < 10 * least < most else Normalize(min(least, 0), most)
    return _shown(micro, title, "cell conductance [µS]", "viridis", norm)


def drop(sol: Any, v_in: Any, which: int = 0, title: str | None = None) -> Figure:
    """What the wires take away from each cell: its row's drive minus its own voltage.

    ```python
    xb.plots.drop(sol, v_in).savefig("drop.png")
    ```

    Args:
        sol: an `xb.Solution`.
        v_in: what the rows were driven at, (rows,) or (rows, n) [V].
        which: the input vector, where there are several.
        title: None says how many lines there are.

    Returns:
        The figure.

    Raises:
        TypeError: `sol` is no solution.
        ValueError: v_in has not a row for each word line.
    """
    one, drive = _One.of(sol, which), np.asarray(v_in)
    drive = drive[:, which] if drive.ndim == 2 else drive
    if drive.shape != one.v_word.shape[:1]:
        raise ValueError(f"v_in: got shape {drive.shape}, needs ({one.v_word.shape[0]},)")
    lost = 1e3 * (drive[:, None] - (one.v_word - one.v_bit))
    most, least = float(lost.max()), min(float(lost.min()), 0.0)
    return _shown(lost, title, "voltage lost in the wires [mV]", "magma", Normalize(least, most))


def power(sol: Any, which: int = 0, title: str | None = None) -> Figure:
    """Power that each cell turns into heat.

    ```python
    xb.plots.power(sol).savefig("power.png")
    ```

    Args:
        sol: an `xb.Solution`.
        which: the input vector, where there are several.
        title: None says how many lines there are.

    Returns:
        The figure.

    Raises:
        TypeError: `sol` is no solution.
    """
    one = _One.of(sol, which)
    micro = 1e6 * one.i_cell * (one.v_word - one.v_bit)
    norm = Normalize(0, max(float(micro.max()), 1e-30))
    return _shown(micro, title, "power of the cell [µW]", "inferno", norm)


def _map(values: Any, name: str) -> np.ndarray:
    found = np.asarray(values, dtype=float)
    if found.ndim != 2:
        raise ValueError(f"{name}: got shape {found.shape}, needs (rows, cols)")
    return found


def _shown(
    values: np.ndarray, title: str | None, label: str, colours: str, norm: Normalize
) -> Figure:
    """A map of the cells, square ones where the array is not too long."""
    rows, cols = values.shape
    long = max(rows, cols) > 4 * min(rows, cols)
    height = 2.4 if long and cols > rows else float(np.clip(4.2 * rows / cols, 2.2, 5.5))
    figure = Figure(figsize=(5.0, height), layout="constrained")
    axes = figure.subplots()
    aspect = "auto" if long else "equal"
    image = axes.imshow(values, cmap=colours, norm=norm, aspect=aspect, interpolation="none")
    said = f"{rows} word lines, {cols} bit lines" if title is None else title
    axes.set_title(said, fontsize=9, loc="left")
    axes.set_xlabel("bit line", fontsize=8)
    axes.set_ylabel("word line", fontsize=8)
    axes.tick_params(labelsize=7)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    _bar(figure, axes, image, label)
    return figure
