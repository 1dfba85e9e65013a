"""(d) Sizes 16 to 2048 square, one input, 1 Ohm: time and memory."""

import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.peers.case import Case
from benchmarks.peers.client import MEMORY_SHARE, FailedError, Process, cores, total_memory
from benchmarks.speed import figures
from benchmarks.speed.contest import (
    Effort,
    Entry,
    called_directly,
    contest,
    environment_of,
    everyone,
)
from benchmarks.speed.problems import arrays, case_of
from benchmarks.speed.rows import Row, save, seconds_text, table

TITLE = "Sizes"
TEXT = """\
Column currents of square arrays for one input, 1 Ohm wires. Memory: peak of a fresh process above
what it held before the solve (imports done, inputs there), everything included up to the first
result: compiling, ordering, analysis, factors. *first call* is the part of it that comes after
compiling, ordering and analysis. Up to 256x256 the contestants alternate; larger ones run one by
one, as their factors together would not fit into memory. Peers choose their options anew for each
size; their memory is that of the chosen ones (ngspice's is not known). A peer is not run at a size
where, by its time and memory one size before, it would not end. *called directly*: `xb.solve` on
known numbers, outside of `jit`, where nothing behind the first method is compiled unless it is
needed; *xbar* is the same call compiled by the caller."""
SIZES = (16, 32, 64, 128, 256, 512, 1024, 2048)
TOGETHER = 256
GROWTH_TIME, GROWTH_MEMORY = 8.0, 4.5  # of sparse factors when the size doubles, n^3 and n^2 log n
LIMIT_S, LIMIT_QUICK_S = 60.0, 3.0  # a call's predicted time above which it is not run


def run(quick: bool) -> None:
    effort, rows = Effort.of(quick), []
    for size in SIZES[:4] if quick else SIZES:
        case = case_of(arrays(4 if size <= TOGETHER else 2, size, size), inputs=1)
        everybody = [called_directly(), *everyone("solve")]
        limit = LIMIT_QUICK_S if quick else LIMIT_S
        entries, skipped = _worth(everybody, rows, size, limit)
        rows += skipped
        groups = [entries] if size <= TOGETHER else [[e] for e in entries]
        for group in groups:
            few = effort if size <= TOGETHER // 2 else effort.large()
            new = contest("d", _name(size), "solve", case, group, few)
            for entry, row in zip(group, new, strict=True):
                _measure_memory(row, entry, case, effort)
            rows += new
    text = TEXT + "\n\n" + figures.reference_to("sizes", _caption(rows))
    _draw(rows, quick)
    baselines = (("xbar", "float64"), ("xbar", "float32"))
    body = _memory(rows) + table(rows, baselines)
    save("sizes", TITLE, text, rows, body, quick=quick)


def _memory(rows: Sequence[Row]) -> str:
    """Memory over sizes, one line per contestant."""
    names = list(dict.fromkeys(row.case for row in rows))
    lines = [
        "Memory and, in brackets, that of the first call [MB]:\n",
        "| contestant | precision | " + " | ".join(n.partition(",")[0] for n in names) + " |",
        "|---" * (2 + len(names)) + "|",
    ]
    for key in dict.fromkeys((r.contestant, r.precision) for r in rows):
        mine = {r.case: r for r in rows if (r.contestant, r.precision) == key}
        cells = []
        for name in names:
            row = mine.get(name)
            known = row is not None and row.fine and not math.isnan(row.memory_mb)
            cells.append(f"{row.memory_mb:.0f} ({row.memory_call_mb:.0f})" if known else "")
        lines.append("| " + " | ".join([*key, *cells]) + " |")
    return "\n".join(lines) + "\n\n"


def _name(size: int) -> str:
    return f"{size}x{size}, 1 Ohm"


