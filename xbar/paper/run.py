"""`xbar paper`: every experiment in a folder, one after the other; what was stopped goes on."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from xbar.io.dataset import Dataset
from xbar.paper.compiled import compiled_once
from xbar.paper.experiment import Experiment
from xbar.paper.lab import Lab
from xbar.paper.registry import EXPERIMENTS
from xbar.paper.settings import Settings
from xbar.paper.store import has_part, merge_parts, write_part, write_tables
from xbar.run.runner import Runner, fingerprint


def run(
    settings: Settings,
    out: Path | str,
    console: Console | None = None,
    *,
    overwrite: bool = False,
    dataset: Dataset | None = None,
    experiments: Sequence[Experiment] = EXPERIMENTS,
) -> dict[str, Any]:
    """Run the experiments in a folder, go on there, or show what a finished run found.

    Args:
        settings: what to run.
        out: the folder.
        console: where progress and results go; None is the terminal.
        overwrite: start anew.
        dataset: what the networks read; None is the digits.
        experiments: which; their names count as settings.

    Returns:
        The summary, as in `summary.json`.

    Raises:
        UsageError: the folder cannot be used.
        OSError: a file cannot be written; started again, the run goes on.
    """
    config: dict[str, Any] = settings.as_dict() | {"experiments": [e.name for e in experiments]}
    if dataset is not None:
        config["data"] = fingerprint(dataset)
    config = json.loads(json.dumps(config))  # as files give it back, tuples as lists
    runner = Runner(out, config, "paper", overwrite=overwrite, console=console)

    def work(run: Runner) -> dict[str, Any]:
        lab = Lab(settings, run, dataset)
        parts = [_computed(lab, experiment, config, experiments) for experiment in experiments]
        return publish(lab, parts, experiments, config)

    if found := runner.shown(show):
        return found
    with jax.enable_x64(True), compiled_once():
        return runner.complete(work, show)


def _computed(
    lab: Lab, experiment: Experiment, config: dict[str, Any], experiments: Sequence[Experiment]
) -> Path:
    """The file of an experiment, computed if it is not there."""
    path = lab.run.folder.shards / f"{experiment.name}.h5"
    lab.run.folder.own(f"shards/{path.name}")
    number = f"experiment {experiments.index(experiment) + 1} of {len(experiments)}"
    if has_part(path, config):
        lab.console.print(f"{number}: {experiment.title}, there already", highlight=False)
        return path
    lab.console.print(f"{number}: {experiment.title}", highlight=False)
    start = time.perf_counter()
    tables = experiment.compute(lab)
    write_part(path, experiment.name, tables, time.perf_counter() - start, config)
    # A process may hold some ten thousand pieces of memory (vm.max_map_count), and each compiled
    # function takes many: those of twelve experiments do not fit. `compiled_once` has them on disk.
    jax.clear_caches()
    lab.stages.check()
    return path


def publish(
    lab: Lab,
    parts: Sequence[Path],
    experiments: Sequence[Experiment],
    config: dict[str, Any],
) -> dict[str, Any]:
    """Write results.h5, the tables, the figures and the report; the summary."""
    from xbar.paper.report import write_paper  # Matplotlib: not for what is refused

    out, own = lab.run.path, lab.run.folder.own
    own("results.h5", "report.html")
    with lab.stages.stage("write results.h5 and tables"):
        merge_parts(out / "results.h5", parts, config)
        own(*(f"tables/{name}" for name in write_tables(out / "results.h5", out / "tables")))
    with lab.stages.stage("write figures and report"):
        found = write_paper(out, experiments)
        own(*found["figures"])
    times = {"wall_s": lab.run.times()["wall_s"]}
    return {**found, "seed": lab.settings.seed, "seeds": lab.settings.seeds, **times}


def show(summary: dict[str, Any], run: Runner) -> None:
    """Print the claims with their verdicts, and where everything is."""
    table = Table("published claim", "published", "found", "verdict")
    for claim in summary["claims"].values():
        table.add_row(claim["text"], claim["published"], claim["ours"], claim["verdict"])
    run.console.print(table)
    names = ("report.html", "summary.json", "results.h5", "tables", *summary["figures"])
    run.print(f"{summary['seeds']} seeds; {summary['wall_s']} s; {summary['referee']}", *names)
