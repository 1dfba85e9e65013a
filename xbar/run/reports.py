"""What any study shows when it is done: a summary, figures, and a report, from its table alone."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from xbar import plots
from xbar.io.store import commit, read_results
from xbar.run.computed import ComputedStudy
from xbar.run.report import (
    CaptionedFigure,
    ReportFigure,
    bounds,
    literal,
    points,
    reach,
    save_figures,
    share,
    with_bounds,
    write_report,
)
from xbar.run.runner import Runner
from xbar.run.settings import write_study
from xbar.run.tables import (
    Axis,
    Columns,
    along,
    as_csv,
    axes_of,
    grid,
    headline,
    interval,
    means,
    pairs,
    quantities,
)
from xbar.statistics import Interval

UNITS = {"wire_ohm": " Ω", "seconds": " s"}  # behind values of these axes
MOST_MAPS = 3  # of the report: the pairs of axes over which accuracies differ most
BY = "95 % intervals over seeds (Student's t on the logit, so within 0 and 100 %)"


def finish(done: ComputedStudy) -> dict[str, Any]:
    """Write circuits.csv, the figures and the report of a study.

    Args:
        done: the study, its results.h5 in place.

    Returns:
        The summary.
    """
    run, study = done.run, done.plan.study
    with run.timed("write tables, figures and report"):
        arrays, _ = read_results(run.path / "results.h5", ("circuits", "accuracy", "data/test"))
        summary = {
            "name": study.name,
            **headline(arrays),
            "seed": study.seed,
            "seeds": study.seeds,
            "network": "-".join(map(str, done.plan.sizes)),
            "data": done.inputs.dataset.name,
            "test_images": int(arrays["data"]["test"].shape[-1]),
            "test_note": done.inputs.test_note,
            "inputs": done.inputs.kind,
        }
        run.write_text("circuits.csv", table_csv(arrays))
        labels = {c.label for c in study.correctors if c.trained_on == "defective"}
        figures = save_figures(run, draw(arrays, labels, done.inputs.kind))
        summary["figures"] = [figure.file for figure in figures]
    summary |= run.times()
    more = {"commit": commit(), "table": means(arrays), "file": write_study(study), "by": BY}
    write_report(run, "study.html.j2", figures, summary, **more)
    return summary


def table_csv(arrays: Mapping[str, Any]) -> str:
    """The table of circuits as text, a line for each."""
    found = {f"accuracy {name}": values for name, values in quantities(arrays).items()}
    return as_csv(dict(arrays["circuits"]) | found)


def draw(
    arrays: Mapping[str, Any], labels: Collection[str], inputs: str
) -> Iterator[CaptionedFigure]:
    """The figures: one for all circuits, one for each swept axis, maps of the pairs that tell most.

    Args:
        arrays: groups "circuits" and "accuracy" of results.h5.
        labels: of correctors that were trained on the defective circuits' voltages.
        inputs: what the networks read, "images" or "inputs".
    """
    circuits, columns, axes = arrays["circuits"], quantities(arrays), axes_of(arrays["circuits"])
    all_of = {name: interval(values, circuits["seed"]) for name, values in columns.items()}
    known = {name: found for name, found in all_of.items() if found.n}
    if known:
        per_seed = {literal(n): _seed_means(columns[n], circuits["seed"]) for n in known}
        figure = plots.accuracy_figure(per_seed, {literal(n): reach(i) for n, i in known.items()})
        caption = _overall(known, labels, circuits)
        yield figure, ReportFigure("accuracy.png", "All circuits together", caption)
    for axis in axes:
        curves = {name: along(axis, circuits, values) for name, values in columns.items()}
        lines = {
            literal(name): ([i.mean for i in c], np.transpose([reach(i) for i in c]))
            for name, c in curves.items()
        }
        figure = plots.axis_figure(axis.values, axis.label, lines)
        caption = _along(axis, labels, curves)
        yield figure, ReportFigure(f"by_{axis.name}.png", f"Accuracy by {axis.label}", caption)
    best = _best(known, labels)
    for down, right in _telling(pairs(axes), circuits, columns["defective"]):
        names = [name for name in ("defective", best) if name in columns]
        panels = {name: grid(down, right, circuits, columns[name]) for name in names}
        drawn = {literal(name): panel for name, panel in panels.items()}
        figure = plots.map_figure((down.label, down.values), (right.label, right.values), drawn)
        title = f"{down.label} and {right.label}"
        caption = _map(down, right, panels, best, inputs)
        file = f"map_{down.name}_{right.name}.png"
        yield figure, ReportFigure(file, title[0].upper() + title[1:], caption)


def _telling(
    all_pairs: list[tuple[Axis, Axis]], circuits: Columns, accuracy: np.ndarray
) -> list[tuple[Axis, Axis]]:
    """The pairs of axes whose maps differ most from place to place, in the order of the axes."""

    def spread(pair: tuple[Axis, Axis]) -> float:
        means = grid(*pair, circuits, accuracy)
        return float(np.nanmax(means) - np.nanmin(means)) if np.isfinite(means).any() else 0.0

    chosen = sorted(all_pairs, key=spread, reverse=True)[:MOST_MAPS]
    return [pair for pair in all_pairs if any(pair is found for found in chosen)]


def _seed_means(values: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    fine = np.isfinite(values)
    return np.array([values[fine & (seeds == s)].mean() for s in np.unique(seeds[fine])])


def _best(known: Mapping[str, Interval], labels: Collection[str]) -> str:
    """The reader of the defective circuits' voltages with the highest mean; "" for none."""
    return max((n for n in known if n in labels), key=lambda n: known[n].mean, default="")


