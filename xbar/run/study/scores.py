"""How reports say scores: accuracies in words, and those of a study by name."""

from typing import Any, NamedTuple

import numpy as np

from xbar.learn.scores import SCORES, score_among
from xbar.plots.style import ACCURACY, Quantity
from xbar.statistics import Interval, share_bounds


def share(accuracy: Any) -> str:
    """An accuracy in words; a dash for NaN or None."""
    if accuracy is None or not np.isfinite(accuracy):
        return "-"
    return f"{100 * accuracy:.1f} %"


def points(share: float) -> str:
    """A difference of accuracies in words."""
    return f"{100 * share:.1f} points"


def bounds(interval: Any) -> str:
    """An interval of an accuracy in words; a dash for none."""
    if interval is None or any(end is None or not np.isfinite(end) for end in interval):
        return "-"
    return f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f} %"


class Shown(NamedTuple):
    """How reports say a score.

    Args:
        name: as in results.h5.
        title: before a list of scores, such as "accuracy".
        quantity: how figures draw it.
    """

    name: str
    title: str
    quantity: Quantity

    @property
    def is_share(self) -> bool:
        """Whether it is a share, from 0 to 1, of which more is better."""
        return SCORES[self.name].classes

    def text(self, value: Any) -> str:
        """A score in words; a dash for NaN or None."""
        if self.is_share or value is None or not np.isfinite(value):
            return share(value)
        return f"{value:.4g}"

    def ends(self, found: Interval) -> tuple[float, float]:
        """Both ends of an interval."""
        if self.is_share:
            return share_bounds(found)
        return found.mean - found.half_width, found.mean + found.half_width

    def bounds(self, ends: Any) -> str:
        """An interval in words; a dash for none."""
        if self.is_share or ends is None or not all(e is not None and np.isfinite(e) for e in ends):
            return bounds(ends)
        return f"{ends[0]:.4g} to {ends[1]:.4g}"

    def with_bounds(self, found: Interval) -> str:
        """A score with its interval, such as "93.1 % (90.2 to 95.2 %)"."""
        text = self.bounds(self.ends(found))
        return self.text(found.mean) + ("" if text == "-" else f" ({text})")

    def reach(self, found: Interval) -> tuple[float, float]:
        """How far the interval reaches below and above its mean, for error bars."""
        low, high = np.nan_to_num(self.ends(found), nan=found.mean)
        return found.mean - low, high - found.mean

    def change(self, size: float) -> str:
        """How much is lost or won, in words."""
        return points(size) if self.is_share else f"{size:.4g}"

    def gain(self, better: float, worse: float) -> float:
        """By how much one score is better than another."""
        return better - worse if self.is_share else worse - better

    @property
    def by(self) -> str:
        """What its intervals are."""
        within = " on the logit, so within 0 and 100 %" if self.is_share else ""
        return f"95 % intervals over seeds (Student's t{within})"


SHOWN = {
    "accuracy": Shown("accuracy", "accuracy", ACCURACY),
    "rmse": Shown("rmse", "root mean square error", Quantity("test RMSE [unit of the targets]")),
    "mae": Shown("mae", "mean absolute error", Quantity("test error, mean [unit of the targets]")),
}


def score_in(names: Any) -> Shown:
    """How reports say the score that a results file has."""
    return SHOWN[score_among(names)]
