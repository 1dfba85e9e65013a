"""Networks on arrays against the software network, hand formulas, and the checks of the study."""

from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xbar.circuit.crossbar import Wires
from xbar.devices import (
    Circle,
    Everywhere,
    RowLines,
    StuckMinus,
    StuckPair,
    StuckPlus,
    StuckUnequal,
    random_mask,
)
from xbar.devices.mapping import Window
from xbar.nn import Network, Readout, volts_per_unit
from xbar.nn.build import per_layer, unpack_mlp
from xbar.solve import solve
from xbar.solvers import CG, Dense, Ideal

SIZES = (12, 9, 7, 5)
PHI = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
}
MAPPINGS = ["unipolar", "balanced"]
KEY = jax.random.key(11)
activations = pytest.mark.parametrize("activation", PHI)
mappings = pytest.mark.parametrize("mapping", MAPPINGS)


def parameters(sizes=SIZES, seed=0):
    rng = np.random.default_rng(seed)
    shapes = list(pairwise(sizes))
    weights = [rng.normal(size=s) * np.sqrt(2 / s[0]) for s in shapes]
    return weights, [0.3 * rng.normal(size=s[1]) for s in shapes]


def inputs(n=40, count=SIZES[0], seed=1):
    return np.random.default_rng(seed).uniform(0, 16, (n, count))


def software(weights, biases, x, activation="relu"):
    """Activations after each layer; the last are the logits."""
    result = []
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        x = x @ w + b
        x = x if i == len(weights) - 1 else PHI[activation](x)
        result.append(x)
    return result


def rms(a, b):
    """RMS difference of output voltages [V], per network where they are batched."""
    return np.sqrt(np.mean((np.asarray(a) - np.asarray(b)) ** 2, axis=(-2, -1)))


def largest_error(a, b):
    return np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(np.asarray(b)).max()


# --- the ideal circuit is the software network --------------------------------------------------


@pytest.mark.parametrize("scaling", ["calibration", "k", "v_read"])
@mappings
@activations
def test_ideal_circuit_is_the_software_network_times_known_scales(activation, mapping, scaling):
    weights, biases = parameters()
    x = inputs()
    # Without a calibration, inputs of 16 are 3.2 V: large, and still exact as nothing clips.
    options = {"calibration": {"calibration": x}, "k": {"k": [0.01, 0.3, 2.0, 0.05]}}
    net = Network.from_weights(
        weights, biases, activation=activation, mapping=mapping, **options.get(scaling, {})
    )
    layers = net.layer_voltages(x, solver=Ideal())
    assert [v.shape for v in layers] == [(40, 9), (40, 7), (40, 5)]
    for v, a, k in zip(layers, software(weights, biases, x, activation), net.k[1:], strict=True):
        assert largest_error(v, k * a) < 1e-12
    assert net.output_scale == net.k[-1]
    assert (layers[-1] == net(x, solver=Ideal())).all()


def test_default_solver_and_single_inputs():
    weights, biases = parameters((3, 4, 2))
    net = Network.from_weights(weights, biases, k=[0.01, 0.02, 0.03])
    x = inputs(5, 3)
    out = net(x)
    assert largest_error(out, 0.03 * software(weights, biases, x)[-1]) < 1e-12
    one = net(x[2], solver=Ideal())
    assert one.shape == (2,)
    np.testing.assert_allclose(one, out[2], rtol=1e-12)
    assert net.power(x[2], solver=Ideal()).shape == (2,)


def test_networks_without_biases_and_of_one_layer():
    (w,), _ = parameters((6, 4))
    x = inputs(7, 6)
    for biases in (None, [np.zeros(4)]):
        net = Network.from_weights([w], biases, calibration=x)
        assert net.layers[0].pairs.shape == (7, 4)
        assert largest_error(net(x, solver=Ideal()), net.output_scale * (x @ w)) < 1e-12


