"""Exact maps of layers in tiles: every fault, gradient and segment against tiles solved by hand."""

import importlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sensitivity_cases import N, labels, losses

import xbar as xb
from xbar import sensitivity as sens
from xbar.sensitivity.coupling import coupling_in

# 6 x 6 cells are 2 x 2 tiles, the lower ones with two rows of open cells at their far ends; 4 x 6
# are 1 x 2.
ROWS, COLS = TILE = (4, 4)
SHAPES, GRID = [(6, 6), (4, 6)], [(2, 2), (1, 2)]
RNG = np.random.default_rng(4)
WEIGHTS = [RNG.normal(size=(5, 3)), RNG.normal(size=(3, 3))]
BIASES = [0.3 * RNG.normal(size=3), 0.3 * RNG.normal(size=3)]
X, LABELS = RNG.uniform(0, 1, (N, 5)), labels()
WIRES = xb.Wires(30.0, 20.0, 50.0, 10.0)
OPTIONS = {"digital": {"v_min": -0.1, "v_max": 0.1, "scale": "column"}, "analog": {}}


def network(sums, wires=WIRES):
    hardware = xb.Hardware(
        window=xb.Window.preset("3.3k-1M"),
        tile=TILE,
        wires=wires,
        partial_sums=sums,
        open_loop_gain=30.0,
        **OPTIONS[sums],
    )
    return xb.Network.from_weights(WEIGHTS, BIASES, calibration=X, hardware=hardware)


# By the plain reference, which shares nothing with the sweeps under test.
solved = jax.jit(lambda net: net(X, solver=xb.Dense()))
one_tile = jax.jit(lambda tile: xb.transfer(tile, xb.Dense()))


def broken(net, layer, cells, g_new):
    return np.asarray(solved(sens.with_cells(net, layer, np.asarray(cells), g_new)))


def by_hand(net, layer, tile, circuit):
    """Output voltages with a circuit in the place of one tile."""
    v = net.input_volts(jnp.asarray(X))
    for number, part in enumerate(net.layers):
        known = part.circuit()
        t = {at: known[at].crossbar() for at in np.ndindex(*known.grid)}
        t |= {tile: circuit} if number == layer else {}
        found = {at: one_tile(array) for at, array in t.items()}
        joined = np.zeros((*known.grid, COLS, ROWS))
        for at, matrix in found.items():
            joined[at] = matrix
        v = part.apply(jnp.asarray(part.tiling.joined(joined, part.pairs.shape)), v).v_out
    return np.asarray(v)


def lines(layer):
    """Cells of every physical word line, by (line of the layer, column of tiles); and bit line."""
    (rows, cols), (high, wide) = SHAPES[layer], GRID[layer]
    word = {
        (i, c): [(i, j) for j in range(c * COLS, min((c + 1) * COLS, cols))]
        for i in range(rows)
        for c in range(wide)
    }
    bit = {
        (r, j): [(i, j) for i in range(r * ROWS, min((r + 1) * ROWS, rows))]
        for r in range(high)
        for j in range(cols)
    }
    return word, bit


def assert_map(found, faults, net, layer, g):
    for at, cells in faults.items():
        loss, accuracy = losses(broken(net, layer, cells, g), net)
        assert abs(found.loss[at] - loss) <= 1e-9 * max(1, loss)
        assert found.accuracy[at] == pytest.approx(accuracy, abs=1e-12)


@pytest.fixture(scope="module", params=["digital", "analog"])
def net(request):
    return network(request.param)


@pytest.fixture(scope="module")
def base(net):
    return sens.baseline(net, X, LABELS)


def test_the_baseline_is_the_network(net, base):
    np.testing.assert_allclose(base.voltages, solved(net), atol=1e-12)
    assert [answers.g.shape for answers in base.responses] == [(*g, *TILE) for g in GRID]
    if net.layers[0].tiling.partial_sums == "digital":  # rails are reached by partial sums
        assert np.max(np.abs(base.stages[0].v_lin)) > 0.1


def test_every_cell_and_pair(net, base):
    for layer, (rows, cols) in enumerate(SHAPES):
        g = float(net.layers[layer].window.g_max)
        cells = {at: [at] for at in np.ndindex(rows, cols)}
        assert_map(sens.cell_faults(base, layer, "on"), cells, net, layer, g)
        volts = sens.fault_voltages(base, layer, list(cells), "on")
        for found, cell in zip(volts, cells.values(), strict=True):
            expected = broken(net, layer, cell, g)
            assert np.max(np.abs(found - expected)) <= 1e-10 * np.max(np.abs(expected))
    pairs = {(i, p): [(i, 2 * p), (i, 2 * p + 1)] for i, p in np.ndindex(6, 3)}
    g = float(net.layers[0].window.g_min)
    assert_map(sens.pair_faults(base, 0, "off"), pairs, net, 0, g)
    assert len(sens.ranked(base, n=3)) == 3


