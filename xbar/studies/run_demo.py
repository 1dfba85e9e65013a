"""`xbar demo`: the demo's stages in a folder, with results, figures and a report."""

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from xbar.corrector import Corrector
from xbar.data.circuits import corrector_fields, mlp_fields, network_fields
from xbar.data.store import Field, write_results
from xbar.mlp import MLP
from xbar.plots import accuracy_figure
from xbar.studies import demo
from xbar.studies.demo import Accuracies, Circuits, Data, DemoConfig, Voltages
from xbar.studies.folder import RunFolder
from xbar.studies.progress import Stages
from xbar.studies.report import write_report


def run(config: DemoConfig, out: Path, console: Console, *, overwrite: bool) -> dict[str, Any]:
    """Run the demo in a folder, or show what a finished one there found.

    Args:
        config: what to run.
        out: the folder.
        console: where progress and the table go.
        overwrite: start anew.

    Returns:
        The summary, as in `summary.json`.

    Raises:
        UsageError: the folder cannot be used.
    """
    folder = RunFolder(out, "demo", config.as_dict(), overwrite=overwrite)
    if not folder.finished:
        _compute(config, folder, console)
    summary = folder.summary()
    _show(summary, folder, console)
    return summary


def _compute(config: DemoConfig, folder: RunFolder, console: Console) -> None:
    start, stages = time.perf_counter(), Stages(console)
    with stages.stage("load and split the digits"):
        data = demo.load(config)
    with stages.stage(f"train {config.seeds} software networks"):
        models = jax.block_until_ready(folder.stage("models", lambda: demo.train(config, data)))
    with stages.stage("map to arrays, break one of them"):
        circuits = jax.block_until_ready(demo.build(config, data, models))
    with stages.stage("solve every array exactly"):
        voltages = jax.block_until_ready(
            folder.stage("voltages", lambda: demo.solve_circuits(config, data, circuits))
        )
    with stages.stage(f"train {config.seeds} correctors"):
        correctors = jax.block_until_ready(
            folder.stage("correctors", lambda: demo.correct(config, data, voltages))
        )
        accuracies = demo.score(data, models, voltages, correctors)
    with stages.stage("write results, figure and report"):
        groups = _groups(data, models, circuits, voltages, correctors, accuracies)
        write_results(folder.path / "results.h5", groups, config.as_dict())
        summary = demo.summary(config, data, accuracies, correctors, 0.0)
        summary["stages_s"] = {name: round(s, 2) for name, s in stages.seconds.items()}
        accuracy_figure(accuracies._asdict(), summary, folder.path / "accuracy.png")
        summary["wall_s"] = round(time.perf_counter() - start, 1)
        write_report(folder.path, summary, config.as_dict())
    folder.publish_summary(summary)


def _show(summary: dict[str, Any], folder: RunFolder, console: Console) -> None:
    table = Table("circuit", f"accuracy on {summary['test_images']} test images, 95 % interval")
    for name, mean in summary["accuracy"].items():
        table.add_row(name, f"{100 * mean:5.1f} +- {100 * summary['ci95'][name]:.1f} %")
    console.print(table)
    console.print(
        f"{summary['seeds']} seeds of a {summary['network']} network; "
        f"layer {summary['layer']} broken: {summary['defect']}; "
        f"corrector of {summary['corrector_parameters']} parameters; "
        f"{summary['wall_s']} s",
        highlight=False,
    )
    for name in ("report.html", "summary.json", "results.h5", "accuracy.png"):
        console.print(f"  {folder.path / name}", highlight=False, soft_wrap=True)


def _groups(
    data: Data,
    models: MLP,
    circuits: Circuits,
    voltages: Voltages,
    correctors: Corrector,
    accuracies: Accuracies,
) -> dict[str, Any]:
    """All that is needed to redo every number of the run."""
    seed = "seed"
    return {
        "data": {
            "images": Field(data.digits.images, "1", ("image", "pixel"), data.digits.source),
            "labels": Field(data.digits.labels, "1", ("image",), "digit of each image"),
            **{
                part: Field(getattr(data.parts, part), "1", (seed, "sample"), f"images that {use}")
                for part, use in (
                    ("base", "train the software network"),
                    ("corrector", "train the corrector"),
                    ("test", "score everything"),
                )
            },
        },
        "software": mlp_fields(models, "software network"),
        "healthy": network_fields(circuits.healthy),
        "defective": network_fields(circuits.defective),
        "defect": {
            "hit": Field(circuits.hit, "1", (seed, "input", "output"), "pairs that are stuck")
        },
        "voltages": {
            name: Field(values, "V", (seed, "image", "class"), f"outputs of the {name} circuit")
            for name, values in voltages._asdict().items()
        },
        "corrector": corrector_fields(correctors),
        "accuracy": {
            name: Field(np.asarray(values), "1", (seed,), f"test accuracy, {name}")
            for name, values in accuracies._asdict().items()
        },
    }
