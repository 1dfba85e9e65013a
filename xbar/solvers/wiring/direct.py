"""Direct methods for any wiring: a change of a plain array, and the reference.

**On top of a solver for plain arrays**, what is not plain is a change of low rank. The plain array
has the same cells and wires, a driver at each near end, and no gaps (`circuit` says why a gap's
segment may count as whole). To it come the bridges and the drivers at far ends, as branches with
currents `t`, and the gaps' voltages `p`. With `Z` the plain array's answer, ``Z s = (1 + D g)^-1
s``, and the symbols of `xbar.solvers.wiring.circuit`, now those of near ends alone,

    u = Z s - Z Y t + Z N p

    [ R + J^T D J - Y^T g Z Y     Y^T g Z N - J^T N ] [t]   [ b - Y^T g Z s ]
    [ N^T J - N^T g Z Y           N^T g Z N         ] [p] = [ h - N^T g Z s ]

one small system for all inputs. The work does not grow with the voltage drop where the plain
solver's does not, and the plain array is no worse conditioned: each gap, bridge and far end costs
one of its solutions, and memory for one.

**The reference**: Kirchhoff's and Ohm's laws for all nodes and branches of one array. The unknowns
are the voltages of all nodes, the currents of all segments (in front of each node,
seen from the line's near end), far drivers and bridges. In the signs of `xbar.solvers.wiring.ends`:

    current law at a node       c_k - c_{k+1} - d_k = 0        behind the last: the far driver's f
    whole segment               y_{k-1} - y_k - r_k c_k = 0    y_{-1} = 0
    broken one                  c_k = h
    far driver                  y_last - R_far f = 0           f = h where there is none
    bridge                      R t - (y_a - y_b) = b

with cell currents ``g (y_word + y_bit + s)`` among what is drawn. A group of pieces without
potential has one node held at 0 V, in place of its current law, which the others imply. One dense
LU factorization; no segment's resistance is divided by.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
from jax import Array
from jaxtyping import Bool, Float, Int

from xbar.circuit import Wires
from xbar.solvers.base import AbstractSolver, Problem, problem_of
from xbar.solvers.lines import BIT, WORD, product
from xbar.solvers.wiring.circuit import Circuit, Unknown, with_wires
from xbar.solvers.wiring.ends import Gaps, oriented
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


# 32x32: a matrix of about 4,200 x 4,200, 0.13 GiB in float64.
MAX_CELLS = 1024


class Branches(NamedTuple):
    """Unknowns of the tableau; lines of either kind as (lines, along), from the near end."""

    y: tuple[Array, Array]
    c: tuple[Array, Array]
    f: tuple[Array, Array]
    t: Array


class Tableau(NamedTuple):
    """LU factors of all equations."""

    lu: Float[Array, "unknowns unknowns"]
    pivots: Int[Array, " unknowns"]
    scale: Float[Array, " unknowns"]  # of the equations, so that all pivot fairly


class _Lines(NamedTuple):
    """Lines of one kind, (lines, along)."""

    r: Array
    far: Array | None
    gap: Bool[Array, "lines along"]
    far_gap: Bool[Array, " lines"]
    held: Bool[Array, "lines along"]  # nodes at 0 V


def tableau_of(circuit: Circuit, known: Reduced) -> Tableau:
    """Factor the equations; their matrix is their Jacobian."""
    rows, cols = circuit.shape
    if rows * cols > MAX_CELLS:
        raise ValueError(
            f"solver: Dense() got a {rows}x{cols} array with far ends, gaps or bridges, needs at "
            f"most {MAX_CELLS} cells; use the default solver"
        )
    lines = _lines(circuit, known)
    size = 4 * rows * cols + rows + cols + circuit.counts[0]
    matrix = jax.vmap(lambda x: _laws(circuit, lines, x))(jnp.eye(size, dtype=circuit.g.dtype)).T
    largest = jnp.max(jnp.abs(matrix), axis=1)
    scale = 1 / jnp.where(largest > 0, largest, 1)
    # Loops of 0 ohm carry no current of their own.
    loose = jnp.zeros((len(known.loose), size), matrix.dtype).at[:, size - len(known.loose) :]
    loose = loose.set(known.loose)
    lu, pivots = jsl.lu_factor(scale[:, None] * (matrix + loose.T @ loose))
    return Tableau(lu, pivots, scale)


def by_tableau(circuit: Circuit, known: Reduced, tableau: Tableau) -> Improve:
    """The direct solution as a pass."""
    lines = _lines(circuit, known)

    def improve(state: Pass) -> tuple[Unknown, Bool[Array, " n"], Int[Array, " n"]]:
        left = state.left
        right = jax.vmap(lambda u, t, p: _right(circuit, lines, Unknown(u, u, t, p)))(
            left.u, left.t, left.p
        )
        found = jsl.lu_solve((tableau.lu, tableau.pivots), (tableau.scale * right).T).T

        def one(x: Array, u: Array, p: Array) -> Unknown:
            branches = _split(circuit, x)
            word, bit = _back(branches.y)
            cells = u + word + bit
            volts = _gap_voltages(circuit, lines, branches, p)
            return Unknown(cells, circuit.g * cells, branches.t, volts)

        change = jax.vmap(one)(found, left.u, left.p)
        n = len(left.u)
        return change, jnp.ones(n, bool), jnp.zeros(n, int)

    return improve


def _lines(circuit: Circuit, known: Reduced) -> tuple[_Lines, _Lines]:
    wires, shape, found = circuit.wires, circuit.shape, []
    parts = (
        (WORD, wires.word_line, wires.source, wires.source_far),
        (BIT, wires.bit_line, wires.sense, wires.sense_far),
    )
    offset = 0
    for gaps, (axis, segments, near, far) in zip(circuit.gaps, parts, strict=True):
        r = oriented(jnp.broadcast_to(segments, shape), axis)
        r = r.at[:, 0].add(near)
        lines, along = r.shape
        far = None if far is None else jnp.broadcast_to(far, (lines,))
        gap = held = jnp.zeros((lines, along), bool)
        far_gap = jnp.zeros(lines, bool)
        if gaps is not None and gaps.count:
            assert known.pieces is not None
            gap = oriented(gaps.places.mask, axis)
            far_gap = far_gap if gaps.places.far is None else gaps.places.far
            pinned = known.pieces.pinned[offset : offset + gaps.count]
            at = jnp.minimum(gaps.places.start, along - 1)
            held = held.at[gaps.places.line, at].max(pinned)
            offset += gaps.count
        found.append(_Lines(r, far, gap, far_gap, held))
    return found[0], found[1]


def _split(circuit: Circuit, x: Float[Array, " unknowns"]) -> Branches:
    rows, cols = circuit.shape
    sizes = [rows * cols] * 4 + [rows, cols]
    ends = [sum(sizes[: k + 1]) for k in range(len(sizes))]
    yw, yb, cw, cb, fw, fb, t = jnp.split(x, ends)
    word, bit = (rows, cols), (cols, rows)
    return Branches(
        (yw.reshape(word), yb.reshape(bit)), (cw.reshape(word), cb.reshape(bit)), (fw, fb), t
    )


def _back(y: tuple[Array, Array]) -> tuple[Array, Array]:
    """Node voltages as (rows, cols)."""
    return y[0], oriented(y[1], BIT, back=True)


def _laws(circuit: Circuit, lines: tuple[_Lines, _Lines], x: Array) -> Float[Array, " unknowns"]:
    """Left-hand sides, without sources."""
    branches = _split(circuit, x)
    word, bit = _back(branches.y)
    d = circuit.drawn((circuit.g * (word + bit))[None], branches.t[None])
    node, along, far = [], [], []
    for side in (0, 1):
        line, y, c, f = lines[side], branches.y[side], branches.c[side], branches.f[side]
        drawn = oriented(d[side][0], (WORD, BIT)[side])
        on = jnp.concatenate([c[:, 1:], f[:, None]], axis=1)
        node.append(jnp.where(line.held, y, c - on - drawn))
        before = jnp.concatenate([jnp.zeros_like(y[:, :1]), y[:, :-1]], axis=1)
        along.append(jnp.where(line.gap, c, before - y - line.r * c))
        far.append(f if line.far is None else jnp.where(line.far_gap, f, y[:, -1] - line.far * f))
    bridges = circuit.r_bridge * branches.t - circuit.across(word[None], bit[None])[0]
    return jnp.concatenate([x.ravel() for x in (*node, *along, *far, bridges)])


def _right(
    circuit: Circuit, lines: tuple[_Lines, _Lines], sources: Unknown
) -> Float[Array, " unknowns"]:
    """Right-hand sides: cell currents that series sources drive, and currents through gaps."""
    through = jnp.zeros((1, 0)) if sources.p.size == 0 else sources.p[None]
    node, along, far = [], [], []
    for side, p in enumerate(circuit.parts(through)):
        drawn = oriented(circuit.g * sources.u, (WORD, BIT)[side])
        node.append(jnp.where(lines[side].held, 0, drawn))
        gap, end = _forced(circuit.gaps[side], p[0], lines[side])
        along.append(gap)
        far.append(end)
    return jnp.concatenate([x.ravel() for x in (*node, *along, *far, sources.t)])


def _forced(gaps: Gaps | None, p: Array, line: _Lines) -> tuple[Array, Array]:
    """Currents through the gaps, at their segments and far ends."""
    at, end = jnp.zeros_like(line.r), jnp.zeros(len(line.r), line.r.dtype)
    if gaps is None:
        return at, end
    places = gaps.places
    inside = places.used & (places.start < line.r.shape[1])
    start = jnp.minimum(places.start, line.r.shape[1] - 1)
    at = at.at[places.line, start].add(jnp.where(inside, p, 0))
    return at, end.at[places.line].add(jnp.where(places.used & ~inside, p, 0))


def _gap_voltages(
    circuit: Circuit, lines: tuple[_Lines, _Lines], branches: Branches, through: Array
) -> Float[Array, " gaps"]:
    """What the series source of each gap is, for its segment's resistance and current."""
    found, currents = [], circuit.parts(through[None])
    for side, gaps in enumerate(circuit.gaps):
        if gaps is None:
            continue
        line, y, current = lines[side], branches.y[side], currents[side][0]
        place, start = gaps.places.line, gaps.places.start
        last = y.shape[1]
        before = jnp.where(start > 0, y[place, jnp.maximum(start - 1, 0)], 0)
        behind = jnp.where(start < last, y[place, jnp.minimum(start, last - 1)], 0)
        far = 0 if line.far is None else line.far[place]
        r = jnp.where(start < last, line.r[place, jnp.minimum(start, last - 1)], far)
        found.append(jnp.where(gaps.places.used, behind - before + r * current, 0))
    return jnp.concatenate(found) if found else through
