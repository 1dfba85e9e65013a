"""Hardware as one object, windows that an outlier eats, and networks of other libraries."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor

import xbar as xb
from xbar import nn
from xbar.nn import from_sklearn, from_torch

RNG = np.random.default_rng(0)
WEIGHTS = [RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2))]
BIASES = [RNG.normal(size=4), RNG.normal(size=2)]
X = RNG.uniform(size=(9, 3))
KEY = jax.random.key(0)
forward = eqx.filter_jit(lambda net, x: net(x, solver=xb.Ideal()))


def software(weights, biases, x, phi=lambda z: np.maximum(z, 0)):
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        x = phi(x @ w + b)
    return x @ weights[-1] + biases[-1]


def off(net, expected, x=X):
    """Largest error of the outputs in the software network's unit, relative to the largest."""
    found = np.asarray(forward(net, x)) / float(net.output_scale)
    return np.max(np.abs(found - expected)) / np.max(np.abs(expected))


# --- one object ---------------------------------------------------------------------------------


def test_hardware_is_the_keywords_in_one_object():
    given = {
        "wires": xb.Wires(2.0, 1.0),
        "window": xb.Window.preset("25k-200k"),
        "mapping": "balanced",
        "open_loop_gain": 300.0,
        "v_max": 0.3,
        "v_read": 0.1,
        "v_bias": 0.05,
    }
    one = xb.Network.from_weights(WEIGHTS, BIASES, calibration=X, **given)
    other = xb.Network.from_weights(WEIGHTS, BIASES, calibration=X, hardware=xb.Hardware(**given))
    assert eqx.tree_equal(one, other)
    default = xb.Network.from_weights(WEIGHTS, BIASES, hardware=xb.Hardware())
    assert eqx.tree_equal(default, xb.Network.from_weights(WEIGHTS, BIASES))


def test_each_layer_may_have_its_own():
    each = [xb.Hardware(scale="column"), xb.Hardware(v_max=0.5, wires=xb.Wires(1.0, 1.0))]
    net = xb.Network.from_weights(WEIGHTS, BIASES, hardware=each)
    assert net.layers[0].s.shape == (4,)
    assert net.layers[1].s.shape == ()
    assert net.layers[1].readout.v_max == 0.5
    assert net.layers[1].wires.word_line == 1


def test_summaries_name_the_numbers():
    hardware = xb.Hardware(wires=xb.Wires(2.5, 1.0), adc=xb.ADC(7), v_max=0.3, clip=0.99)
    text = repr(hardware)
    for part in ("10000 to 1e+06 ohm", "word_line 2.5", "7 bits", "-inf to 0.3 V", "0.99"):
        assert part in text
    net = xb.Network.from_weights(WEIGHTS, BIASES, hardware=hardware, calibration=X)
    text = str(net)
    for part in (
        "3-4-2",
        "4 x 8 cells",
        "1 to 100 uS",
        "word_line 2.5",
        "relu",
        "ADC(bits 7",
        "0.3",
    ):
        assert part in text
    wires = xb.Wires(np.array([[1.0, 2.5]]), source=50.0)
    assert repr(wires) == "Wires(word_line 1 to 2.5, bit_line 0, source 50, sense 0 [ohm])"
    assert repr(xb.Window(1e-6, 1e-4)) == "Window(1 to 100 uS, 10000 to 1e+06 ohm)"
    assert "inf ohm" in repr(xb.Window(0.0, 1e-4))
    batched = eqx.filter_vmap(lambda g: xb.Window(1e-6, g))(jnp.array([1e-4, 2e-4]))
    assert "f64[2]" in repr(batched)


# --- scales, clipping and the window ------------------------------------------------------------


@pytest.mark.parametrize("mapping", ["unipolar", "balanced"])
def test_scales_by_column_change_nothing_in_the_ideal_circuit(mapping):
    hardware = xb.Hardware(scale="column", mapping=mapping)
    net = xb.Network.from_weights(WEIGHTS, BIASES, calibration=X, hardware=hardware)
    assert off(net, software(WEIGHTS, BIASES, X)) < 1e-12
    largest = np.maximum(net.layers[0].pairs.g_plus, net.layers[0].pairs.g_minus).max(0)
    np.testing.assert_allclose(largest, 1e-4)  # each column at the window's edge


