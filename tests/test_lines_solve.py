"""Any ends, broken and bridged lines, against nodal analysis of every node and branch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from line_cases import KINDS, Case, differences, exact, random_case

import xbar as xb

pytestmark = pytest.mark.optimized

ROWS, COLS = 6, 5
SOLVER = xb.CG(rtol=1e-13)


def name_of(result: xb.RESULTS) -> str:
    names = ("successful", "floating", "tolerance_missed", "sources_joined", "too_many_open")
    return next((n for n in names if bool(result == getattr(xb.RESULTS, n))), "other")


def plain(seed: int = 0) -> Case:
    """Cells of 1 uS to 1 mS, segments of 5 ohm, drivers of 2 ohm, amplifiers of 1 ohm."""
    rng = np.random.default_rng(seed)
    shape = (ROWS, COLS)
    return Case(
        g=np.exp(rng.uniform(np.log(1e-6), np.log(1e-3), shape)),
        word_line=np.full(shape, 5.0),
        bit_line=np.full(shape, 5.0),
        source=np.full(ROWS, 2.0),
        sense=np.full(COLS, 1.0),
        word=rng.uniform(0, 1, ROWS),
        bit=np.zeros(COLS),
    )


def mask(shape, *places) -> np.ndarray:
    out = np.zeros(shape, bool)
    for place in places:
        out[place] = True
    return out


def selected(n: int, k: int, one: float, others: float) -> np.ndarray:
    return np.where(np.arange(n) == k, one, others)


# Cases of one kind share a program: a bridge from a node to itself is none.
NONE = (("word", 0, 0), ("word", 0, 0), 1.0), (("bit", 0, 0), ("bit", 0, 0), 1.0)
WORD_BIT = ("word", 0, 0), ("bit", 0, 0), 1e3
FAR = {"source_far": np.full(ROWS, 2.0), "sense_far": np.full(COLS, 3.0)}
IDEAL = {"source": np.zeros(ROWS), "source_far": np.zeros(ROWS)}


def cases() -> dict[str, Case]:
    p, shape = plain(), (ROWS, COLS)
    none_open = {"word_open": mask(shape), "bit_open": mask(shape)}
    broken = {
        "word_open": mask(shape, (2, 3), (5, 0)),
        "bit_open": mask(shape, (3, 1), (2, 4)),
    }
    faults = p._replace(**none_open, bridges=(*NONE, WORD_BIT))
    floats = p._replace(word_floats=mask(ROWS), bit_floats=mask(COLS))
    all_but = ~mask(ROWS, 3), ~mask(COLS, 4)
    open_row = p.g.copy()
    open_row[5] = 0
    return {
        "today's circuit": p,
        "both ends": p._replace(**FAR, word_far=p.word, bit_far=p.bit),
        "both ends, ideal, of different voltage": p._replace(
            **{**FAR, **IDEAL}, sense=np.zeros(COLS), word_far=p.word / 2, bit_far=p.bit
        ),
        "V/2, ideal drivers": p._replace(
            word=selected(ROWS, 3, 1, 0.5),
            bit=selected(COLS, 4, 0, 0.5),
            source=np.zeros(ROWS),
            sense=np.zeros(COLS),
        ),
        "V/3": p._replace(word=selected(ROWS, 3, 1, 1 / 3), bit=selected(COLS, 4, 0, 2 / 3)),
        "other word lines float": floats._replace(word_floats=all_but[0]),
        "all other lines float": floats._replace(word_floats=all_but[0], bit_floats=all_but[1]),
        "broken": faults._replace(**broken),
        "both ends, one line broken twice": p._replace(
            **FAR,
            word_far=p.word,
            bit_far=p.bit,
            **{**none_open, "word_open": mask(shape, (2, 2), (2, 4))},
        ),
        "bridged word lines": faults._replace(
            bridges=(
                (("word", 2, 4), ("word", 3, 4), 20.0),
                NONE[1],
                WORD_BIT,
            )
        ),
        "shorted word lines, bit lines and a cell": faults._replace(
            bridges=(
                (("word", 4, 2), ("word", 5, 2), 0.0),
                (("bit", 3, 2), ("bit", 3, 3), 0.0),
                (("word", 1, 4), ("bit", 1, 4), 0.0),
            )
        ),
        "broken, its loose part bridged": faults._replace(
            **broken, bridges=((("word", 2, 4), ("word", 3, 4), 10.0), NONE[1], WORD_BIT)
        ),
        "a floating line of open cells": floats._replace(g=open_row, word_floats=mask(ROWS, 5)),
    }


CASES = cases()
NO_POTENTIAL = {"a floating line of open cells"}


@pytest.mark.parametrize("name", CASES)
def test_solution_is_that_of_nodal_analysis(name):
    """Voltages, currents of cells and of every driver, and power, within 1e-12."""
    case = CASES[name]
    array = case.array(max_open=4) if case.word_open is not None else case.array()
    right = exact(case)
    found = xb.solve(array, case.bias(), SOLVER)
    assert right.floating == (name in NO_POTENTIAL)
    assert name_of(found.result) == ("floating" if right.floating else "successful")
    worst = differences(found, right)
    assert max(worst.values()) <= 1e-12, worst


@pytest.mark.parametrize("solver", [xb.Dense(), xb.ColumnSweep(), xb.Auto()], ids=str)
@pytest.mark.parametrize(
    "name",
    [
        "all other lines float",
        pytest.param("both ends, one line broken twice", marks=pytest.mark.slow),
        pytest.param("broken, its loose part bridged", marks=pytest.mark.slow),
    ],
)
def test_solvers_agree(name, solver):
    case = CASES[name]
    array = case.array(max_open=4) if case.word_open is not None else case.array()
    worst = differences(xb.solve(array, case.bias(), solver), exact(case))
    assert max(worst.values()) <= 1e-10, worst


def test_masks_without_a_broken_segment_are_whole_lines_to_dense():
    """As line faults of a study have them, which name masks beside their bridges."""
    case = CASES["bridged word lines"]
    worst = differences(xb.solve(case.array(max_open=0), case.bias(), xb.Dense()), exact(case))
    assert max(worst.values()) <= 1e-10, worst


def check_random(case: Case, solver: xb.AbstractSolver, **options) -> bool:
    """True if the result is right, False if it is flagged; anything else fails."""
    array = case.array(**options) if case.word_open is not None else case.array()
    right = exact(case)
    found = xb.solve(array, case.bias(), solver, throw=False)
    name = name_of(found.result)
    if name == "tolerance_missed":
        return False
    assert name == ("floating" if right.floating else "successful")
    if right.largest == 0:  # then no more than rounding may flow, of what cells could carry
        could = np.max(case.g) * max(np.max(np.abs(case.word)), np.max(np.abs(case.bit)))
        assert np.max(np.abs(found.i_cell)) <= 1e-12 * could
        return True
    worst = differences(found, right)
    assert max(worst.values()) <= 1e-9, worst
    return True


REGIMES = ("mild", "severe", "extreme")


@pytest.mark.parametrize("kind", ["opens and bridges", "everything"])
def test_random_mixes_are_right(kind):
    """50 of a kind: none is silently wrong by 1e-9, none flagged."""
    for seed in range(50):
        case = random_case(np.random.default_rng(seed), 3, 4, REGIMES[seed % 3], KINDS[kind])
        assert check_random(case, xb.CG(), max_open=7)


MIXES = {(2, 2): 410, (5, 9): 410, (12, 9): 160, (24, 24): 20}


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "count"), MIXES.items(), ids=str)
def test_a_thousand_random_mixes(shape, count):
    """1,000 in all: at most 0.5 % flagged, none silently wrong by 1e-9."""
    rows, cols = shape
    # The largest size compiles longest: two kinds there, one program of each.
    large = rows * cols > 500
    kinds = [KINDS[k] for k in (("floats", "everything") if large else KINDS)]
    flagged = 0
    for seed in range(count):
        rng = np.random.default_rng(10_000 + seed)
        case = random_case(
            rng, rows, cols, REGIMES[seed // len(kinds) % 3], kinds[seed % len(kinds)]
        )
        cuts = max(np.sum(mask) for mask in (case.word_open, case.bit_open, 0) if mask is not None)
        # Two programs of a kind: for most cases, and for all.
        few, many = min(rows * cols, 100), rows * cols // 2
        flagged += not check_random(
            case, xb.Auto(), max_open=few if cuts <= few and not large else many
        )
    assert flagged <= max(1, 0.005 * count)


def test_currents_at_all_ends_add_up():
    """Nothing is lost: all drivers together send nothing; their power is the cells' and wires'."""
    case = random_case(np.random.default_rng(7), 3, 4, "mild", KINDS["everything"])
    array = case.array(max_open=7)
    found = xb.solve(array, case.bias(), xb.CG())
    sent = [found.i_word, found.i_word_far, -found.i_out, found.i_bit_far]
    total = sum(float(np.sum(i)) for i in sent)
    assert abs(total) <= 1e-13 * max(float(np.max(np.abs(i))) for i in sent)
    assert float(found.p_total) > 0
    power = xb.power(array, found)
    assert {"far_drivers", "far_amplifiers", "bridges"} <= set(power.parts)
    assert all((np.asarray(x) >= 0).all() for x in jax.tree.leaves(power))
    assert abs(float(power.total) - float(found.p_total)) <= 1e-12 * float(found.p_total)


def test_columns_as_inputs():
    """Voltages on the bit lines, read at the word lines: the transfer matrix turned round."""
    case = plain()
    array, v = case.array(), np.linspace(0.1, 0.4, COLS)
    found = xb.solve(array, xb.Bias(0.0, v), SOLVER)
    t = np.asarray(xb.transfer(array, SOLVER))
    np.testing.assert_allclose(-np.asarray(found.i_word), t.T @ v, rtol=1e-11)


def test_many_inputs_are_solved_at_once():
    case = CASES["all other lines float"]
    rng = np.random.default_rng(3)
    word, bit = rng.uniform(0, 1, (ROWS, 3)), rng.uniform(0, 1, (COLS, 3))
    bias = xb.Bias(word, bit, word_floats=case.word_floats, bit_floats=case.bit_floats)
    found = xb.solve(case.array(), bias, SOLVER)
    assert found.v_word.shape == (ROWS, COLS, 3)
    assert found.i_word.shape == (ROWS, 3)
    for k in range(3):
        right = exact(case._replace(word=word[:, k], bit=bit[:, k]))
        one = jax.tree.map(lambda x, k=k: x[..., k] if x.ndim and x.shape[-1] == 3 else x, found)
        assert max(differences(one, right).values()) <= 1e-12


def test_one_program_serves_chips_with_different_faults():
    """Masks, places and resistances under one `vmap`."""
    kind = KINDS["opens and bridges"]
    chips = [random_case(np.random.default_rng(90 + k), 3, 4, "mild", kind) for k in range(5)]
    fields = {
        name: jnp.stack([jnp.asarray(getattr(case, name)) for case in chips])
        for name in ("g", "word_open", "bit_open", "word_floats", "bit_floats", "word")
    }
    places = jnp.array([[[a[1:], b[1:]] for a, b, _ in case.bridges] for case in chips])
    ohms = jnp.array([[r for *_, r in case.bridges] for case in chips])
    first = chips[0]
    kinds = [(a[0], b[0]) for a, b, _ in first.bridges]

    def solve(x: dict, places: jax.Array, ohms: jax.Array) -> xb.Solution:
        bridges = [
            xb.Bridge((a, *places[k, 0]), (b, *places[k, 1]), ohms[k])
            for k, (a, b) in enumerate(kinds)
        ]
        faults = xb.LineFaults(x["word_open"], x["bit_open"], bridges, max_open=7)
        wires = xb.Wires(first.word_line, first.bit_line, first.source, first.sense)
        array = xb.Crossbar(x["g"], wires, faults)
        bias = xb.Bias(x["word"], word_floats=x["word_floats"], bit_floats=x["bit_floats"])
        return xb.solve(array, bias, xb.CG(), throw=False)

    found = jax.jit(jax.vmap(solve))(fields, places, ohms)
    same = ("word_line", "bit_line", "source", "sense")
    for k, case in enumerate(chips):
        case = case._replace(**{name: getattr(first, name) for name in same}, bit=np.zeros(4))
        one = jax.tree.map(lambda x, k=k: x[k], found)
        assert max(differences(one, exact(case)).values()) <= 1e-9


@pytest.mark.parametrize("name", ["all other lines float", "both ends", "broken"])
def test_transfer_matrix_takes_floating_and_broken_lines_into_account(name):
    case = CASES[name]._replace(word_far=None)
    array = case.array(max_open=4) if case.word_open is not None else case.array()
    t = np.asarray(xb.transfer(array, case.bias(), SOLVER))
    v = np.random.default_rng(1).uniform(-1, 1, ROWS)
    right = exact(case._replace(word=v))
    assert np.max(np.abs(t @ v - right.i_out)) <= 1e-12 * right.largest


def test_transfer_matrix_leaves_out_far_drivers_of_their_own_voltage():
    case = CASES["both ends"]
    t = np.asarray(xb.transfer(case.array(), case.bias(), SOLVER))
    v = np.random.default_rng(1).uniform(-1, 1, ROWS)
    right = exact(case._replace(word=v, word_far=np.zeros(ROWS)))
    assert np.max(np.abs(t @ v - right.i_out)) <= 1e-12 * right.largest
