"""One self-contained HTML file from what a run has stored."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from xbar.data.store import write_text
from xbar.studies.figures import Shown


def write_report(
    folder: Path, figures: Sequence[Shown], summary: Mapping[str, Any], config: Mapping[str, Any]
) -> None:
    """Write `report.html` of the demo.

    Args:
        folder: the run's folder, with the figures in it.
        figures: what to show, in order.
        summary: as in `summary.json`.
        config: the run's settings.
    """
    environment = Environment(
        loader=PackageLoader("xbar.studies"), autoescape=True, undefined=StrictUndefined
    )
    shown = [figure._asdict() | {"image": _inline(folder / figure.file)} for figure in figures]
    text = environment.get_template("demo.html.j2").render(
        summary=summary, config=config, figures=shown
    )
    write_text(folder / "report.html", text)


def _inline(png: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(png.read_bytes()).decode("ascii")