def outlier(dtype=np.float64):
    """One weight 1e9 times the others."""
    weights = [w.astype(dtype) for w in WEIGHTS]
    weights[0][0, 0] = 1e9
    return weights, [b.astype(dtype) for b in BIASES]


def test_a_window_that_an_outlier_has_eaten_is_said_and_cured_by_scales_for_columns():
    weights, biases = outlier(np.float32)
    weights[1][0] = 0  # the neuron of the outlier itself is lost to any scale
    x = X.copy()
    x[:, 0] = 0
    with pytest.warns(UserWarning, match=r"weights\[0\]: the median weight uses .* of the window"):
        net = xb.Network.from_weights(weights, biases, calibration=x)
    expected = software([np.asarray(w, float) for w in weights], biases, x)
    assert off(net, expected, x.astype(np.float32)) > 0.1
    cured = xb.Network.from_weights(
        weights, biases, calibration=x, hardware=xb.Hardware(scale="column")
    )
    assert off(cured, expected, x.astype(np.float32)) < 1e-4


def test_clipped_weights_are_held_at_the_quantile_and_all_others_are_right():
    weights, biases = outlier()
    net = xb.Network.from_weights(weights, biases, hardware=xb.Hardware(clip=0.9))
    layer = net.layers[0]
    rows = np.concatenate([weights[0], biases[0][None]])
    edge = np.quantile(np.abs(rows), 0.9)
    found = (np.asarray(layer.pairs.g_plus) - np.asarray(layer.pairs.g_minus)) / float(layer.s)
    np.testing.assert_allclose(found, np.clip(rows, -edge, edge), rtol=1e-12)
    pairs, s = xb.map_weights(rows, layer.window, scale="column", clip=0.5)
    middle = np.quantile(np.abs(rows), 0.5, axis=0)
    g = np.asarray(pairs.g_plus) - np.asarray(pairs.g_minus)
    np.testing.assert_allclose(g / np.asarray(s), np.clip(rows, -middle, middle), rtol=1e-12)


def test_ohm_in_place_of_siemens_is_said():
    with pytest.warns(UserWarning, match=r"Window.g_max: got 1e\+06 S, .* Window.from_resistances"):
        xb.Window(1e4, 1e6)
    with pytest.warns(UserWarning, match="Crossbar.from_resistances") as seen:
        xb.Crossbar(np.full((2, 2), 1e4), xb.Wires())
    assert [Path(one.filename) for one in seen] == [Path(__file__)]  # the caller's line, not ours


def test_stuck_values_in_ohm():
    with pytest.warns(UserWarning, match=r"StuckPair.value: got 5000 S, .* StuckPair.from_res"):
        xb.StuckPair(5e3)
    assert str(xb.StuckPair(2e-4)) == "StuckPair: both cells of a pair stuck: 200 uS"
    assert xb.StuckMinus.from_resistance(5e3).value.g == 1 / 5e3
    assert xb.StuckPair.from_resistance(np.inf).value.g == 0
    each = xb.StuckPlus.from_resistance([[1e3, 1e4]])
    np.testing.assert_allclose(each.value.g, [[1e-3, 1e-4]])


# --- cells and devices --------------------------------------------------------------------------


def sinh(g):
    return xb.cells.Sinh(g, v_0=0.25)


def test_cells_that_are_not_ohmic_are_solved_for_each_input():
    """At v_read and without wires the secant is the mapped conductance; gains are fitted."""
    x = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 1.0], [0.5, 0.5, 0.2]])
    hardware = xb.Hardware(cells=sinh)
    net = xb.Network.from_weights(WEIGHTS[:1], BIASES[:1], calibration=x, hardware=hardware)
    ideal = xb.Network.from_weights(WEIGHTS[:1], BIASES[:1], calibration=x)
    law, g = net.layers[0].array().cells, np.asarray(ideal.layers[0].pairs.interleave())
    np.testing.assert_allclose(np.asarray(law.current(jnp.full(g.shape, 0.2))), 0.2 * g, rtol=1e-12)
    found, linear = np.asarray(net(x, solver=xb.Dense())), np.asarray(ideal(x, solver=xb.Dense()))
    full, part = found[:3] - linear[:3], found[3] - linear[3]
    # Inputs of 0 or full scale see the secant alone: one factor, that of the fitted gain.
    ratio = found[:3] / linear[:3]
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-9)
    assert np.abs(part).max() > np.abs(full).max()
    volts = net.solve(x, solver=xb.Dense())
    np.testing.assert_allclose(volts[0][0].v_out, found, rtol=1e-9)
    np.testing.assert_allclose(net.power(x, solver=xb.Dense())[0], volts[0][1].p_total, rtol=1e-9)
    with pytest.raises(ValueError, match="needs linear cells"):
        net.transfers()


