"""Any wiring on top of a solver for plain arrays: what is not plain is a change of low rank.

The plain array has the same cells and wires, a driver at each near end, and no gaps (`circuit` says
why a gap's segment may count as whole). To it come the bridges and the drivers at far ends, as
branches with currents `t`, and the gaps' voltages `p`. With `Z` the plain array's answer, ``Z s =
(1 + D g)^-1 s``, and the symbols of `xbar.solvers.wiring.circuit`, now those of near ends alone,

    u = Z s - Z Y t + Z N p

    [ R + J^T D J - Y^T g Z Y     Y^T g Z N - J^T N ] [t]   [ b - Y^T g Z s ]
    [ N^T J - N^T g Z Y           N^T g Z N         ] [p] = [ h - N^T g Z s ]

one small system for all inputs. The work does not grow with the voltage drop where the plain
solver's does not, and the plain array is no worse conditioned: each gap, bridge and far end costs
one of its solutions, and memory for one.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import jax.scipy.linalg as jsl
from jax import Array
from jaxtyping import Bool, Float, Int

from xbar.circuit import Wires
from xbar.solvers.base import AbstractSolver, Problem, problem_of
from xbar.solvers.lines import product
from xbar.solvers.wiring.circuit import Circuit, Unknown, with_wires
from xbar.solvers.wiring.projected import Improve, Pass
from xbar.solvers.wiring.reduced import Reduced, pseudo_root

# Memory that the answers to all branches and gaps may take.
MAX_BYTES = 2**30

Fields = Float[Array, "changes rows cols"]


class Update(NamedTuple):
    """The plain array's answers to branches and gaps, and the small system's factors."""

    state: Any  # of the plain solver
    drives: Fields  # -Y, then N
    answers: Fields  # -Z Y, then Z N
    lu: Float[Array, "changes changes"]
    pivots: Int[Array, " changes"]
    right: Bool[Array, ""]  # the plain solver's own verdict


def changes(circuit: Circuit) -> int:
    """How many branches and gaps there are."""
    rows, cols = circuit.shape
    far = sum(n for n, ends in zip((rows, cols), circuit.ends, strict=True) if ends.far is not None)
    return far + sum(circuit.counts)


def fits(circuit: Circuit) -> bool:
    """Whether the answers to all of them fit in memory."""
    return 2 * changes(circuit) * circuit.g.size * circuit.g.dtype.itemsize <= MAX_BYTES


def plain(circuit: Circuit) -> Problem:
    """The plain array."""
    wires = circuit.wires
    return problem_of(circuit.g, Wires(wires.word_line, wires.bit_line, wires.source, wires.sense))


def update_of(solver: AbstractSolver, circuit: Circuit, known: Reduced) -> Update:
    """Answers of the plain array, by a solver for plain arrays."""
    problem, gaps = plain(circuit), circuit.counts[1]
    near = with_wires(circuit.g, problem.wires, circuit.r_bridge, circuit.layout)
    d, r = _branches(circuit)
    lost = [ends.drop(x) for ends, x in zip(near.ends, d, strict=True)]
    k = jnp.diag(r) + sum(
        jnp.tensordot(a, b, ((1, 2), (1, 2))) for a, b in zip(d, lost, strict=True)
    )
    loose = pseudo_root((k + k.T) / 2)[1]
    drives = -(lost[0] + lost[1])
    if gaps:
        drives = jnp.concatenate([drives, near.lifted(jnp.eye(gaps, dtype=k.dtype))])
    state = solver.factor(problem)
    found = solver.cell_voltages(state, problem, drives)
    # Y^T g Z Y and the like, for -Y and N.
    inner = jnp.tensordot(drives, circuit.g * found.u, ((1, 2), (1, 2)))
    n = len(r)
    system = inner.at[:n].multiply(-1).at[:n, :n].add(k + product(loose.T, loose))
    if gaps:
        assert known.pieces is not None
        seen = near.collect(*d) + _at_far_ends(circuit)
        free = jnp.where(known.pieces.pinned | ~circuit.used, jnp.maximum(known.busiest, 1e-30), 0)
        system = system.at[:n, n:].add(-seen).at[n:, :n].add(seen.T)
        system = system.at[n:, n:].add(jnp.diag(free))
    lu, pivots = jsl.lu_factor(system)
    return Update(state, drives, found.u, lu, pivots, jnp.all(found.ok))


def _branches(circuit: Circuit) -> tuple[tuple[Array, Array], Array]:
    """Currents drawn from the nodes of either kind for 1 A in each branch, and its resistance."""
    bridges, (rows, cols), dtype = circuit.counts[0], circuit.shape, circuit.g.dtype
    none = jnp.zeros((bridges, rows, cols), dtype)
    word, bit = circuit.drawn(none, jnp.eye(bridges, dtype=dtype))
    parts, wires = [(word, bit, circuit.r_bridge)], circuit.wires
    if wires.source_far is not None:
        line = jnp.arange(rows)
        far = jnp.zeros((rows, rows, cols), dtype).at[line, line, -1].set(1)
        parts.append((far, jnp.zeros_like(far), jnp.broadcast_to(wires.source_far, (rows,))))
    if wires.sense_far is not None:
        line = jnp.arange(cols)
        far = jnp.zeros((cols, rows, cols), dtype).at[line, 0, line].set(1)
        parts.append((jnp.zeros_like(far), far, jnp.broadcast_to(wires.sense_far, (cols,))))
    word, bit, r = (jnp.concatenate(x) for x in zip(*parts, strict=True))
    return (word, bit), r


def _at_far_ends(circuit: Circuit) -> Float[Array, "branches gaps"]:
    """1 where a gap is in series with a far driver: it is seen by that branch alone."""
    seen = jnp.zeros((changes(circuit) - circuit.counts[1], circuit.counts[1]), circuit.g.dtype)
    branch, gap = circuit.counts[0], 0
    for gaps, ends, lines in zip(circuit.gaps, circuit.ends, circuit.shape, strict=True):
        if gaps is not None and gaps.places.far is not None:
            last, line = gap + gaps.count - lines, jnp.arange(lines)
            seen = seen.at[branch + line, last + line].set(gaps.places.far.astype(seen.dtype))
        branch += lines if ends.far is not None else 0
        gap += 0 if gaps is None else gaps.count
    return seen


def by_update(solver: AbstractSolver, circuit: Circuit, update: Update) -> Improve:
    """The direct solution as a pass, by the solver that `update` was found with."""
    problem, (bridges, gaps) = plain(circuit), circuit.counts
    branches = changes(circuit) - gaps

    def improve(state: Pass) -> tuple[Unknown, Bool[Array, " n"], Int[Array, " n"]]:
        left = state.left
        found = solver.cell_voltages(update.state, problem, left.u)
        n = len(left.u)
        past = jnp.tensordot(circuit.g * found.u, update.drives, ((1, 2), (1, 2)))
        right = jnp.zeros((n, branches + gaps), past.dtype)
        right = right.at[:, :bridges].set(left.t).at[:, branches:].set(left.p)
        # For branches -Y^T g Z s, for gaps -N^T g Z s, where `drives` holds -Y and N.
        right = right + past.at[:, branches:].multiply(-1)
        change = jsl.lu_solve((update.lu, update.pivots), right.T).T
        u = found.u + jnp.tensordot(change, update.answers, 1)
        t, p = change[:, :bridges], change[:, branches:]
        if gaps:
            p = jnp.where(circuit.used, p, 0)
        return Unknown(u, circuit.g * u, t, p), found.ok & update.right, found.steps

    return improve
