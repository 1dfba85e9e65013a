"""The table and the figure of `defects.py`'s results.

    python benchmarks/networks/defects_table.py benchmarks/results/defects.csv

prints a table in Markdown, and draws a .png beside the file.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats


def cell(values: np.ndarray) -> str:
    """Mean and half the 95 % interval over seeds; of one seed, its value."""
    if len(values) == 1:
        return f"{values[0]:.1f}"
    half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    return f"{values.mean():.1f} ± {half:.1f}"


def main() -> None:
    """Print and draw."""
    path = Path(sys.argv[1])
    found = pd.read_csv(path)
    methods = list(dict.fromkeys(found["method"]))
    cases = found.groupby(["shape", "share", "wire_ohm"], sort=True)
    print("| stuck | share | wires [ohm] | seeds | " + " | ".join(methods) + " |")
    print("|---|---|---|---|" + "---|" * len(methods))
    for (shape, share, ohm), rows in cases:
        by = [cell(rows[rows["method"] == m]["accuracy"].to_numpy()) for m in methods]
        print(
            f"| {shape} | {share:.0%} | {ohm:g} | {rows['seed'].nunique()} | "
            + " | ".join(by)
            + " |"
        )
    spent = found.groupby("method")["cpu_s"].median()
    print("\n| | " + " | ".join(methods) + " |\n|---|" + "---|" * len(methods))
    print("| processor time [s] | " + " | ".join(f"{spent[m]:.1f}" for m in methods) + " |")
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    panels = {
        "share": found[(found["shape"] == "scattered") & (found["wire_ohm"] == 1)],
        "wire_ohm": found[(found["shape"] == "scattered") & np.isclose(found["share"], 0.1)],
    }
    names = {"share": "share of stuck cells, at 1 Ω", "wire_ohm": "wire segment [Ω], 10 % stuck"}
    for axis, (column, rows) in zip(axes, panels.items(), strict=True):
        for method in methods:
            means = rows[rows["method"] == method].groupby(column)["accuracy"].mean()
            axis.plot(means.index, means, marker="o", label=method)
        axis.set_xlabel(names[column])
    axes[0].set_ylabel("accuracy [%]")
    axes[1].legend(fontsize=7)
    figure.savefig(path.with_suffix(".png"), dpi=150)


if __name__ == "__main__":
    main()
