"""Runs a study: chunk after chunk into shards, then one results file. What was stopped goes on.

```python
from xbar.run import DefectSettings, Study, run_study

study = Study(seeds=20, defects=(DefectSettings(shape=("ring", "row"), coverage=(0.1, 0.3)),))
run_study(study, "runs/shapes")
```
"""

import errno
import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from xbar.io.dataset import Dataset
from xbar.io.shards import read_shard, reserve, write_shard
from xbar.io.store import StoreError
from xbar.learn.mlp import MLP
from xbar.run.chunks import Measure, Work
from xbar.run.config import Study
from xbar.run.errors import UsageError
from xbar.run.folder import RunFolder
from xbar.run.interrupt import Interrupt
from xbar.run.plan import Chunk, Plan
from xbar.run.processes import Processes
from xbar.run.progress import Advance, Stages
from xbar.run.publish import write_study_results
from xbar.run.software import Given, load
from xbar.run.toml import checked

TITLES = {
    "software": ("software networks", "networks"),
    "healthy": ("healthy circuits", "circuits"),
    "circuits": ("defective circuits", "circuits"),
}


@dataclass(frozen=True)
class Computed:
    """A study all of whose numbers are in results.h5.

    Args:
        plan: what was computed.
        given: from which data and network.
        work: what computed it.
        folder: where it is.
        console: where to print.
        stages: shows progress, and knows how long each stage took.
        settings: JSON-able, as in run.json.
        start: when this process began [s], as `time.perf_counter` has it.
    """

    plan: Plan
    given: Given
    work: Work
    folder: RunFolder
    console: Console
    stages: Stages
    settings: dict[str, Any]
    start: float

    def times(self) -> dict[str, Any]:
        """How long this process took, for the summary."""
        return {
            "stages_s": {name: round(s, 2) for name, s in self.stages.seconds.items()},
            "wall_s": round(time.perf_counter() - self.start, 1),
        }


Finish = Callable[[Computed], dict[str, Any]]
Show = Callable[[dict[str, Any], RunFolder, Console], None]


def run_study(
    study: Study,
    out: Path | str,
    console: Console | None = None,
    *,
    overwrite: bool = False,
    beside: Path | None = None,
    dataset: Dataset | None = None,
    network: MLP | None = None,
    measures: Mapping[str, Measure] | None = None,
    processes: Processes | None = None,
    command: str = "study",
    finish: Finish | None = None,
    show: Show | None = None,
) -> dict[str, Any]:
    """Run a study in a folder, go on with one there, or show what a finished one found.

    Args:
        study: what to run.
        out: the folder.
        console: where progress and results go; None is the terminal.
        overwrite: start anew.
        beside: folder of files that the study names; None is the current one.
        dataset: a user's data instead of what the study names.
        network: a user's trained network instead.
        measures: measurements of one's own by name, made on every chunk and stored below
            `measures` in results.h5. Their names count as settings.
        processes: from `xbar.run.processes.join`, for several processes on one study.
        command: name of the command, which counts as a setting.
        finish: writes figures and the report and returns the summary; None does it for any study.
        show: prints the summary; None does it for any study.

    Returns:
        The summary, as in `summary.json`. Processes other than the first get {}.

    Raises:
        StudyError: a line for everything that is wrong with the study.
        UsageError: the folder cannot be used.
        StoreError: a file that the study names cannot be read.
        OSError: a file cannot be written, as on a full disk; started again, the run goes on.
    """
    from xbar.run import reports  # figures and their libraries: not for what is refused

    study = checked(study)
    measures, processes = measures or {}, processes or Processes()
    console = Console() if console is None else console
    if not processes.first:
        console = Console(quiet=True)
    show, finish = show or reports.show, finish or reports.finish
    settings = _settings(study, beside, dataset, network, measures)
    if not overwrite and (known := _finished(Path(out), command, settings)):
        show(known.summary(), known, console)
        return known.summary()
    start = time.perf_counter()
    with jax.enable_x64(study.run.precision == "float64"):
        given = load(study, beside, dataset, network)
        interrupt = Interrupt()
        with (
            interrupt.watched(),
            _claim(processes, Path(out), command, settings, overwrite) as folder,
        ):
            summary = {}
            stages = Stages(console, interrupt.check)
            run = _Run(study, given, folder, settings, measures, processes, stages)
            run.compute()
            if processes.first:
                run.publish()
                done = Computed(
                    run.plan, given, run.work, folder, console, run.stages, settings, start
                )
                summary = finish(done)
                folder.publish_summary(summary)
                show(summary, folder, console)
        processes.wait("published")
    return summary


