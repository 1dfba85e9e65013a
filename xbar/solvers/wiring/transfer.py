"""Transfer matrices of arrays whose lines end, break and touch in any way, drive by drive."""

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Int

from xbar.circuit import RESULTS, Bias, Crossbar
from xbar.circuit.bias import Drivers
from xbar.programs import program
from xbar.solvers.auto import Auto, first_alone
from xbar.solvers.base import DRIVES, AbstractSolver, default_rtol
from xbar.solvers.cg import CG
from xbar.solvers.derivatives import also, filled
from xbar.solvers.wiring.circuit import circuit_of
from xbar.solvers.wiring.ends import attached
from xbar.solvers.wiring.solution import (
    Capacity,
    capacity_of,
    layout_of,
    numbers_of,
    terminals,
)
from xbar.solvers.wiring.unknowns import answered, prepared


def transfer_wired(
    array: Crossbar, bias: Bias | None, solver: AbstractSolver, *, fill: bool
) -> tuple[Float[Array, "cols rows"], RESULTS]:
    """As `xbar.transfer`, with what it tells."""
    follows = bias is None or bias.word_far is None
    bias = Bias(0.0) if bias is None else bias
    far = (array.wires.source_far is not None, array.wires.sense_far is not None)
    bias.drivers(array.rows, array.cols, far=far)  # raises where the shapes do not fit
    capacity = capacity_of(array)

    def found(solver: AbstractSolver) -> tuple[Array, RESULTS]:
        return _transfer(array, bias, solver, capacity, follows, fill)

    return first_alone(found, solver, array, bias)


@program(static_argnames=("solver", "capacity", "follows", "fill"))
def _transfer(
    array: Crossbar,
    bias: Bias,
    solver: AbstractSolver,
    capacity: Capacity,
    follows: bool,
    fill: bool,
) -> tuple[Float[Array, "cols rows"], RESULTS]:
    """1 V on each line of the shorter side.

    Reciprocity: where that is a bit line, the current into the word lines' drivers is the answer.
    """
    rows, cols, dtype = array.rows, array.cols, array.dtype
    numbers, result = numbers_of(array, dtype)
    layout, fits = layout_of(array, bias, capacity)
    result = also(result, fits, RESULTS.too_many_open)
    solver = _stricter(solver, dtype)
    state = prepared(solver, numbers, layout)
    by_rows, side = rows <= cols, min(rows, cols)
    has_far = [leaf is not None for leaf in (array.wires.source_far, array.wires.sense_far)]

    def some(first: Int[Array, ""]) -> tuple[Array, Array, Array]:
        lines = first + jnp.arange(DRIVES)
        unit = (lines[:, None] == jnp.arange(side)).astype(dtype)
        word, bit = jnp.zeros((DRIVES, rows), dtype), jnp.zeros((DRIVES, cols), dtype)
        word, bit = (unit, bit) if by_rows else (word, unit)
        word_far = word if follows else jnp.zeros_like(word)
        drivers = Drivers(
            word,
            bit,
            word_far if has_far[0] else None,
            jnp.zeros_like(bit) if has_far[1] else None,
        )
        found = answered(solver, state, layout, numbers, drivers)
        circuit = circuit_of(numbers, layout)
        d = circuit.drawn(found.x.i, found.x.t)
        ends = [
            terminals(ends, attached(places, ends, circuit.shape), drawn, near, far)
            for ends, places, drawn, near, far in (
                (circuit.ends[0], layout.word, d[0], word, drivers.word_far),
                (circuit.ends[1], layout.bit, d[1], -bit, drivers.bit_far),
            )
        ]
        if by_rows:
            current = ends[1][0]
        else:
            near, far = ends[0]
            current = -near - far if follows and far is not None else -near
        return current, found.ok, found.joined

    currents, ok, joined = lax.map(some, jnp.arange(0, side, DRIVES))
    found = currents.reshape(-1, currents.shape[-1])[:side]
    found = found.T if by_rows else found
    result = also(result, ~jnp.any(joined), RESULTS.sources_joined)
    result = also(result, jnp.all(ok), RESULTS.tolerance_missed)
    return filled(found, result, fill), result


def _stricter(solver: AbstractSolver, dtype: jnp.dtype) -> AbstractSolver:
    """The largest current of a unit drive is the line's own, many times those that are wanted."""
    if dtype != jnp.float64:
        return solver
    rtol = max(0.1 * default_rtol(getattr(solver, "rtol", None), dtype), 1e-14)
    if isinstance(solver, CG):
        return CG(rtol, solver.max_steps)
    return Auto(rtol, solver.fallback) if isinstance(solver, Auto) else solver
