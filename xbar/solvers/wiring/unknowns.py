"""The unknowns of a circuit of any wiring: which method finds them, and their derivatives.

`CG` and the first try of `Auto` are conjugate gradients on the reduced system; `Dense` is the
tableau; any other solver, and the second try of `Auto`, is a change of low rank on top of a solver
for plain arrays.

**Derivatives.** All equations of `xbar.solvers.wiring.circuit` are linear in the unknowns. A change
of conductances, wires, bridges and drivers leaves ``d(sources - law)`` at the unknowns that were
found, and one more solve with that on its right-hand side is the answer; in reverse mode one solve
with the system turned round, which is the same with currents and voltages exchanged. Both rules are
written in differentiable operations, so derivatives of every order follow.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float

from xbar.circuit.bias import Drivers
from xbar.solvers.auto import Auto
from xbar.solvers.base import AbstractSolver, default_rtol
from xbar.solvers.batching import per_array, repaired
from xbar.solvers.cg import CG, default_steps
from xbar.solvers.references import Dense, Ideal
from xbar.solvers.sweep.solver import ColumnSweep
from xbar.solvers.wiring import direct
from xbar.solvers.wiring.circuit import Circuit, Layout, Numbers, Pieces, Unknown, circuit_of
from xbar.solvers.wiring.direct import Tableau, by_tableau, tableau_of
from xbar.solvers.wiring.projected import Improve, WiredAnswer, by_gradients, refined
from xbar.solvers.wiring.reduced import Reduced, reduced


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

    if not (isinstance(solver, Auto) and solver.fallback) or not direct.fits(circuit):
        return per_array(solved)(circuit, state, sources, rtol)
    second = ColumnSweep(solver.rtol)

    def directly(circuit: Circuit, state: State, sources: Unknown, rtol: Any) -> WiredAnswer:
        update = direct.update_of(second, circuit, state.known)
        improve = direct.by_update(second, circuit, update)
        return _scaled(circuit, state.known, sources, rtol, improve)

    def both(circuit: Circuit, state: State, sources: Unknown, rtol: Any) -> WiredAnswer:
        found = solved(circuit, state, sources, rtol)
        return repaired(jnp.all(found.ok), found, directly, circuit, state, sources, rtol)

    # Around both: a choice made once for a batch copies what the whole batch has found.
    return per_array(both)(circuit, state, sources, rtol)


def _is_direct(solver: AbstractSolver) -> bool:
    return not isinstance(solver, CG | Auto | Dense)


def _method(solver: AbstractSolver, circuit: Circuit, state: State, rtol: Any) -> Improve:
    if isinstance(state.factors, Tableau):
        return by_tableau(circuit, state.known, state.factors)
    if isinstance(state.factors, direct.Update):
        return direct.by_update(solver, circuit, state.factors)
    limit = solver.max_steps if isinstance(solver, CG) else None
    return by_gradients(circuit, state.known, rtol, limit or default_steps(circuit.g))


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


Flat = Float[Array, "n unknowns"]


def sources_of(circuit: Circuit, drivers: Drivers) -> Unknown:
    """What the drivers put on the right-hand sides."""
    word, bit = drives(circuit, drivers)
    zero = circuit.nothing(len(drivers.word))
    bridges = circuit.across(word, bit) if circuit.counts[0] else zero.t
    through = zero.p
    if circuit.counts[1]:
        found = []
        fars = ((drivers.word, drivers.word_far), (-drivers.bit, _minus(drivers.bit_far)))
        for gaps, ends, (near, far) in zip(circuit.gaps, circuit.ends, fars, strict=True):
            if gaps is not None:
                sent = ends.through(near, far)[:, gaps.places.line]
                found.append(-jnp.where(gaps.places.used, sent, 0))
        through = jnp.concatenate(found, axis=-1)
    return Unknown(word + bit, zero.i, bridges, through)


def drives(circuit: Circuit, drivers: Drivers) -> tuple[Array, Array]:
    """Open-circuit voltages of the nodes of either kind, (n, rows, cols) [V]."""
    shape = (len(drivers.word), *circuit.shape)
    word = circuit.ends[0].open_circuit(drivers.word, drivers.word_far)
    bit = circuit.ends[1].open_circuit(-drivers.bit, _minus(drivers.bit_far))
    return jnp.broadcast_to(word, shape), jnp.broadcast_to(bit, shape)


def _minus(x: Array | None) -> Array | None:
    return None if x is None else -x


def unknowns(
    solver: AbstractSolver, numbers: Numbers, layout: Layout, drivers: Drivers
) -> tuple[WiredAnswer, Pieces | None]:
    """Solve for the drivers' voltages, with exact derivatives; and say which pieces float."""
    state = prepared(solver, numbers, layout)
    return answered(solver, state, layout, numbers, drivers), state.known.pieces


