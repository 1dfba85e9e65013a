"""Published fits of conductance and time: how spread and mean move after programming."""

import abc
from collections.abc import Sequence
from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from xbar.checks import checked
from xbar.devices.fits import AbstractFit, as_fit
from xbar.devices.words import shown, shown_sum


class AbstractTimeFit(eqx.Module):
    """A number for each conductance at a time since programming: `fit(g, seconds)`."""

    @abc.abstractmethod
    def __call__(self, g: Float[Array, "..."], seconds: Float[Array, ""]) -> Float[Array, "..."]:
        """The value at each conductance.

        Args:
            g: conductances [S].
            seconds: since programming, above 0, ().

        Returns:
            Values, in the shape and dtype of g.
        """

    @abc.abstractmethod
    def describe(self) -> str:
        """The formula in words, in uS."""


@final
class LogTime(AbstractTimeFit):
    """A straight line in the logarithm of time, slope_g ln(t / 1 s) + offset_g.

    Args:
        slope_g: change for each factor of e in time, () [S].
        offset_g: value 1 s after programming, () [S].

    Raises:
        ValueError: a concrete number is not finite.
    """

    slope_g: Float[Array, ""]
    offset_g: Float[Array, ""]

    def __init__(self, slope_g: Any, offset_g: Any = 0.0):
        self.slope_g = checked("slope_g", slope_g, "a finite number [S]", np.isfinite, 0)
        self.offset_g = checked("offset_g", offset_g, "a finite number [S]", np.isfinite, 0)

    def __call__(self, g: Float[Array, "..."], seconds: Float[Array, ""]) -> Float[Array, "..."]:
        """The line at the time."""
        slope, offset, t = (x.astype(g.dtype) for x in (self.slope_g, self.offset_g, seconds))
        return jnp.broadcast_to(slope * jnp.log(t) + offset, g.shape)

    def describe(self) -> str:
        """The line."""
        offset = shown(self.offset_g, "uS", True)
        terms = [
            f"{shown(self.slope_g, 'uS', True)} ln(t / 1 s)",
            *([offset] if offset != "0" else []),
        ]
        return f"{shown_sum(terms)} uS"


@final
class SpreadAtTimes(AbstractTimeFit):
    """What a spread measured at several times adds to that at the first of them.

    Where sigma_k(g) is the standard deviation about the target at time t_k, a cell that was
    programmed with sigma_0 gets a further, independent sqrt(sigma(t)^2 - sigma_0^2), so that the
    total is the one measured. Between two times sigma^2 is a straight line in ln t; after the last
    it stays, before the first nothing is added.

    Args:
        seconds: the times since programming, two or more, rising.
        fits: sigma_k of the target conductance [S], one for each time.

    Raises:
        ValueError: times that do not rise from above 0, or another number of fits.
    """

    seconds: tuple[float, ...] = eqx.field(static=True)
    fits: tuple[AbstractFit, ...]

    def __init__(self, seconds: Sequence[float], fits: Sequence[Any]):
        self.seconds = tuple(float(t) for t in seconds)
        self.fits = tuple(as_fit(fit) for fit in fits)
        rising = all(a < b for a, b in zip((0.0, *self.seconds), self.seconds, strict=False))
        if len(self.seconds) < 2 or not rising:
            raise ValueError(f"seconds: got {self.seconds}, needs two or more times rising above 0")
        if len(self.fits) != len(self.seconds):
            raise ValueError(
                f"fits: got {len(self.fits)}, needs one for each of {len(self.seconds)} times"
            )

    def __call__(self, g: Float[Array, "..."], seconds: Float[Array, ""]) -> Float[Array, "..."]:
        """The added standard deviation at the time."""
        first, *later = (fit(g) ** 2 for fit in self.fits)
        # Nothing of the first time: what rounding would leave of it, the root would make large.
        added = jnp.maximum(jnp.stack(later) - first, 0)
        knots = jnp.log(jnp.asarray(self.seconds)).astype(g.dtype)
        weights = _weights(jnp.log(seconds).astype(g.dtype), knots)
        return _root(jnp.tensordot(weights[1:], added, axes=1))

    def describe(self) -> str:
        """The spread at each time."""
        each = [f"{t:g} s: {fit.describe('uS')}" for t, fit in zip(self.seconds, self.fits)]  # noqa: B905
        return "what the spread about the target has grown by: " + "; ".join(each)


def _weights(t: Array, knots: Array) -> Array:
    """Weights of the knots in a linear interpolation at t, held at the ends."""
    unit = jnp.eye(len(knots), dtype=knots.dtype)
    return jnp.stack([jnp.interp(t, knots, row) for row in unit])


def _root(x: Array) -> Array:
    """The square root, with derivative 0 at 0."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)
