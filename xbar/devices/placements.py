"""Shapes at random or given places, comparable by the fraction of pairs they hit.

A new shape is one file, with its mask and a `Placement`, and one entry in `PLACEMENTS`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import check_word, checked, within_unit
from xbar.devices.masks import AbstractMask
from xbar.devices.shapes import Checkerboard, Circle, Columns, Ring, Rows, Scratch

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


# Inner over outer radius. Nothing published fixes it; with 0.6 the ring that covers what the
# study's circle does has the round radii 0.15 and 0.25.
RING_INNER = 0.6

# Of the side. Nothing published fixes it; half of it is one square, so this is the finest board
# that the study's smallest array (9x10 pairs) resolves.
CHECKERBOARD_PERIOD = 0.25

# Length over width of a scratch; nothing published fixes it.
SCRATCH_ASPECT = 5.0


def random_mask(name: str, key: PRNGKeyArray, coverage: Any = None) -> AbstractMask:
    """A shape, as large as asked, at a random place that is whole inside the array.

    The coverage is the area of the shape in the unit square, hence about the fraction of pairs hit,
    so that shapes can be compared. A small array samples the area with few cells, so one placement
    can hit more or less (`mask.mask(shape).mean()` tells), a small shape none at all.

    | name | coverage sets | drawn at random | fits |
    |---|---|---|---|
    | circle | radius = sqrt(coverage / pi) | centre | 0 to pi/4 |
    | ring | outer = sqrt(coverage / (pi (1 - 0.6^2))), inner = 0.6 outer | centre | 0 to 0.50 |
    | row | height of one band of adjacent rows | position | 0 to 1 |
    | column | width of one band of adjacent columns of the weight matrix | position | 0 to 1 |
    | checkerboard | nothing: it hits about 1/2 at any coverage; period 0.25 | phase | any |
    | circle-complement | radius = sqrt((1 - coverage) / pi) of the hole | centre | 0.22 to 1 |
    | scratch (beside them) | width = sqrt(coverage / 5), length x 5 | centre, angle | to 0.19 |

    Key and coverage may be traced: draw a batch with
    `equinox.filter_vmap(lambda key: random_mask("ring", key, 0.1))(keys)`.

    ```python
    mask = xb.random_mask("ring", jax.random.key(0), coverage=0.2)
    ```

    Args:
        name: a key of `PLACEMENTS`.
        key: JAX key.
        coverage: fraction of the array, (); None takes that of the study's circle of radius 0.2
            (12.6 %; its complement, 87.4 %). Traced values that do not fit are clipped.

    Returns:
        The mask.

    Raises:
        ValueError: the name is unknown, or a concrete coverage does not fit the unit square.
    """
    shape, covered = _shape(name, coverage)
    return shape.place(jax.random.uniform(key, (shape.dims,), covered.dtype), covered)


def placed_mask(name: str, position: Float[Array, " dims"], coverage: Any = None) -> AbstractMask:
    """A shape of a given coverage at a given place that is whole inside the array.

    Args:
        name: a key of `PLACEMENTS`.
        position: in the unit cube, (dims,), 0 at one end of where the shape fits and 1 at the
            other: y before x (one of them for row and column, the phase of a checkerboard), then
            the angle [half turns]. May be traced and differentiated.
        coverage: as for `random_mask`.

    Returns:
        The mask.

    Raises:
        ValueError: as `random_mask`, or the position has another shape or lies outside the cube.
    """
    shape, covered = _shape(name, coverage)
    at = checked("position", position, "values in 0..1", within_unit, 1)
    if at.shape != (shape.dims,):
        raise ValueError(f"position: got shape {at.shape}, needs ({shape.dims},) for {name}")
    return shape.place(at, covered)


def _shape(name: str, coverage: Any) -> tuple[Placement, Float[Array, ""]]:
    """The shape of that name and its coverage, within what fits."""
    check_word("shape", name, list(PLACEMENTS))
    shape = PLACEMENTS[name]
    needs = f"a value in {shape.least:.3g}..{shape.most:.3g} for {name}"
    array = checked(
        "coverage",
        shape.coverage if coverage is None else coverage,
        needs,
        lambda c: (c >= shape.least) & (c <= shape.most),
        0,
    )
    return shape, jnp.clip(array, shape.least, shape.most)


def _circle(position: Array, coverage: Array) -> AbstractMask:
    radius = jnp.sqrt(coverage / jnp.pi)
    return Circle(inside(position, radius), radius)


def _ring(position: Array, coverage: Array) -> AbstractMask:
    outer = jnp.sqrt(coverage / (jnp.pi * (1 - RING_INNER**2)))
    return Ring(inside(position, outer), RING_INNER * outer, outer)


def _row(position: Array, coverage: Array) -> AbstractMask:
    return Rows(inside(position[0], coverage / 2), coverage)


def _column(position: Array, coverage: Array) -> AbstractMask:
    return Columns(inside(position[0], coverage / 2), coverage)


def _checkerboard(position: Array, coverage: Array) -> AbstractMask:
    return Checkerboard(CHECKERBOARD_PERIOD, position.astype(coverage.dtype))


def _circle_complement(position: Array, coverage: Array) -> AbstractMask:
    return ~_circle(position, 1 - coverage)


def _scratch(position: Array, coverage: Array) -> AbstractMask:
    width = jnp.sqrt(coverage / SCRATCH_ASPECT)
    length, angle = SCRATCH_ASPECT * width, jnp.pi * position[2]
    along, across = jnp.abs(jnp.sin(angle)), jnp.abs(jnp.cos(angle))  # of the height
    margin = jnp.stack([length * along + width * across, length * across + width * along]) / 2
    return Scratch(inside(position[:2], margin), angle, length, width)


# The rectangle's diagonal, which no angle may turn out of the square, is at most 1.
_LARGEST_SCRATCH = SCRATCH_ASPECT / (1 + SCRATCH_ASPECT**2)
_LARGEST_CIRCLE = float(np.pi / 4)
_LARGEST_RING = _LARGEST_CIRCLE * (1 - RING_INNER**2)

PLACEMENTS: dict[str, Placement] = {
    "circle": Placement(_circle, (False, False), CIRCLE_COVERAGE, 0.0, _LARGEST_CIRCLE),
    "ring": Placement(_ring, (False, False), CIRCLE_COVERAGE, 0.0, _LARGEST_RING),
    "row": Placement(_row, (False,), CIRCLE_COVERAGE, 0.0, 1.0),
    "column": Placement(_column, (False,), CIRCLE_COVERAGE, 0.0, 1.0),
    "checkerboard": Placement(_checkerboard, (True, True), 0.5, 0.0, 1.0),
    "circle-complement": Placement(
        _circle_complement, (False, False), 1 - CIRCLE_COVERAGE, 1 - _LARGEST_CIRCLE, 1.0
    ),
    "scratch": Placement(_scratch, (False, False, True), CIRCLE_COVERAGE, 0.0, _LARGEST_SCRATCH),
}
"""Every shape that can be placed, by name: the one list that studies and searches look in."""

SHAPES: Mapping[str, Placement] = MappingProxyType(
    {
        name: PLACEMENTS[name]
        for name in ("circle", "ring", "row", "column", "checkerboard", "circle-complement")
    }
)
"""The six shapes of the published study, and no list of what there is: that is `PLACEMENTS`."""
