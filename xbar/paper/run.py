"""`xbar paper`: every experiment in a folder, one after the other; what was stopped goes on."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from xbar.compile_cache import compiled_once
from xbar.io.dataset import Dataset
from xbar.paper.experiment import Experiment, title
from xbar.paper.experiments import EXPERIMENTS
from xbar.paper.settings import Settings
from xbar.paper.tables import has_tables, read_tables, write_csv, write_tables
from xbar.paper.workspace import Workspace, identity
from xbar.run.folders.runner import Runner


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
    names = [e.name for e in experiments]
    # As files give it back, tuples as lists.
    config = json.loads(json.dumps(identity(settings, names, dataset)))
    runner = Runner(out, config, "paper", overwrite=overwrite, console=console)

    def work(run: Runner) -> dict[str, Any]:
        place = Workspace(settings, run, dataset)
        for number, experiment in enumerate(experiments, 1):
            words = f"experiment {number} of {len(experiments)}: {title(experiment.name)}"
            _compute(place, experiment, config, words)
        return _published(run, names, config) | {"wall_s": run.times()["wall_s"]}

    if found := runner.shown(show):
        return found
    with jax.enable_x64(True), compiled_once():
        return runner.complete(work, show)


def _compute(work: Workspace, experiment: Experiment, config: Any, words: str) -> None:
    """Compute an experiment into a file of its own, if it is not there."""
    run, start = work.run, time.perf_counter()
    path = run.folder.shards / f"{experiment.name}.h5"
    run.folder.own(f"shards/{path.name}")
    if has_tables(path, config):
        run.print(f"{words}, there already")
        return
    run.print(words)
    tables = {experiment.name: experiment.compute(work)}
    write_tables(path, tables, {experiment.name: time.perf_counter() - start}, config)
    # A process may hold some ten thousand pieces of memory (vm.max_map_count), and each compiled
    # function takes many: those of twelve experiments do not fit. `compiled_once` has them on disk.
    jax.clear_caches()
    run.stages.check()


def _published(run: Runner, names: Sequence[str], config: Any) -> dict[str, Any]:
    """Write results.h5, the tables, the figures and the report; the summary."""
    from xbar.paper.report import write_paper  # Matplotlib: not for what is refused

    tables, seconds, own = {}, {}, run.folder.own
    own("results.h5", "report.html")
    with run.timed("write results.h5, tables, figures and report"):
        for name in names:
            found, took, _ = read_tables(run.folder.shards / f"{name}.h5")
            tables, seconds = tables | found, seconds | took
        write_tables(run.path / "results.h5", tables, seconds, config)
        own(
            *(
                f"tables/{experiment}_{name}.csv"
                for experiment in tables
                for name in tables[experiment]
            )
        )
        write_csv(tables, run.path / "tables")
        summary = write_paper(run.path)
        own(*summary["figures"])
    return summary


def show(summary: dict[str, Any], run: Runner) -> None:
    """Print the claims with their verdicts, and where everything is."""
    table = Table("published claim", "published", "found", "verdict")
    for claim in summary["claims"].values():
        table.add_row(claim["text"], claim["published"], claim["ours"], claim["verdict"])
    run.console.print(table)
    names = ("report.html", "summary.json", "results.h5", "tables", *summary["figures"])
    run.print(f"{summary['seeds']} seeds; {summary['wall_s']} s; {summary['simulator']}", *names)