def _worth(
    entries: Sequence[Entry], rows: Sequence[Row], size: int, limit_s: float
) -> tuple[list[Entry], list[Row]]:
    """Entries that should end at this size, and rows for those that are not run."""
    worth, skipped = [], []
    for entry in entries:
        mine = [r for r in rows if (r.contestant, r.precision) == (entry.name, entry.precision)]
        why = "" if entry.contestant == "xbar" else _why_not(mine, limit_s)
        if not why:
            worth.append(entry)
            continue
        skipped.append(Row("d", _name(size), "solve", entry.name, entry.precision))
        skipped[-1].bound, skipped[-1].status = entry.allowed, why
    return worth, skipped


def _why_not(mine: Sequence[Row], limit_s: float) -> str:
    """Why a contestant is not run at the next size; empty where it is."""
    if not mine:
        return ""
    last = mine[-1]
    if last.status.startswith("not run"):
        return last.status
    if not last.fine:
        return f"not run: {last.case} {last.status}"
    growth = GROWTH_TIME
    if len(mine) > 1 and mine[-2].fine:
        growth = max(growth, last.seconds / mine[-2].seconds)
    memory = 0 if math.isnan(last.memory_mb) else GROWTH_MEMORY * last.memory_mb * 2**20
    if growth * last.seconds <= limit_s and memory <= MEMORY_SHARE * total_memory():
        return ""
    took = f"{seconds_text(last.seconds)} and {last.memory_mb / 1024:.2g} GB"
    return f"not run: {last.case} took {took}"


def _measure_memory(row: Row, entry: Entry, case: Case, effort: Effort) -> None:
    """Memory of a fresh process with the options that were chosen, without the search for them."""
    if row.option == "" or not row.fine:
        return
    settings = {**entry.settings, "precision": entry.precision, "threads": len(cores()),
                "tuning_s": 0.0, "option": row.option}  # fmt: skip
    with TemporaryDirectory(prefix="xbar-bench-") as folder:
        path = Path(folder) / "case.npz"
        case.save(path)
        try:
            environment = environment_of(entry.precision, 1)
            with Process(entry.contestant, cores(), environment) as process:
                found = process.ask(
                    effort.prepare_s, do="prepare", contestant=entry.contestant, op="solve",
                    case=str(path), settings=settings,
                )  # fmt: skip
        except FailedError as failure:
            row.extra, row.memory_mb = f"memory: {failure}", math.nan
            return
    row.memory_mb, row.memory_call_mb = found["memory_mb"], found["memory_call_mb"]


def _size_of(row: Row) -> float:
    return float(row.case.partition("x")[0])


def _draw(rows: Sequence[Row], quick: bool) -> None:
    figure, (left, right) = figures.new(2)
    figures.lines(left, rows, _size_of, lambda r: r.seconds)
    figures.lines(right, rows, _size_of, lambda r: r.memory_mb)
    for axes, y in ((left, "time of one solve [s]"), (right, "memory above the process [MB]")):
        ticks = sorted({int(_size_of(row)) for row in rows})
        axes.set_xticks(ticks, [str(t) for t in ticks])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("rows = columns")
        axes.set_ylabel(y)
    figures.finish(figure, left, "sizes", quick)


def _caption(rows: Sequence[Row]) -> str:
    """The finding at the largest size that a peer reached."""
    peers = [r for r in rows if r.fine and not r.contestant.startswith("xbar")]
    if not peers:
        return "No peer gave a result."
    largest = max(map(_size_of, peers))
    best = min((r for r in peers if _size_of(r) == largest), key=lambda r: r.seconds)
    ours = [r for r in rows if r.fine and r.case == best.case and r.contestant == "xbar"
            and r.precision == "float64"]  # fmt: skip
    if not ours:
        return f"At {best.case} xbar gave no result."
    return (
        f"At {best.case}, the largest size that a peer reached, xbar takes "
        f"{seconds_text(ours[0].seconds)} and {ours[0].memory_mb:.0f} MB, the fastest peer "
        f"({best.contestant}) {seconds_text(best.seconds)} and {best.memory_mb:.0f} MB, both in "
        f"float64: {best.seconds / ours[0].seconds:.3g} times as long."
    )
