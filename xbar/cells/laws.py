"""Laws of one element: a resistor, hyperbolic sines, a polynomial.

The hyperbolic sine and cosine neither overflow nor lose digits, with all their derivatives.
"""

import math
from collections.abc import Mapping
from math import comb
from typing import Any, ClassVar, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from xbar.cells.base import FINITE, NOT_NEGATIVE, POSITIVE, AbstractCell, Cells, parameter
from xbar.checks import as_real
from xbar.fields import described

Real = Float[Array, "..."]


def largest_argument(dtype: jnp.dtype) -> float:
    """Where `sinh` stops being one: its square is still a floating-point number."""
    return float(math.floor(math.log(float(jnp.finfo(dtype).max)) / 2))


@jax.custom_jvp
def sinh(x: Real) -> Real:
    """Hyperbolic sine up to `largest_argument`, and from there on its tangent: it always increases.

    No circuit of this world goes that far, but a solver's first guess does.
    """
    return _both(x)[0]


@jax.custom_jvp
def cosh(x: Real) -> Real:
    """The slope of `sinh`."""
    return _both(x)[1]


@sinh.defjvp
def _sinh_jvp(primals: tuple, tangents: tuple) -> tuple:
    (x,), (dx,) = primals, tangents
    return sinh(x), cosh(x) * dx


@cosh.defjvp
def _cosh_jvp(primals: tuple, tangents: tuple) -> tuple:
    (x,), (dx,) = primals, tangents
    inside = jnp.abs(x) <= largest_argument(x.dtype)
    return cosh(x), jnp.where(inside, sinh(x), 0) * dx


def _both(x: Real) -> tuple[Real, Real]:
    """Both from one exponential, ``e - 1`` for the digits of small x."""
    size, most = jnp.abs(x), largest_argument(x.dtype)
    grown = jnp.expm1(jnp.minimum(size, most))
    fallen = grown / (1 + grown)  # 1 - exp(-x)
    slope = 1 + (grown - fallen) / 2
    return jnp.sign(x) * ((grown + fallen) / 2 + slope * jnp.maximum(size - most, 0)), slope


@final
class Ohmic(AbstractCell):
    """A resistor, ``i = g u``.

    Args:
        g: conductances (rows, cols) [S].
    """

    needs: ClassVar[Mapping[str, str]] = {"g": NOT_NEGATIVE}
    g: Array = eqx.field(metadata=described("S", ("row", "column"), "conductance of each cell"))

    def __init__(self, g: Any):
        self.g = parameter("Ohmic.g", g, NOT_NEGATIVE, "S")

    def current(self, u: Cells) -> Cells:
        """``g u``."""
        return self.g * u

    def slope(self, u: Cells) -> Cells:
        """g, whatever the voltage."""
        return jnp.broadcast_to(self.g, jnp.broadcast_shapes(self.g.shape, u.shape))

    def voltage(self, i: Cells) -> Cells:
        """``i / g``; NaN for an open cell."""
        return jnp.where(self.g > 0, i / jnp.where(self.g > 0, self.g, 1), jnp.nan)

    def holds(self, u: Cells) -> Bool[Array, "..."]:
        """Always."""
        return jnp.full(u.shape, True)

    @property
    def linear(self) -> bool:
        """Yes."""
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        """That of g."""
        return self.g.shape

    @property
    def dtype(self) -> jnp.dtype:
        """That of g."""
        return self.g.dtype


def _current(amplitude: Any, scale: Any, u: Cells) -> Cells:
    return amplitude * sinh(u / scale)


def _voltage(amplitude: Any, scale: Any, i: Cells) -> Cells:
    some = amplitude > 0
    return jnp.where(some, scale * jnp.arcsinh(i / jnp.where(some, amplitude, 1)), jnp.nan)


def _holds(scale: Any, u: Cells) -> Bool[Array, "..."]:
    return jnp.abs(u) <= scale * largest_argument(u.dtype)