def test_bias_rows_keep_their_weight_at_any_bias_voltage():
    weights, biases = parameters()
    x = inputs()
    want = software(weights, biases, x)[-1]
    for v_bias in (0.05, -0.3):
        net = Network.from_weights(weights, biases, calibration=x, v_bias=v_bias)
        assert largest_error(net(x, solver=Ideal()), net.output_scale * want) < 1e-12
        np.testing.assert_allclose(net.layers[0].v_bias, v_bias)


# --- scales -------------------------------------------------------------------------------------


@activations
def test_calibration_puts_the_data_into_the_read_voltage(activation):
    weights, biases = parameters()
    x = inputs(300)
    net = Network.from_weights(weights, biases, activation=activation, calibration=x, v_read=0.15)
    np.testing.assert_allclose(net.k[0] * x.max(), 0.15, rtol=1e-12)
    for k, a in zip(net.k[1:], software(weights, biases, x, activation), strict=True):
        np.testing.assert_allclose(k * np.percentile(np.abs(a), 99.9), 0.15, rtol=1e-9)
    for i, layer in enumerate(net.layers):
        r_f = net.k[i + 1] / (layer.s * net.k[i])
        np.testing.assert_allclose(layer.readout.r_f, r_f, rtol=1e-14)


def test_scales_are_finite_where_activations_are_zero():
    weights, _ = parameters()
    dead = [-np.abs(w) for w in weights]
    k = volts_per_unit(dead, None, inputs())
    np.testing.assert_allclose(k[1:], 0.2, rtol=1e-15)
    net = Network.from_weights(dead, calibration=np.zeros((3, 12)))
    np.testing.assert_allclose(net.k, 0.2, rtol=1e-15)
    assert np.abs(net(inputs(), solver=Ideal())).max() <= 1e-17
    # One sample in 5000 is not at 0: its 99.9th percentile is, so the maximum counts.
    rare = np.zeros((5000, 1))
    rare[7] = 4.0
    np.testing.assert_allclose(volts_per_unit([np.eye(1)], None, rare)[1], 0.05)


# --- readout ------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [1.0, 50.0, 1e5])
def test_finite_gain_is_the_hand_formula(gain):
    # One weight and one bias, no wires: each bit line is g1, g2 into R_f / (1 + A), so
    # i = (g1 v1 + g2 v2) / (1 + (g1 + g2) R_f / (1 + A)), and v = R_f (i+ - i-) A / (1 + A).
    k, v_bias = (0.1, 0.3), 0.2
    net = Network.from_weights([[[0.8]]], [[-0.5]], k=k, v_bias=v_bias, open_loop_gain=gain)
    layer = net.layers[0]
    r_f = float(layer.readout.r_f)
    v = np.array([0.1 * 1.7, v_bias])
    i = [
        float(v @ g) / (1 + float(g.sum()) * r_f / (1 + gain))
        for g in (layer.pairs.g_plus[:, 0], layer.pairs.g_minus[:, 0])
    ]
    want = r_f * (i[0] - i[1]) * gain / (1 + gain)
    np.testing.assert_allclose(net([1.7], solver=Dense()), [want], rtol=1e-11)


def test_the_ideal_gain_is_the_limit_of_large_ones_and_has_derivatives():
    weights, biases = parameters((4, 3, 2))
    x = inputs(6, 4)
    ideal = Network.from_weights(weights, biases, calibration=x)
    errors = []
    for gain in (1e3, 1e6):
        net = Network.from_weights(weights, biases, calibration=x, open_loop_gain=gain)
        errors.append(largest_error(net(x, solver=CG()), ideal(x, solver=Ideal())))
    assert 1e-6 < errors[1] < errors[0] * 2e-3

    def r_in(r_f):
        return Readout(r_f).r_in + Readout(r_f).volts(jnp.array([3e-6, 1e-6]))[0]

    np.testing.assert_allclose(jax.grad(r_in)(1e4), 2e-6, rtol=1e-12)


