"""Weight matrices on arrays of one shape: tiled is untiled, and each tile is the array it says."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar import cells, nn
from xbar.devices import Everywhere, StuckPair
from xbar.io.store import read_results, write_results
from xbar.io.tree import decode, encode
from xbar.nn import tiles
from xbar.nn.tiling import Tiling
from xbar.spice import network_netlist, verify_array

RNG = np.random.default_rng(3)
WEIGHTS = [RNG.normal(size=(12, 7)), RNG.normal(size=(7, 4))]
BIASES = [0.3 * RNG.normal(size=7), 0.3 * RNG.normal(size=4)]
X = RNG.uniform(0, 1, (9, 12))
TILE = (5, 6)  # 13 x 14 cells are 3 x 3 tiles, 8 x 8 cells 2 x 2
WIRES = xb.Wires(2.0, 3.0, 40.0, 20.0)


def network(**options):
    hardware = xb.Hardware(**{"tile": TILE, **options})
    return xb.Network.from_weights(WEIGHTS, BIASES, calibration=X, hardware=hardware)


def software(x, weights=WEIGHTS, biases=BIASES):
    return np.maximum(x @ weights[0] + biases[0], 0) @ weights[1] + biases[1]


def largest_error(a, b):
    return np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(np.asarray(b)).max()


def nodal(g, wires, r_in):
    """Transfer matrix, and what drivers give for 1 V, by the current law at every node."""
    (rows, cols), size = g.shape, g.size
    sense = float(wires.sense) + np.broadcast_to(r_in, (cols,))
    word, bit = float(wires.word_line), float(wires.bit_line)
    y, drive = np.zeros((2 * size, 2 * size)), np.zeros((2 * size, rows))
    first, ends = 1 / (float(wires.source) + word), 1 / (bit + sense)

    def stamp(a, b, conductance):
        y[[a, b], [a, b]] += conductance
        y[[a, b], [b, a]] -= conductance

    for i, j in np.ndindex(rows, cols):
        w, b = i * cols + j, size + i * cols + j
        stamp(w, b, g[i, j])
        if j:
            stamp(w, w - 1, 1 / word)
        else:
            y[w, w] += first
            drive[w, i] += first
        if i + 1 < rows:
            stamp(b, b + cols, 1 / bit)
        else:
            y[b, b] += ends[j]
    v = np.linalg.solve(y, drive)
    return ends[:, None] * v[2 * size - cols :], first * (np.eye(rows) - v[:size:cols])


def pieces(rows, columns):
    """Where the tiles of a matrix of cells begin and end."""
    for top in range(0, rows, TILE[0]):
        for left in range(0, columns, TILE[1]):
            yield slice(top, min(top + TILE[0], rows)), slice(left, min(left + TILE[1], columns))


# --- the same network -----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"mapping": "balanced"}, {"scale": "column"}])
@pytest.mark.parametrize("sums", ["digital", "analog"])
def test_tiled_is_untiled_on_ideal_wires(sums, options):
    net = network(partial_sums=sums, **options)
    whole = network(**options | {"tile": None})
    assert largest_error(net(X), whole(X)) < 1e-12
    assert largest_error(net(X[0]), net.output_scale * software(X[0])) < 1e-12
    assert net.transfers()[0].shape == (14, 13)


def test_any_cut_comes_back():
    for rows, cols, shape in ((5, 6, (13, 14)), (4, 2, (4, 2)), (3, 8, (7, 3)), (9, 9, (2, 20))):
        tiling, g = Tiling(rows, cols), np.arange(float(np.prod(shape))).reshape(shape)
        parts = tiling.cut(g)
        assert parts.shape == (-(-shape[0] // rows), -(-shape[1] // cols), rows, cols)
        assert (tiling.whole(parts, shape) == g).all()
        # What is left over stands next to amplifiers (the last row) and drivers (the first column).
        assert parts[-1, 0, -1, 0] == g[-1, 0]


@pytest.mark.parametrize("options", [{}, {"scale": "column", "open_loop_gain": 30.0}])
def test_each_tile_is_its_part_of_the_matrix_solved_alone(options):
    net = network(wires=WIRES, **options)
    for layer, t in zip(net.layers, net.transfers(), strict=True):
        g = np.asarray(layer.pairs.interleave())
        r_in = np.broadcast_to(layer.readout.r_in, g.shape[1:])
        for rows, columns in pieces(*g.shape):
            alone = nodal(g[rows, columns], WIRES, r_in[columns])[0]
            assert largest_error(t[columns, rows], alone) < 1e-10


def test_digital_sums_are_of_converted_parts_and_analog_ones_are_converted_sums():
    step = 0.05
    for sums in ("digital", "analog"):
        net = network(partial_sums=sums, adc=xb.ADC(6, 63 * step / 2))
        z = np.concatenate([X, np.ones((9, 1))], 1)
        rows = np.concatenate([WEIGHTS[0], BIASES[0][None]])
        parts = [
            float(net.k[1]) * z[:, r] @ rows[r] for r in (slice(0, 5), slice(5, 10), slice(10, 13))
        ]
        parts = parts if sums == "digital" else [sum(parts)]
        want = sum(step * np.round(v / step) for v in parts)
        found = net.voltages(net.transfers(), X)[0].v_tia
        np.testing.assert_allclose(found, want, atol=1e-12)


def test_converters_of_parts_are_calibrated_to_the_parts():
    weights, biases = [np.array([[5.0], [-5.0]])], [np.zeros(1)]
    x, ranges = np.array([[1.0, 1.0], [1.0, 0.9]]), []
    for sums in ("digital", "analog"):
        hardware = xb.Hardware(tile=(1, 2), partial_sums=sums, adc=xb.ADC(8))
        net = xb.Network.from_weights(weights, biases, calibration=x, hardware=hardware)
        ranges.append(float(net.layers[0].readout.steps[-1].v_range.high) / float(net.k[1]))
    np.testing.assert_allclose(ranges, [5.0, 0.5], rtol=1e-2)


def test_cells_of_any_law_are_solved_tile_by_tile():
    net = network(wires=xb.Wires(2.0, 3.0), cells=lambda g: cells.Sinh(g, v_0=0.2))
    v, layer = jnp.asarray(0.2 * X[:2]), net.layers[0]
    found = layer.circuit().currents(v, layer.v_bias)
    g, volts = layer.pairs.interleave()[10:, :6], jnp.full((2, 1), layer.v_bias)
    array = xb.Crossbar(layer.cells(g), xb.Wires(2.0, 3.0))  # what is left over
    alone = xb.solve(array, jnp.concatenate([v[:, 10:], volts], 1).T)
    assert found.shape == (2, 3, 14)
    assert largest_error(found[:, 2, :6], alone.i_out.T) < 1e-9
    power = net.power(X[:2])
    assert power.shape == (2, 2)
    assert (power > 0).all()


@pytest.mark.parametrize("sums", [pytest.param("digital", marks=pytest.mark.slow), "analog"])
def test_stuck_cells_among_cells_of_a_law_are_resistors_where_they_are(sums):
    """On ideal wires tiles change nothing; nor do corrected matrices, beyond their own error."""
    options = {"cells": lambda g: cells.Sinh(g, v_0=0.1), "partial_sums": sums}
    mask = RNG.random((13, 7)) < 0.3
    found, expected = (
        network(**options, **more).with_fault(0, mask, StuckPair("on"))
        for more in ({}, {"tile": None})
    )
    assert largest_error(found(X), expected(X)) < 1e-9
    near = nn.corrected(found, jnp.asarray(X))
    assert near.errors.shape == (2,)
    assert largest_error(near.volts, expected(X)) < 0.02
    assert float(near.errors.max()) < 0.02
    g = found.layers[0].pairs.interleave()
    tile = found.layers[0].circuit()[1, 2].crossbar()
    chord = np.asarray(tile.cells.current(jnp.full(TILE, 0.4)) / 0.4)[:, :2]
    stuck = np.repeat(mask, 2, 1)[5:10, 12:14]
    own = np.asarray(g)[5:10, 12:14]
    np.testing.assert_allclose(chord[stuck], own[stuck], rtol=1e-9)
    assert (chord[~stuck] > 1.5 * own[~stuck]).all()


# --- what stands on arrays ------------------------------------------------------------------------


def test_power_is_the_sum_of_all_tiles():
    net = network(wires=WIRES)
    layer, power = net.layers[0], net.power(X)
    v = np.asarray(net.voltages(net.transfers(), X)[0].v_in)
    g, want = np.asarray(layer.pairs.interleave()), 0
    for rows, columns in pieces(*g.shape):
        drawn = nodal(g[rows, columns], WIRES, 0.0)[1]
        want = want + np.einsum("ni,ij,nj->n", v[:, rows], drawn, v[:, rows])
    np.testing.assert_allclose(power[0], want, rtol=1e-9)
    np.testing.assert_allclose(net.power(X[0]), power[:, 0], rtol=1e-12)


def test_faults_by_tile_and_by_place_on_the_chip():
    net = network()
    off, g = StuckPair("off"), 1e-6
    for tile, (rows, columns) in zip(np.ndindex(3, 3), pieces(13, 14), strict=True):
        broken = net.with_fault(0, Everywhere(), off, tile=tile).layers[0].pairs
        hit = np.asarray(broken.g_plus) != np.asarray(net.layers[0].pairs.g_plus)
        pairs = slice(columns.start // 2, columns.stop // 2)
        assert np.allclose(broken.g_plus[rows, pairs], g)
        hit[rows, pairs] = False
        assert not hit.any()
    plan = nn.floorplan(net)
    assert len(plan) == 9 + 4
    high, wide = (1 + max(p.chip[axis] for p in plan) for axis in (0, 1))
    chip = np.zeros((high * 5, wide * 3), bool)
    place = plan[10]  # the second tile of the second layer
    assert place[1:] == (1, (0, 1))
    chip[5 * place.chip[0] : 5 * place.chip[0] + 5, 3 * place.chip[1] : 3 * place.chip[1] + 3] = (
        True
    )
    on_chip = nn.with_chip_fault(net, chip, off)
    by_tile = net.with_fault(1, Everywhere(), off, tile=(0, 1))
    assert eqx.tree_equal(on_chip, by_tile)


def test_files_hold_tiles(tmp_path):
    net = network(partial_sums="analog")
    write_results(tmp_path / "net.h5", {"net": encode(net)}, {})
    back = decode(read_results(tmp_path / "net.h5")[0]["net"])
    assert back.layers[0].tiling == Tiling(5, 6, "analog")
    assert (np.asarray(back.layers[1].pairs.g_plus) == np.asarray(net.layers[1].pairs.g_plus)).all()


@pytest.mark.parametrize("kept", [2**26, 0])  # what tiles take is kept, or found once more
def test_slopes_go_through_all_tiles(kept, monkeypatch):
    monkeypatch.setattr(tiles, "KEPT", kept)
    way = [jnp.asarray(RNG.normal(size=w.shape)) for w in WEIGHTS]
    hardware = xb.Hardware(tile=TILE, wires=WIRES)

    @jax.jit
    def loss(weights):
        net = xb.Network.from_weights(weights, BIASES, k=[0.2, 0.05, 0.05], hardware=hardware)
        return jnp.sum(net(X) ** 2)

    weights, h = [jnp.asarray(w) for w in WEIGHTS], 1e-5
    slope = sum(jnp.vdot(a, b) for a, b in zip(jax.jit(jax.grad(loss))(weights), way, strict=True))
    ends = [loss([w + s * d for w, d in zip(weights, way, strict=True)]) for s in (h, -h)]
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * h), slope, rtol=1e-6)


def test_what_needs_one_array_says_so():
    net = network()
    with pytest.raises(ValueError, match="3 x 3 tiles, needs one array"):
        net.layers[0].array()
    with pytest.raises(ValueError, match="tiles, needs one array"):
        network_netlist(net, X[0])
    with pytest.raises(ValueError, match=r"tile: got column 3, needs 0\.\.2"):
        net.with_fault(0, Everywhere(), StuckPair("on"), tile=(0, 3))
    with pytest.raises(ValueError, match="the layer is one array"):
        network(tile=None).with_fault(0, Everywhere(), StuckPair("on"), tile=(0, 0))
    with pytest.raises(ValueError, match="without tiles or of several shapes"):
        nn.floorplan(network(tile=None))
    with pytest.raises(ValueError, match=r"Wires\.sense"):
        network(wires=xb.Wires(1.0, 1.0, sense=np.ones(14)))
    bad = eqx.tree_at(lambda n: n.layers[0].pairs.g_plus, net, jnp.full((13, 7), jnp.nan))
    with pytest.raises(ValueError, match="g: got nan"):
        bad.transfers()
    assert "3 x 3 tiles of 5 x 6 cells, digital sums" in str(net)


@pytest.mark.slow
def test_a_tile_agrees_with_ngspice():
    circuit = network(wires=WIRES).layers[0].circuit()
    for place in ((0, 0), (2, 2)):
        v = circuit.split(jnp.concatenate([0.2 * X[:2], jnp.full((2, 1), 0.2)], 1))[:, place[0]]
        report = verify_array(circuit[place].crossbar(), v.T)
        assert report.agrees, report
