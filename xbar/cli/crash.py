"""A file with all that is known of an error that nobody foresaw, to be sent in."""

import os
import platform
import secrets
import sys
import tempfile
import time
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from platformdirs import user_log_path

PACKAGES = ("xbar", "jax", "jaxlib", "equinox", "numpy", "h5py", "pydantic", "typer")


def write_log(error: BaseException) -> Path:
    """Write the command, the versions and the traceback of an error.

    Args:
        error: what was raised.

    Returns:
        The file, in the user's log folder, or in the one for temporary files.
    """
    lines = [
        f"command: {' '.join(sys.argv)}",
        f"folder: {Path.cwd()}",
        f"python: {platform.python_version()} on {platform.platform()}",
        *(f"{name}: {_version(name)}" for name in PACKAGES),
        *(f"{name}={value}" for name, value in os.environ.items() if name.startswith("JAX_")),
        "",
        *traceback.format_exception(error),
    ]
    # Of a recursion that never ended, beginning and end tell all.
    text = "\n".join(lines)
    text = text if len(text) < 100_000 else f"{text[:50_000]}\n...\n{text[-50_000:]}"
    name = time.strftime("error-%Y%m%d-%H%M%S-") + f"{secrets.token_hex(4)}.txt"
    for folder in (user_log_path("xbar"), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8", errors="replace")
        except OSError:
            continue
        return folder / name
    return Path("(no log could be written)")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
