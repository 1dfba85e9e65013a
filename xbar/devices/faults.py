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
from typing import Any, Literal, final, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from xbar.checks import checked, finite_from_0, is_concrete
from xbar.devices.mapping import Pairs, Window
from xbar.devices.masks import AbstractMask

Drawn = Literal["random", "uniform"]
Per = Literal["cell", "column"]

PUBLISHED_RATES: dict[str, dict[str, float]] = {
    "mostly-off": {"rate_on": 0.0175, "rate_off": 0.0904},
    "mostly-on": {"rate_on": 0.0904, "rate_off": 0.0175},
}
"""The published fault rates, with either polarity: sources disagree which of them is stuck-on."""

Hit = Bool[Array, "rows cols"]


class AbstractFault(eqx.Module):
    """What happens to the pairs that a mask hits; pairs outside it keep their conductances."""

    @abc.abstractmethod
    def apply(
        self, pairs: Pairs, hit: Hit, window: Window, key: PRNGKeyArray | None = None
    ) -> Pairs:
        """The pairs with the fault in them.

        Args:
            pairs: healthy pairs, (rows, cols).
            hit: which pairs are hit, (rows, cols).
            window: what "on" and "off" mean, and between what "uniform" draws.
            key: JAX key, for faults that draw. The draw for a cell depends on the key and the shape
                alone, not on the mask.

        Returns:
            The pairs, in the dtype they came in.

        Raises:
            ValueError: the fault draws and there is no key.
        """


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
    if isinstance(mask, AbstractMask):
        hit = mask.mask(pairs.shape, include_bias_row=include_bias_row)
    else:
        hit = jnp.asarray(mask)
        if hit.shape != pairs.shape or hit.dtype != jnp.bool_:
            raise ValueError(
                f"mask: got {hit.dtype} {hit.shape}, needs a mask or booleans {pairs.shape}"
            )
    return fault.apply(pairs, hit, window, key)


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
            if value not in ("on", "off", *get_args(Drawn)):
                raise ValueError(
                    f'{name}: got {value!r}, needs "on", "off", "random", "uniform" or a value [S]'
                )
            self.g, self.mode = None, value
        else:
            self.g = checked(name, value, "a finite conductance >= 0 [S]", finite_from_0)
            self.mode = "value"

    def draw(
        self, shape: tuple[int, ...], dtype: Any, window: Window, key: PRNGKeyArray | None
    ) -> Array:
        """Conductances that broadcast to the shape [S]."""
        if self.g is not None:
            g = self.g.astype(dtype)
            ends = zip(reversed(g.shape), reversed(shape), strict=False)
            if g.ndim > len(shape) or any(n not in (1, m) for n, m in ends):
                raise ValueError(f"stuck value: got shape {g.shape}, needs one that fits {shape}")
            return g
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


@final
class StuckPair(AbstractFault):
    """Both cells of a pair stuck at the same value, so that the weight is 0 where wires are ideal.

    Args:
        value: "on" (default), "off", "random", "uniform" or a conductance [S]; drawn once per pair.

    Raises:
        ValueError: another word, or a concrete conductance that is negative or not finite.
    """

    value: StuckValue

    def __init__(self, value: Any = "on"):
        self.value = StuckValue(value, "StuckPair.value")

    def apply(
        self, pairs: Pairs, hit: Hit, window: Window, key: PRNGKeyArray | None = None
    ) -> Pairs:
        """Both cells at the value."""
        g = self.value.draw(pairs.shape, pairs.g_plus.dtype, window, key)
        return Pairs(jnp.where(hit, g, pairs.g_plus), jnp.where(hit, g, pairs.g_minus))


@final
class StuckUnequal(AbstractFault):
    """The two cells of a pair stuck at values drawn independently of each other.

    Args:
        drawn: "random" (default) draws on or off with equal chance, "uniform" evenly in the window.
        per: "cell" (default) draws for each cell; "column" once for each physical column, so that
            the stuck value varies across columns and is the same down a bit line.

    Raises:
        ValueError: another word.
    """

    value: StuckValue
    per: str = eqx.field(static=True)

    def __init__(self, drawn: str = "random", per: str = "cell"):
        if drawn not in get_args(Drawn):
            raise ValueError(
                f"StuckUnequal.drawn: got {drawn!r}, needs one of {list(get_args(Drawn))}"
            )
        if per not in get_args(Per):
            raise ValueError(f"StuckUnequal.per: got {per!r}, needs one of {list(get_args(Per))}")
        self.value = StuckValue(drawn, "StuckUnequal.drawn")
        self.per = per

    def apply(
        self, pairs: Pairs, hit: Hit, window: Window, key: PRNGKeyArray | None = None
    ) -> Pairs:
        """Each cell at its own draw."""
        rows, cols = pairs.shape
        shape = (2, 1 if self.per == "column" else rows, cols)
        g_plus, g_minus = self.value.draw(shape, pairs.g_plus.dtype, window, key)
        return Pairs(jnp.where(hit, g_plus, pairs.g_plus), jnp.where(hit, g_minus, pairs.g_minus))


