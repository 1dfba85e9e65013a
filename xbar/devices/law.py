"""The current-voltage law that a published device's cells have, where it has one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxtyping import Array, Float

Conductances = Float[Array, "..."]


@dataclass(frozen=True)
class CellLaw:
    """How conductances become cells with a current-voltage law of `xbar.cells`.

    Args:
        build: (g, of) -> the law of cells with conductances g [S]; where it has coefficients that
            are fits of the conductance, they are taken at `of`, held in `g_range`.
        text: the law, in words.
        g_range: conductances that it was fitted for, (least, largest) [S].
    """

    build: Callable[[Conductances, Conductances], Any]
    text: str
    g_range: tuple[float, float]
