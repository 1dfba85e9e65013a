"""The lines of an imported netlist in their order, and the array that they make."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from xbar.circuit import Bias, Crossbar, Wires
from xbar.spice.parse import Element, NetlistError

Met = list[tuple[int, int]]  # node along a line, and the line that is met there


class Imported(NamedTuple):
    """A netlist as an array."""

    array: Crossbar
    bias: Bias
    nodes: dict[str, tuple[str, int, int]]  # by name in the file: "word" or "bit", row, column
    cells: dict[tuple[int, int], str]  # names of the cells' resistors, by row and column


class Line(NamedTuple):
    """A path of wires from its one end to the other."""

    nodes: list[str]
    ohms: list[float]  # between them
    ends: tuple[float | None, float | None]  # voltage of the driver at either end

    def turned(self) -> "Line":
        """From the other end."""
        return Line(self.nodes[::-1], self.ohms[::-1], (self.ends[1], self.ends[0]))


class Flat(NamedTuple):
    """The circuit with nodes joined that 0 ohm joins."""

    resistors: list[Element]
    drivers: dict[str, float]  # voltage by node [V]
    names: dict[str, str]  # what a joined node is called


def ordered(lines: list[Line], met: list[Met]) -> tuple[list[Line], list[int]]:
    """Turn the lines of one kind so that they meet the others in one order.

    Args:
        lines: those of the kind.
        met: for each, which other lines it meets, along it.

    Returns:
        The lines, each from its near end on, and the others in the order in which they are met.

    Raises:
        NetlistError: there is no such order.
    """
    lines, met = list(lines), list(met)

    def turn(k: int) -> None:
        last = len(lines[k].nodes) - 1
        lines[k] = lines[k].turned()
        met[k] = [(last - node, other) for node, other in reversed(met[k])]

    others = list(dict.fromkeys(other for items in met for _, other in items))
    after: dict[int, set[int]] = {k: set() for k in others}
    rank: dict[int, int] = {}
    # The line with the most nodes gives the order that the others are compared with.
    for k in sorted(range(len(lines)), key=lambda k: -len({node for node, _ in met[k]})):
        agreement = _agreement(met[k], rank)
        if agreement < 0 or (agreement == 0 and _far_driven(lines[k])):
            turn(k)
        groups = _groups(met[k])
        for here, there in pairwise(groups):
            for other in here:
                after[other].update(there)
        if any(other not in rank for group in groups for other in group):
            rank = {other: n for n, other in enumerate(_sorted(others, after, lines[k]))}
    order = _sorted(others, after, lines[0])
    # Most drivers are at near ends.
    at_ends = [sum(line.ends[e] is not None for line in lines) for e in (0, 1)]
    if at_ends[1] > at_ends[0]:
        return [line.turned() for line in lines], order[::-1]
    return lines, order


def _far_driven(line: Line) -> bool:
    return line.ends[0] is None and line.ends[1] is not None


def _groups(met: Met) -> list[list[int]]:
    """The lines that are met at each node."""
    groups: dict[int, list[int]] = {}
    for node, other in met:
        groups.setdefault(node, []).append(other)
    return list(groups.values())


def _agreement(met: Met, rank: dict[int, int]) -> int:
    """Of neighbours along a line, how many more agree with the order than not."""
    known = [(node, rank[other]) for node, other in met if other in rank]
    return sum(int(np.sign(b - a)) for (n, a), (m, b) in pairwise(known) if n != m)


def _sorted(others: list[int], after: dict[int, set[int]], line: Line) -> list[int]:
    """An order that has each line before those that come after it."""
    waiting = dict.fromkeys(others, 0)
    for later in after.values():
        for other in later:
            waiting[other] += 1
    ready = [k for k in others if waiting[k] == 0]
    order: list[int] = []
    while ready:
        k = ready.pop(0)
        order.append(k)
        for other in after[k]:
            waiting[other] -= 1
            if waiting[other] == 0:
                ready.append(other)
    if len(order) < len(others):
        raise NetlistError(
            f"node {line.nodes[0]}: got lines that cross the others in different orders, needs one"
        )
    return order


def built(
    flat: Flat,
    word_lines: list[Line],
    bit_lines: list[Line],
    rows: list[int],
    cols: list[int],
    kinds: tuple[list[int], list[int]],
    crossing: dict[tuple[int, int], Element],
) -> Imported:
    """The array of lines in order.

    Args:
        flat: the circuit.
        word_lines: each from its near end on.
        bit_lines: the same.
        rows: numbers of the word lines from the top.
        cols: numbers of the bit lines from the left.
        kinds: numbers of the word and of the bit lines, as `word_lines` and `bit_lines` have them.
        crossing: the cell of each word and bit line, by their numbers.
    """
    row, col = ({k: n for n, k in enumerate(order)} for order in (rows, cols))
    g = np.zeros((len(rows), len(cols)))
    cells, at = {}, {}
    for (word, bit), e in crossing.items():
        i, j = row[word], col[bit]
        g[i, j], cells[i, j] = 1 / e.value, e.name
        at[i, j] = (e.a, e.b)
    nodes: dict[str, tuple[str, int, int]] = {}
    words, bits = (
        {order[k]: line for k, line in zip(numbers, lines, strict=True)}
        for order, numbers, lines in ((row, kinds[0], word_lines), (col, kinds[1], bit_lines))
    )
    segments = np.zeros((2, *g.shape))
    ends = {0: _Ends(len(rows)), 1: _Ends(len(cols))}
    for i, line in words.items():
        places = {
            j: line.nodes.index(_own(line, at[i, j])) for j in range(len(cols)) if (i, j) in at
        }
        segments[0, i] = ends[0].take(i, line, places, len(cols))
        nodes |= {line.nodes[p]: ("word", i, j) for j, p in places.items()}
    last = len(rows) - 1
    for j, line in bits.items():
        places = {
            last - i: line.nodes.index(_own(line, at[i, j]))
            for i in range(len(rows))
            if (i, j) in at
        }
        segments[1, :, j] = ends[1].take(j, line, places, len(rows))[::-1]
        nodes |= {line.nodes[p]: ("bit", last - n, j) for n, p in places.items()}
    word, bit = ends[0], ends[1]
    wires = Wires(segments[0], segments[1], word.near, bit.near, word.far_or_none, bit.far_or_none)
    bias = Bias(
        word.v_near,
        bit.v_near,
        word.v_far if word.has_far.any() else None,
        bit.v_far if bit.has_far.any() else None,
        *(None if e.has_near.all() else ~e.has_near for e in (word, bit)),
        *(~e.has_far if e.has_far.any() and not e.has_far.all() else None for e in (word, bit)),
    )
    nodes |= {name: nodes[root] for name, root in flat.names.items() if root in nodes}
    return Imported(Crossbar(g, wires), bias, nodes, cells)


def _own(line: Line, ends: tuple[str, str]) -> str:
    return ends[0] if ends[0] in line.nodes else ends[1]


class _Ends:
    """Drivers of all lines of one kind, filled line by line."""

    def __init__(self, count: int):
        self.near, self.far, self.v_near, self.v_far = np.zeros((4, count))
        self.has_near, self.has_far = np.zeros((2, count), bool)

    @property
    def far_or_none(self) -> np.ndarray | None:
        return self.far if self.has_far.any() else None

    def take(self, k: int, line: Line, places: dict[int, int], size: int) -> np.ndarray:
        """Resistance in front of each of a line's crossings; its ends are noted.

        Args:
            k: the line's number.
            line: from its near end on.
            places: node of each crossing that has a cell, both counted from the near end.
            size: how many crossings there are.
        """
        segments = np.zeros(size)
        met = sorted(places)
        first, last = met[0], met[-1]
        for before, behind in pairwise(met):
            between = line.ohms[places[before] : places[behind]]
            segments[before + 1 : behind + 1] = _shared(between, behind - before)
        lead, tail = line.ohms[: places[first]], line.ohms[places[last] :]
        if line.ends[0] is not None:
            self.has_near[k], self.v_near[k] = True, line.ends[0]
            own = len(lead) > first + 1 or (len(lead) == first + 1 and _alike(lead, segments))
            cut = len(lead) - (first + 1) if own else len(lead)
            self.near[k] = sum(lead[:cut])
            segments[: first + 1] = _shared(lead[cut:], first + 1)
        if line.ends[1] is not None:
            self.has_far[k], self.v_far[k] = True, line.ends[1]
            more = size - 1 - last
            cut = more if len(tail) > more else 0
            segments[last + 1 :] = _shared(tail[:cut], more)
            self.far[k] = sum(tail[cut:])
        return segments


def _alike(lead: list[float], segments: np.ndarray) -> bool:
    """Whether a line's first resistor is one of its segments, not its driver's."""
    return bool(np.any(segments == lead[-1]))


def _shared(ohms: list[float], count: int) -> np.ndarray:
    """Resistors in front of `count` crossings: one for each, or all in front of the last."""
    if len(ohms) == count:
        return np.array(ohms)
    out = np.zeros(count)
    if count:
        out[-1] = sum(ohms)
    return out
