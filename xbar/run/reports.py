"""What any study shows when it is done: a summary, figures, and a report, from its table alone."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from xbar.io.store import read_results, write_text
from xbar.run.folder import RunFolder
from xbar.run.report import Shown, points, write_report
from xbar.run.tables import (
    Axis,
    Columns,
    along,
    as_csv,
    axes_of,
    grid,
    headline,
    interval,
    pairs,
    quantities,
)
from xbar.run.toml import write_study

if TYPE_CHECKING:
    from xbar.run.engine import Computed

MOST_MAPS = 10  # of the report


def finish(done: "Computed") -> dict[str, Any]:
    """Write circuits.csv, the figures and the report of a study.

    Args:
        done: the study, its results.h5 in place.

    Returns:
        The summary.
    """
    folder, study = done.folder.path, done.plan.study
    with done.stages.stage("write tables, figures and report"):
        arrays, attributes = read_results(folder / "results.h5", ("circuits", "accuracy"))
        summary = {
            "name": study.name,
            **headline(arrays),
            "seed": study.seed,
            "seeds": study.seeds,
            "network": "-".join(map(str, done.plan.sizes)),
            "data": done.given.dataset.name,
            "test_images": test_images(done),
            "test_note": done.given.test_note,
        }
        write_text(folder / "circuits.csv", table_csv(arrays))
        figures = draw(done, arrays)
        summary["figures"] = [figure.file for figure in figures]
    summary |= done.times()
    context = {
        "commit": attributes["commit"],
        "table": means(arrays),
        "file": write_study(study),
    }
    write_report(folder, "study.html.j2", figures, summary, done.settings, **context)
    return summary


def test_images(done: "Computed") -> int:
    """How many images test each circuit."""
    arrays, _ = read_results(done.folder.path / "results.h5", ("data/test",))
    return int(arrays["data"]["test"].shape[-1])


def table_csv(arrays: Mapping[str, Any]) -> str:
    """The table of circuits as text, a line for each."""
    found = {f"accuracy {name}": values for name, values in quantities(arrays).items()}
    return as_csv(dict(arrays["circuits"]) | found)


def means(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Accuracies of every combination of swept settings, for the report's table."""
    circuits, columns = arrays["circuits"], quantities(arrays)
    axes = axes_of(circuits)
    keys = list(zip(*(circuits[a.name].tolist() for a in axes), strict=True)) if axes else []
    rows = []
    for key in dict.fromkeys(keys):
        chosen = np.array([k == key for k in keys])
        cells = [interval(v[chosen], circuits["seed"][chosen]) for v in columns.values()]
        rows.append({"key": key, "cells": cells, "circuits": int(chosen.sum())})
    return {"axes": [axis.label for axis in axes], "names": list(columns), "rows": rows[:200]}


def draw(done: "Computed", arrays: Mapping[str, Any]) -> list[Shown]:
    """All figures into the folder: one for each swept axis, a map for each pair of them."""
    from xbar import plots

    folder, circuits = done.folder.path, arrays["circuits"]
    columns, axes, shown = quantities(arrays), axes_of(arrays["circuits"]), []
    labels = {c.label for c in done.plan.study.correctors if c.trained_on == "defective"}
    halves = {n: interval(v, circuits["seed"]) for n, v in columns.items()}
    known = {n: i for n, i in halves.items() if i.n}
    if known:
        per_seed = {n: _seed_means(columns[n], circuits["seed"]) for n in known}
        figure = plots.accuracy_figure(
            per_seed, {n: np.nan_to_num(i.half_width) for n, i in known.items()}
        )
        plots.save(figure, folder / "accuracy.png")
        shown.append(
            Shown("accuracy.png", "All circuits together", _overall(known, labels, circuits))
        )
    for axis in axes:
        curves = {n: along(axis, circuits, v) for n, v in columns.items()}
        lines = {n: ([i.mean for i in c], [i.half_width for i in c]) for n, c in curves.items()}
        file = f"by_{axis.name}.png"
        plots.save(plots.axis_figure(axis.values, axis.label, lines), folder / file)
        shown.append(Shown(file, f"Accuracy by {axis.label}", _along(axis, labels, curves)))
    best = _best(known, labels)
    for down, right in pairs(axes)[:MOST_MAPS]:
        names = [n for n in ("defective", best) if n in columns]
        panels = {n: grid(down, right, circuits, columns[n]) for n in names}
        figure = plots.map_figure((down.label, down.values), (right.label, right.values), panels)
        file = f"map_{down.name}_{right.name}.png"
        plots.save(figure, folder / file)
        title = f"{down.label} and {right.label}".capitalize()
        shown.append(Shown(file, title, _map(down, right, panels["defective"], best, panels)))
    return shown


