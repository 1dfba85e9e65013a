"""The six shapes of the study at random places, comparable by the fraction of pairs they hit."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from xbar.checks import checked
from xbar.defects.masks import AbstractMask
from xbar.defects.shapes import Checkerboard, Circle, Columns, Ring, Rows

CIRCLE_COVERAGE = float(np.pi * 0.2**2)  # the radius of 0.2 that the study states, 12.6 %

# Inner over outer radius. Nothing published fixes it; with 0.6 the ring that covers what the
# study's circle does has the round radii 0.15 and 0.25.
RING_INNER = 0.6

# Of the side. Nothing published fixes it; half of it is one square, so this is the finest board
# that the study's smallest array (9x10 pairs) resolves.
CHECKERBOARD_PERIOD = 0.25


class Placement(NamedTuple):
    """A shape of the study: how it is drawn at random and what its coverage may be.

    Args:
        draw: (key, coverage) -> mask.
        coverage: the study's own, and the default.
        least: smallest coverage that fits the unit square.
        most: largest coverage that fits.
    """

    draw: Callable[[PRNGKeyArray, Float[Array, ""]], AbstractMask]
    coverage: float
    least: float
    most: float


def random_mask(name: str, key: PRNGKeyArray, coverage: Any = None) -> AbstractMask:
    """A shape of the study, as large as asked, at a random place that is whole inside the array.

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

    Key and coverage may be traced: draw a batch with
    `equinox.filter_vmap(lambda key: random_mask("ring", key, 0.1))(keys)`.

    Args:
        name: a key of `SHAPES`.
        key: JAX key.
        coverage: fraction of the array, (); None takes that of the study's circle of radius 0.2
            (12.6 %; its complement, 87.4 %). Traced values that do not fit are clipped.

    Returns:
        The mask.

    Raises:
        ValueError: the name is unknown, or a concrete coverage does not fit the unit square.
    """
    if name not in SHAPES:
        raise ValueError(f"shape: got {name!r}, needs one of {list(SHAPES)}")
    shape = SHAPES[name]
    needs = f"a value in {shape.least:.3g}..{shape.most:.3g} for {name}"
    array = checked(
        "coverage",
        shape.coverage if coverage is None else coverage,
        needs,
        lambda c: (c >= shape.least) & (c <= shape.most),
        0,
    )
    return shape.draw(key, jnp.clip(array, shape.least, shape.most))


def _inside(key: PRNGKeyArray, margin: Array, count: int | None = None) -> Array:
    """Uniform centres at least a margin away from the array's edges."""
    shape = () if count is None else (count,)
    return margin + (1 - 2 * margin) * jax.random.uniform(key, shape, margin.dtype)


def _circle(key: PRNGKeyArray, coverage: Array) -> AbstractMask:
    radius = jnp.sqrt(coverage / jnp.pi)
    return Circle(_inside(key, radius, 2), radius)


def _ring(key: PRNGKeyArray, coverage: Array) -> AbstractMask:
    outer = jnp.sqrt(coverage / (jnp.pi * (1 - RING_INNER**2)))
    return Ring(_inside(key, outer, 2), RING_INNER * outer, outer)


def _row(key: PRNGKeyArray, coverage: Array) -> AbstractMask:
    return Rows(_inside(key, coverage / 2), coverage)


def _column(key: PRNGKeyArray, coverage: Array) -> AbstractMask:
    return Columns(_inside(key, coverage / 2), coverage)


def _checkerboard(key: PRNGKeyArray, coverage: Array) -> AbstractMask:
    return Checkerboard(CHECKERBOARD_PERIOD, jax.random.uniform(key, (2,), coverage.dtype))


def _circle_complement(key: PRNGKeyArray, coverage: Array) -> AbstractMask:
    return ~_circle(key, 1 - coverage)


_LARGEST_CIRCLE = float(np.pi / 4)

SHAPES: Mapping[str, Placement] = MappingProxyType(
    {
        "circle": Placement(_circle, CIRCLE_COVERAGE, 0.0, _LARGEST_CIRCLE),
        "ring": Placement(_ring, CIRCLE_COVERAGE, 0.0, _LARGEST_CIRCLE * (1 - RING_INNER**2)),
        "row": Placement(_row, CIRCLE_COVERAGE, 0.0, 1.0),
        "column": Placement(_column, CIRCLE_COVERAGE, 0.0, 1.0),
        "checkerboard": Placement(_checkerboard, 0.5, 0.0, 1.0),
        "circle-complement": Placement(
            _circle_complement, 1 - CIRCLE_COVERAGE, 1 - _LARGEST_CIRCLE, 1.0
        ),
    }
)
"""The six shapes of the study by name; see `random_mask`."""
