"""What a finished run in a folder found, whichever command made it, and whether it is whole."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from xbar.io.run_record import RunRecord, read_record
from xbar.io.store import StoreError, verify_results
from xbar.run.folders.runner import Runner

# Command -> module whose `show` prints its summary.
MODULES = {
    "demo": "xbar.run.demo",
    "study": "xbar.run.reports.study",
    "sensitivity": "xbar.run.sensitivity.report",
    "paper": "xbar.paper.run",
}


def damage_of(folder: Path) -> list[str]:
    """What is no longer as the run left it: a line for each file, and for each chunk of results.

    Raises:
        StoreError: no finished run is there.
    """
    found = _finished(folder).damage(folder)
    if any(line.startswith("results.h5 is not") for line in found):
        try:
            found += [f"results.h5: {line}" for line in verify_results(folder / "results.h5")]
        except StoreError as error:  # of another command, or damaged beyond reading
            found.append(str(error))
    return found


def show_run(folder: Path, console: Console | None = None) -> dict[str, Any]:
    """Print the summary of a finished run as its command does.

    Args:
        folder: of the run.
        console: where to print; None is the terminal.

    Returns:
        The summary.

    Raises:
        StoreError: no finished run is there, or its command is not known.
    """
    record = _finished(folder)
    if record.command not in MODULES:
        raise StoreError(f"{folder}: got a run of {record.command!r}, needs one of {list(MODULES)}")
    show: Callable[[dict[str, Any], Runner], None] = import_module(MODULES[record.command]).show
    runner = Runner(folder, record.config, record.command, console=console)
    summary = runner.shown(show)
    assert summary is not None
    runner.print(f"computed by xbar {record.version}; all files are as it left them")
    return summary


def _finished(folder: Path) -> RunRecord:
    if not folder.is_dir():
        raise StoreError(f"{folder}: got no folder, needs that of a finished run")
    record = read_record(folder)
    if not (folder / "summary.json").is_file() and record.files.get("summary.json") is None:
        raise StoreError(f"{folder}: got an unfinished run; the command that began it finishes it")
    return record
