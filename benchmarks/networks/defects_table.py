"""The tables and the figure of `defects.py`'s results.

    python benchmarks/networks/defects_table.py benchmarks/results/defects_digits.csv

prints tables in Markdown, and draws a .png beside the file where there are several shares.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from xbar.statistics import Interval, paired_interval, share_bounds, t_interval

CASE = ["shape", "share", "wire_ohm"]
EXACT, IDEAL = "this chip, exact", "this chip, ideal"
COLOURS = {
    "healthy": "#2e86ab",
    "none": "#c0392b",
    "corrector 110": "#d9b38c",
    "corrector 304": "#d98e04",
    "corrector 304, converged": "#8c564b",
    "noise": "#8a7fb5",
    "many chips": "#7f8c1f",
    IDEAL: "#17a2b8",
    EXACT: "#2a9d4a",
}


def over_seeds(rows: pd.DataFrame) -> Interval:
    """Mean share and its 95 % interval over seeds."""
    return t_interval(rows["accuracy"] / 100)


def ends(found: Interval) -> tuple[float, float]:
    """Both ends of an interval, within 0 and 100 % [%]."""
    low, high = share_bounds(found)
    return 100 * low, 100 * high


def cell(rows: pd.DataFrame) -> str:
    """Mean and 95 % interval over seeds; of one seed, its value."""
    found = over_seeds(rows)
    if found.n == 1:
        return f"{100 * found.mean:.1f}"
    low, high = ends(found)
    return f"{100 * found.mean:.1f} ({low:.0f} to {high:.0f})"


def gain(rows: pd.DataFrame) -> str:
    """What the exact circuit gains on the same chips, and its 95 % interval [points]."""
    by = rows.pivot(index="seed", columns="method", values="accuracy")
    if len(by) == 1:
        return f"{(by[EXACT] - by[IDEAL]).iloc[0]:+.1f}"
    found = paired_interval(by[EXACT], by[IDEAL])
    return f"{found.mean:+.1f} ± {found.half_width:.1f}"


def table(found: pd.DataFrame) -> None:
    """Print accuracies by case and method."""
    methods = list(dict.fromkeys(found["method"]))
    heads = ["stuck", "share", "wires [ohm]", "chips", *methods, "exact - ideal [points]"]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    order = found.assign(first=found["shape"] != "scattered").sort_values(["first", *CASE])
    for _, rows in order.groupby(CASE, sort=False):
        shape, share, ohm = rows[CASE].iloc[0]
        case = [shape, f"{share:.0%}", f"{ohm:g}", str(rows["seed"].nunique())]
        cells = [cell(rows[rows["method"] == method]) for method in methods]
        print("| " + " | ".join([*case, *cells, gain(rows) if ohm else "0"]) + " |")
    spent = found.groupby("method")["cpu_s"].median()
    print("\n| | " + " | ".join(methods) + " |\n" + "|---" * (len(methods) + 1) + "|")
    print("| processor time [s] | " + " | ".join(f"{spent[m]:.2f}" for m in methods) + " |")


def draw(found: pd.DataFrame, path: Path) -> None:
    """Accuracy by share of stuck cells, and by the resistance of the wires."""
    scattered = found[found["shape"] == "scattered"]
    panels = {
        "share": scattered[scattered["wire_ohm"] == 1].assign(share=lambda t: 100 * t["share"]),
        "wire_ohm": scattered[np.isclose(scattered["share"], 0.1)],
    }
    names = {
        "share": "stuck cells, scattered [%], wires of 1 Ω a segment",
        "wire_ohm": "wire segment [Ω], 10 % of cells stuck",
    }
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), sharey=True, layout="constrained")
    for axis, (column, rows) in zip(axes, panels.items(), strict=True):
        values = sorted(rows[column].unique())
        place = {value: number for number, value in enumerate(values)}
        for number, (method, colour) in enumerate(COLOURS.items()):
            own = rows[rows["method"] == method]
            each = [over_seeds(part) for _, part in own.groupby(column)]
            means = np.array([100 * one.mean for one in each])
            low, high = np.transpose([ends(one) for one in each])
            at = [place[v] + 0.05 * (number - 4) for v in sorted(own[column].unique())]
            reach = np.nan_to_num([means - low, high - means])
            looks = {"color": colour, "marker": "o", "markersize": 4, "capsize": 2}
            axis.errorbar(at, means, yerr=reach, label=method, linewidth=1.3, **looks)
        axis.set_xticks(range(len(values)), [f"{value:g}" for value in values])
        axis.set_xlabel(names[column])
        axis.grid(axis="y", alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("test accuracy [%], mean and 95 % interval")
    axes[0].set_ylim(0, 100)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print and draw."""
    path = Path(sys.argv[1])
    found = pd.read_csv(path)
    table(found)
    if found["share"].nunique() > 1:
        draw(found, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
