"""Arrays with any ends, broken and bridged lines, under any bias, as netlists for ngspice.

Elements and nodes are named as in `xbar.spice.netlist`; besides, `infar_i` and `outfar_j` are the
drivers' ends of far drivers, `Rsrcfar_i`, `Rsensefar_j` their resistances, `Rbridge_k` the bridges.
Broken segments and disconnected drivers are left out. So is what has no connection to any driver:
no current flows there, and ngspice would find no voltage.

A resistance of exactly 0 ohm is no element; its nodes are one, named as the driver's end if one of
them is that.
"""

from typing import Any, NamedTuple

import numpy as np

from xbar.checks import is_concrete
from xbar.circuit import Bias, Crossbar
from xbar.circuit.bias import Drivers
from xbar.spice.netlist import finish, head, plain_netlist, voltages
from xbar.spice.ngspice import run_netlist
from xbar.spice.run import Program
from xbar.spice.text import number

# Currents of drivers: the array's name for them, their sources, their sign out of the driver.
ENDS = {"i_word": "vin", "i_out": "vout", "i_word_far": "vinfar", "i_bit_far": "voutfar"}


class Element(NamedTuple):
    """A resistor between two nodes."""

    name: str
    a: str
    b: str
    ohms: float


class Wiring(NamedTuple):
    """An array's elements, and what its nodes are called after merging; "" for no such node."""

    elements: list[Element]
    drivers: dict[str, np.ndarray]  # voltages of the n inputs, by node [V]
    word: list[list[str]]
    bit: list[list[str]]
    inputs: int


class NgspiceSolution(NamedTuple):
    """What ngspice finds for n inputs; NaN for voltages that nothing defines."""

    v_word: np.ndarray  # (rows, cols, n) [V]
    v_bit: np.ndarray
    i_cell: np.ndarray  # [A]
    ends: dict[str, np.ndarray]  # currents as `Solution` has them, (lines, n) [A]
    p_total: np.ndarray  # (n,) [W]
    version: str


def array_netlist(array: Crossbar, v_in: Any, *, title: str = "", faults: Any = None) -> str:
    """One array with its drivers as a complete netlist.

    Args:
        array: the circuit; any legal one of linear cells.
        v_in: driver voltages (rows,) [V]; or a `Bias`, of whose inputs the first is taken.
        title: a remark for the netlist's head; any text.
        faults: cells to mark as faulty in comments, booleans (rows, cols); for plain arrays.

    Returns:
        The netlist, ASCII; the same circuit gives the same text.

    Raises:
        TypeError: the array's numbers are not known (inside `jit`).
        ValueError: a number that SPICE cannot hold, a shape that does not fit, `faults` for an
            array that is not plain, or two drivers that are joined by 0 ohm.
    """
    if is_plain(array, v_in):
        return plain_netlist(array, v_in, title=title, faults=faults)
    if faults is not None:
        raise ValueError("faults: got some, needs None beside a bias, far ends or line faults")
    bias = v_in if isinstance(v_in, Bias) else Bias(voltages("v_in", v_in, array.rows))
    return wired_netlist(array, bias, title=title)


def is_plain(array: Crossbar, v_in: Any) -> bool:
    """Whether `xbar.spice.netlist` has all of it; what is no array is refused there."""
    return not isinstance(v_in, Bias) and (not isinstance(array, Crossbar) or array.is_plain)


def wired_netlist(array: Crossbar, bias: Bias, *, title: str = "") -> str:
    """One array under a bias as a complete netlist; of several inputs, for the first.

    Args:
        array: the circuit; any legal one.
        bias: voltages, and which lines float.
        title: a remark for the netlist's head; any text.

    Returns:
        The netlist, ASCII; the same circuit gives the same text.

    Raises:
        TypeError: numbers that are not known (inside `jit`).
        ValueError: a number that SPICE cannot hold, a shape that does not fit, or two drivers that
            are joined by 0 ohm.
    """
    return _text(array, _wiring(array, bias), title)


def _text(array: Crossbar, wiring: Wiring, title: str = "") -> str:
    lines = head(f"one array of {array.rows} x {array.cols} cells", title)
    lines.append("* drivers: Vin_i and Vinfar_i of row i, Vout_j and Voutfar_j of column j")
    lines += [f"V{node} {node} 0 {number(v[0])}" for node, v in wiring.drivers.items()]
    return finish(lines + _resistors(wiring.elements))


