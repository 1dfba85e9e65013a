"""A readout is a chain of steps: one of your own goes through everything, converters on a grid."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sensitivity_cases import inputs, labels, network, solved, stuck
from spice_cases import needs_ngspice

import xbar as xb
from xbar import sensitivity as sens
from xbar import spice
from xbar.nn import AbstractStep, Difference, Prepared, Rails, Readout, Transimpedance, forward

KEY = jax.random.key(3)
CURRENTS = jnp.asarray(np.random.default_rng(0).normal(size=(7, 6)) * 1e-5)


class Compress(AbstractStep):
    """A step that the package does not know: v_0 tanh(v / v_0)."""

    v_0: Any
    linear = False

    def volts(self, x, key=None):
        return self.v_0 * jnp.tanh(x / self.v_0)


def with_readouts(net, change):
    return eqx.tree_at(
        lambda n: [layer.readout for layer in n.layers],
        net,
        [change(layer.readout) for layer in net.layers],
    )


@pytest.fixture(scope="module")
def compressed():
    """A network with a step of its own behind the rails of each layer, finite gains besides."""
    net = network(gain=50.0)
    return with_readouts(net, lambda readout: readout.then(Compress(jnp.asarray(0.1))))


# --- a step of one's own ------------------------------------------------------------------------


def test_a_step_of_ones_own_is_in_the_forward_pass(compressed):
    plain = network(gain=50.0)
    (layer, *_), (own, *_) = plain.layers, compressed.layers
    v = inputs() * plain.k_in
    t = layer.transfer(xb.Dense())
    before, after = layer.apply(t, v), own.apply(t, v)
    np.testing.assert_allclose(after.v_tia, 0.1 * np.tanh(before.v_tia / 0.1), rtol=1e-12)
    assert np.max(np.abs(np.asarray(solved(compressed)) - np.asarray(solved(plain)))) > 1e-3
    volts = compressed.solve(inputs()[0], solver=xb.Dense())[-1][0].v_out
    np.testing.assert_allclose(volts, solved(compressed)[0], rtol=1e-9)


def test_a_step_of_ones_own_is_in_power(compressed):
    """Later arrays are driven at what it lets through."""
    power = [
        np.asarray(net.power(inputs(), solver=xb.Dense()))
        for net in (network(gain=50.0), compressed)
    ]
    np.testing.assert_allclose(power[0][0], power[1][0], rtol=1e-12)
    assert (power[1][1] != power[0][1]).all()


@pytest.mark.parametrize("layer", [0, 1])
def test_a_step_of_ones_own_is_in_fault_maps(compressed, layer):
    base = sens.baseline(compressed, inputs(), labels())
    np.testing.assert_allclose(base.voltages, solved(compressed), atol=1e-12)
    cells = np.array([[0, 0], [2, 3], [3, 5]])
    found = sens.fault_voltages(base, layer, cells, "on")
    for volts, cell in zip(found, cells, strict=True):
        broken = sens.with_cells(compressed, layer, cell[None], stuck(compressed, layer, "on"))
        expected = np.asarray(solved(broken))
        assert np.max(np.abs(volts - expected)) <= 1e-10 * np.max(np.abs(expected))


def test_a_step_of_ones_own_is_in_gradients(compressed):
    """Against the slope of the exact map, and a difference quotient of the gain."""
    found = sens.gradients(compressed, inputs(), labels(), solver=xb.Dense())
    base = sens.baseline(compressed, inputs(), labels())
    for layer in (0, 1):
        slope = sens.expansion(base, layer).slope
        g = found.layers[layer].g
        assert np.max(np.abs(slope - g)) <= 1e-8 * np.max(np.abs(g))
    r_f = float(compressed.layers[1].readout.r_f)
    ends = [
        eqx.tree_at(lambda n: n.layers[1].readout.r_f, compressed, jnp.asarray(r_f * (1 + h)))
        for h in (1e-5, -1e-5)
    ]
    up, down = (float(sens.baseline(net, inputs(), labels()).scores().loss) for net in ends)
    np.testing.assert_allclose(found.layers[1].r_f, (up - down) / (2e-5 * r_f), rtol=1e-6)


def test_outputs_are_counted_once_for_each_kind_of_readout():
    """Whatever values its arrays have; numbers that are no arrays are known, as in a program."""
    asked = []

    class Copies(AbstractStep):
        times: int
        scale: Any
        linear = True

        def volts(self, x, key=None):
            asked.append(self.times)
            return jnp.tile(self.scale * x, self.times)

    def outputs(times, scale):
        net = with_readouts(network(), lambda r: r.then(Copies(times, jnp.asarray(scale))))
        return net.layers[-1].outputs

    one = network().layers[-1].outputs
    assert [outputs(*s) for s in ((2, 1.0), (2, 3.0), (3, 1.0))] == [2 * one, 2 * one, 3 * one]
    assert asked == [2, 3]


def test_a_step_of_ones_own_has_no_netlist(compressed):
    with pytest.raises(ValueError, match="readout: got Compress, which has no netlist"):
        spice.network_netlist(compressed, inputs()[0])


# --- the chain ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "readout",
    [
        Readout(1e4, 50.0, -0.1, 0.1),
        Readout(np.array([1e4, 2e4, 3e4])),
        Readout.of([Transimpedance(1e4, offset=1e-3), Difference(), Rails(v_max=0.05)]),
        Readout.of([Transimpedance(1e4), Compress(0.2), Difference()]),
    ],
    ids=["usual", "one r_f per output", "offset", "own step before the difference"],
)
def test_the_linear_steps_may_come_first(readout):
    """volts(i) = rest(first(i)), the first part linear."""
    first, rest = readout.split()
    np.testing.assert_allclose(rest.volts(first.volts(CURRENTS)), readout.volts(CURRENTS))
    np.testing.assert_allclose(first.volts(-3 * CURRENTS), -3 * np.asarray(first.volts(CURRENTS)))
    assert all(step.linear for step in first.steps)
    assert not rest.steps or not rest.steps[0].linear


def test_amplifiers_may_differ_by_output():
    r_f = np.array([1e4, 2e4, 3e4])
    readout = Readout(r_f, 100.0)
    plus, minus = np.asarray(CURRENTS)[:, 0::2], np.asarray(CURRENTS)[:, 1::2]
    np.testing.assert_allclose(readout.volts(CURRENTS), r_f * (plus - minus) / 1.01, rtol=1e-10)
    np.testing.assert_allclose(readout.r_in, np.repeat(r_f, 2) / 101, rtol=1e-14)


def test_offsets_add_and_noise_is_drawn_anew_for_each_key():
    offset = np.linspace(-1e-3, 1e-3, 6)
    shifted = Readout.of([Transimpedance(1e4, offset=offset), Difference()])
    expected = np.asarray(Readout(1e4).volts(CURRENTS)) + offset[0::2] - offset[1::2]
    np.testing.assert_allclose(shifted.volts(CURRENTS), expected, rtol=1e-12)
    noisy = Readout.of([Transimpedance(1e4, noise=1e-3), Difference()])
    many = jnp.zeros((20_000, 6))
    one, again, other = (np.asarray(noisy.volts(many, k)) for k in (KEY, KEY, jax.random.key(4)))
    assert (one == again).all()
    assert (one != other).all()
    np.testing.assert_allclose(one.std(0), np.sqrt(2) * 1e-3, rtol=0.02)
    assert (np.abs(one.mean(0)) < 5e-5).all()
    assert (noisy.without_noise().volts(many) == 0).all()
    with pytest.raises(ValueError, match="key: got None, needs a JAX key to draw the readout's"):
        noisy.volts(CURRENTS)


def test_networks_draw_a_layers_noise_by_the_key_of_the_read():
    noisy = with_readouts(network(), lambda r: r.then(xb.ADC(16, 1.0, noise=1e-3)))
    read = jax.jit(lambda net, key: net(inputs(), solver=xb.Dense(), key=key))
    one, again, other = (np.asarray(read(noisy, key)) for key in (KEY, KEY, jax.random.key(4)))
    assert (one == again).all()
    assert (one != other).any()
    with pytest.raises(ValueError, match="key: got None"):
        noisy(inputs(), solver=xb.Dense())
    # Derivatives and maps are of the noiseless readout; taking no noise out takes no time.
    silent = network()
    assert silent.without_noise() is silent
    quiet = noisy.without_noise()
    assert quiet is not noisy
    assert quiet.without_noise() is quiet
    base = sens.baseline(noisy, inputs(), labels())
    np.testing.assert_allclose(base.voltages, solved(noisy.without_noise()), atol=1e-4)


def test_a_chain_begins_with_an_amplifier():
    with pytest.raises(TypeError, match="steps: got Difference first, needs an amplifier"):
        Readout.of([Difference()])


def test_the_forward_pass_may_go_on_behind_the_amplifiers_of_a_layer():
    net = network(gain=50.0, rail=0.1)
    transfers = net.transfers(solver=xb.Dense())
    volts = forward(net.layers, [Prepared(t) for t in transfers], net.input_volts(inputs()))
    for layer, v in enumerate(volts):
        found = net.onwards(transfers, layer, v.v_tia)
        np.testing.assert_allclose(found, volts[-1].v_out, rtol=1e-12)


@needs_ngspice
def test_outputs_of_different_gain_are_those_of_ngspice():
    net = xb.Network.from_weights(
        [np.random.default_rng(1).normal(size=(3, 3)) * [1, 5, 25]],
        hardware=xb.Hardware(wires=xb.Wires(5.0, 5.0), scale="column", open_loop_gain=100.0),
    )
    assert net.layers[0].readout.r_f.shape == (3,)
    assert spice.verify_network(net, inputs()[:2]).agrees


# --- converters ---------------------------------------------------------------------------------

RANGES = [(0.0, 0.5), (-0.3, 0.3), (-0.1, 0.4), (0.2, 0.6), (-0.4, 0.0)]
adc_of = jax.jit(lambda v, low, high: xb.ADC(3, (low, high)).volts(v))


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_converters_have_so_many_levels_evenly_and_0_among_them(low, high):
    v = np.linspace(low - 0.2, high + 0.2, 2001)
    found = np.asarray(adc_of(v, low, high))
    levels, lsb = np.unique(found), (high - low) / 7
    assert len(levels) == 8
    np.testing.assert_allclose(np.diff(levels), lsb, rtol=1e-12)
    if low <= 0 <= high:
        assert 0 in levels
        assert np.asarray(adc_of(np.zeros(2001), low, high)).max() == 0
    inside = (v >= low) & (v <= high)
    assert np.max(np.abs(found - v)[inside]) <= lsb / 2 * (1 + 1e-12)
    assert (np.diff(found) >= 0).all()
    np.testing.assert_allclose(found[[0, -1]], levels[[0, -1]])


def test_derivatives_go_straight_through_within_the_range():
    slope = np.asarray(
        jax.vmap(jax.grad(lambda v: xb.ADC(3, 0.3).volts(v)))(jnp.linspace(-1, 1, 20))
    )
    inside = np.abs(np.linspace(-1, 1, 20)) < 0.3
    assert (slope == inside).all()


def test_errors_of_a_converter():
    """16 bits: the grid is finer than what is looked at."""
    v = np.linspace(-0.4, 0.4, 9)
    plain = np.asarray(xb.ADC(16, 0.5).volts(v))
    off = np.asarray(xb.ADC(16, 0.5, offset=0.01, gain_error=0.02).volts(v))
    np.testing.assert_allclose(off, 1.02 * v + 0.01, atol=1e-5)
    np.testing.assert_allclose(plain, v, atol=1e-5)
    lsb = 1 / (2**16 - 1)
    bent = np.asarray(xb.ADC(16, 0.5, inl=50.0).volts(v))
    np.testing.assert_allclose(bent - v, 50 * lsb * (1 - (v / 0.5) ** 2), atol=lsb)
    each = np.asarray(xb.ADC(16, 0.5, offset=np.array([0.0, 0.1])).volts(np.zeros((4, 2))))
    np.testing.assert_allclose(each, np.tile([0.0, 0.1], (4, 1)), atol=1e-5)


def test_more_bits_are_closer_to_no_converters():
    weights = [np.random.default_rng(2).normal(size=(3, 3)) for _ in range(2)]
    options = {"calibration": np.asarray(inputs()), "activation": "tanh"}
    ideal = np.asarray(xb.Network.from_weights(weights, **options)(inputs(), solver=xb.Ideal()))
    errors = []
    for bits in (4, 8, 12):
        hardware = xb.Hardware(dac=xb.DAC(bits), adc=xb.ADC(bits))
        net = xb.Network.from_weights(weights, hardware=hardware, **options)
        found = np.asarray(net(inputs(), solver=xb.Ideal()))
        errors.append(np.max(np.abs(found - ideal)) / np.max(np.abs(ideal)))
    assert errors[0] > 8 * errors[1] > 64 * errors[2]
    assert errors[2] < 2e-3


def test_ranges_come_from_calibration_by_their_rule():
    weights, x = [np.eye(3), np.eye(3)], np.asarray(inputs())
    hardware = xb.Hardware(dac=xb.DAC(8), adc=xb.ADC(8))
    net = xb.Network.from_weights(
        weights, [[-0.5] * 3, [0.0] * 3], calibration=x, hardware=hardware
    )
    first, second = net.layers
    assert (float(first.dac.v_range.low), first.dac.v_range.high) == (
        0,
        np.percentile(x, 99.9) * net.k[0],
    )
    top = np.percentile(np.abs(x - 0.5), 99.9) * net.k[1]
    adc = first.readout.steps[-1]
    np.testing.assert_allclose([adc.v_range.low, adc.v_range.high], [-top, top], rtol=1e-12)
    assert second.dac.v_range.low == 0  # behind a ReLU
    given = xb.Hardware(adc=xb.ADC(8, 0.7))
    net = xb.Network.from_weights(weights, calibration=x, hardware=given)
    assert net.layers[0].readout.steps[-1].v_range.high == 0.7


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: xb.ADC(0), "ADC.bits: got 0, needs a whole number, 1 to 32"),
        (lambda: xb.DAC(8.0), "DAC.bits: got 8.0, needs a whole number"),
        (lambda: xb.DAC(8, (0.5, 0.1)), "DAC.v_range: got .0.5, 0.1., needs low below high"),
        (lambda: xb.ADC(8, (0.0, 0.1, 0.2)), "ADC.v_range: got 3 values"),
        (lambda: xb.ADC(8, -1.0), "ADC.v_range: got .*, needs low below high"),
        (lambda: xb.ADC(8).volts(jnp.zeros(3)), "ADC.v_range: got None, needs a range .V., or cal"),
        (lambda: xb.ADC(8, 1.0, noise=-1.0), "ADC.noise: got -1.0, needs values >= 0"),
        (
            lambda: xb.Network.from_weights([np.eye(3)], hardware=xb.Hardware(dac=xb.DAC(8)))(
                np.ones(3)
            ),
            "DAC.v_range: got None",
        ),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value).split("\n----")[0]
