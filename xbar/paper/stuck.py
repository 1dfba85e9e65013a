"""Where cells are stuck: on, off, unequal, or one cell of a pair; and what must hold in physics."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from xbar.paper.checks import checks_table
from xbar.paper.circuits import CORRECTOR, circuit_table, main_corrector
from xbar.paper.experiment import Experiment, Tables, column
from xbar.paper.lab import Lab
from xbar.paper.stuck_findings import draw, find
from xbar.run.chunks import Batch
from xbar.run.config import CircuitSettings, DefectSettings

AXES = ("layer", "seed", "mapping", "shape", "coverage", "fault", "stuck", "placement")
KINDS = (
    ("pair", ("on", "off")),
    (("unequal", "unequal-columns"), None),
    (("plus", "minus"), ("on", "off")),
)


def rms_error(batch: Batch) -> Mapping[str, Any]:
    """RMS of the change of the test images' output voltages over the healthy ones' RMS."""
    healthy, defective = (v[:, batch.trained :] for v in (batch.healthy_v, batch.defective_v))
    change = jnp.sqrt(jnp.mean((defective - healthy) ** 2, (1, 2)))
    return {"relative": change / jnp.sqrt(jnp.mean(healthy**2, (1, 2)))}


def compute(lab: Lab) -> Tables:
    """One row for each circuit; and one for each check of the physics."""
    asked = lab.settings
    defects = tuple(
        DefectSettings(
            asked.stuck_shapes,
            asked.stuck_coverage,
            asked.layers,
            fault,
            stuck,
            placements=asked.stuck_placements,
        )
        for fault, stuck in KINDS
    )
    study = lab.base(
        circuit=CircuitSettings(mapping=("unipolar", "balanced")),
        defects=defects,
        correctors=(main_corrector(asked.steps),),
    )
    run = lab.study("stuck", study, {"rms": rms_error})
    names = {"healthy": "healthy", "defective": "defective", CORRECTOR: "corrected"}
    table = circuit_table(run, AXES, names)
    about = "RMS change of the output voltages over the healthy circuit's RMS"
    table["rms"] = column(run.read("measures/rms")["relative"], "1", about)
    return {"circuits": table, "checks": checks_table(lab, table)}


EXPERIMENT = Experiment(
    name="stuck",
    title="Stuck-on, stuck-off, unequal, one-sided",
    question="Does it matter where the cells are stuck?",
    method="The same places for every kind of fault: both cells of a pair on or off, the two "
    "cells drawn on or off independently (each cell, or alike down each bit line), the plus or "
    "the minus cell alone. Both mappings of weights to pairs. Measured on the output voltages, "
    "which every pair changes, and on accuracy, which forgives.",
    compute=compute,
    draw=draw,
    find=find,
    open_points="Which cells of a pair were stuck and where; that stuck-on and stuck-off were "
    "found alike says that both cells were most likely stuck at the same value.",
)
