"""A SPICE netlist of any writing as an array, where it is one.

What is a wire and what a cell, no name needs to tell. Wires join nodes into lines, each a path
with voltage sources at its ends or none; a cell joins a node of a word line to one of a bit line,
at most one for each pair of lines; and the lines of a kind follow each other in one order along all
lines of the other. Resistances up to some value are taken for wires, those above for cells; of the
values that make a crossbar of the netlist, the one is taken at which the two lie furthest apart.
Whatever is found is the netlist's own circuit: a wrong guess makes no crossbar.

Sources drive lines from either end, or both; a line without any floats. A resistor to ground is one
to a driver of 0 V. Sources of 0 V between two nodes (ammeters) and resistors of 0 ohm join them.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from xbar.spice.imported import Flat, Imported, Line, built, ordered
from xbar.spice.parse import GROUND, Element, NetlistError, parse

# As many values between wires and cells are tried, from the widest gap on.
TRIES = 30
# Share of crossings that have a cell, for the others to be believed.
LEAST_FILLED = 0.5


def read_netlist(path: Any) -> Imported:
    """The array that a netlist describes.

    Args:
        path: the file.

    Returns:
        The array, its bias, and what its parts are called in the file.

    Raises:
        NetlistError: (a ValueError) the netlist is not a crossbar; says at which element.
        OSError: the file cannot be read.

    Example:
        >>> found = read_netlist("array.sp")
        >>> xb.solve(found.array, found.bias).i_out
    """
    return netlist_as_array(Path(path).read_text(encoding="utf-8", errors="replace"))


def netlist_as_array(text: str) -> Imported:
    """As `read_netlist`, from the netlist itself."""
    flat = _joined(parse(text))
    if not flat.resistors:
        raise NetlistError("netlist: got no resistor, needs the cells and wires of an array")
    error: NetlistError | None = None
    for number, limit in enumerate(_limits(flat)):
        try:
            found = _as_array(flat, limit)
        except NetlistError as refused:
            error = error or refused
            continue
        # Taking wires for cells makes a sparse crossbar of many a circuit that is none.
        if number == 0 or len(found.cells) >= LEAST_FILLED * found.array.rows * found.array.cols:
            return found
    raise error or NetlistError("netlist: got no word and bit lines, needs an array's")


def _joined(elements: list[Element]) -> Flat:
    parent: dict[str, str] = {}

    def root(x: str) -> str:
        while parent.get(x, x) != x:
            x = parent[x]
        return x

    def join(a: str, b: str) -> None:
        a, b = root(a), root(b)
        if a != b:
            # Ground stays ground.
            a, b = (b, a) if b == GROUND else (a, b)
            parent[b] = a

    sources = [e for e in elements if e.kind == "v"]
    for e in elements:
        between = GROUND not in (e.a, e.b)
        if e.kind == "r" and e.value == 0 and between:
            join(e.a, e.b)
        if e.kind == "v" and between:
            if e.value != 0:
                raise NetlistError(
                    f"line {e.line}, {e.name}: got {e.value} V between {e.a} and {e.b}, needs a "
                    "source to ground, or 0 V (an ammeter)"
                )
            join(e.a, e.b)
    drivers: dict[str, float] = {}
    for e in sources:
        if GROUND not in (e.a, e.b):
            continue
        node, volts = (root(e.a), e.value) if e.b == GROUND else (root(e.b), -e.value)
        if node == GROUND:
            continue
        if drivers.setdefault(node, volts) != volts:
            raise NetlistError(
                f"line {e.line}, {e.name}: got {volts} V at node {node}, which another source "
                f"holds at {drivers[node]} V"
            )
    resistors, number = [], 0
    for e in elements:
        if e.kind != "r":
            continue
        a, b = root(e.a), root(e.b)
        if GROUND in (a, b):
            # Every resistor to ground gets a driver of its own.
            other = b if a == GROUND else a
            if other == GROUND:
                continue
            if e.value == 0:
                if drivers.setdefault(other, 0.0) != 0.0:
                    raise NetlistError(f"line {e.line}, {e.name}: shorts a source, needs a load")
                continue
            number += 1
            a, b = other, f"{GROUND} of {e.name}"
            drivers[b] = 0.0
        if a != b:
            resistors.append(e._replace(a=a, b=b))
    return Flat(resistors, drivers, {x: root(x) for x in parent})


def _limits(flat: Flat) -> list[float]:
    """Resistances up to which a resistor may be a wire, the widest gap between two first."""
    ohms = np.unique([e.value for e in flat.resistors])
    gaps = sorted(pairwise(ohms), key=lambda pair: pair[0] / pair[1])
    # Or all are cells, or all wires of lines without cells.
    limits = [float(low) for low, _ in gaps[:TRIES]]
    return [*limits, 0.0]


def _as_array(flat: Flat, limit: float) -> Imported:
    wires = [e for e in flat.resistors if e.value <= limit]
    cells = [e for e in flat.resistors if e.value > limit]
    lines, of = _lines(flat, wires, cells)
    side = _sides(cells, of, len(lines))
    word = _is_word(flat, lines, side)
    kinds = (
        [k for k in range(len(lines)) if side[k] == word],
        [k for k in range(len(lines)) if side[k] != word],
    )
    if not all(kinds):
        raise NetlistError(f"{cells[0].name}: got one kind of line, needs word lines and bit lines")
    crossing: dict[tuple[int, int], Element] = {}
    for e in cells:
        pair = (of[e.a], of[e.b]) if side[of[e.a]] == word else (of[e.b], of[e.a])
        if pair in crossing:
            raise NetlistError(
                f"line {e.line}, {e.name}: got a second cell where {crossing[pair].name} is, needs "
                "one for each word and bit line"
            )
        crossing[pair] = e
    word_lines, cols = ordered([lines[k] for k in kinds[0]], _met(lines, kinds[0], crossing, 0))
    bit_lines, rows = ordered([lines[k] for k in kinds[1]], _met(lines, kinds[1], crossing, 1))
    # Rows are counted from the top, bit lines from their near ends below.
    return built(flat, word_lines, bit_lines, rows[::-1], cols, kinds, crossing)


def _met(
    lines: list[Line], along: list[int], crossing: dict[tuple[int, int], Element], which: int
) -> list[list[tuple[int, int]]]:
    """For each line, at which of its nodes it meets which line of the other kind."""
    number = {k: n for n, k in enumerate(along)}
    place = [{node: n for n, node in enumerate(lines[k].nodes)} for k in along]
    met: list[list[tuple[int, int]]] = [[] for _ in along]
    for pair, e in crossing.items():
        k = number[pair[which]]
        node = place[k][e.a] if e.a in place[k] else place[k][e.b]
        met[k].append((node, pair[1 - which]))
    return [sorted(items) for items in met]


def _lines(
    flat: Flat, wires: list[Element], cells: list[Element]
) -> tuple[list[Line], dict[str, int]]:
    """Paths of wires, and the line of each node."""
    beside: dict[str, list[Element]] = {}
    for e in wires:
        for node in (e.a, e.b):
            beside.setdefault(node, []).append(e)
    every = list(dict.fromkeys(x for e in (*wires, *cells) for x in (e.a, e.b)))
    at_cells = {x for e in cells for x in (e.a, e.b)}
    lines: list[Line] = []
    of: dict[str, int] = {}
    for start in every:
        if start in of or len(beside.get(start, ())) > 1:
            continue
        path = _path(start, beside)
        for node in path.nodes:
            of[node] = len(lines)
        ends = flat.drivers.get(path.nodes[0]), flat.drivers.get(path.nodes[-1])
        inside = [x for x in path.nodes[1:-1] if x in flat.drivers]
        if inside:
            raise NetlistError(
                f"node {inside[0]}: got a source in the middle of a line, needs it at an end"
            )
        alone = len(path.nodes) == 1
        if not any(x in at_cells for x in path.nodes):
            raise NetlistError(f"node {start}: got a line without cells, needs one that has some")
        lines.append(Line(path.nodes, path.ohms, (ends[0], None if alone else ends[1])))
    for e in wires:
        if e.a not in of:
            raise NetlistError(f"line {e.line}, {e.name}: got a ring of wires, needs open lines")
    return lines, of


def _path(start: str, beside: dict[str, list[Element]]) -> Line:
    nodes, ohms, last = [start], [], None
    while True:
        onward = [e for e in beside.get(nodes[-1], ()) if e is not last]
        if not onward:
            return Line(nodes, ohms, (None, None))
        if len(onward) > 1:
            e = onward[1]
            raise NetlistError(
                f"line {e.line}, {e.name}: got a branch of a line at node {nodes[-1]}, needs cells "
                "between lines and wires along them"
            )
        last = onward[0]
        nodes.append(last.b if last.a == nodes[-1] else last.a)
        ohms.append(last.value)


def _sides(cells: list[Element], of: dict[str, int], count: int) -> list[int]:
    """0 or 1 for each line, so that cells join different ones."""
    beside: list[list[tuple[int, Element]]] = [[] for _ in range(count)]
    for e in cells:
        if of[e.a] == of[e.b]:
            raise NetlistError(
                f"line {e.line}, {e.name}: joins two nodes of one line, needs a word and a bit line"
            )
        beside[of[e.a]].append((of[e.b], e))
        beside[of[e.b]].append((of[e.a], e))
    side = [-1] * count
    for first in range(count):
        if side[first] >= 0:
            continue
        side[first], left = 0, [first]
        while left:
            k = left.pop()
            for other, e in beside[k]:
                if side[other] < 0:
                    side[other] = 1 - side[k]
                    left.append(other)
                elif side[other] == side[k]:
                    raise NetlistError(
                        f"line {e.line}, {e.name}: joins two lines of one kind, needs a cell "
                        "between a word and a bit line"
                    )
    return side


def _is_word(flat: Flat, lines: list[Line], side: list[int]) -> int:
    """The side whose drivers are not all at 0 V; else the first line's."""
    driven = {
        side[k] for k, line in enumerate(lines) if any(v is not None and v != 0 for v in line.ends)
    }
    return driven.pop() if len(driven) == 1 else side[0]