def _overall(known: Mapping[str, Interval], labels: Collection[str], circuits: Columns) -> str:
    count, seeds = len(circuits["seed"]), len(np.unique(circuits["seed"]))
    text = f"{count:,} defective circuits of {seeds} seeds. "
    if {"healthy", "defective"} <= set(known):
        lost = known["healthy"].mean - known["defective"].mean
        text += f"The defects cost {points(lost)} of the healthy circuits' accuracy"
        if best := _best(known, labels):
            back = known[best].mean - known["defective"].mean
            text += f"; {best} brings back {points(back)}"
        text += ". "
    return text + f"Bars: mean of the seeds' means with {BY}; dots: seeds."


def _along(axis: Axis, labels: Collection[str], curves: Mapping[str, list[Interval]]) -> str:
    means = np.array([i.mean for i in curves["defective"]])
    if not np.isfinite(means).any():
        return "No circuit was solved."
    low, high = int(np.nanargmin(means)), int(np.nanargmax(means))
    worst, most = curves["defective"][low], curves["defective"][high]
    text = (
        f"Defective circuits do worst at {_value(axis, low)}, {with_bounds(worst)}, and best at "
        f"{_value(axis, high)}, {with_bounds(most)}."
    )
    if best := _best({n: c[low] for n, c in curves.items() if c[low].n}, labels):
        text += f" At the worst, {best} reaches {with_bounds(curves[best][low])}."
    return f"{text} {BY[0].upper()}{BY[1:]}."


def _map(down: Axis, right: Axis, panels: Mapping[str, np.ndarray], best: str, inputs: str) -> str:
    defective = panels["defective"]
    if not np.isfinite(defective).any():
        return "No circuit was solved."
    i, j = np.unravel_index(int(np.nanargmin(defective)), defective.shape)
    where = f"{_value(down, int(i))} and {_value(right, int(j))}"
    text = f"Worst at {where}: {share(defective[i, j])} of the test {inputs} are read right"
    if best in panels:
        text += f", {share(panels[best][i, j])} by {best}"
    return text + ". Means over all else; blank where the study has no circuit."


def _value(axis: Axis, index: int) -> str:
    value, unit = axis.values[index], UNITS.get(axis.name, "")
    number = f"{value:.3g}" if isinstance(value, float) else str(value)
    return f"{axis.name} = {number}{unit}"


def show(summary: dict[str, Any], run: Runner) -> None:
    """Print what a study found, and where it is."""
    inputs = summary["inputs"]
    table = Table(
        "circuits", f"accuracy on {summary['test_images']} test {inputs}", "95 % interval"
    )
    for name, mean in summary["accuracy"].items():
        table.add_row(Text(name), share(mean), bounds(summary["interval95"][name]))
    run.console.print(table)
    for word, count in summary["status"].items():
        if word != "solved":
            run.print(f"{count:,} circuits failed: {word}")
    swept = ", ".join(f"{len(v)} x {name}" for name, v in summary["axes"].items())
    names = ("report.html", "summary.json", "results.h5", "circuits.csv", *summary["figures"])
    run.print(
        f"{summary['name']}: {summary['circuits']:,} circuits of a {summary['network']} network, "
        f"{summary['seeds']} seeds{', ' if swept else ''}{swept}; {summary['wall_s']} s",
        *names,
    )
