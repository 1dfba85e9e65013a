"""The words of the report, from `templates/texts.toml`, with the facts that were found."""

import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from string import Formatter
from typing import Any

TEXTS: dict[str, Any] = tomllib.loads(
    files("xbar.paper").joinpath("templates/texts.toml").read_text(encoding="utf-8")
)
"""By experiment; and the abstract and the conclusion."""


def title(experiment: str) -> str:
    """Heading of an experiment."""
    return TEXTS.get(experiment, {}).get("title", experiment)


def filled(text: str, facts: Mapping[str, str]) -> str:
    """A text with the facts in it; "" where one of them is missing."""
    names = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
    return text.format(**facts) if names <= facts.keys() else ""


def sentences(texts: Iterable[str], facts: Mapping[str, str]) -> list[str]:
    """Those sentences all of whose facts are known."""
    return [found for text in texts if (found := filled(text, facts))]