def _seed_means(values: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    fine = np.isfinite(values)
    return np.array([values[fine & (seeds == s)].mean() for s in np.unique(seeds[fine])])


def _best(known: Mapping[str, Any], labels: Collection[str]) -> str:
    """The reader of the defective circuits' voltages with the highest mean; "" for none."""
    readers = [n for n in known if n in labels]
    return max(readers, key=lambda n: known[n].mean) if readers else ""


def _overall(known: Mapping[str, Any], labels: Collection[str], circuits: Columns) -> str:
    count, seeds = len(circuits["seed"]), len(np.unique(circuits["seed"]))
    text = f"{count:,} defective circuits of {seeds} seeds. "
    if {"healthy", "defective"} <= set(known):
        lost = known["healthy"].mean - known["defective"].mean
        text += f"The defects cost {points(lost)} of the healthy circuits' accuracy"
        if best := _best(known, labels):
            back = known[best].mean - known["defective"].mean
            text += f"; {best} brings back {points(back)}"
        text += ". "
    return text + "Bars: mean of the seeds' means with 95 % intervals (Student's t); dots: seeds."


def _along(axis: Axis, labels: Collection[str], curves: Mapping[str, list[Any]]) -> str:
    means = np.array([i.mean for i in curves["defective"]])
    if not np.isfinite(means).any():
        return "No circuit was solved."
    low, high = int(np.nanargmin(means)), int(np.nanargmax(means))
    worst, most = curves["defective"][low], curves["defective"][high]
    text = (
        f"Defective circuits do worst at {_value(axis, low)}, {_share(worst)}, and best at "
        f"{_value(axis, high)}, {_share(most)}."
    )
    readers = {n: c[low] for n, c in curves.items() if n in labels and c[low].n}
    if readers:
        name = max(readers, key=lambda n: readers[n].mean)
        text += f" At the worst, {name} reaches {_share(readers[name])}."
    return text + " Intervals: 95 % over seeds."


def _map(down: Axis, right: Axis, defective: np.ndarray, best: str, panels: Any) -> str:
    if not np.isfinite(defective).any():
        return "No circuit was solved."
    i, j = np.unravel_index(int(np.nanargmin(defective)), defective.shape)
    where = f"{_value(down, int(i))} and {_value(right, int(j))}"
    text = f"Worst at {where}: {100 * defective[i, j]:.1f} % of the test images are read right"
    if best in panels:
        text += f", {100 * panels[best][i, j]:.1f} % by {best}"
    return text + ". Means over all else; blank where the study has no circuit."


def _value(axis: Axis, index: int) -> str:
    value, unit = axis.values[index], " Ω" if axis.name == "wire_ohm" else ""
    number = f"{value:.3g}" if isinstance(value, float) else str(value)
    return f"{axis.name} = {number}{unit}"


def _share(found: Any) -> str:
    if np.isfinite(found.half_width):
        return f"{100 * found.mean:.1f} ± {100 * found.half_width:.1f} %"
    return f"{100 * found.mean:.1f} %"


def show(summary: dict[str, Any], folder: RunFolder, console: Console) -> None:
    """Print what a study found, and where it is."""
    table = Table("circuits", f"accuracy on {summary['test_images']} test images, 95 % interval")
    for name, mean in summary["accuracy"].items():
        half = summary["ci95"][name]
        text = "-" if mean is None else f"{100 * mean:5.1f}"
        table.add_row(name, text + ("" if half is None else f" +- {100 * half:.1f} %"))
    console.print(table)
    failed = {word: n for word, n in summary["status"].items() if word != "solved"}
    for word, count in failed.items():
        console.print(f"{count:,} circuits failed: {word}", highlight=False)
    swept = ", ".join(f"{len(v)} x {name}" for name, v in summary["axes"].items())
    console.print(
        f"{summary['name']}: {summary['circuits']:,} circuits of a {summary['network']} network, "
        f"{summary['seeds']} seeds{', ' if swept else ''}{swept}; {summary['wall_s']} s",
        highlight=False,
        markup=False,
    )
    names = ("report.html", "summary.json", "results.h5", "circuits.csv", *summary["figures"])
    for name in names:
        console.print(f"  {folder.path / name}", highlight=False, soft_wrap=True)
