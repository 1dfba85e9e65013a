"""What a row says about where it was measured."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@cache
def commit() -> str:
    """The commit, with a + where the package or the benchmarks differ from it."""
    try:
        run = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--match="],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--", "xbar", "benchmarks/peers", "benchmarks/speed"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return run.stdout.strip() + ("+" if changed.stdout.strip() else "")


def description() -> dict[str, str | int]:
    """Columns that are the same for every row of a run, and the load when this row was made."""
    return {
        "machine": processor(),
        "cores": f"{len(os.sched_getaffinity(0))} of {os.cpu_count()}",
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "jax": version("jax"),
        "xbar": version("xbar"),
        "commit": commit(),
    }


def measured_at() -> str:
    """What a page says of where its numbers were measured; the load is that of now."""
    where = description()
    return (
        f"at commit {where['commit']}: {where['machine']}, {where['cores']} cores, load "
        f"{where['load']}; Python {where['python']}, jax {where['jax']}"
    )
