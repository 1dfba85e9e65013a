"""Drift: conductances fall by a power law."""

from typing import Any, final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import checked, finite_above_0, finite_from_0
from xbar.devices.effects.base import AbstractAgeing, G
from xbar.devices.fits import AbstractFit, as_fit
from xbar.devices.mapping import Window
from xbar.devices.words import shown

NU, NU_SPREAD, T0 = 0.05, 0.02, 20.0
"""Defaults of the drift, from phase-change memory, where it is measured best: mean exponents of
0.049 to 0.1, a spread of 0.008 to 0.045 between devices, and 20 s from programming to the first
reading (V. Joshi et al., Nature Communications 11, 2473, 2020, in the form that aihwkit's
PCMLikeNoiseModel gives them). For ReRAM we know of no agreed law: retention losses differ by
material, and these are an option, not a fact."""


@final
class Drift(AbstractAgeing):
    """Power-law drift, g(t) = g(t0) (t / t0)^-nu, nu = max(0, Normal(mean, spread)) for each cell.

    Device-to-device: a cell's exponent is drawn once and holds at every time, so that drift from t0
    to t1 and on to t2 is drift from t0 to t2. Up to t0 a cell is as it was programmed.

    Args:
        nu: mean exponent: a number, a fit or a function of the **target** conductance; 0 for none.
        spread: standard deviation of the exponent between cells, likewise.
        t0: time since programming at which the programmed conductances were read, () [s].

    Raises:
        ValueError: a concrete number is negative or not finite, or t0 is not above 0.
    """

    nu: AbstractFit
    spread: AbstractFit
    t0: Float[Array, ""]

    def __init__(self, nu: Any = NU, spread: Any = NU_SPREAD, t0: Any = T0):
        for name, value in (("nu", nu), ("spread", spread)):
            if not isinstance(value, AbstractFit) and not callable(value):
                checked(f"Drift.{name}", value, "a finite value >= 0", finite_from_0)
        self.nu, self.spread = as_fit(nu), as_fit(spread)
        self.t0 = checked("Drift.t0", t0, "a finite time > 0 [s]", finite_above_0, 0)

    def exponents(self, g: G, key: PRNGKeyArray) -> G:
        """The exponent of each cell.

        Args:
            g: target conductances [S].
            key: JAX key.

        Returns:
            nu, 0 or more, in the shape and dtype of g.
        """
        drawn = self.nu(g) + self.spread(g) * jax.random.normal(key, g.shape, g.dtype)
        return jnp.maximum(drawn, 0)

    def age(
        self,
        g: G,
        key: PRNGKeyArray,
        seconds: Any,
        target: G | None = None,
        window: Window | None = None,
    ) -> G:
        """The conductances at a time."""
        ratio = jnp.maximum(seconds / self.t0, 1).astype(g.dtype)
        return g * ratio ** -self.exponents(g if target is None else target, key)

    def describe(self) -> str:
        """The exponent's mean and spread."""
        return (
            f"g (t / {shown(self.t0, 's')})^-nu, nu normal between devices: mean "
            f"{self.nu.describe('')}; spread {self.spread.describe('')}; 0 or more"
        )
