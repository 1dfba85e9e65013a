"""A standard deviation in siemens or as a fraction: which of the two is never left to guess."""

from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from xbar.checks import checked
from xbar.devices.fits import AbstractFit, as_fit


@final
class Spread(eqx.Module):
    """A standard deviation of conductances: sigma_g(of) in siemens, or fraction(of) * g.

    Args:
        effect: whose it is, for messages.
        sigma_g: in siemens: a number, a fit or a function of a conductance; or None.
        fraction: of the conductance (0.05 is 5 %), likewise; or None.

    Raises:
        ValueError: both or neither are given, or a concrete number that cannot be one: negative,
            not finite, a fraction above 1, or a sigma_g of 0.01 S (100 ohm) or more, which was
            meant as a fraction.
    """

    size: AbstractFit
    relative: bool = eqx.field(static=True)

    def __init__(self, effect: str, sigma_g: Any, fraction: Any):
        if (sigma_g is None) == (fraction is None):
            got = "neither" if fraction is None else "both"
            raise ValueError(
                f"{effect}: got {got} of sigma_g and fraction, needs one: sigma_g in siemens, or "
                "fraction of the conductance (0.05 is 5 %)"
            )
        self.relative = fraction is not None
        value = fraction if self.relative else sigma_g
        if not isinstance(value, AbstractFit) and not callable(value):
            if self.relative:
                name, most, needs = "fraction", 1.0, "a fraction in 0..1 (0.05 is 5 %)"
            else:
                name, most = "sigma_g", 0.01
                needs = "a value in 0..0.01 [S] (a fraction of the conductance goes into fraction=)"
            checked(f"{effect}.{name}", value, needs, lambda x: (x >= 0) & (x <= most))
        self.size = as_fit(value)

    def at(
        self, of: Float[Array, "..."], g: Float[Array, "..."] | None = None
    ) -> Float[Array, "..."]:
        """The standard deviation, 0 or more.

        Args:
            of: what the fit is a function of [S].
            g: what a fraction is a fraction of [S]; None takes `of`.

        Returns:
            Standard deviations, in the shape of `of` [S].
        """
        size = self.size(of)
        return jnp.maximum(size * (of if g is None else g) if self.relative else size, 0)

    def describe(self) -> str:
        """The formula."""
        return f"g x ({self.size.describe('')})" if self.relative else self.size.describe("uS")
