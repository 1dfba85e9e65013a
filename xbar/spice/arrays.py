"""Any array as a netlist, and against ngspice: plain ones, and those with any lines and bias.

`array_netlist` and `verify_array` of `xbar.spice` take whatever `xbar.solve` takes. Plain arrays
with driver voltages go to `xbar.spice.netlist` and `xbar.spice.verify`; a `Bias`, far ends, broken
and bridged lines to `xbar.spice.wiring` and `xbar.spice.verify_wired`.
"""

from typing import Any

from xbar.circuit import Bias, Crossbar
from xbar.solvers import AbstractSolver
from xbar.spice import netlist, verify
from xbar.spice.run import Program
from xbar.spice.verify_wired import verify_wired
from xbar.spice.wiring import wired_netlist


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
    if _is_plain(array, v_in):
        return netlist.array_netlist(array, v_in, title=title, faults=faults)
    if faults is not None:
        raise ValueError("faults: got some, needs None beside a bias, far ends or line faults")
    bias = v_in if isinstance(v_in, Bias) else Bias(netlist.voltages("v_in", v_in, array.rows))
    return wired_netlist(array, bias, title=title)


def verify_array(
    array: Crossbar,
    v_in: Any,
    *,
    solver: AbstractSolver | None = None,
    rtol: float | None = None,
    ngspice: Program = None,
    timeout_s: float = 600.0,
) -> verify.Report:
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
    options: dict[str, Any] = {
        "solver": solver,
        "rtol": rtol,
        "ngspice": ngspice,
        "timeout_s": timeout_s,
    }
    if _is_plain(array, v_in):
        return verify.verify_array(array, v_in, **options)
    return verify_wired(array, v_in if isinstance(v_in, Bias) else Bias(v_in), **options)


def _is_plain(array: Crossbar, v_in: Any) -> bool:
    # What is no array is refused by the plain functions.
    return not isinstance(v_in, Bias) and (not isinstance(array, Crossbar) or array.is_plain)
