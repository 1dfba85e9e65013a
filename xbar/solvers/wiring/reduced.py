"""Bridges and gaps eliminated: what is left is a system for the cells (`circuit` has its symbols).

Also what the errors are that a residual leaves. With

    |x|^2 = x^T g' x = sum g (x + N' p)^2 + p^T S' p        p = -A^-1 N'^T g x
    S' = S + (J^T N)^T K^-1 (J^T N)

(sums of squares, for x may be large where g' is 0) and a residual `s'` of the reduced system,
reciprocity and the Cauchy-Schwarz inequality give, for the change of any quantity that a unit
source somewhere would measure, at most ``|s'|`` times the root of the power that this unit source
would put into the cells:

    current of a line of cells        |s'| sqrt(sum of its conductances)
    voltage of a node                 |s'| sqrt(resistance from it to the drivers)
    current of a bridge q             |s'| sum_p |K^-1_qp| sqrt(K_pp)

A node's resistance to the drivers is at most that of its lines; for a floating piece, that of its
cells besides.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from xbar.solvers.base import Voltages, largest_current
from xbar.solvers.lines import product
from xbar.solvers.wiring.circuit import Bridges, Circuit, Pieces, Unknown, Volts, pieces_of

# Of the busiest line's current at the largest voltage, what is no current.
ROUNDINGS = 8


class Reduced(NamedTuple):
    """What the reduction needs; all of it belongs to the array alone."""

    k_inverse: Float[Array, "bridges bridges"]
    y: Float[Array, "bridges rows cols"]
    seen: Float[Array, "bridges gaps"]  # J^T N
    response: Float[Array, "bridges gaps"]  # W = K^-1 J^T N
    a_inverse: Float[Array, "gaps gaps"]
    root: Float[Array, "bridges_and_gaps gaps"]  # S' = root^T root
    k_diagonal: Float[Array, " bridges"]
    loose: Float[Array, "bridges bridges"]  # currents that meet no resistance, as rows
    r_node: Float[Array, ""]  # bound on any node's resistance to the drivers [ohm]
    busiest: Float[Array, ""]  # largest sum of conductances along a line [S]
    pieces: Pieces | None  # None where there can be no gap


class Rest(NamedTuple):
    """What is left of the equations, after the bridges' and gaps' own part."""

    cells: Voltages  # s'
    t: Bridges
    p: Volts


def reduced(circuit: Circuit) -> Reduced:
    """Eliminate bridges and gaps."""
    bridges, gaps = circuit.counts
    g, dtype = circuit.g, circuit.g.dtype
    none = jnp.zeros((bridges, *circuit.shape), dtype)
    unit = jnp.eye(bridges, dtype=dtype)
    y, k, drawn = none, unit, ()
    if bridges:
        drawn = circuit.drawn(none, unit)
        at_nodes = [ends.drop(d) for ends, d in zip(circuit.ends, drawn, strict=True)]
        y = at_nodes[0] + at_nodes[1]
        k = jnp.diag(circuit.r_bridge) + circuit.across(*at_nodes)
    k_root, loose = pseudo_root((k + k.T) / 2)
    k_inverse = product(k_root.T, k_root)
    seen = jnp.zeros((bridges, gaps), dtype)
    a_inverse, root, lifted, pieces = seen[:0], seen, jnp.zeros((), dtype), None
    if gaps:
        if bridges:
            seen = circuit.collect(*drawn)
        root = jnp.concatenate([product(k_root, seen), circuit.around_root()])
        a = _gram(circuit, y, product(k_inverse, seen)) + product(root.T, root)
        pieces = pieces_of(circuit)
        a_inverse = _inverse(a, circuit.used, pieces.pinned)
        lifted = _potential(circuit, a_inverse)
    response = product(k_inverse, seen)
    busiest = jnp.maximum(jnp.max(jnp.sum(g, axis=0)), jnp.max(jnp.sum(g, axis=1)))
    of_lines = sum(jnp.max(_own(circuit, side)) for side in (0, 1))
    diagonal, r_node = jnp.diagonal(k), of_lines + lifted
    return Reduced(
        k_inverse, y, seen, response, a_inverse, root, diagonal, loose, r_node, busiest, pieces
    )


def pseudo_root(k: Float[Array, "branches branches"]) -> tuple[Array, Array]:
    """Root B of the inverse, ``K^-1 = B^T B``, and the currents that K does not answer, as rows.

    Those go round loops of 0 ohm; they stay at 0.
    """
    if len(k) == 0:
        return k, k
    size = jnp.sqrt(jnp.where(jnp.diagonal(k) > 0, jnp.diagonal(k), 1))
    values, vectors = jnp.linalg.eigh(k / (size[:, None] * size))
    least = 64 * len(k) * jnp.finfo(k.dtype).eps
    answered = values > least
    over = jnp.where(answered, 1 / jnp.sqrt(jnp.where(answered, values, 1)), 0)
    loose = vectors.T / size
    loose = loose / jnp.sum(jnp.abs(loose), axis=1, keepdims=True)
    return over[:, None] * vectors.T / size, jnp.where(answered[:, None], 0, loose)


def _gram(circuit: Circuit, y: Array, response: Array) -> Float[Array, "gaps gaps"]:
    """``N'^T g N'``."""
    g = circuit.g
    word, bit = circuit.gaps
    blocks = []
    for number, gaps in enumerate((word, bit)):
        if gaps is None:
            continue
        line, vector = gaps.places.line, gaps.vector
        along = (g if number == 0 else g.T)[line]
        same = line[:, None] == line
        own = jnp.where(same, product(vector * along, vector.T), 0)
        blocks.append(own)
    if word is not None and bit is not None:
        cross = word.vector[:, bit.places.line] * bit.vector[:, word.places.line].T
        cross = cross * g[word.places.line][:, bit.places.line]
        gram = jnp.block([[blocks[0], cross], [cross.T, blocks[1]]])
    else:
        gram = blocks[0]
    if len(y):
        # N^T g Y, and Y^T g Y.
        mixed = product(circuit.collect(g * y, g * y).T, response)
        among = jnp.tensordot(y, g * y, ((1, 2), (1, 2)))
        gram = gram - mixed - mixed.T + product(response.T, product(among, response))
    return gram


def _inverse(
    a: Float[Array, "gaps gaps"], used: Bool[Array, " gaps"], pinned: Bool[Array, " gaps"]
) -> Float[Array, "gaps gaps"]:
    """Inverse of A, its rows of unused gaps and free potentials held at 0."""
    diagonal = jnp.diagonal(a)
    size = jnp.where(used & (diagonal > 0), jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1)), 1)
    scaled = a / (size[:, None] * size)
    held = jnp.where(used & ~pinned, 0, 1)
    inverse = jnp.linalg.inv(scaled + jnp.diag(held.astype(a.dtype)))
    inverse = (inverse + inverse.T) / (2 * size[:, None] * size)
    return jnp.where(used[:, None] & used, inverse, 0)


def _potential(circuit: Circuit, a_inverse: Array) -> Float[Array, ""]:
    """Largest resistance from a piece to the drivers, its lines' own aside [ohm]."""
    line = jnp.concatenate([gaps.places.line for gaps in circuit.gaps if gaps is not None])
    start = jnp.concatenate([gaps.places.start for gaps in circuit.gaps if gaps is not None])
    kind = jnp.concatenate(
        [
            jnp.full(gaps.count, number)
            for number, gaps in enumerate(circuit.gaps)
            if gaps is not None
        ]
    )
    same = (line[:, None] == line) & (kind[:, None] == kind)
    # The potential of a piece is the sum of the gaps' voltages up to it.
    up_to = (same & (start <= start[:, None])).astype(a_inverse.dtype)
    return jnp.max(jnp.sum(product(up_to, a_inverse) * up_to, axis=1), initial=0)


