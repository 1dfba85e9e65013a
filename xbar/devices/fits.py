"""Published fits: a number that depends on a cell's conductance.

Papers give the spread of programming errors, exponents of drift and amplitudes of read noise as
small formulas of the conductance. Each formula is one class here; an effect takes a number, a fit
or a plain function of the conductance wherever a fit may stand (`as_fit`).

Conductances go in, and come out where the value is one, in siemens. What a fit is a function of,
the *target* or the *programmed* conductance, is said by the effect that holds it.
"""

import abc
from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from xbar.checks import checked, finite_above_0, finite_from_0, is_concrete
from xbar.devices.words import shown, shown_limits, shown_sum, shown_unit

# x = g / g_ref below this counts as this, so that logarithms and powers of an open cell are finite.
# Every published fit here is at its upper or lower limit long before.
LEAST = 1e-7


class AbstractFit(eqx.Module):
    """A number for each conductance: `fit(g)`, in g's shape and dtype."""

    @abc.abstractmethod
    def __call__(self, g: Float[Array, "..."]) -> Float[Array, "..."]:
        """The value at each conductance.

        Args:
            g: conductances [S].

        Returns:
            Values, in the shape and dtype of g.
        """

    @abc.abstractmethod
    def describe(self, unit: str) -> str:
        """The formula in words, its values in a unit: "uS", or "" where they have none."""


@final
class ConstantFit(AbstractFit):
    """The same value at every conductance.

    Args:
        value: a number, or an array that broadcasts to the conductances.

    Raises:
        ValueError: a concrete value is not finite.
    """

    value: Float[Array, "..."]

    def __init__(self, value: Any):
        self.value = checked("value", value, "finite numbers", np.isfinite)

    def __call__(self, g: Float[Array, "..."]) -> Float[Array, "..."]:
        """The value."""
        return jnp.broadcast_to(self.value.astype(g.dtype), g.shape)

    def describe(self, unit: str) -> str:
        """The value."""
        return shown(self.value, unit)


@final
class PolynomialFit(AbstractFit):
    """A polynomial, c_0 x^n + ... + c_n with x = g / g_ref, the highest power first.

    Args:
        coefficients: (n + 1,), in the unit of the value.
        g_ref: conductance at which x is 1, () [S].

    Raises:
        ValueError: concrete coefficients that are not finite, or a g_ref that is not above 0.
    """

    coefficients: Float[Array, " n"]
    g_ref: Float[Array, ""]

    def __init__(self, coefficients: Any, g_ref: Any = 1.0):
        needs = "finite numbers, the highest power first"
        self.coefficients = checked("coefficients", coefficients, needs, np.isfinite, 1)
        self.g_ref = _reference(g_ref)

    def __call__(self, g: Float[Array, "..."]) -> Float[Array, "..."]:
        """The polynomial at each conductance."""
        return jnp.polyval(self.coefficients.astype(g.dtype), g / self.g_ref.astype(g.dtype))

    def describe(self, unit: str) -> str:
        """The polynomial, the constant first."""
        powers = ("", " x", *(f" x^{k}" for k in range(2, len(self.coefficients))))
        terms = [
            f"{shown(c, unit, bare=True)}{power}"
            for c, power in zip(self.coefficients[::-1], powers, strict=False)
        ]
        return f"{shown_sum(terms)}{shown_unit(unit)}, x = g / {shown(self.g_ref, 'uS')}"


@final
class LogFit(AbstractFit):
    """A straight line in the logarithm, clip(slope ln x + offset, low, high) with x = g / g_ref.

    Args:
        slope: change for each factor of e, (), in the unit of the value.
        offset: value at x = 1, ().
        g_ref: conductance at which x is 1, () [S].
        low: smallest value, ().
        high: largest value, ().

    Raises:
        ValueError: a concrete g_ref is not above 0, or slope or offset is not finite.
    """

    slope: Float[Array, ""]
    offset: Float[Array, ""]
    g_ref: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]

    def __init__(self, slope: Any, offset: Any, g_ref: Any, low: Any = -np.inf, high: Any = np.inf):
        self.slope = checked("slope", slope, "a finite number", np.isfinite, 0)
        self.offset = checked("offset", offset, "a finite number", np.isfinite, 0)
        self.g_ref = _reference(g_ref)
        self.low = checked("low", low, "a number", lambda x: ~np.isnan(x), 0)
        self.high = checked("high", high, "a number", lambda x: ~np.isnan(x), 0)

    def __call__(self, g: Float[Array, "..."]) -> Float[Array, "..."]:
        """The line at each conductance, between its limits."""
        slope, offset, g_ref, low, high = (
            x.astype(g.dtype) for x in (self.slope, self.offset, self.g_ref, self.low, self.high)
        )
        x = jnp.maximum(g / g_ref, LEAST)
        return jnp.clip(slope * jnp.log(x) + offset, low, high)

    def describe(self, unit: str) -> str:
        """The line and its limits."""
        offset = shown(self.offset, unit, True)
        terms = [f"{shown(self.slope, unit, True)} ln x", *([offset] if offset != "0" else [])]
        held = shown_limits(self.low, self.high, unit)
        return f"{shown_sum(terms)}{shown_unit(unit)}{held}, x = g / {shown(self.g_ref, 'uS')}"


