"""The recurrence of conjugate gradients for one array: steps from a residual to a smaller one.

In the inner product ``<a, b> = sum(g a b)``, in which ``A = I + drop . g`` is self-adjoint
(`xbar.solvers.cg`), of some inputs side by side.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float, Int

from xbar.solvers.base import Drives, Problem, Voltages
from xbar.solvers.modes import Modes

# `foresee` looks after so many steps of a pass whether those that are left would do if each gave so
# much less: severe drop took two to five times what the first promised (benchmarks/log.md).
LOOK = 50
SLOWER = 3.75
# In float64 a product by itself takes XLA's CPU code five times as long as one under a mask. The
# masked one is made anew for each use, which costs more where memory takes the time: from 512x512
# on (benchmarks/log.md).
MASKED_CELLS = 2**17


class Limits(NamedTuple):
    """How the recurrence is done, and when it gives up."""

    steps: int
    foresee: bool
    fused: bool


def size_of(volts: Drives) -> Float[Array, "n 1 1"]:
    """What brings small voltages clear of underflow: the largest of each input, or 1."""
    size = jnp.max(jnp.abs(volts), axis=(-2, -1), keepdims=True)
    return jnp.where(size == 0, 1, size)


def ratio(a: Float[Array, " n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
    """``a / b``; `a` where b is 0."""
    return a / jnp.where(b == 0, 1, b)


class Run(NamedTuple):
    """A residual on its way down, and the change of the voltages that does it."""

    change: Voltages
    residual: Voltages
    direction: Voltages
    squared: Float[Array, " n"]  # <residual, residual>
    energy: Float[Array, " n"]  # <residual, P residual> of the step before; 0 for none
    active: Bool[Array, " n"]
    steps: Int[Array, " n"]


def iterated(
    problem: Problem, modes: Modes | None, start: Run, target: Float[Array, " n"], limits: Limits
) -> Run:
    """The recurrence, for each drive until its squared residual is down to the target."""
    g = problem.g
    # The squared residual on a straight way, in logarithms, from the first to the target, of the
    # slowest inputs that are expected to do with the steps.
    first = jnp.where(start.squared == 0, 1, start.squared)
    promised = LOOK + max(limits.steps - LOOK, 0) / SLOWER
    on_time = first * (target / first) ** (LOOK / promised)

    masked = g.dtype == jnp.float64 and g.size <= MASKED_CELLS

    def worth(run: Run, squared: Array) -> Array | bool:
        late = (run.steps - start.steps == LOOK - 1) & (squared > on_time)
        return not limits.foresee or ~late

    def step(run: Run) -> Run:
        active = run.active[:, None, None]

        def currents(volts: Voltages) -> Voltages:
            i_cell = g * volts
            return jnp.where(active, i_cell, 0) if masked else i_cell

        preconditioned, energy = run.residual, run.squared
        if modes is not None:
            current = currents(run.residual)
            preconditioned = modes(run.residual, current)
            energy = jnp.sum(current * preconditioned, axis=(-2, -1))
        turn = jnp.where(run.energy == 0, 1, ratio(energy, run.energy))
        direction = preconditioned + turn[:, None, None] * run.direction
        # An input that is done waits with its last direction, from which another pass goes on.
        direction = jnp.where(active, direction, run.direction)
        i_cell = currents(direction)
        image = direction + problem.drop(i_cell)
        curvature = jnp.sum(i_cell * image, axis=(-2, -1))
        length = jnp.where(run.active, ratio(energy, curvature), 0)
        residual = run.residual - length[:, None, None] * image
        squared = jnp.sum(g * residual**2, axis=(-2, -1))
        return Run(
            change=run.change + length[:, None, None] * direction,
            residual=residual,
            direction=direction,
            squared=squared,
            energy=jnp.where(run.active, energy, run.energy),
            active=run.active & (squared > target) & worth(run, squared),
            steps=run.steps + run.active,
        )

    def unfinished(run: Run) -> Bool[Array, ""]:
        return jnp.any(run.active) & (jnp.max(run.steps) < limits.steps)

    def loop() -> Run:
        return lax.while_loop(unfinished, step, start)

    if not limits.fused:
        return loop()
    from xbar.solvers.kernel import Stops, fused  # here, as few ask for it

    look = LOOK if limits.foresee else None
    return fused(problem, start, target, on_time, Stops(limits.steps, look), loop)
