"""One self-contained HTML file from what a run has stored."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from xbar.data.store import write_text


def write_report(folder: Path, summary: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Write `report.html` of the demo.

    Args:
        folder: the run's folder, with `accuracy.png` in it.
        summary: as in `summary.json`.
        config: the run's settings.
    """
    environment = Environment(
        loader=PackageLoader("xbar.studies"), autoescape=True, undefined=StrictUndefined
    )
    accuracy = summary["accuracy"]
    text = environment.get_template("demo.html.j2").render(
        summary=summary,
        config=config,
        figure=_inline(folder / "accuracy.png"),
        lost=100 * (accuracy["healthy"] - accuracy["defective"]),
        regained=100 * (accuracy["corrected"] - accuracy["defective"]),
    )
    write_text(folder / "report.html", text)


def _inline(png: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(png.read_bytes()).decode("ascii")
