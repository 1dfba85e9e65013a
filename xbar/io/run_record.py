"""`run.json`: what a run says of itself, and which files in its folder are its own.

It is written first and updated before each file that the run makes, so that only what it lists is
ever removed, and what it lists can be checked. A file's size and SHA-256 are known once the run is
finished; None until then.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from xbar.io.store import StoreError
from xbar.io.writing import read_bytes, write_text

NAME = "run.json"
SIGNATURE = "xbar run"
# Below the folder, never out of it; a folder of a run of its own ends with a slash.
OwnName = Annotated[str, Field(pattern=r"^([^/\x00]+/)*[^/\x00]*$", min_length=1, max_length=400)]


@dataclass(frozen=True)
class FileMark:
    """What a finished file is known by.

    Args:
        size: [byte].
        sha256: of its content.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")
    size: int
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

    @staticmethod
    def of_bytes(content: bytes) -> "FileMark":
        """The mark of a file with this content."""
        return FileMark(len(content), hashlib.sha256(content).hexdigest())

    @staticmethod
    def of(path: Path) -> "FileMark":
        """The mark of a file as it is now."""
        with path.open("rb") as file:
            return FileMark(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


@dataclass(frozen=True)
class RunRecord:
    """The content of `run.json`.

    Args:
        command: that made the run, such as "study".
        config: its settings, JSON-able.
        version: of xbar.
        signature: says that xbar wrote it.
        files: what it made in its folder, by name; None until the run is finished.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")
    command: str
    config: dict[str, Any]
    version: str
    signature: Literal["xbar run"]
    files: dict[OwnName, FileMark | None]

    @staticmethod
    def new(command: str, config: dict[str, Any]) -> "RunRecord":
        """The record of a run that begins now."""
        return RunRecord(command, config, version("xbar"), SIGNATURE, {})

    def write(self, folder: Path, durable: bool = True) -> None:
        """Publish it in a folder; as `xbar.io.writing.published`."""
        write_text(folder / NAME, json.dumps(asdict(self), indent=1) + "\n", durable)

    def own(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Names and paths of its files in a folder; those below links lie elsewhere."""
        root = folder.resolve()
        for name in self.files:
            path = folder / name
            if ".." not in Path(name).parts and path.parent.resolve().is_relative_to(root):
                yield name, path

    def damage(self, folder: Path, thorough: bool = True) -> list[str]:
        """What is no longer as the run left it.

        Args:
            folder: where it is.
            thorough: compare checksums; else sizes alone, which takes no time.

        Returns:
            A line for each file; none where all is well or the run is not finished.
        """
        found = []
        for name, path in self.own(folder):
            if (mark := self.files[name]) is None:
                continue
            try:
                if not path.is_file():
                    found.append(f"{name} is missing")
                elif path.stat().st_size != mark.size or (thorough and FileMark.of(path) != mark):
                    found.append(f"{name} is not as the run wrote it")
            except OSError as error:
                found.append(f"{name} cannot be read ({error.strerror})")
        return found


_RECORD = TypeAdapter(RunRecord)


def read_record(folder: Path) -> RunRecord:
    """The record of the run in a folder.

    Raises:
        StoreError: there is none, or not one of this xbar's runs.
    """
    path = folder / NAME
    try:
        return _RECORD.validate_json(read_bytes(path))
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise StoreError(
            f"{path}: {place}: got {_shown(first['input'])}, needs what a run of this xbar writes "
            f"({first['msg']})"
        ) from error


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