@final
class Sinh(AbstractCell):
    """A hyperbolic sine, ``i = g v_0 sinh(u / v_0)``: g for small voltages.

    Args:
        g: small-signal conductances, a scalar or (rows, cols) [S], >= 0.
        v_0: voltage beyond which the current grows exponentially, a scalar or (rows, cols) [V],
            > 0.

    Raises:
        TypeError, ValueError: not real numbers, a literal out of range, another shape.
    """

    needs: ClassVar[Mapping[str, str]] = {"g": NOT_NEGATIVE, "v_0": POSITIVE}
    g: Array
    v_0: Array

    def __init__(self, g: Any, v_0: Any):
        self.g = parameter("Sinh.g", g, NOT_NEGATIVE, "S")
        self.v_0 = parameter("Sinh.v_0", v_0, POSITIVE, "V")

    def current(self, u: Cells) -> Cells:
        """``g v_0 sinh(u / v_0)``."""
        return _current(self.g * self.v_0, self.v_0, u)

    def voltage(self, i: Cells) -> Cells:
        """``v_0 arcsinh(i / (g v_0))``; NaN for an open cell."""
        return _voltage(self.g * self.v_0, self.v_0, i)

    def holds(self, u: Cells) -> Bool[Array, "..."]:
        """Up to where the exponential leaves the floating-point range."""
        return _holds(self.v_0, u)


@final
class Stanford(AbstractCell):
    """The Stanford model's static law, ``i = i_0 exp(-gap / g_0) sinh(u / v_0)``.

    The defaults give 541.821 ohm at a gap of 0.2 nm and 218,586 ohm at 1.7 nm, each at 0.1 V
    (J. Jiang et al., SISPAD 2014, in the form that MemTorch's Stanford_PKU gives it).

    Args:
        gap: between filament and electrode, a scalar or (rows, cols) [m].
        i_0: current scale [A], > 0.
        g_0: length over which the current falls by e [m], > 0.
        v_0: voltage beyond which the current grows exponentially [V], > 0.

    Raises:
        TypeError, ValueError: not real numbers, a literal out of range, another shape.
    """

    needs: ClassVar[Mapping[str, str]] = {
        "gap": FINITE,
        "i_0": POSITIVE,
        "g_0": POSITIVE,
        "v_0": POSITIVE,
    }
    gap: Array
    i_0: Array
    g_0: Array
    v_0: Array

    def __init__(self, gap: Any, i_0: Any = 1e-3, g_0: Any = 0.25e-9, v_0: Any = 0.25):
        self.gap = parameter("Stanford.gap", gap, FINITE, "m")
        self.i_0 = parameter("Stanford.i_0", i_0, POSITIVE, "A")
        self.g_0 = parameter("Stanford.g_0", g_0, POSITIVE, "m")
        self.v_0 = parameter("Stanford.v_0", v_0, POSITIVE, "V")

    @property
    def amplitude(self) -> Array:
        """``i_0 exp(-gap / g_0)`` [A]."""
        return self.i_0 * jnp.exp(-self.gap / self.g_0)

    def current(self, u: Cells) -> Cells:
        """``i_0 exp(-gap / g_0) sinh(u / v_0)``."""
        return _current(self.amplitude, self.v_0, u)

    def voltage(self, i: Cells) -> Cells:
        """The law read backwards."""
        return _voltage(self.amplitude, self.v_0, i)

    def holds(self, u: Cells) -> Bool[Array, "..."]:
        """Up to where the exponential leaves the floating-point range."""
        return _holds(self.v_0, u)


@final
class Selector(AbstractCell):
    """An exponential selector, ``i = i_s sinh(u / v_s)``; in series with a cell, see `Series`.

    Args:
        i_s: current scale, a scalar or (rows, cols) [A], >= 0.
        v_s: voltage over which the current grows by e, a scalar or (rows, cols) [V], > 0.

    Raises:
        TypeError, ValueError: not real numbers, a literal out of range, another shape.
    """

    needs: ClassVar[Mapping[str, str]] = {"i_s": NOT_NEGATIVE, "v_s": POSITIVE}
    i_s: Array
    v_s: Array

    def __init__(self, i_s: Any, v_s: Any):
        self.i_s = parameter("Selector.i_s", i_s, NOT_NEGATIVE, "A")
        self.v_s = parameter("Selector.v_s", v_s, POSITIVE, "V")

    def current(self, u: Cells) -> Cells:
        """``i_s sinh(u / v_s)``."""
        return _current(self.i_s, self.v_s, u)

    def voltage(self, i: Cells) -> Cells:
        """``v_s arcsinh(i / i_s)``; NaN for an open cell."""
        return _voltage(self.i_s, self.v_s, i)

    def holds(self, u: Cells) -> Bool[Array, "..."]:
        """Up to where the exponential leaves the floating-point range."""
        return _holds(self.v_s, u)


