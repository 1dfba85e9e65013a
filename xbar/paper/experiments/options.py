"""How much the conclusions depend on what the paper leaves open."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pandas as pd

from xbar.paper import charts
from xbar.paper.circuits import CORRECTOR, circuit_table, main_corrector
from xbar.paper.experiment import Experiment, Findings
from xbar.paper.settings import AREA
from xbar.paper.tables import Tables, cells, chosen, per_seed, percent, points, summary
from xbar.paper.workspace import Workspace
from xbar.run import CircuitSettings, CorrectorSettings, DefectSettings, NetworkSettings, Study

ONE, WIRES = "10-1-10", "wire resistance"
RECOVERS, ORDER = "gain by 304 parameters", "last layer's extra loss"
WORSE = "change by 31 parameters"


def variants(work: Workspace, default: Study) -> Iterator[tuple[str, Study, str]]:
    """One option changed at a time: name of the option, the study, its swept column or value."""
    asked, circuit = work.settings, default.circuit
    yield WIRES, replace(default, circuit=replace(circuit, wire_ohm=asked.wires)), "wire_ohm"
    windows = replace(circuit, window=asked.windows)
    yield "device window", replace(default, circuit=windows), "window"
    yield "mapping", replace(default, circuit=replace(circuit, mapping="balanced")), "mapping"
    for activation in asked.activations:
        network = NetworkSettings(asked.hidden, cast(Any, activation))
        yield "activation", replace(default, network=network), activation
    bare = tuple(replace(defect, bias_row=False) for defect in default.defects)
    yield "bias row", replace(default, defects=bare), "bias row left out"


def compute(work: Workspace) -> Tables:
    """One row for each circuit of each option."""
    asked, blocks = work.settings, []
    default = work.base(
        seeds=min(asked.option_seeds, asked.seeds),
        circuit=CircuitSettings(),
        defects=tuple(DefectSettings(s, c, asked.layers) for s, c in asked.option_defects),
        correctors=(
            main_corrector(asked.steps),
            CorrectorSettings((1,), ONE, steps=asked.steps),
        ),
    )
    names = {"software": "software", "corrected": CORRECTOR, "parameters_31": ONE}
    for number, (option, study, value) in enumerate(variants(work, default)):
        run = work.study(f"options_{number}", study)
        table = circuit_table(run, "layer", "seed", "shape", "coverage", **names)
        values = run.table[value].astype(str) if value in run.table else value
        blocks.append(table.assign(option=option, value=values))
    return {"circuits": pd.concat(blocks, ignore_index=True)}


def conclusions(table: pd.DataFrame) -> pd.DataFrame:
    """The main conclusions as intervals, under each option.

    What the corrector gains; loss in the last layer minus the mean of the others; and what 31
    parameters change for the study's own circle (or for all circuits of a table without it).
    """
    units = {WIRES: " Ω a segment"}
    named = table["value"].astype(str) + table["option"].map(units).fillna("")
    table = table.assign(under=named, last=table["layer"] == table["layer"].max())
    own = chosen(table, shape="circle", coverage=AREA)
    loss = per_seed(table, "healthy", "under", "last", minus="defective").unstack("last")
    found = {
        RECOVERS: per_seed(table, "corrected", "under", minus="defective"),
        ORDER: loss[True] - loss[False],
        WORSE: per_seed(own if len(own) else table, "parameters_31", "under", minus="defective"),
    }
    return summary(pd.concat(found, names=["conclusion"]))


def find(tables: Tables) -> Findings:
    """How far each conclusion moves with each option."""
    table, found = tables["circuits"], conclusions(tables["circuits"])
    healthy = summary(per_seed(chosen(table, option=WIRES), "healthy", "value"))
    worst = healthy["mean"].idxmin()
    facts = {
        "wires": percent(healthy.loc[worst]),
        "ohm": str(worst),
        "software": percent(per_seed(table, "software")),
    }
    for short, name in (("gain", RECOVERS), ("order", ORDER), ("few", WORSE)):
        part = found.loc[name]
        low, high = (part.loc[end] for end in (part["mean"].idxmin(), part["mean"].idxmax()))
        facts |= {
            "options": str(len(part)),
            f"{short}_above": str((part["mean"] > part["half"]).sum()),
            f"{short}_below": str((part["mean"] < -part["half"]).sum()),
            f"{short}_low": f"{points(low)} ({low.name})",
            f"{short}_high": f"{points(high)} ({high.name})",
        }
    rows = found.assign(all="").set_index("all", append=True)
    figure = charts.intervals(rows, "under", "all", "conclusion", label="points of accuracy")
    return Findings(facts, {}, {"options": cells(found, "conclusion")}, {"options": figure})


EXPERIMENT = Experiment("options", compute, find)
