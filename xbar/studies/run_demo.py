"""`xbar demo`: the demo's stages in a folder, with results, figures and a report."""

import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from xbar.corrector import Corrector
from xbar.data.digits import Dataset
from xbar.data.store import read_results, write_results
from xbar.mlp import MLP
from xbar.statistics import t_interval
from xbar.studies import demo, references
from xbar.studies.demo import Accuracies, Data, DemoConfig
from xbar.studies.figures import write_figures
from xbar.studies.folder import RunFolder, UsageError
from xbar.studies.progress import Stages
from xbar.studies.references import References
from xbar.studies.report import write_report
from xbar.studies.stored import groups

STAGES = 7  # of `_compute`, for the bar


def run(
    config: DemoConfig,
    out: Path | str,
    console: Console | None = None,
    *,
    overwrite: bool = False,
    dataset: Dataset | None = None,
    network: MLP | None = None,
) -> dict[str, Any]:
    """Run the demo in a folder, or show what a finished one there found.

    Args:
        config: what to run.
        out: the folder.
        console: where progress and the table go; None is the terminal.
        overwrite: start anew.
        dataset: a user's own data; None takes the digits.
        network: a user's own trained network, the same for every seed; None trains one per seed.

    Returns:
        The summary, as in `summary.json`.

    Raises:
        UsageError: the folder cannot be used, or network, data and settings do not fit.
    """
    try:
        data = demo.load(config, dataset, network)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if network is not None:  # so that the settings tell of this one
        hidden = tuple(demo.sizes(config, data)[1:-1])
        config = replace(config, hidden=hidden, activation=network.activation)
    settings = config.as_dict() | identity(data)
    console = Console() if console is None else console
    folder = RunFolder(Path(out), "demo", settings, overwrite=overwrite)
    if not folder.finished:
        _compute(config, settings, data, folder, console)
    summary = folder.summary()
    _show(summary, folder, console)
    return summary


def identity(data: Data) -> dict[str, str]:
    """Name and fingerprint of what was given: a folder resumes only with the same numbers."""
    network = "trained here" if data.given is None else f"given, {_fingerprint(data.given)}"
    found = _fingerprint((data.dataset.images, data.dataset.labels))
    return {"network": network, "data": f"{data.dataset.name}, {found}"}


def _fingerprint(tree: Any) -> str:
    digest = hashlib.sha256(str(jax.tree.structure(tree)).encode())
    for leaf in jax.tree.leaves(tree):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()[:12]


def _compute(
    config: DemoConfig, settings: dict[str, Any], data: Data, folder: RunFolder, console: Console
) -> None:
    start, stages = time.perf_counter(), Stages(console, STAGES)

    def stage(title: str, name: str, compute: Any) -> Any:
        with stages.stage(title):
            return jax.block_until_ready(folder.stage(name, compute))

    models = stage(
        "take the network" if data.given else f"train {config.seeds} software networks",
        "models",
        lambda: demo.train(config, data),
    )
    with stages.stage("map to arrays, break one of them"):
        circuits = jax.block_until_ready(demo.build(config, data, models))
    voltages = stage(
        "solve every array exactly", "voltages", lambda: demo.solve_circuits(data, circuits)
    )
    correctors = stage(
        f"train {config.seeds} correctors",
        "correctors",
        lambda: demo.correct(config, data, voltages),
    )
    others = stage(
        "references and controls",
        "references",
        lambda: references.measure(config, data, models, voltages),
    )
    probe = stage("cell voltages and power", "probe", lambda: demo.probe(data, circuits))
    with stages.stage("write results, figures and report"):
        accuracies = demo.score(data, models, voltages, correctors)
        content = groups(data, models, circuits, voltages, probe, correctors, accuracies, others)
        write_results(folder.path / "results.h5", content, settings)
        summary = summarise(config, data, models, accuracies, others, correctors)
        arrays, _ = read_results(folder.path / "results.h5")
        figures = write_figures(folder.path, arrays, summary)
        summary["figures"] = [figure.file for figure in figures]
        summary["stages_s"] = {name: round(s, 2) for name, s in stages.seconds.items()}
        summary["wall_s"] = round(time.perf_counter() - start, 1)
        write_report(folder.path, figures, summary, settings)
    folder.publish_summary(summary)


def summarise(
    config: DemoConfig,
    data: Data,
    models: MLP,
    accuracies: Accuracies,
    others: References,
    correctors: Corrector,
) -> dict[str, Any]:
    """The headline figures, as `summary.json` holds them, without the times."""
    means = {name: t_interval(np.asarray(values)) for name, values in accuracies._asdict().items()}
    return {
        "accuracy": {name: ci.mean for name, ci in means.items()},
        "ci95": {name: ci.half_width for name, ci in means.items()},
        "defect": config.describe_defect(),
        "layer": demo.broken_layer(config, data),
        "seed": config.seed,
        "seeds": config.seeds,
        "network": "-".join(str(size) for size in demo.sizes(config, data)),
        "data": data.dataset.name,
        "corrector_parameters": correctors.parameter_count,
        "test_images": int(data.parts.test.shape[-1]),
        "references": references.table(
            others._asdict(), accuracies.corrected, correctors, models.parameter_count
        ),
    }


def _show(summary: dict[str, Any], folder: RunFolder, console: Console) -> None:
    table = Table("circuit", f"accuracy on {summary['test_images']} test images, 95 % interval")
    for name, mean in summary["accuracy"].items():
        table.add_row(name, f"{100 * mean:5.1f} +- {100 * summary['ci95'][name]:.1f} %")
    console.print(table)
    beside = Table("beside it", "parameters", "accuracy", "difference to the corrector")
    for name, row in summary["references"].items():
        if name != "corrector":
            beside.add_row(
                name,
                "-" if row["parameters"] is None else f"{row['parameters']:,}",
                f"{100 * row['accuracy']:5.1f} +- {100 * row['ci95']:.1f} %",
                f"{100 * row['difference']:+5.1f} +- {100 * row['difference_ci95']:.1f} points",
            )
    console.print(beside)
    console.print(
        f"{summary['seeds']} seeds of a {summary['network']} network; "
        f"layer {summary['layer']} broken: {summary['defect']}; "
        f"corrector of {summary['corrector_parameters']} parameters; "
        f"{summary['wall_s']} s",
        highlight=False,
    )
    for name in ("report.html", "summary.json", "results.h5", *summary["figures"]):
        console.print(f"  {folder.path / name}", highlight=False, soft_wrap=True)
