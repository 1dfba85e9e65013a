"""Hyperbolic sine and cosine that neither overflow nor lose digits, with all their derivatives."""

import math

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

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
