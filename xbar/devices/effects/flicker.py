"""Flicker noise: 1/f noise of a read, stronger the longer ago a cell was programmed."""

from typing import Any, final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import checked, finite_above_0
from xbar.devices.effects.base import AbstractReading, G, at_least_0
from xbar.devices.effects.spread import Spread
from xbar.devices.words import shown

T_READ = 250e-9
"""Default time of a read, that of the phase-change memory whose 1/f noise was measured."""


@final
class FlickerNoise(AbstractReading):
    """1/f noise since programming, g + sigma sqrt(ln((t + t_read) / (2 t_read))) N(0, 1).

    The integral of 1/f from the inverse of the time since programming to that of the read.
    Independent from read to read; the conductance read is 0 or more; none up to t = t_read.

    Args:
        sigma_g: amplitude in siemens: a number, a fit or a function of the **target** conductance.
        fraction: instead of sigma_g, of the conductance **at the time of the read**: a number (0.02
            is 2 %), a fit or a function of the target, often written Q.
        t_read: time that a read takes, () [s].

    Raises:
        ValueError: both or neither of sigma_g and fraction, or numbers that cannot be one.
    """

    amplitude: Spread
    t_read: Float[Array, ""]

    def __init__(self, sigma_g: Any = None, *, fraction: Any = None, t_read: Any = T_READ):
        self.amplitude = Spread("FlickerNoise", sigma_g, fraction)
        self.t_read = checked("FlickerNoise.t_read", t_read, "a time > 0 [s]", finite_above_0, 0)

    def sigma(self, g: G, seconds: Any, target: G | None = None) -> G:
        """Standard deviation of a read.

        Args:
            g: conductances at the time of the read [S].
            seconds: since programming, ().
            target: target conductances; None takes g.

        Returns:
            Standard deviations, in the shape of g [S].
        """
        t_read = self.t_read.astype(g.dtype)
        octaves = jnp.log((seconds + t_read) / (2 * t_read)).astype(g.dtype)
        grown = jnp.where(octaves > 0, jnp.sqrt(jnp.where(octaves > 0, octaves, 1)), 0)
        return self.amplitude.at(g if target is None else target, g) * grown

    def read(
        self,
        g: G,
        key: PRNGKeyArray,
        seconds: Any = 1.0,
        read: Any = 0,
        target: G | None = None,
    ) -> G:
        """The conductances with the noise of one read."""
        noise = jax.random.normal(jax.random.fold_in(key, read), g.shape, g.dtype)
        return at_least_0(g + self.sigma(g, seconds, target) * noise)

    def describe(self) -> str:
        """The amplitude and how it grows."""
        t, size = shown(self.t_read, "s"), self.amplitude.describe()
        return f"1/f noise of each read, sigma = ({size}) sqrt(ln((t + {t}) / (2 x {t})))"
