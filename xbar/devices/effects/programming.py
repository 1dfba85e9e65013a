"""Errors of programming: what a cell is off by, with and without verifying."""

from typing import Any, final

import jax
import jax.numpy as jnp
from jax.scipy.special import erf, erfinv
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import checked, within_unit
from xbar.devices.effects.base import AbstractProgramming, G, at_least_0
from xbar.devices.effects.spread import Spread
from xbar.devices.fits import AbstractFit, as_fit
from xbar.devices.mapping import Window
from xbar.devices.words import shown


@final
class ProgrammingError(AbstractProgramming):
    """A normal error about the target, g = mean(target) + sigma(target) N(0, 1), 0 or more.

    Cycle-to-cycle: each programming draws anew. A function of the **target** conductance.

    Args:
        sigma_g: standard deviation in siemens: a number, a fit or a function of the target.
        fraction: instead of sigma_g, of the target (0.05 is 5 %).
        mean_g: mean in siemens, a fit or a function of the target; None is the target itself.

    Raises:
        ValueError: both or neither of sigma_g and fraction, or numbers that cannot be one.
    """

    sigma: Spread
    mean_g: AbstractFit | None

    def __init__(self, sigma_g: Any = None, *, fraction: Any = None, mean_g: Any = None):
        self.sigma = Spread("ProgrammingError", sigma_g, fraction)
        self.mean_g = None if mean_g is None else as_fit(mean_g)

    @property
    def per_cycle(self) -> bool:
        """Each programming draws anew."""
        return True

    def program(self, g: G, key: PRNGKeyArray, window: Window | None = None) -> G:
        """The targets with their errors."""
        mean = g if self.mean_g is None else self.mean_g(g)
        sigma = self.sigma.at(g)
        return at_least_0(mean + sigma * jax.random.normal(key, g.shape, g.dtype))

    def describe(self) -> str:
        """The spread about the target, and the mean where it is another."""
        mean = "" if self.mean_g is None else f"; mean {self.mean_g.describe('uS')}"
        return f"normal about the target g, sigma = {self.sigma.describe()}{mean}"


@final
class WriteVerify(AbstractProgramming):
    """Program and verify: a cell is programmed again until it is near its target.

    Each pulse leaves target + sigma(target) N(0, 1). The cell is done as soon as it lies within
    `accept` of its target, or after `pulses` pulses, whatever the last one left (0 or more).

    With p = erf(a / (sqrt 2 sigma)) the chance that one pulse lands within a = accept * target, a
    cell ends within it with probability q = 1 - (1 - p)^pulses. The size of its error |e| / sigma
    then has the distribution function

        F(x) = q erf(x / sqrt 2) / p               up to a / sigma
        F(x) = 1 - (1 - q) (1 - erf(x / sqrt 2)) / (1 - p)   beyond

    whose inverse at one uniform number is drawn: as much work for any number of pulses, and
    continuous in sigma, target and accept, so that derivatives of expected losses are right.

    Cycle-to-cycle: each programming draws anew.

    Args:
        accept: largest accepted error as a fraction of the **target** conductance (0.02 is 2 %).
        pulses: most pulses that a cell gets, 1 or more.
        sigma_g: standard deviation of one pulse in siemens: a number, a fit or a function.
        fraction: instead of sigma_g, of the target.

    Raises:
        ValueError: accept is not a fraction, pulses is below 1, or sigma_g and fraction as in
            `ProgrammingError`.
    """

    accept: Float[Array, ""]
    pulses: Float[Array, ""]
    sigma: Spread

    def __init__(self, accept: Any, pulses: Any, sigma_g: Any = None, *, fraction: Any = None):
        needs = "a fraction of the target in 0..1 (0.02 is 2 %)"
        self.accept = checked("WriteVerify.accept", accept, needs, within_unit, 0)
        least = "a finite number, 1 or more"
        self.pulses = checked(
            "WriteVerify.pulses", pulses, least, lambda n: (n >= 1) & (n < jnp.inf), 0
        )
        self.sigma = Spread("WriteVerify", sigma_g, fraction)

    @property
    def per_cycle(self) -> bool:
        """Each programming draws anew."""
        return True

    def converged(self, g: G) -> G:
        """The probability that a cell ends within the accepted error.

        Args:
            g: target conductances [S].

        Returns:
            Probabilities q, in the shape of g.
        """
        p = self._one_pulse(g)[1]
        return 1 - (1 - p) ** self.pulses.astype(g.dtype)

    def _one_pulse(self, g: G) -> tuple[G, G]:
        """Standard deviation of a pulse, and the chance that one is enough."""
        sigma = self.sigma.at(g)
        some = sigma > 0
        width = self.accept.astype(g.dtype) * g / jnp.where(some, sigma, 1)
        return sigma, jnp.where(some, erf(width / 2**0.5), 1)

    def program(self, g: G, key: PRNGKeyArray, window: Window | None = None) -> G:
        """The targets with the errors that are left."""
        sigma, p = self._one_pulse(g)
        missed = (1 - p) ** self.pulses.astype(g.dtype)  # 1 - q
        signed = jax.random.uniform(key, g.shape, g.dtype, -1, 1)
        w = jnp.abs(signed)
        inside = w < 1 - missed
        within = jnp.where(inside, w, 0) * p / jnp.where(missed < 1, 1 - missed, 1)
        beyond = jnp.where(inside, 0, 1 - w) * (1 - p) / jnp.where(missed > 0, missed, 1)
        furthest = 1 - jnp.finfo(g.dtype).epsneg  # 5.4 sigma in float32: the inverse at 1 is inf
        size = 2**0.5 * erfinv(jnp.minimum(jnp.where(inside, within, 1 - beyond), furthest))
        return at_least_0(g + jnp.sign(signed) * jnp.where(sigma > 0, sigma * size, 0))

    def describe(self) -> str:
        """What is accepted, and what a pulse does."""
        return (
            f"until within {shown(100 * self.accept, '%')} of the target or for "
            f"{shown(self.pulses, '')} pulses, each normal with sigma = "
            f"{self.sigma.describe()}"
        )
