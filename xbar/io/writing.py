"""Files written whole or not at all, through no link; small ones read without ever waiting."""

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | os.O_CLOEXEC
MOST_TEXT = 2**26  # bytes of a settings file or summary; those of a run are thousands of times less


@contextmanager
def published(path: Path, durable: bool = True) -> Iterator[Path]:
    """A new file to write; it takes the final name only when everything is on disk.

    Its own name is random and made here, so that no link or file that lies there is written to.

    Args:
        path: the final name; what is there is replaced, a link by the file itself.
        durable: wait until the disk has it, which takes some of its turns; without, a power cut
            may lose it, but never a killed process.

    Yields:
        The name to write to, in the same folder.

    Raises:
        OSError: it cannot be written, with the name of the file; nothing is left of it then.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _NO_LINK, 0o666))
        yield partial
        if durable:
            _to_disk(partial)
        partial.replace(path)
        if durable:
            _to_disk(path.parent)  # the name too
    except OSError as error:
        if error.filename is not None:
            raise
        # Python names no file where a write fails, as on a full disk.
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def partials(folder: Path) -> Iterator[tuple[Path, Path]]:
    """What killed processes have left in a folder, and the file that each was to become."""
    for file in folder.iterdir() if folder.is_dir() else ():
        if found := re.fullmatch(r"\.(.+)\.[0-9a-f]{16}\.partial", file.name):
            yield file, file.with_name(found[1])


def write_text(path: Path, text: str, durable: bool = True) -> None:
    """Publish a text file; as `published`."""
    write_bytes(path, text.encode(), durable)


def write_bytes(path: Path, content: bytes | memoryview, durable: bool = True) -> None:
    """Publish a file; as `published`."""
    with published(path, durable) as partial:
        partial.write_bytes(content)


def is_file(path: Path) -> bool:
    """Whether a regular file is there; False for names that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_bytes(path: Path, most: int = MOST_TEXT) -> bytes:
    """The content of a regular file.

    Args:
        path: of the file; links are followed.
        most: bytes; a larger file is refused before memory is asked for.

    Raises:
        OSError: it cannot be read, is no regular file (a pipe would be waited for), or too large.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(0, f"it is {_kind(found.st_mode)}, not a file", str(path))
    if found.st_size > most:
        raise OSError(0, f"it has {found.st_size:,} bytes, over {most:,}", str(path))
    # Not blocking, as a pipe may have taken its place meanwhile.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        return file.read(most)


def _kind(mode: int) -> str:
    kinds = {stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    return next((name for test, name in kinds.items() if test(mode)), "a device")


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
