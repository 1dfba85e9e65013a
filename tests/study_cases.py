"""What the tests of studies share: a study that takes seconds, and runs of it from outside."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from xbar.io.store import read_results
from xbar.io.tree import flatten

TINY = """
name = "tiny"
seeds = 2

[data]
file = "data.npz"

[network]
hidden = [4]

[[defects]]
shape = ["row", "column"]
coverage = [0.3, 0.6]
layer = [0, 1]
fault = ["pair", "unequal"]
placements = 2

[[correctors]]
hidden = [3]
steps = 50

[store]
voltages = "labelled"
arrays = true
correctors = true

[run]
chunk = 4
"""
CIRCUITS = 64


def write_tiny(folder: Path, text: str = TINY) -> Path:
    """The study's file and its data."""
    rng = np.random.default_rng(1)
    y = np.arange(90) % 3
    x = np.maximum((3 * np.eye(3, 4))[y] + rng.normal(size=(90, 4)), 0)
    np.savez(folder / "data.npz", x=x, y=y)
    file = folder / "tiny.toml"
    file.write_text(text)
    return file


def quiet_console() -> Console:
    """Prints nowhere and remembers."""
    return Console(record=True, width=120, file=io.StringIO())


def xbar(*arguments: Any, **variables: str) -> subprocess.Popen[str]:
    """`xbar` in a process of its own, which keeps what it compiles as the tests do.

    `xbar paper` runs with settings that take seconds (`tiny_paper.py`).
    """
    tiny = arguments[0] == "paper"
    program = [str(Path(__file__).with_name("tiny_paper.py"))] if tiny else ["-m", "xbar"]
    command = [sys.executable, *program, *map(str, arguments)]
    environment = {**os.environ, **variables}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env=environment, **pipes)


def finish(process: subprocess.Popen[str], timeout_s: float = 300) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    try:
        out, error = process.communicate(timeout=timeout_s)
    finally:
        process.kill()
    return process.returncode, out, error


TIMES = ("wall_s", "stages_s", "experiments_s", "seconds", "seconds_per_solve", "would_take_s")


def numbers(out: Path) -> dict[str, Any]:
    """Everything that a finished run found, but when, how fast and by which commit."""
    arrays, attributes = read_results(out / "results.h5")
    found = {n: v for n, v in flatten(arrays) if not n.endswith(TIMES) and n[:5] != "cost/"}
    summary = without_times(json.loads((out / "summary.json").read_text()))
    words = {"summary": json.dumps(summary), "config": json.dumps(attributes["config"])}
    return found | words | {table.name: table.read_text() for table in sorted(out.glob("*.csv"))}


def without_times(tree: Any) -> Any:
    """A summary without what took how long, and the commit: somebody may commit meanwhile."""
    if isinstance(tree, dict):
        return {n: without_times(item) for n, item in tree.items() if n not in (*TIMES, "commit")}
    return tree


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Bit for bit."""
    assert list(found) == list(expected)
    for name, values in expected.items():
        a, b = np.asarray(found[name]), np.asarray(values)
        assert a.dtype == b.dtype, name
        assert a.tobytes() == b.tobytes(), name