def prepared(solver: AbstractSolver, numbers: Numbers, layout: Layout) -> State:
    """What the solver prepares: a constant of the derivative rules, shared by all of them."""
    return lax.stop_gradient(factor(solver, circuit_of(lax.stop_gradient(numbers), layout)))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def answered(
    solver: AbstractSolver, state: Any, layout: Layout, numbers: Numbers, drivers: Drivers
) -> WiredAnswer:
    """The unknowns, by what was `prepared`."""
    circuit = circuit_of(numbers, layout)
    return answer(solver, state, circuit, sources_of(circuit, drivers))


@answered.defjvp
def _answered_jvp(
    solver: AbstractSolver, primals: tuple, tangents: tuple
) -> tuple[WiredAnswer, WiredAnswer]:
    state, layout, numbers, drivers = primals
    found = answered(solver, state, layout, numbers, drivers)

    def balance(numbers: Numbers, drivers: Drivers) -> Unknown:
        circuit = circuit_of(numbers, layout)
        pairs = zip(sources_of(circuit, drivers), circuit.law(found.x), strict=True)
        return Unknown(*(source - law for source, law in pairs))

    _, left = jax.jvp(balance, (numbers, drivers), (tangents[2], tangents[3]))
    left = without_potential(state.known.pieces, left)
    dx = linear_response(solver, state, circuit_of(numbers, layout), left)
    none = np.zeros(found.ok.shape, jax.dtypes.float0)
    return found, WiredAnswer(dx, none, none, none)  # type: ignore[arg-type]


def without_potential(pieces: Pieces | None, left: Unknown) -> Unknown:
    """What a change of the cells leaves of Ohm's law, where pieces of lines have no potential.

    One cell that closes between such a piece and anything else carries nothing, whatever voltage
    the piece was given; two that close do, but that is no derivative.
    """
    if pieces is None:
        return left
    return left._replace(i=jnp.where(pieces.word | pieces.bit, 0, left.i))


def linear_response(
    solver: AbstractSolver, state: Any, circuit: Circuit, sources: Unknown
) -> Unknown:
    """The unknowns as a linear map of the sources that JAX can transpose and differentiate.

    Nobody looks at the status of these solves, so one that missed its tolerance becomes NaN.
    """
    frozen = lax.stop_gradient(circuit)
    shapes = [x.shape[1:] for x in sources]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])

    def flat(x: Unknown) -> Flat:
        return jnp.concatenate([leaf.reshape(len(leaf), -1) for leaf in x], axis=1)

    def unflat(x: Flat) -> Unknown:
        parts = jnp.split(x, ends[:-1], axis=1)
        return Unknown(
            *(part.reshape(len(x), *shape) for part, shape in zip(parts, shapes, strict=True))
        )

    def law(x: Flat) -> Flat:
        return flat(circuit.law(unflat(x)))

    def solved(_: Any, sources: Flat) -> Flat:
        found = answer(solver, state, frozen, unflat(sources))
        right = found.ok & ~found.joined
        return jnp.where(right[:, None], flat(found.x), jnp.nan)

    def turned(x: Unknown) -> Unknown:
        return Unknown(x.i, x.u, x.t, -x.p)

    def transposed(_: Any, cotangents: Flat) -> Flat:
        return flat(turned(unflat(solved(_, flat(turned(unflat(cotangents)))))))

    return unflat(lax.custom_linear_solve(law, flat(sources), solved, transposed))
