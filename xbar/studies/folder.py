"""The folder of a run: who may write there, what resumes, what is finished.

A folder belongs to a run once it holds `run.json` (the command and its configuration). The stages
of a run leave their arrays in `stages/`, so that a run that was stopped goes on behind its last
whole stage. `summary.json` is written last: its presence says that the run is finished.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import equinox as eqx

from xbar.data.store import StoreError, published, write_text

Result = TypeVar("Result")


class UsageError(Exception):
    """Something that the user can put right; its text is one line."""


class RunFolder:
    """An output folder that has been checked and belongs to this run.

    Args:
        path: the folder; made if it is not there.
        command: name of the command, such as "demo".
        config: JSON-able configuration; a folder resumes only under an equal one.
        overwrite: start anew in a folder of an earlier run.

    Raises:
        UsageError: the path is a file, cannot be written, holds foreign files, or belongs to a run
            of another command or configuration (without `overwrite`). Nothing is touched then.
    """

    def __init__(self, path: Path, command: str, config: Mapping[str, Any], *, overwrite: bool):
        self.path = path
        self.marker = path / "run.json"
        self.stages = path / "stages"
        identity = {"command": command, "config": json.loads(json.dumps(config))}
        try:
            self._claim(identity, overwrite)
        except OSError as error:
            reason = error.strerror or str(error)
            raise UsageError(f"--out: cannot write to {path} ({reason})") from error

    def _claim(self, identity: dict[str, Any], overwrite: bool) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"--out: got {self.path}, which is a file, needs a folder")
        used = self.path.is_dir() and any(self.path.iterdir())
        if used and not self.marker.is_file():
            raise UsageError(
                f"--out: got {self.path}, which holds files that no xbar run made; "
                "needs a new or empty folder"
            )
        if used and not overwrite:
            if (found := self._identity()) != identity:
                raise UsageError(
                    f"--out: {self.path} holds a run with other settings "
                    f"({_difference(found, identity)}); needs another folder, or --overwrite"
                )
            return
        if used:
            self._clear()
        self.path.mkdir(parents=True, exist_ok=True)
        self.stages.mkdir(exist_ok=True)
        write_text(self.marker, json.dumps(identity, indent=2) + "\n")

    def _identity(self) -> dict[str, Any]:
        try:
            return json.loads(self.marker.read_text(encoding="utf-8"))
        except (ValueError, OSError):
            return {"command": "unreadable", "config": {}}

    def _clear(self) -> None:
        """Remove what a run makes; anything else in the folder stays. The marker goes last."""
        shutil.rmtree(self.stages, ignore_errors=True)
        for pattern in ("*.png", "*.csv", "summary.json", "results.h5", "report.html"):
            for file in self.path.glob(pattern):
                file.unlink()

    @property
    def finished(self) -> bool:
        """Whether a run of this configuration has been completed here."""
        return (self.path / "summary.json").is_file()

    def stage(self, name: str, compute: Callable[[], Result]) -> Result:
        """The arrays of a stage: those of an earlier, interrupted run, or computed and kept.

        Args:
            name: file name of the stage.
            compute: makes the arrays; a function of JAX alone, so that its shapes are known
                without running it.

        Returns:
            What `compute` returns.
        """
        file = self.stages / f"{name}.eqx"
        if file.is_file():
            shapes = eqx.filter_eval_shape(compute)
            # Damaged, or left by another version: computing it again puts that right.
            with suppress(RuntimeError, TypeError, ValueError, EOFError, OSError):
                return eqx.tree_deserialise_leaves(file, shapes)
        result = compute()
        self.stages.mkdir(exist_ok=True)
        with published(file) as partial:
            eqx.tree_serialise_leaves(partial, result)
        return result

    def summary(self) -> dict[str, Any]:
        """The headline figures of the finished run."""
        try:
            return json.loads((self.path / "summary.json").read_text(encoding="utf-8"))
        except ValueError as error:
            raise StoreError(f"{self.path}/summary.json: got a damaged file ({error})") from error

    def publish_summary(self, summary: Mapping[str, Any]) -> None:
        """Write the headline figures, which ends the run, and drop the intermediate stages."""
        write_text(self.path / "summary.json", json.dumps(summary, indent=2) + "\n")
        shutil.rmtree(self.stages, ignore_errors=True)


def _difference(found: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """The first setting that differs, for the message."""
    if found.get("command") != asked["command"]:
        return f"command {found.get('command')}, asked for {asked['command']}"
    before, now = found.get("config", {}), asked["config"]
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            return f"{name} = {before.get(name)!r}, asked for {now.get(name)!r}"
    return "its run.json differs"
