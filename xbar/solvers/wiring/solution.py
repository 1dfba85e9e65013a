"""Solve an array with any ends, broken and bridged lines, for any bias."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Bool, Float

from xbar.cells import AbstractCell
from xbar.checks import is_concrete
from xbar.circuit import RESULTS, Bias, Crossbar, Solution
from xbar.circuit.bias import Drivers
from xbar.circuit.solution import Terminals
from xbar.programs import program
from xbar.solvers import derivatives
from xbar.solvers.auto import first_alone, newton_of
from xbar.solvers.base import AbstractSolver, not_negative, problem_of
from xbar.solvers.derivatives import also, cells, filled, legal_law, marked, possible
from xbar.solvers.lines import BIT, WORD, PerCell
from xbar.solvers.newton import Newton
from xbar.solvers.wiring.circuit import Circuit, Layout, Numbers, circuit_of, nodes_of, pieces_of
from xbar.solvers.wiring.ends import Attached, Ends, attached, places_of
from xbar.solvers.wiring.newton import operating_points, secant
from xbar.solvers.wiring.unknowns import drives, unknowns


class Capacity(NamedTuple):
    """How many broken segments of word and of bit lines there may be; static."""

    word: int
    bit: int


def capacity_of(array: Crossbar) -> Capacity:
    """As many as there are where that is known, to the next power of two; else as asked for."""
    faults = array.line_faults
    if faults is None:
        return Capacity(0, 0)
    every = array.rows + array.cols

    def count(mask: Array | None) -> int:
        if mask is None:
            return 0
        if faults.max_open is not None:
            return faults.max_open
        if not is_concrete(mask):
            return every
        return int(2 ** np.ceil(np.log2(max(4, np.count_nonzero(mask)))))

    return Capacity(count(faults.word_open), count(faults.bit_open))


def solve_wired(array: Crossbar, bias: Bias, solver: AbstractSolver, *, fill: bool) -> Solution:
    """As `xbar.solve`, for a bias and any lines."""
    capacity = capacity_of(array)

    def solved(solver: AbstractSolver) -> tuple[Solution, RESULTS]:
        found = _solve(array, bias, solver, capacity, fill)
        return found, found.result

    return first_alone(solved, solver, array, bias)[0]


@program(static_argnames=("solver", "capacity", "fill"))
def _solve(
    array: Crossbar, bias: Bias, solver: AbstractSolver, capacity: Capacity, fill: bool
) -> Solution:
    far = (array.wires.source_far is not None, array.wires.sense_far is not None)
    drivers, single = bias.drivers(array.rows, array.cols, far=far)
    dtype = jnp.result_type(array.dtype, *drivers.present)
    numbers, result = numbers_of(array, dtype)
    layout, fits = layout_of(array, bias, capacity)
    drivers, finite = _drivers(drivers, bias, dtype)
    result = also(result, finite, RESULTS.invalid_input)
    result = also(result, fits, RESULTS.too_many_open)
    laws, legal = None, jnp.asarray(True)
    if not array.cells.linear:
        law, legal = legal_law(array.cells, dtype)
        laws = Laws(newton_of(solver), law)
        numbers = eqx.tree_at(
            lambda n: n.g, numbers, secant(law, (array.rows, array.cols), drivers)
        )
    result = also(result, legal, RESULTS.invalid_cells)
    if array.is_plain and layout.word is None and layout.bit is None:
        parts, missed = _whole(solver, numbers, drivers, laws)
    else:
        parts, missed = _parts(solver, numbers, layout, drivers, laws)
    for bad, why in missed:
        result = also(result, ~bad, why)
    # Steps were taken, whatever came of them.
    steps, inner = parts.steps, parts.inner_steps
    parts = parts._replace(steps=None, inner_steps=None)  # type: ignore[arg-type]
    volts = [jnp.nan_to_num(v) for v in (parts.v_word, parts.v_bit)]  # NaN where lines float
    parts = filled(parts, result, fill | ~possible(drivers.present, volts))

    def by_input(x: Any) -> Any:
        return None if x is None else (x[0] if single else jnp.moveaxis(x, 0, -1))

    i_out, v_word, v_bit, i_cell, p_total, word, word_far, bit_far = map(by_input, parts[:8])
    ends = Terminals(word, word_far, bit_far, by_input(parts.i_bridge))
    return Solution(
        i_out,
        v_word,
        v_bit,
        i_cell,
        p_total,
        result,
        parts.kcl,
        by_input(steps),
        inner_steps=by_input(inner),
        terminals=ends,
    )


class _Parts(NamedTuple):
    """Of a solution, with the inputs' axis first."""

    i_out: Array
    v_word: Array
    v_bit: Array
    i_cell: Array
    p_total: Array
    i_word: Array
    i_word_far: Array | None
    i_bit_far: Array | None
    i_bridge: Array | None
    kcl: Array
    steps: Array
    inner_steps: Array | None


