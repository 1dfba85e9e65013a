"""Rung 4 of the ladder: xbar against ngspice, run now."""

import re
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from circuits import cast, random_circuit
from spice_cases import needs_ngspice, small_network

import xbar as xb
from xbar import spice
from xbar.devices import SHAPES, StuckPair, inject, random_mask
from xbar.devices.mapping import Pairs, Window
from xbar.io import load_digits
from xbar.nn import Network
from xbar.spice.netlist import values_of
from xbar.spice.rounding import rounding
from xbar.spice.run import measure_array

pytestmark = [needs_ngspice, pytest.mark.optimized]


def assert_agrees(report: spice.Report, *, least: int = 4):
    assert len(report.rows) >= least
    assert report.agrees, "\n".join(map(str, report.rows))


def inputs(rng, circuit) -> np.ndarray:
    """Three input vectors: the circuit's, a random one of both signs, nothing."""
    rows = len(circuit.v_in)
    return np.stack([circuit.v_in, rng.uniform(-1, 1, rows), np.zeros(rows)], axis=1)


SIZES = [(1, 1), (1, 6), (6, 1), (5, 8), (16, 16), (32, 32)]
LARGE = pytest.param((64, 64), marks=pytest.mark.slow)


@pytest.mark.parametrize("regime", ["mild", "severe"])
@pytest.mark.parametrize("shape", [*SIZES, LARGE], ids=lambda shape: f"{shape[0]}x{shape[1]}")
def test_arrays(shape, regime):
    """Every node voltage and current within 1e-10 of the largest."""
    rng = np.random.default_rng(shape[0] * 100 + shape[1])
    circuit = random_circuit(rng, *shape, regime)
    assert_agrees(spice.verify_array(circuit.array(), inputs(rng, circuit), rtol=1e-10))


@pytest.mark.parametrize("wires", ["none", "zeros inside", "word line only", "sense only"])
@pytest.mark.parametrize("cells", ["some open", "a row and a column open", "all open"])
def test_zero_wires_and_open_cells(wires, cells):
    rng = np.random.default_rng(4)
    g = 10 ** rng.uniform(-6, -4, (16, 16))
    opened = rng.random(g.shape) < 0.3
    if cells != "some open":
        opened[3] = opened[:, 5] = True
    g[opened | (cells == "all open")] = 0
    segments = rng.uniform(1, 10, (2, 16, 16)) * (rng.random((2, 16, 16)) < 0.5)
    lines = np.zeros((2, 16))
    if wires == "none":
        segments[:] = 0
    elif wires == "word line only":
        segments[1] = 0
    elif wires == "sense only":
        segments[:], lines[1] = 0, 50
    array = xb.Crossbar(g, xb.Wires(*segments, *lines))
    assert_agrees(spice.verify_array(array, rng.uniform(-1, 1, (16, 3)), rtol=1e-10))


@pytest.mark.parametrize("stuck", ["on", "off"])
@pytest.mark.parametrize("shape", SHAPES)
def test_all_shapes_of_defects(shape, stuck):
    rng = np.random.default_rng(3)
    window = Window.preset()
    drawn = 10 ** rng.uniform(-6, -4, (2, 16, 8))
    mask = random_mask(shape, jax.random.key(1))
    pairs = inject(Pairs(*drawn), mask, StuckPair(stuck), window)
    assert bool(jnp.any(pairs.interleave() != Pairs(*drawn).interleave()))
    array = xb.Crossbar(pairs.interleave(), xb.Wires(5.0, 5.0, 20.0, 10.0))
    assert_agrees(spice.verify_array(array, rng.uniform(0, 0.2, (16, 3)), rtol=1e-10))


@pytest.mark.parametrize(("regime", "rtol"), [("mild", 2e-6), ("severe", 1e-5)])
@pytest.mark.parametrize(
    "shape", [(5, 8), pytest.param((32, 32), marks=pytest.mark.slow)], ids=["5x8", "32x32"]
)
def test_float32(shape, regime, rtol):
    rng = np.random.default_rng(17)
    circuit = random_circuit(rng, *shape, regime)
    array = circuit.array(np.float32)
    v_in = jnp.asarray(inputs(rng, circuit), jnp.float32)
    report = spice.verify_array(array, v_in, rtol=rtol)
    assert_agrees(report)
    assert max(row.error for row in report.rows) > 1e-12  # it was float32


