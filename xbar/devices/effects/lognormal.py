"""Lognormal variability: each cell off by its own factor."""

from typing import Any, Literal, final, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import check_word, checked, finite_from_0
from xbar.devices.effects.base import AbstractProgramming, G
from xbar.devices.mapping import Window
from xbar.devices.words import shown

Keeps = Literal["median", "mean"]
Between = Literal["devices", "cycles"]


@final
class Lognormal(AbstractProgramming):
    """A lognormal factor for each cell, g exp(sigma_ln N(0, 1) - shift).

    The factor's **median** is 1 (shift 0, the default), or its **mean** is (shift sigma_ln^2 / 2).
    Its coefficient of variation is sqrt(exp(sigma_ln^2) - 1) either way: 0.3069 at 0.3.

    Args:
        sigma_ln: standard deviation of the natural logarithm, (); a fraction, not per cent.
        keeps: which moment of the conductance is kept, "median" or "mean".
        between: "devices" for device-to-device variability, a factor that stays with the cell
            however often it is programmed; "cycles" for cycle-to-cycle, drawn at each programming.

    Raises:
        ValueError: sigma_ln is negative or not finite, or another word.
    """

    sigma_ln: Float[Array, ""]
    keeps: str = eqx.field(static=True)
    between: str = eqx.field(static=True)

    def __init__(self, sigma_ln: Any, keeps: str = "median", between: str = "devices"):
        self.sigma_ln = checked(
            "Lognormal.sigma_ln", sigma_ln, "a finite value >= 0", finite_from_0, 0
        )
        for name, word, words in (("keeps", keeps, Keeps), ("between", between, Between)):
            check_word(f"Lognormal.{name}", word, get_args(words))
        self.keeps, self.between = keeps, between

    @property
    def per_cycle(self) -> bool:
        """Whether the factor is drawn at each programming."""
        return self.between == "cycles"

    def program(self, g: G, key: PRNGKeyArray, window: Window | None = None) -> G:
        """The conductances with their factors."""
        sigma = self.sigma_ln.astype(g.dtype)
        shift = sigma**2 / 2 if self.keeps == "mean" else 0
        return g * jnp.exp(sigma * jax.random.normal(key, g.shape, g.dtype) - shift)

    def describe(self) -> str:
        """The spread, what it keeps and between what it is."""
        return (
            f"lognormal factor between {self.between}, sigma_ln = {shown(self.sigma_ln, '')}, "
            f"{self.keeps} kept"
        )
