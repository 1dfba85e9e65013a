"""A contestant's process: reads one JSON request a line, answers one JSON line.

    python -m benchmarks.peers.worker CORES

    {"do": "prepare", "contestant", "op", "case": path, "part": [start, stop], "settings"}
    {"do": "run", "k": 0, "calls": 10, "budget_s": 0.1, "save": path or null,
     "pick": indices of the batch, or null for all}
    {"do": "measure", "module", "function", "args"}    a function of benchmarks.speed

Times are taken here, around each call alone, and end when the result is ready.
"""

import contextlib
import importlib
import json
import os
import resource
import sys
import time
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.peers.tuning import ready


class Worker:
    def __init__(self):
        self.call, self.op = None, None

    def prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        from benchmarks.peers import CONTESTANTS
        from benchmarks.peers.case import Case

        contestant = CONTESTANTS[request["contestant"]]
        module = importlib.import_module(f"benchmarks.peers.{contestant.module}")
        case = Case.load(Path(request["case"]))
        if request.get("part"):
            case = case.part(*request["part"])
        getattr(module, "start", lambda: None)()
        before = _resident()
        _forget_peak()
        start = time.perf_counter()
        self.call, detail = module.prepare(request["op"], case, request["settings"])
        made, peak = _resident(), _peak()
        _forget_peak()
        ready(self.call(0))
        return {
            "prepare_s": time.perf_counter() - start,
            "memory_mb": (max(peak, _peak()) - before) / 2**20,
            "memory_call_mb": (_peak() - made) / 2**20,
            "version": _version(contestant.distribution),
            **detail,
        }

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        import numpy as np

        times, spans, k = [], [], request["k"]
        begun = time.perf_counter()
        while len(times) < request["calls"]:
            start = time.perf_counter()
            result = ready(self.call(k + len(times)))
            end = time.perf_counter()
            times.append(end - start)
            spans.append((start, end))
            if end - begun > request["budget_s"]:
                break
        if request.get("save"):
            picked = request.get("pick")
            np.save(
                request["save"], np.asarray(result if picked is None else result[np.array(picked)])
            )
        return {"times": times, "start": spans[-1][0], "end": spans[-1][1], "k": k + len(times) - 1}

    def measure(self, request: dict[str, Any]) -> dict[str, Any]:
        module = importlib.import_module(f"benchmarks.speed.{request['module']}")
        _forget_peak()
        answer = getattr(module, request["function"])(**request["args"])
        return {"peak_mb": _peak() / 2**20, **answer}


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _forget_peak() -> None:
    # On a kernel without it, the peak is that of the whole process.
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def main() -> None:
    cores = [int(c) for c in sys.argv[1].split(",")]
    os.sched_setaffinity(0, cores)
    # Answers go where stdout was; whatever a library prints goes to stderr.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "quit":
            break
        try:
            answer = getattr(worker, request["do"])(request)
        except Exception as error:  # noqa: BLE001 the row of this contestant says what went wrong
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