class Laws(NamedTuple):
    """Cells that are not linear, and their solver."""

    newton: Newton
    law: AbstractCell


def numbers_of(array: Crossbar, dtype: jnp.dtype) -> tuple[Numbers, RESULTS]:
    """The array in one precision, with harmless zeros in place of illegal values."""
    bridges = () if array.line_faults is None else array.line_faults.bridges
    r_bridge = jnp.stack([b.r.astype(dtype) for b in bridges]) if bridges else jnp.zeros(0, dtype)
    in_array = [
        (i >= 0) & (i < array.rows) & (j >= 0) & (j < array.cols)
        for bridge in bridges
        for _, i, j in bridge.ends
    ]
    bridges_legal = not_negative(r_bridge) & jnp.all(jnp.asarray(in_array, bool))
    # Cells that are not linear have no conductances: `_laws` stands for them.
    g = array.g if array.cells.linear else jnp.zeros(array.cells.shape, dtype)
    g_legal = not_negative(g)
    wires_legal = jnp.all(jnp.stack([not_negative(x) for x in array.wires.leaves.values()]))

    def harmless(x: Array, ok: Bool[Array, ""]) -> Array:
        x = x.astype(dtype)
        return marked(x, ~ok, jnp.where(ok, x, 0))

    numbers = Numbers(
        harmless(g, g_legal),
        jax.tree.map(lambda x: harmless(x, wires_legal), array.wires),
        harmless(r_bridge, bridges_legal),
    )
    result = RESULTS.where(g_legal, RESULTS.successful, RESULTS.invalid_conductance)
    result = also(result, wires_legal, RESULTS.invalid_wires)
    return numbers, also(result, bridges_legal, RESULTS.invalid_bridges)


def layout_of(array: Crossbar, bias: Bias, capacity: Capacity) -> tuple[Layout, Bool[Array, ""]]:
    """Where the gaps and bridges are, and whether there are no more than there may be."""
    faults, wires, shape = array.line_faults, array.wires, (array.rows, array.cols)
    word_open, bit_open = (None, None) if faults is None else (faults.word_open, faults.bit_open)
    word_far = bias.word_far_floats if wires.source_far is not None else None
    bit_far = bias.bit_far_floats if wires.sense_far is not None else None
    word = places_of(word_open, bias.word_floats, word_far, shape, WORD, capacity.word)
    bit = places_of(bit_open, bias.bit_floats, bit_far, shape, BIT, capacity.bit)
    lonely = (word_open is None and word_far is None, bit_open is None and bit_far is None)
    bridges = () if faults is None else faults.bridges
    kinds = tuple((b.kind_a, b.kind_b) for b in bridges)
    layout = Layout(word, bit, nodes_of(bridges), kinds, lonely)
    fits = [places.fits for places in (word, bit) if places is not None]
    return layout, jnp.all(jnp.asarray(fits, bool))


def _drivers(drivers: Drivers, bias: Bias, dtype: jnp.dtype) -> tuple[Drivers, Bool[Array, ""]]:
    """Voltages in one precision, 0 where nothing is connected or a value is illegal."""
    masks = (bias.word_floats, bias.bit_floats, bias.word_far_floats, bias.bit_far_floats)
    volts: list[Any] = [
        None if v is None else (v if mask is None else jnp.where(mask, 0, v)).astype(dtype)
        for v, mask in zip(drivers, masks, strict=True)
    ]
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(v)) for v in volts if v is not None]))
    kept: list[Any] = [
        None if v is None else marked(v, ~finite, jnp.where(finite, v, 0)) for v in volts
    ]
    return Drivers(*kept), finite


