"""Lines of one kind with the drivers at their ends: what cell currents and drivers make of them.

With the nodes of a line counted from its near end, `L` and `R` the resistance from a node to the
near and to the far driver and ``Q = L + R``, the voltage of a node is

    y = open-circuit voltage - drop

    one end driven    V_near                                   D[j,k] = L(min(j,k))
    both ends         (R(j) V_near + L(j) V_far) / Q           D[j,k] = L(min(j,k)) R(max(j,k)) / Q

for currents `d` drawn from the nodes. The shares ``R / Q`` and ``L / Q`` of a current are what the
two drivers give of it. With ``i_near = sum_k d_k R(k) / Q``, ``i_far = sum_k d_k L(k) / Q`` and `X`
the resistance of the segments up to a node, the drop of both ends is that of the segments alone,

    (D d)_j = source i_near + sum_p X(min(j,p)) d_p - X(j) i_far

which is the plain operator of `xbar.solvers.lines` with two sums beside it. Only resistances add,
so that 0 ohm and very large ones are ordinary. (Where Q is 0, both drivers hold every node and
share a current in any way; the near one is said to give all of it.)

A segment that is broken is one with a series voltage source that lets no current through
(below): the operators of lines are those of whole lines.

Bit lines are counted from their amplifiers, with signs turned round (``y = -v_bit``);
a cell draws its current from either of its nodes, so that ``u = y_word + y_bit``.

**Gaps**, broken segments and disconnected drivers, let no current through. A gap is treated as a
whole segment in series with a voltage source `p`, which takes the value at which the segment's
current is 0. So the operators of the lines stay those of whole lines; gaps add

    y = open-circuit voltage - D d + N p                      voltages of the nodes
    0 = N^T d + S p + (current that the drivers alone send)   current of each gap

with `N` the voltages that 1 V in a gap gives to the nodes of its line and `S` the currents that it
drives from end to end. Where the near end alone has a driver, N is 1 beyond the gap and S is 0:
what is drawn from there on is 0 in sum. Where both have, N is ``R / Q`` beyond the gap and ``-L /
Q`` before it, and S is ``1 / Q`` among the gaps of a line.

A disconnected near driver is a gap in the first segment, a disconnected far driver one behind the
last node. What lies between a gap and the next one, or the end of the line, is a piece.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from xbar.solvers.lines import (
    BIT,
    WORD,
    Blocks,
    Matrix,
    PerCell,
    Sums,
    line_of,
    product,
    running_sum,
)


class FarEnds(eqx.Module):
    """What drivers at the far ends add; broadcastable to (rows, cols)."""

    near_resistance: Array  # of the near driver, an axis of 1 along the line [ohm]
    depth: Array  # X [ohm]
    near_share: Array  # R / Q
    far_share: Array  # L / Q
    total: Array  # Q, an axis of 1 along the line [ohm]


class Ends(eqx.Module):
    """All word lines, or all bit lines."""

    line: Matrix | Blocks | Sums
    far: FarEnds | None
    axis: int = eqx.field(static=True)

    def drop(self, drawn: PerCell) -> PerCell:
        """``D d``: voltage lost at each node for currents drawn from the nodes [V]."""
        if drawn.size == 0:
            return drawn
        lost = self.line(drawn)
        if self.far is None:
            return lost
        far = self.far
        near_current = self._shared(drawn, far.near_share)
        far_current = self._shared(drawn, far.far_share)
        return far.near_resistance * near_current + lost - far.depth * far_current

    def _shared(self, drawn: PerCell, share: Array) -> Array:
        """What one driver gives of the currents of each line, with an axis of 1 along it [A]."""
        if share.shape[BIT if self.axis == WORD else WORD] != 1:
            return self.sum(drawn * share)
        # For lines that are alike a product, which is several times as fast on a CPU: XLA makes
        # one piece of a sum of products and all that is added to it (benchmarks/log.md).
        return product(drawn, share.T) if self.axis == WORD else product(share.T, drawn)

    def open_circuit(self, near: Float[Array, "n lines"], far: Array | None) -> PerCell:
        """Voltages of the nodes where nothing is drawn, (n, rows, cols) or broadcastable to it."""
        v_near = self.across(near)
        if self.far is None or far is None:
            return v_near
        return self.far.near_share * v_near + self.far.far_share * self.across(far)

    def through(self, near: Float[Array, "n lines"], far: Array | None) -> Float[Array, "n lines"]:
        """Current from near to far driver where nothing is drawn [A]."""
        if self.far is None or far is None:
            return jnp.zeros_like(near)
        total = self.along(self.far.total, near.shape[-1])
        return jnp.where(total == 0, 0, (near - far) / jnp.where(total == 0, 1, total))

    def sum(self, x: PerCell) -> Array:
        """Sum over each line, with an axis of 1 along it."""
        return jnp.sum(x, axis=self.axis, keepdims=True)

    def across(self, x: Array) -> Array:
        """Numbers per line, with an axis of 1 along it."""
        return jnp.expand_dims(x, self.axis)

    def along(self, x: Array, lines: int) -> Float[Array, " lines"]:
        """Numbers per line, or one for all, out of an array with an axis of 1 along the line."""
        return jnp.broadcast_to(jnp.squeeze(x, self.axis) if x.ndim else x, (lines,))


def ends_of(
    segments: Array,
    near: Array,
    far: Array | None,
    shape: tuple[int, int],
    axis: int,
) -> Ends:
    """The operator of all lines along an axis.

    Args:
        segments: resistances, broadcastable to (rows, cols) [ohm].
        near: of the near drivers, () or (lines,) [ohm].
        far: of the far drivers, the same; None where there are none.
        shape: of the array.
        axis: WORD or BIT.
    """
    near = jnp.expand_dims(near, axis) if near.ndim else near
    if far is None:
        return Ends(line_of(segments, near, shape[axis], axis), None, axis)
    line = line_of(segments, jnp.zeros_like(near), shape[axis], axis)
    return Ends(line, _far_ends(segments, near, far, shape, axis), axis)


def _far_ends(
    segments: Array, near: Array, far: Array, shape: tuple[int, int], axis: int
) -> FarEnds:
    far = jnp.expand_dims(far, axis) if far.ndim else far
    if segments.ndim == 0:
        segments = segments.reshape(1, 1)
    size = shape[axis]
    full = (segments.shape[0], size) if axis == WORD else (size, segments.shape[1])
    segments = jnp.broadcast_to(segments, full)
    bottom = axis == BIT  # where bit lines begin
    depth = running_sum(segments, axis, reverse=bottom)
    # From each node on to the far end: the sum of those behind it, not a difference.
    first = jnp.arange(size) == (size - 1 if bottom else 0)
    behind = jnp.where(jnp.expand_dims(first, BIT if axis == WORD else WORD), 0, segments)
    behind = jnp.roll(behind, 1 if bottom else -1, axis)
    left, right = near + depth, far + running_sum(behind, axis, reverse=not bottom)
    total = near + jnp.sum(segments, axis=axis, keepdims=True) + far
    whole = jnp.where(total == 0, 1, total)
    near_share = jnp.where(total == 0, 1, right / whole)
    return FarEnds(near, depth, near_share, left * (1 / whole) * (total != 0), total)


Volts = Float[Array, "n gaps"]
Along = Float[Array, "gaps along"]


class GapPlaces(NamedTuple):
    """Where the gaps of all lines of one kind are.

    Of a line, those nearer to the near end come first.
    """

    line: Int[Array, " gaps"]
    start: Int[Array, " gaps"]  # node behind the gap, counted from the near end
    used: Bool[Array, " gaps"]  # False for entries beyond the gaps that there are
    fits: Bool[Array, ""]  # whether these are all that there are
    mask: Bool[Array, "rows cols"]  # nodes right behind a gap
    far: Bool[Array, " lines"] | None  # far driver disconnected


class Gaps(eqx.Module):
    """The gaps of all lines of one kind."""

    places: GapPlaces
    vector: Along  # N of each along its line
    lonely: bool = eqx.field(static=True)  # one on each line, in order, at the near end
    axis: int = eqx.field(static=True)

    @property
    def count(self) -> int:
        """Length of a vector of the gaps' voltages."""
        return len(self.places.line)

    def spread(self, p: Volts, shape: tuple[int, int]) -> PerCell:
        """``N p``, the voltages that the gaps' sources give to the nodes [V]."""
        along = jnp.where(self.places.used, p, 0)[..., None] * self.vector
        if self.lonely:
            return along if self.axis == WORD else jnp.swapaxes(along, -1, -2)
        y, line = jnp.zeros((*p.shape[:-1], *shape), along.dtype), self.places.line
        if self.axis == WORD:
            return y.at[..., line, :].add(along)
        return y.at[..., :, line].add(jnp.swapaxes(along, -1, -2))

    def collect(self, d: PerCell) -> Volts:
        """``N^T d``, what the gaps' segments carry of the currents drawn from the nodes [A]."""
        if self.axis == WORD:
            along = d if self.lonely else d[..., self.places.line, :]
            total = jnp.sum(along * self.vector, axis=-1)
        else:
            along = d if self.lonely else d[..., :, self.places.line]
            total = jnp.sum(along * self.vector.T, axis=-2)
        return jnp.where(self.places.used, total, 0)


