"""What the referee says."""

import numpy as np
from matplotlib.colors import Normalize

from xbar.paper.draw import labelled_matrix
from xbar.paper.experiment import Drawn, Findings, Read
from xbar.plots.style import new_figure


def draw(read: Read) -> list[Drawn]:
    """Largest difference by shape and layer."""
    if "circuits" not in read:
        return []
    table = read["circuits"]
    shapes = list(dict.fromkeys(table["shape"].tolist()))
    layers = np.unique(table["layer"])
    errors = np.full((len(shapes), len(layers)), np.nan)
    for i, shape in enumerate(shapes):
        for j, layer in enumerate(layers):
            rows = (table["shape"] == shape) & (table["layer"] == layer)
            errors[i, j] = table["error"][rows].max() if rows.any() else np.nan
    figure = new_figure(0.32 * len(shapes) + 1.3)
    axes = figure.subplots()
    image = labelled_matrix(
        axes,
        np.log10(np.maximum(errors, 1e-17)),
        np.vectorize("{:.0e}".format)(errors),
        shapes,
        [f"layer {k}" for k in layers],
        Normalize(-17, -9),
        "viridis",
    )
    bar = figure.colorbar(image, ax=axes)
    bar.set_label("log10 of the largest difference", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    caption = (
        f"Largest difference between xbar and ngspice {read['program']['version'][0]}, over the "
        "largest voltage or current of the array (of the layer's outputs, for amplifiers); "
        f"all below {table['allowed'].max():.0e}."
        if (table["error"] <= table["allowed"]).all()
        else f"Largest difference between xbar and ngspice {read['program']['version'][0]}; some "
        "exceed what counts as agreement."
    )
    return [Drawn("differences", "xbar against ngspice", caption, figure)]


def find(read: Read) -> Findings:
    """Whether they agree, and what ngspice would have taken."""
    version = str(read["program"]["version"][0])
    if not version:
        reason = str(read["program"]["reason"][0])
        return Findings([f"No referee: ngspice could not be used here ({reason})."])
    table, cost = read["circuits"], read["cost"]
    agree = table["error"] <= table["allowed"]
    worst = int(np.argmax(table["error"]))
    total = float(np.sum(cost["seconds"] * cost["solves"]))
    least = float(np.sum(cost["seconds"] * cost["linear"]))
    columns = (cost[name] for name in ("cells", "seconds", "solves"))
    sizes = "; ".join(
        f"{cells}: {seconds:.2f} s x {solves:,}"
        for cells, seconds, solves in zip(*columns, strict=True)
    )
    return Findings(
        [
            f"ngspice {version} and xbar agree on {int(agree.sum())} of {len(agree)} circuits, one "
            f"of each shape and layer; the largest relative difference is "
            f"{table['error'][worst]:.1e} ({table['shape'][worst]}, layer {table['layer'][worst]}, "
            f"{table['quantity'][worst]}).",
            f"The sweeps of this command hold {int(cost['arrays'].sum()):,} different arrays that "
            f"read {int(cost['solves'].sum()):,} inputs in all. One run of ngspice for each, at "
            f"the processor time measured here for one ({sizes}), would have taken "
            f"{total / 86400:,.1f} days of one core; one for each word line instead, which is "
            f"enough as the arrays are linear, {least / 86400:,.1f} days.",
        ]
    )
