"""Chips of a study: what their cells are made of, by name, and how old they are.

A device is `exact`, a preset of `xbar.devices`, or effects with their sizes joined by commas, as
`levels=16, programming=0.05`. Sizes are traced: a sweep over them compiles one program.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np

from xbar.devices import (
    PRESETS,
    AbstractEffect,
    Device,
    Drift,
    FlickerNoise,
    Levels,
    Lognormal,
    ProgrammingError,
    Telegraph,
    preset,
)
from xbar.devices.mapping import Window
from xbar.nn import Network, age, program, read
from xbar.run.settings.checks import in_range, shortened, values
from xbar.run.settings.faults import check_window, window_of

EXACT = "exact"
OWN = "device"  # as a window: the device's own
DEFAULT_S = 1.0  # seconds since programming where a study does not say

# Unit and meaning of the columns that a table has where a study names devices or times.
CHIP_AXES: dict[str, tuple[str, str]] = {
    "device": ("1", "what cells are made of: exact, a preset, or effects with their sizes"),
    "seconds": ("s", "time since the chip was programmed"),
}

# What an effect is made of by its one size.
SIZED: dict[str, Callable[[Any], AbstractEffect]] = {
    "programming": lambda size: ProgrammingError(fraction=size),
    "lognormal": lambda size: Lognormal(size),
    "drift": lambda size: Drift(nu=size, spread=0.0),
    "flicker": lambda size: FlickerNoise(fraction=size),
    "telegraph": lambda size: Telegraph(size),
}
WORDS = {
    "levels": "levels=16: that many levels in the window, evenly spaced",
    "programming": "programming=0.05: standard deviation, a fraction of the target",
    "lognormal": "lognormal=0.1: sigma of ln g, a factor for each device, median 1",
    "drift": "drift=0.05: exponent of a power of time, the same for all cells",
    "flicker": "flicker=0.01: 1/f noise of each read, a fraction of g",
    "telegraph": "telegraph=0.1: depth of random telegraph noise, half of the time",
}
"""Effects that a study can name with a size, and what the size is."""


class Kind(NamedTuple):
    """What a device is but for the sizes of its effects; hashable.

    Args:
        preset: name of one; "" for effects.
        effects: their names in order, one of `SIZED` each, or "levels" with its number.
    """

    preset: str = ""
    effects: tuple[tuple[str, int], ...] = ()


def parsed(name: str) -> tuple[Kind, tuple[float, ...]]:
    """A device's name as its kind and the sizes of its effects.

    Raises:
        ValueError: it is none.
    """
    if name == EXACT:
        return Kind(), ()
    if name in PRESETS:
        return Kind(name), ()
    effects, sizes = [], []
    for part in name.split(","):
        word, equals, text = (piece.strip() for piece in part.partition("="))
        if word not in WORDS or not equals:
            known = ", ".join((EXACT, *PRESETS))
            examples = ", ".join(f"{word}=SIZE" for word in WORDS)
            raise ValueError(f"got {shortened(repr(name))}, needs one of {known}, or {examples}")
        try:
            size = int(text) if word == "levels" else float(text)
        except ValueError:
            raise ValueError(f"got {shortened(repr(part.strip()))}, needs a number") from None
        effects.append((word, int(size) if word == "levels" else 0))
        sizes += [] if word == "levels" else [float(size)]
    return Kind("", tuple(effects)), tuple(sizes)


def made(kind: Kind, sizes: Any) -> Device:
    """The device, of ohmic cells: laws of cells are not a device's here.

    Args:
        kind: from `parsed`.
        sizes: likewise, or traced.

    Raises:
        ValueError: a concrete size that its effect cannot have.
    """
    if kind.preset:
        found = preset(kind.preset)
        return Device(found.effects, found.window, None, found.about)
    left = iter(sizes)
    effects = [Levels(n) if word == "levels" else SIZED[word](next(left))
               for word, n in kind.effects]  # fmt: skip
    return Device(effects, None)


def window_for(window: str, device: str = EXACT) -> Window:
    """A window by its name; "device" is the device's own, or the default where it has none."""
    if window != OWN:
        return window_of(window)
    own = made(*parsed(device)).window
    return Window.preset() if own is None else own


def limits(window: str, device: str = EXACT) -> tuple[float, float]:
    """Smallest and largest conductance of a window [S]."""
    found = window_for(window, device)
    return float(found.g_min), float(found.g_max)


def limits_of(rows: Mapping[str, np.ndarray], column: str) -> np.ndarray:
    """The windows that a column of a study's table names, (rows, 2) [S]."""
    names = rows[column].tolist()
    devices = rows["device"].tolist() if "device" in rows else [EXACT] * len(names)
    known = {pair: limits(*pair) for pair in {*zip(names, devices, strict=True)}}
    return np.array([known[pair] for pair in zip(names, devices, strict=True)])


def kinds_of(rows: Mapping[str, np.ndarray]) -> list[Kind]:
    """The kind of device of each row; rows of one kind share a program."""
    if "device" not in rows:
        return [Kind()] * len(rows["seed"])
    known = {name: parsed(name)[0] for name in {*rows["device"].tolist()}}
    return [known[name] for name in rows["device"].tolist()]


def ages_of(rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What differs between rows of one kind: sizes of effects (rows, n), seconds (rows,) [s]."""
    count = len(rows["seed"])
    names = rows["device"].tolist() if "device" in rows else [EXACT] * count
    sizes = [parsed(name)[1] for name in names]
    seconds = rows.get("seconds", np.full(count, DEFAULT_S))
    return {"sizes": np.array(sizes, float).reshape(count, -1), "seconds": seconds}


def as_chip(network: Network, key: jax.Array, seconds: Any) -> Network:
    """One chip of a network as one read sees it; its cells have no device any more.

    So all networks of a study are of one structure, and none is programmed twice.
    """
    if all(layer.device is None for layer in network.layers):
        return network
    seen = read(age(program(network, key), key, seconds), key, seconds)
    layers = tuple(replace(layer, device=None, targets=None) for layer in seen.layers)
    return replace(seen, layers=layers)


def check_chips(device: Any, seconds: Any, windows: tuple[str, ...]) -> Iterator[str]:
    """Devices that there are, and windows and times that they hold for.

    Args:
        device: of a study's circuit, one or several; None is exact.
        seconds: likewise [s].
        windows: by name.
    """
    names = (EXACT,) if device is None else values(device)
    times = () if seconds is None else values(seconds)
    found: list[str] = []
    devices: dict[str, Device] = {}
    for number, name in enumerate(names):
        try:
            devices[name] = made(*parsed(name))
        except ValueError as error:
            found.append(f"circuit.device[{number}]: {error}")
    for number, t in enumerate(times):
        fits = 0 <= t < float("inf")
        found += in_range(f"circuit.seconds[{number}]", t, fits, "a finite time >= 0 [s]")
    yield from found
    known = [name for name in windows if name == OWN or not list(check_window("", name))]
    if not found:
        for name, one in devices.items():
            yield from _check_range(name, one, times, known)


def _check_range(
    name: str, device: Device, times: tuple[Any, ...], windows: list[str]
) -> Iterator[str]:
    """Windows and times that a device was not measured in."""
    for window in windows:
        try:
            device.within(window_for(window, name))
        except ValueError as error:
            yield f'circuit.window: {error}; window = "{OWN}" takes its own'
    last = device.about.last
    for number, t in enumerate(times):
        if last is not None and t > last:
            needs = f"at most {last:g} s, the last time that {name} was measured at"
            yield f"circuit.seconds[{number}]: got {t:g}, needs {needs}"