def test_lines_that_break_are_part_of_a_layer():
    net = xb.Network.from_weights(WEIGHTS[:1], BIASES[:1], wires=xb.Wires(1.0, 1.0))
    word_open = np.zeros((4, 8), bool)
    word_open[1, 2] = True  # nothing of row 1 from column 2 on
    faults = xb.LineFaults(word_open=word_open)
    where = lambda n: n.layers[0].line_faults  # noqa: E731
    broken = eqx.tree_at(where, net, faults, is_leaf=lambda x: x is None)
    found = np.asarray(broken(X, solver=xb.CG()))
    solved = xb.solve(broken.layers[0].array(), jnp.asarray(np.c_[X * 0.2, np.full(9, 0.2)].T))
    expected = net.layers[0].readout.volts(solved.i_out.T)
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    assert np.abs(found - np.asarray(net(X, solver=xb.CG()))).max() > 1e-3


def test_a_chip_is_programmed_aged_and_read_as_its_device_does():
    device = xb.devices.preset("wan2022")
    hardware = xb.Hardware(device=device)
    assert eqx.tree_equal(hardware.window, device.window)
    assert "wan2022" in repr(hardware)
    net = xb.Network.from_weights(WEIGHTS, BIASES, calibration=X, hardware=hardware)
    chip = nn.program(net, KEY)
    for number, (layer, target) in enumerate(zip(chip.layers, net.layers, strict=True)):
        own = jax.random.fold_in(KEY, number)
        assert eqx.tree_equal(layer.pairs, device.program(target.pairs, own))
        assert eqx.tree_equal(layer.targets, target.pairs)
        assert not eqx.tree_equal(layer.pairs, target.pairs)
    later = nn.age(chip, KEY, 3600.0)
    own = jax.random.fold_in(KEY, 0)
    first = chip.layers[0]
    aged = device.age(first.pairs, own, 3600.0, net.layers[0].pairs)
    assert eqx.tree_equal(later.layers[0].pairs, aged)
    seen = nn.read(later, KEY, 3600.0, 2).layers[0].pairs
    assert eqx.tree_equal(seen, device.read(aged, own, 3600.0, 2, net.layers[0].pairs))
    assert eqx.tree_equal(nn.program(chip, KEY), chip)  # from the targets, not from what it has


# --- activations of one's own -------------------------------------------------------------------


@pytest.mark.parametrize("phi", [jax.nn.gelu, jax.nn.leaky_relu, lambda z: z / (1 + abs(z))])
def test_any_elementwise_activation_is_exact(phi):
    net = xb.Network.from_weights(WEIGHTS, BIASES, activation=phi, calibration=X)
    expected = software(WEIGHTS, BIASES, X, lambda z: np.asarray(phi(jnp.asarray(z))))
    assert off(net, expected) < 1e-12
    mlp = eqx.nn.MLP(3, 2, 4, 2, activation=phi, key=KEY)
    net = xb.Network.from_mlp(mlp, calibration=X)
    assert off(net, np.asarray(jax.vmap(mlp)(jnp.asarray(X)))) < 1e-12


# --- networks of other libraries ----------------------------------------------------------------


class Tensor:
    """What a tensor of PyTorch lets one do."""

    def __init__(self, values):
        self._values = values

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return self._values


def state(weights, biases, tensor=np.asarray):
    found = {}
    for n, (w, b) in enumerate(zip(weights, biases, strict=True)):
        found |= {f"body.{2 * n}.weight": tensor(w.T), f"body.{2 * n}.bias": tensor(b)}
    return found


