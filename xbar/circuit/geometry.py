"""Wire resistance and capacitance from geometry and from the technology node.

A segment of length l of a line of width w and thickness h = AR w has the resistance

    r = rho_eff l / (w h)        rho_eff = rho / (1 - (2 h + w) t / (w h))

t being the barrier's thickness on the two sides and the bottom, which carries no current. The
tables are those of the NeuroSim simulators, of which only the numbers and this formula are used.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float

from xbar.checks import check_word, checked, finite_above_0, finite_from_0, is_concrete


class Metal(NamedTuple):
    """The line of a technology node.

    Args:
        width: [m]; also the feature size F that cells are counted in.
        aspect_ratio: thickness over width.
        rho: resistivity [ohm m].
        barrier: thickness of the barrier [m].
    """

    width: float
    aspect_ratio: float
    rho: float
    barrier: float


def _table(rows: Mapping[int, tuple[int | float, ...]]) -> Mapping[int, Metal]:
    """Of width [nm], aspect ratio, resistivity [1e-8 ohm m] and barrier [nm] by node [nm]."""
    return MappingProxyType(
        {nm: Metal(w * 1e-9, ar, rho * 1e-8, t * 1e-9) for nm, (w, ar, rho, t) in rows.items()}
    )


TABLES: Mapping[str, Mapping[int, Metal]] = MappingProxyType(
    {
        # DNN_NeuroSim V1.4, Param.cpp: width and barrier by node, aspect ratio and resistivity by
        # width.
        "neurosim-1.4": _table(
            {
                130: (175, 1.6, 2.01, 10),
                90: (110, 1.6, 2.20, 10),
                65: (105, 1.7, 2.21, 7),
                45: (80, 1.7, 2.37, 5),
                32: (56, 1.8, 2.63, 4),
                22: (40, 1.9, 2.97, 2.5),
                14: (32, 2.0, 3.25, 2.5),
                10: (22, 2.0, 3.95, 2),
                7: (20, 2.0, 4.17, 2),
                5: (15, 2.0, 4.98, 2),
                3: (12, 2.0, 5.80, 1.5),
                2: (10, 2.0, 6.61, 0.5),
                1: (8, 3.0, 7.87, 0.2),
            }
        ),
        # DNN_NeuroSim V1.3, Param.cpp: resistivities that hold the barrier already.
        "neurosim-1.3": _table(
            {
                130: (175, 1.6, 2.20, 0),
                90: (110, 1.6, 2.52, 0),
                65: (105, 1.7, 2.68, 0),
                45: (80, 1.7, 3.31, 0),
                32: (56, 1.8, 3.70, 0),
                22: (40, 1.9, 4.03, 0),
                14: (25, 2.0, 5.08, 0),
                10: (18, 2.0, 6.35, 0),
                7: (18, 2.0, 6.35, 0),
            }
        ),
    }
)
"""Lines by table and technology node [nm]; see `Wires.at_node`."""

CELLS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"4F2": (2.0, 2.0), "1T1R": (12.0, 4.0)}
)
"""Cells by name: pitch along the word line and along the bit line, in feature sizes F."""

C_PER_LENGTH = 0.2e-15 / 1e-6
"""Capacitance of a line per length [F/m], 0.2 fF/um: NeuroSim's number for every node."""


def segment_resistance(
    length: Any, width: Any, thickness: Any, rho: Any, barrier: Any = 0.0
) -> Float[Array, ""]:
    """Resistance of a segment of line, rho_eff length / (width thickness).

    Args:
        length: () [m].
        width: () [m].
        thickness: () [m].
        rho: resistivity of the metal, () [ohm m].
        barrier: thickness of the barrier on two sides and the bottom, () [m].

    Returns:
        Resistance, () [ohm].

    Raises:
        ValueError: a concrete number that is not above 0 (barrier: negative), or a barrier that
            leaves no metal.
    """
    named = {"length": length, "width": width, "thickness": thickness, "rho": rho}
    l_, w, h, rho_ = (
        checked(
            name,
            value,
            f"a finite value > 0 [{'ohm m' if name == 'rho' else 'm'}]",
            finite_above_0,
            0,
        )
        for name, value in named.items()
    )
    t = checked("barrier", barrier, "a finite thickness >= 0 [m]", finite_from_0, 0)
    metal = 1 - (2 * h + w) * t / (w * h)
    if is_concrete(metal) and not np.all(np.asarray(metal) > 0):
        raise ValueError(f"barrier: got {barrier}, needs a thickness that leaves metal in the line")
    return rho_ / metal * l_ / (w * h)


def line_at_node(nm: int, cell: Any = "4F2", table: str = "neurosim-1.4") -> tuple[Metal, tuple]:
    """The line of a node, and the lengths of its segments.

    Args:
        nm: technology node [nm].
        cell: a key of `CELLS`, or pitches along word and bit line in F.
        table: a key of `TABLES`.

    Returns:
        The metal, and the lengths of word- and bit-line segments [m].

    Raises:
        ValueError: an unknown table, node or cell.
    """
    check_word("table", table, list(TABLES))
    if nm not in TABLES[table]:
        raise ValueError(f"nm: got {nm}, needs one of {list(TABLES[table])} in {table}")
    if isinstance(cell, str):
        if cell not in CELLS:
            raise ValueError(f"cell: got {cell!r}, needs one of {list(CELLS)}, or two pitches in F")
        cell = CELLS[cell]
    pitches = np.asarray(cell, float)
    if pitches.shape != (2,) or not np.all(np.isfinite(pitches) & (pitches > 0)):
        raise ValueError(f"cell: got {cell!r}, needs two pitches above 0 [F], word line first")
    metal = TABLES[table][nm]
    return metal, (float(pitches[0]) * metal.width, float(pitches[1]) * metal.width)


def resistance_at_node(
    nm: int, cell: Any = "4F2", table: str = "neurosim-1.4"
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Resistances of a word- and a bit-line segment at a node; arguments as `line_at_node`.

    Returns:
        Word-line and bit-line segment, () each [ohm].
    """
    metal, lengths = line_at_node(nm, cell, table)
    thickness = metal.aspect_ratio * metal.width
    word, bit = (
        segment_resistance(length, metal.width, thickness, metal.rho, metal.barrier)
        for length in lengths
    )
    return word, bit


def capacitance_at_node(
    nm: int, cell: Any = "4F2", table: str = "neurosim-1.4"
) -> tuple[float, float]:
    """Capacitances of a word- and a bit-line segment, 0.2 fF/um of their lengths.

    Args:
        nm: technology node [nm].
        cell: a key of `CELLS`, or pitches along word and bit line in F.
        table: a key of `TABLES`.

    Returns:
        Word-line and bit-line segment [F].

    Raises:
        ValueError: an unknown table, node or cell.
    """
    word, bit = line_at_node(nm, cell, table)[1]
    return C_PER_LENGTH * word, C_PER_LENGTH * bit
