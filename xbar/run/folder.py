"""The folder of a run: who may write there, what resumes, what is finished.

A folder belongs to a run once it holds `run.json` (the command and its configuration). What is
computed goes to `shards/`, so that a run that was stopped goes on behind its last whole chunk.
`summary.json` is written last: its presence says that the run is finished.
"""

import errno
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xbar.io.store import StoreError, write_text
from xbar.run import lock
from xbar.run.errors import UsageError

_OURS = {lock.NAME, "run.json.partial"}  # alone, they are a run that was stopped at once
FOLDERS = {"paper": ("tables", "studies")}  # that a command makes in its folder, besides files


class RunFolder:
    """An output folder that has been checked and belongs to this run.

    Args:
        path: the folder; made if it is not there.
        command: name of the command, such as "demo".
        config: JSON-able configuration; a folder resumes only under an equal one.
        overwrite: start anew in a folder of an earlier run.
        held: another process of the same run has checked the folder and holds it.

    Raises:
        UsageError: the path is a file, cannot be written, holds foreign files, belongs to a run
            of another command or configuration (without `overwrite`), or another process is at
            work there. Nothing is touched then.
    """

    def __init__(
        self,
        path: Path,
        command: str,
        config: Mapping[str, Any],
        *,
        overwrite: bool,
        held: bool = False,
    ):
        self.path = path
        self.marker = path / "run.json"
        self.shards = path / "shards"
        self._lock: lock.FolderLock | None = None
        identity = {"command": command, "config": json.loads(json.dumps(config))}
        if held:
            return
        try:
            self._claim(identity, overwrite)
        except OSError as error:
            self.release()
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise  # nothing is wrong with the call
            reason = error.strerror or str(error)
            raise UsageError(f"--out: cannot write to {path} ({reason})") from error
        except BaseException:  # such as Ctrl-C
            self.release()
            raise

    def _claim(self, identity: dict[str, Any], overwrite: bool) -> None:
        used = self._check(identity, overwrite)
        if used and not overwrite and self.finished:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = lock.FolderLock(self.path)
        if used and overwrite:
            self._clear()
        if not used or overwrite:  # first: only what has a marker is ours
            write_text(self.marker, json.dumps(identity, indent=2) + "\n")
        self.shards.mkdir(exist_ok=True)

    def _check(self, identity: dict[str, Any], overwrite: bool) -> bool:
        """Whether an earlier run used the folder; raise where it must not be used again."""
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"--out: got {self.path}, which is a file, needs a folder")
        used = self.path.is_dir() and any(f.name not in _OURS for f in self.path.iterdir())
        if used and not self.marker.is_file():
            raise UsageError(
                f"--out: got {self.path}, which holds files that no xbar run made; "
                "needs a new or empty folder"
            )
        if used and not overwrite and (found := self._identity()) != identity:
            raise UsageError(
                f"--out: {self.path} holds a run with other settings "
                f"({_difference(found, identity)}); needs another folder, or --overwrite"
            )
        return used

    def _identity(self) -> dict[str, Any]:
        try:
            return json.loads(self.marker.read_text(encoding="utf-8"))
        except (ValueError, OSError):
            return {"command": "unreadable", "config": {}}

    def _clear(self) -> None:
        """Remove what a run makes; anything else in the folder stays."""
        (self.path / "summary.json").unlink(missing_ok=True)  # first: the run is not finished now
        shutil.rmtree(self.shards, ignore_errors=True)
        for name in FOLDERS.get(self._identity()["command"], ()):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for pattern in ("*.png", "*.csv", "*.partial", "results.h5", "report.html"):
            for file in self.path.glob(pattern):
                file.unlink()

    @property
    def finished(self) -> bool:
        """Whether a run of this configuration has been completed here."""
        return (self.path / "summary.json").is_file()

    def summary(self) -> dict[str, Any]:
        """The headline figures of the finished run."""
        try:
            return json.loads((self.path / "summary.json").read_text(encoding="utf-8"))
        except ValueError as error:
            raise StoreError(f"{self.path}/summary.json: got a damaged file ({error})") from error

    def publish_summary(self, summary: Mapping[str, Any]) -> None:
        """Write the headline figures, which ends the run, and drop the shards."""
        write_text(self.path / "summary.json", json.dumps(summary, indent=2) + "\n")
        self.drop_shards()

    def drop_shards(self) -> None:
        """Remove what a finished run needs no more."""
        shutil.rmtree(self.shards, ignore_errors=True)

    def release(self) -> None:
        """Let other runs into the folder."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _difference(found: Mapping[str, Any], asked: Mapping[str, Any], place: str = "") -> str:
    """The first setting that differs, for the message."""
    if found.get("command") != asked.get("command"):
        return f"command {found.get('command')}, asked for {asked['command']}"
    before, now = (side.get("config", side) for side in (found, asked))
    for name in sorted({*before, *now}):
        a, b = before.get(name), now.get(name)
        if isinstance(a, dict) and isinstance(b, dict) and a != b:
            return _difference(a, b, f"{place}{name}.")
        if a != b:
            return f"{place}{name} = {a!r}, asked for {b!r}"
    return "its run.json differs"
