"""An array with any ends, gaps and bridges as one linear system, and its reduction to the cells.

The unknowns are cell voltages `u` and currents `i`, currents `t` of the bridges (from their node a
to their node b) and voltages `p` of the gaps. With `J` the bridges' incidence (a current t is drawn
from node a and given to node b), each line's nodes have ``y = open-circuit voltage - D d + N p``
for the currents ``d = i + J t`` drawn from them (`xbar.solvers.wiring.ends`), and

    u - (y_word + y_bit) = s         a cell lies between a word and a bit line
    i - g u              = q         Ohm's law
    R t - J^T y          = b         ... of the bridges
    N^T d + S p          = h         no current through a gap

where `s` is a series source of each cell, `q` a parallel one, `b` a series source of each bridge,
`h` a current through each gap; for the circuit itself s and b are the open-circuit voltages, q is 0
and h undoes the currents that drivers of different voltage send through the gaps. Turned round, the
system is itself with u and i, s and q exchanged and the sign of p and h turned: reciprocity, from
which all derivatives come (`xbar.solvers.wiring.unknowns`).

Eliminating t and p leaves a system for the cells that is as well-behaved as that of a plain array:

    K = R + J^T D J          Y = D J on the cells         D' = D - Y K^-1 Y^T
    N' = N - Y K^-1 J^T N    A = N'^T g N' + S + (J^T N)^T K^-1 (J^T N)
    g' = g - g N' A^-1 N'^T g

    w + D' g' w = s'         u = w + N' p

A bridge takes a part of rank one from the lines' resistance, a gap one from the cells' conductance,
and both stay symmetric and >= 0. So ``I + D' g'`` is self-adjoint in the inner product weighted by
g', with eigenvalues >= 1 (`xbar.solvers.wiring.projected`).

Bridges and gaps meet where a bridge holds a piece that would float. For K not to vanish there, each
gap's segment has a resistance of its own; as no current flows through it, its value is free, and
the one at which rounding does least harm is that of the busiest line's cells in parallel.

**Pieces** of lines without a driver of their own have a potential if anything holds it. A piece
hangs on the drivers through a cell that conducts, or through a bridge, to a piece that
does. What hangs on nothing has no potential: one voltage of each such group is free. It is set to 0
in the elimination, by a large entry for the first gap of the group, which no current answers.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int

from xbar.circuit import Bridge, Wires
from xbar.solvers.base import Voltages
from xbar.solvers.lines import BIT, WORD, PerCell
from xbar.solvers.wiring.ends import (
    Ends,
    GapPlaces,
    Gaps,
    Volts,
    around_root,
    counted,
    ends_of,
    gaps_of,
)

Bridges = Float[Array, "n bridges"]


class Node(NamedTuple):
    """A line's node, and the sign with which a current drawn from a bridge's end counts there."""

    i: Int[Array, ""]
    j: Int[Array, ""]


class Layout(eqx.Module):
    """What of an array's wiring is no number: where its gaps are, and what its bridges join."""

    word: GapPlaces | None
    bit: GapPlaces | None
    bridges: tuple[tuple[Node, Node], ...]
    kinds: tuple[tuple[str, str], ...] = eqx.field(static=True)
    lonely: tuple[bool, bool] = eqx.field(static=True)  # gaps at near ends alone, of either kind

    def kind(self, axis: int) -> GapPlaces | None:
        """The gaps of one kind of line."""
        return self.word if axis == WORD else self.bit


class Numbers(eqx.Module):
    """The numbers of an array, in one precision."""

    g: Float[Array, "rows cols"]
    wires: Wires
    r_bridge: Float[Array, " bridges"]


class Unknown(NamedTuple):
    """Cell voltages and currents, bridges' currents, gaps' voltages; or their sources."""

    u: Voltages
    i: Voltages
    t: Bridges
    p: Volts


