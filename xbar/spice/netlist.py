"""One array as a SPICE netlist: a pure function from a circuit to text.

::

    Vin_i: in_i --Rsrc_i-- drv_i --Rword_i_0-- w_i_0 --Rword_i_1-- w_i_1 -- ...   (far end open)
                                                 |                   |
                                             Rcell_i_0           Rcell_i_1
                                                 |                   |
                                               b_i_0               b_i_1
                                                 |                   |
                                             Rbit_i_0            Rbit_i_1
                                                ...                 ...
                                               end_0 --Rsense_0-- out_0 --Vout_0 (0 V)-- 0

A segment of exactly 0 ohm is no element (ngspice would silently take 1 mOhm for it): its two nodes
are one, named as the one nearer to the line's voltage source (`in_i`, `out_j`). Lines are paths, so
that walking each from its source finds every merged node. A cell of exactly 0 S is no element
either. No node floats, since lines never break: every word-line node reaches `in_i` through finite
resistances and every bit-line node `out_j`. And no two voltage sources form a loop: each line has
one, and only cells, never merged, join two lines.

`Vout_j` measures the output current at 0 V; ngspice counts it positive into `out_j`, as xbar does.
"""

from typing import Any, NamedTuple

import numpy as np

from xbar.cells import AbstractCell, Ohmic
from xbar.cells.base import first_illegal
from xbar.checks import check_kind, is_concrete
from xbar.circuit import Crossbar
from xbar.spice.laws import MODEL, OPTIONS, Writer, current_of, in_float64, writer_of
from xbar.spice.text import comment, identifier, number


class Values(NamedTuple):
    """An array's numbers in float64, each in its full shape."""

    cells: AbstractCell  # of NumPy's numbers; for linear ones, Ohmic
    word_line: np.ndarray  # (rows, cols) [ohm]
    bit_line: np.ndarray  # (rows, cols) [ohm]
    source: np.ndarray  # (rows,) [ohm]
    sense: np.ndarray  # (cols,) [ohm]

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        rows, cols = self.word_line.shape
        return rows, cols

    @property
    def linear(self) -> bool:
        """Whether the cells are resistors."""
        return self.cells.linear

    @property
    def g(self) -> np.ndarray:
        """Conductances of linear cells, (rows, cols) [S]."""
        assert isinstance(self.cells, Ohmic)  # as `values_of` makes linear cells
        return np.broadcast_to(np.asarray(self.cells.g), self.shape)

    def writer(self) -> Writer:
        """How the cells are written."""
        return writer_of(self.cells, self.shape)

    def current(self, u: np.ndarray) -> np.ndarray:
        """Cell currents at cell voltages (rows, cols, n)."""
        if self.linear:
            return self.g[..., None] * u
        return current_of(self.cells, u)


class Nodes(NamedTuple):
    """What the parts of an array are called in its netlist, after merging."""

    word: list[list[str]]  # node of each cell's word-line end, (rows, cols)
    bit: list[list[str]]  # of its bit-line end, (rows, cols)
    ammeters: list[str]  # source whose current is the output current, (cols,)


def plain_netlist(array: Crossbar, v_in: Any, *, title: str = "", faults: Any = None) -> str:
    """One array, its drivers and an ammeter at each virtual ground, as a complete netlist.

    Args:
        array: the circuit; any legal one.
        v_in: driver voltages (rows,) [V].
        title: a remark for the netlist's head; any text.
        faults: cells to mark as faulty in comments, booleans (rows, cols).

    Returns:
        The netlist, ASCII; the same circuit gives the same text.

    Raises:
        TypeError: the array's numbers are not known (inside `jit`).
        ValueError: a number that SPICE cannot hold, or a shape that does not fit.
    """
    values = values_of(array)
    volts = voltages("v_in", v_in, array.rows)
    lines = head(f"one array of {array.rows} x {array.cols} cells", title)
    lines.append("* drivers: Vin_i drives row i")
    lines += [f"Vin_{i} in_{i} 0 {number(v)}" for i, v in enumerate(volts)]
    drive, ends = ports(array)
    lines += [] if values.linear else [OPTIONS]
    lines += array_lines(values, drive, ends, faults=faults)
    lines.append("* virtual grounds: the current of Vout_j is the output current of column j")
    lines += [f"Vout_{j} out_{j} 0 0" for j in range(array.cols)]
    return finish(lines)


