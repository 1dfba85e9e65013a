"""Networks of cells that are not resistors: stuck cells, gradients, and many inputs at once."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar import cells
from xbar.nn import corrected
from xbar.sensitivity import baseline

RNG = np.random.default_rng(4)
WEIGHTS = [RNG.normal(size=(5, 4)), RNG.normal(size=(4, 3))]
X = RNG.uniform(0, 1, (6, 5))
HIT = np.zeros((5, 3), bool)
HIT[1:3, :2] = True


def network(v_0=0.15) -> xb.Network:
    hardware = xb.Hardware(wires=xb.Wires(5.0, 5.0), cells=cells.SinhCells(v_0))
    return xb.Network.from_weights(WEIGHTS, hardware=hardware, calibration=X)


@eqx.filter_jit
def volts(v_0, hit):
    net = network(v_0)
    broken = net.with_fault(1, hit, xb.StuckPair("on"))
    return net(X), broken(X)


def test_stuck_cells_are_resistors_among_the_others():
    net = network()
    broken = net.with_fault(1, HIT, xb.StuckPair("on"))
    u = jnp.full((5, 6), 0.3)
    before, after = (n.layers[1].array().cells.current(u) for n in (net, broken))
    stuck = np.repeat(HIT, 2, axis=1)
    g_on = float(net.layers[1].window.g_max)
    np.testing.assert_allclose(np.asarray(after)[stuck], 0.3 * g_on, rtol=1e-14)
    np.testing.assert_array_equal(np.asarray(after)[~stuck], np.asarray(before)[~stuck])


def test_a_second_fault_leaves_the_first():
    """Also one that sticks at what the cell has already: it is a resistor from then on."""
    g = network().layers[1].pairs.g_plus
    broken = network().with_fault(1, HIT, xb.StuckPair("off"))
    both = broken.with_fault(1, ~HIT, xb.StuckPlus(np.asarray(g)))
    stuck = np.asarray(both.layers[1].cells.stuck)
    assert stuck[:, ::2].all()
    np.testing.assert_array_equal(stuck[:, 1::2], HIT)


def test_a_broken_network_is_its_layers_solved_one_after_the_other():
    healthy, broken = volts(jnp.asarray(0.15), jnp.asarray(HIT))
    net = network().with_fault(1, HIT, xb.StuckPair("on"))
    assert np.max(np.abs(np.asarray(broken - healthy))) > 1e-3 * np.max(np.abs(broken))
    v = net.input_volts(jnp.asarray(X))
    for layer in net.layers:
        v_in = jnp.concatenate([v, jnp.full((len(X), 1), layer.v_bias)], axis=1)
        v = layer.read(xb.solve(layer.array(), v_in.T).i_out.T)[1]
    np.testing.assert_allclose(broken, v, atol=1e-9 * np.max(np.abs(v)))


def test_the_law_of_a_network_is_differentiable_and_batched():
    def total(v_0):
        return jnp.sum(volts(v_0, jnp.asarray(HIT))[1] ** 2)

    at = jnp.array([0.1 - 1e-4, 0.1, 0.1 + 1e-4])
    value, slope = jax.vmap(jax.value_and_grad(total))(at)
    numeric = (value[2] - value[0]) / 2e-4
    assert abs(numeric - slope[1]) <= 1e-4 * abs(slope[1])


def test_a_function_serves_as_well_as_a_module(no_shape_checks):
    by_module, by_function = (
        xb.Hardware(cells=family).law()(jnp.full((2, 2), 1e-5)).g
        for family in (cells.SinhCells(0.1), lambda g: cells.Sinh(g, 0.1))
    )
    np.testing.assert_array_equal(by_module, by_function)
    with pytest.raises(TypeError, match="cells: got float, needs a function"):
        xb.Hardware(cells=0.1)


def test_families_have_their_laws():
    g = np.full((2, 2), 1e-5)
    u = jnp.asarray(0.2)
    one_s = cells.SelectorCells(1e-9, 0.06)(g)
    assert isinstance(one_s.b, cells.Selector)
    one_t = cells.TransistorCells(1e-4, 0.4)(g)
    assert isinstance(one_t.b, cells.Transistor)
    assert np.all(np.asarray(one_t.current(u)) < 1e-5 * 0.2)


# --- many inputs --------------------------------------------------------------------------------

G = np.exp(RNG.uniform(np.log(1e-6), np.log(1e-4), (9, 6)))
V_IN = RNG.uniform(0, 0.2, (9, 150)) * (RNG.random((9, 150)) < 0.5)
LINES = xb.Wires(20.0, np.exp(RNG.uniform(1, 3, (9, 6))), 30.0, RNG.uniform(1, 9, 6))


@eqx.filter_jit
def both_ways(v_0):
    array = xb.Crossbar(cells.Sinh(G, v_0), LINES)
    return xb.corrected_currents(array, V_IN), xb.solve(array, V_IN).i_out


def test_corrected_matrices_are_right_to_second_order_and_tell_their_error():
    off = []
    for v_0 in (0.5, 0.25, 0.1):
        fast, exact = both_ways(jnp.asarray(v_0))
        off.append(float(np.max(np.abs(fast.i_out - exact)) / np.max(np.abs(exact))))
        assert 0.3 * off[-1] <= float(fast.error) <= 3 * off[-1]
    assert off[1] <= 3e-4
    # The correction is of the order v_0^-2, what it misses of its square.
    assert off[0] < off[1] / 8
    assert off[1] < off[2] / 8


def test_corrected_linear_cells_are_exact():
    array = xb.Crossbar(G, LINES)
    fast = xb.corrected_currents(array, V_IN)
    right = xb.transfer(array) @ V_IN
    assert np.max(np.abs(fast.i_out - right)) <= 1e-12 * np.max(np.abs(right))
    assert float(fast.error) <= 1e-10


def test_corrected_networks_name_the_error_of_each_array():
    net = network(0.3).with_fault(1, HIT, xb.StuckPair("on"))
    fast, exact = corrected(net, X), net(X)
    assert fast.errors.shape == (2,)
    assert np.max(np.abs(fast.volts - exact)) <= 0.01 * np.max(np.abs(exact))
    assert np.all(np.asarray(fast.errors) < 1e-3)


def test_what_corrections_do_not_treat():
    array = xb.Crossbar(cells.Sinh(G, 0.1), xb.Wires(1.0, 1.0, source_far=1.0))
    with pytest.raises(ValueError, match="far ends"):
        xb.corrected_currents(array, V_IN)
    with pytest.raises(ValueError, match=r"v_in: got shape \(9,\)"):
        xb.corrected_currents(xb.Crossbar(G), V_IN[:, 0])


def test_exact_fault_maps_are_of_linear_cells_and_say_so():
    with pytest.raises(ValueError, match="got Sinh cells, which have no one conductance; exact"):
        baseline(network(), X, np.zeros(6, int))
