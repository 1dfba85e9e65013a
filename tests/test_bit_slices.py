"""Bit-sliced weights: slices add up to the weight, and each is read by itself."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar import sensitivity as sens
from xbar.nn.slices import Slices

RNG = np.random.default_rng(4)
WEIGHTS = [RNG.normal(size=(5, 4)), RNG.normal(size=(4, 3))]
BIASES = [RNG.normal(size=4), RNG.normal(size=3)]
X = RNG.uniform(-1, 1, size=(20, 5))


def made(weights=None, **hardware):
    options = {"calibration": X, "hardware": xb.Hardware(**hardware)}
    return xb.Network.from_weights(WEIGHTS if weights is None else weights, BIASES, **options)


@pytest.mark.parametrize("slices", [(24, 8), (32, 4), (32, 32)])
@pytest.mark.parametrize("traced", [False, True])
def test_the_largest_weight_stays_where_a_float_has_fewer_bits(slices, traced):
    how, w = Slices.of(slices), np.array([[1.0, -1.0], [0.5, 0.0]], np.float32)
    each = np.asarray(how.cut(jnp.asarray(w) if traced else w)).reshape(2, 2, -1)
    assert each.dtype == np.float32
    np.testing.assert_allclose(each @ np.array(how.weights), w, rtol=1e-6)


def test_whole_weights_are_sliced_as_real_ones():
    np.testing.assert_allclose(Slices.of((2, 1)).cut(np.array([[1, 3]])), [[3.0, 0.0, 3.0, 3.0]])


@pytest.mark.parametrize("slices", [(4, 1), (8, 2), (6, 6)])
@pytest.mark.parametrize("scale", ["layer", "column"])
@pytest.mark.parametrize("traced", [False, True])
def test_slices_add_up_to_the_nearest_level(slices, scale, traced):
    how, w = Slices.of(slices), WEIGHTS[0]
    cut = how.cut(jnp.asarray(w) if traced else w, scale)
    each = np.asarray(cut).reshape(5, 4, how.per_weight)
    largest = np.abs(w).max(0 if scale == "column" else None)
    step = largest / (2 ** slices[0] - 1)
    expected = np.round(np.abs(w) / step) * step * np.sign(w)
    np.testing.assert_allclose(each @ np.array(how.weights), expected, rtol=1e-12)
    digits = np.abs(each) / np.broadcast_to(largest, (5, 4))[..., None] * (2 ** slices[1] - 1)
    np.testing.assert_allclose(digits, np.round(digits), atol=1e-9)
    assert np.round(digits).max() <= 2 ** slices[1] - 1
    np.testing.assert_allclose(sum(how.weights), 1, rtol=1e-12)


@pytest.mark.parametrize("scale", ["layer", "column"])
@pytest.mark.parametrize("mapping", ["unipolar", "balanced"])
def test_the_ideal_circuit_computes_the_quantised_network(scale, mapping):
    net = made(slices=(8, 2), scale=scale, mapping=mapping)
    assert net.layers[0].pairs.shape == (6, 16)
    assert net.layers[0].outputs == 4
    how, a = Slices.of((8, 2)), X
    for number, (w, b, layer) in enumerate(zip(WEIGHTS, BIASES, net.layers, strict=True)):
        k = float(net.k[number])
        rows = np.concatenate([w, b[None] * k / float(layer.v_bias)])
        cut = how.cut(rows, scale).reshape(*rows.shape, how.per_weight) @ np.array(how.weights)
        a = a @ cut[:-1] + cut[-1] * float(layer.v_bias) / k
        a = np.maximum(a, 0) if number == 0 else a
    np.testing.assert_allclose(
        np.asarray(net(X)) / float(net.output_scale), a, rtol=1e-9, atol=1e-9
    )


def test_cells_of_a_slice_have_as_many_levels_as_it_needs():
    g = np.asarray(made(slices=(6, 2)).layers[0].pairs.interleave())
    assert len(np.unique(g.round(12))) <= 4


@pytest.mark.parametrize("tile", [None, (4, 6)])
def test_each_slice_is_converted_by_itself(tile):
    net = made(slices=(4, 2), adc=xb.ADC(5), tile=tile)
    layer = net.layers[-1]
    v = jnp.asarray(RNG.uniform(0, 0.2, size=(6, 4)))
    array = layer.circuit().prepare()
    analog = xb.nn.Readout(layer.readout.r_f).volts(array.currents(v, layer.v_bias))
    read = layer.readout.steps[-2].volts(analog)
    assert isinstance(layer.readout.steps[-2], xb.ADC)
    each = np.asarray(read).reshape(*read.shape[:-1], 3, 2) @ np.array([0.2, 0.8])
    expected = each.sum(-2) if tile else each
    np.testing.assert_allclose(layer.voltages(array, v).v_tia, expected, rtol=1e-9, atol=1e-14)


@pytest.mark.slow
def test_derivatives_of_weights_go_straight_through():
    w = [jnp.asarray(w) for w in WEIGHTS]
    k = made().k

    def outputs(w, slices):
        hardware = xb.Hardware(slices=slices)
        net = xb.Network.from_weights(w, BIASES, k=k, hardware=hardware)
        return jnp.sum(net(X)[:, 0])

    fine, plain = (jax.grad(outputs)(w, slices) for slices in ((24, 8), None))
    for a, b in zip(fine, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_sliced_weights_and_serial_inputs_go_together():
    # Ranges that nothing leaves: calibrated ones hold the largest inputs.
    net = made(slices=(10, 2), dac=xb.DAC(10, 0.5, serial=True), adc=xb.ADC(16, 1.0))
    np.testing.assert_allclose(net(X), made()(X), atol=5e-3 * float(np.abs(made()(X)).max()))


@pytest.mark.slow
def test_a_converted_model_takes_sliced_weights():
    model = eqx.nn.MLP(5, 3, 4, 1, key=jax.random.key(0))
    hardware = xb.Hardware(slices=(10, 2), adc=xb.ADC(12))
    mine = xb.convert(model, hardware, calibration=jnp.asarray(X))
    found = jax.vmap(mine)(jnp.asarray(X))
    np.testing.assert_allclose(found, jax.vmap(model)(jnp.asarray(X)), atol=0.02)


@pytest.mark.slow
def test_faults_of_single_cells_are_exact_in_sliced_layers():
    net = made(slices=(4, 2), wires=xb.Wires(5.0, 5.0))
    labels = np.arange(20) % 3
    base = sens.baseline(net, X, labels)
    volts = sens.fault_voltages(base, 0, jnp.array([[1, 3]]), "on")[0]
    g_on = float(net.layers[0].window.g_max)
    again = sens.with_cells(net, 0, np.array([[1, 3]]), g_on)(X)
    np.testing.assert_allclose(volts, again, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("slices", [(8, 3), (2, 4), 8, (0, 0), (8.0, 2), (64, 2)])
def test_bad_slices_are_named(slices, no_shape_checks):
    with pytest.raises(ValueError, match=r"slices: got .*, needs .bits, bits of one cell."):
        xb.Hardware(slices=slices)


def test_sliced_weights_need_ohmic_cells_and_are_said():
    with pytest.raises(ValueError, match="needs ohmic cells"):
        xb.Hardware(slices=(8, 2), cells=xb.cells.SinhCells(0.25))
    assert "4 slices of 2 bits" in str(xb.Hardware(slices=(8, 2)))
