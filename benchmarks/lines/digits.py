"""What broken and bridged lines do to the digits network, beside stuck rows and columns.

    python -m benchmarks.lines.digits [--seeds 10] [--out runs/lines_digits]

One study of the 64-50-20-8-10 network: in each of its arrays one line, and a fifth of its lines,
stuck, broken or bridged, on the same places. The study goes on after a stop. Its accuracies go to
benchmarks/results/lines_digits.csv, the figure to docs/figures/lines_digits.png, and the tables of
docs/lines.md to the screen.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from xbar.io.runs import load_run
from xbar.plots.style import PALETTE, new_figure, plain, save
from xbar.run import (
    CorrectorSettings,
    DefectSettings,
    RunSettings,
    StoreSettings,
    Study,
    run_study,
)

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "benchmarks" / "results" / "lines_digits.csv"
FIGURE = ROOT / "docs" / "figures" / "lines_digits.png"
SIZES = (64, 50, 20, 8, 10)
FIFTH = 0.2
CORRECTOR = "corrector 14"
STUCK = (("pair", "on"), ("pair", "off"))
# Of each kind of line: what may befall it, and in words.
FAULTS = {
    "row": (*STUCK, ("open-word-lines", "open"), ("bridged-word-lines", "0")),
    "column": (*STUCK, ("open-bit-lines", "open"), ("bridged-bit-lines", "0")),
}
WORDS = ("stuck-on", "stuck-off", "broken", "bridged")


def one_line(shape: str, layer: int) -> float:
    """The share of an array that one of its rows (the bias row is one) or columns takes."""
    lines = SIZES[layer] + 1 if shape == "row" else SIZES[layer + 1]
    return 1 / lines


def study_of(seeds: int) -> Study:
    """Every layer, one line and a fifth of them, every fault, on the same places."""
    defects = []
    for layer in range(len(SIZES) - 1):
        for shape, faults in FAULTS.items():
            coverage = (one_line(shape, layer), FIFTH)
            lines = tuple(fault for fault, _ in faults if fault != "pair")
            stuck = DefectSettings(shape, coverage, layer, "pair", ("on", "off"))
            defects += [stuck, DefectSettings(shape, coverage, layer, lines)]
    # One chunk for each layer: its arrays then share one program.
    per_layer = seeds * sum(2 * len(faults) for faults in FAULTS.values())
    return Study(
        name="Broken and bridged lines beside stuck ones",
        seeds=seeds,
        defects=tuple(defects),
        correctors=(CorrectorSettings((14,)),),
        store=StoreSettings("none"),
        run=RunSettings(chunk=per_layer),
    )


def accuracies(out: Path) -> list[dict]:
    """A row for each circuit, from the finished run."""
    run = load_run(out)
    table, found = run.table, run.read("accuracy")
    rows = []
    for k in range(run.circuits):
        shape, layer = str(table["shape"][k]), int(table["layer"][k])
        fault = FAULTS[shape].index((str(table["fault"][k]), str(table["stuck"][k])))
        few = np.isclose(table["coverage"][k], one_line(shape, layer))
        row = {
            "seed": int(table["seed"][k]),
            "layer": layer,
            "lines": "rows" if shape == "row" else "columns",
            "share": "one line" if few else "a fifth",
            "fault": WORDS[fault],
            "pairs_hit": int(table["pairs_hit"][k]),
            "status": int(table["status"][k]),
            "healthy": float(found["healthy"][table["healthy"][k]]),
            "defective": float(found["defective"][k]),
            "corrected": float(found[CORRECTOR][k]),
        }
        rows.append({n: round(v, 6) if isinstance(v, float) else v for n, v in row.items()})
    return rows


def points(rows: list[dict], column: str, **where: object) -> tuple[float, float]:
    """Mean loss of accuracy over seeds against the healthy circuit, and its standard error [%]."""
    chosen = [row for row in rows if all(row[n] == value for n, value in where.items())]
    lost = 100 * np.array([row["healthy"] - row[column] for row in chosen])
    return float(lost.mean()), float(lost.std(ddof=min(1, len(lost) - 1)) / np.sqrt(len(lost)))


def draw(rows: list[dict]) -> None:
    figure = new_figure(5.2)
    grid = figure.subplots(2, 2, sharex=True, sharey="row")
    layers = np.arange(len(SIZES) - 1)
    for down, share in enumerate(("one line", "a fifth")):
        for right, lines in enumerate(("rows", "columns")):
            axes = grid[down, right]
            for k, fault in enumerate(WORDS):
                at = layers + 0.15 * (k - 1.5)
                for column, filled in (("defective", True), ("corrected", False)):
                    found = [
                        points(rows, column, share=share, lines=lines, fault=fault, layer=int(n))
                        for n in layers
                    ]
                    mean, error = np.transpose(found)
                    face = PALETTE[k] if filled else "white"
                    axes.errorbar(
                        at, mean, error, ls="", marker="o", ms=4, mfc=face, color=PALETTE[k]
                    )
                axes.plot([], [], "o", color=PALETTE[k], label=fault)
            axes.axhline(0, color="0.8", lw=0.8, zorder=0)
            axes.set_title(f"{share} of the {lines}" if down else f"one of the {lines}", fontsize=9)
            axes.set_xticks(layers)
            plain(axes)
        grid[down, 0].set_ylabel("accuracy lost [points]")
    for axes in grid[1]:
        axes.set_xlabel("broken layer")
    grid[0, 0].plot([], [], "o", color="0.3", mfc="white", label="corrected (hollow)")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    FIGURE.parent.mkdir(exist_ok=True)
    save(figure, FIGURE)


def show(rows: list[dict]) -> None:
    """The tables of docs/lines.md."""
    for share in ("one line", "a fifth"):
        print(f"\n| {share} | layer 0 | layer 1 | layer 2 | layer 3 |\n|---|--:|--:|--:|--:|")
        for lines in ("rows", "columns"):
            for fault in WORDS:
                cells = []
                for layer in range(len(SIZES) - 1):
                    where = {"share": share, "lines": lines, "fault": fault, "layer": layer}
                    (raw, error), (left, _) = (
                        points(rows, column, **where) for column in ("defective", "corrected")
                    )
                    cells.append(f"{raw:.1f} ± {error:.1f} → {left:.1f}")
                print(f"| {lines} {fault} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "lines_digits")
    options = parser.parse_args()
    run_study(study_of(options.seeds), options.out)
    rows = accuracies(options.out)
    TABLE.parent.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(TABLE, index=False)
    draw(rows)
    show(rows)


if __name__ == "__main__":
    main()