def test_the_solution_is_ours():
    circuit = random_circuit(np.random.default_rng(3), 5, 8, "mild")
    theirs = spice.run_array(circuit.array(), circuit.v_in)
    ours = xb.solve(circuit.array(), circuit.v_in)
    assert jax.tree.structure(theirs) == jax.tree.structure(ours)
    assert [x.shape for x in jax.tree.leaves(theirs)] == [x.shape for x in jax.tree.leaves(ours)]
    assert theirs.result == xb.RESULTS.successful
    assert theirs.kcl_residual < 1e-10
    assert all(row.agrees for row in spice.compare(ours, theirs))


def test_positive_inputs_give_positive_currents():
    """Signs, on a circuit whose answer is plain: 1 V over 1 + 2 + 10 + 3 + 4 ohm."""
    wires = xb.Wires(word_line=2.0, bit_line=3.0, source=1.0, sense=4.0)
    sol = spice.run_array(xb.Crossbar(np.array([[0.1]]), wires), np.array([1.0]))
    np.testing.assert_allclose(sol.i_out, [0.05], rtol=1e-12)
    np.testing.assert_allclose(sol.i_cell, [[0.05]], rtol=1e-12)
    np.testing.assert_allclose(sol.v_word, [[0.85]], rtol=1e-12)
    np.testing.assert_allclose(sol.v_bit, [[0.35]], rtol=1e-12)
    np.testing.assert_allclose(sol.p_total, 0.05, rtol=1e-12)


def test_a_subcircuit_in_a_test_bench():
    """Two instances of one array, the second with rows and columns driven by sources of its own."""
    circuit = random_circuit(np.random.default_rng(6), 5, 8, "mild")
    first, second = circuit.v_in, np.linspace(-1, 1, 5)
    bench = [spice.subckt(circuit.array(), "tile")]
    for name, volts in (("a", first), ("b", second)):
        pins = [f"{name}i{i}" for i in range(5)] + [f"{name}o{j}" for j in range(8)]
        bench += [f"V{name}{i} {name}i{i} 0 {v:.17g}" for i, v in enumerate(volts)]
        bench += [f"V{name}out{j} {name}o{j} 0 0" for j in range(8)]
        bench.append(f"X{name} {' '.join(pins)} tile")
    deck = "* test bench\n" + "\n".join(bench) + "\n.op\n.end\n"
    (point,) = spice.run_netlist(deck).points
    ours = xb.solve(circuit.array(), np.stack([first, second], axis=1)).i_out
    for k, name in enumerate("ab"):
        theirs = np.array([point[f"i:v{name}out{j}"] for j in range(8)])
        assert np.max(np.abs(ours[:, k] - theirs)) <= 1e-10 * np.max(np.abs(theirs))


AMPLIFIERS = {
    "ideal": {},
    "gain 1000": {"open_loop_gain": 1e3},
    "gain 20, rails": {"open_loop_gain": 20.0, "v_min": -0.15, "v_max": 0.1},
    "one rail": {"v_max": 0.05},
}


@pytest.mark.parametrize("amplifiers", AMPLIFIERS)
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_networks(activation, amplifiers):
    network, x = small_network(activation, **AMPLIFIERS[amplifiers])
    assert_agrees(spice.verify_network(network, x, rtol=1e-9), least=6)


def test_the_network_of_ngspice_is_ours():
    network, x = small_network("tanh", open_loop_gain=1e3)
    for inputs_ in (x, x[1]):
        ours = network.voltages(network.transfers(), inputs_)
        for a, b in zip(ours, spice.run_network(network, inputs_), strict=True):
            for name in ("v_in", "v_tia", "v_out"):
                assert getattr(a, name).shape == getattr(b, name).shape
                np.testing.assert_allclose(getattr(b, name), getattr(a, name), atol=1e-9)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_layers(number):
    network, _ = small_network("sigmoid", open_loop_gain=1e3, v_max=0.1)
    layer = network.layers[number]
    v = np.random.default_rng(2).uniform(-0.2, 0.2, (3, layer.pairs.shape[0] - 1))
    assert_agrees(spice.verify_layer(layer, v, number=number, rtol=1e-10), least=6)


