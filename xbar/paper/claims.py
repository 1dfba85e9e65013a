"""Published claims as data, and their verdicts: a rule on intervals, stated in the report."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from xbar.paper.tables import percent, points

RULE = (
    "A claim is tested in each condition that was measured (a layer, a shape, a severity). A "
    "condition supports it if its 95 % interval (Student's t over the seeds; paired where both "
    "sides share seed and place) lies wholly where the claim puts the figure, speaks against it if "
    "the interval lies wholly elsewhere, and is open if it straddles a limit. Conditions are not "
    "corrected for their number: of forty whose true figure lies on a limit, one supports and one "
    "speaks against it by chance. Nothing is chosen by its outcome unless the row says so."
)
LONGEST = 150  # of a list of conditions in words; longer ones are counted


class Claim(NamedTuple):
    """A published claim: where it puts a figure. As data in `templates/texts.toml`.

    Args:
        name: short, for `summary.json`.
        text: the claim in words.
        published: the published figure.
        figure: what is measured in each condition, in words.
        low: the claim holds where the figure is at least this, in per cent or points.
        high: and at most this.
        note: what follows, or what the conditions leave out.
        form: "points" or "percent", words for a figure.
    """

    name: str
    text: str
    published: str
    figure: str
    low: float = -np.inf
    high: float = np.inf
    note: str = ""
    form: str = "points"


class Judged(NamedTuple):
    """A claim with what was found.

    Args:
        claim: as published.
        conditions: columns mean, half, seeds and supports ("yes", "no", "open"), by condition.
        kind: "holds", "in part" or "does not hold".
        verdict: the same with the conditions by name.
        found: the figures in words.
    """

    claim: Claim
    conditions: pd.DataFrame
    kind: str
    verdict: str
    found: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        values = {}
        for row in self.conditions.itertuples():
            keys = row.Index if isinstance(row.Index, tuple) else (row.Index,)
            pairs = zip(self.conditions.index.names, keys, strict=True)
            name = ", ".join(listed(str(level), [key]) for level, key in pairs)
            values[name] = {"mean": row.mean, "ci95": row.half, "supports": row.supports}
        return {
            "text": self.claim.text,
            "published": self.claim.published,
            "ours": self.found,
            "verdict": self.verdict,
            "kind": self.kind,
            "values": values,
        }


def judge(claim: Claim, conditions: pd.DataFrame) -> Judged:
    """The verdict on a claim.

    Args:
        claim: where it puts the figure.
        conditions: intervals from `tables.summary`, at least one.

    Raises:
        ValueError: there is no condition.
    """
    if not len(conditions):
        raise ValueError(f"{claim.name}: got no condition, needs at least one")
    least, most = conditions["mean"] - conditions["half"], conditions["mean"] + conditions["half"]
    yes = (least >= claim.low) & (most <= claim.high)
    no = (most < claim.low) | (least > claim.high)
    found = conditions.assign(supports=np.select([yes, no], ["yes", "no"], "open"))
    kind = "holds" if yes.all() else "in part" if yes.any() else "does not hold"
    verdict = _named(found, kind) + (f"; {claim.note}" if claim.note else "")
    form = percent if claim.form == "percent" else points
    ends = [form(found.loc[at]) for at in (found["mean"].idxmin(), found["mean"].idxmax())]
    first = ends[0].removesuffix(" points").removesuffix(" %")
    words = f"{first} to {ends[1]}; {int(yes.sum())} of {len(found)} conditions"
    return Judged(claim, found, kind, verdict, words if len(found) > 1 else ends[0])


def _named(conditions: pd.DataFrame, kind: str) -> str:
    """The verdict with its conditions by name; what is the same in all of them stands behind."""
    index, supports = conditions.index, conditions["supports"]
    if len(index) == 1:
        return kind if kind == "holds" or supports.iloc[0] == "no" else "open"
    values = {str(name): index.get_level_values(name).unique() for name in index.names}
    same = [name for name, found in values.items() if len(found) == 1]
    index = index.droplevel(same) if same else index
    where = f" ({', '.join(listed(name, list(values[name])) for name in same)})" if same else ""
    parts = [
        f"{words} {names(index[supports == key], index)}"
        for key, words in (("yes", "holds for"), ("no", "not for"), ("open", "open for"))
        if (supports == key).any()
    ]
    return ("does not hold: " if kind == "does not hold" else "") + "; ".join(parts) + where


# level of the index -> words before one value, before several, and behind
WORDS: Mapping[str, tuple[str, str, str]] = {
    "layer": ("layer ", "layers ", ""),
    "pool": ("", "", " circuits"),
    "place": ("place: ", "places: ", ""),
    "radius": ("r = ", "r = ", ""),
}


def names(index: pd.Index, among: pd.Index) -> str:
    """Some of all conditions in words, those that go together in one phrase.

    Returns:
        Such as "layers 0 to 2 (6 circuits), layer 3"; a number if there are too many.
    """
    text = _names(index, among)
    return text if len(text) <= LONGEST else f"{len(index)} of {len(among)} conditions"


def _names(index: pd.Index, among: pd.Index) -> str:
    level, first = str(among.names[0]), index.get_level_values(0)
    if among.nlevels == 1:
        return listed(level, list(first.unique()))
    together: dict[str, list[Any]] = {}
    for value in first.unique():
        part = index[first == value].droplevel(0)
        whole = among[among.get_level_values(0) == value].droplevel(0)
        words = "" if len(part) == len(whole) else f" ({_names(part, whole)})"
        together.setdefault(words, []).append(value)
    return ", ".join(listed(level, values) + words for words, values in together.items())


def listed(level: str, values: Sequence[Any]) -> str:
    """Values of one level in words; whole numbers that follow each other as a range."""
    one, many, behind = WORDS.get(level, ("", "", ""))
    texts = [f"{100 * v:.3g} %" if level == "coverage" else str(v) for v in values]
    if len(values) == 1:
        return f"{one}{texts[0]}{behind}"
    numbers = all(isinstance(value, int | np.integer) for value in values)
    if numbers and len(values) > 2 and all(b == a + 1 for a, b in pairwise(values)):
        return f"{many}{texts[0]} to {texts[-1]}{behind}"
    return f"{many}{', '.join(texts[:-1])} and {texts[-1]}{behind}"