@final
class StuckPlus(AbstractFault):
    """The plus cell of a pair stuck, the minus cell as programmed.

    Args:
        value: "on" (default), "off", "random", "uniform" or a conductance [S].

    Raises:
        ValueError: another word, or a concrete conductance that is negative or not finite.
    """

    value: StuckValue

    def __init__(self, value: Any = "on"):
        self.value = StuckValue(value, "StuckPlus.value")

    def apply(
        self, pairs: Pairs, hit: Hit, window: Window, key: PRNGKeyArray | None = None
    ) -> Pairs:
        """The plus cell at the value."""
        g = self.value.draw(pairs.shape, pairs.g_plus.dtype, window, key)
        return Pairs(jnp.where(hit, g, pairs.g_plus), pairs.g_minus)


@final
class StuckMinus(AbstractFault):
    """The minus cell of a pair stuck, the plus cell as programmed.

    Args:
        value: "on" (default), "off", "random", "uniform" or a conductance [S].

    Raises:
        ValueError: another word, or a concrete conductance that is negative or not finite.
    """

    value: StuckValue

    def __init__(self, value: Any = "on"):
        self.value = StuckValue(value, "StuckMinus.value")

    def apply(
        self, pairs: Pairs, hit: Hit, window: Window, key: PRNGKeyArray | None = None
    ) -> Pairs:
        """The minus cell at the value."""
        g = self.value.draw(pairs.shape, pairs.g_plus.dtype, window, key)
        return Pairs(pairs.g_plus, jnp.where(hit, g, pairs.g_minus))


@final
class StuckCells(AbstractFault):
    """Single cells stuck at random: each cell of the mask on, off or healthy, by itself.

    Use it with `Everywhere()` for faults scattered over the array. `StuckCells.published` has the
    rates of the literature.

    Args:
        rate_on: probability that a cell is stuck-on, ().
        rate_off: probability that a cell is stuck-off, (); the two add up to at most 1.

    Raises:
        ValueError: a concrete rate is outside 0..1, or their sum is.
    """

    rate_on: Float[Array, ""]
    rate_off: Float[Array, ""]

    def __init__(self, rate_on: Any, rate_off: Any):
        def fits(rate: Any) -> Any:
            return (rate >= 0) & (rate <= 1)

        self.rate_on = checked("StuckCells.rate_on", rate_on, "a value in 0..1", fits, 0)
        self.rate_off = checked("StuckCells.rate_off", rate_off, "a value in 0..1", fits, 0)
        if is_concrete(rate_on, rate_off) and float(rate_on) + float(rate_off) > 1:
            raise ValueError(
                f"StuckCells.rate_off: got {rate_off}, needs at most 1 with rate_on, {rate_on}"
            )

    @staticmethod
    def published(polarity: str) -> "StuckCells":
        """The published rates 1.75 % and 9.04 %, with the polarity you believe in.

        Args:
            polarity: "mostly-off" (1.75 % on, 9.04 % off) or "mostly-on" (the reverse). Sources
                disagree, so results deserve both.

        Returns:
            The fault.

        Raises:
            ValueError: another word.
        """
        if polarity not in PUBLISHED_RATES:
            raise ValueError(f"polarity: got {polarity!r}, needs one of {sorted(PUBLISHED_RATES)}")
        return StuckCells(**PUBLISHED_RATES[polarity])

    def apply(
        self, pairs: Pairs, hit: Hit, window: Window, key: PRNGKeyArray | None = None
    ) -> Pairs:
        """Each cell by its own draw."""
        if key is None:
            raise ValueError("key: got None, needs a JAX key to draw which cells are stuck")
        dtype = pairs.g_plus.dtype
        draw = jax.random.uniform(key, (2, *pairs.shape), dtype)
        g_min, g_max = window.g_min.astype(dtype), window.g_max.astype(dtype)
        on, off = draw < self.rate_on, draw >= 1 - self.rate_off
        healthy = jnp.stack([pairs.g_plus, pairs.g_minus])
        stuck = jnp.where(hit & on, g_max, jnp.where(hit & off, g_min, healthy))
        return Pairs(*stuck)
