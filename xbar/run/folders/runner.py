r"""One runner for every command that computes into a folder.

```python
def work(run: Runner) -> dict[str, float]:
    found = run.stage("squares", lambda done: {"x": np.arange(3.0) ** 2})  # kept: not done again
    run.write_text("squares.csv", "\n".join(map(str, found["x"])))
    return {"largest": float(found["x"].max())}  # what summary.json holds

def show(summary: dict[str, Any], run: Runner) -> None:
    run.print(f"largest: {summary['largest']}", "squares.csv")

runner = Runner("runs/squares", {"count": 3}, "squares")
summary = runner.shown(show) or runner.complete(work, show)
```

Killed or stopped at any moment, the same lines go on behind the last stage that was kept; run again
after their end, they print what was found. Another setting, version or program in the folder is
refused, as `xbar.run.folders.folder` says.
"""

import errno
import hashlib
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.text import Text

from xbar.compile_cache import kept_in
from xbar.io.shards import read_shard, reserve, write_shard
from xbar.io.store import StoreError
from xbar.io.writing import is_file, published, write_text
from xbar.run.errors import UsageError
from xbar.run.folders.folder import SHARDS, SUMMARY, RunFolder, read_summary
from xbar.run.folders.processes import Processes
from xbar.run.folders.progress import Advance, Stages

Arrays = dict[str, Any]  # by name, nested
Work = Callable[["Runner"], Mapping[str, Any]]
Show = Callable[[dict[str, Any], "Runner"], None]


@dataclass(frozen=True)
class Piece:
    """A part of a stage that is computed, stored and resumed as a whole.

    Args:
        name: of its file.
        count: units that it counts for in the progress.
        compute: gives its arrays, which depend on the settings alone.
    """

    name: str
    count: int
    compute: Callable[[], Mapping[str, Any]]


