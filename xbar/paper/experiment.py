"""What an experiment is: what computes its tables, what these say, and in which words."""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from string import Formatter
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from xbar.paper.tables import Tables
from xbar.paper.workspace import Workspace


class Findings(NamedTuple):
    """What the tables of an experiment say, each part under its name in `templates/texts.toml`.

    Args:
        facts: figures in words, for the sentences.
        claims: intervals of what a claim is about, by condition, as `tables.summary` gives them.
        tables: texts for the report, with the index in front.
        figures: drawn.
    """

    facts: Mapping[str, str]
    claims: Mapping[str, pd.DataFrame] = {}
    tables: Mapping[str, pd.DataFrame] = {}
    figures: Mapping[str, Figure] = {}


class Experiment(NamedTuple):
    """One experiment.

    Args:
        name: of its texts, its group in results.h5 and its files.
        compute: makes the tables.
        find: says what was found, from the tables alone.
    """

    name: str
    compute: Callable[[Workspace], Tables]
    find: Callable[[Tables], Findings]


TEXTS: dict[str, Any] = tomllib.loads(
    files("xbar.paper").joinpath("templates/texts.toml").read_text(encoding="utf-8")
)
"""The words of the report by experiment; and the abstract and the conclusion."""


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
