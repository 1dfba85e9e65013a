"""Gradients of a loss with respect to everything, and expansions along single cells."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sensitivity_cases import SIZES, inputs, labels, network, solved

import xbar as xb
from xbar import sensitivity as sens
from xbar.devices.mapping import Pairs
from xbar.learn.mlp import cross_entropy
from xbar.nn import Readout

RAIL = 0.1  # [V]; some voltages reach it
LAYERS = range(len(SIZES) - 1)
layers = pytest.mark.parametrize("layer", LAYERS)


def shape_of(layer):
    return SIZES[layer] + 1, 2 * SIZES[layer + 1]


@jax.jit
def loss_with(net, parts):
    """The loss with other parts in all layers, by the plain reference for each array."""
    layers = [
        dataclasses.replace(
            layer,
            pairs=Pairs(part["g"][:, 0::2], part["g"][:, 1::2]),
            wires=xb.Wires(part["word_line"], part["bit_line"], part["source"], part["sense"]),
            readout=Readout(part["r_f"], 1 / part["inverse_gain"], -RAIL, RAIL),
        )
        for layer, part in zip(net.layers, parts, strict=True)
    ]
    net = xb.Network(tuple(layers), net.k_in)
    return cross_entropy(net(inputs(), solver=xb.Dense()) / net.output_scale, labels())


def parts_of(net, layer):
    at, shape = net.layers[layer], shape_of(layer)
    return {
        "g": at.pairs.interleave(),
        "word_line": jnp.broadcast_to(at.wires.word_line, shape),
        "bit_line": jnp.broadcast_to(at.wires.bit_line, shape),
        "source": jnp.broadcast_to(at.wires.source, shape[:1]),
        "sense": jnp.broadcast_to(at.wires.sense, shape[1:]),
        "r_f": at.readout.r_f,
        "inverse_gain": 1 / at.readout.open_loop_gain,
    }


@pytest.fixture(scope="module")
def finite():
    """A network with amplifiers of gain 50 and rails."""
    return network(gain=50.0, rail=RAIL)


@pytest.fixture(scope="module")
def expected(finite):
    """Loss and derivatives by JAX, through the derivative rules of the plain reference."""
    parts = [parts_of(finite, layer) for layer in LAYERS]
    return jax.jit(jax.value_and_grad(loss_with, argnums=1))(finite, parts)


@layers
def test_gradients_are_those_of_the_network(finite, expected, layer):
    """With respect to every element, against JAX's derivative of the whole network."""
    found = sens.gradients(finite, inputs(), labels())
    loss, derivatives = expected
    for name, ours in vars(found.layers[layer]).items():
        theirs = derivatives[layer][name]
        assert np.max(np.abs(ours - theirs)) <= 1e-8 * np.max(np.abs(theirs)), name
        assert np.max(np.abs(theirs)) > 0, name
    assert found.loss == pytest.approx(float(loss))


def test_segments_may_be_left_out(finite):
    """All the rest is there, and the same."""
    whole = sens.gradients(finite, inputs(), labels())
    found = sens.gradients(finite, inputs(), labels(), segments=False)
    for ours, theirs in zip(found.layers, whole.layers, strict=True):
        assert ours.word_line is ours.bit_line is None
        for name in ("g", "source", "sense", "r_f", "inverse_gain"):
            a, b = getattr(ours, name), getattr(theirs, name)
            assert np.max(np.abs(a - b)) <= 1e-12 * np.max(np.abs(b)), name


def test_amplifiers_of_infinite_gain(finite):
    """d/d(1/A) at 0, against networks with A = 1e5 and more, extrapolated to 0."""
    net = network()
    found = sens.gradients(net, inputs(), labels())
    for layer in LAYERS:
        rates = []
        for inverse in (2e-5, 1e-5):
            gain = jnp.asarray(1 / inverse)
            other = eqx.tree_at(lambda n, k=layer: n.layers[k].readout.open_loop_gain, net, gain)
            value = sens.gradients(other, inputs(), labels()).loss
            rates.append(float(value - found.loss) / inverse)
        ours = float(found.layers[layer].inverse_gain)
        assert abs(2 * rates[1] - rates[0] - ours) <= 1e-5 * abs(ours)


@pytest.mark.slow
@pytest.mark.parametrize("segments", [True, False])
def test_another_solver(finite, segments):
    default = sens.gradients(finite, inputs(), labels(), segments=segments)
    found = sens.gradients(finite, inputs(), labels(), segments=segments, solver=xb.Dense())
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(default), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-8 * np.max(np.abs(theirs)))


