"""Contestants on one case, alternating: every round each of them gets a slice of time.

Each has a process of its own (benchmarks/peers/worker.py), so that all environments are treated
alike, and only one of them works at a time. What happens before the first result (imports,
ordering, analysis, compilation, choice of options) is timed apart.
"""

import dataclasses
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import CONTESTANTS
from benchmarks.peers.case import Case
from benchmarks.peers.client import FailedError, Process, cores
from benchmarks.speed import problems
from benchmarks.speed.reference import error_of
from benchmarks.speed.rows import Row

BOUNDS = {"float64": 1e-10, "float32": 1e-6}


@dataclass
class Effort:
    """How much time to spend."""

    rounds: int = 5
    slice_s: float = 0.2  # a contestant's time in one round; at least one call
    calls: int = 50  # at most, in one round
    tuning_s: float = 20.0
    prepare_s: float = 1800.0  # limit
    call_s: float = 900.0  # limit

    @staticmethod
    def of(quick: bool) -> "Effort":
        return Effort(3, 0.05, 10, 1.5, 300.0, 120.0) if quick else Effort()

    def large(self) -> "Effort":
        """For cases that take seconds."""
        return dataclasses.replace(self, rounds=min(self.rounds, 3), calls=3)


@dataclass
class Entry:
    """One contestant with its settings."""

    contestant: str
    label: str = ""
    precision: str = "float64"
    bound: float | None = None
    op: str = ""  # another operation than the others', to compare with
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.label or self.contestant

    @property
    def allowed(self) -> float:
        return BOUNDS[self.precision] if self.bound is None else self.bound


def xbar(solver: str, precision: str = "float64", **settings: Any) -> Entry:
    """xbar with a solver of one's choice."""
    return Entry("xbar", f"xbar, {solver}", precision, settings={"solver": solver, **settings})


def called_directly() -> Entry:
    """xbar outside of `jit`, on known numbers."""
    return Entry("xbar", "xbar, called directly", settings={"jit": False})


def everyone(op: str, without: Sequence[str] = ()) -> list[Entry]:
    """xbar in both precisions, and every peer that has the operation."""
    peers = [n for n, c in CONTESTANTS.items() if n != "xbar" and op in c.operations]
    entries = [Entry("xbar"), Entry("xbar", precision="float32")]
    return entries + [Entry(name) for name in peers if name not in without]


