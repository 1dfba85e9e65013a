"""How much the conclusions depend on what the paper leaves open."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import numpy as np

from xbar.paper.circuits import CORRECTOR, circuit_table, main_corrector
from xbar.paper.experiment import Experiment, Tables, column
from xbar.paper.lab import Lab
from xbar.paper.options_findings import DEFAULT, draw, find
from xbar.run.config import (
    CircuitSettings,
    CorrectorSettings,
    DefectSettings,
    NetworkSettings,
    Study,
)

ONE = "10-1-10"
AXES = ("layer", "seed", "shape", "coverage")
NAMES = {
    "software": "software",
    "healthy": "healthy",
    "defective": "defective",
    CORRECTOR: "corrected",
    ONE: "parameters_31",
}


def variants(lab: Lab, default: Study) -> Iterator[tuple[str, Study, str]]:
    """One option changed at a time: name of the option, the study, its swept column."""
    asked, circuit = lab.settings, default.circuit
    wires = replace(circuit, wire_ohm=asked.wires)
    yield "wire resistance", replace(default, circuit=wires), "wire_ohm"
    windows = replace(circuit, window=asked.windows)
    yield "device window", replace(default, circuit=windows), "window"
    yield "mapping", replace(default, circuit=replace(circuit, mapping="balanced")), "mapping"
    for activation in asked.activations:
        network = NetworkSettings(asked.hidden, cast(Any, activation))
        yield activation, replace(default, network=network), ""
    bare = tuple(replace(defect, bias_row=False) for defect in default.defects)
    yield "bias row left out", replace(default, defects=bare), ""


def compute(lab: Lab) -> Tables:
    """One row for each circuit of each option."""
    asked = lab.settings
    default = lab.base(
        seeds=min(asked.option_seeds, asked.seeds),
        circuit=CircuitSettings(),
        defects=(DefectSettings(asked.option_shapes, asked.coverage, asked.layers),),
        correctors=(
            main_corrector(asked.steps),
            CorrectorSettings((1,), ONE, steps=asked.steps),
        ),
    )
    blocks = []
    for number, (option, study, swept) in enumerate(variants(lab, default)):
        run = lab.study(f"options_{number}", study)
        table = circuit_table(run, AXES, NAMES)
        values = [str(v) for v in run.table[swept]] if swept else [option] * run.circuits
        kind = option if swept else ("activation" if option in asked.activations else "bias row")
        words = {"option": [kind] * run.circuits, "value": values}
        blocks.append({n: column(v) for n, v in words.items()} | table)
    return {
        "circuits": {
            name: blocks[0][name]._replace(
                values=np.concatenate([np.asarray(block[name].values) for block in blocks])
            )
            for name in blocks[0]
        }
    }


EXPERIMENT = Experiment(
    name="options",
    title="What the paper does not tell",
    question="Would the conclusions be others with other wires, devices or networks?",
    method="One option at a time is changed; all others are the defaults "
    f"({', '.join(f'{n} {v}' for n, v in DEFAULT.items())}, ReLU, unipolar mapping, defects reach "
    "over the bias row). The same seeds and places everywhere, so that options are compared in "
    "pairs.",
    compute=compute,
    draw=draw,
    find=find,
    open_points="All of it: wire resistance, device window, activation, mapping, and whether the "
    "bias row is part of the array.",
)
