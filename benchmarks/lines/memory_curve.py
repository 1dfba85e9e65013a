"""Read margin of a passive array against its size: the published closed form, and circuits solved.

    python -m benchmarks.lines.memory_curve [--sizes 2 4 8 ...]

One cell is read through a pull-up resistor while all other lines float and all other cells are on
(`xbar.memory.pull_up_margin`, which has the equation of Flocke and Noll, ESSCIRC 2007). Writes
benchmarks/results/memory_margin.csv and docs/figures/memory_margin.png.
"""

import argparse
import time
from pathlib import Path

import jax
import numpy as np
import pandas as pd

import xbar as xb
from xbar import cells, memory
from xbar.plots.style import COLOURS, PALETTE, new_figure, plain, save

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "benchmarks" / "results" / "memory_margin.csv"
FIGURE = ROOT / "docs" / "figures" / "memory_margin.png"
SIZES = (2, 4, 8, 16, 32, 64, 128)
WITH_SELECTORS = (2, 8, 32)  # Newton steps on floating lines: costly to compile
R_ON, R_OFF, R_PULL_UP = 1e4, 1e6, 1e4  # ohm
SEGMENT = 10.0  # ohm per segment of either line
SUPPLY = 1.0  # volt; only selectors look at it
SELECTOR = (1e-9, 0.06)  # A, V
SOLVER = xb.CG(rtol=1e-12)
COLUMNS = ("size", "closed form", "no wires", "wires", "selectors")


def closed_form(size: int) -> float:
    """Swing over the supply of a square array without wires, all other cells on."""
    sneak = R_ON * (2 / (size - 1) + 1 / (size - 1) ** 2)

    def sensed(r: float) -> float:
        return R_PULL_UP / (R_PULL_UP + r * sneak / (r + sneak))

    return sensed(R_ON) - sensed(R_OFF)


def swing(size: int, wires: xb.Wires | None = None, selectors: bool = False) -> float:
    """The same of the circuit, solved."""

    def law(g: jax.Array) -> cells.Series:
        return cells.Series(cells.Ohmic(g), cells.Selector(*SELECTOR))

    return float(
        memory.pull_up_margin(
            size,
            size,
            1 / R_ON,
            1 / R_OFF,
            R_PULL_UP,
            wires,
            v=SUPPLY,
            law=law if selectors else None,
            solver=None if selectors else SOLVER,
        )
    )


def draw(rows: list[dict[str, float]]) -> None:
    figure = new_figure(3.4)
    axes = figure.add_subplot()
    size = [row["size"] for row in rows]
    every = np.unique(np.round(np.geomspace(min(size), max(size), 200)))
    curve = [100 * closed_form(int(n)) for n in every]
    axes.plot(every, curve, color=COLOURS["software"], label="closed form (Flocke, Noll 2007)")
    segment = f"{SEGMENT:g} ohm per segment"
    for name, label, marker, colour in (
        ("no wires", "solved, no wires", "o", COLOURS["healthy"]),
        ("wires", f"solved, {segment}", "s", COLOURS["defective"]),
        ("selectors", "solved, a selector in each cell", "^", PALETTE[0]),
    ):
        volts = [100 * row[name] for row in rows]
        axes.plot(size, volts, ls="", marker=marker, ms=4.5, color=colour, label=label)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(size, [f"{n:g}" for n in size])
    axes.minorticks_off()
    axes.set_xlabel("word lines, and bit lines")
    axes.set_ylabel("swing of the sensed voltage\n[% of the supply]")
    axes.legend(frameon=False, fontsize=8)
    plain(axes)
    save(figure, FIGURE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    sizes = parser.parse_args().sizes
    jax.config.update("jax_enable_x64", True)
    wires, rows = xb.Wires(SEGMENT, SEGMENT), []
    for n in sizes:
        start = time.process_time()
        selected = swing(n, selectors=True) if n in WITH_SELECTORS else np.nan
        values = (n, closed_form(n), swing(n), swing(n, wires), selected)
        rows.append(dict(zip(COLUMNS, values, strict=True)))
        found = " | ".join(f"{value:.3g}" for value in values[1:])
        off = abs(values[2] - values[1])
        spent = time.process_time() - start
        print(f"| {n}x{n} | {found} |  off by {off:.0e}, {spent:.0f} s of processor", flush=True)
        pd.DataFrame(rows).to_csv(TABLE, index=False)
    draw(rows)


if __name__ == "__main__":
    main()
