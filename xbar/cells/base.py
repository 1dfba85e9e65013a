"""What a cell is to the circuit: a current that increases with the voltage across the cell.

A solver needs the law at one voltage, as the triple (u, i, slope), to put a resistor and a current
source in the cell's place. Where the law can also be read backwards, `voltage(i)`, it may choose
the next such point by the current instead of the voltage, which keeps exponentials in hand.
"""

import abc
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from xbar.checks import as_real

# (..., rows, cols), or anything that broadcasts with it
Cells = Float[Array, "..."] | Float[np.ndarray, "..."]

# What a parameter may have to be, each with its test.
FINITE = "a finite value"
NOT_NEGATIVE = "a finite value >= 0"
POSITIVE = "a finite value > 0"
TESTS = {
    FINITE: jnp.isfinite,
    NOT_NEGATIVE: lambda x: jnp.isfinite(x) & (x >= 0),
    POSITIVE: lambda x: jnp.isfinite(x) & (x > 0),
}

# Where `holds` looks at the slope between 0 V and u. Nothing justifies the number: a law with a
# narrower dip than a sixteenth of its range should say so itself.
LOOKS = 16


class AbstractCell(eqx.Module):
    """A law ``i = I(u)``, elementwise and increasing in the cell voltage.

    A law of your own is a subclass that defines `current`. Its parameters are fields: arrays or
    numbers, which may carry gradients and be batched; anything else (a function, an option) has to
    be an ``equinox.field(static=True)``. They broadcast to (rows, cols). `needs` may say what
    each has to be; without it, finite::

        class Diode(cells.AbstractCell):
            i_s: jax.Array  # (rows, cols) [A]

            def current(self, u):
                return self.i_s * jnp.expm1(u / 0.026)

    `slope`, `voltage` and `holds` may be defined too, where there is something better than what
    stands here. Only `current` is ever differentiated.
    """

    needs: ClassVar[Mapping[str, str]] = {}

    @abc.abstractmethod
    def current(self, u: Cells) -> Cells:
        """Cell current for a cell voltage.

        Args:
            u: word-line minus bit-line voltage (..., rows, cols) [V].

        Returns:
            Current from word line to bit line, same shape [A].
        """

    def slope(self, u: Cells) -> Cells:
        """Slope of the law, ``dI/du`` (..., rows, cols) [S]; by JAX unless given."""
        return jax.jvp(self.current, (u,), (jnp.ones_like(u),))[1]

    def voltage(self, i: Cells) -> Cells:
        """The voltage that belongs to a current (..., rows, cols) [V]; NaN where there is none."""
        return jnp.full_like(i, jnp.nan)

    def holds(self, u: Cells) -> Bool[Array, "..."]:
        """Whether the law is valid, and increases, all the way from 0 V to u.

        Unless given: whether its slope is >= 0 at sixteen voltages in between.
        """
        parts = jnp.arange(1, LOOKS + 1).astype(u.dtype) / LOOKS
        return jnp.all(jnp.stack([self.slope(part * u) >= 0 for part in parts]), axis=0)

    @property
    def linear(self) -> bool:
        """Whether the current is a conductance times the voltage; known from the class alone."""
        return False

    @property
    def invertible(self) -> bool:
        """Whether `voltage` is there for any of the cells; known from the class alone."""
        return type(self).voltage is not AbstractCell.voltage

    @property
    def shape(self) -> tuple[int, ...]:
        """What the parameters broadcast to: (rows, cols) for the law of an array."""
        return self._current_at_zero().shape

    @property
    def dtype(self) -> jnp.dtype:
        """Precision that the parameters ask for."""
        return jnp.result_type(*(numbers(self) or [float]))

    def _current_at_zero(self) -> jax.ShapeDtypeStruct:
        return jax.eval_shape(lambda law: law.current(jnp.zeros((), law.dtype)), self)


def numbers(law: AbstractCell) -> list[Array]:
    """The real-valued parameters of a law, those of its parts included."""
    return [x for x in jax.tree.leaves(law) if _is_real(x)]


def _is_real(x: Any) -> bool:
    return isinstance(x, float) or (hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.floating))


def point(law: AbstractCell, u: Cells) -> tuple[Cells, Cells]:
    """Current and slope at a voltage, together where JAX finds both."""
    if type(law).slope is not AbstractCell.slope:
        return law.current(u), law.slope(u)
    return jax.jvp(law.current, (u,), (jnp.ones_like(u),))


def parameters(law: AbstractCell) -> Iterator[tuple[str, Array, str]]:
    """Name, values and need of every real-valued parameter, those of parts included."""
    for field in fields(law):
        value = getattr(law, field.name)
        if isinstance(value, AbstractCell):
            yield from parameters(value)
        elif _is_real(value):
            name = f"{type(law).__name__}.{field.name}"
            yield name, value, law.needs.get(field.name, FINITE)


def is_legal(law: AbstractCell) -> Bool[Array, ""]:
    """Whether every parameter is what it has to be."""
    return jnp.all(jnp.stack([jnp.all(TESTS[need](x)) for _, x, need in parameters(law)]))


def parameter(name: str, value: Any, need: str, unit: str) -> Array:
    """A law's parameter as an array; numbers that can never be right raise.

    Raises:
        TypeError: not real numbers.
        ValueError: a number that is not what it needs to be, or an array that is neither a scalar
            nor (rows, cols).
    """
    array = as_real(name, value)
    if array.ndim not in (0, 2):
        raise ValueError(
            f"{name}: got shape {array.shape}, needs a scalar, or (rows, cols) where either may "
            "be 1; build batches under jax.vmap"
        )
    if isinstance(value, bool | int | float) and not _passes(float(value), need):
        raise ValueError(f"{name}: got {value}, needs {need} [{unit}]")
    return array


def _passes(value: float, need: str) -> bool:
    if not math.isfinite(value):
        return False
    return {FINITE: True, NOT_NEGATIVE: value >= 0, POSITIVE: value > 0}[need]


def first_illegal(law: AbstractCell) -> tuple[str, float, tuple[int, ...], str] | None:
    """Name, value, place and need of the first parameter that is not what it has to be."""
    for name, values, need in parameters(law):
        host = np.asarray(values)
        where = np.argwhere(~np.asarray(TESTS[need](host)))
        if len(where):
            at = tuple(int(k) for k in where[0])
            return name, float(host[at]), at, need
    return None