def subckt(array: Crossbar, name: str = "crossbar", *, title: str = "", faults: Any = None) -> str:
    """One array as a subcircuit for a test bench, without drivers and amplifiers.

    Pins: `in_0` ... `in_(rows-1)`, the driver ends of the word lines from the first row to the last
    (the sources' resistance inside), then `out_0` ... `out_(cols-1)`, the amplifier ends of the bit
    lines (the sense resistance inside). For xbar's `i_out`, hold every `out` pin at 0 V.

    Args:
        array: the circuit.
        name: of the subcircuit.
        title: a remark for the head; any text.
        faults: cells to mark as faulty in comments, booleans (rows, cols).

    Returns:
        Text for an `.include`d file.

    Raises:
        TypeError: as `plain_netlist`.
        ValueError: as `plain_netlist`, or the name is not an identifier.
    """
    name = identifier("name", name)
    drive, ends = ports(array)
    lines = head(f"subcircuit of one array of {array.rows} x {array.cols} cells", title)
    lines.append("* pins: in_i drives row i, rows in order; then out_j ends column j at 0 V")
    lines.append(f".subckt {name}")
    pins = [*drive, *ends]
    lines += [f"+ {' '.join(pins[k : k + 8])}" for k in range(0, len(pins), 8)]
    lines += array_lines(values_of(array), drive, ends, faults=faults)
    lines.append(f".ends {name}")
    return "\n".join(lines) + "\n"


def head(what: str, title: str) -> list[str]:
    """The lines that open a netlist and say how to read it."""
    return [
        comment(f"xbar: {what}"),
        *([comment(title)] if title.strip() else []),
        "* w_i_j and b_i_j are the word- and bit-line node of the cell in row i, column j",
        "* a segment of exactly 0 ohm is left out and its nodes are one, named as the one nearer",
        "* to the driver (in_i) or the amplifier (out_j); a cell of exactly 0 S is left out",
    ]


def finish(lines: list[str]) -> str:
    """The netlist's text, with its analysis."""
    return "\n".join([*lines, ".op", ".end"]) + "\n"


def ports(array: Crossbar) -> tuple[list[str], list[str]]:
    """Names of the driver and amplifier ends of an array that stands alone."""
    return [f"in_{i}" for i in range(array.rows)], [f"out_{j}" for j in range(array.cols)]


def array_lines(
    values: Values, drive: list[str], ends: list[str], *, layer: str = "", faults: Any = None
) -> list[str]:
    """The elements of one array.

    Args:
        values: its numbers.
        drive: node at the driver's end of each word line, (rows,).
        ends: node at the amplifier's end of each bit line, (cols,).
        layer: `lk_` in a network of several arrays, where it sets the names apart.
        faults: cells to mark as faulty, booleans (rows, cols).
    """
    rows, cols = values.shape
    marked, cells = _marked(faults, values.shape), values.writer()
    lines: list[str] = [MODEL] if cells.transistors else []
    for i in range(rows):
        lines.append(f"* row {i}: its driver's resistance, then its word line")
        for name, r, near, far in word_line(values, i, drive[i], layer):
            if r != 0:
                lines.append(f"{name} {near} {far} {number(r)}")
    for j in range(cols):
        lines.append(f"* column {j}: its amplifier's resistance, then its bit line upwards")
        for name, r, near, far in bit_line(values, j, ends[j], layer):
            if r != 0:
                lines.append(f"{name} {far} {near} {number(r)}")
    nodes = nodes_of(values, drive, ends, layer)
    for i in range(rows):
        lines.append(f"* row {i}: its cells")
        for j in range(cols):
            name = f"cell_{layer}{i}_{j}"
            if marked[i, j]:
                lines.append(f"* fault: the cell in row {i}, column {j}")
            if cells.open[i, j]:
                lines.append(f"* R{name} is open" if values.linear else f"* {name} is open")
            else:
                lines += cells.lines(name, nodes.word[i][j], nodes.bit[i][j], (i, j))
    return lines


Path = list[tuple[str, float, str, str]]  # element, resistance [ohm], its near and far node


def word_line(values: Values, i: int, drive: str, layer: str) -> Path:
    """The path of row i from its driver to its far end, nodes merged where there is no element."""
    names = [(f"Rsrc_{layer}{i}", values.source[i], f"{layer}drv_{i}")]
    for j, r in enumerate(values.word_line[i]):
        names.append((f"Rword_{layer}{i}_{j}", r, f"{layer}w_{i}_{j}"))
    return _merged(names, drive)


