"""What a study may call a fault, where cells may be stuck, and both in words."""

from collections.abc import Collection, Iterator
from typing import Any

from xbar.devices import PLACEMENTS, AbstractFault, StuckMinus, StuckPair, StuckPlus, StuckUnequal
from xbar.devices.mapping import WINDOWS, Window

FAULTS = ("pair", "plus", "minus", "unequal", "unequal-columns")
DRAWN = ("random", "uniform")

_WHAT = {
    "pair": "both cells of a pair",
    "plus": "the plus cell of a pair",
    "minus": "the minus cell of a pair",
    "unequal": "the two cells of a pair unequally",
    "unequal-columns": "the two cells of a pair unequally, alike down a column,",
}


def stuck_value(fault: str, stuck: str | None) -> str | float:
    """Where cells are stuck: a word, or a conductance [S].

    Args:
        fault: one of `FAULTS`.
        stuck: "on", "off", "random", "uniform", a resistance [ohm] as text; None is "on", or
            "random" for unequal cells.

    Returns:
        What the faults of `xbar.devices` take.
    """
    if stuck is None:
        return "random" if fault.startswith("unequal") else "on"
    return stuck if stuck in ("on", "off", *DRAWN) else 1 / _number(stuck)


def make_fault(fault: str, value: Any) -> AbstractFault:
    """The fault of that name; `value` as `stuck_value` gives it, or a traced conductance [S]."""
    if fault.startswith("unequal"):
        return StuckUnequal(str(value), "column" if fault == "unequal-columns" else "cell")
    return {"pair": StuckPair, "plus": StuckPlus, "minus": StuckMinus}[fault](value)


def window_of(name: str) -> Window:
    """A window by its preset's name, or from "R_ON:R_OFF" [ohm]."""
    if name in WINDOWS:
        return Window.preset(name)
    r_on, _, r_off = name.partition(":")
    return Window.from_resistances(float(r_on), float(r_off))


def describe(
    shape: str, coverage: float | int, fault: str, stuck: str | None, stuck_window: str | None
) -> str:
    """A defect in words."""
    value = stuck_value(fault, stuck)
    at = f"stuck at {stuck} ohm" if isinstance(value, float) else f"stuck-{value}"
    if value in DRAWN:
        at = f"stuck at values drawn {value}ly"
    if stuck_window:
        at += f" (window {stuck_window})"
    return f"{shape} over {coverage:.0%} of the array, {_WHAT[fault]} {at}"


# --- checks: each yields what is wrong, the setting's name first ------------------------------


def one_of(name: str, value: str, known: Collection[str]) -> Iterator[str]:
    """A word that has to be known."""
    if value not in known:
        yield f"{name}: got {value!r}, needs one of {', '.join(known)}"


def in_range(name: str, value: Any, fits: bool, needs: str) -> Iterator[str]:
    """A number that has to fit."""
    if not fits:
        yield f"{name}: got {value}, needs {needs}"


def check_window(name: str, value: str) -> Iterator[str]:
    """A preset's name or "R_ON:R_OFF"."""
    if value in WINDOWS:
        return
    r_on, colon, r_off = value.partition(":")
    if not colon or not 0 < _number(r_on) < _number(r_off):
        yield (
            f"{name}: got {value!r}, needs one of {', '.join(WINDOWS)}, or R_ON:R_OFF in ohm with "
            "0 < R_ON < R_OFF"
        )


def check_coverage(name: str, shape: str, coverage: float | int) -> Iterator[str]:
    """A coverage that the shape can have."""
    if shape in PLACEMENTS:
        least, most = PLACEMENTS[shape].least, PLACEMENTS[shape].most
        needs = f"{least:.3g} to {most:.3g} for {shape}"
        yield from in_range(name, coverage, least <= coverage <= most, needs)


def check_stuck(name: str, fault: str, stuck: str | None) -> Iterator[str]:
    """A stuck value that the fault can have."""
    if stuck is None or stuck in DRAWN:
        return
    if fault.startswith("unequal"):
        yield from one_of(f"{name} (with fault {fault})", stuck, DRAWN)
    elif stuck not in ("on", "off"):
        needs = "on, off, random, uniform or a resistance above 0 [ohm]"
        yield from in_range(name, stuck, 0 < _number(stuck) < float("inf"), needs)


def _number(text: str) -> float:
    """The number, or NaN, which no range accepts."""
    try:
        return float(text)
    except ValueError:
        return float("nan")