def test_rails_clip_after_the_difference_and_before_the_activation():
    weights, biases = parameters()
    x = inputs()
    k = [0.0125, 0.01, 0.02, 0.02]
    free = Network.from_weights(weights, biases, k=k)
    railed = Network.from_weights(weights, biases, k=k, v_min=-0.05, v_max=0.1)
    v, r = (n.voltages(n.transfers(solver=Ideal()), x) for n in (free, railed))
    assert (v[0].v_tia < -0.05).any()
    assert (v[0].v_tia > 0.1).any()
    assert (r[0].v_tia == jnp.clip(v[0].v_tia, -0.05, 0.1)).all()
    np.testing.assert_allclose(r[0].v_out, np.maximum(r[0].v_tia, 0), rtol=1e-14)
    assert (abs(railed(x, solver=Ideal())) <= 0.1).all()
    # Either amplifier alone is far beyond the rail; only their difference is clipped.
    one_side = Readout(1e4, v_max=0.1).volts(jnp.array([1.00002, 1.0]))
    np.testing.assert_allclose(one_side, [0.1])
    within = Readout(1e4, v_max=0.3).volts(jnp.array([1.00002, 1.0]))
    np.testing.assert_allclose(within, [0.2], rtol=1e-9)


# --- batches, dtypes, derivatives ---------------------------------------------------------------


def test_traced_weights_batch_over_seeds():
    seeds = [parameters((4, 3, 2), seed) for seed in range(3)]
    weights, biases = jax.tree.map(lambda *p: jnp.stack(p), *seeds)
    x = jnp.asarray(inputs(6, 4))

    @eqx.filter_jit
    def run(weights, biases):
        def one(w, b):
            net = Network.from_weights(w, b, calibration=x, wires=Wires(1.0, 1.0))
            faulty = net.with_fault(0, Circle((0.5, 0.5), 0.3), StuckPair("on"))
            return net, faulty(x, solver=CG())

        return eqx.filter_vmap(one)(weights, biases)

    nets, out = run(weights, biases)
    assert nets.k.shape == (3, 3)
    assert nets.output_scale.shape == (3,)
    for i, (w, b) in enumerate(seeds):
        net = Network.from_weights(w, b, calibration=x, wires=Wires(1.0, 1.0))
        one = net.with_fault(0, Circle((0.5, 0.5), 0.3), StuckPair("on"))(x, solver=CG())
        assert largest_error(out[i], one) < 1e-10


def test_wires_gains_and_windows_can_be_batched():
    weights, biases = parameters((4, 3, 2))
    x = inputs(6, 4)

    def run(r, gain, g_max):
        return Network.from_weights(
            weights,
            biases,
            k=[0.01, 0.02, 0.03],
            wires=Wires(r, r),
            window=Window(1e-6, g_max),
            open_loop_gain=gain,
        )(x, solver=CG())

    numbers = (jnp.array([0.0, 5.0]), jnp.array([1e3, 1e4]), jnp.array([1e-4, 3e-4]))
    batch = jax.jit(jax.vmap(run))(*numbers)
    for i in range(2):
        assert largest_error(batch[i], run(*(float(n[i]) for n in numbers))) < 1e-10


def test_float32_weights_make_a_float32_network():
    weights, biases = parameters((4, 3, 2))
    x = inputs(6, 4)
    single = [w.astype(np.float32) for w in weights], [b.astype(np.float32) for b in biases]
    wires = Wires(np.array(1.0), 1.0)
    net = Network.from_weights(*single, calibration=x, wires=wires, v_read=np.array(0.2))
    leaves = jax.tree.leaves((net.layers[0].pairs, net.layers[0].wires, net.k))
    assert {a.dtype for a in leaves} == {jnp.dtype("float32")}
    out = net(x, solver=CG())
    assert out.dtype == jnp.float32
    double = Network.from_weights(weights, biases, calibration=x, wires=Wires(1.0, 1.0))
    assert largest_error(out, double(x, solver=CG())) < 1e-4
    assert net.power(x, solver=CG()).dtype == jnp.float32