Checks = list[tuple[Bool[Array, ""], RESULTS]]  # what may be wrong, and the result then


def _parts(
    solver: AbstractSolver,
    numbers: Numbers,
    layout: Layout,
    drivers: Drivers,
    laws: Laws | None,
) -> tuple[_Parts, Checks]:
    """Everything that a solution holds, and what may be wrong with it."""
    circuit = circuit_of(numbers, layout)
    sides = [attached(layout.kind(ends.axis), ends, circuit.shape) for ends in circuit.ends]
    # Potentials count from one of the drivers: where there is but one, nothing flows exactly.
    ground = _ground(circuit, layout, drivers)
    above: list[Any] = [None if v is None else v - ground for v in drivers]
    near = Drivers(*above)
    if laws is None:
        found, pieces = unknowns(solver, numbers, layout, near)
        out_of_range, inner = jnp.asarray(False), None
    else:
        found = operating_points(laws.newton, laws.law, numbers, layout, near)
        pieces = pieces_of(circuit) if circuit.counts[1] else None
        out_of_range, inner = ~jnp.all(found.holds), found.inner_steps
    x = found.x
    d = circuit.drawn(x.i, x.t)
    y = [a + b for a, b in zip(circuit.nodes(*d, x.p), drives(circuit, near), strict=True)]
    v_word, v_bit = y[0] + ground[:, :, None], ground[:, :, None] - y[1]
    u = y[0] + y[1]
    kcl = _kcl_residual(circuit.g * u if laws is None else jnp.asarray(laws.law.current(u)), x.i)
    lost = jnp.asarray(False)
    if pieces is not None:
        lost = jnp.any(pieces.undefined)
        v_word = jnp.where(pieces.word, jnp.nan, v_word)
        v_bit = jnp.where(pieces.bit, jnp.nan, v_bit)
    ends = [
        terminals(ends, side, d[k], *_pair(near, k))
        for k, (ends, side) in enumerate(zip(circuit.ends, sides, strict=True))
    ]
    (word, word_far), (out, bit_far) = ends
    bit_far = None if bit_far is None else -bit_far
    parts = _Parts(
        i_out=out,
        v_word=v_word,
        v_bit=v_bit,
        i_cell=x.i,
        p_total=_power(drivers, (word, -out, word_far, bit_far)),
        i_word=word,
        i_word_far=word_far,
        i_bit_far=bit_far,
        i_bridge=x.t if circuit.counts[0] else None,
        kcl=kcl,
        steps=jnp.asarray(found.steps),
        inner_steps=inner,
    )
    joined = jnp.any(found.joined) | _joined_ends(circuit, sides, near)
    return parts, [
        (joined, RESULTS.sources_joined),
        (out_of_range, RESULTS.cells_out_of_range),
        (~jnp.all(found.ok), RESULTS.tolerance_missed),
        (lost, RESULTS.floating),
    ]


def _power(drivers: Drivers, currents: tuple) -> Array:
    """Of all drivers together, (n,) [W]."""
    power = [
        jnp.sum(v * i, axis=-1)
        for v, i in zip(drivers, currents, strict=True)
        if v is not None and i is not None
    ]
    return sum(power[1:], power[0])


