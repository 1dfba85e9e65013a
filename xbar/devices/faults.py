"""What a defect does to the pairs it hits. Faults act on conductances, after the mapping.

Stuck-on means low resistance, stuck-off high resistance. A stuck value is one of

- "on", "off": the window's g_max, g_min;
- "random": on or off with equal chance; "uniform": anywhere in the window, evenly;
- a conductance [S], which may lie outside the window: a number, or an array that broadcasts to the
  pairs' (rows, cols).

Stuck cells of real chips lie outside the window that others are programmed in: `inject` (and
`Network.with_fault`) take another window for them, e.g. `Window.preset("chip-stuck")`.
"""

import abc
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from xbar.checks import check_fits, checked, finite_from_0, warn_of_ohms
from xbar.devices.effects.base import AbstractEffect, needs_window
from xbar.devices.mapping import Pairs, Window
from xbar.devices.masks import AbstractMask
from xbar.devices.words import shown

StuckDraw = Literal["random", "uniform"]

Hit = Bool[Array, "rows cols"]


class AbstractFault(AbstractEffect):
    """What happens to the pairs that a mask hits; pairs outside it keep their conductances.

    A fault is an effect of the programmed conductances: in a `Device` it hits every cell, or with
    `Defect` those of a mask, comes after all programming, and neither drifts nor relaxes.

    A new fault is one class with `stuck` and `describe` in a file of
    its own, and one entry in `xbar.devices.stuck.FAULTS`.
    """

    @abc.abstractmethod
    def stuck(
        self, shape: tuple[int, ...], dtype: Any, window: Window | None, key: PRNGKeyArray | None
    ) -> tuple[Array, Array]:
        """Which cells stick where the fault hits, and at what.

        Args:
            shape: of the cells: (2, rows, cols) for pairs, plus and minus cells in this order.
            dtype: floating dtype.
            window: what "on" and "off" mean, and between what "uniform" draws.
            key: JAX key, for faults that draw. The draw for a cell depends on the key and the shape
                alone.

        Returns:
            Booleans and conductances [S], which broadcast to the shape.

        Raises:
            ValueError: the fault draws and there is no key, or needs pairs or a window.
        """

    def apply(
        self,
        pairs: Pairs,
        hit: Hit | None = None,
        window: Window | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Pairs:
        """The pairs with the fault in them.

        Args:
            pairs: healthy pairs, (rows, cols).
            hit: which pairs are hit, (rows, cols); None is all.
            window: what "on" and "off" mean, and between what "uniform" draws.
            key: JAX key, for faults that draw. The draw for a cell depends on the key and the shape
                alone, not on the mask.

        Returns:
            The pairs, in the dtype they came in.

        Raises:
            ValueError: the fault draws and there is no key, or needs a window and there is none.
        """
        g = jnp.stack([pairs.g_plus, pairs.g_minus])
        sticks, value = self.stuck(g.shape, g.dtype, window, key)
        return Pairs(*jnp.where(sticks if hit is None else hit & sticks, value, g))


def inject(
    pairs: Pairs,
    mask: Any,
    fault: AbstractFault,
    window: Window,
    key: PRNGKeyArray | None = None,
    *,
    include_bias_row: bool = True,
) -> Pairs:
    """The pairs with a fault where a mask is.

    Args:
        pairs: healthy pairs, (rows, cols), the bias row last.
        mask: a mask, or booleans (rows, cols), which may be batched as arrays are.
        fault: what happens there.
        window: of the stuck values; that of the mapping, or another.
        key: JAX key, for faults that draw.
        include_bias_row: whether a mask's geometry includes the last row (see
            `AbstractMask.mask`); booleans say it themselves.

    Returns:
        The pairs, (rows, cols).

    Raises:
        ValueError: booleans of another shape or type, or the fault draws and there is no key.
    """
    hit = hit_pairs(mask, pairs.shape, include_bias_row)
    return fault.apply(pairs, hit, window, key)


def hit_pairs(mask: Any, shape: tuple[int, int], include_bias_row: bool) -> Hit:
    """The pairs that a mask, or booleans, hit in an array of a shape."""
    if isinstance(mask, AbstractMask):
        return mask.mask(shape, include_bias_row=include_bias_row)
    hit = jnp.asarray(mask)
    if hit.shape != shape or hit.dtype != jnp.bool_:
        raise ValueError(f"mask: got {hit.dtype} {hit.shape}, needs a mask or booleans {shape}")
    return hit


class StuckValue(eqx.Module):
    """A stuck value: a mode, and the conductance where the mode is "value".

    Args:
        value: "on", "off", "random", "uniform" or a conductance [S].
        name: the argument's name, for messages.

    Raises:
        ValueError: another word, or a concrete conductance that is negative or not finite.
    """

    g: Float[Array, "..."] | None
    mode: str = eqx.field(static=True)

    def __init__(self, value: Any, name: str):
        if isinstance(value, str):
            if value not in ("on", "off", *get_args(StuckDraw)):
                raise ValueError(
                    f'{name}: got {value!r}, needs "on", "off", "random", "uniform" or a value [S]'
                )
            self.g, self.mode = None, value
        else:
            self.g = checked(name, value, "a finite conductance >= 0 [S]", finite_from_0)
            self.mode = "value"
            warn_of_ohms(name, value, f"{name.partition('.')[0]}.from_resistance")

    def draw(
        self, shape: tuple[int, ...], dtype: Any, window: Window | None, key: PRNGKeyArray | None
    ) -> Array:
        """Conductances that broadcast to the shape [S]."""
        if self.g is not None:
            g = self.g.astype(dtype)
            check_fits("stuck value", g.shape, shape)
            return g
        window = needs_window(f"stuck values {self.mode!r}", window)
        g_min, g_max = window.g_min.astype(dtype), window.g_max.astype(dtype)
        if self.mode == "on":
            return g_max
        if self.mode == "off":
            return g_min
        if key is None:
            raise ValueError(f"key: got None, needs a JAX key to draw {self.mode!r} stuck values")
        if self.mode == "random":
            return jnp.where(jax.random.bernoulli(key, 0.5, shape), g_max, g_min)
        return g_min + (g_max - g_min) * jax.random.uniform(key, shape, dtype)

    def describe(self) -> str:
        """The word, or the conductance."""
        return shown(self.g, "uS") if self.g is not None else self.mode
