"""Which layer suffers, and how much comes back? Six shapes x layers x severities."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from xbar.paper import charts
from xbar.paper.circuits import CORRECTOR, NEIGHBOURS, circuit_table, main_corrector
from xbar.paper.claims import listed
from xbar.paper.experiment import Experiment, Findings
from xbar.paper.settings import AREA
from xbar.paper.tables import Tables, cells, chosen, per_seed, percent, points, summary
from xbar.paper.workspace import Workspace
from xbar.run import DefectSettings

STARTS = {"recovery_study": 55, "recovery_predecessor": 48}  # published, in per cent
NEAR = 5.0  # points: how near to a published start a setting has to start
SETTING = ["layer", "shape", "coverage"]
SHARED = (AREA, 0.25, 0.35, 0.5, 0.7)  # severities that most shapes have


def compute(work: Workspace) -> Tables:
    """One row for each circuit."""
    asked = work.settings
    study = work.base(
        defects=tuple(DefectSettings(s, asked.fitting(s), asked.layers) for s in asked.shapes),
        correctors=(main_corrector(asked.steps),),
        references=("nearest-neighbours",),
    )
    run = work.study("severities", study)
    columns = ("layer", "seed", "shape", "coverage", "placement")
    return {"circuits": circuit_table(run, *columns, corrected=CORRECTOR, neighbours=NEIGHBOURS)}


def last_over_others(table: pd.DataFrame, *by: str) -> pd.DataFrame:
    """Loss in the last layer minus that in each earlier one; shapes and severities count alike."""
    each = per_seed(table, "healthy", *by, "layer", minus="defective").unstack("layer")
    last = max(each.columns)
    found = {layer: each[last] - each[layer] for layer in each.columns if layer != last}
    return summary(pd.concat(found, names=["layer"]))


def order(table: pd.DataFrame) -> pd.DataFrame:
    """The same by severity, over all shapes and without the checkerboard, which has but one."""
    board = table["shape"] == "checkerboard"
    others = [table[~board & np.isclose(table["coverage"], c)] for c in SHARED]
    others = [
        part.assign(severity=f"{100 * c:.3g} %") for c, part in zip(SHARED, others, strict=True)
    ]
    boards = [
        table[board].assign(severity=part["severity"].iloc[0]) for part in others if len(part)
    ]
    parts = {"all shapes": others + boards, "without the checkerboard": others}
    found = {k: last_over_others(pd.concat(part), "severity") for k, part in parts.items()}
    return pd.concat(found, names=["shapes"]).swaplevel(1, 2)


def find(tables: Tables) -> Findings:
    """Recovery from every start, the order of the layers, and what nothing repairs."""
    table = tables["circuits"]
    names = ("healthy", "defective", "corrected", "neighbours")
    means = {name: summary(per_seed(table, name, *SETTING)) for name in names}
    ordered, by_shape = order(table), last_over_others(table, "shape")
    own = chosen(table, shape="circle", coverage=AREA).assign(severity=f"{100 * AREA:.3g} %")
    parts = {"mean of all shapes": ordered.loc["all shapes"]}
    if len(own):
        parts["circle r = 0.2"] = last_over_others(own, "severity").swaplevel()
    claims = {"layers": pd.concat(parts, names=["shapes"]).swaplevel(1, 2)}
    for name, start in STARTS.items():
        near = (means["defective"]["mean"] - start).abs() <= NEAR
        claims[name] = means["corrected"][near]
    rest = ordered.loc["without the checkerboard"]
    yes, no = (rest["mean"] > rest["half"]).sum(), (rest["mean"] < -rest["half"]).sum()
    less = by_shape[by_shape["mean"] + by_shape["half"] < 0].iterrows()
    exceptions = "; ".join(f"{s}, layer {k} ({points(row)})" for (k, s), row in less)
    facts = {
        "last": str(table["layer"].max()),
        "largest": _largest(means),
        "without": f"{yes} of {len(rest)} conditions",
        "reversed": str(no),
        "exceptions": exceptions or "none",
        **_lost(table, means),
        **_lines(table),
    }
    shown = {
        "order": cells(ordered, "layer"),
        "shapes": cells(by_shape, "layer"),
        "study": cells(summary(per_seed(own, "healthy", "layer", minus="defective")), form=".1f"),
    }
    return Findings(facts, claims, shown, _draw(table, means))


def _largest(means: dict[str, pd.DataFrame]) -> str:
    most = (means["corrected"]["mean"] - means["defective"]["mean"]).idxmax()
    where = ", ".join(listed(*pair) for pair in zip(SETTING, ([v] for v in most), strict=True))
    ends = [percent(means[name].loc[most]) for name in ("defective", "corrected")]
    return f"{' to '.join(ends)} ({where})"


def _lost(table: pd.DataFrame, means: dict[str, pd.DataFrame]) -> dict[str, str]:
    """Settings in which the voltages hold less than half of what the healthy circuit knows."""
    lost = means["neighbours"]["mean"] < 0.5 * means["healthy"]["mean"]
    if not lost.any():
        return {}
    rows = table.set_index(SETTING).loc[lost.index[lost]].reset_index()
    return {
        "hopeless": str(int(lost.sum())),
        "settings": str(len(lost)),
        "lost": percent(per_seed(rows, "corrected")),
        "lost_from": f"{rows['coverage'].min():.0%}",
    }


def _lines(table: pd.DataFrame) -> dict[str, str]:
    """In the last layer: word lines, which carry hidden units, against bit lines, the classes."""
    lines = chosen(table, layer=table["layer"].max(), shape=["row", "column"])
    lines = lines[lines["coverage"] == lines["coverage"].max()]
    ends = per_seed(lines, "corrected", "shape").unstack("shape")
    if len(ends.columns) < 2:
        return {}
    ends = {"rows": percent(ends["row"]), "columns": percent(ends["column"])}
    return ends | {"lines": f"{lines['coverage'].max():.0%}"}


def _draw(table: pd.DataFrame, means: dict[str, pd.DataFrame]) -> dict[str, Figure]:
    table = table.assign(percent=100 * table["coverage"])
    loss = summary(per_seed(table, "healthy", "percent", "layer", "shape", minus="defective"))
    labels = ("share of the array covered [%]", "accuracy lost [points]")
    states = {"uncorrected": means["defective"], "corrected": means["corrected"]}
    both = pd.concat(states, names=["state"]).reset_index()
    both["defect"] = both["shape"] + [f" {100 * c:.3g} %" for c in both["coverage"]]
    both["broken"] = [f"layer {k}" for k in both["layer"]]
    both = both.set_index(["state", "broken", "defect"])[["mean", "half"]]
    look = {"label": "test accuracy [%]", "colours": charts.ACCURACY}
    return {
        "loss": charts.curves(
            loss, "percent", "layer", "shape", labels=labels, across=2, columns=4
        ),
        "settings": charts.matrices(both, "defect", "broken", "state", **look),
    }


EXPERIMENT = Experiment("severity", compute, find)
