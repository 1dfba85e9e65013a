"""Which pairs a defect hits: small geometric masks in unit coordinates of the array.

::

    x = (col + 0.5) / cols        0 ------ x ------ 1
    y = (row + 0.5) / rows        |  .  .  .  .  .  |     one dot per pair; row 0 on top,
                                  y  .  .  .  .  .  |     the bias row is the last one
                                  |  .  .  .  .  .  |
                                  1 ----------------+

Every mask is one function `level(y, x)`, positive inside and negative outside, in units of the
array's side where that makes sense. `~` is -level, `|` the maximum, `&` the minimum, and the
boolean mask is level > 0. No level is ever exactly 0: a mask decides which side its edge is on.
So `~` is an exact complement, and a smooth mask is a sigmoid of the same level.

**Rows and columns are those of the weight matrix**, that is, of pairs. A row is one physical word
line; a column of pairs is two physical bit lines. For one physical bit line, hit a column with
`StuckPlus` or `StuckMinus`.

All numbers of a mask may be traced, differentiated and batched: build a batch with
`equinox.filter_vmap(Circle)(centres, radii)` and use it under `equinox.filter_vmap`.
"""

import abc
from collections.abc import Callable
from typing import ClassVar, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from xbar.checks import flag

YCentres = Float[Array, "rows 1"]
XCentres = Float[Array, "1 cols"]
Level = Float[Array, "rows cols"]


class AbstractMask(eqx.Module):
    """A set of pairs, given by its geometry alone: the same mask fits every array.

    Masks combine: `~a` (complement), `a | b` (union), `a & b` (intersection).
    """

    @abc.abstractmethod
    def level(self, y: YCentres, x: XCentres) -> Level:
        """Positive for pairs inside, negative outside, never 0.

        Args:
            y: cell centres down the array, (rows, 1) [array height].
            x: cell centres along the array, (1, cols) [array width].

        Returns:
            Level, (rows, cols).
        """

    def mask(self, shape: tuple[int, int], *, include_bias_row: bool = True) -> Bool[Array, "r c"]:
        """The pairs hit in an array of this shape.

        Args:
            shape: (rows, cols) of the array in pairs, bias row included.
            include_bias_row: False leaves the last row out: the coordinates are then those of the
                weights alone, and the bias row is never hit (nor is it by a complement).

        Returns:
            True where hit, (rows, cols).

        Raises:
            TypeError: include_bias_row is neither True nor False.
            ValueError: the array has no row or no column (left), or a line index is outside it.
        """
        rows, cols = shape
        rows = rows if flag("include_bias_row", include_bias_row) else rows - 1
        if rows < 1 or cols < 1:
            raise ValueError(f"shape: got {shape}, needs a row (besides the bias row) and a column")
        y, x = cell_centres(rows, cols)
        hit = jnp.broadcast_to(self.level(y, x) > 0, (rows, cols))
        return hit if include_bias_row else jnp.pad(hit, ((0, 1), (0, 0)))

    def __invert__(self) -> "AbstractMask":
        return Complement(self)

    def __or__(self, other: "AbstractMask") -> "AbstractMask":
        return Union(self, other)

    def __and__(self, other: "AbstractMask") -> "AbstractMask":
        return Intersection(self, other)


def cell_centres(rows: int, cols: int) -> tuple[YCentres, XCentres]:
    """Cell centres in the unit square.

    Args:
        rows: number of rows.
        cols: number of columns.

    Returns:
        y, (rows, 1) and x, (1, cols), in JAX's default float dtype.
    """
    return (jnp.arange(rows) + 0.5)[:, None] / rows, (jnp.arange(cols) + 0.5)[None, :] / cols


def off_zero(level: Array, side: float = 1.0) -> Array:
    """The level with its zeros moved to one side; the derivative stays."""
    return level + jnp.where(level == 0, side * jnp.finfo(level.dtype).tiny, 0.0)


@final
class Everywhere(AbstractMask):
    """Every pair."""

    def level(self, y: YCentres, x: XCentres) -> Level:
        """One everywhere."""
        return 1.0 + 0 * y + 0 * x


@final
class Complement(AbstractMask):
    """The pairs that a mask leaves out; written `~mask`.

    Args:
        of: the mask.
    """

    of: AbstractMask

    def level(self, y: YCentres, x: XCentres) -> Level:
        """-level."""
        return -self.of.level(y, x)


class AbstractCombination(AbstractMask):
    """Two masks put together by the larger or the smaller of their levels."""

    of_levels: ClassVar[Callable[[Array, Array], Array]]
    a: AbstractMask
    b: AbstractMask

    def level(self, y: YCentres, x: XCentres) -> Level:
        """The larger level (union) or the smaller (intersection)."""
        return type(self).of_levels(self.a.level(y, x), self.b.level(y, x))


@final
class Union(AbstractCombination):
    """The pairs in either of two masks; written `a | b`.

    Args:
        a: a mask.
        b: another.
    """

    of_levels: ClassVar[Callable[[Array, Array], Array]] = jnp.maximum


@final
class Intersection(AbstractCombination):
    """The pairs in both of two masks; written `a & b`.

    Args:
        a: a mask.
        b: another.
    """

    of_levels: ClassVar[Callable[[Array, Array], Array]] = jnp.minimum
