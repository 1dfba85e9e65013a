"""Where cells are stuck: on, off, unequal, or one cell of a pair; and what must hold in physics."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd

from xbar.io.runs import Run
from xbar.paper import charts
from xbar.paper.circuits import CORRECTOR, circuit_table, main_corrector
from xbar.paper.experiment import Experiment, Findings
from xbar.paper.repaired import without
from xbar.paper.settings import AREA
from xbar.paper.tables import Tables, cells, chosen, mean, per_seed, summary
from xbar.paper.workspace import Workspace
from xbar.run import CircuitSettings, DefectSettings, StoreSettings

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


PRECISION = 1e-9  # of a network's output voltages, relative to the largest; arrays hold 1e-10
RATIOS = (0.0, 1e-5, 1e-4, 5e-4)  # wire resistance per segment over R_on
R_ON = 10e3  # of the default window [ohm]


class Check(NamedTuple):
    """`left` needs to be below `right`; where not `required`, it may be otherwise."""

    check: int
    condition: str
    quantity: str
    left: float
    right: float
    required: bool = True


def checks_table(work: Workspace, circuits: pd.DataFrame) -> pd.DataFrame:
    """All checks, a row for each, given the experiment's circuits with their RMS errors."""
    found = pd.DataFrame([*zero_wires(work), *wires_separate(work), *worse(circuits)])
    found = found.sort_values("check", kind="stable", ignore_index=True)
    return found.assign(holds=found["left"] < found["right"])


def zero_wires(work: Workspace) -> list[Check]:
    """1: without wires stuck-on is stuck-off, and both are the software network with weights 0."""
    asked, found = work.settings, []
    study = work.base(
        circuit=CircuitSettings(wire_ohm=0.0),
        defects=(DefectSettings(asked.stuck_shapes, AREA, asked.layers, "pair", ("on", "off")),),
        store=StoreSettings("test", arrays=True),
    )
    run = work.study("zero_wires", study)
    for layer in asked.layers:
        rows = [run.rows(layer=layer, stuck=stuck) for stuck in ("on", "off")]  # in one order
        on, off = (run.voltages(r)[0] for r in rows)
        expected = np.stack([software_without(run, int(circuit), layer) for circuit in rows[0]])
        largest = np.abs(on).max((1, 2), keepdims=True)
        for words, other in (
            ("stuck-on against stuck-off, no wires", off),
            ("against software with weights 0", expected),
        ):
            apart = float((np.abs(on - other) / largest).max())
            found.append(Check(1, f"layer {layer}", words, apart, PRECISION))
    return found


def software_without(run: Run, circuit: int, layer: int) -> np.ndarray:
    """Output voltages of the software network with the stuck pairs' weights and biases at 0 [V]."""
    model = without(run.software(circuit), layer, jnp.asarray(run.hit(circuit)))
    images = run.images[run.parts["test"][circuit]]
    return np.asarray(run.network("healthy", circuit).output_scale * model(jnp.asarray(images)))


def wires_separate(work: Workspace) -> list[Check]:
    """2: wires part stuck-on and stuck-off in the first layer, the more the worse they are."""
    ohms, apart = tuple(R_ON * ratio for ratio in RATIOS), []
    shapes = work.settings.stuck_shapes
    study = work.base(
        circuit=CircuitSettings(wire_ohm=ohms),
        defects=(DefectSettings(shapes, AREA, 0, "pair", ("on", "off")),),
        store=StoreSettings("test"),
    )
    run = work.study("wires_separate", study)
    for ohm in ohms:
        rows = [run.rows(wire_ohm=ohm, stuck=stuck) for stuck in ("on", "off")]
        on, off = (run.voltages(r)[0] for r in rows)
        apart.append(float(np.sqrt(np.mean((on - off) ** 2) / np.mean(off**2))))
    words = "stuck-on against stuck-off, RMS"
    return [
        Check(2, f"layer 0, r / R_on {a:g} to {b:g}", words, x, y)
        for (a, x), (b, y) in pairwise(zip(RATIOS, apart, strict=True))
    ]


def worse(table: pd.DataFrame) -> list[Check]:
    """3 and 4: unequal is worse than equal, one-sided stuck-on worse than stuck-off; RMS errors."""
    found = []
    for (mapping, layer), place in table.groupby(["mapping", "layer"], sort=False):
        equal, unequal, off, on = (
            mean(chosen(place, fault=fault, stuck=stuck), "rms") / 100
            for fault, stuck in (
                ("pair", ["on", "off"]),
                ("unequal", "random"),
                (["plus", "minus"], "off"),
                (["plus", "minus"], "on"),
            )
        )
        where, words = f"layer {layer}, {mapping}", "RMS error, one-sided off against on"
        found.append(Check(3, where, "RMS error, equal against unequal", equal, unequal))
        found.append(Check(4, where, words, off, on, mapping == "unipolar"))
    return found