def test_lines_are_those_of_a_tile(net, base):
    word, bit = lines(0)
    g = float(net.layers[0].window.g_max)
    rows, columns = sens.row_faults(base, 0, "on"), sens.column_faults(base, 0, "on")
    assert (rows.loss.shape, columns.loss.shape) == ((6, 2), (2, 6))
    assert_map(rows, word, net, 0, g)
    assert_map(columns, bit, net, 0, g)


@pytest.mark.parametrize("cheaper", [True, False], ids=["update", "solved anew"])
def test_sets_over_several_tiles(net, base, cheaper, monkeypatch):
    module = importlib.import_module("xbar.sensitivity.fault_sets")
    monkeypatch.setattr(module, "update_is_cheaper", lambda *_: cheaper)
    cells = np.array([[[0, 0], [0, 5], [5, 1], [4, 3]], [[1, 1], [2, 1], [1, 0], [5, 5]]])
    g_new = 1e-4 * RNG.uniform(0.1, 3, (2, 4))
    found = sens.fault_sets(base, 0, cells, g_new)
    for k in range(2):
        assert found.loss[k] == pytest.approx(
            losses(broken(net, 0, cells[k], g_new[k]), net)[0], rel=1e-9
        )
    if cheaper:
        known = coupling_in(net.layers[0])
        again = sens.fault_sets(base, 0, cells, g_new, method="update", known=known)
        np.testing.assert_allclose(again.loss, found.loss, rtol=1e-12)
        pairs = sens.pair_column_faults(base, 0, "on")
        assert pairs.loss.shape == (2, 3)
        _, bit = lines(0)
        both = {(r, p): bit[r, 2 * p] + bit[r, 2 * p + 1] for r, p in np.ndindex(2, 3)}
        assert_map(pairs, both, net, 0, float(net.layers[0].window.g_max))


def test_every_broken_segment(net, base):
    found = sens.segment_faults(base, 0)
    known = net.layers[0].circuit()
    for kind, faults in (("word_open", found.word), ("bit_open", found.bit)):
        for tile, place in (((0, 0), (1, 1)), ((0, 1), (2, 0)), ((1, 0), (2, 2)), ((1, 1), (3, 1))):
            circuit = known[tile].crossbar()
            mask = np.zeros(TILE, bool)
            mask[place] = True
            faulty = xb.Crossbar(circuit.g, circuit.wires, xb.LineFaults(**{kind: mask}))
            row = place[0] if tile[0] == 0 else place[0] + 2
            at = row, tile[1] * COLS + place[1]
            assert faults.loss[at] == pytest.approx(
                losses(by_hand(net, 0, tile, faulty), net)[0], rel=1e-9
            )


def test_gradients_agree_with_those_from_the_baseline(net, base):
    """By JAX through all tiles, and by reciprocity; together those of wires that all share."""
    found, wires = sens.gradients(net, X, LABELS), sens.wire_slopes(base)

    @eqx.filter_jit
    @eqx.filter_grad
    def shared(lines):
        def with_lines(layer, word_line, bit_line, source, sense):
            own = xb.Wires(word_line, bit_line, source, sense)
            return eqx.tree_at(lambda layer: layer.wires, layer, own)

        each = [with_lines(layer, *own) for layer, own in zip(net.layers, lines, strict=True)]
        volts = eqx.tree_at(lambda net: net.layers, net, tuple(each))(X)
        return xb.learn.mlp.cross_entropy(volts / net.output_scale, jnp.asarray(LABELS))

    sums = shared([jnp.array([30.0, 20.0, 50.0, 10.0])] * 2)
    for layer in range(2):
        own = found.layers[layer]
        second = sens.expansion(base, layer)
        np.testing.assert_allclose(own.g, second.slope, rtol=1e-8, atol=1e-9 * np.abs(own.g).max())
        for name in ("word_line", "bit_line"):
            theirs = getattr(wires[layer], name)
            scale = np.abs(theirs).max()
            np.testing.assert_allclose(getattr(own, name), theirs, rtol=0, atol=1e-9 * scale)
        assert own.source.shape == (SHAPES[layer][0], 2)
        assert own.sense.shape == (GRID[layer][0], 6)
        each = [own.word_line, own.bit_line, own.source, own.sense]
        np.testing.assert_allclose([x.sum() for x in each], sums[layer], rtol=1e-8)


def test_one_segment_of_one_tile(net):
    """A finite difference, the tile's resistances changed by hand."""
    step, found, tile = 1e-3, sens.gradients(net, X, LABELS).layers[0], (1, 1)
    circuit = net.layers[0].circuit()[tile].crossbar()
    for name, place, at in (("word_line", (2, 1), (4, 5)), ("bit_line", (3, 0), (5, 4))):
        ends = []
        for sign in (-1, 1):
            r = np.full(TILE, float(getattr(circuit.wires, name)))
            r[place] += sign * step
            where = lambda a, name=name: getattr(a.wires, name)  # noqa: E731
            changed = eqx.tree_at(where, circuit, jnp.asarray(r))
            ends.append(losses(by_hand(net, 0, tile, changed), net)[0])
        slope = (ends[1] - ends[0]) / (2 * step)
        assert getattr(found, name)[at] == pytest.approx(slope, rel=1e-5, abs=1e-9)
