"""xbar against ngspice: what was compared, how far apart they are, and where.

`verify_array` takes whatever `xbar.solve` takes; a `Bias`, far ends, broken and bridged lines it
passes to `verify_wired`.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from xbar.circuit import Bias, Crossbar, Solution
from xbar.nn import Layer, LayerVoltages, Network
from xbar.nn.array import Solving
from xbar.solve import solve
from xbar.solvers import AbstractSolver
from xbar.spice.layers import Chain, input_volts
from xbar.spice.netlist import values_of
from xbar.spice.rounding import rounding, rounding_of_any_ends
from xbar.spice.run import (
    Measured,
    Program,
    measure_array,
    measure_chain,
    measured_of,
    voltages_of,
)
from xbar.spice.wiring import is_plain, measure_wired

# Relative to the largest voltage or current. Networks carry the errors of several arrays, and the
# difference of two columns amplifies them.
RTOL = {
    ("array", "float64"): 1e-10,
    ("array", "float32"): 1e-5,
    ("network", "float64"): 1e-9,
    ("network", "float32"): 1e-4,
}


class Row(NamedTuple):
    """One compared quantity.

    Args:
        quantity: what was compared, such as "v_word".
        error: the difference nearest to what is tolerated, or farthest above it, relative to the
            largest voltage or current (of an array with its drives, for the same input; of a
            layer's outputs, for any input).
        where: where that is, such as "row 3, column 7, input 0".
        rtol: the error that still counts as agreement: the tolerance asked for, and what float64
            may have cost ngspice there (`xbar.spice.rounding`).
    """

    quantity: str
    error: float
    where: str
    rtol: float

    @property
    def agrees(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.error <= self.rtol

    @property
    def verdict(self) -> str:
        """In a word."""
        return "agrees" if self.agrees else "DISAGREES"


class Report(NamedTuple):
    """The comparison of one circuit."""

    rows: list[Row]
    version: str  # of ngspice

    @property
    def agrees(self) -> bool:
        """Whether every row does."""
        return all(row.agrees for row in self.rows)

    def __str__(self) -> str:
        """A line for each quantity: the largest error, where it is, and the verdict."""
        lines = [
            f"{row.quantity:8} {row.error:.1e} of {row.rtol:.1e} at {row.where}: {row.verdict}"
            for row in self.rows
        ]
        verdict = "agrees" if self.agrees else "DISAGREES"
        return "\n".join([*lines, f"ngspice {self.version} {verdict}"])


def verify_array(
    array: Crossbar,
    v_in: Any,
    *,
    solver: AbstractSolver | None = None,
    rtol: float | None = None,
    ngspice: Program = None,
    timeout_s: float = 600.0,
) -> Report:
    """Solve one array with xbar and with ngspice, and compare.

    Args:
        array: the circuit; any legal one of linear cells.
        v_in: driver voltages (rows,) or (rows, n) [V], or a `Bias`.
        solver: xbar's solver; None for the default.
        rtol: tolerance; None takes 1e-10 in float64 and 1e-5 in float32.
        ngspice: the program; None looks for it.
        timeout_s: time limit for ngspice [s].

    Returns:
        Rows for node voltages, currents of cells and outputs (and, for arrays that are not plain,
        of every driver), and power.

    Raises:
        SpiceError: ngspice gave no result.
        TypeError, ValueError, RuntimeError: as `xbar.solve`.
    """
    if not is_plain(array, v_in):
        bias = v_in if isinstance(v_in, Bias) else Bias(v_in)
        return verify_wired(
            array, bias, solver=solver, rtol=rtol, ngspice=ngspice, timeout_s=timeout_s
        )
    ours = solve(array, v_in, solver)
    measured, power, version = measure_array(array, v_in, ngspice=ngspice, timeout_s=timeout_s)
    tolerance = _tolerance("array", ours.i_out.dtype, rtol)
    volts = np.asarray(v_in, float).reshape(array.rows, -1)
    may_differ = rounding(values_of(array), volts)
    return Report(_array_rows(ours, measured, power, tolerance, volts, may_differ), version)


def verify_wired(
    array: Crossbar,
    bias: Bias,
    *,
    solver: AbstractSolver | None = None,
    rtol: float | None = None,
    ngspice: Program = None,
    timeout_s: float = 600.0,
) -> Report:
    """Solve an array under a bias with xbar and with ngspice, and compare.

    Args:
        array: the circuit; its cells are linear.
        bias: voltages, and which lines float.
        solver: xbar's solver; None for the default.
        rtol: tolerance, relative to the largest voltage or current of the input; None takes 1e-10
            in float64 and 1e-5 in float32.
        ngspice: the program; None looks for it.
        timeout_s: time limit for ngspice [s].

    Returns:
        Rows for node voltages (undefined ones have to be undefined in both), cell currents, the
        currents of every driver, and power. What float64 may cost ngspice is allowed besides
        (`xbar.spice.rounding`).

    Raises:
        SpiceError: ngspice gave no result.
        TypeError, ValueError, RuntimeError: as `xbar.solve`.
    """
    ours = solve(array, bias, solver)
    theirs = measure_wired(array, bias, ngspice=ngspice, timeout_s=timeout_s)
    tolerance = _tolerance("array", ours.i_out.dtype, rtol)
    node, line = ("row", "column", "input"), ("line", "input")
    volts = np.max(
        [np.nanmax(np.abs(v), axis=(0, 1), initial=0.0) for v in (theirs.v_word, theirs.v_bit)],
        axis=0,
    )
    amps = np.max([np.max(np.abs(i), axis=0) for i in theirs.ends.values()], axis=0)
    amps = np.maximum(amps, np.max(np.abs(theirs.i_cell), axis=(0, 1)))
    lost_volts, lost_amps = rounding_of_any_ends(array, volts)
    rows = []
    for name, right in (("v_word", theirs.v_word), ("v_bit", theirs.v_bit)):
        mine = np.asarray(getattr(ours, name), float).reshape(right.shape)
        same = np.isnan(mine) == np.isnan(right)
        # Where only one of them has a value, the other counts as infinitely wrong.
        mine = np.where(same, np.nan_to_num(mine), np.inf)
        rows.append(_row(name, mine, np.nan_to_num(right), volts, node, tolerance, lost_volts))
    i_cell = ours.i_cell, theirs.i_cell
    rows.append(_row("i_cell", *i_cell, amps, node, tolerance, lost_amps))
    for name, right in theirs.ends.items():
        mine: Any = getattr(ours, name)
        if mine is not None:
            rows.append(_row(name, mine, right, amps, line, tolerance, lost_amps))
    power, lost = np.maximum(np.abs(theirs.p_total), amps * volts), lost_amps * volts
    p_total = ours.p_total, theirs.p_total
    rows.append(_row("p_total", *p_total, power, ("input",), tolerance, lost))
    return Report(rows, theirs.version)


def verify_layer(
    layer: Layer,
    v: Any,
    *,
    number: int = 0,
    solver: AbstractSolver | None = None,
    rtol: float | None = None,
    ngspice: Program = None,
    timeout_s: float = 600.0,
) -> Report:
    """Solve one layer with its amplifiers, rails and activation both ways, and compare.

    Args:
        layer: the layer.
        v: input voltages without the bias row's, (inputs,) or (n, inputs) [V].
        number: of the layer, for names.
        solver: xbar's solver; None for the default.
        rtol: tolerance of the array; amplifier and output voltages have ten times it. None takes
            1e-10 in float64 and 1e-5 in float32.
        ngspice: the program; None looks for it.
        timeout_s: time limit for ngspice [s].

    Returns:
        Rows for the array as in `verify_array` (without power), amplifier and output voltages.

    Raises:
        SpiceError: ngspice gave no result.
        TypeError, ValueError, RuntimeError: as `xbar.solve`.
    """
    chain, array = Chain(number, (layer,)), layer.array()
    inputs = jnp.atleast_2d(jnp.asarray(v, array.dtype))
    found = Solving(layer.circuit(), solver, True, [])
    volts = layer.voltages(found, inputs)
    readings = measure_chain(chain, np.asarray(inputs, float), ngspice=ngspice, timeout_s=timeout_s)
    (ours,) = found.found
    values = values_of(array)
    measured = measured_of(values, chain.nodes(0), readings)
    tolerance = _tolerance("array", array.dtype, rtol)
    drives = np.asarray(volts.v_in.T, float)
    rows = _array_rows(ours, measured, None, tolerance, drives, rounding(values, drives))
    theirs = voltages_of(chain, 0, readings)
    return Report(rows + _voltage_rows("", volts, theirs, 10 * tolerance), readings.version)


def verify_network(
    network: Network,
    x: Any,
    *,
    solver: AbstractSolver | None = None,
    rtol: float | None = None,
    ngspice: Program = None,
    timeout_s: float = 3600.0,
) -> Report:
    """Solve a whole network with xbar and with ngspice, and compare every layer's voltages.

    Args:
        network: arrays, amplifiers, activations.
        x: inputs of the software network, (n, inputs) or (inputs,).
        solver: xbar's solver; None for the default.
        rtol: tolerance; None takes 1e-9 in float64 and 1e-4 in float32.
        ngspice: the program; None looks for it.
        timeout_s: time limit for ngspice [s].

    Returns:
        Rows for the amplifier and output voltages of each layer.

    Raises:
        SpiceError: ngspice gave no result.
        TypeError, ValueError, RuntimeError: as `xbar.solve`.
    """
    chain = Chain(0, network.layers)
    inputs = np.atleast_2d(input_volts(network, x))
    images = jnp.atleast_2d(jnp.asarray(x))
    if all(layer.cells is None for layer in network.layers):  # the pass that everything else takes
        ours = network.voltages(network.transfers(solver=solver), images)
    else:
        ours = [volts for volts, _ in network.solve(images, solver=solver)]
    readings = measure_chain(chain, inputs, ngspice=ngspice, timeout_s=timeout_s)
    tolerance = _tolerance("network", network.k_in.dtype, rtol)
    rows = []
    for index, volts in enumerate(ours):
        theirs = voltages_of(chain, index, readings)
        rows += _voltage_rows(f"layer {index}: ", volts, theirs, tolerance)
    return Report(rows, readings.version)


def compare(ours: Solution, theirs: Solution, *, rtol: float = 1e-10) -> list[Row]:
    """Compare two solutions of one array.

    Args:
        ours: a solution, for n inputs or one.
        theirs: another, of the same shapes; the reference for what is largest.
        rtol: tolerance.

    Returns:
        Rows for node voltages, cell and output currents, and power.

    Raises:
        ValueError: the shapes differ.
    """
    if ours.v_word.shape != theirs.v_word.shape:
        raise ValueError(
            f"theirs: got shape {theirs.v_word.shape}, needs that of ours, {ours.v_word.shape}"
        )
    n = (-1,) if ours.v_word.ndim == 3 else (1,)
    measured = Measured(
        *(
            np.asarray(x, float).reshape(*x.shape[:dims], *n)
            for x, dims in (
                (theirs.v_word, 2),
                (theirs.v_bit, 2),
                (theirs.i_cell, 2),
                (theirs.i_out, 1),
            )
        )
    )
    return _array_rows(ours, measured, np.asarray(theirs.p_total, float).reshape(n), rtol)


def _tolerance(circuit: str, dtype: Any, rtol: float | None) -> float:
    return RTOL[circuit, str(dtype)] if rtol is None else rtol


def _array_rows(
    ours: Solution,
    theirs: Measured,
    power: np.ndarray | None,
    rtol: float,
    v_in: np.ndarray | None = None,
    may_differ: Measured | None = None,
) -> list[Row]:
    """Rows of one array; "largest" is over all voltages, or all currents, of an input."""
    volts = np.max(np.abs(np.stack([theirs.v_word, theirs.v_bit])), axis=(0, 1, 2))
    if v_in is not None:
        volts = np.maximum(volts, np.max(np.abs(v_in), axis=0))
    amps = np.maximum(
        np.max(np.abs(theirs.i_cell), axis=(0, 1)),
        np.maximum(
            np.max(np.abs(theirs.i_cell.sum(axis=1)), axis=0), np.max(np.abs(theirs.i_out), axis=0)
        ),
    )
    slack = may_differ or Measured(*map(np.zeros_like, theirs))
    cells, columns = ("row", "column", "input"), ("column", "input")
    rows = [
        _row(name, getattr(ours, name), getattr(theirs, name), largest, axes, rtol, allowed)
        for name, largest, axes, allowed in (
            ("v_word", volts, cells, slack.v_word),
            ("v_bit", volts, cells, slack.v_bit),
            ("i_cell", amps, cells, slack.i_cell),
            ("i_out", amps, columns, slack.i_out),
        )
    ]
    if power is not None:
        lost = volts * np.sum(slack.i_cell, axis=(0, 1))
        rows.append(_row("p_total", ours.p_total, power, np.abs(power), ("input",), rtol, lost))
    return rows


def _voltage_rows(
    prefix: str, ours: LayerVoltages, theirs: LayerVoltages, rtol: float
) -> list[Row]:
    """Rows of a layer's amplifiers and outputs.

    "Largest" is over all inputs: a ReLU layer may be silent for one, and microvolts, differences of
    nearly equal currents, are no scale.
    """
    volts = np.concatenate([np.ravel(theirs.v_tia), np.ravel(theirs.v_out)])
    rows = []
    for name in ("v_tia", "v_out"):
        a, b = np.asarray(getattr(ours, name)).T, np.asarray(getattr(theirs, name)).T
        largest = np.broadcast_to(np.max(np.abs(volts)), b.shape[1:])
        rows.append(_row(f"{prefix}{name}", a, b, largest, ("output", "input"), rtol))
    return rows


def _row(
    name: str,
    ours: Any,
    theirs: np.ndarray,
    largest: np.ndarray,
    axes: tuple[str, ...],
    rtol: float,
    slack: np.ndarray | float = 0.0,
) -> Row:
    """One compared quantity.

    Args:
        name: of the quantity.
        ours: xbar's values.
        theirs: ngspice's.
        largest: what differences are relative to, for each input.
        axes: names of the values' axes.
        rtol: tolerance.
        slack: difference that is tolerated on top of it, in the quantity's unit.
    """
    difference = np.abs(np.asarray(ours, float).reshape(theirs.shape) - theirs)
    # Where nothing flows at all, any difference is infinitely wrong.
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(difference == 0, 0, difference / largest)
        tolerated = np.broadcast_to(
            np.where(largest > 0, rtol + slack / largest, rtol), relative.shape
        )
    at = np.unravel_index(np.argmax(relative / tolerated), relative.shape)
    where = ", ".join(f"{axis} {int(k)}" for axis, k in zip(axes, at, strict=True))
    return Row(name, float(relative[at]), where, float(tolerated[at]))
