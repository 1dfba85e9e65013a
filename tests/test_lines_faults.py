"""Defects of lines: drawn, and every single one of an array from one factorization."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest
from sensitivity_cases import inputs, labels, losses, network

import xbar as xb
from xbar import sensitivity as sens
from xbar.circuit import BridgedLines, OpenBitLine, OpenWordLine, draw_line_faults
from xbar.sensitivity import every_bridge, every_open_segment, response

ROWS, COLS = 4, 5
SOLVER = xb.CG(rtol=1e-13)
KEY = jax.random.key(3)
WRONG: Any = "array"


@pytest.fixture(scope="module")
def array():
    rng = np.random.default_rng(2)
    g = np.exp(rng.uniform(np.log(1e-5), np.log(1e-3), (ROWS, COLS)))
    g[2, 1] = g[0, 0] = 0
    g[3, 3:] = 0  # nothing conducts behind the last segments of this line
    word, bit = rng.uniform(1, 50, (2, ROWS, COLS))
    word[1, 2] = bit[3, 1] = 0
    return xb.Crossbar(g, xb.Wires(word, bit, rng.uniform(0, 9, ROWS), rng.uniform(0, 9, COLS)))


@pytest.fixture(scope="module")
def v_in():
    return np.random.default_rng(4).uniform(-1, 1, (ROWS, 2))


def test_every_open_segment_is_that_of_solving_anew(array, v_in):
    found = every_open_segment(array, v_in)
    solve = jax.jit(
        lambda faults: (
            xb.solve(xb.Crossbar(array.g, array.wires, faults), v_in, SOLVER, throw=False).i_out
        )
    )
    largest = float(np.max(np.abs(found.word)))
    for i in range(ROWS):
        for j in range(COLS):
            for kind, ours in (("word", found.word), ("bit", found.bit)):
                masks = {name: np.zeros((ROWS, COLS), bool) for name in ("word", "bit")}
                masks[kind][i, j] = True
                right = solve(xb.LineFaults(masks["word"], masks["bit"], max_open=1))
                assert np.max(np.abs(ours[i, j] - right)) <= 1e-11 * largest, (kind, i, j)


def test_one_input_and_a_known_response_give_the_same(array, v_in):
    every = every_open_segment(array, v_in)
    one = every_open_segment(array, v_in[:, 1], known=response(array))
    np.testing.assert_allclose(one.word, every.word[..., 1], rtol=0, atol=1e-18)
    np.testing.assert_allclose(one.bit, every.bit[..., 1], rtol=0, atol=1e-18)


def broken_networks(net, layer):
    """Output voltages with each segment of a layer broken, word lines first, solved anew."""
    rows, columns = net.layers[layer].pairs.interleave().shape
    masks = np.eye(2 * rows * columns, dtype=bool).reshape(-1, 2, rows, columns)

    @jax.jit
    @jax.vmap
    def voltages(mask):
        faults = xb.LineFaults(mask[0], mask[1], max_open=1)
        broken = eqx.tree_at(
            lambda net: net.layers[layer].line_faults, net, faults, is_leaf=lambda x: x is None
        )
        return broken(inputs(), solver=xb.Dense())

    return np.asarray(voltages(masks)).reshape(2, rows, columns, len(inputs()), -1)


@pytest.mark.parametrize("layer", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_every_broken_segment_of_a_network_is_that_of_solving_anew(layer):
    net = network()
    found = sens.segment_faults(sens.baseline(net, inputs(), labels()), layer)
    changed = 0
    for line, volts in zip(found, broken_networks(net, layer), strict=True):
        for place in np.ndindex(line.loss.shape):
            loss, accuracy = losses(volts[place], net)
            assert abs(line.loss[place] - loss) <= 1e-10 * max(1, loss), place
            assert abs(line.accuracy[place] - accuracy) <= 1e-12, place
            changed += abs(loss - losses(net(inputs()), net)[0]) > 1e-3
    assert changed >= 10


def test_a_segment_that_rounding_would_decide_is_marked():
    """Nearly all of the line's current flows through the rest of the array: solve it anew."""
    word_line = np.ones((ROWS, COLS))
    word_line[0] = 1e9
    g = np.full((ROWS, COLS), 1e-3)
    found = every_open_segment(xb.Crossbar(g, xb.Wires(word_line)), np.ones(ROWS))
    assert np.all(np.isnan(found.word[0]))
    assert np.all(np.isfinite(found.word[1:]))


