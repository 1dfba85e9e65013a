"""Laws made of laws: two in series, or one law here and another there."""

from typing import Any, NamedTuple, final

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Int

from xbar.cells.base import AbstractCell, Cells, point
from xbar.checks import check_kind

# Each step brings at least half of what the one before did, or halves the interval; from a start
# by the laws' own inverses, 5 were enough in tests.
MAX_STEPS = 200


@final
class Series(AbstractCell):
    """Two laws in series: the same current, the voltages add.

    Args:
        a: the law at the word line.
        b: the law at the bit line.

    Raises:
        TypeError: not cell laws.

    1S1R: ``Series(Ohmic(g), Selector(i_s, v_s))``. A fixed access resistance:
    ``Series(Sinh(g, v_0), Ohmic(1 / r))``. The slope is that of two conductances in series, so an
    open or saturated part opens the cell.
    """

    a: AbstractCell
    b: AbstractCell

    def __init__(self, a: AbstractCell, b: AbstractCell):
        self.a, self.b = _law("Series.a", a), _law("Series.b", b)

    def current(self, u: Cells) -> Cells:
        """The current at which the voltages of both add up to u."""
        if self.linear:
            return self.slope(u) * u
        shape = jnp.broadcast_shapes(self.a.shape, self.b.shape, u.shape)
        return _series(self.a, self.b, jnp.broadcast_to(u, shape)).i

    def slope(self, u: Cells) -> Cells:
        """``g_a g_b / (g_a + g_b)``."""
        if self.linear:
            return _in_series(self.a.slope(u), self.b.slope(u))
        return jax.jvp(self.current, (u,), (jnp.ones_like(u),))[1]

    def voltage(self, i: Cells) -> Cells:
        """The two voltages added; NaN where one of them is not known."""
        return self.a.voltage(i) + self.b.voltage(i)

    def holds(self, u: Cells) -> Bool[Array, "..."]:
        """Whether both parts hold at their share of the voltage."""
        shape = jnp.broadcast_shapes(self.a.shape, self.b.shape, u.shape)
        split = _series(self.a, self.b, jnp.broadcast_to(u, shape))
        return self.a.holds(split.u_a) & self.b.holds(split.u_b)

    @property
    def linear(self) -> bool:
        """Where both parts are."""
        return self.a.linear and self.b.linear

    @property
    def invertible(self) -> bool:
        """Where both parts are."""
        return self.a.invertible and self.b.invertible


@final
class Where(AbstractCell):
    """One law for some cells, another for the rest: stuck cells among others.

    Args:
        mask: booleans (rows, cols); may be traced and batched.
        a: the law where the mask is True.
        b: the law elsewhere.

    Raises:
        TypeError: not cell laws, or a mask that is not boolean.
        ValueError: a mask of another shape.
    """

    mask: Array
    a: AbstractCell
    b: AbstractCell

    def __init__(self, mask: Any, a: AbstractCell, b: AbstractCell):
        self.mask = jnp.asarray(mask)
        if self.mask.dtype != bool:
            raise TypeError(f"Where.mask: got dtype {self.mask.dtype}, needs booleans")
        if self.mask.ndim not in (0, 2):
            raise ValueError(f"Where.mask: got shape {self.mask.shape}, needs (rows, cols)")
        self.a, self.b = _law("Where.a", a), _law("Where.b", b)

    def current(self, u: Cells) -> Cells:
        """That of the law in force."""
        a, b = self._parts(u)
        return jnp.where(self.mask, self.a.current(a), self.b.current(b))

    def slope(self, u: Cells) -> Cells:
        """That of the law in force."""
        a, b = self._parts(u)
        return jnp.where(self.mask, self.a.slope(a), self.b.slope(b))

    def voltage(self, i: Cells) -> Cells:
        """That of the law in force."""
        a, b = self._parts(i)
        return jnp.where(self.mask, self.a.voltage(a), self.b.voltage(b))

    def holds(self, u: Cells) -> Bool[Array, "..."]:
        """Whether the law in force does."""
        a, b = self._parts(u)
        return jnp.where(self.mask, self.a.holds(a), self.b.holds(b))

    @property
    def linear(self) -> bool:
        """Where both laws are."""
        return self.a.linear and self.b.linear

    @property
    def invertible(self) -> bool:
        """Where either law is."""
        return self.a.invertible or self.b.invertible

    def _parts(self, x: Cells) -> tuple[Cells, Cells]:
        """What each law is asked: 0 where it is not in force, lest a NaN gets into derivatives."""
        return jnp.where(self.mask, x, 0), jnp.where(self.mask, 0, x)


