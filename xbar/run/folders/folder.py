"""The folder of a run: who may write there, what resumes, what is finished, what may be removed.

A folder belongs to a run once it holds `run.json` (see `xbar.io.run_record`). What is computed goes
to `shards/`, so that a run that was stopped goes on behind its last whole piece. `summary.json` is
written last: its presence says that the run is finished.
"""

import errno
import fcntl
import json
import math
import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from xbar.io.run_record import NAME as RECORD
from xbar.io.run_record import FileMark, RunRecord, read_record
from xbar.io.store import StoreError
from xbar.io.writing import partials, read_bytes, write_text
from xbar.run.errors import UsageError
from xbar.run.settings.checks import shortened

SUMMARY = "summary.json"
SHARDS = "shards"


class RunFolder:
    """An output folder that has been checked and, unless its run is finished, is held.

    Args:
        path: the folder; made if it is not there.
        command: name of the command, such as "demo".
        config: JSON-able configuration; a folder resumes only under an equal one.
        overwrite: start anew in a folder of an earlier run.
        held: another process of the same run has checked the folder and holds it.
        reads: files and folders that the run reads; none of them is removed.

    Raises:
        UsageError: the path is a file, cannot be written, holds foreign files, belongs to a run
            of another command, configuration or version (without `overwrite`), to a finished one
            that has been damaged, to what the run reads, or another process is at work there.
            Nothing is touched then.
    """

    def __init__(
        self,
        path: Path,
        command: str,
        config: Mapping[str, Any],
        *,
        overwrite: bool = False,
        held: bool = False,
        reads: Iterable[Path] = (),
    ):
        self.path = path
        self.shards = path / SHARDS
        self.record = RunRecord.new(command, json.loads(json.dumps(config)))
        self._lock: FolderLock | None = None
        self._held = held
        if held:
            return
        try:
            self._claim(overwrite, [found.resolve() for found in reads])
        except OSError as error:
            self.release()
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise  # nothing is wrong with the call
            reason = error.strerror or str(error)
            raise UsageError(f"--out: cannot write to {path} ({reason})") from error
        except BaseException:  # such as Ctrl-C
            self.release()
            raise

    def _claim(self, overwrite: bool, reads: list[Path]) -> None:
        if self.path.resolve() in reads:
            raise UsageError(f"--out: got {self.path}, which the run reads; needs another folder")
        if self._goes_on(self._check(overwrite), overwrite) and self.finished:
            return
        if self.shards.is_symlink() or (self.shards.exists() and not self.shards.is_dir()):
            raise UsageError(
                f"--out: got {self.shards}, which no xbar run made; needs a new folder"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(self.path)
        before = self._check(overwrite)  # again, as another run may have ended meanwhile
        goes_on = self._goes_on(before, overwrite)
        if goes_on and self.finished:
            self.release()
            return
        if before is not None:
            _remove_partials(self.path, before)
            if overwrite:
                _remove(self.path, before, reads)
        if not goes_on:  # first: only what has a record is ours
            self.record.write(self.path)
        self.shards.mkdir(exist_ok=True)

    def _goes_on(self, before: RunRecord | None, overwrite: bool) -> bool:
        """Whether the run that is there is this one; its record is taken over then."""
        if before is None or overwrite:
            return False
        self.record = before
        return True

    def _check(self, overwrite: bool) -> RunRecord | None:
        """The record of an earlier run; raise where its folder must not be used again."""
        if not self.path.exists():
            return None
        if not self.path.is_dir():
            raise UsageError(f"--out: got {self.path}, which is a file, needs a folder")
        # Alone, these are a run that was stopped at once.
        partly = {file.name for file, meant in partials(self.path) if meant.name == RECORD}
        if all(file.name in {LOCK, *partly} for file in self.path.iterdir()):
            return None
        if not (self.path / RECORD).exists():
            raise UsageError(
                f"--out: got {self.path}, which holds files that no xbar run made; "
                "needs a new or empty folder"
            )
        try:
            found = read_record(self.path)
        except StoreError as error:
            raise UsageError(
                f"--out: got a folder of another program or an older xbar ({error}); needs a new "
                "or empty one"
            ) from error
        if not overwrite:
            self._check_same(found)
        return found

    def _check_same(self, found: RunRecord) -> None:
        """Raise unless the run that is here is the one that is asked for."""
        asked = self.record
        if (found.command, found.config) != (asked.command, asked.config):
            raise UsageError(
                f"--out: {self.path} holds a run with other settings "
                f"({_difference(found, asked)}); needs another folder, or --overwrite"
            )
        if self.finished:
            if damage := found.damage(self.path, thorough=False):
                raise UsageError(
                    f"--out: the finished run in {self.path} is damaged: {'; '.join(damage)}; "
                    "needs another folder, or --overwrite"
                )
        elif found.version != asked.version:
            raise UsageError(
                f"--out: {self.path} holds an unfinished run of xbar {found.version}, and this is "
                f"xbar {asked.version}; needs that version to go on, another folder, or --overwrite"
            )

    @property
    def finished(self) -> bool:
        """Whether a run of this configuration has been completed here."""
        return (self.path / SUMMARY).is_file()

    def own(self, *names: str) -> None:
        """List files as the run's own, before they are written; a folder's name ends with "/"."""
        new = [name for name in names if name not in self.record.files]
        if new and not self._held:
            self.record = replace(self.record, files=self.record.files | dict.fromkeys(new))
            self.record.write(self.path, durable=False)

    def publish_summary(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """Write checksums and then the headline figures, which ends the run; drop the shards.

        Returns:
            The figures as JSON has them: None for NaN, lists for tuples.
        """
        text = json.dumps(without_nan(summary), indent=2) + "\n"
        self.own(SUMMARY)
        marks = {
            name: FileMark.of(path)
            for name, path in self.record.own(self.path)
            if path.is_file() and not name.startswith(SHARDS)
        }
        marks[SUMMARY] = FileMark.of_bytes(text.encode())
        self.record = replace(self.record, files=self.record.files | marks)
        self.record.write(self.path)
        write_text(self.path / SUMMARY, text)
        self.drop_shards()
        with suppress(OSError):
            self.shards.rmdir()  # if no stage was kept in it
        return json.loads(text)

    def drop_shards(self) -> None:
        """Remove what a finished run needs no more; a run may be killed before it does so."""
        shards = {name for name in self.record.files if name.startswith(f"{SHARDS}/")}
        if shards:
            _remove(self.path, replace(self.record, files=dict.fromkeys(shards)), [])
            rest = {n: mark for n, mark in self.record.files.items() if n not in shards}
            self.record = replace(self.record, files=rest)
            self.record.write(self.path, durable=False)

    def release(self) -> None:
        """Let other runs into the folder."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def read_summary(folder: Path, record: RunRecord) -> dict[str, Any]:
    """The headline figures of a finished run.

    Args:
        folder: of the run.
        record: its `run.json`.

    Raises:
        StoreError: the file is missing or not as the run wrote it.
    """
    path = folder / SUMMARY
    try:
        content = read_bytes(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror})") from error
    if FileMark.of_bytes(content) != record.files.get(SUMMARY):
        raise StoreError(f"{path}: got other figures than the run wrote, needs those")
    return json.loads(content)


def _remove(folder: Path, record: RunRecord, reads: list[Path]) -> None:
    """Remove what a run has made, and the folders that are empty then; all else stays."""
    own = dict(record.own(folder))
    for path in own.values():
        if path.resolve() in reads:
            raise UsageError(f"--overwrite: would remove {path}, which the run reads")
    if SUMMARY in own:
        own[SUMMARY].unlink(missing_ok=True)  # first: the run is not finished now
    below: set[Path] = set()
    for name, path in own.items():
        if name.endswith("/"):  # a run of its own
            with suppress(StoreError):
                _remove(path, read_record(path), reads)
                (path / RECORD).unlink()
            below.add(path)
        elif path.is_symlink() or path.is_file():
            path.unlink()
        below.update(path.parents)
    _remove_partials(folder, record)
    for empty in sorted(below - {folder, *folder.parents}, reverse=True):
        with suppress(OSError):
            empty.rmdir()


def _remove_partials(folder: Path, record: RunRecord) -> None:
    """Remove what killed processes have left of files that they were writing."""
    own = {folder / RECORD, *dict(record.own(folder)).values()}
    for below in {path.parent for path in own}:
        for file, meant in partials(below):
            if meant in own:
                file.unlink(missing_ok=True)


def _difference(found: RunRecord, asked: RunRecord) -> str:
    """The first setting that differs, for the message."""
    if found.command != asked.command:
        return f"command {found.command}, asked for {asked.command}"
    place, before, now = "", found.config, asked.config
    while True:
        differ = [n for n in sorted({*before, *now}) if before.get(n) != now.get(n)]
        name = differ[0] if differ else ""
        a, b = before.get(name), now.get(name)
        if not (isinstance(a, dict) and isinstance(b, dict)):
            return f"{place}{name} = {shortened(repr(a), 100)}, asked for {shortened(repr(b), 100)}"
        place, before, now = f"{place}{name}.", a, b


def without_nan(tree: Any) -> Any:
    """A tree of figures as JSON can hold them: None for NaN and infinite ones."""
    if isinstance(tree, Mapping):
        return {name: without_nan(item) for name, item in tree.items()}
    if isinstance(tree, list | tuple):
        return [without_nan(item) for item in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree


LOCK = "run.lock"


class FolderLock:
    """Holds a folder for this process, by `flock` on a file in it.

    The kernel lets go of it when the process ends, however it ends. (`flock` works between hosts
    where the file system supports it, as NFS and Lustre mounted with `flock` do.) The file names
    its holder, which the locks of libraries do not.

    Args:
        folder: what to hold; it is there.

    Raises:
        UsageError: another process holds it, or the file is something else's.
        OSError: the lock file cannot be made, or is a link, which is not followed.
    """

    def __init__(self, folder: Path):
        self.file = folder / LOCK
        self._handle = -1
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        while self._handle < 0:
            handle = os.open(self.file, flags, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.read(handle, 200).decode("ascii", "replace").strip()
                os.close(handle)
                raise UsageError(
                    f"--out: another run ({holder or 'just started'}) is at work in {folder}; "
                    "needs another folder, or its end"
                ) from error
            if _same_file(handle, self.file):
                self._handle = handle
            else:  # its holder removed it between our opening and locking it
                os.close(handle)
        if (found := os.read(self._handle, 200)) and not found.startswith(b"process "):
            os.close(self._handle)
            raise UsageError(f"--out: got {self.file}, which no run wrote; needs another folder")
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def release(self) -> None:
        """Let go."""
        if self._handle >= 0:
            self.file.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = -1


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False
