"""Which method solves the equations of a circuit of any wiring, for which solver.

`CG` and the first try of `Auto` are conjugate gradients on the reduced system; `Dense` is the
tableau; any other solver, and the second try of `Auto`, is a change of low rank on top of a solver
for plain arrays.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from xbar.solvers.auto import Auto
from xbar.solvers.base import AbstractSolver, default_rtol
from xbar.solvers.batching import per_array, repaired
from xbar.solvers.cg import CG
from xbar.solvers.dense import Dense
from xbar.solvers.ideal import Ideal
from xbar.solvers.sweep.solver import ColumnSweep
from xbar.solvers.wiring import direct
from xbar.solvers.wiring.circuit import Circuit, Unknown
from xbar.solvers.wiring.projected import Improve, WiredAnswer, by_gradients, refined
from xbar.solvers.wiring.reduced import Reduced, reduced
from xbar.solvers.wiring.tableau import Tableau, by_tableau, tableau_of


class State(NamedTuple):
    """What all inputs share: the reduction, and a direct method's factors."""

    known: Reduced
    factors: Tableau | direct.Update | None


def check(solver: AbstractSolver, circuit: Circuit) -> None:
    """Raise where a solver does not treat this kind of circuit."""
    if isinstance(solver, Ideal):
        raise ValueError(
            "solver: Ideal() got far ends, floating or broken lines or bridges, needs lines that "
            "are whole and driven at their near ends; use the default solver"
        )
    if _is_direct(solver) and not direct.fits(circuit):
        rows, cols = circuit.shape
        raise ValueError(
            f"solver: {type(solver).__name__} got {direct.changes(circuit)} far ends, gaps and "
            f"bridges of a {rows}x{cols} array, needs fewer; use the default solver"
        )


def factor(solver: AbstractSolver, circuit: Circuit) -> State:
    """Work on the circuit that all inputs share."""
    check(solver, circuit)

    def factored(circuit: Circuit) -> State:
        known = reduced(circuit)
        if isinstance(solver, Dense):
            return State(known, tableau_of(circuit, known))
        if _is_direct(solver):
            return State(known, direct.update_of(solver, circuit, known))
        return State(known, None)

    return per_array(factored)(circuit)


def answer(
    solver: AbstractSolver,
    state: State,
    circuit: Circuit,
    sources: Unknown,
    rtol: float | Array | None = None,
) -> WiredAnswer:
    """The unknowns for n sources; to `rtol` if it is given, else to the solver's."""
    own = getattr(solver, "rtol", None)
    rtol = jnp.asarray(default_rtol(own, circuit.g.dtype) if rtol is None else rtol)

    def solved(circuit: Circuit, state: State, sources: Unknown, rtol: Any) -> WiredAnswer:
        return _scaled(circuit, state.known, sources, rtol, _method(solver, circuit, state, rtol))

    found = per_array(solved)(circuit, state, sources, rtol)
    if not (isinstance(solver, Auto) and solver.fallback) or not direct.fits(circuit):
        return found
    second = ColumnSweep(solver.rtol)

    def directly(circuit: Circuit, state: State, sources: Unknown, rtol: Any) -> WiredAnswer:
        update = direct.update_of(second, circuit, state.known)
        improve = direct.by_update(second, circuit, update)
        return _scaled(circuit, state.known, sources, rtol, improve)

    return repaired(jnp.all(found.ok), found, directly, circuit, state, sources, rtol)


def _is_direct(solver: AbstractSolver) -> bool:
    return not isinstance(solver, CG | Auto | Dense)


def _method(solver: AbstractSolver, circuit: Circuit, state: State, rtol: Any) -> Improve:
    if isinstance(state.factors, Tableau):
        return by_tableau(circuit, state.known, state.factors)
    if isinstance(state.factors, direct.Update):
        return direct.by_update(solver, circuit, state.factors)
    limit = (solver if isinstance(solver, CG) else CG()).max_steps
    limit = limit or 100 + 10 * sum(circuit.shape)
    return by_gradients(circuit, state.known, rtol, limit)


def _scaled(
    circuit: Circuit, known: Reduced, sources: Unknown, rtol: Any, improve: Improve
) -> WiredAnswer:
    """`refined` for sources of about 1 V, which keeps small ones clear of underflow."""
    size = jnp.zeros(len(sources.u), circuit.g.dtype)
    ohms = jnp.where(known.busiest > 0, 1 / jnp.where(known.busiest > 0, known.busiest, 1), 1)
    for x, unit in zip(sources, (1, ohms, 1, ohms), strict=True):
        if x.size:
            size = jnp.maximum(size, unit * jnp.max(jnp.abs(x), axis=tuple(range(1, x.ndim))))
    size = jnp.where(size > 0, size, 1)
    scaled = Unknown(*(_times(x, 1 / size) for x in sources))
    found = refined(circuit, known, scaled, rtol, improve)
    return found._replace(x=Unknown(*(_times(x, size) for x in found.x)))


def _times(x: Array, size: Any) -> Array:
    return x * size.reshape(-1, *[1] * (x.ndim - 1))
