"""What a device does to its cells, in three stages: programming, ageing, reading.

Each effect is one frozen module of one stage. It takes conductances of any shape [S] and the key
that is its own, `fold_in(key of the array, number of the effect)`, and gives conductances of the
same shape and dtype, never below 0. What it draws follows from key and shape alone, and enters by
reparameterisation, g + sigma(g) N(0, 1): derivatives of expected losses are those of the samples.

A new effect is one file with one class, and one entry in `xbar.devices.effects.EFFECTS`.
"""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.devices.mapping import Window

G = Float[Array, "..."]


class AbstractEffect(eqx.Module):
    """One effect of a device, of one of the stages below."""

    def __str__(self) -> str:
        """Its name and its numbers with units."""
        return f"{type(self).__name__}: {self.describe()}"

    @abc.abstractmethod
    def describe(self) -> str:
        """The law in words, with numbers and units."""


class AbstractProgramming(AbstractEffect):
    """Happens as cells are programmed: targets in, programmed conductances out."""

    @property
    @abc.abstractmethod
    def per_cycle(self) -> bool:
        """Whether each programming cycle draws anew (cycle-to-cycle, C2C).

        Else a cell keeps its draw for life (device-to-device, D2D).
        """

    @abc.abstractmethod
    def program(self, g: G, key: PRNGKeyArray, window: Window | None = None) -> G:
        """The conductances after this step of programming.

        Args:
            g: conductances that the step before asks for; the first step's are the targets.
            key: the effect's own key.
            window: of the device.

        Returns:
            Conductances, in the shape and dtype of g.
        """


class AbstractAgeing(AbstractEffect):
    """Happens in the time after programming; always from the programmed state, never in steps."""

    @abc.abstractmethod
    def age(
        self,
        g: G,
        key: PRNGKeyArray,
        seconds: Any,
        target: G | None = None,
        window: Window | None = None,
    ) -> G:
        """The conductances at a time.

        Args:
            g: as programmed, or as the effect before leaves them.
            key: the effect's own key, the same at every time.
            seconds: since programming, ().
            target: what published fits are functions of, the target conductances; None takes g.
            window: of the device.

        Returns:
            Conductances, in the shape and dtype of g.
        """


class AbstractReading(AbstractEffect):
    """Happens at each read, and is gone at the next."""

    @abc.abstractmethod
    def read(
        self,
        g: G,
        key: PRNGKeyArray,
        seconds: Any = 1.0,
        read: Any = 0,
        target: G | None = None,
    ) -> G:
        """The conductances that one read sees.

        Args:
            g: conductances at the time of the read.
            key: the effect's own key. What differs from read to read is drawn with
                `fold_in(key, read)`, what stays with the cell with `key`.
            seconds: since programming, ().
            read: number of the read, an integer ().
            target: what published fits are functions of; None takes g.

        Returns:
            Conductances, in the shape and dtype of g.
        """


def at_least_0(g: G) -> G:
    """Conductances held at 0 where a draw would take them below."""
    return jnp.maximum(g, 0)


def needs_window(effect: str, window: Window | None) -> Window:
    """The device's window, for an effect that cannot do without."""
    if window is None:
        raise ValueError(f"window: got None, needs the device's Window for {effect}")
    return window
