"""Sweeps that several experiments read, and their circuits as tables."""

from collections.abc import Mapping

import numpy as np

from xbar.io.runs import Run
from xbar.io.store import Field
from xbar.nn import Network
from xbar.paper.experiment import column
from xbar.paper.lab import Lab
from xbar.run.config import CorrectorSettings, DefectSettings
from xbar.run.plan import AXES
from xbar.run.tables import quantities

CORRECTOR = "corrected"  # the paper's corrector of about 300 parameters: 10-14-10 has 304
NEIGHBOURS = "nearest neighbours"
MINIBATCH = 64  # a third of the time of all samples, and no measurable cost at this size


def main_corrector(steps: int) -> CorrectorSettings:
    """The corrector of about 300 parameters."""
    return CorrectorSettings((14,), CORRECTOR, steps=steps, batch_size=MINIBATCH)


def severities(lab: Lab) -> tuple[DefectSettings, ...]:
    """Each shape in each layer at each coverage that fits it."""
    asked = lab.settings
    return tuple(
        DefectSettings(shape, asked.fitting(shape), asked.layers, placements=asked.placements)
        for shape in asked.shapes
    )


def severity_sweep(lab: Lab) -> Run:
    """Six shapes x layers x severities, with the main corrector and the nearest neighbours."""
    study = lab.base(
        defects=severities(lab),
        correctors=(main_corrector(lab.settings.steps),),
        references=("nearest-neighbours",),
    )
    return lab.study("severities", study)


def circuit_table(
    run: Run, axes: tuple[str, ...], accuracies: Mapping[str, str]
) -> dict[str, Field]:
    """The circuits of a sweep with their accuracies.

    Args:
        run: the sweep.
        axes: columns of its table.
        accuracies: name in the sweep -> name of the column.

    Returns:
        Columns: the axes, `hit_share`, and the accuracies, (circuits,) each. Circuits that failed
        have NaN.
    """
    table = run.table
    known = quantities({"circuits": table, "accuracy": run.read("accuracy")})
    columns = {axis: column(table[axis], *AXES[axis]) for axis in axes}
    columns["hit_share"] = column(
        table["pairs_hit"] / pairs_of(run)[table["layer"]], "1", "share of the pairs that are stuck"
    )
    for name, ours in accuracies.items():
        columns[ours] = column(known[name], "1", f"test accuracy, {name}")
    return columns


def pairs_of(run: Run) -> np.ndarray:
    """Number of pairs of each layer's array, the bias row included, (layers,)."""
    layers = run.stack("healthy", Network).layers
    return np.array([np.prod(layer.pairs.shape) for layer in layers])
