"""Relaxation: a shift and a spread that grow in the time after programming."""

from typing import Any, final

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from xbar.devices.effects.base import AbstractAgeing, G, at_least_0
from xbar.devices.mapping import Window
from xbar.devices.time_fits import AbstractTimeFit, LogTime


@final
class Relaxation(AbstractAgeing):
    """Relaxation, g(t) = g + mean(t) + sigma(t) N(0, 1), 0 or more.

    Device-to-device: **one** draw for each cell, scaled as time goes on and never drawn again. A
    sampler that draws anew at each time gives the same spread at each, but a cell that jumps about.

    Published lines start 1 s after programming. Before that the mean does not shift, and sigma goes
    on along its line until it is 0: at 0 s nothing has changed.

    Args:
        mean: of the shift: a fit of the target conductance and time, or the two numbers of
            `LogTime`, (change for each factor of e in time, value at 1 s) [S]; None for no shift.
        sigma: its standard deviation, likewise.

    Raises:
        ValueError: numbers that are not finite, or not two.
    """

    mean: AbstractTimeFit | None
    sigma: AbstractTimeFit

    def __init__(self, mean: Any, sigma: Any):
        self.mean = None if mean is None else _as_time_fit("Relaxation.mean", mean)
        self.sigma = _as_time_fit("Relaxation.sigma", sigma)

    def age(
        self,
        g: G,
        key: PRNGKeyArray,
        seconds: Any,
        target: G | None = None,
        window: Window | None = None,
    ) -> G:
        """The conductances at a time."""
        of = g if target is None else target
        # At 0 s the logarithm is that of the smallest number, where sigma is below 0 and so none.
        t = jnp.maximum(seconds, jnp.finfo(g.dtype).tiny)
        spread = jnp.maximum(self.sigma(of, t), 0)
        shift = 0 if self.mean is None else self.mean(of, jnp.maximum(t, 1))
        shift = jnp.where(t < 1, 0, shift)
        return at_least_0(g + shift + spread * jax.random.normal(key, g.shape, g.dtype))

    def describe(self) -> str:
        """Mean and spread of the shift."""
        mean = "0" if self.mean is None else self.mean.describe()
        return f"normal shift, one draw for each device: mean {mean}; sigma {self.sigma.describe()}"


def _as_time_fit(name: str, value: Any) -> AbstractTimeFit:
    if isinstance(value, AbstractTimeFit):
        return value
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ValueError(f"{name}: got {value!r}, needs a fit, or (slope, value at 1 s) [S]")
    return LogTime(*value)
