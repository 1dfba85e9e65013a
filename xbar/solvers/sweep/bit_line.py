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

which is also the voltage of cell k with the output, not the word line, pulled by 1 V. Seen from
its word-line nodes the bit line is a star-mesh of conductances: ``g_i K_ik g_k`` between nodes i
and k, and ``g_i c_i`` from node i to the output's ground.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

LineValues = Float[Array, "*cols rows"]
Squares = Float[Array, "*cols rows rows"]


class BitLine(NamedTuple):
    """Bit lines by themselves, one or an axis of them in front."""

    g: LineValues  # [S]
    own: LineValues  # C_ii
    reach: LineValues  # c
    node: LineValues  # K_ii [ohm]
    share: LineValues  # of the voltage at the next node down, what reaches this one

    @property
    def out(self) -> LineValues:
        """Conductance from each word-line node to the output's ground [S]."""
        return self.g * self.reach


def bit_lines(g: LineValues, below: LineValues) -> BitLine:
    """Every bit line by itself.

    Args:
        g: conductances, a bit line per row (cols, rows) [S].
        below: resistance of the segment below each cell, sense included (cols, rows) [ohm].
    """

    def step(before: tuple, inputs: tuple) -> tuple:
        reached, passed = before
        more, across = inputs
        total = reached + more
        share = 1 / (1 + across * total)
        return (total * share, passed * share), (total, share, passed)

    # Admittances looking up, from the top, and impedances looking down, from the bottom, follow the
    # same law with the roles of g and r exchanged: one loop for both.
    more, across = jnp.stack([g.T, below.T[::-1]], 1), jnp.stack([below.T, g.T[::-1]], 1)
    start = jnp.zeros_like(more[0]), jnp.ones_like(more[0])
    total, share, passed = lax.scan(step, start, (more, across))[1]
    a, z, passed = total[:, 0].T, total[::-1, 1].T, passed[::-1, 1].T
    above = jnp.concatenate([start[0][:1], (total * share)[:-1, 0]]).T  # y
    down = 1 / (1 + z * a)
    return BitLine(g, (1 + z * above) * down, passed * down, z * down, share[:, 0].T)


def mutual_impedance(line: BitLine) -> Squares:
    """`K` without its diagonal [ohm], by products along the lines.

    Exponentials of differences of logarithms would take fewer steps, but lose as many digits as
    the attenuation of the whole line has, also between neighbours.
    """
    place = jnp.arange(line.g.shape[-1])

    def step(reached: Array, inputs: tuple) -> tuple:
        k, share, node = inputs
        # What a voltage of 1 V at node k raises the nodes above it to.
        reached = jnp.where(place < k, reached * share[..., None], 0)
        return jnp.where(place == k, 1, reached), reached * node[..., None]

    before = jnp.roll(line.share, 1, axis=-1)
    along = tuple(jnp.moveaxis(x, -1, 0) for x in (before, line.node))
    above = jnp.moveaxis(lax.scan(step, jnp.zeros_like(line.g), (place, *along))[1], 0, -2)
    return above + jnp.swapaxes(above, -1, -2)


class Chains(NamedTuple):
    """Every bit line by itself: ``S_ii = own_i``, ``S_ik = -upper_i lower_k`` for i < k."""

    own: LineValues  # [S]
    out: LineValues  # g c: output current [A] per volt on each word-line node
    upper: LineValues  # [S]
    lower: LineValues  # 1


def chains_of(line: BitLine) -> Chains:
    """Admittances in numbers per node; for lines that are not too long.

    Not finite where the products along a line leave the range of numbers.
    """
    length = _length(line)
    down = line.node * jnp.exp(-length)
    return Chains(line.g * line.own, line.out, line.g * jnp.exp(length), line.g * down)


def short_mutual_impedance(line: BitLine) -> Squares:
    """As `mutual_impedance`, with few exponentials; for lines that are not too long."""
    length = _length(line)
    up, down = jnp.exp(length), line.node * jnp.exp(-length)
    i, k = jnp.arange(up.shape[-1])[:, None], jnp.arange(up.shape[-1])
    above, below = up[:, :, None] * down[:, None, :], down[:, :, None] * up[:, None, :]
    return jnp.where(i == k, 0, jnp.where(i < k, above, below))


def _length(line: BitLine) -> LineValues:
    """Logarithm of the voltage lost from each node up to the first."""
    length = -jnp.cumsum(jnp.log(line.share), axis=-1)
    return jnp.concatenate([jnp.zeros_like(length[..., :1]), length[..., :-1]], axis=-1)