@pytest.mark.parametrize("tensor", [np.asarray, Tensor])
def test_a_state_dict_is_read_in_its_own_layout(tensor):
    """Square layers included, which nobody could tell from their transposes."""
    weights = [RNG.normal(size=(3, 3)), RNG.normal(size=(3, 3))]
    biases = [RNG.normal(size=3), RNG.normal(size=3)]
    net = from_torch(state(weights, biases, tensor), activation="tanh", calibration=X)
    assert off(net, software(weights, biases, X, np.tanh)) < 1e-12


def test_layers_without_bias_and_single_layers():
    w = RNG.normal(size=(3, 2)).astype(np.float32)
    net = from_torch({"weight": w.T}, calibration=X)
    assert net.k_in.dtype == jnp.float32
    assert off(net, X @ w) < 1e-4


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_networks_of_scikit_learn(activation):
    labels = np.arange(9) % 3
    model = MLPClassifier((4,), activation=activation, max_iter=2, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(X, labels)
    net = from_sklearn(model, calibration=X)
    logits = np.asarray(forward(net, X))
    probabilities = np.exp(logits / float(net.output_scale))
    probabilities /= probabilities.sum(1, keepdims=True)
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=1e-9)


def test_regressors_and_linear_models():
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=2, random_state=0).fit(X, X[:, 0])
    assert off(from_sklearn(model, calibration=X), model.predict(X)[:, None]) < 1e-12
    ridge = Ridge().fit(X, X[:, :2] @ [1, -2])
    assert off(from_sklearn(ridge, calibration=X), ridge.predict(X)[:, None]) < 1e-12
    logistic = LogisticRegression().fit(X, np.arange(9) % 3)
    assert off(from_sklearn(logistic, calibration=X), logistic.decision_function(X)) < 1e-12


# --- bad input ----------------------------------------------------------------------------------

CONV = {"conv.weight": np.ones((2, 1, 3, 3)), "conv.bias": np.ones(2)}


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: xb.Hardware(window="mnsim"), TypeError, "window: got str, needs a Window"),
        (lambda: xb.Hardware(adc=8), TypeError, "adc: got int, needs a ADC"),
        (lambda: xb.Hardware(scale="row"), ValueError, "scale: got 'row', needs one of"),
        (lambda: xb.Hardware(mapping="bipolar"), ValueError, "mapping: got 'bipolar'"),
        (lambda: xb.Hardware(partial_sums="mixed"), ValueError, "partial_sums: got 'mixed'"),
        (lambda: xb.Hardware(clip=1.5), ValueError, "clip: got 1.5, needs a share above 0"),
        (lambda: xb.Hardware(tile=(64, 63)), ValueError, "tile: got .64, 63., needs .rows, cols."),
        (lambda: xb.Hardware(v_read=0), ValueError, "v_read: got 0, needs a finite value > 0"),
        (lambda: xb.Hardware(v_max=-1, v_min=0), ValueError, "Readout.v_max: got -1, needs more"),
        (
            lambda: xb.Network.from_weights(WEIGHTS, hardware=xb.Hardware(), v_max=0.5),
            ValueError,
            "v_max: got one beside hardware, which has its own",
        ),
        (
            lambda: xb.Network.from_weights(WEIGHTS, hardware=[xb.Hardware()]),
            ValueError,
            "hardware: got 1, needs one, or one per layer, 2",
        ),
        (
            lambda: xb.Network.from_weights(WEIGHTS).with_fault(1, np.ones((5, 2), bool), "on"),
            TypeError,
            "fault: got 'on', needs a fault such as StuckPair",
        ),
        (
            lambda: xb.Network.from_weights(WEIGHTS).with_fault(1.0, None, xb.StuckPair()),
            TypeError,
            "layer: got 1.0, needs a whole number",
        ),
        (lambda: from_torch([1, 2]), TypeError, "state_dict: got list, needs a mapping"),
        (lambda: from_torch(CONV), ValueError, r"state_dict\['conv.weight'\]: got an array \(2, 1"),
        (
            lambda: from_torch({"a.weight": np.ones((2, 3)), "b.running_mean": np.ones(2)}),
            ValueError,
            r"state_dict\['b.running_mean'\]: got an array \(2,\) that belongs to no linear layer",
        ),
        (lambda: from_sklearn(MLPClassifier()), ValueError, "estimator: got a MLPClassifier with"),
        (lambda: from_sklearn(3), TypeError, "estimator: got int, needs a fitted MLP"),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_bad_input_gets_one_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
