"""Bit lines taken by themselves: what each does to its cells and passes to its output.

Written with admittances and impedances that only add, so nothing cancels. For one bit line with
cells `g_i` and segments `r_i` below node i: admittance looking up ``a_i = y_i + g_i``, ``y_0 = 0``,
``y_{i+1} = a_i / (1 + r_i a_i)``; impedance looking down ``z_i = r_i + z_{i+1} / (1 + g_{i+1}
z_{i+1})``, ending in ``r + sense``. The impedance of node k is ``z_k / (1 + z_k a_k)``; a voltage
at node i+1 is divided by ``1 + r_i a_i`` on its way up to node i, so that a current into node k
raises node i <= k by

    K_ik = z_k / (1 + z_k a_k) prod_{m=i}^{k-1} 1 / (1 + r_m a_m)            symmetric

per ampere. With word-line nodes at `w`, cell voltages are ``C w`` and cell currents ``S w``,

    C_ik = -g_k K_ik        C_ii = 1 - g_i K_ii = (1 + z_i y_i) / (1 + z_i a_i)        S = diag(g) C

Of the current ``g_k w_k / (1 + z_k a_k)`` that leaves node k downwards, each cell further down
diverts its part; the output takes ``g_k c_k w_k`` with

    c_k = 1 / (1 + z_k a_k) prod_{m>k} 1 / (1 + g_m z_m)

which is also the voltage of cell k with the output, not the word line, pulled by 1 V.

The products over a stretch of line are exponentials of differences of one running sum of
logarithms: every pair of nodes at once, and long lines neither over- nor underflow.

A derivative with respect to a cell or a segment is, by reciprocity, the product of two voltages or
currents at that place:

    dS = C^T dg C - J^T dr J        d(g c) = C^T dg c - J^T dr j

with `J` and `j` the currents of the segments, running sums of `S` and ``g c``.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Float

from xbar.solvers.lines import product

Lines = Float[Array, "cols rows"]
Squares = Float[Array, "cols rows rows"]

UNROLL = 5  # cells per turn of the loops along a line: one is less work than the turn


class Columns(NamedTuple):
    """Every bit line by itself."""

    admittance: Squares  # S: cell currents [A] per volt on each word-line node
    out: Lines  # g c: output current [A] per volt on each word-line node


class ThinColumns(NamedTuple):
    """Every bit line by itself, in numbers per node; of one line, matrices become vectors."""

    g: Lines
    own: Lines  # C_ii
    node: Lines  # impedance of each node [ohm]
    length: Lines  # logarithm of the voltage lost up to each node

    @property
    def admittance(self) -> Array:
        """`S` as in `Columns`, made when asked for."""
        impedance = _impedance(self.node, self.length)
        return self.g[..., :, None] * _voltage(self.g, self.own, impedance)


class Alone(NamedTuple):
    """How every bit line by itself answers its word-line nodes, and currents into its own."""

    voltage: Squares  # C: cell voltages [V] per volt on each word-line node
    impedance: Squares  # K: voltage of each bit-line node [V] per ampere into each
    reach: Lines  # c: output current per current that a cell would carry by itself


class Chains(NamedTuple):
    """Every bit line by itself: ``S_ii = own_i``, ``S_ik = -upper_i lower_k`` for i < k."""

    own: Lines  # [S]
    out: Lines  # g c: output current [A] per volt on each word-line node
    upper: Lines  # [S]
    lower: Lines  # 1


class Cells(NamedTuple):
    """Every bit line by itself: ``C = beside + diag(own)``."""

    beside: Squares  # cell voltages [V] per volt on the other word-line nodes
    own: Lines  # and on their own
    reach: Lines  # c


@jax.custom_jvp
def columns_of(g: Lines, below: Lines) -> Columns:
    """What each bit line does.

    Args:
        g: conductances, a bit line per row (cols, rows) [S].
        below: resistance of the segment below each cell, sense included (cols, rows) [ohm].
    """
    return _as_columns(g, alone(g, below))


def _as_columns(g: Lines, lines: Alone) -> Columns:
    return Columns(g[:, :, None] * lines.voltage, g * lines.reach)


def _derivative(primals: tuple, tangents: tuple) -> tuple[Columns, Columns]:
    g, below = primals
    dg, dr = tangents
    lines = alone(g, below)
    voltage, reach, out = lines.voltage, lines.reach, _as_columns(g, lines)
    d_admittance, d_out = jnp.zeros_like(voltage), jnp.zeros_like(g)

    def add(left: Squares, right: Lines, change: Lines) -> None:
        nonlocal d_admittance, d_out
        across = jnp.swapaxes(left, 1, 2)
        d_admittance = d_admittance + product(across, change[:, :, None] * left)
        d_out = d_out + product(across, (change * right)[:, :, None])[:, :, 0]

    if not isinstance(dg, SymbolicZero):
        add(voltage, reach, dg)
    if not isinstance(dr, SymbolicZero):
        add(jnp.cumsum(out.admittance, axis=1), jnp.cumsum(out.out, axis=1), -dr)
    return out, Columns(d_admittance, d_out)


columns_of.defjvp(_derivative, symbolic_zeros=True)


def alone(g: Lines, below: Lines) -> Alone:
    """`C`, `K` and `c`; written so that plain differentiation gives the second derivatives.

    Args:
        g: conductances, a bit line per row (cols, rows) [S].
        below: resistance of the segment below each cell, sense included (cols, rows) [ohm].
    """
    own, reach, node, length = _along(g, below)
    impedance = _impedance(node, length)
    return Alone(_voltage(g, own, impedance), impedance, reach)


def thin_columns_of(g: Lines, below: Lines) -> ThinColumns:
    """As `columns_of`, without matrices.

    Args:
        g: conductances, a bit line per row (cols, rows) [S].
        below: resistance of the segment below each cell, sense included (cols, rows) [ohm].
    """
    own, _, node, length = _along(g, below)
    return ThinColumns(g, own, node, length)


def _impedance(node: Array, length: Array) -> Array:
    """`K` from numbers per node."""
    i, k = jnp.arange(node.shape[-1])[:, None], jnp.arange(node.shape[-1])
    apart = length[..., :, None] - length[..., None, :]
    share = jnp.exp(jnp.where(i < k, apart, -apart))
    return jnp.where(i < k, node[..., None, :], node[..., :, None]) * share


def _voltage(g: Array, own: Array, impedance: Array) -> Array:
    """`C` from numbers per node and `K`."""
    i, k = jnp.arange(g.shape[-1])[:, None], jnp.arange(g.shape[-1])
    return jnp.where(i == k, own[..., :, None], -g[..., None, :] * impedance)


def chains_of(g: Lines, below: Lines) -> Chains:
    """What each bit line does, in numbers per node; for lines that are not too long.

    Args:
        g: conductances, a bit line per row (cols, rows) [S].
        below: resistance of the segment below each cell, sense included (cols, rows) [ohm].

    Returns:
        The chains; not finite where the products along a line leave the range of numbers.
    """
    own, reach, impedance, length = _along(g, below)
    return Chains(g * own, g * reach, g * jnp.exp(length), g * impedance * jnp.exp(-length))


def cells_of(g: Lines, below: Lines) -> Cells:
    """The same of the cells themselves, with few exponentials; for lines that are not too long."""
    own, reach, impedance, length = _along(g, below)
    up, down = jnp.exp(length), impedance * jnp.exp(-length)
    i, k = jnp.arange(g.shape[1])[:, None], jnp.arange(g.shape[1])
    mutual = jnp.where(i < k, up[:, :, None] * down[:, None, :], down[:, :, None] * up[:, None, :])
    return Cells(jnp.where(i == k, 0, -g[:, None, :] * mutual), own, reach)


def _along(g: Lines, below: Lines) -> tuple[Lines, Lines, Lines, Lines]:
    """`C_ii`, `c`, the impedance of each node, and the logarithm of the voltage lost up to it."""
    y, z, passed = _looking_up(g, below), *_looking_down(g, below)
    a = y + g
    length = jnp.cumsum(jnp.log1p(below * a), axis=1)
    length = jnp.concatenate([jnp.zeros_like(length[:, :1]), length[:, :-1]], axis=1)
    down = 1 + z * a
    return (1 + z * y) / down, passed / down, z / down, length


def _looking_up(g: Lines, below: Lines) -> Lines:
    """Admittance `y` of what hangs above each node."""

    def up(y: Array, inputs: tuple) -> tuple:
        g, r = inputs
        a = y + g
        return a / (1 + r * a), y

    return lax.scan(up, jnp.zeros_like(g[:, 0]), (g.T, below.T), unroll=UNROLL)[1].T


def _looking_down(g: Lines, below: Lines) -> tuple[Lines, Lines]:
    """Impedance `z` below each node, and the share of the current into `z` that gets out."""

    def down(behind: tuple, inputs: tuple) -> tuple:
        impedance, passed = behind
        g, r = inputs
        z = r + impedance
        divider = 1 / (1 + g * z)
        return (z * divider, passed * divider), (z, passed)

    start = jnp.zeros_like(g[:, 0]), jnp.ones_like(g[:, 0])
    z, passed = lax.scan(down, start, (g.T, below.T), reverse=True, unroll=UNROLL)[1]
    return z.T, passed.T
