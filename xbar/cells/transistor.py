"""The access transistor of a 1T1R cell."""

from collections.abc import Mapping
from typing import Any, ClassVar, final

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool

from xbar.cells.base import FINITE, NOT_NEGATIVE, AbstractCell, Cells, parameter


@final
class Transistor(AbstractCell):
    """A level-1 NMOS transistor as a two-terminal element: its gate overdrive is given.

    ::

        i = beta (v_ov u - u^2 / 2)      0 <= u <= v_ov    triode region
        i = beta v_ov^2 / 2              u > v_ov          saturation
        i = beta (v_ov u - u^2 / 2)      u < 0             drain and source exchanged

    The three are one formula in the overdrives at the two ends, ``p = max(v_ov, 0)`` at the source
    (the bit line) and ``q = max(v_ov - u, 0)`` at the drain: ``i = beta / 2 (p^2 - q^2)``, slope
    ``beta q``. So the gate sits at a fixed voltage above the bit-line node, whatever that node's
    voltage. For a 1T1R cell put it in series: ``Series(Ohmic(g), Transistor(beta, v_ov))``.

    Args:
        beta: transconductance parameter, mobility x oxide capacitance x W / L, a scalar or
            (rows, cols) [A / V^2], >= 0.
        v_ov: gate-source voltage less the threshold voltage, a scalar or (rows, cols) [V];
            0 or less switches the cell off.

    Raises:
        TypeError, ValueError: not real numbers, a literal out of range, another shape.

    Source: H. Shichman and D. A. Hodges, IEEE J. Solid-State Circuits 3, 285 (1968), without
    channel-length modulation.
    """

    needs: ClassVar[Mapping[str, str]] = {"beta": NOT_NEGATIVE, "v_ov": FINITE}
    beta: Array
    v_ov: Array

    def __init__(self, beta: Any, v_ov: Any):
        self.beta = parameter("Transistor.beta", beta, NOT_NEGATIVE, "A/V^2")
        self.v_ov = parameter("Transistor.v_ov", v_ov, FINITE, "V")

    def current(self, u: Cells) -> Cells:
        """``beta / 2 (p^2 - q^2)``."""
        p, q = jnp.maximum(self.v_ov, 0), jnp.maximum(self.v_ov - u, 0)
        # p - q without the rounding of v_ov - (v_ov - u).
        difference = jnp.where((p > 0) & (q > 0), u, p - q)
        return self.beta / 2 * (p + q) * difference

    def slope(self, u: Cells) -> Cells:
        """``beta q``: 0 in saturation."""
        return self.beta * jnp.maximum(self.v_ov - u, 0)

    def holds(self, u: Cells) -> Bool[Array, "..."]:
        """Always."""
        return jnp.full(u.shape, True)
