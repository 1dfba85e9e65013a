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
from xbar.run.engine import fingerprint
from xbar.run.folder import RunFolder
from xbar.run.interrupt import Interrupt
from xbar.run.progress import Stages


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
    config: dict[str, Any] = settings.as_dict() | {"experiments": [e.name for e in experiments]}
    if dataset is not None:
        config["data"] = fingerprint(dataset)
    config = json.loads(json.dumps(config))  # as files give it back, tuples as lists
    out, start, interrupt = Path(out), time.perf_counter(), Interrupt()
    if not overwrite and (out / "summary.json").is_file():
        folder = RunFolder(out, "paper", config, overwrite=False)
        folder.drop_shards()
        show(folder.summary(), folder, console)
        return folder.summary()
    with (
        jax.enable_x64(True),
        interrupt.watched(),
        compiled_once(),
        RunFolder(out, "paper", config, overwrite=overwrite) as folder,
    ):
        lab = Lab(settings, folder, console, Stages(console, interrupt.check), dataset)
        parts = [_computed(lab, experiment, config, experiments) for experiment in experiments]
        summary = publish(lab, parts, experiments, config, start)
        folder.publish_summary(summary)
        show(summary, folder, console)
    return summary


def _computed(
    lab: Lab, experiment: Experiment, config: dict[str, Any], experiments: Sequence[Experiment]
) -> Path:
    """The file of an experiment, computed if it is not there."""
    path = lab.folder.shards / f"{experiment.name}.h5"
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
    start: float,
) -> dict[str, Any]:
    """Write results.h5, the tables, the figures and the report; the summary."""
    from xbar.paper.report import write_paper  # Matplotlib: not for what is refused

    out = lab.folder.path
    with lab.stages.stage("write results.h5 and tables"):
        merge_parts(out / "results.h5", parts, config)
        write_tables(out / "results.h5", out / "tables")
    with lab.stages.stage("write figures and report"):
        found = write_paper(out, experiments)
    wall = round(time.perf_counter() - start, 1)
    return {**found, "seed": lab.settings.seed, "seeds": lab.settings.seeds, "wall_s": wall}


def show(summary: dict[str, Any], folder: RunFolder, console: Console) -> None:
    """Print the claims with their verdicts, and where everything is."""
    table = Table("published claim", "published", "found", "verdict")
    for claim in summary["claims"].values():
        table.add_row(claim["text"], claim["published"], claim["ours"], claim["verdict"])
    console.print(table)
    console.print(
        f"{summary['seeds']} seeds; {summary['wall_s']} s; {summary['referee']}", highlight=False
    )
    for name in ("report.html", "summary.json", "results.h5", "tables", *summary["figures"]):
        console.print(f"  {folder.path / name}", highlight=False, soft_wrap=True)