def _own(circuit: Circuit, side: int) -> Float[Array, "..."]:
    """Resistance of each node to the drivers of its line, or of the line's far end."""
    ends = circuit.ends[side]
    if ends.far is not None:
        left = ends.far.near_resistance + ends.far.depth
        return left * ends.far.near_share
    last = jnp.zeros((1, *circuit.shape), circuit.g.dtype)
    # Of the last node of each line, the largest.
    last = last.at[..., -1].set(1) if side == 0 else last.at[:, 0].set(1)
    return ends.drop(last)


def rest(circuit: Circuit, known: Reduced, left: Unknown) -> Rest:
    """What sources `left` (with `i` of zero) leave to the cells; the rest is answered at once."""
    bridges, gaps = circuit.counts
    cells, t, p = left.u, left.t, left.p
    if bridges:
        t = product(t, known.k_inverse)
        cells = cells - jnp.tensordot(t, known.y, 1)
    if gaps:
        p = product(p - product(t, known.seen), known.a_inverse)
        i = circuit.g * raised(circuit, known, p)
        cells = cells - resisted(circuit, known, i)
    return Rest(cells, t, p)


def raised(circuit: Circuit, known: Reduced, p: Volts) -> Voltages:
    """``N' p`` [V]."""
    up = circuit.lifted(p)
    if len(known.y):
        up = up - jnp.tensordot(product(p, known.response.T), known.y, 1)
    return up


def resisted(circuit: Circuit, known: Reduced, i: Voltages) -> Voltages:
    """``D' i`` [V]."""
    lost = circuit.ends[0].drop(i) + circuit.ends[1].drop(i)
    if len(known.y):
        past = product(_with_y(known, i), known.k_inverse)
        lost = lost - jnp.tensordot(past, known.y, 1)
    return lost


