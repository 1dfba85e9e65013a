"""What an experiment is: a question, what computes its tables, and what these tables say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from xbar.io.store import Field
from xbar.paper.lab import Lab

Tables = dict[str, dict[str, Field]]
"""Table by name, column by name; columns of one table are equally long."""

Read = Mapping[str, Mapping[str, np.ndarray]]
"""The same as read back from results.h5: plain arrays."""


def column(values: Any, unit: str = "1", about: str = "") -> Field:
    """One column of a table.

    Args:
        values: numbers or words, (rows,).
        unit: SI unit, "1" for pure numbers.
        about: what it is.

    Returns:
        The column.

    Raises:
        ValueError: not one-dimensional.
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"column: got shape {array.shape}, needs (rows,)")
    return Field(array, unit, ("row",), about)


class Drawn(NamedTuple):
    """A figure of an experiment.

    Args:
        name: in the file's name, behind the experiment's.
        title: what it is.
        caption: what it found.
        figure: drawn.
    """

    name: str
    title: str
    caption: str
    figure: Figure


@dataclass(frozen=True)
class Claim:
    """A published claim with what was found.

    Args:
        name: short, for `summary.json`.
        text: the claim in words.
        published: the published figure.
        ours: the figure found, with its interval.
        verdict: one of `xbar.paper.verdicts.Verdict`.
        rule: how the verdict follows from the figures.
        values: the figures of `ours` as numbers: name -> (mean, half-width of the 95 % interval).
    """

    name: str
    text: str
    published: str
    ours: str
    verdict: str
    rule: str
    values: Mapping[str, tuple[float, float]] = field(default_factory=dict)


class Shown(NamedTuple):
    """A table for the report, in words.

    Args:
        title: what it is.
        head: of its columns.
        rows: cells.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Findings:
    """What the tables of an experiment say.

    Args:
        sentences: the findings in words, each a paragraph.
        claims: the published claims that they decide.
        tables: to be shown below the sentences.
    """

    sentences: Sequence[str]
    claims: Sequence[Claim] = ()
    tables: Sequence[Shown] = ()


@dataclass(frozen=True)
class Experiment:
    """One experiment.

    Args:
        name: of its group in results.h5 and its files.
        title: heading.
        question: in a sentence.
        method: how it is measured, in words; no results.
        compute: makes the tables.
        draw: makes the figures, from the tables alone.
        find: says what was found, from the tables alone.
        open_points: what the paper does not tell about it; "" for nothing.
        section: "paper" for the published study, "beyond" for what goes further, "referee".
    """

    name: str
    title: str
    question: str
    method: str
    compute: Callable[[Lab], Tables]
    draw: Callable[[Read], list[Drawn]]
    find: Callable[[Read], Findings]
    open_points: str = ""
    section: str = "paper"
