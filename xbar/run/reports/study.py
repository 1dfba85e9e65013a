"""What any study shows when it is done: a summary, figures, and a report, from its table alone."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from xbar import plots
from xbar.io.store import commit, read_results
from xbar.run.folders.runner import Runner
from xbar.run.reports.page import CaptionedFigure, ReportFigure, literal, save_figures, write_report
from xbar.run.settings.files import write_study
from xbar.run.study.publish import ComputedStudy
from xbar.run.study.scores import SHOWN, Shown, score_in
from xbar.run.study.tables import (
    ROUGH,
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


def finish(done: ComputedStudy) -> dict[str, Any]:
    """Write circuits.csv, the figures and the report of a study.

    Args:
        done: the study, its results.h5 in place.

    Returns:
        The summary.
    """
    run, study = done.run, done.plan.study
    with run.timed("write tables, figures and report"):
        task = done.inputs.task
        groups = ("circuits", task.score, "converged", "data/test")
        arrays, _ = read_results(run.path / "results.h5", groups)
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
    more = {"commit": commit(), "table": means(arrays), "file": write_study(study)}
    more |= {"score": SHOWN[task.score], "rough": f"{ROUGH:.0%}"}
    write_report(run, "study.html.j2", figures, summary, **more)
    return summary


def table_csv(arrays: Mapping[str, Any]) -> str:
    """The table of circuits as text, a line for each."""
    score = score_in(arrays).name
    found = {f"{score} {name}": values for name, values in quantities(arrays).items()}
    return as_csv(dict(arrays["circuits"]) | found)


def draw(
    arrays: Mapping[str, Any], labels: Collection[str], inputs: str
) -> Iterator[CaptionedFigure]:
    """The figures: one for all circuits, one for each swept axis, maps of the pairs that tell most.

    Args:
        arrays: groups "circuits" and "accuracy" (or another score's) of results.h5.
        labels: of correctors that were trained on the defective circuits' voltages.
        inputs: what the networks read, "images" or "inputs".
    """
    circuits, columns, axes = arrays["circuits"], quantities(arrays), axes_of(arrays["circuits"])
    score = score_in(arrays)
    all_of = {name: interval(values, circuits["seed"]) for name, values in columns.items()}
    known = {name: found for name, found in all_of.items() if found.n}
    if known:
        per_seed = {literal(n): _seed_means(columns[n], circuits["seed"]) for n in known}
        ends = {literal(n): score.reach(i) for n, i in known.items()}
        figure = plots.accuracy_figure(per_seed, ends, score.quantity)
        caption = _overall(score, known, labels, circuits)
        yield figure, ReportFigure(f"{score.name}.png", "All circuits together", caption)
    for axis in axes:
        curves = {name: along(axis, circuits, values) for name, values in columns.items()}
        lines = {
            literal(name): ([i.mean for i in c], np.transpose([score.reach(i) for i in c]))
            for name, c in curves.items()
        }
        figure = plots.axis_figure(axis.values, axis.label, lines, score.quantity)
        caption, title = _along(score, axis, labels, curves), f"{score.title} by {axis.label}"
        title = title[0].upper() + title[1:]
        yield figure, ReportFigure(f"by_{axis.name}.png", title, caption)
    best = _best(score, known, labels)
    for down, right in _telling(pairs(axes), circuits, columns["defective"]):
        names = [name for name in ("defective", best) if name in columns]
        panels = {name: grid(down, right, circuits, columns[name]) for name in names}
        drawn = {literal(name): panel for name, panel in panels.items()}
        sides = (down.label, down.values), (right.label, right.values)
        figure = plots.map_figure(*sides, drawn, score.quantity)
        title = f"{down.label} and {right.label}"
        caption = _map(score, (down, right), panels, best, inputs)
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


def _best(score: Shown, known: Mapping[str, Interval], labels: Collection[str]) -> str:
    """The reader of the defective circuits' voltages with the best mean; "" for none."""
    readers = (n for n in known if n in labels)
    return max(readers, key=lambda n: score.gain(known[n].mean, 0.0), default="")


def _overall(
    score: Shown, known: Mapping[str, Interval], labels: Collection[str], circuits: Columns
) -> str:
    count, seeds = len(circuits["seed"]), len(np.unique(circuits["seed"]))
    text = f"{count:,} defective circuits of {seeds} seeds. "
    if {"healthy", "defective"} <= set(known):
        worse = known["defective"].mean
        lost = score.change(score.gain(known["healthy"].mean, worse))
        # A share of right answers is lost and brought back; an error is added and taken away.
        words = ("cost", "of", "brings back") if score.is_share else ("add", "to", "takes away")
        do, of, undoes = words
        text += f"The defects {do} {lost} {of} the healthy circuits' {score.title}"
        if best := _best(score, known, labels):
            text += f"; {best} {undoes} {score.change(score.gain(known[best].mean, worse))}"
        text += ". "
    return text + f"Bars: mean of the seeds' means with {score.by}; dots: seeds."


def _along(
    score: Shown, axis: Axis, labels: Collection[str], curves: Mapping[str, list[Interval]]
) -> str:
    means = np.array([i.mean for i in curves["defective"]])
    if not np.isfinite(means).any():
        return "No circuit was solved."
    low, high = int(np.nanargmin(means)), int(np.nanargmax(means))
    low, high = (low, high) if score.is_share else (high, low)
    worst, most = curves["defective"][low], curves["defective"][high]
    text = (
        f"Defective circuits do worst at {_value(axis, low)}, {score.with_bounds(worst)}, and best "
        f"at {_value(axis, high)}, {score.with_bounds(most)}."
    )
    if best := _best(score, {n: c[low] for n, c in curves.items() if c[low].n}, labels):
        text += f" At the worst, {best} reaches {score.with_bounds(curves[best][low])}."
    return f"{text} {score.by}."


def _map(
    score: Shown,
    sides: tuple[Axis, Axis],
    panels: Mapping[str, np.ndarray],
    best: str,
    inputs: str,
) -> str:
    (down, right), defective = sides, panels["defective"]
    if not np.isfinite(defective).any():
        return "No circuit was solved."
    worst = np.nanargmin(defective) if score.is_share else np.nanargmax(defective)
    i, j = np.unravel_index(int(worst), defective.shape)
    where = f"{_value(down, int(i))} and {_value(right, int(j))}"
    read = f" of the test {inputs} are read right" if score.is_share else f" on the test {inputs}"
    text = f"Worst at {where}: {score.text(defective[i, j])}{read}"
    if best in panels:
        text += f", {score.text(panels[best][i, j])} by {best}"
    return text + ". Means over all else; blank where the study has no circuit."


def _value(axis: Axis, index: int) -> str:
    value, unit = axis.values[index], UNITS.get(axis.name, "")
    number = f"{value:.3g}" if isinstance(value, float) else str(value)
    return f"{axis.name} = {number}{unit}"


def show_unconverged(summary: dict[str, Any], run: Runner) -> None:
    """Print how many correctors have not converged, of those that should have."""
    for name, count in summary.get("unconverged", {}).items():
        run.print(f"{count:,} correctors were stopped before they had converged: {name}")


def show(summary: dict[str, Any], run: Runner) -> None:
    """Print what a study found, and where it is."""
    inputs, score = summary["inputs"], score_in(summary)
    title = f"{score.title} on {summary['test_images']} test {inputs}"
    table = Table("circuits", title, "95 % interval")
    for name, mean in summary[score.name].items():
        bounds = score.bounds(summary["interval95"][name])
        table.add_row(Text(name), score.text(mean), bounds)
    run.console.print(table)
    for word, count in summary["status"].items():
        if word != "solved":
            run.print(f"{count:,} circuits failed: {word}")
    if rough := summary.get("rough"):
        run.print(
            f"{rough:,} circuits are not to be trusted: corrected transfer matrices miss their "
            f'currents by more than {ROUGH:.0%}; read = "exact" solves them'
        )
    show_unconverged(summary, run)
    swept = ", ".join(f"{len(v)} x {name}" for name, v in summary["axes"].items())
    names = ("report.html", "summary.json", "results.h5", "circuits.csv", *summary["figures"])
    run.print(
        f"{summary['name']}: {summary['circuits']:,} circuits of a {summary['network']} network, "
        f"{summary['seeds']} seeds{', ' if swept else ''}{swept}; {summary['wall_s']} s",
        *names,
    )
