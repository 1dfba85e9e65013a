"""Exact fault maps against ngspice, and of the network of the digits."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sensitivity_cases import inputs, labels, network
from spice_cases import needs_ngspice

import xbar as xb
from xbar import sensitivity as sens
from xbar import spice
from xbar.io import load_digits

SIZES = (64, 50, 20, 8, 10)


@needs_ngspice
@pytest.mark.parametrize("how", ["on", "off", 0.0])
@pytest.mark.parametrize("layer", [0, 1])
def test_faults_are_those_of_ngspice(layer, how):
    """Output voltages of the faulty network, every array of it solved by ngspice."""
    net = network(gain=1e3)
    base = sens.baseline(net, inputs(), labels())
    pair = np.asarray(base.responses[layer].g[3, :2])  # one of a pair is off as it is mapped
    cell = np.array([[3, np.argmin(pair) if how == "on" else np.argmax(pair)]])
    (ours,) = sens.fault_voltages(base, layer, cell, how)
    g_new = sens.stuck_values(base, layer, how)[tuple(cell[0])]
    broken = sens.with_cells(net, layer, cell, g_new)
    theirs = spice.run_network(broken, np.asarray(inputs()))[-1].v_out
    assert np.max(np.abs(ours - theirs)) <= 1e-9 * np.max(np.abs(theirs))
    healthy = np.max(np.abs(ours - base.voltages))
    assert healthy > 1e-4 * np.max(np.abs(theirs))  # the fault is felt


@pytest.fixture(scope="module")
def digits():
    rng, data = np.random.default_rng(0), load_digits()
    weights = [rng.normal(0, (2 / a) ** 0.5, (a, b)) for a, b in pairwise(SIZES)]
    net = xb.Network.from_weights(
        weights, wires=xb.Wires(1.0, 1.0, 10.0, 5.0), calibration=data.images
    )
    return net, data.images[:40], data.labels[:40]


@pytest.mark.slow
@pytest.mark.parametrize("layer", [0, 1])
def test_500_cells_of_the_network_of_the_digits(digits, layer):
    """250 of each of its largest arrays, stuck-on or stuck-off, to 1e-10 of the largest voltage."""
    net, x, right = digits
    base = sens.baseline(net, x, right)
    g = base.responses[layer].g
    rng = np.random.default_rng(layer)
    flat = rng.permutation(g.size)[:250]
    cells = np.stack(np.unravel_index(flat, g.shape), -1)
    window = net.layers[layer].window
    stuck = jnp.where(rng.random(len(cells)) < 0.5, window.g_max, window.g_min)
    ours = sens.fault_voltages(base, layer, cells, stuck)
    solve = jax.jit(lambda cell, g: sens.with_cells(net, layer, cell[None], g)(x))
    for k, cell in enumerate(cells):
        theirs = solve(cell, stuck[k])
        assert jnp.max(jnp.abs(ours[k] - theirs)) <= 1e-10 * jnp.max(jnp.abs(theirs))


@pytest.mark.slow
def test_whole_lines_of_the_network_of_the_digits(digits):
    """Whole word and bit lines of the largest array, against solving anew."""
    net, x, right = digits
    base = sens.baseline(net, x, right)
    rows, cols = base.responses[0].g.shape
    for how, value in (("on", net.layers[0].window.g_max), ("off", net.layers[0].window.g_min)):
        maps = sens.row_faults(base, 0, how), sens.column_faults(base, 0, how)
        row = np.stack([np.full(cols, 17), np.arange(cols)], -1)
        column = np.stack([np.arange(rows), np.full(rows, 42)], -1)
        for found, at, cells in zip(maps, (17, 42), (row, column), strict=True):
            broken = sens.with_cells(net, 0, cells, value)
            expected = sens.baseline(broken, x, right).scores()
            assert float(found.loss[at]) == pytest.approx(float(expected.loss), rel=1e-9)
            assert float(found.accuracy[at]) == pytest.approx(float(expected.accuracy))
