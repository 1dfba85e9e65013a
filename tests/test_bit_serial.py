"""Bit-serial inputs: cycles of single bits add up to the input, and each is read by itself."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb

RNG = np.random.default_rng(2)
WEIGHTS = [RNG.normal(size=(5, 4)), RNG.normal(size=(4, 3))]
BIASES = [RNG.normal(size=4), RNG.normal(size=3)]
X = RNG.uniform(-1, 1, size=(20, 5))


def made(**hardware):
    return xb.Network.from_weights(WEIGHTS, BIASES, calibration=X, hardware=xb.Hardware(**hardware))


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_cycles_add_up_to_the_nearest_level(bits):
    dac = xb.DAC(bits, 0.2, serial=True)
    v = jnp.asarray(RNG.uniform(-0.25, 0.25, 1001))
    step = 0.2 / (2**bits - 1)
    expected = np.clip(np.round(np.asarray(v) / step), 1 - 2**bits, 2**bits - 1) * step
    np.testing.assert_allclose(dac.volts(v), expected, atol=1e-12)
    each = np.abs(np.asarray(dac.cycles(v)))
    assert each.shape == (bits, 1001)
    assert set(np.unique(each.round(12))) <= {0.0, 0.2}
    np.testing.assert_allclose(dac.weights(v).sum(), 1, rtol=1e-12)


@pytest.mark.parametrize("bits", [24, 25, 32])
def test_full_scale_stays_full_scale_where_a_float_has_fewer_bits(bits):
    volts = np.array([0.2, -0.2, 0.1], np.float32)
    found = xb.DAC(bits, 0.2, serial=True).volts(jnp.asarray(volts))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, volts, rtol=1e-6)


def test_without_an_adc_a_linear_array_reads_the_same_in_cycles_as_at_once():
    wires = xb.Wires(5.0, 5.0)
    serial = made(wires=wires, dac=xb.DAC(6, serial=True))
    plain = made(wires=wires)
    layer, own = plain.layers[0], serial.layers[0]
    assert own.dac is not None
    v = plain.k_in * jnp.asarray(X)
    t = layer.transfer()
    expected = layer.apply(t, own.dac.volts(v)).v_tia
    found = own.apply(t, v)
    np.testing.assert_allclose(found.v_tia, expected, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(found.v_in[:, :-1], own.dac.volts(v), rtol=1e-12)
    fine = made(wires=wires, dac=xb.DAC(24, 0.5, serial=True))  # a range that nothing leaves
    np.testing.assert_allclose(fine(X), plain(X), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("tile", [None, (4, 4)])
def test_each_cycle_is_converted_by_itself(tile):
    net = made(dac=xb.DAC(3, serial=True), adc=xb.ADC(4), tile=tile)
    layer = net.layers[-1]
    v = jnp.asarray(RNG.uniform(0, 0.2, size=(6, 4)))
    plain = xb.nn.Readout(layer.readout.r_f)
    assert layer.dac is not None
    array = layer.circuit().prepare()
    read = []
    for cycle in layer.dac.cycles(v):
        analog = plain.volts(array.currents(cycle, layer.v_bias))
        converted = layer.readout.steps[-1].volts(analog)
        read.append(converted.sum(-2) if tile else converted)
    expected = np.tensordot([1 / 7, 2 / 7, 4 / 7], np.stack(read), axes=1)
    np.testing.assert_allclose(layer.voltages(array, v).v_tia, expected, rtol=1e-9, atol=1e-14)
    once = made(dac=xb.DAC(3), adc=xb.ADC(4), tile=tile)
    assert not np.allclose(once(X), net(X))


@pytest.mark.slow
def test_derivatives_go_straight_through():
    net = made(dac=xb.DAC(4, serial=True), wires=xb.Wires(2.0, 2.0))
    plain = made(wires=xb.Wires(2.0, 2.0))
    layer, own = plain.layers[0], net.layers[0]
    t, v = layer.transfer(), plain.k_in * jnp.asarray(X[0])
    found = jax.jacobian(lambda v: own.apply(t, v).v_tia)(v)
    np.testing.assert_allclose(found, jax.jacobian(lambda v: layer.apply(t, v).v_tia)(v), rtol=1e-9)


@pytest.mark.slow
def test_cells_that_bend_see_full_scale_in_every_cycle():
    cells = xb.cells.SinhCells(0.1)
    serial = made(cells=cells, dac=xb.DAC(5, serial=True))
    once = made(cells=cells, dac=xb.DAC(5))
    assert serial(X).shape == (20, 3)
    assert not np.allclose(serial(X), once(X), rtol=1e-3)
    assert serial(X[0]).shape == (3,)


def test_what_knows_one_state_of_the_circuit_alone_says_so():
    net = made(dac=xb.DAC(5, serial=True))
    for call in (net.solve, net.power):
        with pytest.raises(ValueError, match="got bit-serial inputs"):
            call(X)
    assert "bit-serial" in str(xb.Hardware(dac=xb.DAC(5, serial=True)))


@pytest.mark.slow
def test_a_converted_model_takes_bit_serial_inputs():
    model = eqx.nn.MLP(5, 3, 4, 1, key=jax.random.key(0))
    hardware = xb.Hardware(dac=xb.DAC(10, serial=True), adc=xb.ADC(12))
    mine = xb.convert(model, hardware, calibration=jnp.asarray(X))
    found = jax.vmap(mine)(jnp.asarray(X))
    np.testing.assert_allclose(found, jax.vmap(model)(jnp.asarray(X)), atol=0.02)


@pytest.mark.slow
def test_noise_is_drawn_in_every_cycle():
    net = made(dac=xb.DAC(4, serial=True), adc=xb.ADC(16, noise=1e-3))
    a, b = (net(X, key=jax.random.key(k)) for k in (0, 1))
    assert not np.allclose(a, b)
