"""The unknowns of any wiring with their exact derivatives.

All equations of `xbar.solvers.wiring.circuit` are linear in the unknowns. A change of conductances,
wires, bridges and drivers leaves ``d(sources - law)`` at the unknowns that were found, and one more
solve with that on its right-hand side is the answer; in reverse mode one solve with the system
turned round, which is the same with currents and voltages exchanged. Both rules are written in
differentiable operations, so derivatives of every order follow.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float

from xbar.circuit.bias import Drivers
from xbar.solvers.base import AbstractSolver
from xbar.solvers.wiring.circuit import Circuit, Layout, Numbers, Unknown, circuit_of
from xbar.solvers.wiring.methods import State, answer, factor
from xbar.solvers.wiring.pieces import Pieces
from xbar.solvers.wiring.projected import WiredAnswer

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