class _Running:
    """An entry's processes: one, or for a peer's batch one per core with a part of it."""

    def __init__(self, entry: Entry, op: str, case: Case, effort: Effort, stack: ExitStack):
        self.entry, self.op, self.case, self.effort = entry, op, case, effort
        on = cores()
        batch = op.endswith("_all")
        apart = batch and entry.contestant != "xbar" and len(on) > 1 and len(case.g) >= len(on)
        self.groups = [[core] for core in on] if apart else [on]
        cuts = np.linspace(0, len(case.g), len(self.groups) + 1).astype(int)
        self.parts = list(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True))
        environment = environment_of(entry.precision, len(on) if batch else 1)
        self.processes = [
            stack.enter_context(Process(entry.contestant, group, environment))
            for group in self.groups
        ]
        self.times: list[float] = []

    def prepare(self, path: Path) -> list[dict[str, Any]]:
        settings = {
            "precision": self.entry.precision,
            "threads": len(self.groups[0]),
            "tuning_s": self.effort.tuning_s,
            **self.entry.settings,
        }
        request = {"do": "prepare", "contestant": self.entry.contestant, "op": self.op}
        answers = []
        for process, part in zip(self.processes, self.parts, strict=True):
            answers.append(
                process.ask(
                    self.effort.prepare_s, **request, case=str(path), part=part, settings=settings
                )
            )
        return answers

    def picked(self) -> list[int] | None:
        """Which arrays of a batch are looked at: all, or a few of one that was copied larger."""
        n, copies = len(self.case.g), self.entry.settings.get("copies", 1)
        return None if copies == 1 else sorted({0, n - 1, copies * n // 2, copies * n - 1})

    def checked(self) -> Case:
        """The case of the arrays that are looked at."""
        which = self.picked()
        if which is None:
            return self.case
        g = problems.copies(self.case.g, np.array(which), self.entry.precision)
        return self.case._replace(g=g)

    def run(self, calls: int, save: list[Path | None]) -> int:
        """A slice of calls; returns which array the last result is for."""
        if len(self.processes) > 1:
            calls = 1  # the processes have to start together
        for process, path in zip(self.processes, save, strict=True):
            process.send(
                do="run",
                k=len(self.times),
                calls=calls,
                budget_s=self.effort.slice_s,
                save=str(path) if path else None,
                pick=self.picked(),
            )
        answers = [process.receive(self.effort.call_s) for process in self.processes]
        if len(answers) == 1:
            self.times += answers[0]["times"]
        else:
            # perf_counter is one clock for all processes of a Linux machine.
            self.times.append(max(a["end"] for a in answers) - min(a["start"] for a in answers))
        return answers[0]["k"]


def environment_of(precision: str, devices: int) -> dict[str, str]:
    return {
        "JAX_ENABLE_X64": "1" if precision == "float64" else "0",
        "JAX_NUM_CPU_DEVICES": str(devices),
        "JAX_ENABLE_COMPILATION_CACHE": "0",  # compile times are those of a first run
        "PYTHONWARNINGS": "ignore",
    }


def contest(
    question: str, name: str, op: str, case: Case, entries: Sequence[Entry], effort: Effort
) -> list[Row]:
    """Rows of all entries on one case."""
    rows, running = {}, {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xbar-bench-")))
        case.save(folder / "case.npz")
        for n, entry in enumerate(entries):
            own = entry.op or op
            row = Row(question, name, own, entry.name, entry.precision, bound=entry.allowed)
            copies = entry.settings.get("copies", 1)
            row.batch = copies * len(case.g) if own.endswith("_all") else 1
            rows[n] = row
            try:
                one = _Running(entry, own, case, effort, stack)
                row.processes, row.threads = len(one.groups), len(one.groups[0])
                _describe(row, one.prepare(folder / "case.npz"))
                running[n] = one
            except FailedError as failure:
                row.status = f"failed: {failure}"
                _say(row, row.status)
        for _ in range(effort.rounds):
            for n, one in list(running.items()):
                try:
                    one.run(effort.calls, [None] * len(one.processes))
                except FailedError as failure:
                    rows[n].status = f"failed: {failure}"
                    del running[n]
        for n, one in running.items():
            _finish(rows[n], one, folder)
    return list(rows.values())


def _describe(row: Row, details: list[dict[str, Any]]) -> None:
    first = details[0]
    row.options, row.version = str(first.get("options", "")), first["version"]
    row.prepare_s = max(d["prepare_s"] for d in details)
    row.compile_s = first.get("compile_s", row.compile_s)
    row.steps, row.option = first.get("steps", ""), first.get("option", "")
    row.memory_mb = sum(d["memory_mb"] for d in details)
    row.memory_call_mb = sum(d["memory_call_mb"] for d in details)


def _finish(row: Row, one: _Running, folder: Path) -> None:
    """Check the result of one more call, and fill in the row."""
    paths = [folder / f"result{n}.npy" for n in range(len(one.processes))]
    times = list(one.times)
    try:
        k = one.run(1, paths)
    except FailedError as failure:
        row.status = f"failed: {failure}"
        return
    found = np.concatenate([np.load(p) for p in paths]) if len(paths) > 1 else np.load(paths[0])
    row.error = error_of(row.op, found, one.checked(), k)
    row.calls = len(times)
    row.seconds, row.fastest_s, row.slowest_s = (
        pick(times) / row.batch for pick in (statistics.median, min, max)
    )
    _say(row.judge(), f"{1e3 * row.seconds:.3f} ms, error {row.error:.1e}, {row.status}")


def _say(row: Row, text: str) -> None:
    print(f"[{row.question}] {row.case} {row.op}: {row.contestant} {row.precision}: {text}",
          file=sys.stderr, flush=True)  # fmt: skip
