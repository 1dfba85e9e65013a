"""Arrays whose cells are not linear: linearised, or many inputs by a corrected transfer matrix.

No transfer matrix serves all inputs of such an array. Two matrix products for all inputs come
close to it. With g the cells' secant conductances at some voltage, and A the linear array's
operator:

    u_1 = A^-1 e                          cell voltages of the linear array, by superposition
    q = I(u_1) - g u_1                    what the cells carry beside their secants
    i_out ~ T v + L q                     L: output currents for unit sources parallel to each cell

L follows from reciprocity: its row o are the cell voltages with 1 V on column o in place of the
drivers. The error is of second order in q, and is measured: the inputs with the largest corrections
are solved exactly as well.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from xbar.batch import map_blocks
from xbar.cells import AbstractCell
from xbar.checks import as_real
from xbar.circuit import RESULTS, Crossbar, Wires
from xbar.programs import program
from xbar.solve import solve
from xbar.solvers import AbstractSolver
from xbar.solvers.base import reflected
from xbar.solvers.lines import product

# Of the largest input, where the secant is taken: nothing but measurements justifies it.
SECANT_AT = 0.7
# Inputs that are solved exactly to measure the error, and inputs that are corrected at a time.
CHECKED = 8
AT_ONCE = 64


class CorrectedCurrents(NamedTuple):
    """Output currents of many inputs, nearly right, and by how much.

    Args:
        i_out: output currents, (cols, n) [A].
        error: largest error of an output current among the inputs that were solved exactly too,
            relative to the largest output current of those, ().
    """

    i_out: Float[Array, "cols n"]
    error: Float[Array, ""]


def corrected_currents(
    array: Crossbar,
    v_in: Any,
    solver: AbstractSolver | None = None,
    *,
    checked: int = CHECKED,
    throw: bool = True,
) -> CorrectedCurrents:
    """Output currents of an array for many inputs at the price of a few matrix products.

    For cells that are not linear: where `solve` takes Newton's method for each input, this takes
    two linear solves with as many inputs as there are rows and columns, and products for the rest.
    Good where the law bends little over the voltages that are read; the error says how good.

    ```python
    found = xb.corrected_currents(array, images.T)   # images: (n, rows) volts
    print(f"within {found.error:.1e} of the largest current")
    ```

    Args:
        array: the circuit, its lines plain.
        v_in: driver voltages (rows, n) [V].
        solver: as for `solve`.
        checked: inputs that are solved exactly to measure the error, those whose corrections are
            largest.
        throw: as for `solve`.

    Returns:
        Currents and their measured error; differentiable (the derivatives are those of the
        approximation), works under `jit` and `vmap`.

    Raises:
        TypeError, ValueError, RuntimeError: as `solve`, or `v_in` is not (rows, n).
    """
    v_in = as_real("v_in", v_in)
    if v_in.ndim != 2 or v_in.shape[0] != array.rows:
        raise ValueError(f"v_in: got shape {v_in.shape}, needs (rows, n) with rows = {array.rows}")
    if not array.is_plain:
        raise ValueError(
            "array: got drivers at far ends, or line faults, which corrections do not treat; "
            "needs an array without them, or xbar.solve"
        )
    law = array.cells
    g = secant(law, SECANT_AT * jnp.max(jnp.abs(v_in)))
    i_out, size = _corrected(law, g, *_fields(Crossbar(g, array.wires), solver, throw), v_in.T)
    # Ties and derivatives do not matter here: which inputs are looked at, not what they give.
    _, chosen = lax.top_k(lax.stop_gradient(size), min(checked, len(size)))
    exact = solve(array, v_in[:, chosen], solver, throw=throw).i_out
    off, largest = jnp.max(jnp.abs(exact - i_out[:, chosen])), jnp.max(jnp.abs(exact))
    error = jnp.where(off == 0, 0, off / jnp.where(largest == 0, 1, largest))
    return CorrectedCurrents(i_out, lax.stop_gradient(error))


def secant(law: AbstractCell, v: Float[Array, ""]) -> Float[Array, "rows cols"]:
    """Conductances that carry a law's current at one voltage; at 0 V its slopes [S]."""
    u = jnp.full(law.shape, v)
    some = jnp.where(v == 0, 1, v)
    return jnp.where(v == 0, law.slope(jnp.zeros_like(u)), law.current(u) / some)


def _fields(linear: Crossbar, solver: AbstractSolver | None, throw: bool) -> tuple[Array, Array]:
    """Cell voltages for 1 V on each row, and for 1 V on each column, (lines, rows * cols)."""
    wires = linear.wires
    turned = Crossbar(
        reflected(linear.g),
        Wires(
            *(reflected(r) for r in (wires.bit_line, wires.word_line, wires.sense, wires.source))
        ),
    )

    def cell_voltages(array: Crossbar) -> Array:
        found = solve(array, jnp.eye(array.rows, dtype=array.dtype), solver, throw=throw)
        return jnp.moveaxis(found.v_word - found.v_bit, -1, 0)

    rows = cell_voltages(linear)
    columns = jnp.asarray(reflected(cell_voltages(turned)))[::-1]
    return rows.reshape(linear.rows, -1), columns.reshape(linear.cols, -1)


@program()
def _corrected(law: AbstractCell, g: Array, rows: Array, columns: Array, v: Array) -> Any:
    """Output currents (cols, n), and the largest correction of each input."""

    def one_block(v: Array) -> tuple[Array, Array]:
        u = product(v, rows)
        cells = u.reshape(-1, *g.shape)
        q = jnp.reshape(law.current(cells) - g * cells, u.shape)
        more = product(q, columns.T)
        return product(v, t) + more, jnp.max(jnp.abs(more), axis=-1)

    t = jnp.sum(g * rows.reshape(-1, *g.shape), axis=-2)
    i_out, size = map_blocks(one_block, v, size=AT_ONCE)
    return i_out.T, size


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
