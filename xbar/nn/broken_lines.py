"""Broken and bridged lines where a shape lies: what a scratch or a particle does to wires.

| fault | at each line that the shape touches |
|---|---|
| open-word-lines | broken where the shape begins, seen from its driver |
| open-bit-lines | both of a pair are broken where the shape begins, seen from the amplifier |
| bridged-word-lines | joined to the next one (the last: to the one before) where the shape begins |
| bridged-bit-lines | the two of a pair are joined where the shape begins |

What lies behind a break floats, held by its cells alone. A row that is hit over its whole width is
thus cut off from its driver: the true fault behind a stuck row.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from xbar.checks import resistance
from xbar.circuit import Bridge, LineFaults

LINE_FAULTS = {
    "open-word-lines": "word lines broken where the shape begins, seen from their drivers",
    "open-bit-lines": "bit lines broken where the shape begins, seen from their amplifiers",
    "bridged-word-lines": "each word line joined to the next where the shape begins",
    "bridged-bit-lines": "the two bit lines of each pair joined where the shape begins",
}
"""Faults of lines by name, in words."""


class Most(NamedTuple):
    """Upper bounds that arrays need to share one compiled program."""

    opens: int = 0  # broken segments of one kind of line
    word_bridges: int = 0
    bit_bridges: int = 0


class _Places(NamedTuple):
    """Where one array's lines are broken, and the lines that touch, as nodes (row, column)."""

    word_open: np.ndarray  # (rows, columns), booleans
    bit_open: np.ndarray
    word_bridges: list[tuple[tuple[int, int], tuple[int, int]]]
    bit_bridges: list[tuple[tuple[int, int], tuple[int, int]]]

    @property
    def most(self) -> Most:
        opens = max(int(self.word_open.sum()), int(self.bit_open.sum()))
        return Most(opens, len(self.word_bridges), len(self.bit_bridges))


def line_faults_at(fault: str, hit: np.ndarray, r: float = 0.0) -> LineFaults:
    """The line faults of one array of pairs.

    Args:
        fault: one of `LINE_FAULTS`.
        hit: pairs that the shape hits, booleans (rows, outputs), known.
        r: resistance of each bridge [ohm].

    Returns:
        Faults of the array with (rows, 2 * outputs) cells.

    Raises:
        ValueError: another fault, or an array of one line that cannot touch another.
    """
    places = _places(fault, np.asarray(hit))
    return _built(places, places.most, r)


def bridge_ohm(fault: str, stuck: str) -> float:
    """Resistance of a fault's bridges in a study's words [ohm]; 0 where there are none.

    Raises:
        ValueError: not a number.
    """
    if not fault.startswith("bridged"):
        return 0.0
    if np.isnan(ohm := resistance(stuck)):
        raise ValueError(f"stuck: got {stuck!r}, needs a resistance [ohm]")
    return ohm


def stacked_line_faults(
    faults: Sequence[str], hits: np.ndarray, r: Sequence[float]
) -> LineFaults | None:
    """The line faults of several arrays as one batch, for `jax.vmap`.

    Args:
        faults: of each array; what is none of `LINE_FAULTS` leaves its lines whole.
        hits: pairs that are hit, booleans (n, rows, outputs).
        r: resistance of each array's bridges, (n,) [ohm].

    Returns:
        Faults that lead with the arrays, with as many bridges and broken segments as the worst of
        them needs, to the next power of two; None where all lines of all arrays are whole.
    """
    found = [_places(fault, hit) for fault, hit in zip(faults, np.asarray(hits), strict=True)]
    if not any(fault in LINE_FAULTS for fault in faults):
        return None
    worst = np.max([places.most for places in found], axis=0)
    most = Most(*(_power_of_two(int(count)) for count in worst))
    built = [_built(places, most, ohm) for places, ohm in zip(found, r, strict=True)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *built)


def _power_of_two(count: int) -> int:
    return 0 if count == 0 else 1 << (count - 1).bit_length()


def _places(fault: str, hit: np.ndarray) -> _Places:
    rows, outputs = hit.shape
    columns = 2 * outputs
    found = _Places(np.zeros((rows, columns), bool), np.zeros((rows, columns), bool), [], [])
    if fault not in LINE_FAULTS:
        return found
    touched_rows, touched = np.flatnonzero(hit.any(axis=1)), np.flatnonzero(hit.any(axis=0))
    first = 2 * hit.argmax(axis=1)  # columns, from the drivers
    last = rows - 1 - hit[::-1].argmax(axis=0)  # rows, from the amplifiers
    if fault == "open-word-lines":
        found.word_open[touched_rows, first[touched_rows]] = True
    elif fault == "open-bit-lines":
        for side in (0, 1):
            found.bit_open[last[touched], 2 * touched + side] = True
    elif fault == "bridged-word-lines":
        if rows < 2:
            raise ValueError(f"{fault}: got one word line, needs two")
        for i in touched_rows.tolist():
            other, j = (i + 1 if i + 1 < rows else i - 1), int(first[i])
            found.word_bridges.append(((i, j), (other, j)))
    else:
        for k in touched.tolist():
            i = int(last[k])
            found.bit_bridges.append(((i, 2 * k), (i, 2 * k + 1)))
    return found


def _built(places: _Places, most: Most, r: float) -> LineFaults:
    """Bridges beyond those that there are join a node to itself, which is none."""
    bridges = []
    for kind, nodes, count in (
        ("word", places.word_bridges, most.word_bridges),
        ("bit", places.bit_bridges, most.bit_bridges),
    ):
        padded = nodes + [((0, 0), (0, 0))] * (count - len(nodes))
        bridges += [Bridge((kind, *a), (kind, *b), r) for a, b in padded]
    return LineFaults(places.word_open, places.bit_open, bridges, max_open=most.opens)
