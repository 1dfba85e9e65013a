"""Levels: a cell takes one of n conductances."""

from typing import Any, Literal, final, get_args

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import check_word, is_concrete
from xbar.devices.effects.base import AbstractProgramming, G, needs_window
from xbar.devices.mapping import Window

Spacing = Literal["linear", "log"]

MOST_LEVELS = 2**20  # 8 MB of them; beyond, a typing error


@final
class Levels(AbstractProgramming):
    """The nearest of n conductances of the window, its two ends among them.

    Levels are spaced evenly in conductance ("linear") or in its logarithm ("log"). No draw: the
    same targets give the same levels. **Derivatives pass straight through**: they are those of
    g held in the window, 1 inside and 0 beyond it; the true ones are 0 or do not exist.

    Args:
        n: number of levels, 2 to `MOST_LEVELS`.
        spacing: "linear" or "log".

    Raises:
        ValueError: n is out of range, the spacing is another word, or (when used) it is "log" and
            the window begins at 0.
    """

    n: int = eqx.field(static=True)
    spacing: str = eqx.field(static=True)

    def __init__(self, n: int, spacing: str = "linear"):
        if not isinstance(n, int) or isinstance(n, bool) or not 2 <= n <= MOST_LEVELS:
            needs = f"a whole number, 2 or more, at most {MOST_LEVELS:,}"
            raise ValueError(f"Levels.n: got {n!r}, needs {needs}")
        check_word("Levels.spacing", spacing, get_args(Spacing))
        self.n, self.spacing = n, spacing

    @property
    def per_cycle(self) -> bool:
        """Nothing is drawn."""
        return False

    def levels(self, window: Window, dtype: Any) -> Float[Array, " n"]:
        """The levels in rising order.

        Args:
            window: between whose ends they lie.
            dtype: floating dtype.

        Returns:
            Conductances, (n,) [S].
        """
        low, high = window.g_min.astype(dtype), window.g_max.astype(dtype)
        share = jnp.asarray(np.linspace(0, 1, self.n), dtype)
        if self.spacing == "log":
            if is_concrete(low) and not float(low) > 0:
                raise ValueError("Levels.spacing: got 'log', needs a window with g_min above 0")
            between = low * (high / low) ** share
        else:
            between = low + (high - low) * share
        return between.at[0].set(low).at[-1].set(high)

    def program(self, g: G, key: PRNGKeyArray, window: Window | None = None) -> G:
        """The nearest level."""
        window = needs_window("Levels", window)
        levels = lax.stop_gradient(self.levels(window, g.dtype))
        halfway = (levels[1:] + levels[:-1]) / 2
        nearest = levels[jnp.searchsorted(halfway, lax.stop_gradient(g))]
        held = jnp.clip(g, window.g_min.astype(g.dtype), window.g_max.astype(g.dtype))
        return nearest + (held - lax.stop_gradient(held))  # the level itself, to the last bit

    def describe(self) -> str:
        """Their number and spacing."""
        even = "conductance" if self.spacing == "linear" else "the logarithm of conductance"
        return f"{self.n} levels, evenly in {even} over the window"
