"""The shapes of masks: circle, ring, bands and lines, scratch, checkerboard, scattered pairs."""

from typing import Any, ClassVar, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from xbar.checks import checked, finite_above_0, finite_from_0, flag, is_concrete, within_unit
from xbar.devices.masks import AbstractMask, Level, XCentres, YCentres, off_zero

# Edges are moved by this much of the side, so that rounding (1e-7 in float32) cannot decide whether
# a cell centre that lies on one is hit. Far below the pitch of any array that can be solved.
EDGE = 1e-6


@final
class Circle(AbstractMask):
    """Pairs within a radius of a point; the edge is inside.

    ```python
    hit = xb.Circle(centre=(0.5, 0.5), radius=0.3).mask((8, 8))  # booleans
    ```

    Args:
        centre: (y, x), (2,) [array side].
        radius: () [array side]; 0.2 in the study.

    Raises:
        ValueError: a concrete number is not finite, or the radius is negative.
    """

    centre: Float[Array, "2"]
    radius: Float[Array, ""]

    def __init__(self, centre: Any, radius: Any):
        self.centre = _centre("Circle.centre", centre)
        self.radius = checked("Circle.radius", radius, "a finite value >= 0", finite_from_0, 0)

    def level(self, y: YCentres, x: XCentres) -> Level:
        """Distance to the circle's edge [array side]."""
        return off_zero(self.radius + EDGE - _distance(y, x, self.centre))


@final
class Ring(AbstractMask):
    """Pairs between two radii around a point; both edges are inside.

    ```python
    hit = xb.Ring(centre=(0.5, 0.5), inner=0.2, outer=0.4).mask((8, 8))
    ```

    Args:
        centre: (y, x), (2,) [array side].
        inner: inner radius, () [array side].
        outer: outer radius, () [array side].

    Raises:
        ValueError: a concrete number is not finite, inner is negative, or outer is below inner.
    """

    centre: Float[Array, "2"]
    inner: Float[Array, ""]
    outer: Float[Array, ""]

    def __init__(self, centre: Any, inner: Any, outer: Any):
        self.centre = _centre("Ring.centre", centre)
        self.inner = checked("Ring.inner", inner, "a finite value >= 0", finite_from_0, 0)
        self.outer = checked("Ring.outer", outer, "a finite value >= 0", finite_from_0, 0)
        if is_concrete(inner, outer) and not np.asarray(outer) >= np.asarray(inner):
            raise ValueError(f"Ring.outer: got {outer}, needs at least inner, {inner}")

    def level(self, y: YCentres, x: XCentres) -> Level:
        """Distance to the nearer edge [array side]."""
        r = _distance(y, x, self.centre)
        return off_zero(jnp.minimum(self.outer - r, r - self.inner) + EDGE)


class AbstractBand(AbstractMask):
    """A band of neighbouring lines, centre - width/2 <= t < centre + width/2 across them."""

    across_rows: ClassVar[bool]
    centre: Float[Array, ""]
    width: Float[Array, ""]

    def __init__(self, centre: Any, width: Any):
        name = type(self).__name__
        self.centre = checked(f"{name}.centre", centre, "a finite value", np.isfinite, 0)
        self.width = checked(f"{name}.width", width, "a finite value >= 0", finite_from_0, 0)

    def level(self, y: YCentres, x: XCentres) -> Level:
        """Distance to the nearer edge [array side]."""
        # n/lines wide is n lines, wherever the band lies.
        t = (y + 0 * x if self.across_rows else 0 * y + x) + EDGE
        low, high = self.centre - self.width / 2, self.centre + self.width / 2
        return off_zero(jnp.minimum(t - low, high - t))


@final
class Rows(AbstractBand):
    """A band of rows of the weight matrix (word lines), centre - width/2 <= y < centre + width/2.

    A width of n/rows hits n rows wherever the band lies inside the array.

    ```python
    hit = xb.Rows(0.9, 0.1).mask((8, 8))  # a band near the bottom
    ```

    Args:
        centre: middle of the band, () [array height].
        width: height of the band, () [array height].

    Raises:
        ValueError: a concrete number is not finite, or the width is negative.
    """

    across_rows: ClassVar[bool] = True