def _whole(
    solver: AbstractSolver, numbers: Numbers, drivers: Drivers, laws: Laws | None
) -> tuple[_Parts, Checks]:
    """As `_parts`, for whole lines with their near drivers alone: any solver for plain arrays."""
    problem = problem_of(numbers.g, numbers.wires)
    word, bit = drivers.word[:, :, None], drivers.bit[:, None, :]
    checks: Checks = [(~solver.accepts(problem), RESULTS.wires_not_zero)]
    if laws is None:
        found, inner = cells(solver, problem, word - bit), None
        i_cell, lost, rise = found.i_cell, found.word, found.bit
    else:
        found = derivatives.operating_points(laws.newton, laws.law, numbers.wires, word - bit)
        i_cell, inner = found.i_cell, found.inner_steps
        lost, rise = problem.drop.word(i_cell), problem.drop.bit(i_cell)
        checks.append((~jnp.all(found.holds), RESULTS.cells_out_of_range))
    u = word - bit - lost - rise
    kcl = _kcl_residual(problem.g * u if laws is None else jnp.asarray(laws.law.current(u)), i_cell)
    i_word, i_out = jnp.sum(i_cell, axis=-1), jnp.sum(i_cell, axis=-2)
    parts = _Parts(
        i_out=i_out,
        v_word=word - lost,
        v_bit=bit + rise,
        i_cell=i_cell,
        p_total=jnp.sum(drivers.word * i_word, -1) - jnp.sum(drivers.bit * i_out, -1),
        i_word=i_word,
        i_word_far=None,
        i_bit_far=None,
        i_bridge=None,
        kcl=kcl,
        steps=jnp.asarray(found.steps),
        inner_steps=inner,
    )
    return parts, [*checks, (~jnp.all(found.ok), RESULTS.tolerance_missed)]


def _pair(drivers: Drivers, side: int) -> tuple[Array, Array | None]:
    """Near and far drivers of one kind of line, bit lines' turned round."""
    if side == 0:
        return drivers.word, drivers.word_far
    return -drivers.bit, None if drivers.bit_far is None else -drivers.bit_far


def _ground(circuit: Circuit, layout: Layout, drivers: Drivers) -> Float[Array, "n 1"]:
    """The voltage of the first driver that is connected, bit lines first."""
    volts, connected = [], []
    for v, places in (
        (drivers.bit, layout.bit),
        (drivers.word, layout.word),
        (drivers.bit_far, layout.bit),
        (drivers.word_far, layout.word),
    ):
        if v is None:
            continue
        volts.append(v)
        mask = jnp.ones(v.shape[-1], bool)
        if places is not None and (v is drivers.bit or v is drivers.word):
            mask = ~(places.mask[-1] if v is drivers.bit else places.mask[:, 0])
        elif places is not None and places.far is not None:
            mask = ~places.far
        connected.append(mask)
    first = jnp.argmax(jnp.concatenate(connected))
    return lax.stop_gradient(jnp.concatenate(volts, axis=-1)[:, first, None])


def terminals(
    ends: Ends, side: Attached, d: PerCell, near: Array, far: Array | None
) -> tuple[Array, Array | None]:
    """Currents out of the near and the far drivers of one kind of line, (n, lines) [A]."""

    def total(x: Array) -> Array:
        return jnp.sum(x, axis=ends.axis)

    if ends.far is None:
        return total(jnp.where(side.near, d, 0)), None
    through = ends.through(near, far)
    whole = total(d * ends.far.near_share) + through, total(d * ends.far.far_share) - through
    cut = total(jnp.where(side.near, d, 0)), total(jnp.where(side.far, d, 0))
    return jnp.where(side.cut, cut[0], whole[0]), jnp.where(side.cut, cut[1], whole[1])


def _joined_ends(circuit: Circuit, sides: list[Attached], drivers: Drivers) -> Bool[Array, ""]:
    """Whether 0 ohm lie between two drivers of one line that differ."""
    bad = jnp.asarray(False)
    for k, (ends, side) in enumerate(zip(circuit.ends, sides, strict=True)):
        near, far = _pair(drivers, k)
        if ends.far is not None and far is not None:
            total = ends.along(ends.far.total, near.shape[-1])
            bad = bad | jnp.any((total == 0) & ~side.cut & (near != far))
    return bad


def _kcl_residual(from_nodes: Array, i_cell: Array) -> Float[Array, ""]:
    left = jnp.max(jnp.abs(from_nodes - i_cell), axis=(-2, -1))
    largest = jnp.max(jnp.abs(i_cell), axis=(-2, -1))
    over = jnp.where(largest == 0, 1, largest)
    ratio = jnp.where(largest == 0, jnp.where(left == 0, 0, jnp.inf), left / over)
    return lax.stop_gradient(jnp.max(ratio))