class Runner:
    """A run of a command in a folder; the module's text has an example.

    Args:
        folder: where it computes; made if it is not there.
        settings: JSON-able, all that its numbers follow from: it resumes under equal ones alone.
        command: name of the command, which counts as a setting.
        overwrite: start anew in the folder of an earlier run, removing what that run has made.
        console: where progress and results go; None is the terminal.
        processes: from `xbar.run.folders.processes.join`, for several processes on one run.
        reads: files and folders that the run reads, none of which it may remove.
    """

    def __init__(
        self,
        folder: Path | str,
        settings: Mapping[str, Any],
        command: str,
        *,
        overwrite: bool = False,
        console: Console | None = None,
        processes: Processes | None = None,
        reads: Iterable[Path] = (),
    ):
        self.path, self.settings, self.command = Path(folder), dict(settings), command
        self.processes = processes or Processes()
        console = Console() if console is None else console
        self.console = console if self.processes.first else Console(quiet=True)
        self._overwrite, self._reads = overwrite, list(reads)
        self._interrupt, self._start = Interrupt(), time.perf_counter()
        self.stages = Stages(self.console, self._interrupt.check)
        self._folder: RunFolder | None = None

    # --- from beginning to end ----------------------------------------------------------------

    def shown(self, show: Show) -> dict[str, Any] | None:
        """Print what a finished run of these settings has found; None if there is work to do.

        Raises:
            UsageError: the finished run has other settings, or has been damaged.
            StoreError: its summary has been damaged.
        """
        if self._overwrite or not is_file(self.path / SUMMARY):
            return None
        with self._open(held=False) as folder:
            if not folder.finished:
                return None
            folder.drop_shards()
            summary = read_summary(self.path, folder.record)
        try:
            show(summary, self)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(
                f"{self.path / SUMMARY}: got the figures of xbar {folder.record.version}, of which "
                f"this xbar can print only some ({type(error).__name__}: {error})"
            ) from error
        return summary

    def complete(self, work: Work, show: Show) -> dict[str, Any]:
        """Compute what is missing, publish the summary, print it.

        Args:
            work: computes by this runner's stages, writes its files and returns the summary.
            show: prints a summary.

        Returns:
            The summary as summary.json holds it. Processes other than the first get {}.

        Raises:
            UsageError: the folder cannot be used; nothing has been touched.
            OSError: a file cannot be written, as on a full disk; started again, the run goes on.
        """
        with self._interrupt.watched(), self._claimed() as self._folder:
            if (folder := kept_in()) is not None:
                self.print(f"compiled programs are kept in {folder}")
            found = work(self)
            summary = self._folder.publish_summary(found) if self.processes.first else {}
            if self.processes.first:
                show(summary, self)
        self.processes.wait("published")
        return summary

    def _claimed(self) -> RunFolder:
        """The folder, held by the first process for all of them."""
        if not self.processes.first:
            if not self.processes.agree(True):
                raise UsageError("--out: process 0 could not use the folder; it says why")
            return self._open(held=True)
        try:
            folder = self._open(held=False)
        except UsageError:
            self.processes.agree(False)
            raise
        self.processes.agree(True)
        return folder

    def _open(self, held: bool) -> RunFolder:
        return RunFolder(
            self.path,
            self.command,
            self.settings,
            overwrite=self._overwrite,
            held=held,
            reads=self._reads,
        )

    # --- what is kept -------------------------------------------------------------------------

    def stage(
        self, title: str, compute: Callable[[Advance], Arrays], total: int = 0, unit: str = ""
    ) -> Arrays:
        """The arrays of a stage: read if they are there, else computed with progress and stored.

        Args:
            title: what it does; no other stage has the same.
            compute: from a function to be called with the number of units that have just been
                done, to arrays by name.
            total: how many units it has; 0 for what cannot be counted.
            unit: such as "circuits".

        Returns:
            The arrays.
        """
        name = title.replace(" ", "-")
        if self.has(name):
            return self.read(name)
        with self.timed(title, total, unit) as advance:
            return self.kept(name, lambda: compute(advance))

    def pieces(self, title: str, unit: str, pieces: Sequence[Piece]) -> None:
        """Compute the pieces of a stage that are not there; each process does its share of them."""
        self._own(*(piece.name for piece in pieces))
        mine = [p for number, p in enumerate(pieces) if self.processes.owns(number)]
        missing = [piece for piece in mine if not self.has(piece.name)]
        total = sum(piece.count for piece in mine)
        done = total - sum(piece.count for piece in missing)
        with self.timed(f"{total:,} {title}", total, unit, done) as advance:
            for piece in missing:
                write_shard(self._shard(piece.name), piece.compute(), self._mark)
                advance(piece.count)
            self.processes.wait(title)

    def kept(self, name: str, compute: Callable[[], Mapping[str, Any]]) -> Arrays:
        """Arrays of a computation without progress that is not done again after a stop."""
        if self.has(name):
            return self.read(name)
        found = dict(compute())
        self._own(name)
        write_shard(self._shard(name), found, self._mark)
        self._interrupt.check()
        return found

    def has(self, name: str) -> bool:
        """Whether something that was kept is there, whole."""
        try:
            self.read(name)
        except StoreError:
            return False
        return True

    def read(self, name: str) -> Arrays:
        """Something that was kept.

        Raises:
            StoreError: it is not there, has been damaged, or is something else's.
        """
        return read_shard(self._shard(name), self._mark)

    def kept_bytes(self, names: Iterable[str]) -> int:
        """Size on disk of what was kept."""
        return sum(self._shard(name).stat().st_size for name in names)

    def _shard(self, name: str) -> Path:
        return self.path / SHARDS / f"{name}.h5"

    def _own(self, *names: str) -> None:
        self.folder.own(*(f"{SHARDS}/{name}.h5" for name in names))

    @cached_property
    def _mark(self) -> str:
        """What kept files belong to: settings and version; each knows its own name besides."""
        record = self.folder.record
        identity = json.dumps([record.command, record.config, record.version])
        return hashlib.sha256(identity.encode()).hexdigest()[:16]

    # --- what it leaves -----------------------------------------------------------------------

    @property
    def folder(self) -> RunFolder:
        """The folder while it is held."""
        assert self._folder is not None, "only while the work is being done"
        return self._folder

    def timed(
        self, title: str, total: int = 0, unit: str = "", done: int = 0
    ) -> AbstractContextManager[Advance]:
        """Progress of a stage that keeps nothing; as `xbar.run.folders.progress.Stages.stage`."""
        return self.stages.stage(title, total, unit, done)

    def times(self) -> dict[str, Any]:
        """How long this process took, for the summary."""
        return {
            "stages_s": {name: round(s, 2) for name, s in self.stages.seconds.items()},
            "wall_s": round(time.perf_counter() - self._start, 1),
        }

    @contextmanager
    def writing(self, name: str, size: int = 0) -> Iterator[Path]:
        """A file of the run that its writer publishes whole, as those of `xbar.io` do.

        Args:
            name: of the file.
            size: bytes that have to be free, so that a full disk is noticed before the work.

        Yields:
            Its path.
        """
        path = self.path / name
        self.folder.own(name)
        reserve(self.path, size)
        try:
            yield path
        except RuntimeError as error:  # what HDF5 makes of a full disk when it closes a file
            raise OSError(errno.EIO, f"cannot be written ({error})", str(path)) from error

    def save(self, name: str, save: Callable[[Path], None]) -> None:
        """Publish a file of the run that some function can only write directly."""
        self.folder.own(name)
        with published(self.path / name) as partial:
            save(partial)

    def below(self, name: str) -> Path:
        """A folder in the run's own, for a run of its own; removed with this one."""
        self.folder.own(f"{name}/")
        return self.path / name

    def write_text(self, name: str, text: str) -> None:
        """Publish a text file of the run."""
        self.folder.own(name)
        write_text(self.path / name, text)

    def print(self, text: str, *files: str) -> None:
        """Print a line as it is, and where files of the run are."""
        self.console.print(Text(text), soft_wrap=True)
        for name in files:
            self.console.print(Text(f"  {self.path / name}"), soft_wrap=True)


def fingerprint(tree: Any) -> str:
    """A few characters that tell arrays from other arrays."""
    total = hashlib.sha256(str(jax.tree.structure(tree)).encode())
    for leaf in jax.tree.leaves(tree):
        array = np.ascontiguousarray(leaf)
        total.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return total.hexdigest()[:12]


class Interrupt:
    """Remembers whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.pressed = False

    def check(self) -> None:
        """Raise what was lost.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed before.
        """
        if self.pressed:
            raise KeyboardInterrupt

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Remember Ctrl-C in here; in the main thread alone, as others get no signals.

        What Python drops it also prints, with a traceback; not that one, which `check` raises anew.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def remember(_: int, __: FrameType | None) -> None:
            self.pressed = True
            raise KeyboardInterrupt

        def tell(dropped: "sys.UnraisableHookArgs") -> None:
            if not (self.pressed and issubclass(dropped.exc_type, KeyboardInterrupt)):
                hook(dropped)

        before, hook = signal.signal(signal.SIGINT, remember), sys.unraisablehook
        sys.unraisablehook = tell
        try:
            yield
            self.check()
        finally:
            signal.signal(signal.SIGINT, before)
            sys.unraisablehook = hook
