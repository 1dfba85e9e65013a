"""Figures of the results; drawn from rows alone."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed.rows import RESULTS, Row

MARKERS = "osD^vP*Xhd<>"


def new(panels: int) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, panels, figsize=(6 * panels, 4.5), layout="constrained")
    return figure, [axes] if panels == 1 else list(axes)


def lines(
    axes: Any, rows: Sequence[Row], x: Callable[[Row], float], y: Callable[[Row], float]
) -> None:
    """One line per contestant and precision through its valid rows; log-log."""
    names = list(dict.fromkeys((r.contestant, r.precision) for r in rows))
    for n, (name, precision) in enumerate(names):
        mine = [r for r in rows if (r.contestant, r.precision) == (name, precision) and r.fine]
        points = sorted((x(r), y(r)) for r in mine if not math.isnan(y(r)))
        if not points:
            continue
        style = "-" if name.startswith("xbar") else "--"
        label = f"{name}, {precision}" if name.startswith("xbar") else name
        axes.plot(*zip(*points, strict=True), style, marker=MARKERS[n % len(MARKERS)],
                  markersize=4, label=label)  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(alpha=0.3)


def finish(figure: Any, axes: Any, name: str, quick: bool) -> Path:
    axes.legend(fontsize=7)
    folder = RESULTS / "quick" if quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.png", dpi=130)
    return folder / f"{name}.png"


def reference_to(name: str, caption: str) -> str:
    return f"![{caption}]({name}.png)\n\n{caption}\n\n"