def test_derivatives_go_through_mapping_circuit_and_activations():
    weights, biases = parameters((4, 3, 2))
    weights = [jnp.asarray(w) for w in weights]
    x = inputs(6, 4)

    @jax.jit
    def loss(weights, r):
        net = Network.from_weights(weights, biases, k=[0.01, 0.02, 0.03], wires=Wires(r, r))
        return jnp.sum(net(x, solver=CG(rtol=1e-13)) ** 2)

    way = [jnp.asarray(w) for w in parameters((4, 3, 2), seed=5)[0]]
    _, slope = jax.jvp(loss, (weights, 2.0), (way, 1.0))
    gradient, by_r = jax.grad(loss, argnums=(0, 1))(weights, 2.0)
    backward = sum(jnp.vdot(a, b) for a, b in zip(gradient, way, strict=True)) + by_r
    np.testing.assert_allclose(backward, slope, rtol=1e-9)
    h = 1e-5
    ends = []
    for step in (h, -h):
        moved = [w + step * d for w, d in zip(weights, way, strict=True)]
        ends.append(loss(moved, 2.0 + step))
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * h), slope, rtol=1e-6)


def test_a_sweep_over_one_layer_may_keep_the_others_transfers():
    weights, biases = parameters()
    x = inputs()
    net = Network.from_weights(weights, biases, calibration=x, wires=Wires(1.0, 1.0))
    transfers = net.transfers(solver=CG())
    assert [t.shape for t in transfers] == [(18, 13), (14, 10), (10, 8)]
    assert (net.apply(transfers, x) == net(x, solver=CG())).all()
    faulty = net.with_fault(1, Circle((0.5, 0.5), 0.3), StuckPair("on"))
    reused = (transfers[0], faulty.layers[1].transfer(CG()), transfers[2])
    assert (net.apply(reused, x) == faulty(x, solver=CG())).all()


# --- power --------------------------------------------------------------------------------------


def test_power_is_what_the_solver_says_the_drivers_give():
    weights, biases = parameters((4, 3, 2))
    x = inputs(6, 4)
    net = Network.from_weights(
        weights, biases, calibration=x, wires=Wires(2.0, 3.0, 50.0, 20.0), open_loop_gain=100.0
    )
    power = net.power(x, solver=CG())
    assert power.shape == (2, 6)
    for layer, v, p in zip(
        net.layers, net.voltages(net.transfers(solver=CG()), x), power, strict=True
    ):
        want = solve(layer.array(), v.v_in.T, CG()).p_total
        np.testing.assert_allclose(p, want, rtol=1e-10)
    ideal = Network.from_weights(weights, biases, calibration=x)
    v_in = ideal.voltages(ideal.transfers(solver=Ideal()), x)[0].v_in
    per_row = ideal.layers[0].pairs.interleave().sum(1)
    np.testing.assert_allclose(ideal.power(x, solver=Ideal())[0], v_in**2 @ per_row, rtol=1e-12)


# --- faults, and the checks of the study ---------------------------------------------------------


def test_a_fault_changes_one_layer_and_leaves_the_network_as_it_was():
    weights, biases = parameters()
    net = Network.from_weights(weights, biases, k=[0.01, 0.02, 0.03, 0.04])
    before = [layer.pairs for layer in net.layers]
    faulty = net.with_fault(-1, RowLines(-1), StuckPair("on"))
    assert all(a is b for a, b in zip(before, (layer.pairs for layer in net.layers), strict=True))
    assert eqx.tree_equal(faulty.layers[:2], net.layers[:2])
    assert (faulty.layers[2].pairs.g_plus[-1] == 1e-4).all()
    assert eqx.tree_equal(faulty.layers[2].readout, net.layers[2].readout)
    spared = net.with_fault(2, RowLines(-1), StuckPair("on"), include_bias_row=False)
    assert (spared.layers[2].pairs.g_plus[-2] == 1e-4).all()
    assert (spared.layers[2].pairs.g_plus[-1] == net.layers[2].pairs.g_plus[-1]).all()
    chip = net.with_fault(0, Everywhere(), StuckPair("on"), window=Window.preset("chip-stuck"))
    np.testing.assert_allclose(chip.layers[0].pairs.g_plus, 500e-6, rtol=1e-12)


