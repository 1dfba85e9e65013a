"""What a study may call a fault, a window and a stuck value, and all of them in words.

Faults of cells are those of `xbar.devices.FAULTS`, faults of lines those of `xbar.nn.broken_lines`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from xbar.checks import resistance
from xbar.devices import FAULTS as CELL_FAULTS
from xbar.devices import PLACEMENTS, AbstractFault
from xbar.devices.faults import StuckDraw
from xbar.devices.mapping import WINDOWS, Window
from xbar.io.maps import MAP, UNITS
from xbar.nn.broken_lines import LINE_FAULTS
from xbar.run.settings.checks import has_conductance, in_range, one_of, shortened

FAULTS = (*CELL_FAULTS, *LINE_FAULTS)
DRAWN = get_args(StuckDraw)

_WHAT = {name: kind.what for name, kind in CELL_FAULTS.items()} | LINE_FAULTS


def drawn_if_none(fault: str) -> str:
    """What `stuck` is where a study does not say."""
    if fault in LINE_FAULTS:
        return "open" if fault.startswith("open") else "0"
    return CELL_FAULTS[fault].default


def stuck_value(fault: str, stuck: str | None) -> str | float:
    """Where cells are stuck: a word, or a conductance [S].

    Args:
        fault: one of `FAULTS`.
        stuck: "on", "off", "random", "uniform", a resistance [ohm] as text; None is "on", or
            "random" for unequal cells. No line fault is asked for here.

    Returns:
        What the faults of `xbar.devices` take.
    """
    stuck = drawn_if_none(fault) if stuck is None else stuck
    return stuck if stuck in ("on", "off", *DRAWN) else 1 / resistance(stuck)


def make_fault(fault: str, value: Any) -> AbstractFault:
    """The fault of that name; `value` as `stuck_value` gives it, or a traced conductance [S]."""
    return CELL_FAULTS[fault].make(value)


def window_of(name: str) -> Window:
    """A window by its preset's name, or from "R_ON:R_OFF" [ohm]."""
    if name in WINDOWS:
        return Window.preset(name)
    r_on, _, r_off = name.partition(":")
    return Window.from_resistances(resistance(r_on), resistance(r_off))


def in_words(fault: str) -> str:
    """What is stuck."""
    return _WHAT[fault].rstrip(",")


def describe(
    shape: str, coverage: float | int, fault: str, stuck: str | None, stuck_window: str | None
) -> str:
    """A defect in words."""
    if fault == MAP:
        return f"the measured chip of {stuck}"
    if fault in LINE_FAULTS:
        ohms = f" by {stuck or '0'} ohm" if fault.startswith("bridged") else ""
        return f"{shape} over {coverage:.0%} of the array, {_WHAT[fault]}{ohms}"
    value = stuck_value(fault, stuck)
    at = f"stuck at {stuck} ohm" if isinstance(value, float) else f"stuck-{value}"
    if value in DRAWN:
        at = f"stuck at values drawn {value}ly"
    if stuck_window:
        at += f" (window {stuck_window})"
    return f"{shape} over {coverage:.0%} of the array, {_WHAT[fault]} {at}"


def check_window(name: str, value: str) -> Iterator[str]:
    """A preset's name or "R_ON:R_OFF"."""
    r_on, _, r_off = value.partition(":")
    on, off = resistance(r_on), resistance(r_off)
    if value not in WINDOWS and not (has_conductance(on) and has_conductance(off) and on < off):
        yield (
            f"{name}: got {shortened(repr(value))}, needs one of {', '.join(WINDOWS)}, or "
            "R_ON:R_OFF in ohm with 0 < R_ON < R_OFF, such as 1e4:1e6 or 10k:1M"
        )


def check_coverage(name: str, shape: str, coverage: float | int) -> Iterator[str]:
    """A coverage that the shape can have."""
    if shape in PLACEMENTS:
        least, most = PLACEMENTS[shape].least, PLACEMENTS[shape].most
        needs = f"{least:.3g} to {most:.3g} for {shape}"
        yield from in_range(name, coverage, least <= coverage <= most, needs)


def check_stuck(name: str, fault: str, stuck: str | None) -> Iterator[str]:
    """A stuck value that the fault can have; of bridges, their resistance."""
    if stuck is not None and fault in LINE_FAULTS:
        if fault.startswith("open"):
            yield from one_of(f"{name} (with fault {fault})", stuck, ("open",))
        else:
            fits = 0 <= resistance(stuck) < float("inf")
            yield from in_range(name, stuck, fits, "a finite resistance >= 0 [ohm] of the bridges")
        return
    if stuck is None or stuck in DRAWN:
        return
    kind = CELL_FAULTS.get(fault)
    if kind is not None and "value" not in kind.values:
        yield from one_of(f"{name} (with fault {fault})", stuck, kind.values)
    elif stuck not in ("on", "off"):
        needs = "on, off, random, uniform or a resistance above 0 [ohm]"
        yield from in_range(name, stuck, has_conductance(resistance(stuck)), needs)


def check_map(
    place: str, file: str | None, unit: str | None, given: Mapping[str, Any], own: Mapping[str, Any]
) -> Iterator[str]:
    """A measured chip, beside which nothing else says what is where.

    Args:
        place: of the settings.
        file: of the map; None is no map.
        unit: of its values, if it is said.
        given: the settings that the map stands for.
        own: their defaults.
    """
    if file is None:
        yield from in_range(f"{place}.map_unit", unit, unit is None, f"{place}.map beside it")
        return
    if unit is not None:
        yield from one_of(f"{place}.map_unit", unit, UNITS)
    for name, value in given.items():
        same = value in (own[name], (own[name],))
        yield from in_range(
            f"{place}.{name}", value, same, "none beside map, whose file says what is where"
        )


def check_units(maps: Sequence[tuple[str | None, str | None]]) -> Iterator[str]:
    """One unit for each file of measured chips: circuits are told apart by the file.

    Args:
        maps: file and unit of each of a study's defects; None where there is none.
    """
    for number, (file, unit) in enumerate(maps):
        first = next(unit for other, unit in maps if other == file)
        fits, needs = file is None or unit == first, f"the unit named before for {file}, {first}"
        yield from in_range(f"defects[{number}].map_unit", unit, fits, needs)