def measure_wired(
    array: Crossbar, bias: Bias, *, ngspice: Program = None, timeout_s: float = 600.0
) -> NgspiceSolution:
    """An array under a bias, solved by ngspice for every input.

    Args:
        array: the circuit.
        bias: voltages, and which lines float.
        ngspice: the program; None looks for it.
        timeout_s: time limit for all inputs [s].

    Returns:
        Voltages and currents.

    Raises:
        SpiceError: ngspice gave no result.
        TypeError, ValueError: as `wired_netlist`.
    """
    wiring = _wiring(array, bias)
    volts, n = wiring.drivers, wiring.inputs
    steps = [{}] + [{f"v{node}": float(v[k]) for node, v in volts.items()} for k in range(1, n)]
    readings = run_netlist(_text(array, wiring), steps, ngspice=ngspice, timeout_s=timeout_s)

    def read(name: str) -> list[float]:
        return [np.nan if not name else point[name] for point in readings.points]

    v_word, v_bit = (
        np.array([[read(node) for node in row] for row in names])
        for names in (wiring.word, wiring.bit)
    )
    g = np.asarray(array.g, float)[..., None]
    i_cell = np.nan_to_num(g * (v_word - v_bit))
    ends, power = {}, np.zeros(n)
    for name, prefix in ENDS.items():
        lines = array.rows if "in" in prefix else array.cols
        rows = [f"{prefix[1:]}_{k}" for k in range(lines)]
        current = np.array([read(f"i:v{r}") if r in volts else [0.0] * n for r in rows])
        ends[name] = current if name == "i_out" else -current
        for k, row in enumerate(rows):
            if row in volts:
                power -= volts[row] * current[k]
    return NgspiceSolution(v_word, v_bit, i_cell, ends, power, readings.version)


def _wiring(array: Crossbar, bias: Bias) -> Wiring:
    if not is_concrete(array, bias):
        raise TypeError("array: got traced values, needs known ones; call this outside jit")
    far = (array.wires.source_far is not None, array.wires.sense_far is not None)
    drivers = bias.drivers(array.rows, array.cols, far=far)[0]
    volts = _by_node(array, bias, drivers)
    elements = _elements(array, set(volts))
    for element in elements:
        if not (np.isfinite(element.ohms) and element.ohms >= 0):
            raise ValueError(
                f"{element.name}: got {element.ohms} ohm, needs a finite resistance >= 0 (a cell: "
                "at least 5.6e-309 S)"
            )
    if not all(np.all(np.isfinite(v)) for v in volts.values()):
        raise ValueError("bias: got voltages that are not finite, needs finite ones")
    named = _merged(elements, list(volts))
    live = _live([e for e in elements if e.ohms > 0], named, list(volts))
    kept = [
        Element(e.name, named.get(e.a, e.a), named.get(e.b, e.b), e.ohms)
        for e in elements
        if e.ohms > 0 and named.get(e.a, e.a) in live
    ]
    word, bit = (
        [
            [
                _node(named.get(f"{kind}_{i}_{j}", f"{kind}_{i}_{j}"), live)
                for j in range(array.cols)
            ]
            for i in range(array.rows)
        ]
        for kind in "wb"
    )
    return Wiring(kept, volts, word, bit, len(np.asarray(drivers.word)))


def _node(name: str, live: set[str]) -> str:
    return name if name in live else ""


def _by_node(array: Crossbar, bias: Bias, drivers: Drivers) -> dict[str, np.ndarray]:
    """Voltages (n,) of the drivers that are connected, by their nodes."""
    cut = _cuts(array)
    floats = {
        "in": _or(bias.word_floats, cut[0][:, 0]),
        "out": _or(bias.bit_floats, cut[1][-1]),
        "infar": _or(bias.word_far_floats, np.zeros(array.rows, bool)),
        "outfar": _or(bias.bit_far_floats, np.zeros(array.cols, bool)),
    }
    volts = (drivers.word, drivers.bit, drivers.word_far, drivers.bit_far)
    return {
        f"{prefix}_{k}": np.asarray(v, float)[:, k]
        for (prefix, off), v in zip(floats.items(), volts, strict=True)
        if v is not None
        for k in range(v.shape[1])
        if not off[k]
    }


def _or(mask: Any, other: np.ndarray) -> np.ndarray:
    return other if mask is None else np.asarray(mask) | other


def _cuts(array: Crossbar) -> tuple[np.ndarray, np.ndarray]:
    """Broken segments of word and of bit lines."""
    none, faults = np.zeros((array.rows, array.cols), bool), array.line_faults
    if faults is None:
        return none, none
    masks = (faults.word_open, faults.bit_open)
    word, bit = (none if mask is None else np.asarray(mask) for mask in masks)
    return word, bit


