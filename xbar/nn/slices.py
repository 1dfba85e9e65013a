"""Bit-sliced weights: a weight of many bits on several pairs of few levels each.

    |w| = w_max sum_s f_s d_s / (2^c - 1)      d_s = 0 .. 2^c - 1, the digits of
    f_s = (2^c - 1) 2^(c s) / (2^bits - 1)     round((2^bits - 1) |w| / w_max) in base 2^c

The slices of one output stand side by side, the least first: each is a pair of columns that fills
the window by itself, so that a cell needs 2^c levels. Each is read by itself, rails and converters
included, and `ShiftAdd` adds what was read with the weights f_s, which sum to 1.

**Derivatives go straight through**: every slice counts as the whole weight.
"""

from dataclasses import dataclass
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import namespace
from xbar.nn.converters import MOST_BITS, largest_code
from xbar.nn.steps import AbstractStep


@dataclass(frozen=True)
class Slices:
    """How weights are sliced; `of` checks.

    Args:
        bits: of a weight's size; the sign is that of the pair.
        per_cell: bits of one slice, c.
    """

    bits: int
    per_cell: int

    @staticmethod
    def of(slices: Any) -> "Slices":
        """From (bits, bits of one cell).

        Raises:
            ValueError: no two whole numbers of which the second divides the first.
        """
        parts: tuple[Any, ...] = tuple(slices) if isinstance(slices, tuple | list) else ()
        whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in parts)
        fits = len(parts) == 2 and whole and 0 < parts[1] <= parts[0] <= MOST_BITS
        if not fits or parts[0] % parts[1]:
            needs = f"(bits, bits of one cell), up to {MOST_BITS}, the second a part of the first"
            raise ValueError(f"slices: got {slices!r}, needs {needs}, as (8, 2)")
        return Slices(int(parts[0]), int(parts[1]))

    @property
    def per_weight(self) -> int:
        """Slices of each weight."""
        return self.bits // self.per_cell

    @property
    def weights(self) -> tuple[float, ...]:
        """What each slice counts, the least first; they sum to 1."""
        top = 2.0**self.per_cell - 1
        places = (2.0 ** (self.per_cell * s) for s in range(self.per_weight))
        return tuple(top * place / (2.0**self.bits - 1) for place in places)

    def cut(self, w: Any, scale: str = "layer", clip: float | None = None) -> Any:
        """Weights as those of the slices, each up to the largest |w|.

        Args:
            w: (rows, outputs).
            scale: "layer" or "column", whose largest |w|, as in `map_weights`.
            clip: quantile of |w| that counts as the largest, as in `map_weights`.

        Returns:
            (rows, outputs * per_weight), the slices of one output side by side.
        """
        xp = namespace(w)
        w, axis = xp.asarray(w), 0 if scale == "column" else None
        w = w if xp.issubdtype(w.dtype, xp.floating) else w.astype(float)
        size = xp.abs(w)
        w_max = size.max(axis) if clip is None else xp.quantile(size, clip, axis=axis)
        w_max = xp.where(w_max > 0, w_max, 1).astype(w.dtype)
        cut = _cut(self, w, w_max, np) if xp is np else _cut_through(self, w, w_max)
        return cut.reshape(w.shape[0], -1)


def _cut(slices: Slices, w: Any, w_max: Any, xp: Any) -> Any:
    """The slices of each weight, (rows, outputs, per_weight)."""
    share = xp.minimum(xp.abs(w) / w_max, 1)
    code = largest_code(xp.round(share * (2.0**slices.bits - 1)), slices.bits, xp)[..., None]
    base = 2.0**slices.per_cell
    places = xp.asarray([base**s for s in range(slices.per_weight)], w.dtype)
    digits = xp.mod(xp.floor(code / places), base)
    top = xp.sign(w) * w_max
    return (top[..., None] * digits / (base - 1)).astype(w.dtype)


def _cut_through(slices: Slices, w: Array, w_max: Array) -> Array:
    """As `_cut`, with every slice's derivative that of the whole weight."""

    @jax.custom_jvp
    def cut(w: Array, w_max: Array) -> Array:
        return _cut(slices, w, w_max, jnp)

    @cut.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        def held(w: Array, w_max: Array) -> Array:
            return jnp.clip(w, -w_max, w_max)

        found, slope = cut(*primals), jax.jvp(held, primals, tangents)[1]
        return found, jnp.broadcast_to(slope[..., None], found.shape)

    return cut(w, w_max)


@final
class ShiftAdd(AbstractStep):
    """Adds the slices of each output, in digital logic behind the converters.

    Args:
        weights: of the slices of one output, the least first; they stand side by side.
    """

    weights: tuple[float, ...] = eqx.field(static=True)

    @property
    def linear(self) -> bool:
        """Yes."""
        return True

    def volts(
        self, x: Float[Array, "*n columns"], key: PRNGKeyArray | None = None
    ) -> Float[Array, "*n outputs"]:
        """Sums with the slices' weights [V]."""
        del key
        each = x.reshape(*x.shape[:-1], -1, len(self.weights))
        return each @ jnp.asarray(self.weights, x.dtype)
