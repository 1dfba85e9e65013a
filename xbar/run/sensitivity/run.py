"""Runs `xbar sensitivity` in a folder: stage after stage, each kept; what was stopped goes on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from xbar.run.demo import demo_study
from xbar.run.engine import files_of, settings_of
from xbar.run.folders.runner import Arrays, Runner, fingerprint
from xbar.run.sensitivity import placed, stages
from xbar.run.sensitivity.config import KINDS, SensitivityConfig
from xbar.run.sensitivity.report import publish, show
from xbar.run.sensitivity.source import Source, about, mapped, stored
from xbar.run.sensitivity.stages import referee
from xbar.run.settings.files import checked
from xbar.run.settings.study import Study
from xbar.run.study.software import load


def run(
    config: SensitivityConfig,
    out: Path | str,
    console: Console | None = None,
    *,
    source: Path | None = None,
    study: Study | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Look at a network's cells in a folder, go on there, or show what a finished run found.

    Args:
        config: what to compute.
        out: the folder.
        console: where progress and results go; None is the terminal.
        source: folder of a finished run whose circuit is looked at.
        study: whose first healthy circuit is looked at otherwise; None is the demo's.
        overwrite: start anew.

    Returns:
        The summary, as in `summary.json`.

    Raises:
        StudyError: a line for everything that is wrong with the settings.
        UsageError: the folder cannot be used, or the stored run has no such circuit.
        StoreError: there is no such run.
        OSError: a file cannot be written; started again, the run goes on.
    """
    config = checked(config)
    with jax.enable_x64(True):
        if source is not None:
            given, reads = stored(source, config.circuit, config.defective), [source]
            whence: Any = {"run": str(source), "is": fingerprint((given.network, given.parts))}

            def found(run: Runner) -> Source:
                return given
        else:
            study = replace(study or demo_study(), seed=config.seed, score="accuracy")
            own, reads = settings_of(study, Path()), files_of(study, Path())
            whence = {name: own[name] for name in ("data", "network", "circuit")}
            inputs = load(study, None, None, None)

            def found(run: Runner) -> Source:
                tree = run.stage("software network", lambda _: mapped(study, inputs).tree())
                return Source.of_tree(tree, inputs.dataset.name, about(study))

        def work(run: Runner) -> dict[str, Any]:
            circuit = found(run)
            return publish(config, circuit, compute(config, circuit, run), run)

        settings = config.as_dict() | {"from": whence}
        runner = Runner(
            out, settings, "sensitivity", overwrite=overwrite, console=console, reads=reads
        )
        return runner.shown(show) or runner.complete(work, show)


def compute(config: SensitivityConfig, source: Source, run: Runner) -> Arrays:
    """Everything, from what is there or anew: arrays by stage."""
    layers, most = range(len(source.network.layers)), stages.most_cells(source, config)
    found: Arrays = {}
    found["maps"] = run.stage(
        "exact maps of single faults",
        lambda done: stages.maps(source, done),
        len(layers) * len(KINDS),
        "maps",
    )
    if chip := stages.chip(source, found["maps"]):
        found["chip"] = chip
    found["steps"] = run.stage(
        "faults of growing size",
        lambda done: stages.steps(source, done),
        len(layers) * len(stages.FRACTIONS),
        "maps",
    )
    found["places"] = {
        f"layer_{k}": run.stage(
            f"worst place in layer {k}", lambda _, k=k: placed.places(source, config, k)
        )
        for k in layers
    }
    kept = list(found["places"].values())
    hardest = placed.hardest_layer(kept)
    found["correctors"] = run.stage(
        "correctors at average and worst places",
        lambda _: placed.correctors(source, config, hardest, kept[hardest]),
    )
    found["cells"] = run.stage(
        "worst cells together",
        lambda done: stages.cells(source, config, done),
        2 * most + len(stages.random_counts(most)),
        "steps",
    )
    found["yields"] = run.stage(
        "yield",
        lambda done: stages.yields(source, config, found["maps"], done),
        config.samples * len(config.rates),
        "circuits",
    )
    found["referee"] = run.stage("ngspice", lambda _: referee(source, config, found["maps"]))
    return found