@pytest.mark.parametrize("include_bias_row", [True, False])
@pytest.mark.parametrize("layer", [0, 1, 2])
@activations
def test_check_1_equal_pairs_on_ideal_wires_are_weights_set_to_zero(
    activation, layer, include_bias_row
):
    weights, biases = parameters()
    x = inputs()
    net = Network.from_weights(weights, biases, activation=activation, calibration=x)
    mask = ~Circle((0.6, 0.5), 0.35)
    on, off, value = (
        net.with_fault(layer, mask, StuckPair(g), include_bias_row=include_bias_row)
        for g in ("on", "off", 3e-4)
    )
    hit = np.asarray(mask.mask(net.layers[layer].pairs.shape, include_bias_row=include_bias_row))
    assert hit[-1].any() == include_bias_row
    zeroed = [w.copy() for w in weights], [b.copy() for b in biases]
    zeroed[0][layer][hit[:-1]] = 0
    zeroed[1][layer][hit[-1]] = 0
    want = net.output_scale * software(*zeroed, x, activation)[-1]
    healthy = net(x, solver=Ideal())
    for faulty in (on, off, value):
        assert rms(faulty(x, solver=Ideal()), want) < 1e-12 * rms(want, 0)
    assert rms(on(x, solver=CG()), off(x, solver=CG())) < 1e-11 * rms(healthy, 0)
    assert rms(on(x, solver=Ideal()), healthy) > 0.05 * rms(healthy, 0)


def study_network(mapping="unipolar", r=1.0, sizes=(64, 50, 20, 8, 10)):
    weights, biases = parameters(sizes)
    x = inputs(40, sizes[0])
    wires = Wires(word_line=r, bit_line=r)
    return Network.from_weights(weights, biases, calibration=x, wires=wires, mapping=mapping), x


@pytest.mark.slow
def test_check_2_wires_tell_stuck_on_from_stuck_off():
    base, x = study_network(r=0.0)
    mask = Circle((0.5, 0.5), 0.2)
    layer, r_on = base.layers[0], 1e4

    @jax.jit
    def outputs(r):
        net = eqx.tree_at(
            lambda n: [layer.wires for layer in n.layers],
            base,
            [Wires(word_line=r, bit_line=r)] * len(base.layers),
        )
        transfers = net.transfers(solver=CG())
        result = [net.apply(transfers, x)]
        for value in ("on", "off"):
            faulty = net.with_fault(0, mask, StuckPair(value)).layers[0].transfer(CG())
            result.append(net.apply((faulty, *transfers[1:]), x))
        return result

    differences = []
    for ratio in (0.0, 1e-5, 1e-4, 5e-4):
        healthy, on, off = outputs(ratio * r_on)
        differences.append(rms(on, off) / rms(healthy, 0))
    assert layer.pairs.shape == (65, 50)
    assert differences[0] < 1e-12
    for smaller, larger in pairwise(differences):
        assert larger > 2 * smaller


def mean_errors(net, x, layer, faults, n=24, seed=0):
    """RMS errors against healthy, (fault, mask): the same masks and keys for each fault."""
    healthy = net(x, solver=CG())
    transfers = net.transfers(solver=CG())
    keys = jax.random.split(jax.random.key(seed), n)

    @eqx.filter_jit
    def run(keys):
        def one(key):
            place, draw = jax.random.split(key)
            mask = random_mask("circle", place)
            outs = []
            for fault in faults:
                faulty = net.with_fault(layer, mask, fault, draw).layers[layer].transfer(CG())
                outs.append(net.apply([*transfers[:layer], faulty, *transfers[layer + 1 :]], x))
            return jnp.stack(outs)

        return jax.vmap(one)(keys)

    return rms(run(keys), healthy).T