class Circuit(eqx.Module):
    """One array in one precision with everything that its equations need."""

    g: Float[Array, "rows cols"]
    ends: tuple[Ends, Ends]  # word lines, bit lines
    gaps: tuple[Gaps | None, Gaps | None]
    r_bridge: Float[Array, " bridges"]
    layout: Layout
    wires: Wires  # as they count where there are gaps

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, cols = self.g.shape
        return rows, cols

    @property
    def counts(self) -> tuple[int, int]:
        """Bridges and gaps."""
        return len(self.layout.kinds), sum(gaps.count for gaps in self.gaps if gaps is not None)

    def nothing(self, n: int) -> Unknown:
        """Unknowns of zero for n inputs."""
        bridges, gaps = self.counts
        shapes = (self.shape, self.shape, (bridges,), (gaps,))
        return Unknown(*(jnp.zeros((n, *shape), self.g.dtype) for shape in shapes))

    def parts(self, p: Volts) -> tuple[Array, Array]:
        """The gaps' voltages of word and of bit lines."""
        first = 0 if self.gaps[0] is None else self.gaps[0].count
        return p[..., :first], p[..., first:]

    def lift(self, p: Volts) -> tuple[PerCell | None, PerCell | None]:
        """``N p`` on the nodes of either kind; None where there can be no gap."""
        parts = zip(self.gaps, self.parts(p), strict=True)
        word, bit = (None if gaps is None else gaps.spread(x, self.shape) for gaps, x in parts)
        return word, bit

    def lifted(self, p: Volts) -> PerCell:
        """``N p`` on the cells."""
        return sum(y for y in self.lift(p) if y is not None)  # type: ignore[return-value]

    def collect(self, d_word: PerCell, d_bit: PerCell) -> Volts:
        """``N^T d``."""
        pairs = zip(self.gaps, (d_word, d_bit), strict=True)
        found = [gaps.collect(d) for gaps, d in pairs if gaps is not None]
        return jnp.concatenate(found, axis=-1) if found else jnp.zeros((len(d_word), 0))

    def around_root(self) -> Float[Array, "gaps gaps"]:
        """Root of `S`."""
        pairs = zip(self.gaps, self.ends, strict=True)
        return jax.scipy.linalg.block_diag(
            *[around_root(gaps, ends) for gaps, ends in pairs if gaps is not None]
        )

    def drawn(self, i: Voltages, t: Bridges) -> tuple[PerCell, PerCell]:
        """``i + J t``, what is drawn from the nodes of either kind."""
        both = [i, i]
        for q, (nodes, kinds) in enumerate(
            zip(self.layout.bridges, self.layout.kinds, strict=True)
        ):
            for node, kind, sign in zip(nodes, kinds, (1, -1), strict=True):
                # From a bit line's node, counted the other way round, it is given.
                side, way = (0, sign) if kind == "word" else (1, -sign)
                both[side] = both[side].at[..., node.i, node.j].add(way * t[..., q])
        return both[0], both[1]

    def across(self, y_word: PerCell, y_bit: PerCell) -> Bridges:
        """``J^T y``, the voltage of each bridge."""
        found = []
        for nodes, kinds in zip(self.layout.bridges, self.layout.kinds, strict=True):
            volts = 0.0
            for node, kind, sign in zip(nodes, kinds, (1, -1), strict=True):
                y, way = (y_word, sign) if kind == "word" else (y_bit, -sign)
                volts = volts + way * y[..., node.i, node.j]
            found.append(volts)
        return jnp.stack(found, axis=-1) if found else jnp.zeros((len(y_word), 0), y_word.dtype)

    def nodes(self, d_word: PerCell, d_bit: PerCell, p: Volts) -> tuple[PerCell, PerCell]:
        """``- D d + N p`` on the nodes of either kind [V]."""
        y = [-self.ends[0].drop(d_word), -self.ends[1].drop(d_bit)]
        for side, lift in enumerate(self.lift(p)):
            if lift is not None:
                y[side] = y[side] + lift
        return y[0], y[1]

    def law(self, x: Unknown) -> Unknown:
        """Left-hand sides of the four equations above."""
        d = self.drawn(x.i, x.t)
        y = self.nodes(*d, x.p)
        through = self.collect(*d)
        if through.shape[-1]:
            root = self.around_root()
            # A gap that is not there is any number, 0.
            through = through + (x.p @ root.T) @ root + jnp.where(self.used, 0, x.p)
        bridges = self.r_bridge * x.t - self.across(*y)
        return Unknown(x.u - y[0] - y[1], x.i - self.g * x.u, bridges, through)

    @property
    def used(self) -> Bool[Array, " gaps"]:
        """Which of the gaps are there."""
        return jnp.concatenate([gaps.places.used for gaps in self.gaps if gaps is not None])


