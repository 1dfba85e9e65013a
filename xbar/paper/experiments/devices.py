"""Which conclusions survive a real device? Programming error, nonlinear cells, broken lines."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from xbar.paper import charts
from xbar.paper.circuits import CORRECTOR, circuit_table, main_corrector
from xbar.paper.experiment import Experiment, Findings
from xbar.paper.experiments.options import ONE
from xbar.paper.experiments.sizes import own_circle
from xbar.paper.settings import AREA
from xbar.paper.tables import Tables, cells, chosen, per_seed, percent, summary
from xbar.paper.workspace import Workspace
from xbar.run import CellSettings, CircuitSettings, CorrectorSettings, DefectSettings, Study
from xbar.run.study.tables import ROUGH

IDEAL, LINEAR, COLUMNS = "ideal", "linear", "unequal-columns"
V_0 = 0.25  # volts at which sinh cells bend, near the read voltage of 0.2
BENT = CellSettings("sinh", V_0, read="corrected")
SAMPLE = 1  # seeds whose nonlinear circuits are solved input by input, too
NONLINEAR, EXACT = "nonlinear cells", "nonlinear cells, exact"

WORDS = {
    "programming=0.05": "programming error 5 %",
    "programming=0.2": "programming error 20 %",
    "wan2022": "measured chip (wan2022)",
    "open-word-lines": "broken word lines",
    "open-bit-lines": "broken bit lines",
}


def variants(work: Workspace) -> Iterator[tuple[str, Study]]:
    """The same circuits with one kind of device each; broken lines in the place of stuck cells."""
    asked, steps = work.settings, work.settings.steps
    pair = DefectSettings("circle", (AREA, asked.coverage), asked.layers)
    unequal = replace(pair, coverage=AREA, fault=COLUMNS, stuck="random")
    ideal = work.base(
        seeds=min(asked.option_seeds, asked.seeds),
        circuit=CircuitSettings(),
        defects=(pair, unequal),
        correctors=(
            main_corrector(steps),
            CorrectorSettings((1,), ONE, steps=steps),
            CorrectorSettings((), LINEAR, steps=steps),
        ),
    )
    yield IDEAL, ideal
    for name in asked.devices:
        window = "mnsim" if "=" in name else "device"
        yield name, replace(ideal, circuit=CircuitSettings(window, device=name))
    yield NONLINEAR, replace(ideal, cells=BENT)
    for fault in ("open-word-lines", "open-bit-lines"):
        yield fault, replace(ideal, defects=(replace(pair, fault=fault),))
    few = replace(pair, coverage=AREA)
    exact = replace(BENT, read="exact")
    yield EXACT, replace(ideal, seeds=SAMPLE, cells=exact, defects=(few,))


def compute(work: Workspace) -> Tables:
    """One row for each circuit under each kind of device."""
    blocks = []
    names = {"corrected": CORRECTOR, "parameters_31": ONE, LINEAR: LINEAR}
    for number, (device, study) in enumerate(variants(work)):
        run = work.study(f"devices_{number}", study)
        table = circuit_table(run, "layer", "seed", "shape", "coverage", "fault", **names)
        error = run.table.get("current_error", np.zeros(len(table)))
        blocks.append(table.assign(device=WORDS.get(device, device), current_error=error))
    return {"circuits": pd.concat(blocks, ignore_index=True)}


def find(tables: Tables) -> Findings:
    """Each claim under each kind of device, from the circuits whose currents are known."""
    every = tables["circuits"]
    known = every["current_error"] <= ROUGH
    table = every[known & (every["device"] != EXACT)]
    same = table[table["fault"] != COLUMNS]
    last = same.assign(last=same["layer"] == same["layer"].max())
    loss = per_seed(last, "healthy", "device", "last", minus="defective").unstack("last")
    own = _with_both(own_circle(table))
    unequal = per_seed(chosen(own, fault=COLUMNS), "healthy", "device", minus="defective")
    equal = per_seed(chosen(own, fault="pair"), "healthy", "device", minus="defective")
    claims = {
        "device_gain": summary(per_seed(same, "corrected", "device", minus="defective")),
        "device_order": summary(loss[True] - loss[False]),
        "device_parameters_31": summary(
            per_seed(own_circle(same), "parameters_31", "device", minus="defective")
        ),
        "device_linear": summary(per_seed(same, LINEAR, "device", minus="corrected")),
        "device_columns": summary((unequal - equal).dropna()),
    }
    states = {"healthy": "healthy", "broken": "defective", "corrected": "corrected"}
    levels = {name: summary(per_seed(same, c, "device")) for name, c in states.items()}
    means = pd.concat(levels, names=["state"])
    shown = {
        "claims": cells(
            pd.concat({_SHORT[k]: v for k, v in claims.items()}, names=["claim"]), "claim"
        ),
        "levels": cells(means, "state", form=".1f"),
    }
    facts = {
        "healthy": percent(levels["healthy"].loc[IDEAL]),
        "coverage": f"{table['coverage'].max():.0%}",
        **_sample(every[known]),
    }
    if not known.all():
        facts |= {
            "left_out": str((~known).sum()),
            "rough": f"{ROUGH:.0%}",
            "nonlinear": str((every["device"] == NONLINEAR).sum()),
        }
    figure = charts.intervals(means, "device", "state", label="test accuracy [%]")
    return Findings(facts, claims, shown, {"levels": figure})


def _with_both(own: pd.DataFrame) -> pd.DataFrame:
    """Circuits that are known with equal values and with unequal ones, at the same place."""
    kinds = own.groupby(["device", "layer", "seed"])["fault"].transform("nunique")
    return own[kinds == 2]


_SHORT = {
    "device_gain": "gain by 304 parameters",
    "device_order": "last layer's extra loss",
    "device_parameters_31": "change by 31 parameters",
    "device_linear": "linear minus 304",
    "device_columns": "unequal by bit line: extra loss",
}


def _sample(every: pd.DataFrame) -> dict[str, str]:
    """How far corrected transfer matrices are from circuits solved input by input."""
    exact = chosen(every, device=EXACT)
    if not len(exact):
        return {}
    by = ["layer", "seed", "coverage", "fault"]
    near = chosen(every, device=NONLINEAR).set_index(by)
    exact = exact.set_index(by)
    apart = 100 * (near.loc[exact.index, "defective"] - exact["defective"]).abs().max()
    return {
        "current_error": f"{100 * near['current_error'].max():.2g}",
        "apart": f"{apart:.1f}",
        "sample": str(len(exact)),
    }


EXPERIMENT = Experiment("devices", compute, find)