@final
class Polynomial(AbstractCell):
    """A fit in powers of the voltage, ``i = c_1 u + c_2 u^2 + ...``.

    A polynomial increases over some range only. A circuit that takes it beyond is marked
    `RESULTS.cells_out_of_range`.

    Args:
        coefficients: c_1, c_2, ... along the leading axis, (degree,), (degree, 1, 1) or
            (degree, rows, cols) [A / V^k].

    Raises:
        TypeError, ValueError: not real numbers, or another shape.
    """

    coefficients: Array

    def __init__(self, coefficients: Any):
        array = as_real("Polynomial.coefficients", coefficients)
        if array.ndim not in (1, 3) or not array.size:
            raise ValueError(
                f"Polynomial.coefficients: got shape {array.shape}, needs (degree,) or "
                "(degree, rows, cols)"
            )
        self.coefficients = array

    def current(self, u: Cells) -> Cells:
        """``c_1 u + c_2 u^2 + ...``."""
        return u * _horner(self.coefficients, u)

    def slope(self, u: Cells) -> Cells:
        """``c_1 + 2 c_2 u + ...``."""
        return _horner(self._slopes, u)

    def holds(self, u: Cells) -> Bool[Array, "..."]:
        """Whether the slope is >= 0 from 0 V to u.

        No dip is missed: on each piece of the way a polynomial is at least its smallest Bernstein
        coefficient there, and little more.
        """
        terms = jnp.stack(jnp.broadcast_arrays(*(c * u**k for k, c in enumerate(self._slopes))))
        least = jnp.min(
            jnp.tensordot(jnp.asarray(_bernstein(len(terms)), u.dtype), terms, 1), axis=0
        )
        # Where a slope touches zero, rounding decides its sign.
        rounding = 16 * jnp.finfo(u.dtype).eps * jnp.sum(jnp.abs(terms), axis=0)
        return least >= -rounding

    @property
    def _slopes(self) -> Array:
        degrees = jnp.arange(1, len(self.coefficients) + 1).astype(self.coefficients.dtype)
        return self.coefficients * degrees.reshape(-1, *([1] * (self.coefficients.ndim - 1)))


def _horner(coefficients: Any, u: Cells) -> Cells:
    """``c_0 + c_1 u + ...``, coefficients along the leading axis."""
    value = coefficients[-1]
    for c in coefficients[-2::-1]:
        value = c + u * value
    return jnp.broadcast_to(value, jnp.broadcast_shapes(value.shape, u.shape))


# A piece's smallest coefficient is below its smallest slope by up to the square of a piece's length
# times half the curvature: 1/2000 of what the slope changes by on the way, for a parabola.
PIECES = 32


def _bernstein(terms: int) -> np.ndarray:
    """Bernstein coefficients of ``sum_m a_m t^m`` on each piece of 0..1, as a matrix for a.

    On the piece that begins at s and is h long, ``t = s + h x``, the powers of x have coefficients
    ``q_j = h^j sum_m C(m, j) s^(m-j) a_m``, and the polynomial of degree d has the Bernstein
    coefficients ``b_k = sum_{j<=k} C(k, j) / C(d, j) q_j``, between whose extremes it stays.
    """
    h, degree = 1 / PIECES, terms - 1
    rows = []
    for s in h * np.arange(PIECES):
        q = np.array(
            [[h**j * comb(m, j) * s ** max(m - j, 0) for m in range(terms)] for j in range(terms)]
        )
        b = np.array([[comb(k, j) / comb(degree, j) for j in range(terms)] for k in range(terms)])
        rows.append(b @ q)
    return np.concatenate(rows)
