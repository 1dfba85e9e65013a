"""Wear: cells that stick as time goes on."""

from typing import Any, final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from xbar.checks import checked, finite_above_0, is_concrete
from xbar.devices.effects.base import AbstractAgeing, G, needs_window
from xbar.devices.effects.drift import T0
from xbar.devices.mapping import Window
from xbar.devices.words import shown

RATE = 0.0005
"""Default share of the healthy cells that stick-on, and as many that stick-off, in each decade of
time. Nothing published fixes it: after seven decades 0.7 % of the cells are stuck."""


@final
class Wear(AbstractAgeing):
    """Cells that stick as time goes on, each with the same probability in every decade.

    P(cell not stuck by t) = (1 - rate_on - rate_off)^log10(t / t0). Nothing published fixes a law,
    and one probability per decade is the plainest that spreads faults over the whole life: with one
    per second nearly all would come in the last decade. Stuck cells are at the window's g_max
    ("on") or g_min ("off"). In a device, wear comes after what drifts.

    Args:
        rate_on: share of the cells not yet stuck that stick-on in a decade of time, ().
        rate_off: share that sticks-off, (); the two add up to less than 1.
        t0: time since programming at which none has stuck yet, () [s].

    Raises:
        ValueError: a concrete rate is outside 0..1, their sum is not below 1, or t0 is not above 0.
    """

    rate_on: Float[Array, ""]
    rate_off: Float[Array, ""]
    t0: Float[Array, ""]

    def __init__(self, rate_on: Any = RATE, rate_off: Any = RATE, t0: Any = T0):
        def fits(rate: Any) -> Any:
            return (rate >= 0) & (rate < 1)

        self.rate_on = checked("Wear.rate_on", rate_on, "a value in 0..1, 1 excluded", fits, 0)
        self.rate_off = checked("Wear.rate_off", rate_off, "a value in 0..1, 1 excluded", fits, 0)
        if is_concrete(rate_on, rate_off) and not float(rate_on) + float(rate_off) < 1:
            raise ValueError(
                f"Wear.rate_off: got {rate_off}, needs less than 1 with rate_on, {rate_on}"
            )
        self.t0 = checked("Wear.t0", t0, "a finite time > 0 [s]", finite_above_0, 0)

    def stuck(
        self, decades: Float[Array, ""], shape: tuple[int, ...], key: PRNGKeyArray
    ) -> tuple[Bool[Array, "*cells"], Bool[Array, "*cells"]]:
        """Which cells are stuck by a time; with one key, those of an earlier time are among them.

        Args:
            decades: log10(t / t0), ().
            shape: of the cells.
            key: JAX key.

        Returns:
            Cells stuck-on and cells stuck-off, in the shape.
        """
        when, how = jax.random.split(key)
        rate = self.rate_on + self.rate_off
        # A uniform draw u is what is left of the cells when this one sticks: stuck once S(t) <= u.
        stuck = (1 - rate) ** decades <= jax.random.uniform(when, shape, rate.dtype)
        share_on = self.rate_on / jnp.where(rate > 0, rate, 1)
        on = jax.random.uniform(how, shape, rate.dtype) < share_on
        return stuck & on, stuck & ~on

    def age(
        self,
        g: G,
        key: PRNGKeyArray,
        seconds: Any,
        target: G | None = None,
        window: Window | None = None,
    ) -> G:
        """The conductances at a time, with the cells stuck by then."""
        window = needs_window("Wear", window)
        ratio = jnp.maximum(seconds / self.t0, 1).astype(g.dtype)
        on, off = self.stuck(jnp.log10(ratio), g.shape, key)
        g_min, g_max = window.g_min.astype(g.dtype), window.g_max.astype(g.dtype)
        return jnp.where(on, g_max, jnp.where(off, g_min, g))

    def describe(self) -> str:
        """The shares that stick."""
        on, off = (shown(100 * rate, "%") for rate in (self.rate_on, self.rate_off))
        after = f"in each decade after {shown(self.t0, 's')}"
        return f"{on} of the cells stick-on and {off} stick-off {after}"
