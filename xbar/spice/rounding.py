"""How far off nodal analysis in float64 may be on an array: what `verify` must not blame on xbar.

ngspice adds up the conductances at every node and solves for node voltages. A sum rounded by eps is
a leak of `eps G` from the node to ground, G being the node's total conductance, and moves its
voltage by at most `eps G R v`, where R is the resistance between the node and ground. By Rayleigh's
monotonicity law R is at most that of any one path to ground: along the word line, or through the
cell and along the bit line. The leak's current `eps G v` also bounds what any branch may carry
more. Behind 1e12 ohm, cell currents found as `g (v_word - v_bit)` keep half of their digits.
"""

import jax
import numpy as np

from xbar.circuit import Crossbar
from xbar.spice.netlist import Values
from xbar.spice.run import Measured

# Each node sums up to four conductances, and elimination rounds about as often again.
ROUNDINGS = 8


def rounding(values: Values, v_in: np.ndarray) -> Measured:
    """Errors that float64 may leave in voltages and currents found by nodal analysis.

    Args:
        values: the array, of linear cells.
        v_in: driver voltages (rows, n) [V].

    Returns:
        A bound for each quantity; 0 for cells that are not resistors, where nothing is forgiven.
    """
    if not values.linear:
        cells, cols = (*values.shape, v_in.shape[1]), (values.shape[1], v_in.shape[1])
        return Measured(*(np.zeros(shape) for shape in (cells, cells, cells, cols)))
    drive = np.max(np.abs(v_in), axis=0)  # (n,)
    to_source = values.source[:, None] + np.cumsum(values.word_line, axis=1)
    to_sense = values.sense + np.cumsum(values.bit_line[::-1], axis=0)[::-1]
    with np.errstate(divide="ignore"):
        through = 1 / values.g
    word = np.minimum(to_source, through + to_sense)
    bit = np.minimum(to_sense, through + to_source)
    at_nodes = [(_at_nodes(values, axis), r) for axis, r in ((1, word), (0, bit))]
    leak = max(float(np.max(total)) for total, _ in at_nodes)
    worst = max(1.0, *(float(np.max(total * r)) for total, r in at_nodes))
    eps = ROUNDINGS * np.finfo(float).eps * drive
    with np.errstate(divide="ignore"):
        to_ground = np.minimum(1 / (values.sense + values.bit_line[-1]), 2 * values.g.sum(axis=0))
    i_cell = np.minimum(2 * values.g * worst, leak)[..., None] * eps
    i_out = np.minimum(to_ground * worst, leak)[:, None] * eps
    volts = np.broadcast_to(worst * eps, i_cell.shape)
    return Measured(volts, volts, i_cell, i_out)


def rounding_of_any_ends(array: Crossbar, largest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same for arrays with any ends, broken and bridged lines: bounds for volts and amperes.

    A floating line is held by its cells alone, so R is that of the least conducting line; and no
    branch carries more than the leaks of all nodes together, of which one is the largest.

    Args:
        array: the circuit, of linear cells.
        largest: voltage of each input, (n,) [V].
    """
    g, resistances = np.asarray(array.g, float), jax.tree.leaves((array.wires, array.line_faults))
    ohms = [np.ravel(np.asarray(r, float)) for r in resistances if np.asarray(r).dtype.kind == "f"]
    every = np.concatenate(ohms)
    shortest = np.min(every[np.isfinite(every) & (every > 0)], initial=np.inf)
    total = 4 / shortest + np.max(g)
    lines = np.concatenate([g.sum(axis=0), g.sum(axis=1)])
    held = np.min(lines[lines > 0], initial=np.inf)
    eps = ROUNDINGS * np.finfo(float).eps * largest
    return max(1.0, total / held) * eps, total * eps


def _at_nodes(values: Values, axis: int) -> np.ndarray:
    """Total conductance at each word-line node (axis 1) or bit-line node (axis 0)."""
    r = values.word_line.copy() if axis == 1 else values.bit_line[::-1].copy()
    if axis == 1:
        r[:, 0] += values.source
    else:
        r[0] += values.sense
    # A segment of 0 ohm is no element: its two nodes are one.
    towards = np.divide(1, r, out=np.zeros_like(r), where=r > 0)
    onwards = np.zeros_like(towards)
    if axis == 1:
        onwards[:, :-1] = towards[:, 1:]
        return values.g + towards + onwards
    onwards[:-1] = towards[1:]
    return values.g + (towards + onwards)[::-1]
