"""What solving an array returns."""

import equinox as eqx
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int


class RESULTS(eqx.Enumeration):
    """How a solve ended; each member's text is the sentence that an error shows.

    ```python
    sol = xb.solve(array, v_in, throw=False)
    if sol.result != xb.RESULTS.successful:
        print(xb.RESULTS[sol.result])
    ```
    """

    successful = "Currents and node voltages are within the solver's tolerance."
    invalid_conductance = "Conductances must be finite and >= 0 [S]."
    invalid_wires = "Wire resistances must be finite and >= 0 [ohm]."
    invalid_input = "Input voltages must be finite [V]."
    invalid_bridges = (
        "Bridges' resistances must be finite and >= 0 [ohm], their nodes in the array."
    )
    sources_joined = (
        "Two drivers of different voltage are joined by 0 ohm: no finite current does that."
    )
    too_many_open = (
        "line_faults: more segments are broken than there is room for; set LineFaults.max_open."
    )
    floating = (
        "A part of the circuit has no connection to any driver: its node voltages are undefined "
        "(NaN), all currents are right."
    )
    wires_not_zero = "solver: Ideal() needs every wire at 0 ohm, got wires with resistance."
    tolerance_missed = (
        "solver: currents or node voltages missed their tolerance; float64, xbar.ColumnSweep() or "
        "a larger rtol may help."
    )
    invalid_cells = "The parameters of the cells' law are not what they need to be."
    cells_out_of_range = (
        "Crossbar.cells: a cell's voltage is where its law does not hold, or does not increase on "
        "the way there from 0 V; needs another law, or smaller inputs."
    )


class Terminals(eqx.Module):
    """Currents out of the drivers that a plain array does not have, or does not ask about [A].

    Attributes:
        word: out of the word lines' near drivers (rows,) or (rows, n).
        word_far: out of those at their far ends, the same; None where there are none.
        bit_far: out of the drivers at the bit lines' far (top) ends (cols,) or (cols, n); None
            where there are none.
        bridge: through each bridge, from its node a to its node b, (bridges,) or (bridges, n); None
            where there are none.
    """

    word: Float[Array, "rows *n"]
    word_far: Float[Array, "rows *n"] | None
    bit_far: Float[Array, "cols *n"] | None
    bridge: Float[Array, "bridges *n"] | None = None


class Solution(eqx.Module):
    """Node voltages and currents of one array; `n` is there where the inputs were (rows, n).

    ```python
    sol = xb.solve(array, v_in)
    print(sol.i_out, sol.p_total, sol.result == xb.RESULTS.successful)
    ```

    Attributes:
        i_out: current of each column into its amplifier's virtual ground (cols,) or (cols, n) [A].
        v_word: word-line node voltages (rows, cols) or (rows, cols, n) [V].
        v_bit: bit-line node voltages, same shape [V].
        i_cell: cell currents from word line to bit line, same shape [A].
        p_total: power taken from the drivers, all ends counted, () or (n,) [W].
        result: `RESULTS.successful`, or why the numbers are not to be trusted.
        kcl_residual: largest ``|g (v_word - v_bit) - i_cell|`` relative to the largest cell
            current, the worst of the n inputs. A diagnostic, of which `result` takes no notice: it
            tells how many digits a cell's current keeps when it is formed anew from its two rounded
            node voltages. Where wires dominate (g of 1 S behind 1 Mohm) that is few, however right
            currents and voltages are.
        steps: iterations that the solver took for each input, () or (n,); 0 for direct methods.
        inner_steps: where the cells are not linear, iterations of the linear solver in all of
            Newton's steps together, () or (n,); None where they are.
        terminals: currents of other drivers than the amplifiers, where they are not sums over
            cells; `i_word`, `i_word_far` and `i_bit_far` show them.

    With a bridge between a word and a bit line `i_out` is not the sum of its column's cells: it is
    what flows into the amplifier. Where a part of the circuit has no connection to any driver,
    `result` is `RESULTS.floating`: its voltages are NaN, all else is right.
    """

    i_out: Float[Array, "cols *n"]
    v_word: Float[Array, "rows cols *n"]
    v_bit: Float[Array, "rows cols *n"]
    i_cell: Float[Array, "rows cols *n"]
    p_total: Float[Array, "*n"]
    result: RESULTS
    kcl_residual: Float[Array, ""]
    steps: Int[Array, "*n"]
    inner_steps: Int[Array, "*n"] | None = None
    terminals: Terminals | None = None

    @property
    def i_word(self) -> Float[Array, "rows *n"]:
        """Current out of each word line's near driver (rows,) or (rows, n) [A]."""
        return jnp.sum(self.i_cell, axis=1) if self.terminals is None else self.terminals.word

    @property
    def i_word_far(self) -> Float[Array, "rows *n"] | None:
        """Current out of each word line's far driver [A]; None where there are none."""
        return None if self.terminals is None else self.terminals.word_far

    @property
    def i_bit_far(self) -> Float[Array, "cols *n"] | None:
        """Current out of each bit line's far driver [A]; None where there are none."""
        return None if self.terminals is None else self.terminals.bit_far
