"""What a shape has to tell so that it can be placed: where it can lie, how much it can cover."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from xbar.devices.masks import AbstractMask

CIRCLE_COVERAGE = float(np.pi * 0.2**2)  # the radius of 0.2 that the study states, 12.6 %


class Placement(NamedTuple):
    """A shape with its places: where it can lie and what its coverage may be.

    Args:
        place: (position, coverage) -> mask. Positions fill the unit cube (dims,), and every one is
            a place at which the shape lies whole inside the array: y before x, an angle last.
        wraps: for each coordinate of a position, whether 1 is the same place as 0, (dims,).
        coverage: the study's own, and the default.
        least: smallest coverage that fits the unit square.
        most: largest coverage that fits.
    """

    place: Callable[[Float[Array, " dims"], Float[Array, ""]], AbstractMask]
    wraps: tuple[bool, ...]
    coverage: float
    least: float
    most: float

    @property
    def dims(self) -> int:
        """Coordinates of a position."""
        return len(self.wraps)


def inside(position: Array, margin: Array) -> Array:
    """Centres at least a margin away from the array's edges.

    Args:
        position: in the unit cube, (dims,).
        margin: () or (dims,) [array side].

    Returns:
        Centres, (dims,) [array side].
    """
    return margin + (1 - 2 * margin) * position
