"""How right and how fast arrays are whose lines end, float, break and touch in any way.

    python -m benchmarks.lines [cases] [steps] [opens] [chips]

Without names, all parts. Each replaces its rows of results/lines.csv; results/lines.md is written
from all of them. The tests' cases and their oracle, nodal analysis of every node and branch by
sparse LU, refined in extended precision, are those of `tests/line_cases.py`. `cases` and `steps`
use `CG(rtol=1e-13)` and the default tolerance; everything is in float64.
"""

import csv
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

import xbar as xb
from benchmarks.speed.machine import description
from xbar.circuit import BridgedLines, OpenBitLine, OpenWordLine, draw_line_faults
from xbar.sensitivity import every_open_segment, response

RESULTS = Path(__file__).parents[1] / "results"
TESTS = Path(__file__).parents[2] / "tests"
COLUMNS = ("part", "what", "figure", "unit", "machine")
ROWS, COLS = 65, 100
CHIPS = 1000
REPEATS = 5

Row = tuple[str, str, str]  # what, figure, unit


def main(names: list[str]) -> None:
    """Measure the parts, then write the table."""
    jax.config.update("jax_enable_x64", True)
    file, rows = RESULTS / "lines.csv", []
    if file.exists():
        with file.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
    for name in names or list(PARTS):
        rows = [row for row in rows if row["part"] != name]
        for what, figure, unit in PARTS[name]():
            values = (name, what, figure, unit, machine())
            rows.append(dict(zip(COLUMNS, values, strict=True)))
            print(name, what, figure, unit, flush=True)
    rows.sort(key=lambda row: list(PARTS).index(row["part"]))
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows([row[name] for name in COLUMNS] for row in rows)
    (RESULTS / "lines.md").write_text(table(rows), encoding="utf-8")


def machine() -> str:
    """Processor, cores and load."""
    about = description()
    return f"{about['machine']}, {about['cores']} cores, load {about['load']}, jax {about['jax']}"


def table(rows: list[dict[str, str]]) -> str:
    """All figures as a table in Markdown."""
    lines = ["# Arrays with any lines", "", "| what | figure |", "|---|---|"]
    lines += [f"| {row['what']} | {row['figure']} {row['unit']} |" for row in rows]
    machines = sorted({row["machine"] for row in rows})
    return "\n".join([*lines, "", f"float64. {'; '.join(machines)}.", ""])


def cases() -> Iterator[Row]:
    """The tests' circuits against nodal analysis."""
    sys.path.insert(0, str(TESTS))
    from line_cases import differences, exact  # pyright: ignore[reportMissingImports]
    from test_lines_solve import CASES, SOLVER  # pyright: ignore[reportMissingImports]

    for name, case in CASES.items():
        array = case.array(max_open=4) if case.word_open is not None else case.array()
        worst = differences(xb.solve(array, case.bias(), SOLVER), exact(case))
        yield (
            f"{name}: largest error of any voltage, current or power",
            f"{max(worst.values()):.0e}",
            "",
        )


def wires(**more: Any) -> xb.Wires:
    """Segments of 1 ohm."""
    return xb.Wires(1.0, 1.0, 50.0, 10.0, **more)


def cells() -> np.ndarray:
    """10 kohm to 1 Mohm, log-uniform."""
    rng = np.random.default_rng(0)
    return np.exp(rng.uniform(np.log(1e-6), np.log(1e-4), (ROWS, COLS)))


def warm(call: Callable[[], Any]) -> tuple[float, float]:
    """First call and least processor time of the next ones [s]."""
    times = []
    for _ in range(1 + REPEATS):
        start = time.process_time()
        jax.block_until_ready(call())
        times.append(time.process_time() - start)
    return times[0], min(times[1:])


def steps() -> Iterator[Row]:
    """Two-ended and broken arrays beside a plain one, one input."""
    g, bias = cells(), xb.Bias(np.random.default_rng(1).uniform(0, 0.2, ROWS))
    word, bit = np.zeros((2, ROWS, COLS), bool)
    word[10, 40] = word[33, 80] = bit[20, 7] = True
    arrays = {
        "plain": xb.Crossbar(g, wires()),
        "driven at both ends": xb.Crossbar(g, wires(source_far=50.0, sense_far=10.0)),
        "three broken segments": xb.Crossbar(g, wires(), xb.LineFaults(word, bit)),
    }
    for name, array in arrays.items():
        first, least = warm(lambda array=array: xb.solve(array, bias, xb.CG()).i_out)
        count = int(xb.solve(array, bias, xb.CG()).steps)
        yield f"{ROWS}x{COLS}, {name}: steps of CG", str(count), ""
        yield f"{ROWS}x{COLS}, {name}: warm call", f"{1e3 * least:.1f}", "ms of processor"
        yield f"{ROWS}x{COLS}, {name}: first call", f"{first:.0f}", "s of processor"


def opens() -> Iterator[Row]:
    """Every single broken segment of an array, and one of them solved anew."""
    array, v = xb.Crossbar(cells(), wires()), np.random.default_rng(1).uniform(0, 0.2, ROWS)
    first, least = warm(lambda: every_open_segment(array, v).bit)
    count = f"every one of {2 * ROWS * COLS:,} broken segments of {ROWS}x{COLS}, one input"
    yield f"{count}: first call", f"{first:.1f}", "s of processor"
    yield f"{count}: warm call", f"{least:.2f}", "s of processor"
    known = response(array)
    _, least = warm(lambda: every_open_segment(array, v, known=known).bit)
    yield f"{count}: with the response known", f"{least:.2f}", "s of processor"


def chips() -> Iterator[Row]:
    """Chips of random line faults in one compiled call."""
    rows = cols = 16
    g = cells()[:rows, :cols]
    defects = [
        OpenWordLine(rate=0.01, max_open=16),
        OpenBitLine(rate=0.01, max_open=16),
        BridgedLines("bit", count=1, rate=0.5, r=20.0),
    ]

    @jax.jit
    @jax.vmap
    def one(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        faults = draw_line_faults(defects, rows, cols, key)
        found = xb.solve(xb.Crossbar(g, wires(), faults), np.full(rows, 0.2), xb.CG(), throw=False)
        right = (found.result == xb.RESULTS.successful) | (found.result == xb.RESULTS.floating)
        return found.i_out, right

    keys = jax.random.split(jax.random.key(0), CHIPS)
    first, least = warm(lambda: one(keys)[0])
    right = int(np.sum(np.asarray(one(keys)[1])))
    what = f"{CHIPS:,} chips of {rows}x{cols}, each its own faults, one call"
    yield f"{what}: first call", f"{first:.0f}", "s of processor"
    yield f"{what}: warm call", f"{least:.2f}", "s of processor"
    yield f"{what}: solved within tolerance", str(right), ""


PARTS = {"cases": cases, "steps": steps, "opens": opens, "chips": chips}

if __name__ == "__main__":
    main(sys.argv[1:])
