"""Where an experiment computes. All that this package asks of the engine below it is here."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from rich.console import Console

from xbar.batch import batch_map
from xbar.io.dataset import Dataset
from xbar.io.runs import Run, load_run
from xbar.io.shards import read_shard, write_shard
from xbar.io.store import StoreError
from xbar.paper.compiled import compiled_once
from xbar.paper.settings import Settings
from xbar.run import NetworkSettings, RunSettings, StoreSettings, Study, run_study
from xbar.run.engine import fingerprint
from xbar.run.folder import RunFolder
from xbar.run.interrupt import Interrupt
from xbar.run.progress import Advance, Stages

CHUNK = 2  # circuits of each seed in a chunk, so that sweeps of all sizes have chunks of one size
BLOCK = 32  # rows of one compiled call: compiling takes longer than the few that fill up the last
LANES = 8  # correctors side by side on a device


@dataclass(frozen=True)
class Workspace:
    """Settings, and a folder in which what was computed is kept.

    Args:
        settings: of all experiments.
        folder: of the run.
        console: where to print.
        stages: shows progress; its `check` raises after Ctrl-C.
        dataset: what the networks read; None is the digits.
    """

    settings: Settings
    folder: RunFolder
    console: Console
    stages: Stages
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
        run_study(
            replace(study, name=name),
            self.sweeps / name,
            self.console,
            dataset=self.dataset,
            measures=measures,
            finish=lambda done: done.times(),
            show=lambda *_: None,
        )
        return load_run(self.sweeps / name)

    @property
    def sweeps(self) -> Path:
        """Folder of the sweeps."""
        return self.folder.path / "studies"

    def kept(self, name: str, compute: Callable[[], Mapping[str, Any]]) -> dict[str, np.ndarray]:
        """Numeric arrays by name of a computation that is not done again after a stop."""
        path = self.folder.shards / f"kept-{name.replace(' ', '_')}.h5"
        mark = fingerprint(np.frombuffer(repr(self.settings).encode(), np.uint8))
        try:
            return read_shard(path, mark)
        except StoreError:
            found = {key: np.asarray(values) for key, values in compute().items()}
            write_shard(path, found, mark)
            self.stages.check()
            return found

    def timed(self, name: str, total: int = 0, unit: str = "") -> AbstractContextManager[Advance]:
        """Progress of something that has so many units."""
        return self.stages.stage(name, total, unit)

    def map(self, function: Callable[[Any], Any], rows: Any, lanes: int = 1) -> Any:
        """Apply a function to each row, on all devices, in blocks of one size.

        Args:
            function: of one row, in JAX; compiled once for each function object and shapes.
            rows: arrays that lead with the rows.
            lanes: rows side by side on a device, at most.

        Returns:
            What the function returns, as NumPy arrays that lead with the rows.
        """
        count = len(jax.tree.leaves(rows)[0])
        size, parts = min(BLOCK, count), []
        each = -(-size // jax.local_device_count())
        chunk = -(-each // -(-each // lanes))  # shared out evenly
        for first in range(0, count, size):
            filled = np.minimum(first + np.arange(size), count - 1)
            found = batch_map(function, jax.tree.map(lambda x, at=filled: x[at], rows), chunk=chunk)
            parts.append(jax.tree.map(lambda x, n=count - first: np.asarray(x)[:n], found))
            self.stages.check()
        return jax.tree.map(lambda *x: np.concatenate(x), *parts)

    def keys(self, purpose: str, numbers: Any) -> Array:
        """A JAX key for each number, (n,); purposes do not share randomness."""
        root = jax.random.fold_in(jax.random.key(self.settings.seed), zlib.crc32(purpose.encode()))
        return jax.vmap(lambda n: jax.random.fold_in(root, n))(jnp.asarray(numbers, jnp.uint32))


@contextmanager
def opened(
    settings: Settings,
    config: Mapping[str, Any],
    out: Path,
    console: Console,
    dataset: Dataset | None,
    overwrite: bool,
) -> Iterator[Workspace]:
    """The workspace in a folder, which nobody else uses meanwhile, in float64.

    Raises:
        UsageError: the folder cannot be used.
    """
    interrupt = Interrupt()
    with (
        jax.enable_x64(True),
        interrupt.watched(),
        compiled_once(),
        RunFolder(out, "paper", config, overwrite=overwrite) as folder,
    ):
        yield Workspace(settings, folder, console, Stages(console, interrupt.check), dataset)


def finished(config: Mapping[str, Any], out: Path) -> dict[str, Any] | None:
    """The summary of a run that has been completed with this configuration, or None.

    Raises:
        UsageError: the folder belongs to another run.
    """
    if not (out / "summary.json").is_file():
        return None
    folder = RunFolder(out, "paper", config, overwrite=False)
    folder.drop_shards()
    return folder.summary()


def identity(settings: Settings, names: list[str], dataset: Dataset | None) -> dict[str, Any]:
    """What a folder resumes under: settings, experiments, and the data's fingerprint."""
    given = {} if dataset is None else {"data": fingerprint(dataset)}
    return settings.as_dict() | {"experiments": names} | given