@pytest.mark.slow
def test_the_digit_network_with_a_defect():
    """64-50-20-8-10, wires, a defect, finite gain, 2 real digits: every layer within 1e-9."""
    rng = np.random.default_rng(0)
    sizes = (64, 50, 20, 8, 10)
    weights = [rng.normal(0, (2 / a) ** 0.5, (a, b)) for a, b in pairwise(sizes)]
    images = load_digits().images
    network = Network.from_weights(
        weights, wires=xb.Wires(1.0, 1.0), calibration=images, open_loop_gain=1e4
    )
    hit = random_mask("circle", jax.random.key(2), 0.35)
    broken = network.with_fault(3, hit, StuckPair("on"))
    report = spice.verify_network(broken, images[:2], rtol=1e-9)
    assert_agrees(report, least=8)


# --- the comparison can fail --------------------------------------------------------------------


def with_one_percent(text: str, element: str) -> str:
    """The netlist with one of its resistors changed by 1 %."""
    (line,) = re.findall(rf"^{element} .*$", text, re.MULTILINE)
    *words, r = line.split()
    return text.replace(line, " ".join([*words, f"{1.01 * float(r):.17g}"]))


@pytest.mark.parametrize("element", ["Rcell_2_3", "Rword_1_0", "Rbit_4_2", "Rsrc_0", "Rsense_7"])
def test_one_resistor_off_by_a_percent_is_noticed(element):
    rng = np.random.default_rng(8)
    g = 10 ** rng.uniform(-6, -4, (5, 8))
    array = xb.Crossbar(g, xb.Wires(5.0, 5.0, 20.0, 10.0))
    text = spice.array_netlist(array, np.full(5, 0.2))
    ours = xb.solve(array, np.full(5, 0.2)).i_out

    def error(deck: str) -> float:
        (point,) = spice.run_netlist(deck).points
        theirs = np.array([point[f"i:vout_{j}"] for j in range(8)])
        return float(np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs)))

    assert error(text) <= 1e-10
    assert error(with_one_percent(text, element)) > 1e-8


def test_the_verdict_of_another_array_is_disagreement():
    circuit = random_circuit(np.random.default_rng(3), 5, 8, "mild")
    array = circuit.array()
    other = eqx.tree_at(lambda a: a.wires.sense, array, array.wires.sense + 1.0)
    rows = spice.compare(xb.solve(other, circuit.v_in), spice.run_array(array, circuit.v_in))
    assert {row.verdict for row in rows} == {"DISAGREES"}
    assert all(re.fullmatch(r"(row \d, )?(column \d, )?input 0", row.where) for row in rows)


def test_the_readout_of_another_gain_is_disagreement():
    network, x = small_network("relu", open_loop_gain=1e3)
    other, _ = small_network("relu", open_loop_gain=1e3 + 1e-3)
    theirs = spice.run_network(other, x)
    ours = network.voltages(network.transfers(), x)
    assert np.max(np.abs(ours[0].v_tia - theirs[0].v_tia)) > 1e-9 * np.max(np.abs(ours[0].v_tia))


def test_precision_does_not_pass_by_casting():
    """A float32 answer compared at float64's tolerance disagrees."""
    circuit = random_circuit(np.random.default_rng(17), 5, 8, "mild")
    array = cast(circuit.array(), jnp.float32)
    report = spice.verify_array(array, jnp.asarray(circuit.v_in, jnp.float32), rtol=1e-10)
    assert not report.agrees


ALMOST_OPEN = [
    {"source": 1e12},
    {"word_line": 1e12},
    {"sense": 1e12},
    {"source": 1e9, "sense": 1e9},
]


@pytest.mark.parametrize("wires", ALMOST_OPEN, ids=lambda wires: "+".join(wires))
def test_the_referees_own_cancellation_is_not_held_against_xbar(wires):
    """Behind 1e12 ohm g (v_word - v_bit) keeps eight digits; an error of 1e-6 is still seen."""
    array = xb.Crossbar(np.array([[1e-4]]), xb.Wires(**wires))
    assert_agrees(spice.verify_array(array, np.ones(1)))
    theirs = measure_array(array, np.ones(1), ngspice=None, timeout_s=60.0)[0]
    may_differ = rounding(values_of(array), np.ones((1, 1)))
    assert np.all(may_differ.i_cell <= 1e-6 * theirs.i_cell)


def test_on_common_wires_the_tolerance_is_what_was_asked():
    rng = np.random.default_rng(5)
    circuit = random_circuit(rng, 16, 16, "mild")
    report = spice.verify_array(circuit.array(), inputs(rng, circuit), rtol=1e-10)
    assert max(row.rtol for row in report.rows) <= 1.1e-10