def _law(name: str, value: Any) -> AbstractCell:
    check_kind(name, value, AbstractCell, "a law from xbar.cells")
    return value


class _Split(NamedTuple):
    """How two laws in series share a voltage."""

    u_a: Cells
    u_b: Cells
    i: Cells


@jax.custom_jvp
def _series(a: AbstractCell, b: AbstractCell, u: Cells) -> _Split:
    """Solve ``I_a(u - u_b) = I_b(u_b)``."""
    u_b = _share(a, b, u)
    return _Split(u - u_b, u_b, b.current(u_b))


@_series.defjvp
def _series_jvp(primals: tuple, tangents: tuple) -> tuple[_Split, _Split]:
    """How the share of the voltage changes.

    The laws change by `da` and `db` at fixed voltages; then both currents stay equal and

        di = da + g_a du_a = db + g_b du_b          du_a + du_b = du

    which is solved without differences of large numbers.
    """
    (a, b, u), (d_a, d_b, du) = primals, tangents
    split = _series(a, b, u)
    g_a, g_b = a.slope(split.u_a), b.slope(split.u_b)
    _, da = jax.jvp(lambda law: law.current(split.u_a), (a,), (d_a,))
    _, db = jax.jvp(lambda law: law.current(split.u_b), (b,), (d_b,))
    total = g_a + g_b
    per = jnp.where(total == 0, 0, 1 / jnp.where(total == 0, 1, total))  # both open: nothing moves
    return split, _Split(
        u_a=(g_b * du + db - da) * per,
        u_b=(g_a * du + da - db) * per,
        i=(g_b * (g_a * du + da) + g_a * db) * per,
    )


class _Search(NamedTuple):
    u_b: Cells
    near: Cells  # the root lies between these two; here a carries more than b would
    far: Cells
    step: Cells  # the last one
    done: Bool[Array, "..."]
    steps: Int[Array, ""]


def _share(a: AbstractCell, b: AbstractCell, u: Cells) -> Cells:
    """The voltage of b, by Newton's method in an interval that closes (never differentiated).

    The current is at most what either law would carry alone, so that ``u_b <= V_b(I_a(u))`` and
    ``u - u_b <= V_a(I_b(u))``. Of an exponential and a resistor, the exponential's bound is close
    to the root, and Newton's steps from there stay on one side. Where a step leaves the interval,
    or is not half of the one before, the interval is halved instead.
    """
    sign, size = jnp.sign(u), jnp.abs(u)

    def at_most(law: AbstractCell, other: AbstractCell) -> Cells:
        found = sign * law.voltage(other.current(u)) if law.invertible else size
        return jnp.clip(jnp.where(jnp.isfinite(found), found, size), 0, size)

    far = at_most(b, a)
    near = size - at_most(a, b)
    start = jnp.where(far < size, far, near)
    none = jnp.zeros_like(u, dtype=bool)
    first = _Search(sign * start, sign * near, sign * far, size, none, jnp.zeros((), int))

    def step(now: _Search) -> _Search:
        (i_a, g_a), (i_b, g_b) = point(a, u - now.u_b), point(b, now.u_b)
        more, total = i_a - i_b, g_a + g_b
        below = more * sign > 0
        near, far = jnp.where(below, now.u_b, now.near), jnp.where(below, now.far, now.u_b)
        newton = more / jnp.where(total > 0, total, 1)
        aim = now.u_b + newton
        inside = (total > 0) & ((aim - near) * (aim - far) <= 0)
        good = inside & (2 * jnp.abs(newton) <= jnp.abs(now.step) + jnp.abs(aim) * 1e-12)
        aim = jnp.where(good, aim, (near + far) / 2)
        moved = aim - now.u_b
        done = (
            now.done | (more == 0) | (jnp.abs(moved) <= 2 * jnp.finfo(u.dtype).eps * jnp.abs(aim))
        )
        u_b = jnp.where(now.done | (more == 0), now.u_b, aim)
        return _Search(u_b, near, far, moved, done, now.steps + 1)

    last = lax.while_loop(lambda now: jnp.any(~now.done) & (now.steps < MAX_STEPS), step, first)
    return last.u_b


def _in_series(g_a: Cells, g_b: Cells) -> Array:
    total = g_a + g_b
    return jnp.where(total == 0, 0, g_a * g_b / jnp.where(total == 0, 1, total))