@final
class PowerFit(AbstractFit):
    """A power law with an upper limit, min(factor x^exponent, high) with x = g / g_ref.

    Args:
        factor: value at x = 1, (), in the unit of the value.
        exponent: ().
        g_ref: conductance at which x is 1, () [S].
        high: largest value, ().

    Raises:
        ValueError: a concrete g_ref is not above 0, or factor or exponent is not finite.
    """

    factor: Float[Array, ""]
    exponent: Float[Array, ""]
    g_ref: Float[Array, ""]
    high: Float[Array, ""]

    def __init__(self, factor: Any, exponent: Any, g_ref: Any, high: Any = np.inf):
        self.factor = checked("factor", factor, "a finite number", np.isfinite, 0)
        self.exponent = checked("exponent", exponent, "a finite number", np.isfinite, 0)
        self.g_ref = _reference(g_ref)
        self.high = checked("high", high, "a number", lambda x: ~np.isnan(x), 0)

    def __call__(self, g: Float[Array, "..."]) -> Float[Array, "..."]:
        """The power of each conductance, up to the limit."""
        factor, exponent, g_ref, high = (
            x.astype(g.dtype) for x in (self.factor, self.exponent, self.g_ref, self.high)
        )
        return jnp.minimum(factor * jnp.maximum(g / g_ref, LEAST) ** exponent, high)

    def describe(self, unit: str) -> str:
        """The power law and its limit."""
        law = f"{shown(self.factor, unit, True)} x^{shown(self.exponent, '')}{shown_unit(unit)}"
        held = shown_limits(-np.inf, self.high, unit)
        return f"{law}{held}, x = g / {shown(self.g_ref, 'uS')}"


@final
class TableFit(AbstractFit):
    """Values between the rows of a table by straight lines; beyond its ends those of the ends.

    Args:
        g: conductances in rising order, (n,) [S].
        value: at each of them, (n,).

    Raises:
        ValueError: lengths that differ, fewer than two rows, conductances that do not rise, or a
            concrete number that is not finite.
    """

    g: Float[Array, " n"]
    value: Float[Array, " n"]

    def __init__(self, g: Any, value: Any):
        self.g = checked("g", g, "finite conductances >= 0 [S]", finite_from_0, 1)
        self.value = checked("value", value, "finite numbers", np.isfinite, 1)
        if self.g.shape != self.value.shape or self.g.size < 2:
            raise ValueError(
                f"value: got {self.value.size} for {self.g.size} conductances, "
                "needs as many, and at least 2"
            )
        if is_concrete(g) and not np.all(np.asarray(g)[1:] > np.asarray(g)[:-1]):
            raise ValueError("g: got conductances that do not rise, needs each above the last [S]")

    def __call__(self, g: Float[Array, "..."]) -> Float[Array, "..."]:
        """The table at each conductance."""
        return jnp.interp(g, self.g.astype(g.dtype), self.value.astype(g.dtype))

    def describe(self, unit: str) -> str:
        """The table's length, range and values."""
        rows = f"{len(self.g)} rows, g {shown(self.g, 'uS')}"
        return f"{shown(self.value, unit)} by a table of {rows}"


@final
class FunctionFit(AbstractFit):
    """A function of your own, from conductances [S] to values in their shape, in JAX.

    Args:
        function: of an array; hashed by identity, so define it once.

    Raises:
        TypeError: it cannot be called.
    """

    function: Callable[..., Any] = eqx.field(static=True)

    def __init__(self, function: Callable[..., Any]):
        if not callable(function):
            raise TypeError(f"function: got {type(function).__name__}, needs a function of g [S]")
        self.function = function

    def __call__(self, g: Float[Array, "..."]) -> Float[Array, "..."]:
        """The function of the conductances."""
        return jnp.broadcast_to(jnp.asarray(self.function(g)).astype(g.dtype), g.shape)

    def describe(self, unit: str) -> str:
        """The function's name."""
        return f"function {getattr(self.function, '__name__', 'of g')}(g){shown_unit(unit)}"


def as_fit(value: Any) -> AbstractFit:
    """A fit as it is, a function as `FunctionFit`, numbers as `ConstantFit`.

    Args:
        value: one of these.

    Returns:
        The fit.
    """
    if isinstance(value, AbstractFit):
        return value
    return ConstantFit(value) if not callable(value) else FunctionFit(value)


def _reference(g_ref: Any) -> Float[Array, ""]:
    return checked("g_ref", g_ref, "a finite conductance > 0 [S]", finite_above_0, 0)