def held(circuit: Circuit, known: Reduced, x: Voltages) -> tuple[Volts, Voltages]:
    """Voltages that the gaps take for cells at `x`, and what of x is then left to the cells [V]."""
    if not circuit.counts[1]:
        return jnp.zeros((len(x), 0), x.dtype), x
    currents = circuit.g * x
    p = circuit.collect(currents, currents)
    if len(known.y):
        p = p - product(_with_y(known, currents), known.response)
    p = -product(p, known.a_inverse)
    return p, x + raised(circuit, known, p)


def completed(circuit: Circuit, known: Reduced, start: Rest, w: Voltages) -> Unknown:
    """Everything, from the solution of the reduced system; `i` without parallel sources."""
    more, u = held(circuit, known, w)
    p, t = start.p + more, start.t
    if circuit.counts[1]:
        u = u + raised(circuit, known, start.p)
    i = circuit.g * u
    if len(known.y):
        t = t - product(_with_y(known, i), known.k_inverse) + product(p, known.response.T)
    return Unknown(u, i, t, p)


def _with_y(known: Reduced, i: Voltages) -> Bridges:
    return jnp.tensordot(i, known.y, ((1, 2), (1, 2)))


class Errors(NamedTuple):
    """Bounds for each input, of currents and of voltages, and what they are relative to."""

    bound: Float[Array, "2 n"]
    largest: Float[Array, "2 n"]

    def within(self, known: Reduced, rtol: float | Array) -> Bool[Array, " n"]:
        """Whether currents and voltages are right to `rtol`.

        Where no current flows, because every part hangs on one driver, the currents are what the
        rounding of the voltages makes of 0.
        """
        eps = jnp.finfo(self.bound.dtype).eps
        rounding = jnp.stack(
            [ROUNDINGS * eps * known.busiest * self.largest[1], 0 * self.largest[1]]
        )
        none = jnp.maximum(self.bound, self.largest) <= rounding
        return jnp.all((self.bound <= rtol * self.largest) | none, axis=0)

    def allowed(self, known: Reduced, rtol: float | Array) -> Float[Array, " n"]:
        """The squared residual at which the bounds are `rtol`."""
        unit = jnp.stack([known.busiest, known.r_node])[:, None]
        squares = (rtol * self.largest) ** 2 / jnp.where(unit > 0, unit, 1)
        return jnp.min(jnp.where(unit > 0, squares, jnp.inf), axis=0)


def errors(
    circuit: Circuit, known: Reduced, x: Unknown, sources: Unknown, left: Unknown, start: Rest
) -> Errors:
    """Bounds on the errors of currents and node voltages.

    Args:
        circuit: the circuit.
        known: its reduction.
        x: what was found.
        sources: for which sources.
        left: what is left of them.
        start: `rest(left)`.
    """
    energy = jnp.sqrt(squared(circuit, known, start.cells)[1])
    current, voltage = jnp.sqrt(known.busiest) * energy, jnp.sqrt(known.r_node) * energy
    voltage = voltage + _largest(left.u)
    largest, volts = largest_current(x.i), jnp.maximum(_largest(x.u), _largest(sources.u))
    if circuit.counts[1]:
        lifted = raised(circuit, known, start.p)
        current = current + largest_current(circuit.g * lifted)
        voltage = voltage + _largest(lifted) + _most(start.p)
        volts = jnp.maximum(volts, _most(x.p))
    if circuit.counts[0]:
        voltage = voltage + _most(product(left.t, known.loose.T))
        past = jnp.abs(known.k_inverse) @ jnp.sqrt(jnp.maximum(known.k_diagonal, 0))
        past = jnp.max(past) * energy + _most(start.t)
        # Bridges' currents against the largest of any branch.
        any_branch = jnp.maximum(largest, _most(x.t))
        over = jnp.where(any_branch > 0, largest / jnp.where(any_branch > 0, any_branch, 1), 1)
        current = jnp.maximum(current, past * over)
    return Errors(jnp.stack([current, voltage]), jnp.stack([largest, volts]))


def squared(circuit: Circuit, known: Reduced, x: Voltages) -> tuple[Voltages, Float[Array, " n"]]:
    """``g' x`` [A] and ``x^T g' x`` [W]."""
    p, own = held(circuit, known, x)
    currents = circuit.g * own
    power = jnp.sum(currents * own, axis=(-2, -1))
    if circuit.counts[1]:
        power = power + jnp.sum(product(p, known.root.T) ** 2, axis=-1)
    return currents, power


def _largest(x: Voltages) -> Float[Array, " n"]:
    return jnp.max(jnp.abs(x), axis=(-2, -1))


def _most(x: Array) -> Float[Array, " n"]:
    return jnp.max(jnp.abs(x), axis=-1)
