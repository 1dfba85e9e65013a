"""Wires of zero resistance: every cell sees its row's input."""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool

from xbar.solvers.base import AbstractSolver, Answer, Drives, Problem, Transfer


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