@pytest.mark.slow
def test_derivatives_are_those_of_solving_anew_where_nothing_conducts_behind_a_break():
    g = np.array([[1e-4, 2e-4, 0.0], [3e-4, 1e-4, 2e-4]])
    wires, v = xb.Wires(2.0, 3.0), np.array([1.0, 0.5])

    def anew(g):
        broken = xb.Crossbar(g, wires, xb.LineFaults(np.array([[0, 0, 1], [0, 0, 0]]) > 0))
        return xb.solve(broken, v, SOLVER, throw=False).i_out

    found = jax.jacrev(lambda g: every_open_segment(xb.Crossbar(g, wires), v).word[0, 2])(g)
    np.testing.assert_allclose(found, jax.jacrev(anew)(g), rtol=1e-8, atol=1e-9)


def test_every_bridge_is_that_of_solving_anew(array, v_in):
    bridges = [
        xb.Bridge(("word", 0, 2), ("word", 1, 2), 20.0),
        xb.Bridge(("bit", 1, 3), ("bit", 1, 4)),
        xb.Bridge(("word", 2, 1), ("bit", 2, 1)),
        xb.Bridge(("word", 2, 1), ("word", 2, 1)),
    ]
    found = every_bridge(array, v_in, bridges, solver=SOLVER)
    largest = float(np.max(np.abs(found)))
    for ours, bridge in zip(found, bridges, strict=True):
        faulty = xb.Crossbar(array.g, array.wires, xb.LineFaults(bridges=bridge))
        right = xb.solve(faulty, v_in, SOLVER).i_out
        assert np.max(np.abs(ours - right)) <= 1e-11 * largest


def test_what_if_refuses_what_it_does_not_treat(array, v_in, no_shape_checks):
    far = xb.Crossbar(array.g, xb.Wires(1.0, source_far=1.0))
    with pytest.raises(ValueError, match="far ends"):
        every_open_segment(far, v_in)
    with pytest.raises(TypeError, match=r"array: got str, needs xbar\.Crossbar"):
        every_open_segment(WRONG, v_in)
    with pytest.raises(ValueError, match="bridges: got none"):
        every_bridge(array, v_in, [])


def test_defects_at_given_places():
    defects = [OpenWordLine([(1, 2), (3, 0)]), OpenBitLine([(0, 4)])]
    faults = draw_line_faults(defects, ROWS, COLS)
    word_open, bit_open = np.asarray(faults.word_open), np.asarray(faults.bit_open)
    assert np.argwhere(word_open).tolist() == [[1, 2], [3, 0]]
    assert np.argwhere(bit_open).tolist() == [[0, 4]]
    with pytest.raises(ValueError, match=r"\(4, 0\)"):
        OpenWordLine([(4, 0)]).draw(ROWS, COLS)


def test_rates_are_those_of_the_draws():
    """Within four standard errors, over chips; one key is one chip."""
    defect = OpenBitLine(rate=0.03)
    draw = jax.jit(jax.vmap(lambda key: defect.draw(50, 40, key).bit_open))
    masks = np.asarray(draw(jax.random.split(KEY, 100)))
    error = np.sqrt(0.03 * 0.97 / masks.size)
    assert abs(masks.mean() - 0.03) <= 4 * error
    np.testing.assert_array_equal(draw(jax.random.split(KEY, 100)), masks)
    with pytest.raises(ValueError, match="needs a JAX key"):
        defect.draw(5, 4)


def test_bridges_join_neighbours_where_they_are():
    defect = BridgedLines("bit", count=3, rate=0.5, r=10.0)

    @jax.jit
    @jax.vmap
    def draw(key):
        return [[b.i_a, b.j_a, b.i_b, b.j_b] for b in defect.draw(ROWS, COLS, key).bridges]

    i_a, j_a, i_b, j_b = np.moveaxis(np.asarray(draw(jax.random.split(KEY, 200))), 1, 0)
    np.testing.assert_array_equal(i_a, i_b)
    assert set(np.unique(j_b - j_a)) == {0, 1}
    assert abs((j_b > j_a).mean() - 0.5) <= 4 * 0.5 / np.sqrt(600)
    assert np.max(j_b) == COLS - 1
    assert np.max(i_a) == ROWS - 1


def test_chips_with_drawn_faults_share_one_program(array):
    defects = [OpenWordLine(rate=0.1), BridgedLines("word", rate=0.5)]

    def chip(key):
        faults = draw_line_faults(defects, ROWS, COLS, key)
        sol = xb.solve(xb.Crossbar(array.g, array.wires, faults), np.ones(ROWS), SOLVER)
        return sol.i_out

    found = np.asarray(jax.jit(jax.vmap(chip))(jax.random.split(KEY, 4)))
    assert np.all(np.isfinite(found))
    assert len({tuple(row) for row in found.round(12)}) > 1