@final
class Columns(AbstractBand):
    """A band of columns of the weight matrix (two bit lines each); as `Rows`.

    ```python
    hit = xb.Columns(0.5, 0.2).mask((8, 8))  # a band about the middle
    ```

    Args:
        centre: middle of the band, () [array width].
        width: width of the band, () [array width].

    Raises:
        ValueError: a concrete number is not finite, or the width is negative.
    """

    across_rows: ClassVar[bool] = False


class AbstractLines(AbstractMask):
    """Lines of the weight matrix by index; negative ones count from the end."""

    rows: ClassVar[bool]
    lines: Int[Array, " n"]

    def __init__(self, lines: Any):
        name = f"{type(self).__name__}.lines"
        array = jnp.atleast_1d(jnp.asarray(lines))
        if array.ndim != 1 or array.size == 0 or not jnp.issubdtype(array.dtype, jnp.integer):
            raise ValueError(f"{name}: got {lines}, needs one or more integer indices")
        self.lines = array

    def level(self, y: YCentres, x: XCentres) -> Level:
        """Distance to the nearer edge of the nearest line [array side]."""
        count = y.shape[0] if self.rows else x.shape[1]
        if is_concrete(self.lines):
            known = np.asarray(self.lines)
            if not np.all((known >= -count) & (known < count)):
                name = f"{type(self).__name__}.lines"
                raise ValueError(f"{name}: got {known.tolist()}, needs indices within {count}")
        lines = jnp.where(self.lines < 0, self.lines + count, self.lines)
        apart = jnp.min(jnp.abs(jnp.arange(count)[:, None] - lines), axis=1)
        level = (0.5 - apart) / count
        return level[:, None] + 0 * x if self.rows else level[None, :] + 0 * y


@final
class RowLines(AbstractLines):
    """Rows of the weight matrix by index; -1 is the last (the bias row, if it is included).

    Args:
        lines: index or indices, (n,) integers.

    Raises:
        ValueError: not integers; when used, a concrete index outside the array.
    """

    rows: ClassVar[bool] = True


@final
class ColumnLines(AbstractLines):
    """Columns of the weight matrix by index; -1 is the last.

    Args:
        lines: index or indices, (n,) integers.

    Raises:
        ValueError: not integers; when used, a concrete index outside the array.
    """

    rows: ClassVar[bool] = False


@final
class Checkerboard(AbstractMask):
    """Every second square of a board; about half of the pairs whatever the period.

    A square is half a period wide. With period p and phase (a, b), pair (y, x) is hit where
    frac(y/p + a) < 1/2 and frac(x/p + b) < 1/2 are both true or both false.

    ```python
    every_other = xb.Checkerboard(period=0.25).mask((8, 8))  # booleans
    ```

    Args:
        period: of the board, a number or (y, x) [array side, or cells].
        phase: shift in periods, a number or (y, x).
        cells: whether the period counts cells; `Checkerboard(2, cells=True)` is the finest board.

    Raises:
        TypeError: cells is neither True nor False.
        ValueError: a concrete number is not finite, or the period is not above 0.
    """

    period: Float[Array, "2"]
    phase: Float[Array, "2"]
    cells: bool = eqx.field(static=True)

    def __init__(self, period: Any, phase: Any = 0.0, *, cells: bool = False):
        period_ = checked("Checkerboard.period", period, "finite values > 0", finite_above_0)
        phase_ = checked("Checkerboard.phase", phase, "finite values", np.isfinite)
        for name, array in (("period", period_), ("phase", phase_)):
            if array.shape not in ((), (2,)):
                raise ValueError(
                    f"Checkerboard.{name}: got shape {array.shape}, needs a number or two, (y, x)"
                )
        self.period, self.phase = jnp.broadcast_to(period_, (2,)), jnp.broadcast_to(phase_, (2,))
        self.cells = flag("Checkerboard.cells", cells)

    def level(self, y: YCentres, x: XCentres) -> Level:
        """Distance to the nearest edge of the square [array side, or cells]."""
        if self.cells:
            y, x = y * y.shape[0], x * x.shape[1]

        def wave(t: Array, period: Array, phase: Array) -> Array:
            # Triangle between -1/4 and 1/4 with zeros at each half period: distance to an edge.
            t = t / period + phase + EDGE
            return off_zero((jnp.abs((t - 0.25) % 1.0 - 0.5) - 0.25) * period)

        a, b = wave(y, self.period[0], self.phase[0]), wave(x, self.period[1], self.phase[1])
        return jnp.maximum(jnp.minimum(a, b), jnp.minimum(-a, -b))


