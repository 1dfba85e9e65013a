"""`xbar demo`: one study, with figures and a report of its own."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from xbar.io.dataset import Dataset
from xbar.learn.mlp import MLP
from xbar.run.demo import DemoConfig
from xbar.run.engine import Computed, run_study
from xbar.run.errors import StudyError, UsageError
from xbar.run.figures import Seen, look, write_figures
from xbar.run.folder import RunFolder
from xbar.run.readers import corrector_parameters
from xbar.run.references import ABOUT, table
from xbar.run.report import write_report
from xbar.statistics import t_interval


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

    def finish(done: Computed) -> dict[str, Any]:
        return _finish(config, done)

    try:
        return run_study(
            config.study(),
            out,
            console,
            overwrite=overwrite,
            dataset=dataset,
            network=network,
            command="demo",
            finish=finish,
            show=_show,
        )
    except StudyError as error:  # in the command line's words, the first of them
        raise UsageError(error.problems[0].removeprefix("defects[0].")) from error


def _finish(config: DemoConfig, done: Computed) -> dict[str, Any]:
    path = done.folder.path
    with done.stages.stage("cell voltages and power"):
        seen = look(path)
    with done.stages.stage("write figures and report"):
        summary = _summarise(config, done, seen)
        figures = write_figures(path, seen, summary)
        summary["figures"] = [figure.file for figure in figures]
    summary |= done.times()
    own = {"wire_ohm": config.wire_ohm}
    write_report(path, "demo.html.j2", figures, summary, done.settings, **own)
    return summary


def _summarise(config: DemoConfig, done: Computed, seen: Seen) -> dict[str, Any]:
    """The headline figures, as `summary.json` holds them, without the times."""
    means = {name: t_interval(values) for name, values in seen.accuracy.items()}
    main = ("software", "healthy", "defective", "corrected")
    study, outputs = done.plan.study, done.plan.sizes[-1]
    parameters: dict[str, int | None] = dict.fromkeys(ABOUT)
    parameters |= {c.label: corrector_parameters(c, outputs) for c in study.correctors}
    network = sum((n + 1) * m for n, m in pairwise(done.plan.sizes))
    return {
        "accuracy": {name: means[name].mean for name in main},
        "ci95": {name: means[name].half_width for name in main},
        "defect": config.describe_defect(),
        "layer": seen.layer,
        "seed": config.seed,
        "seeds": config.seeds,
        "network": "-".join(str(size) for size in done.plan.sizes),
        "data": done.given.dataset.name,
        "corrector_parameters": parameters["corrected"],
        "test_images": seen.labels.shape[-1],
        "test_note": done.given.test_note,
        "references": table(seen.accuracy, parameters | {"retrained network": network}),
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
