"""K between any two cells of an array, for sets of cells that change together.

Between columns k < j, with the symbols of `xbar.sensitivity.sweep`: 1 A past a cell of column j
draws ``C_j^T`` from the word-line nodes there, ``X_{k+1} ... X_j C_j^T`` arrives at column k, and
lowers the voltages of its cells by

    K_kj = C_k Z_k X_{k+1} ... X_j C_j^T

The other half follows by symmetry.
"""

from typing import final

import equinox as eqx
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Int

from xbar.circuit import RESULTS, Crossbar
from xbar.nn import Layer
from xbar.programs import program
from xbar.sensitivity.arrays import crossbars_of
from xbar.sensitivity.sweep import Swept, Walked, sweep, walk
from xbar.solve import legal_problem
from xbar.solvers.lines import product

# Bytes that K of all cells may take: arrays of up to 11,500 cells in float64.
MAX_BYTES = 2**30


@final
class Coupling(eqx.Module):
    """K of a whole array, the half that was computed; of tiles with their number as first axis.

    Args:
        half: voltage that cell (i, k) loses for 1 A past cell (m, j), where k <= j,
            (cols, rows, cols, rows) indexed by k, i, j, m [ohm]; 0 where k > j.
    """

    half: Float[Array, "*arrays cols rows cols rows"]

    def among(
        self, cells: Int[Array, "*sets k 2"], number: Int[Array, "*sets k"] | None = None
    ) -> Float[Array, "*sets k k"]:
        """K between the cells of each set, (..., k, k) [ohm].

        Args:
            cells: row and column of each in its array.
            number: of that array, where there are several.
        """
        row, col = cells[..., 0], cells[..., 1]
        i, m, k, j = row[..., :, None], row[..., None, :], col[..., :, None], col[..., None, :]
        left = k <= j
        at = [jnp.where(left, a, b) for a, b in ((k, j), (i, m), (j, k), (m, i))]
        if number is None:
            return self.half[tuple(at)]
        own = number[..., :, None]
        return jnp.where(own == number[..., None, :], self.half[(own, *at)], 0)


def coupling(array: Crossbar) -> Coupling:
    """K between all cells of an array; NaN where a value of the array is not legal.

    Costs about as much as 50 transfer matrices of 65x100 cells, and (rows cols)^2 numbers.

    Args:
        array: the circuit.

    Returns:
        The `Coupling`.

    Raises:
        ValueError: more cells than `MAX_BYTES` have room for.
    """
    room = int((MAX_BYTES / array.dtype.itemsize) ** 0.5)
    if array.g.size > room:
        raise ValueError(
            f"array: got {array.rows}x{array.cols} cells, needs at most {room} for the coupling of "
            "all of them"
        )
    return _coupling(array)


def coupling_in(layer: Layer) -> Coupling:
    """K between all cells of each array of a layer, with the arrays as first axis.

    Args:
        layer: of linear cells.

    Raises:
        ValueError: as `coupling`.
    """
    each = [coupling(array).half for array in crossbars_of(layer)]
    return Coupling(jnp.stack(each))


@program()
def _coupling(array: Crossbar) -> Coupling:
    problem, result = legal_problem(array, array.dtype)
    swept = sweep(problem)
    half = _half(swept, walk(swept))
    return Coupling(jnp.where(result == RESULTS.successful, half, jnp.nan))


def _half(swept: Swept, walked: Walked) -> Float[Array, "cols rows cols rows"]:
    """From the last column to the first: what sources in the columns behind draw here."""
    cols, rows = swept.segment.shape
    dtype = swept.segment.dtype

    def step(drawn: Array, inputs: tuple) -> tuple:
        # drawn: from the nodes of this column (rows, source column, source cell)
        number, passage, voltage, seen = inputs
        k = jnp.tensordot(seen.voltage, drawn, 1).at[:, number].set(seen.k)
        drawn = drawn.at[:, number].set(voltage.T)
        ahead = product(passage.T, drawn.reshape(rows, -1)).reshape(drawn.shape)
        return ahead, k

    nothing = jnp.zeros((rows, cols, rows), dtype)
    inputs = jnp.arange(cols), swept.passage, swept.voltage, walked
    return lax.scan(step, nothing, inputs, reverse=True)[1]
