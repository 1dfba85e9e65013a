"""One self-contained HTML file from what a run has stored."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from xbar.io.store import write_text


class Shown(NamedTuple):
    """A figure in a report.

    Args:
        file: its name in the run's folder.
        title: what it is.
        caption: what it found.
    """

    file: str
    title: str
    caption: str


def write_report(
    folder: Path,
    template: str,
    figures: Sequence[Shown],
    summary: Mapping[str, Any],
    config: Mapping[str, Any],
    **more: Any,
) -> None:
    """Write `report.html`.

    Args:
        folder: the run's folder, with the figures in it.
        template: name of the page's template.
        figures: what to show, in order.
        summary: as in `summary.json`.
        config: the run's settings.
        more: what else the template needs.
    """
    environment = Environment(
        loader=PackageLoader("xbar.run"), autoescape=True, undefined=StrictUndefined
    )
    shown = [figure._asdict() | {"image": inline(folder / figure.file)} for figure in figures]
    text = environment.get_template(template).render(
        summary=summary, config=config, figures=shown, **more
    )
    write_text(folder / "report.html", text)


def share(accuracy: float) -> str:
    """An accuracy in words."""
    return f"{100 * accuracy:.1f} %"


def points(share: float) -> str:
    """A difference of accuracies in words."""
    return f"{100 * share:.1f} points"


def inline(png: Path) -> str:
    """A picture as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(png.read_bytes()).decode("ascii")