@pytest.mark.slow
@pytest.mark.parametrize("layer", [0, 2])
def test_check_3_unequal_pairs_are_worse_than_equal_ones(layer):
    net, x = study_network(sizes=(24, 20, 12, 10))
    faults = [
        StuckPair("on"),
        StuckPair("off"),
        StuckUnequal(),
        StuckUnequal("random", "column"),
    ]
    on, off, unequal, by_column = mean_errors(net, x, layer, faults)
    assert len(on) >= 20
    assert unequal.mean() > 1.5 * max(on.mean(), off.mean())
    assert by_column.mean() > 1.5 * max(on.mean(), off.mean())


@pytest.mark.slow
@pytest.mark.parametrize("layer", [0, 2])
@mappings
def test_check_4_one_sided_stuck_on_is_worse_than_stuck_off(mapping, layer, record_property):
    net, x = study_network(mapping, sizes=(24, 20, 12, 10))
    faults = [StuckPlus("on"), StuckPlus("off"), StuckMinus("on"), StuckMinus("off")]
    plus_on, plus_off, minus_on, minus_off = mean_errors(net, x, layer, faults).mean(1)
    plus, minus = plus_on / plus_off, minus_on / minus_off
    both = (plus_on + minus_on) / (plus_off + minus_off)
    for name, ratio in (("plus", plus), ("minus", minus), ("both", both)):
        record_property(f"stuck-on over stuck-off, {name}", float(ratio))
    if mapping == "unipolar":
        # The minus cell least: ReLU cuts off what it pulls below 0.
        assert min(plus, minus) > 1
        assert both > 2
    else:
        # g_plus stuck-on is the weight error that g_minus stuck-off is: the sides mirror each
        # other. So neither is worse on the whole, and on one of the sides the order is reversed.
        np.testing.assert_allclose([plus_on, minus_on], [minus_off, plus_off], rtol=0.05)
        np.testing.assert_allclose(both, 1, rtol=0.05)
        assert min(plus, minus) < 1 < max(plus, minus)


# --- from an equinox MLP --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "options"),
    [
        (jax.nn.relu, {}),
        (jnp.tanh, {}),
        (jax.nn.sigmoid, {}),
        (lambda z: jnp.maximum(z, 0.0), {"use_bias": False}),
        (jax.lax.tanh, {"use_final_bias": False}),
        (jax.nn.relu, {"scan": True}),
        (jax.nn.gelu, {"depth": 0}),  # no hidden layer, so the activation does not act
    ],
)
def test_an_mlp_converts_in_one_call(activation, options):
    depth = options.pop("depth", 3)
    mlp = eqx.nn.MLP(4, 3, 5, depth, activation=activation, key=KEY, **options)
    x = jax.random.normal(KEY, (20, 4))
    net = Network.from_mlp(mlp, calibration=x)
    want = net.output_scale * jax.vmap(mlp)(x)
    assert largest_error(net(x, solver=Ideal()), want) < 1e-12


# --- bad input ------------------------------------------------------------------------------------

W, B = parameters((3, 4, 2))


def from_weights(weights=W, biases=B, **options):
    return Network.from_weights(weights, biases, **options)


def windows_of(window):
    # Below the annotations of from_weights, which beartype would enforce first.
    return per_layer("window", window, Window, Window.preset, 2)