def places_of(
    broken: Bool[Array, "rows cols"] | None,
    near: Bool[Array, " lines"] | None,
    far: Bool[Array, " lines"] | None,
    shape: tuple[int, int],
    axis: int,
    most: int,
) -> GapPlaces | None:
    """The gaps of all lines along an axis; None where there can be none.

    Args:
        broken: broken segments, in front of the node (seen from the near end); None for none.
        near: lines without their near driver; None for none.
        far: lines without their far driver; None for none, or where there are none.
        shape: of the array.
        axis: WORD or BIT.
        most: how many broken segments there may be.
    """
    if broken is None and near is None and far is None:
        return None
    lines, size = shape if axis == WORD else shape[::-1]
    parts, fits = [], jnp.asarray(True)
    every = jnp.arange(lines)
    mask = jnp.zeros((lines, size), bool)
    if near is not None:
        mask = mask.at[:, 0].set(near)
    if broken is not None:
        mask = mask | oriented(broken, axis)
        most = min(most + (0 if near is None else lines), lines * size)
        found = jnp.nonzero(mask.ravel(), size=most, fill_value=lines * size)[0]
        used, found = found < lines * size, jnp.minimum(found, lines * size - 1)
        parts.append((found // size, found % size, used))
        fits = jnp.sum(mask) <= most
    elif near is not None:
        parts.append((every, jnp.zeros_like(every), near))
    if far is not None:
        parts.append((every, jnp.full_like(every, size), far))
    line, start, used = (jnp.concatenate(x) for x in zip(*parts, strict=True))
    return GapPlaces(line, start, used, fits, oriented(mask, axis, back=True), far)


def oriented(x: Array, axis: int, *, back: bool = False) -> Array:
    """(rows, cols) as (lines, along), counted from the near end; or back again."""
    if axis == WORD:
        return x
    return jnp.swapaxes(x, -1, -2)[..., ::-1, :] if back else jnp.swapaxes(x[..., ::-1, :], -1, -2)


def counted(size: int, axis: int) -> Int[Array, " along"]:
    """Each node's place on its line, counted from the near end, in the order of the array."""
    return jnp.arange(size) if axis == WORD else jnp.arange(size)[::-1]


def gaps_of(places: GapPlaces, ends: Ends, shape: tuple[int, int], *, lonely: bool) -> Gaps:
    """Gaps with what their sources do to the lines.

    Args:
        places: where they are.
        ends: the lines.
        shape: of the array.
        lonely: whether there is one on each line, in order, at the near end.
    """
    size, dtype = shape[ends.axis], ends.line.end.dtype
    behind = counted(size, ends.axis) >= places.start[:, None]
    if ends.far is None:
        vector = behind.astype(dtype)
    else:
        near, far = (
            jnp.broadcast_to(x, shape)[places.line]
            if ends.axis == WORD
            else jnp.broadcast_to(x, shape)[:, places.line].T
            for x in (ends.far.near_share, ends.far.far_share)
        )
        vector = jnp.where(behind, near, -far)
    vector = jnp.where(places.used[:, None], vector, 0)
    return Gaps(places, vector, lonely, ends.axis)


def around_root(gaps: Gaps, ends: Ends) -> Float[Array, "gaps gaps"]:
    """Root of `S`, the currents that 1 V in each gap drives through those of its line: S = B^T B.

    A line's gaps all carry the same current, ``sum p / Q``: one row of B for the first of them.
    """
    line, used = gaps.places.line, gaps.places.used
    same = (line[:, None] == line) & used[:, None] & used
    if ends.far is None:
        return jnp.zeros(same.shape, gaps.vector.dtype)
    first = jnp.argmax(same, axis=1) == jnp.arange(len(line))
    total = jnp.squeeze(ends.far.total, ends.axis)
    whole = total[line] if len(total) > 1 else jnp.broadcast_to(total, line.shape)
    over = 1 / jnp.sqrt(jnp.where(whole > 0, whole, 1))
    return jnp.where(same & (first & (whole > 0))[:, None], over[:, None], 0)


class Attached(NamedTuple):
    """Which nodes hang on which driver."""

    near: Bool[Array, "rows cols"]  # no gap before them
    far: Bool[Array, "rows cols"]  # no gap behind them, and a driver there
    cut: Bool[Array, " lines"]  # lines with a gap


def attached(places: GapPlaces | None, ends: Ends, shape: tuple[int, int]) -> Attached:
    """Which nodes hang on the drivers at the near and at the far ends."""
    lines = shape[0 if ends.axis == WORD else 1]
    if places is None:
        every = jnp.ones(shape, bool)
        return Attached(every, every & (ends.far is not None), jnp.zeros(lines, bool))
    gap = places.mask.astype(ends.line.end.dtype)
    bottom = ends.axis != WORD
    before = running_sum(gap, ends.axis, reverse=bottom)
    total = jnp.sum(gap, axis=ends.axis, keepdims=True)
    cut = jnp.squeeze(total, ends.axis) > 0.5
    # Sums of ones are exact.
    behind = total - before < 0.5
    if ends.far is None:
        far = jnp.zeros(shape, bool)
    elif places.far is None:
        far = behind
    else:
        cut = cut | places.far
        far = behind & ~ends.across(places.far)
    return Attached(before < 0.5, far, cut)
