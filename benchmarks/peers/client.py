"""The benchmark's side of a contestant's process."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from benchmarks.peers import CONTESTANTS

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = Path(os.environ.get("XBAR_BENCH_ENV", ROOT / ".venv" / "bench"))
MEMORY_SHARE = 0.7  # of this machine's memory; a contestant that takes more is stopped


class FailedError(Exception):
    """A contestant crashed, ran out of time or memory, or cannot do this case."""


def cores() -> list[int]:
    """The cores that this process may use; contestants get no others."""
    return sorted(os.sched_getaffinity(0))


def total_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def installed() -> dict[str, dict[str, str]]:
    """What install.py found: per contestant its Python, or why it is missing and what helps.

    What needs nothing but xbar's NumPy is always there.
    """
    here = {name: {"python": sys.executable} for name in ("xbar", "crosssim_loop")}
    try:
        return json.loads((ENVIRONMENT / "peers.json").read_text()) | here
    except OSError:
        missing = {"missing": "the peers' environments are not there", "how": "make bench"}
        return dict.fromkeys(CONTESTANTS, missing) | here


class Process:
    """A worker; use it in a `with` statement, which ends the process."""

    def __init__(self, contestant: str, on: list[int], environment: dict[str, str] | None = None):
        found = installed()[contestant]
        if "missing" in found:
            raise FailedError(f"not installed: {found['missing']} ({found['how']})")
        self.contestant = contestant
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 closed in __exit__
        threads = str(len(on))
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
        limits["SPARSAX_NUM_THREADS"] = threads
        self.process = subprocess.Popen(
            [found["python"], "-m", "benchmarks.peers.worker", ",".join(map(str, on))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            cwd=ROOT,
            start_new_session=True,  # so that what a worker starts ends with it (ngspice)
            env={**os.environ, **limits, **(environment or {})},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.log.close()

    def send(self, **request: Any) -> None:
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except OSError:
            raise FailedError(self._death()) from None

    def receive(self, timeout_s: float) -> dict[str, Any]:
        end = time.monotonic() + timeout_s
        while not select.select([self.process.stdout], [], [], 0.2)[0]:
            if time.monotonic() > end:
                self._kill()
                raise FailedError(f"stopped after {timeout_s:.0f} s")
            if self._resident() > MEMORY_SHARE * total_memory():
                self._kill()
                raise FailedError(f"stopped at {MEMORY_SHARE:.0%} of the machine's memory")
        line = self.process.stdout.readline()
        if not line:
            raise FailedError(self._death())
        answer = json.loads(line)
        if "error" in answer:
            raise FailedError(answer["error"])
        return answer

    def ask(self, timeout_s: float = 600.0, **request: Any) -> dict[str, Any]:
        self.send(**request)
        return self.receive(timeout_s)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _resident(self) -> int:
        try:
            pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        except OSError:
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def _death(self) -> str:
        code = self.process.wait()
        self.log.seek(0)
        last = [line for line in self.log.read().splitlines() if line.strip()][-1:]
        return f"ended with status {code}: {' '.join(last)[:200]}"