def with_nan(arrays):
    return [np.where(np.arange(a.size).reshape(a.shape) == 1, np.nan, a) for a in arrays]


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: from_weights(W[::-1], B), ValueError, r"weights\[1\]: got 3 inputs, needs 2"),
        (lambda: from_weights([], []), ValueError, "weights: got no layers"),
        (lambda: from_weights([W[0][0]], None), ValueError, r"weights\[0\]: got shape \(4,\)"),
        (lambda: from_weights(with_nan(W)), ValueError, r"weights\[0\]: got nan, needs finite"),
        (lambda: from_weights([W[0], W[1] * np.inf]), ValueError, r"weights\[1\]: got -?inf"),
        (lambda: from_weights(W, B[:1]), ValueError, "biases: got 1, needs 2, one per layer"),
        (lambda: from_weights(W, B[::-1]), ValueError, r"biases\[0\]: got shape \(2,\), needs"),
        (lambda: from_weights(W, with_nan(B)), ValueError, r"biases\[0\]: got nan"),
        (lambda: from_weights([["a"]], None), TypeError, r"weights\[0\]: got dtype"),
        (lambda: from_weights(activation="gelu"), ValueError, "activation: got 'gelu', needs one"),
        (lambda: from_weights(mapping="bipolar"), ValueError, "mapping: got 'bipolar'"),
        (lambda: from_weights(v_read=0.0), ValueError, "v_read: got 0.0, needs a finite value > 0"),
        (lambda: from_weights(v_bias=0.0), ValueError, "v_bias: got 0.0"),
        (lambda: from_weights(k=[0.1, 0.2]), ValueError, "k: got 2 values, needs 3"),
        (lambda: from_weights(k=[0.1, -0.2, 0.1]), ValueError, "k: got -0.2"),
        (
            lambda: from_weights(k=[0.1] * 3, calibration=np.ones((2, 3))),
            ValueError,
            "k: got k and calibration",
        ),
        (lambda: from_weights(calibration=np.ones((2, 5))), ValueError, "calibration: got shape"),
        (lambda: from_weights(calibration=np.ones((0, 3))), ValueError, "calibration: got shape"),
        (lambda: from_weights(calibration=[[np.nan] * 3]), ValueError, "calibration: got nan"),
        (lambda: windows_of("mnsim"), TypeError, "window: got 'mnsim', needs one Window"),
        (lambda: from_weights(window=[Window(0, 1)] * 3), ValueError, "window: got 3, needs one"),
        (lambda: windows_of([Wires()] * 2), TypeError, "window: got list, needs one Window"),
        (lambda: from_weights(wires=Wires(sense=np.ones(7))), ValueError, "Wires.sense: got shape"),
        (lambda: from_weights(open_loop_gain=0), ValueError, "Readout.open_loop_gain: got 0"),
        (lambda: from_weights(v_min=1.0, v_max=0.5), ValueError, "Readout.v_max: got 0.5, needs"),
        (lambda: from_weights(v_max=np.nan), ValueError, "Readout.v_max: got nan"),
        (lambda: Readout(-1.0), ValueError, "Readout.r_f: got -1.0, needs a finite value > 0"),
        (lambda: from_weights()(np.ones((5, 4))), ValueError, r"x: got shape \(5, 4\), needs"),
        (lambda: from_weights()(np.ones((2, 5, 3))), ValueError, "x: got shape"),
        (lambda: from_weights()([1.0, np.nan, 0.0]), ValueError, "x: got nan, needs finite"),
        (lambda: from_weights().apply((), np.ones(3)), ValueError, "transfers: got 0, needs 2"),
        (
            lambda: from_weights().with_fault(2, Everywhere(), StuckPair()),
            ValueError,
            r"layer: got 2, needs 0..1",
        ),
        (
            lambda: from_weights().with_fault(0, np.ones((3, 4), bool), StuckPair()),
            ValueError,
            r"mask: got bool \(3, 4\), needs .* \(4, 4\)",
        ),
        (lambda: unpack_mlp(lambda x: x), TypeError, "mlp: got function"),
        (
            lambda: from_weights(activation=jax.nn.softmax),
            ValueError,
            "activation: got a function that is not elementwise",
        ),
        (
            lambda: Network.from_mlp(
                eqx.nn.MLP(2, 2, 2, 1, final_activation=jax.nn.softplus, key=KEY)
            ),
            ValueError,
            "mlp.final_activation: got one that changes its input",
        ),
    ],
)
def test_bad_input_gets_one_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_values_that_only_the_solver_sees_raise_or_give_nan():
    net = Network.from_weights(W, B)
    bad = eqx.tree_at(lambda n: n.layers[0].pairs.g_plus, net, net.layers[0].pairs.g_plus - 1)
    with pytest.raises(ValueError, match=r"Crossbar\.g"):
        bad(np.ones(3), solver=CG())
    assert jnp.isnan(eqx.filter_jit(lambda n: n(np.ones(3), solver=CG()))(bad)).all()
