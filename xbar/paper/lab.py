"""Where an experiment computes: its settings, its folder, and sweeps that go on after a stop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from rich.console import Console

from xbar.io.dataset import Dataset
from xbar.io.runs import Run, load_run
from xbar.paper.settings import Settings
from xbar.run.chunks import Measure
from xbar.run.config import NetworkSettings, RunSettings, StoreSettings, Study
from xbar.run.devices import Batching, local_mesh
from xbar.run.engine import run_study
from xbar.run.progress import Stages
from xbar.run.runner import Runner

# Seeds' circuits in a chunk. A multiple of the seeds, so that sweeps of different sizes have chunks
# of the same few sizes, each of which is compiled once.
CHUNK = 2


@dataclass(frozen=True)
class Lab:
    """What an experiment gets.

    Args:
        settings: of all experiments.
        run: keeps what is computed and shows progress.
        dataset: what the networks read; None is the digits.
    """

    settings: Settings
    run: Runner
    dataset: Dataset | None = None

    @property
    def stages(self) -> Stages:
        """Progress of the run."""
        return self.run.stages

    @property
    def console(self) -> Console:
        """Where the run prints."""
        return self.run.console

    @cached_property
    def how(self) -> Batching:
        """All devices of this process, eight circuits side by side on each."""
        return Batching(local_mesh(), 8)

    def base(self, **changes: Any) -> Study:
        """A study with the settings' seeds and network, which stores no voltages.

        Args:
            changes: fields of `xbar.run.Study`, in whose place they come.
        """
        study = Study(
            seed=self.settings.seed,
            seeds=self.settings.seeds,
            network=NetworkSettings(self.settings.hidden),
            store=StoreSettings("none"),
            run=RunSettings(chunk=CHUNK * self.settings.seeds),
        )
        return replace(study, **changes)

    def study(self, name: str, study: Study, measures: Mapping[str, Measure] | None = None) -> Run:
        """Run a sweep below the run's folder, or go on with it.

        Args:
            name: of its folder in `studies`.
            study: what to run.
            measures: measurements of one's own, as `run_study` takes them.

        Returns:
            Its results.
        """
        out = self.run.below(f"studies/{name}")
        run_study(
            replace(study, name=name),
            out,
            self.console,
            dataset=self.dataset,
            measures=measures,
            finish=lambda done: done.run.times(),
            show=lambda *_: None,
        )
        return load_run(out)

    def kept(self, name: str, compute: Callable[[], Mapping[str, Any]]) -> dict[str, np.ndarray]:
        """A computation of one's own that is not done again after a stop.

        Args:
            name: of its file; experiments have the files of other names to themselves.
            compute: gives numeric arrays by name.

        Returns:
            The arrays.
        """
        return self.run.kept(
            f"kept-{name}", lambda: {key: np.asarray(v) for key, v in compute().items()}
        )