@final
class Scratch(AbstractMask):
    """A straight scratch: the pairs in a rectangle at any angle; the edge is inside.

    Args:
        centre: (y, x), (2,) [array side].
        angle: from the x axis towards the y axis, which points down, () [rad].
        length: () [array side].
        width: () [array side].

    Raises:
        ValueError: a concrete number is not finite, or length or width is negative.
    """

    centre: Float[Array, "2"]
    angle: Float[Array, ""]
    length: Float[Array, ""]
    width: Float[Array, ""]

    def __init__(self, centre: Any, angle: Any, length: Any, width: Any):
        self.centre = _centre("Scratch.centre", centre)
        self.angle = checked("Scratch.angle", angle, "a finite value", np.isfinite, 0)
        self.length = checked("Scratch.length", length, "a finite value >= 0", finite_from_0, 0)
        self.width = checked("Scratch.width", width, "a finite value >= 0", finite_from_0, 0)

    def level(self, y: YCentres, x: XCentres) -> Level:
        """Distance to the nearest edge, inside [array side]."""
        down, right = y - self.centre[0], x - self.centre[1]
        along = jnp.cos(self.angle) * right + jnp.sin(self.angle) * down
        across = jnp.cos(self.angle) * down - jnp.sin(self.angle) * right
        ends = self.length / 2 - jnp.abs(along)
        return off_zero(jnp.minimum(ends, self.width / 2 - jnp.abs(across)) + EDGE)


@final
class Scattered(AbstractMask):
    """Each pair hit by itself, at random, with the same probability.

    The same key hits nested sets of pairs for growing rates. (For cells instead of pairs, see
    `StuckCells`.)

    ```python
    hit = xb.Scattered(0.1, jax.random.key(0)).mask((8, 8))  # a tenth of the pairs
    ```

    Args:
        rate: probability, () in 0..1.
        key: JAX key.

    Raises:
        ValueError: a concrete rate is not within 0..1.
    """

    rate: Float[Array, ""]
    key: PRNGKeyArray

    def __init__(self, rate: Any, key: PRNGKeyArray):
        self.rate = checked("Scattered.rate", rate, "a value in 0..1", within_unit, 0)
        self.key = key

    def level(self, y: YCentres, x: XCentres) -> Level:
        """The rate above a uniform random number, per pair."""
        draw = jax.random.uniform(self.key, (y.shape[0], x.shape[1]), self.rate.dtype)
        return off_zero(self.rate - draw, side=-1.0)


def _distance(y: YCentres, x: XCentres, centre: Float[Array, "2"]) -> Level:
    square = (y - centre[0]) ** 2 + (x - centre[1]) ** 2
    # sqrt has no derivative at 0; the cell at the very centre gets 0 instead of NaN.
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)


def _centre(name: str, centre: Any) -> Float[Array, "2"]:
    array = checked(name, centre, "two finite numbers, (y, x)", np.isfinite, 1)
    if array.shape != (2,):
        raise ValueError(f"{name}: got shape {array.shape}, needs two numbers, (y, x)")
    return array
