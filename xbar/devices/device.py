"""A device: the effects that its cells have, programmed once per chip, aged, and read.

    targets --program(key)--> programmed --age(key, seconds)--> aged --read(key, read)--> seen

One key is one chip: give the same to all three. Effect number k of the device draws with
`fold_in(key, k)`; what is drawn anew at each programming folds in the cycle, what is drawn anew at
each read its number. So a chip is the same at every time, and its cells keep what is theirs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from xbar.checks import checked, finite_from_0, is_concrete
from xbar.devices.effects import (
    AbstractAgeing,
    AbstractEffect,
    AbstractProgramming,
    AbstractReading,
)
from xbar.devices.faults import AbstractFault
from xbar.devices.law import CellLaw
from xbar.devices.mapping import Pairs, Window
from xbar.devices.words import shown, shown_ends
from xbar.programs import program

# Rounding may carry a target this much of the range's upper end past an end of it (float32: 1e-7).
BEYOND = 1e-6


@dataclass(frozen=True)
class About:
    """What a device is, where its numbers come from, and where they hold.

    Args:
        name: of the device, for messages.
        what: it is, in a line.
        source: of its numbers.
        g_range: target conductances that its fits hold for, (least, largest) [S]; None for any.
        last: latest time since programming that they hold for [s]; None for any.
        notes: its defaults, and what else a reader should know, a line each.
    """

    name: str = "device"
    what: str = "a device of your own"
    source: str = "you"
    g_range: tuple[float, float] | None = None
    last: float | None = None
    notes: tuple[str, ...] = ()


@final
class Device(eqx.Module):
    """What the cells of an array are made of: effects, a window, and a current-voltage law.

    Conductances may be an array of any shape, or `Pairs`, of which the plus cells come first. With
    no effect a device is perfect. Everything may be traced and batched: draw many chips with
    `jax.vmap(lambda key: device.program(g, key))(keys)`.

    ```python
    device = Device([Levels(16), ProgrammingError(fraction=0.05), StuckCells(0.01, 0.09)], window)
    ```

    Args:
        effects: of programming, ageing and reading in the order in which they happen; faults
            (`StuckCells`, or another with `Defect`) come last whatever their place, and what is
            stuck neither drifts nor relaxes.
        window: in which cells are programmed; `Levels`, `Wear` and faults need it.
        law: current-voltage law of the cells; None for ohmic ones.
        about: where its numbers come from and hold.

    Raises:
        TypeError: something that is no effect, or no window.
    """

    effects: tuple[AbstractEffect, ...]
    window: Window | None
    law: CellLaw | None = eqx.field(static=True)
    about: About = eqx.field(static=True)

    def __init__(
        self,
        effects: Sequence[AbstractEffect] = (),
        window: Window | None = None,
        law: CellLaw | None = None,
        about: About | None = None,
    ):
        for number, effect in enumerate(effects):
            if not isinstance(effect, AbstractEffect):
                raise TypeError(
                    f"Device.effects[{number}]: got {type(effect).__name__}, needs an effect or "
                    "fault of xbar.devices"
                )
        if window is not None and not isinstance(window, Window):
            raise TypeError(f"Device.window: got {type(window).__name__}, needs xbar.Window")
        self.effects, self.window, self.law = tuple(effects), window, law
        self.about = About() if about is None else about

    def within(self, window: Window) -> "Device":
        """The same device programmed in another window, which its levels and faults then take.

        Args:
            window: inside the range of targets that the device holds for.

        Returns:
            The device.

        Raises:
            ValueError: a concrete end of the window outside that range.
        """
        for name in ("g_min", "g_max"):
            self._check_range(f"window.{name}", getattr(window, name), self.about.g_range)
        return Device(self.effects, window, self.law, self.about)

    def program(self, g_target: Any, key: PRNGKeyArray, *, cycle: Any = 0) -> Any:
        """The conductances after programming.

        Args:
            g_target: target conductances [S], or pairs.
            key: JAX key of the chip.
            cycle: number of the programming, an integer (): another one draws errors of programming
                (cycle-to-cycle) anew, while the cells keep what is theirs (device-to-device).

        Returns:
            Programmed conductances [S] in the shape and dtype of the targets, or pairs.

        Raises:
            ValueError: a concrete target outside the range that the device holds for, or illegal.
                A traced one becomes NaN.
        """
        g, back = _cells("g_target", g_target)
        self._check_range("g_target", g, self.about.g_range)
        return back(_program(self, g, key, jnp.asarray(cycle)))

    def age(self, g_programmed: Any, key: PRNGKeyArray, seconds: Any, g_target: Any = None) -> Any:
        """The conductances at a time, always from the programmed ones.

        Published fits are no increments: ageing an aged chip again is not what they describe.

        Args:
            g_programmed: as `program` gave them [S], or pairs.
            key: JAX key of the chip: that of `program`, the same at every time.
            seconds: since programming, () [s].
            g_target: the targets, of which published fits are functions; None takes g_programmed.

        Returns:
            Conductances at that time [S], in the shape and dtype of g_programmed, or pairs.

        Raises:
            ValueError: a concrete time that is negative or past the last that the device holds
                for, or another shape of targets. A traced time past the last gives NaN.
        """
        g, back = _cells("g_programmed", g_programmed)
        target = _as("g_target", g_target, g)
        return back(_age(self, g, key, self._time(seconds), target))

    def read(
        self, g: Any, key: PRNGKeyArray, seconds: Any = 1.0, read: Any = 0, g_target: Any = None
    ) -> Any:
        """The conductances that one read sees.

        Args:
            g: at the time of the read [S], or pairs.
            key: JAX key of the chip.
            seconds: since programming, () [s].
            read: number of the read, an integer (); each is independent of the others.
            g_target: the targets, of which published fits are functions; None takes g.

        Returns:
            Conductances [S] in the shape and dtype of g, or pairs.

        Raises:
            ValueError: as `age`.
        """
        cells, back = _cells("g", g)
        target = _as("g_target", g_target, cells)
        return back(_read(self, cells, key, self._time(seconds), jnp.asarray(read), target))

    def cells(self, g: Any, g_target: Any = None) -> Any:
        """Cells of these conductances with the device's current-voltage law.

        Args:
            g: conductances, (rows, cols) [S]; what they mean is said by `print(device)`.
            g_target: the targets. With them the range that the law was fitted for is that of the
                targets, and what errors of programming took past its ends keeps the nonlinearity of
                the nearer end; without them it is that of g itself.

        Returns:
            A law of `xbar.cells`.

        Raises:
            ValueError: the device has no law, or a concrete conductance outside its range. A traced
                one becomes NaN.
        """
        if self.law is None:
            raise ValueError(
                f"cells: got device {self.about.name!r}, whose cells are ohmic; needs one with a "
                "current-voltage law, or take the conductances themselves"
            )
        cells, _ = _cells("g", g)
        name = "g" if g_target is None else "g_target"
        of = _as("g_target", g_target, cells)
        self._check_range(name, of, self.law.g_range)
        low, high = self.law.g_range
        marked = jnp.where(_within(of, self.law.g_range), cells, jnp.nan)
        return self.law.build(marked, jnp.clip(of, low, high))

    def _check_range(self, name: str, g: Array, g_range: tuple[float, float] | None) -> None:
        if g_range is None or not is_concrete(g):
            return
        known = np.asarray(g, float)
        bad = np.atleast_1d(known)[~np.atleast_1d(_within(known, g_range))]
        if bad.size:
            raise ValueError(
                f"{name}: got {shown(bad[0], 'uS')}, needs {shown_ends(*g_range, 'uS')}, the range "
                f"that device {self.about.name!r} was measured in"
            )

    def _time(self, seconds: Any) -> Float[Array, ""]:
        last = self.about.last
        t = checked("seconds", seconds, "a finite time >= 0 [s]", finite_from_0, 0)
        if last is not None and is_concrete(seconds) and float(np.asarray(seconds)) > last:
            raise ValueError(
                f"seconds: got {seconds}, needs at most {last:g} s, the last time that device "
                f"{self.about.name!r} was measured at"
            )
        return t

    def __str__(self) -> str:
        """The device for a reader: ranges, laws with units, source."""
        about = self.about
        targets = "any" if about.g_range is None else shown_ends(*about.g_range, "uS")
        until = "any" if about.last is None else f"up to {about.last:g} s"
        lines = [
            f"{about.name}: {about.what}",
            f"  targets: {targets}",
            f"  time since programming: {until}",
            *(f"  {type(e).__name__}: {e.describe()}" for e in self.effects),
            f"  cells: {'ohmic' if self.law is None else self._law_text()}",
            *(f"  note: {note}" for note in about.notes),
            f"  source: {about.source}",
        ]
        return "\n".join(lines)

    def _law_text(self) -> str:
        assert self.law is not None
        return f"{self.law.text}, for {shown_ends(*self.law.g_range, 'uS')}"


@program(eqx.filter_jit)
def _program(device: Device, g: Array, key: PRNGKeyArray, cycle: Array) -> Array:
    g = jnp.where(_within(g, device.about.g_range), g, jnp.nan)
    for number, effect in enumerate(device.effects):
        if isinstance(effect, AbstractProgramming):
            own = jax.random.fold_in(key, number)
            own = jax.random.fold_in(own, cycle) if effect.per_cycle else own
            g = effect.program(g, own, device.window)
    for sticks, value in _stuck(device, g, key):
        g = jnp.where(sticks, value, g)
    return g


@program(eqx.filter_jit)
def _age(device: Device, g: Array, key: PRNGKeyArray, seconds: Array, target: Array) -> Array:
    aged = g
    for number, effect in enumerate(device.effects):
        if isinstance(effect, AbstractAgeing):
            own = jax.random.fold_in(key, number)
            aged = effect.age(aged, own, seconds, target, device.window)
    for sticks, _ in _stuck(device, g, key):
        aged = jnp.where(sticks, g, aged)
    last = device.about.last
    return aged if last is None else jnp.where(seconds <= last, aged, jnp.nan)


@program(eqx.filter_jit)
def _read(
    device: Device, g: Array, key: PRNGKeyArray, seconds: Array, read: Array, target: Array
) -> Array:
    for number, effect in enumerate(device.effects):
        if isinstance(effect, AbstractReading):
            g = effect.read(g, jax.random.fold_in(key, number), seconds, read, target)
    return g


def _stuck(device: Device, g: Array, key: PRNGKeyArray) -> list[tuple[Bool[Array, "..."], Array]]:
    """Which cells each fault sticks, and at what: the same at every time."""
    return [
        effect.stuck(g.shape, g.dtype, device.window, jax.random.fold_in(key, number))
        for number, effect in enumerate(device.effects)
        if isinstance(effect, AbstractFault)
    ]


def _within(g: Any, g_range: tuple[float, float] | None) -> Any:
    """Elementwise: inside the range, up to rounding."""
    if g_range is None:
        return True
    low, high = g_range
    return (g >= low - BEYOND * high) & (g <= high * (1 + BEYOND))


def _cells(name: str, g: Any) -> tuple[Array, Callable[[Array], Any]]:
    """Conductances as one array, and the way back to what they came as."""
    if isinstance(g, Pairs):
        return jnp.stack([g.g_plus, g.g_minus]), lambda cells: Pairs(*cells)
    return checked(name, g, "finite conductances >= 0 [S]", finite_from_0), lambda cells: cells


def _as(name: str, g: Any, like: Array) -> Array:
    """Targets that belong to conductances; None stands for these themselves."""
    if g is None:
        return like
    cells, _ = _cells(name, g)
    if cells.shape != like.shape:
        raise ValueError(f"{name}: got shape {cells.shape}, needs {like.shape}")
    return cells.astype(like.dtype)
