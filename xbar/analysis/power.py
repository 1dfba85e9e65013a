"""Where the power of an array goes: what its drivers give is what its resistances take.

Each cell takes i u, each line segment r i^2 with the current of all cells behind it. Since node
voltages are running sums of the cell currents (`xbar.Solution`), the parts add up to what the
drivers give, `p_total`, to rounding, whatever is left of the cells' own law (Tellegen's theorem).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from xbar.checks import checked, finite_from_0
from xbar.circuit import Crossbar, Solution
from xbar.solvers.lines import BIT, WORD, running_sum


class Power(eqx.Module):
    """Power taken by every element, [W]; `n` is there where the inputs were (rows, n).

    ```python
    parts = xb.power(array, xb.solve(array, v_in))
    print(parts.cells.sum(), parts.word_lines.sum())  # watt
    ```

    Attributes:
        cells: (rows, cols) or (rows, cols, n).
        word_lines: by the segment left of each cell, same shape.
        bit_lines: by the segment below each cell, same shape.
        drivers: by each driver's output resistance, (rows,) or (rows, n).
        amplifiers: by each amplifier's input resistance, (cols,) or (cols, n).
    """

    cells: Float[Array, "rows cols *n"]
    word_lines: Float[Array, "rows cols *n"]
    bit_lines: Float[Array, "rows cols *n"]
    drivers: Float[Array, "rows *n"]
    amplifiers: Float[Array, "cols *n"]

    @property
    def parts(self) -> dict[str, Float[Array, "*n"]]:
        """Sum over each kind of element, by name, () or (n,) [W]."""
        per_cell = ("cells", "word_lines", "bit_lines")
        axes = dict.fromkeys(per_cell, (0, 1)) | {"drivers": (0,), "amplifiers": (0,)}
        return {name: jnp.sum(getattr(self, name), axis=axis) for name, axis in axes.items()}

    @property
    def total(self) -> Float[Array, "*n"]:
        """Sum of all, the power that the drivers give, () or (n,) [W]."""
        return jnp.sum(jnp.stack(list(self.parts.values())), axis=0)

    def energy(self, seconds: Any) -> Float[Array, "*n"]:
        """Energy of a read of a given duration, that of the array alone.

        Args:
            seconds: how long the inputs are held, () [s].

        Returns:
            Energy, () or (n,) [J]: without converters, amplifiers' supplies, and the charging of
            lines.

        Raises:
            ValueError: a concrete time that is negative or not finite.
        """
        t = checked("seconds", seconds, "a finite time >= 0 [s]", finite_from_0, 0)
        return self.total * t


def power(array: Crossbar, sol: Solution) -> Power:
    """Power by cells, word lines, bit lines, drivers and amplifiers' inputs.

    Under `jit` and `vmap`, differentiable through the solution.

    ```python
    sol = xb.solve(array, v_in)
    taken = xb.power(array, sol)
    taken.parts["word_lines"], taken.total, taken.energy(10e-9)
    ```

    Args:
        array: the circuit.
        sol: its solution, `xbar.solve(array, v_in)`.

    Returns:
        The `Power`; its parts add up to `sol.p_total`.

    Raises:
        TypeError: no array, or no solution.
        ValueError: a solution of another array's shape.
    """
    if not isinstance(array, Crossbar):
        raise TypeError(f"array: got {type(array).__name__}, needs xbar.Crossbar")
    if not isinstance(sol, Solution):
        raise TypeError(f"sol: got {type(sol).__name__}, needs what xbar.solve returns")
    if sol.i_cell.shape[:2] != (array.rows, array.cols):
        raise ValueError(
            f"sol: got that of a {sol.i_cell.shape[0]} x {sol.i_cell.shape[1]} array, needs "
            f"{array.rows} x {array.cols}"
        )
    return _power(array, sol)


@jax.jit
def _power(array: Crossbar, sol: Solution) -> Power:
    single = sol.i_cell.ndim == 2
    i, u = sol.i_cell, sol.v_word - sol.v_bit
    # Inputs first, as the solvers have them; one input has no axis of its own.
    i, u = (i, u) if single else (jnp.moveaxis(i, -1, 0), jnp.moveaxis(u, -1, 0))
    word, bit, source, sense = (r.astype(i.dtype) for r in array.wires.leaves.values())
    behind, above = running_sum(i, WORD, reverse=True), running_sum(i, BIT, reverse=False)
    parts = (
        i * u,
        word * behind**2,
        bit * above**2,
        source * behind[..., :, 0] ** 2,
        sense * above[..., -1, :] ** 2,
    )
    return Power(*(parts if single else (jnp.moveaxis(p, 0, -1) for p in parts)))
