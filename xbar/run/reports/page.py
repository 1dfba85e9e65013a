"""One self-contained HTML file from what a run has stored."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from xbar import plots
from xbar.run.folders.runner import Runner
from xbar.run.study.scores import bounds, share


class ReportFigure(NamedTuple):
    """A figure in a report.

    Args:
        file: its name in the run's folder.
        title: what it is.
        caption: what it found.
    """

    file: str
    title: str
    caption: str


CaptionedFigure = tuple[Figure, ReportFigure]


def save_figures(run: Runner, drawn: Iterable[CaptionedFigure]) -> list[ReportFigure]:
    """Publish figures one by one, so that one at a time is in memory."""
    entries = []
    for figure, entry in drawn:
        run.save(entry.file, lambda path, figure=figure: plots.save(figure, path))
        entries.append(entry)
    return entries


def write_report(
    run: Runner,
    template: str,
    figures: Sequence[ReportFigure],
    summary: Mapping[str, Any],
    **more: Any,
) -> None:
    """Publish `report.html`.

    Args:
        run: whose settings it states; its folder has the figures.
        template: name of the page's template.
        figures: what to show, in order.
        summary: as in `summary.json`.
        more: what else the template needs.
    """
    environment = Environment(
        loader=PackageLoader("xbar.run.reports.study"), autoescape=True, undefined=StrictUndefined
    )
    shown = [figure._asdict() | {"image": inline(run.path / figure.file)} for figure in figures]
    words = {"share": share, "bounds": bounds, "folder": run.path.as_posix()}
    text = environment.get_template(template).render(
        summary=summary, config=run.settings, figures=shown, **words, **more
    )
    run.write_text("report.html", text)


def inline(png: Path) -> str:
    """A picture as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(png.read_bytes()).decode("ascii")


def literal(text: str) -> str:
    """A name as Matplotlib draws it, whatever is in it: no dollar begins a formula."""
    return text.replace("$", r"\$")
