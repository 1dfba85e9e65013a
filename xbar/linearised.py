"""Arrays whose cells are not linear, seen from one operating point or one conductance."""

from typing import Any

import jax.numpy as jnp

from xbar.checks import as_real
from xbar.circuit import RESULTS, Crossbar
from xbar.solve import solve
from xbar.solvers import AbstractSolver


def linearise(
    array: Crossbar, v_in: Any, solver: AbstractSolver | None = None, *, throw: bool = True
) -> Crossbar:
    """The ohmic array that stands for an array near one operating point.

    Its conductances are the slopes of the cells' law at the voltages that `v_in` brings about, so
    that its transfer matrix T gives small changes, ``d i_out = T @ d v_in``.

    ```python
    curved = xb.Crossbar(xb.cells.Sinh(g, v_0=0.25), wires)
    t = xb.transfer(xb.linearise(curved, v_in))  # small signals about this input
    ```

    Args:
        array: the circuit.
        v_in: driver voltages (rows,) [V].
        solver: as for `solve`.
        throw: as for `solve`; without it the conductances of an operating point that was not found
            are NaN.

    Returns:
        An array of the same wires; differentiable, works under `jit` and `vmap`.

    Raises:
        TypeError, ValueError, RuntimeError: as `solve`.
    """
    v_in = as_real("v_in", v_in)
    if v_in.ndim != 1:
        raise ValueError(
            f"v_in: got shape {v_in.shape}, needs (rows,); linearise at many inputs with jax.vmap"
        )
    found = solve(array, v_in, solver, throw=throw)
    ok = found.result == RESULTS.successful
    g = array.cells.slope(found.v_word - found.v_bit)
    return Crossbar(g * jnp.where(ok, 1, jnp.nan).astype(g.dtype), array.wires)
