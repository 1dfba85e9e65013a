"""One self-contained HTML file from what a run has stored."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
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


DIGITS = 3  # of the numbers in the page
MOST = 200_000  # numbers of maps in a page, about 1.5 MB; arrays past that are left out


class CellMap(NamedTuple):
    """One array's cells, with any number of quantities; a map of it answers to the mouse.

    The page holds the numbers, to three digits, and a script of its own (templates/maps.js);
    nothing is fetched from elsewhere.

    Args:
        title: of the map.
        quantities: by name with its unit, such as "conductance [µS]", (rows, columns) each.
    """

    title: str
    quantities: Mapping[str, Any]


def as_json(maps: Sequence[CellMap]) -> str:
    """What the script reads, safe inside a page; maps past `MOST` numbers are left out."""
    kept, total = [], 0
    for found in maps:
        arrays = {name: np.asarray(values, float) for name, values in found.quantities.items()}
        total += sum(array.size for array in arrays.values())
        if total > MOST:
            break
        rows, columns = next(iter(arrays.values())).shape
        shown = {"title": found.title, "rows": rows, "columns": columns}
        kept.append(shown | {"quantities": {name: _numbers(a) for name, a in arrays.items()}})
    return json.dumps(kept, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")


def _numbers(array: np.ndarray) -> list[float | None]:
    """Row by row; None where there is none."""
    return [float(f"{x:.{DIGITS}g}") if np.isfinite(x) else None for x in array.ravel()]