def circuit_of(numbers: Numbers, layout: Layout) -> Circuit:
    """Prepare an array for the solvers; `g` fixes the precision."""
    g, wires = numbers.g, jax.tree.map(lambda x: x.astype(numbers.g.dtype), numbers.wires)
    lines = [
        (wires.word_line, wires.source, wires.source_far),
        (wires.bit_line, wires.sense, wires.sense_far),
    ]
    for number, places in enumerate((layout.word, layout.bit)):
        if places is not None:
            axis = (WORD, BIT)[number]
            lines[number] = _with_gaps(*lines[number], places, axis, layout, g)
    (word_line, source, source_far), (bit_line, sense, sense_far) = lines
    counted = Wires(word_line, bit_line, source, sense, source_far, sense_far)
    return with_wires(g, counted, numbers.r_bridge, layout)


def with_wires(g: Array, wires: Wires, r_bridge: Array, layout: Layout) -> Circuit:
    """A circuit of wires as they count where there are gaps."""
    rows, cols = g.shape
    ends, gaps = [], []
    for number, (axis, segments, near, far) in enumerate(
        (
            (WORD, wires.word_line, wires.source, wires.source_far),
            (BIT, wires.bit_line, wires.sense, wires.sense_far),
        )
    ):
        ends.append(ends_of(segments, near, far, (rows, cols), axis))
        places, lonely = layout.kind(axis), layout.lonely[number]
        gaps.append(
            None if places is None else gaps_of(places, ends[-1], (rows, cols), lonely=lonely)
        )
    return Circuit(g, (ends[0], ends[1]), (gaps[0], gaps[1]), r_bridge, layout, wires)


def _with_gaps(
    segments: Array,
    near: Array,
    far: Array | None,
    places: GapPlaces,
    axis: int,
    layout: Layout,
    g: Array,
) -> tuple[Array, Array, Array | None]:
    """Resistances in series with a gap are any number: one that does no harm."""
    cut = places.mask[:, 0] if axis == WORD else places.mask[-1]
    near = jnp.where(cut, 0, near)
    if layout.bridges or far is not None:
        segments = jnp.where(places.mask, _gap_resistance(g), segments)
    if far is not None and places.far is not None:
        far = jnp.where(places.far, _gap_resistance(g), far)
    return segments, near, far


def _gap_resistance(g: Float[Array, "rows cols"]) -> Float[Array, ""]:
    """Of a gap's segment [ohm]: any value is right."""
    busiest = lax.stop_gradient(jnp.maximum(jnp.max(jnp.sum(g, 0)), jnp.max(jnp.sum(g, 1))))
    return jnp.where(busiest > 0, 1 / jnp.where(busiest > 0, busiest, 1), 1)


def nodes_of(bridges: tuple[Bridge, ...]) -> tuple[tuple[Node, Node], ...]:
    """What bridges join, without their numbers."""
    return tuple((Node(b.i_a, b.j_a), Node(b.i_b, b.j_b)) for b in bridges)


class Pieces(NamedTuple):
    """Per gap, the piece behind it."""

    undefined: Bool[Array, " gaps"]  # without potential
    pinned: Bool[Array, " gaps"]  # the first of a group without potential
    word: Bool[Array, "rows cols"]  # word-line nodes without potential
    bit: Bool[Array, "rows cols"]


