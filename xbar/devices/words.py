"""Numbers and units in the words that a device prints of itself."""

from typing import Any

import numpy as np

from xbar.checks import is_concrete


def shown(value: Any, unit: str, bare: bool = False) -> str:
    """A number for a reader; what is traced as "(traced)".

    Args:
        value: a number, or an array, whose range is shown.
        unit: "uS" for a value in siemens, which is shown in uS; another is written as it is.
        bare: leave the unit out.

    Returns:
        Up to six digits, and the unit.
    """
    if not is_concrete(value):
        return "(traced)"
    numbers = np.asarray(value, float) * (1e6 if unit == "uS" else 1)
    ends = sorted({f"{numbers.min():.6g}", f"{numbers.max():.6g}"}, key=float)
    return " to ".join(ends) + ("" if bare else shown_unit(unit))


def shown_unit(unit: str) -> str:
    """The unit after a number."""
    return f" {unit}" if unit else ""


def shown_ends(low: Any, high: Any, unit: str) -> str:
    """A range with its unit."""
    return f"{shown(low, unit, True)} to {shown(high, unit)}"


def shown_limits(low: Any, high: Any, unit: str) -> str:
    """The ends of a value that is held between them, as far as there are any."""
    least = [f"at least {shown(low, unit)}"] if finite(low) else []
    most = [f"at most {shown(high, unit)}"] if finite(high) else []
    return "".join(f", {end}" for end in (*least, *most))


def shown_sum(terms: list[str]) -> str:
    """Terms of a sum, with their signs."""
    return " + ".join(terms).replace("+ -", "- ")


def finite(value: Any) -> bool:
    """Whether a number is finite, or may be."""
    return not is_concrete(value) or bool(np.isfinite(np.asarray(value)))
