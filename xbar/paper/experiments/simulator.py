"""ngspice as the reference simulator: a circuit of each shape and layer, node by node."""

from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize

from xbar.io.runs import Run
from xbar.paper import charts
from xbar.paper.experiment import Experiment, Findings
from xbar.paper.tables import Tables
from xbar.paper.workspace import Workspace
from xbar.run import DefectSettings, StoreSettings
from xbar.spice import NgspiceMissing, NgspiceTooOld, find_ngspice, verify_layer
from xbar.spice.ngspice import Ngspice


def compute(work: Workspace) -> Tables:
    """Differences by shape and layer."""
    asked = work.settings
    try:
        program = find_ngspice()
    except (NgspiceMissing, NgspiceTooOld) as error:
        work.run.print(f"no reference: {error}")
        return {"program": pd.DataFrame({"version": [""], "reason": [str(error)]})}
    defects = tuple(
        DefectSettings(s, asked.coverage_of(s, asked.coverage), asked.layers) for s in asked.shapes
    )
    study = work.base(defects=defects, store=StoreSettings("none", arrays=True))
    circuits = _verified(work, work.study("simulator", study), program)
    known = pd.DataFrame({"version": [program.version], "reason": [""]})
    return {"program": known, "circuits": circuits}


def _verified(work: Workspace, run: Run, program: Ngspice) -> pd.DataFrame:
    """Each circuit of the first seed; as many ngspice processes at once as there are devices."""
    for name in ("healthy", *(f"arrays/layer_{k}" for k in work.settings.layers)):
        run.read(name)  # once: the threads then only look it up

    def one(circuit: int) -> tuple[str, int, int, float, float, str]:
        with jax.enable_x64(True):  # holds for one thread
            number = int(run.table["layer"][circuit])
            # The first array takes ngspice some seconds for each image.
            images = 1 if number == 0 else work.settings.simulator_images
            network = run.network("defective", circuit)
            x = run.images[run.parts["test"][circuit][:images]]
            volts = network.layer_voltages(x)[number - 1] if number else network.k_in * x
            layer = network.layers[number]
            report = verify_layer(layer, volts, number=number, ngspice=program)
        worst = max(report.rows, key=lambda row: row.error / row.rtol)
        shape = str(run.table["shape"][circuit])
        return shape, number, images, worst.error, worst.rtol, worst.quantity

    circuits, rows = run.rows(seed=0).tolist(), []
    name = f"ngspice {program.version}, {len(circuits)} circuits"
    with (
        work.timed(name, len(circuits), "circuits") as advance,
        ThreadPoolExecutor(jax.local_device_count()) as threads,
    ):
        try:
            for row in threads.map(one, circuits):
                rows.append(row)
                advance(1)
        finally:  # stopped: those that wait are not begun
            threads.shutdown(wait=False, cancel_futures=True)
    columns = ["shape", "layer", "images", "error", "allowed", "quantity"]
    return pd.DataFrame(rows, columns=columns)


def find(tables: Tables) -> Findings:
    """Whether they agree."""
    program = tables["program"].iloc[0]
    if not str(program["version"]):
        return Findings({"reason": str(program["reason"])})
    table = tables["circuits"]
    worst = table.loc[table["error"].idxmax()]
    facts = {
        "version": str(program["version"]),
        "agree": str((table["error"] <= table["allowed"]).sum()),
        "circuits": str(len(table)),
        "error": f"{worst['error']:.1e}",
        "where": f"{worst['shape']}, layer {worst['layer']}, {worst['quantity']}",
    }
    logs = table.assign(mean=np.log10(np.maximum(table["error"], 1e-17)), half=0.0, all="")
    rows = logs.set_index(["shape", "layer", "all"])[["mean", "half"]]
    look = {"label": "power of ten of the difference", "colours": (Normalize(-17, -9), "viridis")}
    heads = ("", "broken layer")
    figure = charts.matrices(
        rows, "shape", "layer", "all", **look, across=1, heads=heads, form=".1f"
    )
    return Findings(facts, figures={"differences": figure})


EXPERIMENT = Experiment("simulator", compute, find)
