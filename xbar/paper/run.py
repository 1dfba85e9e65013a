"""`xbar paper`: every experiment in a folder, one after the other; what was stopped goes on."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from xbar.io.dataset import Dataset
from xbar.paper import workspace
from xbar.paper.experiment import Experiment
from xbar.paper.experiments import EXPERIMENTS
from xbar.paper.settings import Settings
from xbar.paper.store import has_tables, read_tables, write_csv, write_tables
from xbar.paper.texts import title
from xbar.paper.workspace import Workspace


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
    console = Console() if console is None else console
    config = workspace.identity(settings, [e.name for e in experiments], dataset)
    config = json.loads(json.dumps(config))  # as files give it back, tuples as lists
    out, start = Path(out), time.perf_counter()
    if not overwrite and (summary := workspace.finished(config, out)):
        show(summary, out, console)
        return summary
    with workspace.opened(settings, config, out, console, dataset, overwrite) as work:
        for number, experiment in enumerate(experiments, 1):
            words = f"experiment {number} of {len(experiments)}: {title(experiment.name)}"
            _compute(work, experiment, config, words)
        summary = _published(work, [e.name for e in experiments], config)
        summary["wall_s"] = round(time.perf_counter() - start, 1)
        work.folder.publish_summary(summary)
        show(summary, out, console)
    return summary


def _compute(work: Workspace, experiment: Experiment, config: Any, words: str) -> None:
    """Compute an experiment into a file of its own, if it is not there."""
    path, start = work.folder.shards / f"{experiment.name}.h5", time.perf_counter()
    if has_tables(path, config):
        work.console.print(f"{words}, there already", highlight=False)
        return
    work.console.print(words, highlight=False)
    tables = {experiment.name: experiment.compute(work)}
    write_tables(path, tables, {experiment.name: time.perf_counter() - start}, config)
    # A process may hold some ten thousand pieces of memory (vm.max_map_count), and each compiled
    # function takes many: those of twelve experiments do not fit. `compiled_once` has them on disk.
    jax.clear_caches()
    work.stages.check()


def _published(work: Workspace, names: Sequence[str], config: Any) -> dict[str, Any]:
    """Write results.h5, the tables, the figures and the report; the summary."""
    from xbar.paper.report import write_paper  # Matplotlib: not for what is refused

    out, tables, seconds = work.folder.path, {}, {}
    with work.timed("write results.h5, tables, figures and report"):
        for name in names:
            found, took, _ = read_tables(work.folder.shards / f"{name}.h5")
            tables, seconds = tables | found, seconds | took
        write_tables(out / "results.h5", tables, seconds, config)
        write_csv(tables, out / "tables")
        return write_paper(out)


def show(summary: Mapping[str, Any], out: Path, console: Console) -> None:
    """Print the claims with their verdicts, and where everything is."""
    table = Table("published claim", "published", "found", "verdict")
    for claim in summary["claims"].values():
        table.add_row(claim["text"], claim["published"], claim["ours"], claim["verdict"])
    console.print(table)
    words = f"{summary['seeds']} seeds; {summary['wall_s']} s; {summary['simulator']}"
    console.print(words, highlight=False)
    for name in ("report.html", "summary.json", "results.h5", "tables", *summary["figures"]):
        console.print(f"  {out / name}", highlight=False, soft_wrap=True)
