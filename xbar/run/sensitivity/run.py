"""Runs `xbar sensitivity` in a folder: stage after stage, each kept; what was stopped goes on."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from xbar.io.shards import read_shard, write_shard
from xbar.io.store import StoreError
from xbar.run.engine import fingerprint
from xbar.run.folder import RunFolder
from xbar.run.interrupt import Interrupt
from xbar.run.progress import Advance, Stages
from xbar.run.sensitivity.config import KINDS, SensitivityConfig
from xbar.run.sensitivity.source import Source, stored, trained

COMMAND = "sensitivity"
Arrays = dict[str, Any]


def run(
    config: SensitivityConfig,
    out: Path | str,
    console: Console | None = None,
    *,
    source: Path | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Look at a network's cells in a folder, go on there, or show what a finished run found.

    Args:
        config: what to compute.
        out: the folder.
        console: where progress and results go; None is the terminal.
        source: folder of a finished run whose circuit is looked at; None trains the demo's.
        overwrite: start anew.

    Returns:
        The summary, as in `summary.json`.

    Raises:
        UsageError: the folder cannot be used, or the stored run has no such circuit.
        StoreError: there is no such run.
        OSError: a file cannot be written; started again, the run goes on.
    """
    from xbar.run.sensitivity.report import publish, show  # not for what is refused

    console = Console() if console is None else console
    start, interrupt, out = time.perf_counter(), Interrupt(), Path(out)
    with jax.enable_x64(True):
        given = None if source is None else stored(source, config.circuit, config.defective)
        settings = config.as_dict() | _identity(source, given)
        if not overwrite and (out / "summary.json").is_file():
            folder = RunFolder(out, COMMAND, settings, overwrite=False)
            folder.drop_shards()
            show(folder.summary(), folder, console)
            return folder.summary()
        with (
            interrupt.watched(),
            RunFolder(out, COMMAND, settings, overwrite=overwrite) as folder,
        ):
            work = _Work(config, folder, Stages(console, interrupt.check), settings)
            found, arrays = work.compute(given)
            summary = publish(config, found, arrays, folder, work.stages, settings, start)
            folder.publish_summary(summary)
            show(summary, folder, console)
    return summary


def _identity(path: Path | None, source: Source | None) -> dict[str, Any]:
    """What a folder resumes under, besides the settings."""
    if path is None or source is None:
        return {"from": None}
    return {"from": str(path), "network": fingerprint((source.network, source.parts))}


class _Work:
    """The stages of a run, each computed once."""

    def __init__(
        self, config: SensitivityConfig, folder: RunFolder, stages: Stages, settings: Arrays
    ):
        self.config, self.folder, self.stages = config, folder, stages
        self._mark = fingerprint(np.frombuffer(repr(settings).encode(), np.uint8))

    def compute(self, given: Source | None) -> tuple[Source, Arrays]:
        """Everything, from what is there or anew; the source, and arrays by stage."""
        from xbar.run.sensitivity import placed, stages  # JAX compiles: not for what is refused
        from xbar.run.sensitivity.referee import referee

        config = self.config
        source = given if given is not None else self._trained()
        layers = len(source.network.layers)
        found: Arrays = {}
        found["maps"] = self._kept(
            "exact maps of single faults",
            lambda done: stages.maps(source, done),
            layers * len(KINDS),
            "maps",
        )
        found["steps"] = self._kept(
            "faults of growing size",
            lambda done: stages.steps(source, done),
            layers * len(stages.FRACTIONS),
            "maps",
        )
        found["places"] = {
            f"layer_{k}": self._kept(
                f"worst place in layer {k}", lambda _, k=k: placed.places(source, config, k)
            )
            for k in range(layers)
        }
        kept = list(found["places"].values())
        hardest = placed.hardest_layer(kept)
        found["correctors"] = self._kept(
            "correctors at average and worst places",
            lambda _: placed.correctors(source, config, hardest, kept[hardest]),
        )
        found["cells"] = self._kept(
            "worst cells together",
            lambda done: stages.cells(source, config, done),
            2 * config.cells + len(stages.random_counts(config)),
            "steps",
        )
        found["yields"] = self._kept(
            "yield",
            lambda done: stages.yields(source, config, found["maps"], done),
            config.samples * len(config.rates),
            "circuits",
        )
        found["referee"] = self._kept("ngspice", lambda _: referee(source, config, found["maps"]))
        return source, found

    def _trained(self) -> Source:
        seed = self.config.seed
        tree = self._kept("software network", lambda _: trained(seed).tree())
        return Source.of_tree(tree, "digits", f"the demo's first network, seed {seed}")

    def _kept(
        self, title: str, compute: Callable[[Advance], Arrays], total: int = 0, unit: str = ""
    ) -> Arrays:
        """The arrays of a stage: read if they are there, else computed and stored."""
        path = self.folder.shards / f"{title.replace(' ', '-')}.h5"
        try:
            return read_shard(path, self._mark)
        except StoreError:
            with self.stages.stage(title, total, unit) as advance:
                found = compute(advance)
                write_shard(path, found, self._mark)
            return found
