"""`xbar demo`: the study of `demo.toml`, one defect in one layer, with a report of its own."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from xbar.io.dataset import Dataset
from xbar.io.store import commit, read_results
from xbar.learn.mlp import MLP
from xbar.run.engine import run_study
from xbar.run.errors import StudyError
from xbar.run.folders.runner import Runner
from xbar.run.reports.demo_figures import (
    CORRECTED,
    REFERENCES,
    DemoResults,
    beside_the_corrector,
    cell_maps,
    draw,
)
from xbar.run.reports.page import as_json, save_figures, write_report
from xbar.run.reports.study import show_unconverged
from xbar.run.settings.faults import describe
from xbar.run.settings.files import read_study, write_study
from xbar.run.settings.study import Study
from xbar.run.study.plan import Plan
from xbar.run.study.publish import ComputedStudy
from xbar.run.study.readers import corrector_parameters
from xbar.run.study.scores import bounds, share
from xbar.run.study.tables import unconverged
from xbar.statistics import share_bounds, t_interval

FILE = Path(__file__).with_name("demo.toml")


def demo_study(changes: Iterable[str] = ()) -> Study:
    """The demo's study.

    Args:
        changes: settings in place of the file's, such as "defects.shape=ring"; see
            `xbar.run.settings.files.changed`.

    Raises:
        StudyError: a line for every problem in it, or for what its report cannot show.
        UsageError: a change is not understood.
    """
    try:
        study = read_study(FILE, changes)
    except StudyError as error:  # nobody has named the file
        raise StudyError(p.removeprefix(f"{FILE}: ") for p in error.problems) from error
    if problems := list(_problems(study)):
        raise StudyError(problems)
    return study


def _problems(study: Study) -> Iterator[str]:
    """What the demo's report cannot show."""
    if study.seeds < 2:
        yield f"seeds: got {study.seeds}, needs at least 2, for an interval"
    if study.circuits != study.seeds:
        yield (
            f"the demo: got {study.circuits:,} circuits for {study.seeds} seeds, needs one defect "
            "and one value of each setting; `xbar study` sweeps"
        )
    default = read_study(FILE)
    same = {
        "correctors": [c.label for c in study.correctors] == [c.label for c in default.correctors],
        "references": study.references == default.references,
        "store": study.store == default.store,
    }
    for name in (name for name, fits in same.items() if not fits):
        yield f"{name}: got others than the demo's report compares, needs those; see `xbar study`"


def run_demo(
    study: Study,
    out: Path | str,
    console: Console | None = None,
    *,
    overwrite: bool = False,
    dataset: Dataset | None = None,
    network: MLP | None = None,
) -> dict[str, Any]:
    """Run the demo in a folder, or show what a finished one there found.

    Args:
        study: what to run, from `demo_study`.
        out: the folder.
        console: where progress and the table go; None is the terminal.
        overwrite: start anew.
        dataset: a user's own data; None takes what the study names.
        network: a user's own trained network, the same for every seed; None takes what the study
            names, or trains one per seed.

    Returns:
        The summary, as in `summary.json`.

    Raises:
        UsageError: the folder cannot be used, or network, data and settings do not fit.
    """
    return run_study(
        study,
        out,
        console,
        overwrite=overwrite,
        dataset=dataset,
        network=network,
        command="demo",
        finish=_finish,
        show=show,
    )


def _finish(done: ComputedStudy) -> dict[str, Any]:
    run = done.run
    with run.timed("cell voltages and power"):
        results = DemoResults.of(run.path)
    with run.timed("write figures and report"):
        summary = _summary(done, results)
        figures = save_figures(run, draw(results, summary))
        summary["figures"] = [figure.file for figure in figures]
    summary |= run.times()
    more = {
        "commit": commit(),
        "file": write_study(done.plan.study),
        "wire_ohm": done.plan.healthy["wire_ohm"][0],
        "maps": as_json(cell_maps(results)),
    }
    write_report(run, "demo.html.j2", figures, summary, **more)
    return summary


def _summary(done: ComputedStudy, results: DemoResults) -> dict[str, Any]:
    """The headline figures, as `summary.json` holds them, without the times."""
    means = {name: t_interval(values) for name, values in results.accuracy.items()}
    arrays, _ = read_results(done.run.path / "results.h5", ("accuracy", "converged"))
    main = ("software", "healthy", "defective", CORRECTED)
    study, sizes = done.plan.study, done.plan.sizes
    parameters: dict[str, int | None] = dict.fromkeys(REFERENCES)
    parameters |= {c.label: corrector_parameters(c, sizes[-1]) for c in study.correctors}
    parameters["retrained network"] = sum((n + 1) * m for n, m in pairwise(sizes))
    return {
        "accuracy": {name: means[name].mean for name in main},
        "ci95": {name: means[name].half_width for name in main},
        "interval95": {name: share_bounds(means[name]) for name in main},
        "defect": _defect(done.plan),
        "layer": results.layer,
        "seed": study.seed,
        "seeds": study.seeds,
        "network": "-".join(map(str, sizes)),
        "data": done.inputs.dataset.name,
        "test_note": done.inputs.test_note,
        "inputs": done.inputs.kind,
        "corrector_parameters": parameters[CORRECTED],
        "test_images": results.labels.shape[-1],
        "references": beside_the_corrector(results.accuracy, parameters),
        "unconverged": unconverged(arrays),
    }


def _defect(plan: Plan) -> str:
    """The defect in words."""
    row = {name: column[0].item() for name, column in plan.table.items()}
    window = plan.study.defects[0].stuck_window
    return describe(row["shape"], row["coverage"], row["fault"], row["stuck"], window)


def show(summary: dict[str, Any], run: Runner) -> None:
    """Print what the demo found, and where it is."""
    head = f"accuracy on {summary['test_images']} test {summary['inputs']}"
    table = Table("circuit", head, "95 % interval")
    for name, mean in summary["accuracy"].items():
        table.add_row(name, share(mean), bounds(summary["interval95"][name]))
    run.console.print(table)
    beside = Table("beside it", "parameters", "accuracy", "difference to the corrector")
    for name, row in summary["references"].items():
        if name != "corrector":
            beside.add_row(
                name,
                "-" if row["parameters"] is None else f"{row['parameters']:,}",
                share(row["accuracy"]),
                f"{100 * row['difference']:+5.1f} ± {100 * row['difference_ci95']:.1f} points",
            )
    run.console.print(beside)
    show_unconverged(summary, run)
    names = ("report.html", "summary.json", "results.h5", *summary["figures"])
    run.print(
        f"{summary['seeds']} seeds of a {summary['network']} network; "
        f"layer {summary['layer']} broken: {summary['defect']}; "
        f"corrector of {summary['corrector_parameters']} parameters; "
        f"{summary['wall_s']} s",
        *names,
    )