def bit_line(values: Values, j: int, end: str, layer: str) -> Path:
    """The path of column j from its amplifier up to row 0."""
    names = [(f"Rsense_{layer}{j}", values.sense[j], f"{layer}end_{j}")]
    names += [
        (f"Rbit_{layer}{i}_{j}", values.bit_line[i, j], f"{layer}b_{i}_{j}")
        for i in reversed(range(values.shape[0]))
    ]
    return _merged(names, end)


def _merged(names: list[tuple[str, float, str]], node: str) -> Path:
    path = []
    for element, r, proper in names:
        far = node if r == 0 else proper
        path.append((element, float(r), node, far))
        node = far
    return path


def nodes_of(values: Values, drive: list[str], ends: list[str], layer: str = "") -> Nodes:
    """Where the array's voltages and currents are found in the results."""
    rows, cols = values.shape
    word = [[far for *_, far in word_line(values, i, drive[i], layer)][1:] for i in range(rows)]
    columns = [[far for *_, far in bit_line(values, j, ends[j], layer)][:0:-1] for j in range(cols)]
    bit = [list(row) for row in zip(*columns, strict=True)]
    return Nodes(word, bit, [f"vout_{layer}{j}" for j in range(cols)])


def values_of(array: Crossbar) -> Values:
    """The array's numbers, checked.

    Raises:
        TypeError: not a `Crossbar`, or traced.
        ValueError: negative, not finite, a batch, or too small for a resistor.
    """
    check_kind("array", array, Crossbar, "xbar.Crossbar")
    if not is_concrete(array):
        raise TypeError("array: got traced values, needs known ones; call this outside jit")
    if not array.is_plain:
        raise ValueError(
            "array: got drivers at far ends, or line faults, needs none here; "
            "xbar.spice.array_netlist and xbar.spice.verify_array take them"
        )
    shape = array.cells.shape
    if len(shape) != 2:
        raise ValueError(f"Crossbar.g: got shape {shape}, needs (rows, cols)")
    rows, cols = shape
    shapes = {"word_line": (rows, cols), "bit_line": (rows, cols)} | {
        "source": (rows,),
        "sense": (cols,),
    }
    leaves = {
        name: np.broadcast_to(np.asarray(leaf, float), shapes[name])
        for name, leaf in array.wires.leaves.items()
    }
    for name, x in leaves.items():
        _check(f"Wires.{name}", x, np.isfinite(x) & (x >= 0), "a finite value >= 0")
    return Values(_law_of(array), **leaves)


def _law_of(array: Crossbar) -> AbstractCell:
    """The cells' law in float64, checked."""
    if not array.cells.linear:
        law = in_float64(array.cells)
        if (found := first_illegal(law)) is not None:
            name, value, at, needs = found
            raise ValueError(f"{name}: got {value} at {at}, needs {needs}")
        writer_of(law, (array.rows, array.cols))  # raises now where there is no netlist
        return law
    g = np.asarray(array.g, float)
    _check("Crossbar.g", g, np.isfinite(g) & (g >= 0), "a finite value >= 0")
    # Below 5.6e-309 S (subnormal) the resistance is beyond float64.
    with np.errstate(divide="ignore", over="ignore"):
        _check("Crossbar.g", g, (g == 0) | np.isfinite(1 / g), "0, or at least 5.6e-309 S")
    return in_float64(Ohmic(g))


def voltages(name: str, v: Any, rows: int) -> np.ndarray:
    """Driver voltages in float64, (rows,), checked."""
    if not is_concrete(v):
        raise TypeError(f"{name}: got traced values, needs known ones; call this outside jit")
    volts = np.asarray(v, float)
    if volts.shape != (rows,):
        raise ValueError(f"{name}: got shape {volts.shape}, needs ({rows},)")
    _check(name, volts, np.isfinite(volts), "finite values")
    return volts


def _check(name: str, values: np.ndarray, legal: np.ndarray, needs: str) -> None:
    if not np.all(legal):
        at = tuple(int(k) for k in np.argwhere(~legal)[0])
        raise ValueError(f"{name}: got {values[at]} at {at}, needs {needs}")


def _marked(faults: Any, shape: tuple[int, ...]) -> np.ndarray:
    if faults is None:
        return np.zeros(shape, bool)
    marked = np.asarray(faults)
    if marked.shape != shape or marked.dtype != bool:
        raise ValueError(f"faults: got {marked.dtype} {marked.shape}, needs booleans {shape}")
    return marked
