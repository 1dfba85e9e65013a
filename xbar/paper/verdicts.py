"""When a published claim holds: a rule on intervals, stated in the report."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from xbar.statistics import Interval


class Verdict(StrEnum):
    """What becomes of a claim."""

    HOLDS = "holds"
    CONDITIONS = "holds under these conditions"
    FAILS = "does not hold"


RULE = (
    "A claim is tested in each condition that was measured (a layer, a shape, a setting). A "
    "condition supports it if its 95 % interval (Student's t over the seeds; paired where both "
    "sides share seed and place) lies wholly where the claim puts the figure. All conditions "
    f"support it: {Verdict.HOLDS}. Some do: {Verdict.CONDITIONS}. None does: {Verdict.FAILS}. An "
    "interval that straddles the limit does not support the claim. Conditions are not corrected "
    "for their number: of twenty whose true figure lies on the limit, half a condition supports by "
    "chance."
)


def inside(
    found: Interval, low: float | int = -float("inf"), high: float | int = float("inf")
) -> bool:
    """Whether the whole interval lies between two limits; never where it is not known.

    Args:
        found: a mean and its half-width.
        low: lower limit, in the mean's unit.
        high: upper limit.

    Returns:
        low <= mean - half_width and mean + half_width <= high.
    """
    return bool(found.mean - found.half_width >= low and found.mean + found.half_width <= high)


def decide(supported: Sequence[bool]) -> Verdict:
    """The verdict, given which conditions support the claim.

    Args:
        supported: one for each condition.

    Raises:
        ValueError: there is no condition.
    """
    if not supported:
        raise ValueError("supported: got no condition, needs at least one")
    if all(supported):
        return Verdict.HOLDS
    return Verdict.CONDITIONS if any(supported) else Verdict.FAILS


NAMED = 4  # conditions that are worth naming one by one


def spread(found: Mapping[str, Interval], supported: Sequence[bool]) -> str:
    """The range of some conditions' differences, and which of them support the claim.

    Args:
        found: by condition, shares of the test images.
        supported: in the same order.

    Returns:
        Such as "-34.4 to -1.1 points; 2 of 8 conditions (layer 0, layer 1)".
    """
    means = [100 * i.mean for i in found.values()]
    names = [name for name, ok in zip(found, supported, strict=True) if ok]
    listed = f" ({', '.join(names)})" if 0 < len(names) <= min(NAMED, len(found) - 1) else ""
    return (
        f"{min(means):+.1f} to {max(means):+.1f} points; {len(names)} of {len(found)} "
        f"conditions{listed}"
    )
