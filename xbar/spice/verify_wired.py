"""xbar against ngspice for arrays with any ends, broken and bridged lines, under any bias."""

from typing import Any

import numpy as np

from xbar.circuit import Bias, Crossbar
from xbar.solve import solve
from xbar.solvers import AbstractSolver
from xbar.spice.rounding import rounding_of_any_ends
from xbar.spice.run import Program
from xbar.spice.verify import RTOL, Report, row_of
from xbar.spice.wiring import measure_wired


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
    tolerance = RTOL["array", str(ours.i_out.dtype)] if rtol is None else rtol
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
        rows.append(row_of(name, mine, np.nan_to_num(right), volts, node, tolerance, lost_volts))
    i_cell = ours.i_cell, theirs.i_cell
    rows.append(row_of("i_cell", *i_cell, amps, node, tolerance, lost_amps))
    for name, right in theirs.ends.items():
        mine: Any = getattr(ours, name)
        if mine is not None:
            rows.append(row_of(name, mine, right, amps, line, tolerance, lost_amps))
    power, lost = np.maximum(np.abs(theirs.p_total), amps * volts), lost_amps * volts
    p_total = ours.p_total, theirs.p_total
    rows.append(row_of("p_total", *p_total, power, ("input",), tolerance, lost))
    return Report(rows, theirs.version)
