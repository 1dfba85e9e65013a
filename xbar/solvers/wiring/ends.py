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
(`xbar.solvers.wiring.gaps`): the operators here are those of whole lines.

Bit lines are counted from their amplifiers, with signs turned round (``y = -v_bit``);
a cell draws its current from either of its nodes, so that ``u = y_word + y_bit``.
"""

import equinox as eqx
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from xbar.solvers.lines import BIT, WORD, Blocks, Matrix, PerCell, Sums, line_of, running_sum


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
        near_current = self.sum(drawn * far.near_share)
        far_current = self.sum(drawn * far.far_share)
        return far.near_resistance * near_current + lost - far.depth * far_current

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