def _elements(array: Crossbar, connected: set[str]) -> list[Element]:
    """Every resistance that is there, 0 ohm included; drivers are connected at these nodes."""
    rows, cols, wires = array.rows, array.cols, array.wires
    shapes = {"word_line": (rows, cols), "bit_line": (rows, cols)}
    r = {
        name: np.broadcast_to(
            np.asarray(leaf, float),
            shapes.get(name, (rows,) if name.startswith("source") else (cols,)),
        )
        for name, leaf in wires.leaves.items()
    }
    cut_word, cut_bit = _cuts(array)
    out: list[Element] = []
    for i in range(rows):
        if f"in_{i}" in connected:
            out.append(Element(f"Rsrc_{i}", f"in_{i}", f"drv_{i}", r["source"][i]))
        for j in range(cols):
            if not cut_word[i, j] and (j > 0 or f"in_{i}" in connected):
                before = f"w_{i}_{j - 1}" if j else f"drv_{i}"
                out.append(Element(f"Rword_{i}_{j}", before, f"w_{i}_{j}", r["word_line"][i, j]))
        if f"infar_{i}" in connected:
            last = f"w_{i}_{cols - 1}"
            out.append(Element(f"Rsrcfar_{i}", last, f"infar_{i}", r["source_far"][i]))
    for j in range(cols):
        if f"out_{j}" in connected:
            out.append(Element(f"Rsense_{j}", f"end_{j}", f"out_{j}", r["sense"][j]))
        for i in reversed(range(rows)):
            if not cut_bit[i, j] and (i < rows - 1 or f"out_{j}" in connected):
                below = f"b_{i + 1}_{j}" if i < rows - 1 else f"end_{j}"
                out.append(Element(f"Rbit_{i}_{j}", f"b_{i}_{j}", below, r["bit_line"][i, j]))
        if f"outfar_{j}" in connected:
            out.append(Element(f"Rsensefar_{j}", f"b_0_{j}", f"outfar_{j}", r["sense_far"][j]))
    g = np.asarray(array.g, float)
    if not np.all(np.isfinite(g) & (g >= 0)):
        raise ValueError("Crossbar.g: got values that are not legal, needs finite ones >= 0")
    with np.errstate(divide="ignore", over="ignore"):
        out += [
            Element(f"Rcell_{i}_{j}", f"w_{i}_{j}", f"b_{i}_{j}", float(1 / g[i, j]))
            for i in range(rows)
            for j in range(cols)
            if g[i, j] > 0
        ]
    faults = array.line_faults
    for k, bridge in enumerate(() if faults is None else faults.bridges):
        a, b = (f"{kind[0]}_{int(i)}_{int(j)}" for kind, i, j in bridge.ends)
        if a != b:
            out.append(Element(f"Rbridge_{k}", a, b, float(bridge.r)))
    return out


def _merged(elements: list[Element], drivers: list[str]) -> dict[str, str]:
    """What nodes are called that 0 ohm joins to others."""
    parent: dict[str, str] = {}
    ends = set(drivers)

    def root(x: str) -> str:
        while parent.get(x, x) != x:
            x = parent[x]
        return x

    for element in elements:
        if element.ohms == 0:
            a, b = root(element.a), root(element.b)
            if a == b:
                continue
            if {a, b} <= ends:
                raise ValueError(
                    f"bias: got drivers {a} and {b} joined by 0 ohm, needs a resistance between "
                    "them: ngspice solves no loop of voltage sources"
                )
            if b in ends:
                a, b = b, a
            parent[b] = a
    return {x: root(x) for x in parent}


def _live(elements: list[Element], named: dict[str, str], drivers: list[str]) -> set[str]:
    """Nodes that are connected to a driver."""
    beside: dict[str, list[str]] = {}
    for element in elements:
        a, b = named.get(element.a, element.a), named.get(element.b, element.b)
        beside.setdefault(a, []).append(b)
        beside.setdefault(b, []).append(a)
    live, left = set(drivers), list(drivers)
    while left:
        for other in beside.get(left.pop(), ()):
            if other not in live:
                live.add(other)
                left.append(other)
    return live


def _resistors(elements: list[Element]) -> list[str]:
    """A resistor whose ends are one node carries nothing and is left out."""
    return [f"{e.name} {e.a} {e.b} {number(e.ohms)}" for e in elements if e.a != e.b]
