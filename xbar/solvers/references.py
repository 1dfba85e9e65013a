"""The references: wires of zero resistance, and Kirchhoff's laws by one dense factorization.

Of Kirchhoff's two laws, written out for the nodes of one small array, the unknowns are the node
voltages `W` (word lines) and `B` (bit lines), not the cell voltages of the other solvers. A cell's
current is ``i = g (W - B + s)`` with `s` a source in series (the drive of the cell). A segment's
current is the sum of the cell currents behind it (Kirchhoff's current law), and ``v_a - v_b - r i =
0`` holds for every segment (Ohm's and the voltage law), so a segment of zero resistance needs no
special case:

    W[i,j-1] - W[i,j] - word_line[i,j] sum_{j'>=j} i[i,j'] = 0    W[i,-1] = -source[i] sum i[i,:]
    B[i,j] - B[i+1,j] - bit_line[i,j] sum_{i'<=i} i[i',j] = 0     B[rows,j] = sense[j] sum i[:,j]

One dense LU factorization with partial pivoting solves the 2 rows cols equations, followed by two
steps of iterative refinement.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
from jax import Array, lax
from jaxtyping import Bool, Float

from xbar.solvers.base import (
    AbstractSolver,
    Answer,
    Drives,
    Problem,
    Transfer,
    check_rtol,
    default_rtol,
    relative_change,
    transfer_by_cells,
)


class Ideal(AbstractSolver):
    """No wire resistance: ``u = e``, so ``T = g.T``; refuses arrays whose wires are not zero.

    ```python
    without_wires = xb.solve(xb.Crossbar(g), v_in, solver=xb.Ideal())
    ```
    """

    def factor(self, problem: Problem) -> None:
        """Nothing to prepare."""

    def cell_voltages(self, state: None, problem: Problem, e: Drives) -> Answer:
        """The cell voltages are the drives themselves."""
        n = len(e)
        none = jnp.zeros((n, *problem.g.shape), e.dtype)
        return Answer(e + none, none, none, ok=jnp.ones(n, bool), steps=jnp.zeros(n, int))

    def transfer(self, problem: Problem) -> tuple[Transfer, Bool[Array, ""]]:
        """The conductances themselves."""
        return problem.g.T, jnp.asarray(True)

    def accepts(self, problem: Problem) -> Bool[Array, ""]:
        """True where every wire is at exactly 0 ohm."""
        zero = [jnp.all(leaf == 0) for leaf in problem.wires.leaves.values()]
        return jnp.all(jnp.stack(zero))


# 64x64: a matrix of 8192 x 8192, 0.5 GiB in float64.
MAX_CELLS = 4096
REFINEMENTS = 2


class _Factors(NamedTuple):
    lu: Float[Array, "nodes nodes"]
    pivots: Array
    scale: Float[Array, " nodes"]  # of the equations, so that ohms and volts pivot fairly


class Dense(AbstractSolver):
    """Dense LU on the node voltages; for arrays of up to 4,096 cells, slow but plain.

    ```python
    reference = xb.solve(array, v_in, solver=xb.Dense())
    ```

    Args:
        rtol: what the last refinement may still change, relative to the largest current and to the
            largest drive; None means 1e-10 in float64 and 1e-5 in float32.

    Raises:
        ValueError: an option out of range, or (when solving) an array with more cells.
    """

    rtol: float | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        check_rtol("Dense", self.rtol)

    def factor(self, problem: Problem) -> _Factors:
        """LU factors of the node equations; the matrix is their Jacobian."""
        rows, cols = problem.g.shape
        if rows * cols > MAX_CELLS:
            raise ValueError(
                f"solver: Dense() got a {rows}x{cols} array, "
                f"needs at most {MAX_CELLS} cells; use the default solver"
            )
        unit = jnp.eye(2 * rows * cols, dtype=problem.g.dtype)
        silent = jnp.zeros((rows, cols), problem.g.dtype)
        matrix = jax.vmap(lambda nodes: _laws(problem, nodes, silent))(unit).T
        scale = 1 / jnp.max(jnp.abs(matrix), axis=1)
        lu, pivots = jsl.lu_factor(scale[:, None] * matrix)
        return _Factors(lu, pivots, scale)

    def cell_voltages(self, state: _Factors, problem: Problem, e: Drives) -> Answer:
        """Solve for the node voltages of each drive, refine, and take `W - B + e`."""
        e = jnp.broadcast_to(e, (len(e), *problem.g.shape))
        laws = jax.vmap(lambda nodes, s: _laws(problem, nodes, s))

        def improve(_: Any, carry: tuple[Array, Array]) -> tuple[Array, Array]:
            nodes, _ = carry
            left = state.scale * laws(nodes, e)
            change = -jsl.lu_solve((state.lu, state.pivots), left.T).T
            return nodes + change, change

        # From zero, the first pass is the solve itself. A loop, so that it is compiled once.
        nothing = jnp.zeros((e.shape[0], state.scale.size), e.dtype)
        nodes, change = lax.fori_loop(0, 1 + REFINEMENTS, improve, (nothing, nothing))
        word, bit = _split(nodes, e)
        u = word - bit + e
        d_word, d_bit = _split(change, e)
        rtol = default_rtol(self.rtol, e.dtype)
        moved = jnp.max(jnp.abs(change), axis=1) <= rtol * jnp.max(jnp.abs(e), axis=(1, 2))
        ok = moved & (relative_change(problem.g, u, d_word - d_bit) <= rtol)
        return Answer(u, -word, bit, ok, steps=jnp.zeros(e.shape[0], int))

    def transfer(self, problem: Problem) -> tuple[Transfer, Bool[Array, ""]]:
        """Solve for every unit drive."""
        return transfer_by_cells(self, problem)


def _split(nodes: Float[Array, "*n nodes"], like: Array) -> tuple[Array, Array]:
    """Word-line and bit-line node voltages out of the vector of unknowns."""
    word, bit = jnp.split(nodes, 2, axis=-1)
    return word.reshape(like.shape), bit.reshape(like.shape)


def _laws(
    problem: Problem, nodes: Float[Array, " nodes"], s: Float[Array, "rows cols"]
) -> Float[Array, " nodes"]:
    """Left-hand sides of the node equations above, in volts; zero at the solution."""
    word, bit = _split(nodes, s)
    wires = problem.wires
    i_cell = problem.g * (word - bit + s)
    behind = jnp.cumsum(i_cell[:, ::-1], axis=1)[:, ::-1]
    above = jnp.cumsum(i_cell, axis=0)
    driver = -(wires.source * behind[:, 0])[:, None]
    ground = (wires.sense * above[-1])[None, :]
    along_word = jnp.concatenate([driver, word[:, :-1]], axis=1) - word - wires.word_line * behind
    along_bit = bit - jnp.concatenate([bit[1:], ground], axis=0) - wires.bit_line * above
    return jnp.concatenate([along_word.ravel(), along_bit.ravel()]).astype(s.dtype)
