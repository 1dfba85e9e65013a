"""Where cells are stuck: on, off, unequal, or one cell of a pair; and what must hold in physics."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import pandas as pd

from xbar.paper import charts
from xbar.paper.circuits import CORRECTOR, circuit_table, main_corrector
from xbar.paper.experiment import Experiment, Findings
from xbar.paper.experiments.checks import checks_table
from xbar.paper.settings import AREA
from xbar.paper.tables import Tables, cells, chosen, per_seed, summary
from xbar.paper.workspace import Workspace
from xbar.run import CircuitSettings, DefectSettings

FAULTS = (
    ("pair", ("on", "off")),
    ("unequal", "random"),
    ("unequal-columns", ("random", "uniform")),
    (("plus", "minus"), ("on", "off")),
)
ON, OFF, COLUMN = "pair on", "pair off", "unequal, each bit line"
WORDS = {
    "pair on": ON,
    "pair off": OFF,
    "unequal random": "unequal, each cell",
    "unequal-columns uniform": "unequal, each bit line, evenly",
    "unequal-columns random": COLUMN,
    "plus on": "plus cell on",
    "plus off": "plus cell off",
    "minus on": "minus cell on",
    "minus off": "minus cell off",
}


def rms_error(batch: Any) -> Mapping[str, Any]:
    """RMS of the change of the test images' output voltages over the healthy ones' RMS."""
    healthy, defective = (v[:, batch.trained :] for v in (batch.healthy_v, batch.defective_v))
    change = jnp.sqrt(jnp.mean((defective - healthy) ** 2, (1, 2)))
    return {"relative": change / jnp.sqrt(jnp.mean(healthy**2, (1, 2)))}


def compute(work: Workspace) -> Tables:
    """One row for each circuit; and one for each check of the physics."""
    asked = work.settings
    places = asked.stuck_placements
    same = DefectSettings(asked.stuck_shapes, AREA, asked.layers, placements=places)
    study = work.base(
        circuit=CircuitSettings(mapping=("unipolar", "balanced")),
        defects=tuple(replace(same, fault=fault, stuck=stuck) for fault, stuck in FAULTS),
        correctors=(main_corrector(asked.steps),),
    )
    run = work.study("stuck", study, {"rms": rms_error})
    axes = ("layer", "seed", "mapping", "shape", "coverage", "fault", "stuck", "placement")
    table = circuit_table(run, *axes, corrected=CORRECTOR)
    table["rms"] = run.read("measures/rms")["relative"]
    return {"circuits": table, "checks": checks_table(work, table)}


def find(tables: Tables) -> Findings:
    """The two claims of 2024, and the checks."""
    table = tables["circuits"]
    kinds = pd.Categorical((table["fault"] + " " + table["stuck"]).map(WORDS), list(WORDS.values()))
    table = table.assign(kind=kinds).sort_values("kind", kind="stable")
    table["kind"] = table["kind"].astype(str)
    unipolar = chosen(table, mapping="unipolar")
    loss = per_seed(unipolar, "healthy", "layer", "kind", minus="defective").unstack("kind")
    beyond = summary(loss[COLUMN] - (loss[ON] + loss[OFF]) / 2)
    lost = {
        title: cells(summary(per_seed(unipolar, "healthy", "kind", minus=column)), form=".1f")[""]
        for title, column in (("uncorrected", "defective"), ("after correction", "corrected"))
    }
    checks = tables["checks"]
    required, others = checks[checks["required"]], checks[~checks["required"]]
    broken = required[~required["holds"]]
    broken = [f"{c} in {w}" for c, w in zip(broken["check"], broken["condition"], strict=True)]
    facts = {
        "held": str(required["holds"].sum()),
        "checks": str(len(required)),
        "broken": f" (not: {'; '.join(broken)})" if broken else "",
        "reversed": str((~others["holds"]).sum()),
        "others": str(len(others)),
    }
    words = checks["holds"].map({True: "yes", False: "no"})
    words = words.where(checks["required"] | checks["holds"], "reversed, as it may")
    shown = checks.set_index("check")[["condition", "quantity"]].assign(
        this=[f"{value:.3g}" for value in checks["left"]],
        below=[f"{value:.3g}" for value in checks["right"]],
        holds=words.to_numpy(),
    )
    found = summary(per_seed(table, "defective", "kind", "layer", "mapping"))
    label = "test accuracy, uncorrected [%]"
    figure = charts.intervals(found, "kind", "layer", "mapping", label=label, columns=4)
    claims = {"on_off": summary(loss[ON] - loss[OFF]), "columns": beyond}
    return Findings(
        facts, claims, {"lost": pd.concat(lost, axis=1), "checks": shown}, {"kinds": figure}
    )


EXPERIMENT = Experiment("stuck", compute, find)
