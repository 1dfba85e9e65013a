"""Random legal circuits against elimination in extended precision, as a table for the docs.

Run `python tests/fuzz_table.py` (about ten minutes on two cores, most of it the oracle's); it
writes docs/accuracy.md. The circuits and the oracle are those of test_fuzz.py, in larger numbers.
"""

import sys
from collections import defaultdict
from pathlib import Path

import jax
import numpy as np
import test_fuzz as checks

SHAPES = ((3, 5), (8, 8), (1, 24), (24, 1), (16, 10))
COUNT = 24  # of each kind and shape
OF_DERIVATIVES = ((4, 6), 12)
OUT = Path(__file__).parents[1] / "docs" / "accuracy.md"

SIZES = ", ".join(f"{rows}x{cols}" for rows, cols in SHAPES)

HEAD = f"""# How right the answers are

Random legal circuits of 19 kinds, from everyday arrays to what is merely legal (cells of 0 to 1 S,
wires of 0 to 1 Mohm, lines and cells open, values over fifteen decades), against elimination in
extended precision that shares no code with xbar (`tests/fuzz.py`). Of each kind {COUNT} circuits of
each of the sizes {SIZES}, solved by the default solver.

- *Flagged*: the result says that the tolerance was missed, though an answer exists.
- *Worst current, worst node voltage*: of the circuits that claim success, relative to the largest
  current (of cells, lines and outputs) and to the largest drive.
- *Worst derivative*: of a weighted sum of the output currents along a random direction of all
  logarithms (cells, wires, drives), by reverse mode, relative to the largest derivative by one
  logarithm, of {OF_DERIVATIVES[1]} circuits of {OF_DERIVATIVES[0][0]}x{OF_DERIVATIVES[0][1]} of
  each kind; the oracle's own differences leave 1e-10.

`python tests/fuzz_table.py` measures this again; `tests/test_fuzz.py` holds it: a few hundred
circuits by default, thousands with `-m slow`.
"""


def of_currents_and_voltages(dtype: type) -> dict[str, list[np.ndarray]]:
    """Per kind of circuit: whether it claims success, its error of currents, that of voltages."""
    rows = defaultdict(list)
    for shape in SHAPES:
        names, found, stacked = checks.drawn(*shape, COUNT, dtype)
        result = checks.judged(checks.solved(None)(*stacked), found)
        for name, row in zip(names, result, strict=True):
            rows[name].append(row)
    return rows


def of_derivatives(dtype: type) -> dict[str, float]:
    """Per kind of circuit: the worst error of a derivative."""
    shape, count = OF_DERIVATIVES
    names, found, stacked = checks.drawn(*shape, count, dtype)
    errors = checks.derivative_errors(found, stacked, dtype)
    worst = defaultdict(float)
    for name, error in zip(names, errors, strict=True):
        worst[name] = max(worst[name], error)
    return worst


def table(dtype: type) -> str:
    """Of one precision, in Markdown."""
    kinds, slopes = of_currents_and_voltages(dtype), of_derivatives(dtype)
    lines = [
        f"## {np.dtype(dtype).name}",
        "",
        "| kind | circuits | flagged | worst current | worst node voltage | worst derivative |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, judged in [
        *kinds.items(),
        ("**all**", [row for rows in kinds.values() for row in rows]),
    ]:
        found = np.array(judged)
        claimed = found[found[:, 0] == 1]
        worst = claimed[:, 1:].max(axis=0) if len(claimed) else (np.nan, np.nan)
        slope = slopes[name] if name in slopes else max(slopes.values())
        lines.append(
            f"| {name.replace('_', ' ')} | {len(found)} | {len(found) - len(claimed)} |"
            f" {worst[0]:.1e} | {worst[1]:.1e} | {slope:.1e} |"
        )
    return "\n".join(lines)


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    OUT.write_text("\n".join([HEAD, table(np.float64), "", table(np.float32), ""]))
    sys.stdout.write(f"{OUT.name} written\n")


if __name__ == "__main__":
    main()