def _finished(out: Path, command: str, settings: dict[str, Any]) -> RunFolder | None:
    """The folder, if a run with these settings is finished there."""
    if not (out / "summary.json").is_file():
        return None
    folder = RunFolder(out, command, settings, overwrite=False)
    folder.drop_shards()  # a run may have been killed between its last two steps
    return folder


def _claim(
    processes: Processes, out: Path, command: str, settings: dict[str, Any], overwrite: bool
) -> RunFolder:
    """The folder, held by the first process for all of them."""
    if not processes.first:
        if not processes.agree(True):
            raise UsageError("--out: process 0 could not use the folder; it says why")
        return RunFolder(out, command, settings, overwrite=False, held=True)
    try:
        folder = RunFolder(out, command, settings, overwrite=overwrite)
    except UsageError:
        processes.agree(False)
        raise
    processes.agree(True)
    return folder


def _settings(
    study: Study,
    beside: Path | None,
    dataset: Dataset | None,
    network: MLP | None,
    measures: Mapping[str, Measure],
) -> dict[str, Any]:
    """Everything that a folder resumes under: the study, and fingerprints of what it reads."""
    below = Path() if beside is None else beside
    found: dict[str, Any] = study.as_dict()
    for name, tree, file in (
        ("data", dataset, study.data.file),
        ("network", network, study.network.file),
        ("data", None, None if dataset is not None else study.data.test_file),
    ):
        if tree is not None:
            found[name]["given"] = fingerprint(tree)
        elif file is not None:
            path = below / file
            if not path.is_file():
                raise UsageError(f"{name}.file: {path}: got no file, needs one")
            before = found[name].get("sha256", "")
            found[name]["sha256"] = before + hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    if measures:
        found["measures"] = sorted(measures)
    return found


def fingerprint(tree: Any) -> str:
    """A few characters that tell arrays from other arrays."""
    total = hashlib.sha256(str(jax.tree.structure(tree)).encode())
    for leaf in jax.tree.leaves(tree):
        array = np.ascontiguousarray(leaf)
        total.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return total.hexdigest()[:12]


class _Run:
    """The chunks of a study in its folder."""

    def __init__(
        self,
        study: Study,
        given: Given,
        folder: RunFolder,
        settings: dict[str, Any],
        measures: Mapping[str, Measure],
        processes: Processes,
        stages: Stages,
    ):
        self.plan = Plan(study, given.sizes(study))
        self.given = given
        self.folder = folder
        self.settings = settings
        self.processes = processes
        self.stages = stages
        self.work = Work(self.plan, given, self._read, measures)
        self._mark = fingerprint(np.frombuffer(repr(settings).encode(), np.uint8))

    def _path(self, chunk: Chunk) -> Path:
        return self.folder.shards / f"{chunk.name}.h5"

    def _read(self, chunk: Chunk) -> dict[str, Any]:
        return read_shard(self._path(chunk), self._mark)

    def _is_there(self, chunk: Chunk) -> bool:
        with suppress(StoreError):
            self._read(chunk)
            return True
        return False

    def compute(self) -> None:
        """Compute whatever is not there, and wait for the other processes."""
        for kind, (title, unit) in TITLES.items():
            mine = [c for c in self.plan.of_kind(kind) if self.processes.owns(c.number)]
            missing = [chunk for chunk in mine if not self._is_there(chunk)]
            total = sum(chunk.count for chunk in mine)
            done = total - sum(chunk.count for chunk in missing)
            with self.stages.stage(f"{total:,} {title}", total, unit, done) as advance:
                self._compute(missing, advance)
                self.processes.wait(kind)

    def _compute(self, chunks: list[Chunk], advance: Advance) -> None:
        for chunk in chunks:
            write_shard(self._path(chunk), self.work.compute(chunk), self._mark)
            advance(chunk.count)

    def publish(self) -> None:
        """Write results.h5 from all shards."""
        path = self.folder.path / "results.h5"
        with self.stages.stage("write results.h5"):
            reserve(path.with_name("results.h5.partial"), self._stored_bytes())
            try:
                write_study_results(path, self.plan, self.given, self._read, self.settings)
            except RuntimeError as error:  # what HDF5 makes of a full disk when it closes a file
                raise OSError(errno.EIO, f"{path}: cannot be written ({error})") from error

    def _stored_bytes(self) -> int:
        return sum(self._path(chunk).stat().st_size for chunk in self.plan.chunks)