def pieces_of(circuit: Circuit) -> Pieces:
    """Which pieces have a potential."""
    members, floating, nodes = [], [], []
    for gaps, ends in zip(circuit.gaps, circuit.ends, strict=True):
        if gaps is None:
            size = circuit.shape[ends.axis]
            members.append(jnp.zeros((0, size), bool))
            floating.append(jnp.zeros(0, bool))
        else:
            member, floats = _members(gaps, circuit.shape, far=ends.far is not None)
            members.append(member & floats[:, None])
            floating.append(floats)
        nodes.append(_marked(gaps, members[-1], circuit.shape))
    floats = jnp.concatenate(floating)
    joined, grounded = _joined(circuit, members, nodes)
    label = _labels(joined, grounded | ~floats)
    undefined = floats & (label > 0)
    own = jnp.arange(len(floats)) + 1
    first = len(floating[0])
    word, bit = (
        _marked(gaps, member & lost[:, None], circuit.shape)
        for gaps, member, lost in zip(
            circuit.gaps, members, (undefined[:first], undefined[first:]), strict=True
        )
    )
    return Pieces(undefined, undefined & (label == own), word, bit)


def _members(
    gaps: Gaps, shape: tuple[int, int], *, far: bool
) -> tuple[Bool[Array, "gaps along"], Bool[Array, " gaps"]]:
    """Nodes of the piece behind each gap, and whether it is without a driver."""
    places, size = gaps.places, shape[gaps.axis]
    line, start, used = places.line, places.start, places.used
    later = (line[:, None] == line) & (start > start[:, None]) & used
    end = jnp.min(jnp.where(later, start, size), axis=1, initial=size)
    place = counted(size, gaps.axis)
    member = (place >= start[:, None]) & (place < end[:, None]) & used[:, None]
    # The last piece of a line with two drivers hangs on the far one.
    return member, used & (jnp.any(later, axis=1) if far else True)


def _marked(gaps: Gaps | None, member: Array, shape: tuple[int, int]) -> Bool[Array, "rows cols"]:
    """Nodes of any of the pieces."""
    mask = jnp.zeros(shape, bool)
    if gaps is None:
        return mask
    if gaps.axis == WORD:
        return mask.at[gaps.places.line].max(member)
    return mask.at[:, gaps.places.line].max(member.T)


def _joined(
    circuit: Circuit, members: list[Array], nodes: list[Array]
) -> tuple[Bool[Array, "gaps gaps"], Bool[Array, " gaps"]]:
    """Which floating pieces touch each other, and which touch a piece with a driver."""
    conducts = circuit.g > 0
    word, bit = members
    word_line, bit_line = (
        jnp.zeros(0, int) if gaps is None else gaps.places.line for gaps in circuit.gaps
    )
    # Cells of each piece, whose other node has a driver.
    on_word = jnp.any(word & (conducts & ~nodes[1])[word_line], axis=1)
    on_bit = jnp.any(bit & (conducts & ~nodes[0])[:, bit_line].T, axis=1)
    grounded = jnp.concatenate([on_word, on_bit])
    touch = word[:, bit_line] & bit[:, word_line].T & conducts[word_line][:, bit_line]
    none = jnp.zeros((len(word), len(word)), bool), jnp.zeros((len(bit), len(bit)), bool)
    joined = jnp.block([[none[0], touch], [touch.T, none[1]]])
    for ends, kinds in zip(circuit.layout.bridges, circuit.layout.kinds, strict=True):
        at = []
        for node, kind in zip(ends, kinds, strict=True):
            if kind == "word":
                mine = (word_line == node.i) & word[:, node.j]
                at.append(jnp.concatenate([mine, jnp.zeros(len(bit), bool)]))
            else:
                mine = (bit_line == node.j) & bit[:, node.i]
                at.append(jnp.concatenate([jnp.zeros(len(word), bool), mine]))
        joined = joined | (at[0][:, None] & at[1]) | (at[1][:, None] & at[0])
        for one, other in (at, at[::-1]):
            grounded = grounded | (one & ~jnp.any(other))
    return joined, grounded


def _labels(joined: Bool[Array, "gaps gaps"], grounded: Bool[Array, " gaps"]) -> Array:
    """0 for what hangs on a driver, else the least number in its group, from 1."""
    count = len(grounded)
    start = jnp.where(grounded, 0, jnp.arange(count) + 1)
    if count == 0:
        return start

    def spread(carry: tuple) -> tuple:
        label, _ = carry
        others = jnp.min(jnp.where(joined, label, count + 1), axis=1)
        new = jnp.minimum(label, others)
        return new, jnp.any(new != label)

    return lax.while_loop(lambda carry: carry[1], spread, (start, jnp.asarray(True)))[0]
