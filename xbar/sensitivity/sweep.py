"""One sweep over the columns of an array: how its cells answer inputs, and each other.

The array is eliminated from its open end as in `xbar.solvers.sweep.elimination` (same symbols:
`P_j` the node voltages of column j for 1 V in front of each of the segments left of it, `D_j` those
segments), and walked back from the source. For 1 V on each row, and for 1 A drawn from each
word-line node of column j itself,

    w_j = P_j w_{j-1}                      voltages of the word-line nodes, w_{-1} = 1
    Z_j = P_j Z_{j-1} P_j^T + D_j P_j^T    impedance of the word-line nodes, Z_{-1} = 0

where Z_j has the whole array in it: on the left through column j - 1, on the right and column j
itself through P_j. A bit line by itself, its word-line nodes held at w, with a current q past each
cell (a parallel source), has the cell voltages ``C w - N q``, and draws ``C^T q`` more from the
nodes; `N` is the impedance between its own nodes (called K there). So in the array

    u_j = C_j w_j                          cell voltages for 1 V on each row
    K_jj = N_j + C_j Z_j C_j^T             cell voltages for 1 A past each cell of the same column

`K = (I + drop . g)^-1 drop` is what a change of conductances needs (`xbar.sensitivity.response`).
Impedances only add, so nothing cancels, whatever the drop, and zeros are ordinary values.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from xbar.solvers.base import Problem
from xbar.solvers.lines import product
from xbar.solvers.sweep.elimination import columns_of, mutual_impedance, nothing, passages

Squares = Float[Array, "cols rows rows"]


class Swept(NamedTuple):
    """Per column, from the driven end."""

    voltage: Squares  # C of its bit line by itself: cell voltages per volt on each word-line node
    impedance: Squares  # N of its bit line by itself [ohm]
    admittance: Squares  # diag(g) C: cell currents [A] per volt on each word-line node
    out: Float[Array, "cols rows"]  # output current [A] per volt on each word-line node
    passage: Squares  # P_j
    segment: Float[Array, "cols rows"]  # diagonal of D_j


class Walked(NamedTuple):
    """Per column: how its cells answer."""

    u: Squares  # cell voltages for 1 V on each row (cols, rows, inputs) [V]
    out: Float[Array, "cols rows"]  # output current for 1 V on each row [A]
    k: Squares  # coupling of the column's cells [ohm]
    voltage: Squares  # C_j Z_j: cell voltages for 1 A drawn from each node of the column [V]


def sweep(problem: Problem) -> Swept:
    """Eliminate the array column by column, from the open end to the source."""
    columns, rows = columns_of(problem), problem.g.shape[0]
    line, mutual = columns.line, mutual_impedance(columns.line)
    # What these passages find is not refined, but no digits are subtracted away.
    passage, _ = passages(columns, mutual, nothing(rows, problem.g.dtype), 1.0)
    unit = jnp.eye(rows, dtype=problem.g.dtype)
    voltage = unit * line.own[:, None] - mutual * line.g[:, None, :]
    impedance = mutual + unit * line.node[:, None]
    admittance = line.g[:, :, None] * voltage
    return Swept(voltage, impedance, admittance, line.out, passage.high, columns.segment)


def walk(swept: Swept) -> Walked:
    """Walk the columns from the driven end on."""
    rows, dtype = swept.segment.shape[1], swept.segment.dtype

    def step(before: tuple[Array, Array], inputs: Swept) -> tuple:
        word, impedance = before
        c, alone, _, out, passage, segment = inputs
        word = product(passage, word)
        around = product(product(passage, impedance), passage.T)
        impedance = around + segment[:, None] * passage.T
        impedance = (impedance + impedance.T) / 2  # symmetric but for rounding
        voltage = product(c, impedance)
        k = alone + product(voltage, c.T)
        u = product(c, word)
        return (word, impedance), Walked(u, product(out, word), k, voltage)

    start = jnp.eye(rows, dtype=dtype), jnp.zeros((rows, rows), dtype)
    return lax.scan(step, start, swept)[1]