@pytest.mark.slow
def test_a_loss_of_ones_own():
    """Against a central difference."""
    net = network()

    def loss(voltages, labels):
        return jnp.sum(jnp.sin(40 * voltages) * jnp.arange(3.0))

    found = sens.gradients(net, inputs(), labels(), loss)
    cells, step, g = jnp.array([[2, 3]]), 1e-9, net.layers[0].pairs.interleave()[2, 3]
    above, below = (
        loss(solved(sens.with_cells(net, 0, cells, g + d)), labels()) for d in (step, -step)
    )
    slope = float(above - below) / (2 * step)
    assert float(found.layers[0].g[2, 3]) == pytest.approx(slope, rel=1e-5)


@pytest.mark.slow
def test_a_batch_of_networks():
    nets = [network(seed=0), network(seed=1)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *nets)
    together = xb.batch_map(lambda net: sens.gradients(net, inputs(), labels()), stacked)
    for k, net in enumerate(nets):
        alone = sens.gradients(net, inputs(), labels())
        for ours, theirs in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(ours[k], theirs, atol=1e-11 * np.max(np.abs(theirs)))


@pytest.mark.slow
def test_float32_gradients(finite):
    single = jax.tree.map(lambda x: x.astype(jnp.float32), finite)
    found = sens.gradients(single, inputs(), labels())
    exact = sens.gradients(finite, inputs(), labels())
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(exact), strict=True):
        assert ours.dtype == jnp.float32
        assert np.max(np.abs(ours - theirs)) <= 1e-3 * np.max(np.abs(theirs))


def test_what_is_not_finite_is_refused():
    bad = eqx.tree_at(lambda net: net.layers[0].pairs.g_plus, network(), replace_fn=lambda g: -g)
    with pytest.raises(RuntimeError, match="gradients: a transfer matrix or its derivative"):
        sens.gradients(bad, inputs(), labels())
    marked = sens.gradients(bad, inputs(), labels(), throw=False)
    assert bool(jnp.isnan(marked.loss))
    assert bool(jnp.isnan(marked.layers[0].g).all())


# --- expansions -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base():
    return sens.baseline(network(), inputs(), labels())


@layers
def test_the_slope_is_the_gradient(base, layer):
    slope = sens.expansion(base, layer).slope
    gradient = sens.gradients(base.net, inputs(), labels()).layers[layer].g
    assert np.max(np.abs(slope - gradient)) <= 1e-10 * np.max(np.abs(gradient))


@pytest.mark.parametrize("layer", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_the_expansion_is_that_of_the_exact_map(base, layer):
    """What order 1 leaves falls with the square of the change, what order 2 leaves with the cube.

    tanh throughout, so that there is no kink.
    """
    found, healthy = sens.expansion(base, layer), float(base.scores().loss)
    errors = {1: [], 2: []}
    for dg in (4e-6, 2e-6, 1e-6):
        exact = sens.cell_faults(base, layer, base.responses[layer].g + dg).loss - healthy
        for order, of in errors.items():
            of.append(float(jnp.max(jnp.abs(exact - found.predict(dg, order)))))
    for order, (a, b, c) in errors.items():
        expected = 2 ** (order + 1)
        assert a / b == pytest.approx(expected, rel=0.3)
        assert b / c == pytest.approx(expected, rel=0.15)


@pytest.mark.slow
@layers
def test_voltages_along_a_cell(base, layer):
    cells = np.array([[0, 0], [2, 3], [3, 5]])
    first, second = sens.voltage_expansion(base, layer, cells)
    g = np.asarray(base.responses[layer].g)[cells[:, 0], cells[:, 1]]
    step = 1e-8
    ahead, here, back = (
        np.asarray(sens.fault_voltages(base, layer, cells, g + d)) for d in (step, 0, -step)
    )
    np.testing.assert_allclose(first, (ahead - back) / (2 * step), rtol=1e-5, atol=1e-3)
    curved = (ahead - 2 * here + back) / step**2
    assert np.max(np.abs(second - curved)) <= 1e-2 * np.max(np.abs(curved))


def test_order_is_checked(base):
    with pytest.raises(ValueError, match="order: got 3, needs 1 or 2"):
        sens.expansion(base, 0).predict(1e-6, 3)
