"""What an experiment is: what computes its tables, and what these say. Its words are in `texts`."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

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
