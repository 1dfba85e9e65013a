"""Rows of results: what counts as a result, CSV, tables."""

import csv
import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.speed.machine import description

RESULTS = Path(__file__).resolve().parents[1] / "results"
OK = "ok"


@dataclass
class Row:
    """One contestant on one case. Times are seconds per array, medians over `calls` calls."""

    question: str
    case: str
    op: str
    contestant: str
    precision: str
    batch: int = 1
    processes: int = 1
    threads: int = 1  # cores that a process may use
    seconds: float = math.nan
    fastest_s: float = math.nan
    slowest_s: float = math.nan
    calls: int = 0
    error: float = math.nan  # relative to the largest current, entry of T, or derivative
    bound: float = math.nan
    status: str = ""
    options: str = ""
    option: int | str = ""  # the number of the options that tuning chose
    prepare_s: float = math.nan  # until the first result: ordering, analysis, compiling, tuning
    compile_s: float = math.nan
    steps: int | str = ""
    memory_mb: float = math.nan  # peak above the process before, first result included
    # Of that the first result's call: peak above the process after compiling, ordering, analysis
    # (next to nothing where tuning has called it before; `sizes` measures it without tuning).
    memory_call_mb: float = math.nan
    version: str = ""
    extra: str = ""
    where: dict[str, Any] = field(default_factory=description)

    def judge(self) -> "Row":
        """Set the status: a row without a time, or past its bound, has failed."""
        if not self.status:
            if not self.error <= self.bound:  # NaN counts as past it
                self.status = f"failed: error {self.error:.1e}, allowed {self.bound:.0e}"
            elif not self.seconds > 0:
                self.status = "failed: no time"
            else:
                self.status = OK
        return self

    @property
    def fine(self) -> bool:
        return self.status == OK

    def flat(self) -> dict[str, Any]:
        names = [f.name for f in dataclasses.fields(self) if f.name != "where"]
        return {name: getattr(self, name) for name in names} | self.where


def ratio(row: Row, baseline: Row | None) -> float | None:
    """How many times the baseline's time a row takes; None unless both are right."""
    if baseline is None or not (row.fine and baseline.fine):
        return None
    return row.seconds / baseline.seconds


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0].flat()))
        writer.writeheader()
        for row in rows:
            writer.writerow({k: _cell(v) for k, v in row.flat().items()})


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return value


def seconds_text(value: float) -> str:
    """A time for people."""
    if math.isnan(value):
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{1e6 * value:.3g} us"


def number(value: float, form: str = ".0f") -> str:
    return "" if math.isnan(value) else format(value, form)


def table(rows: Iterable[Row], baselines: Sequence[tuple[str, str]]) -> str:
    """One table per case and operation, fastest first; failed rows below, without a ratio.

    `baselines` are (contestant, precision) pairs; a column each says how many times as long as
    the baseline a row takes.
    """
    rows = list(rows)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.case, row.op), []).append(row)
    parts = []
    for (case, op), members in groups.items():
        heads = [f"x {name} {precision}" for name, precision in baselines]
        columns = ["contestant", "precision", "time per array", *heads, "error", "first result",
                   "memory", "processes x cores", "options"]  # fmt: skip
        lines = [f"## {case}: {op}", "", _line(columns), "|" + "---|" * len(columns)]
        chosen = [
            next((m for m in members if (m.contestant, m.precision) == b), None) for b in baselines
        ]
        order = sorted(members, key=lambda m: (not m.fine, m.seconds))
        lines += [_line(_cells(row, [ratio(row, b) for b in chosen])) for row in order]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _cells(row: Row, ratios: Sequence[float | None]) -> list[str]:
    return [
        row.contestant,
        row.precision,
        seconds_text(row.seconds) if row.fine else row.status,
        *("" if r is None else f"{r:.3g}" for r in ratios),
        number(row.error, ".0e"),
        seconds_text(row.prepare_s),
        "" if math.isnan(row.memory_mb) else f"{row.memory_mb:.0f} MB",
        f"{row.processes} x {row.threads}",
        row.options,
    ]


def _line(cells: Iterable[Any]) -> str:
    return "| " + " | ".join(str(c).replace("|", "/") for c in cells) + " |"


def header(title: str, text: str, rows: Sequence[Row], command: str) -> str:
    """Title, what was asked, and where it was measured."""
    where = rows[0].where
    loads = sorted(row.where["load"] for row in rows)
    versions = sorted({f"{r.contestant.split(',')[0]} {r.version}" for r in rows if r.version})
    jax = f"jax {where['jax']}"
    return (
        f"# {title}\n\n{text}\n\nWritten by `{command}` at commit {where['commit']}: "
        f"{where['machine']}, {where['cores']} cores, load {loads[0]} to {loads[-1]}; "
        f"Python {where['python']}, {', '.join([jax, *versions])}.\n"
        "*x*: times as long as. Error: largest, relative to the largest value, against a solution "
        "in extended precision.\n\n"
    )


def save(name: str, title: str, text: str, rows: Sequence[Row], body: str | None = None,
         baselines: Sequence[tuple[str, str]] = (("xbar", "float64"), ("xbar", "float32")),
         quick: bool = False) -> None:  # fmt: skip
    """Write results/<name>.csv and .md; quick runs go to results/quick/, which git ignores."""
    folder = RESULTS / "quick" if quick else RESULTS
    write_csv(folder / f"{name}.csv", rows)
    command = f"python -m benchmarks.speed {name}" + (" --quick" if quick else "")
    body = table(rows, baselines) if body is None else body
    (folder / f"{name}.md").write_text(header(title, text, rows, command) + body)
