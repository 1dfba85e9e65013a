"""Pieces of lines without a driver of their own: what holds their potential, if anything does.

A piece hangs on the drivers through a cell that conducts, or through a bridge, to a piece that
does. What hangs on nothing has no potential: one voltage of each such group is free. It is set to 0
in the elimination, by a large entry for the first gap of the group, which no current answers.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool

from xbar.solvers.lines import WORD
from xbar.solvers.wiring.circuit import Circuit
from xbar.solvers.wiring.gaps import Gaps, counted


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
