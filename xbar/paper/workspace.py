"""Where an experiment computes. All that this package asks of the engine below it is here."""

import zlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xbar.batch import batch_map
from xbar.io.dataset import Dataset
from xbar.io.runs import Run, load_run
from xbar.paper.settings import Settings
from xbar.run import NetworkSettings, RunSettings, StoreSettings, Study, run_study
from xbar.run.folders.progress import Advance
from xbar.run.folders.runner import Runner, fingerprint

CHUNK = 2  # circuits of each seed in a chunk, so that sweeps of all sizes have chunks of one size
BLOCK = 32  # rows of one compiled call: compiling takes longer than the few that fill up the last
LANES = 8  # correctors side by side on a device


@dataclass(frozen=True)
class Workspace:
    """Settings, and a folder in which what was computed is kept.

    Args:
        settings: of all experiments.
        run: keeps what is computed and shows progress.
        dataset: what the networks read; None is the digits.
    """

    settings: Settings
    run: Runner
    dataset: Dataset | None = None

    def base(self, **changes: Any) -> Study:
        """A study with the settings' seeds and network, which stores no voltages, but changed."""
        study = Study(
            seed=self.settings.seed,
            seeds=self.settings.seeds,
            network=NetworkSettings(self.settings.hidden),
            store=StoreSettings("none"),
            run=RunSettings(chunk=CHUNK * self.settings.seeds),
        )
        return replace(study, **changes)

    def study(self, name: str, study: Study, measures: Mapping[str, Any] | None = None) -> Run:
        """Run a sweep in a folder of its own, or go on with it; `measures` as `run_study` has."""
        out = self.run.below(f"studies/{name}")
        run_study(
            replace(study, name=name),
            out,
            self.run.console,
            dataset=self.dataset,
            measures=measures,
            finish=lambda done: done.run.times(),
            show=lambda *_: None,
        )
        return load_run(out)

    def kept(self, name: str, compute: Callable[[], Mapping[str, Any]]) -> dict[str, np.ndarray]:
        """Numeric arrays by name of a computation that is not done again after a stop."""

        def arrays() -> dict[str, np.ndarray]:
            return {key: np.asarray(values) for key, values in compute().items()}

        return self.run.kept(f"kept-{name.replace(' ', '_')}", arrays)

    def timed(self, name: str, total: int = 0, unit: str = "") -> AbstractContextManager[Advance]:
        """Progress of something that has so many units."""
        return self.run.timed(name, total, unit)

    def map(
        self, function: Callable[..., Any], rows: Any, lanes: int = 1, shared: tuple[Any, ...] = ()
    ) -> Any:
        """Apply a function to each row, on all devices, in blocks of one size.

        Args:
            function: of one row and of what is shared, in JAX; compiled once for each function
                object and shapes.
            rows: arrays that lead with the rows.
            lanes: rows side by side on a device, at most.
            shared: whatever all rows need.

        Returns:
            What the function returns, as NumPy arrays that lead with the rows.
        """
        count = len(jax.tree.leaves(rows)[0])
        size = min(BLOCK, count)
        each = -(-size // jax.local_device_count())
        chunk = -(-each // -(-each // lanes))  # shared out evenly
        check = lambda _: self.run.stages.check()  # noqa: E731
        found = batch_map(function, rows, *shared, chunk=chunk, block=size, done=check)
        return jax.tree.map(np.asarray, found)

    def keys(self, purpose: str, numbers: Any) -> Array:
        """A JAX key for each number, (n,); purposes do not share randomness."""
        root = jax.random.fold_in(jax.random.key(self.settings.seed), zlib.crc32(purpose.encode()))
        return jax.vmap(lambda n: jax.random.fold_in(root, n))(jnp.asarray(numbers, jnp.uint32))


def identity(settings: Settings, names: list[str], dataset: Dataset | None) -> dict[str, Any]:
    """What a folder resumes under: settings, experiments, and the data's fingerprint."""
    given = {} if dataset is None else {"data": fingerprint(dataset)}
    return settings.as_dict() | {"experiments": names} | given
