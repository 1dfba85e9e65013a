"""One sweep over the columns of an array: how its cells answer inputs, and each other.

The array is eliminated from its open end as in `xbar.solvers.elimination` (same symbols: `X_j`
what arrives in front of the segments left of column j, `D_j` those segments), and walked back from
the source. For 1 V on each row, and for 1 A drawn from each word-line node of column j itself,

    w_j = X_j^T w_{j-1}                    voltages of the word-line nodes, w_{-1} = 1
    Z_j = X_j^T Z_{j-1} X_j + D_j X_j      impedance of the word-line nodes, Z_{-1} = 0

where Z_j has the whole array in it: on the left through column j - 1, on the right and column j
itself through X_j. A bit line by itself, its word-line nodes held at w, with a current q past each
cell (a parallel source), has the cell voltages ``C w - N q``, and draws ``C^T q`` more from the
nodes; `N` is the impedance between its own nodes (`xbar.solvers.bit_line`, where it is called K).
So in the array

    u_j = C_j w_j                          cell voltages for 1 V on each row
    K_jj = N_j + C_j Z_j C_j^T             cell voltages for 1 A past each cell of the same column

`K = (I + drop . g)^-1 drop` is what a change of conductances needs (`xbar.sensitivity.response`).
Impedances only add, so nothing cancels, whatever the drop, and zeros are ordinary values.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from xbar.solvers.admittance import Passage
from xbar.solvers.base import Problem, default_rtol
from xbar.solvers.bit_line import Alone, Columns, alone
from xbar.solvers.elimination import eliminated
from xbar.solvers.lines import product

Squares = Float[Array, "cols rows rows"]

# Share of the tolerance that the errors of all columns' admittances may take together. In float64
# a ten-thousandth costs next to nothing (the iteration squares its error) and leaves the updates
# digits to lose; float32 has none to spare.
ADMITTANCE_SHARE = {"float64": 1e-4, "float32": 1e-2}


class Swept(NamedTuple):
    """Per column, from the driven end."""

    lines: Alone  # its bit line by itself
    admittance: Squares  # diag(g) C: cell currents [A] per volt on each word-line node
    out: Float[Array, "cols rows"]  # output current [A] per volt on each word-line node
    passage: Passage  # X_j
    segment: Float[Array, "cols rows"]  # diagonal of D_j


class Walked(NamedTuple):
    """Per column: how its cells answer."""

    u: Squares  # cell voltages for 1 V on each row (cols, rows, inputs) [V]
    out: Float[Array, "cols rows"]  # output current for 1 V on each row [A]
    k: Squares  # coupling of the column's cells [ohm]
    voltage: Squares  # C_j Z_j: cell voltages for 1 A drawn from each node of the column [V]


def sweep(problem: Problem) -> Swept:
    """Eliminate the array column by column, from the open end to the source."""
    dtype = problem.g.dtype
    word, bit = problem.segments()
    lines = alone(problem.g.T, bit.T)
    admittance, out = problem.g.T[:, :, None] * lines.voltage, problem.g.T * lines.reach
    share = ADMITTANCE_SHARE[dtype.name]
    passage, _ = eliminated(Columns(admittance, out), word.T, share * default_rtol(None, dtype))
    return Swept(lines, admittance, out, passage, word.T)


def walk(swept: Swept) -> Walked:
    """Walk the columns from the driven end on."""
    rows, dtype = swept.segment.shape[1], swept.segment.dtype
    unit = jnp.eye(rows, dtype=dtype)

    def step(before: tuple[Array, Array], inputs: Swept) -> tuple:
        word, impedance = before
        lines, _, out, passage, segment = inputs
        word = passage.backwards(word)
        through = passage.kept * unit + passage.change.T
        around = passage.backwards(passage.backwards(impedance).T)
        impedance = around + segment[:, None] * through
        impedance = (impedance + impedance.T) / 2  # symmetric but for rounding
        voltage = product(lines.voltage, impedance)
        k = lines.impedance + product(voltage, lines.voltage.T)
        u = product(lines.voltage, word)
        return (word, impedance), Walked(u, product(out, word), k, voltage)

    start = unit, jnp.zeros((rows, rows), dtype)
    return lax.scan(step, start, swept)[1]
