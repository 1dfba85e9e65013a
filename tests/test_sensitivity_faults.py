"""Exact maps of single faults, against solving every faulty network anew."""

import importlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sensitivity_cases import (
    NO_WIRES,
    SIZES,
    WIRES,
    N,
    broken,
    inputs,
    labels,
    losses,
    network,
    solved,
    stuck,
)

import xbar as xb
from xbar import sensitivity as sens

LAYERS = range(len(SIZES) - 1)
HOW = ["on", "off", 3e-5]
layers = pytest.mark.parametrize("layer", LAYERS)
hows = pytest.mark.parametrize("how", HOW, ids=str)


@pytest.fixture(scope="module")
def net():
    return network()


@pytest.fixture(scope="module")
def base(net):
    return sens.baseline(net, inputs(), labels())


def shape_of(layer):
    return SIZES[layer] + 1, 2 * SIZES[layer + 1]


def all_cells(layer):
    return np.stack(np.unravel_index(np.arange(np.prod(shape_of(layer))), shape_of(layer)), -1)


def assert_map(found, sets, net, layer, how, at=lambda m: m.ravel()):
    """Loss and accuracy of each fault are those of the network with those cells changed."""
    assert len(at(found.loss)) == len(sets)
    for k, cells in enumerate(sets):
        loss, accuracy = losses(broken(net, layer, cells, stuck(net, layer, how)), net)
        assert abs(at(found.loss)[k] - loss) <= 1e-10 * max(1, loss)
        assert abs(at(found.accuracy)[k] - accuracy) <= 1e-12


def test_the_baseline_is_the_network(net, base):
    np.testing.assert_allclose(base.voltages, solved(net), atol=1e-13)
    own = base.scores()
    assert (own.loss, own.accuracy) == pytest.approx(losses(base.voltages, net), abs=1e-12)
    voltages = jax.jit(lambda net: net.voltages(net.transfers(solver=xb.Dense()), inputs()))
    for layer, volts in enumerate(voltages(net)):
        np.testing.assert_allclose(base.v_in[layer], volts.v_in, atol=1e-13)


@layers
@hows
def test_every_single_cell(net, base, layer, how):
    """Voltages to 1e-10 of the largest, loss and accuracy, of all cells."""
    cells = all_cells(layer)
    volts = sens.fault_voltages(base, layer, cells, how)
    assert volts.shape == (len(cells), N, SIZES[-1])
    for k, cell in enumerate(cells):
        expected = broken(net, layer, cell[None], stuck(net, layer, how))
        assert np.max(np.abs(volts[k] - expected)) <= 1e-10 * np.max(np.abs(expected))
    found = sens.cell_faults(base, layer, how)
    assert found.loss.shape == found.accuracy.shape == shape_of(layer)
    assert_map(found, [cell[None] for cell in cells], net, layer, how)


@pytest.mark.parametrize("layer", [0, pytest.param(1, marks=pytest.mark.slow)])
@hows
def test_pairs_rows_and_columns(net, base, layer, how):
    rows, cols = shape_of(layer)
    cell = np.arange(rows * cols).reshape(rows, cols)
    cells = all_cells(layer)
    groups = {
        sens.pair_faults: cell.reshape(-1, 2),
        sens.row_faults: cell,
        sens.column_faults: cell.T,
    }
    for function, sets in groups.items():
        assert_map(function(base, layer, how), [cells[s] for s in sets], net, layer, how)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["on", "off"])
def test_pairs_of_columns(net, base, how, monkeypatch):
    """By the update, which compiles sooner than a new solution."""
    module = importlib.import_module("xbar.sensitivity.fault_sets")
    monkeypatch.setattr(module, "update_is_cheaper", lambda *_: True)
    rows, cols = shape_of(0)
    pairs = all_cells(0).reshape(rows, cols // 2, 2, 2).swapaxes(0, 1).reshape(cols // 2, -1, 2)
    assert_map(sens.pair_column_faults(base, 0, how), pairs, net, 0, how)


@pytest.mark.parametrize(
    "options",
    [
        {"gain": 20.0, "rail": 0.1},
        {"wires": NO_WIRES},
        pytest.param({"activation": "relu", "gain": 20.0, "rail": 0.1}, marks=pytest.mark.slow),
        pytest.param({"activation": "sigmoid"}, marks=pytest.mark.slow),
    ],
    ids=["gain 20, rails", "no wires", "relu, gain 20, rails", "sigmoid"],
)
def test_amplifiers_rails_and_wires(options):
    net = network(**options)
    base = sens.baseline(net, inputs(), labels())
    if "rail" in options:  # the rails are reached, or they would not be tested
        clipped = [np.max(np.abs(stage.v_lin)) > options["rail"] for stage in base.stages]
        assert any(clipped)
    for layer in LAYERS:
        found = sens.cell_faults(base, layer, "on")
        assert_map(found, [cell[None] for cell in all_cells(layer)], net, layer, "on")


@layers
def test_a_cell_at_its_own_value_changes_nothing(base, layer):
    g = base.responses[layer].g
    found = sens.cell_faults(base, layer, g)
    np.testing.assert_allclose(found.loss, float(base.scores().loss), rtol=1e-14)
    np.testing.assert_allclose(found.accuracy, float(base.scores().accuracy), rtol=1e-14)
    np.testing.assert_array_equal(sens.stuck_values(base, layer, g), g)


def test_faults_on_top_of_faults(net):
    """A map of a network that has a fault is of both."""
    first = np.array([[1, 2]])
    worn = sens.with_cells(net, 0, first, 2e-4)
    base = sens.baseline(worn, inputs(), labels())
    assert_map(
        sens.cell_faults(base, 0, "off"),
        [cell[None] for cell in all_cells(0)],
        worn,
        0,
        "off",
    )
    assert sens.with_cells(net, 0, first, 2e-4).layers[0].pairs.g_plus[1, 1] == 2e-4


def test_batches_give_the_same(base):
    """Five at a time, the last batch filled up, and all at once."""
    some, all_at_once = (sens.cell_faults(base, 0, "on", memory=m) for m in (2600, 2**24))
    np.testing.assert_allclose(some.loss, all_at_once.loss, rtol=1e-14)


def test_losses(net, base):
    """By name and by function; the margin is by how much the best wrong class leads."""
    by_name = sens.cell_faults(base, 1, "on", "margin")
    logits = sens.fault_voltages(base, 1, all_cells(1), "on") / net.output_scale
    right = np.eye(SIZES[-1], dtype=bool)[np.asarray(labels())]
    others = np.where(right, -np.inf, logits).max(-1)
    expected = np.mean(others - np.sum(np.where(right, logits, 0), -1), -1)
    np.testing.assert_allclose(by_name.loss.ravel(), expected, rtol=1e-10)
    own = sens.cell_faults(base, 1, "on", largest_voltage)
    volts = sens.fault_voltages(base, 1, all_cells(1), "on")
    np.testing.assert_allclose(own.loss.ravel(), volts.max((1, 2)), rtol=1e-10)


def largest_voltage(voltages, labels):
    return jnp.max(voltages)


@pytest.mark.slow
def test_a_batch_of_networks(net):
    """Under batch_map, one network at a time: the same as each by itself."""
    nets = [net, sens.with_cells(net, 0, [[0, 0]], 1e-4)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *nets)

    def loss(net):
        base = sens.baseline(net, inputs(), labels(), throw=False)
        return sens.cell_faults(base, 1, "on").loss

    together = xb.batch_map(loss, stacked)
    for k, one in enumerate(nets):
        alone = sens.cell_faults(sens.baseline(one, inputs(), labels()), 1, "on").loss
        np.testing.assert_allclose(together[k], alone, rtol=1e-12)


@pytest.mark.slow
def test_float32(net):
    single = jax.tree.map(lambda x: x.astype(jnp.float32), net)
    found = sens.cell_faults(sens.baseline(single, inputs(), labels()), 0, "on")
    exact = sens.cell_faults(sens.baseline(net, inputs(), labels()), 0, "on")
    assert found.loss.dtype == jnp.float32
    np.testing.assert_allclose(found.loss, exact.loss, rtol=1e-4)


def test_a_layer_that_was_not_solved_is_marked(net):
    """With a conductance that only shows at run time: an error outside jit, NaN inside."""
    bad = eqx.tree_at(lambda net: net.layers[1].pairs.g_plus, net, replace_fn=lambda g: -g)
    with pytest.raises(ValueError, match=r"net\.layers\[1\]: Conductances must be finite"):
        sens.baseline(bad, inputs(), labels())
    found = sens.cell_faults(sens.baseline(bad, inputs(), labels(), throw=False), 0, "on")
    assert bool(jnp.isnan(found.loss).all())
    assert bool(jnp.isnan(found.accuracy).all())


BAD = {
    "layer": (lambda b: sens.cell_faults(b, 2), "layer: got 2, needs 0..1"),
    "word": (lambda b: sens.cell_faults(b, 0, "open"), "stuck: got 'open', needs"),
    "negative": (lambda b: sens.cell_faults(b, 0, -1e-6), "stuck: got -1e-06, needs finite"),
    "infinite": (lambda b: sens.row_faults(b, 0, np.inf), "stuck: got inf, needs finite"),
    "shape": (lambda b: sens.pair_faults(b, 0, np.ones((2, 2))), r"stuck: got shape \(2, 2\)"),
    "row": (
        lambda b: sens.fault_voltages(b, 0, [[5, 0]]),
        r"cells: got \(5, 0\), needs rows 0\.\.3 and columns 0\.\.5",
    ),
    "index below zero": (lambda b: sens.fault_voltages(b, 0, [[0, -1]]), r"cells: got \(0, -1\)"),
    "no pairs": (lambda b: sens.fault_voltages(b, 0, [3, 4]), r"cells: got int64 \(2,\)"),
    "floats": (lambda b: sens.fault_voltages(b, 0, [[0.5, 1.0]]), "cells: got float64"),
    "loss": (lambda b: sens.cell_faults(b, 0, loss="mse"), "loss: got 'mse', needs one of"),
    "with_cells": (
        lambda b: sens.with_cells(b.net, 0, [[0, 0]], [-1.0]),
        r"g_new: got -1\.0, needs finite",
    ),
    "labels": (
        lambda b: sens.baseline(b.net, inputs(), labels().at[0].set(3)),
        r"labels: got 3, needs 0\.\.2",
    ),
    "labels' number": (
        lambda b: sens.baseline(b.net, inputs(), labels()[1:]),
        r"labels: got int64 \(6,\), needs integers \(7,\)",
    ),
    "inputs": (lambda b: sens.baseline(b.net, inputs()[:, 1:], labels()), r"x: got shape \(7, 2\)"),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_named(base, call, message):
    with pytest.raises(ValueError, match=message):
        call(base)


@pytest.mark.usefixtures("no_shape_checks")
def test_what_is_no_baseline_is_named(net):
    with pytest.raises(TypeError, match="base: got Network, needs what baseline"):
        sens.cell_faults(net, 0)
    with pytest.raises(TypeError, match=r"net: got int, needs xbar\.Network"):
        sens.baseline(3, inputs(), labels())
    with pytest.raises(TypeError, match="loss: got int, needs a name or a function"):
        sens.gradients(net, inputs(), labels(), 3)


def test_wires_are_felt():
    """The circuit of these tests is one whose wires matter: else half of them test nothing."""
    net, ideal = network(), network(wires=NO_WIRES)
    assert np.max(np.abs(solved(net) / solved(ideal) - 1)) > 0.02
    assert np.all(WIRES.source > 0)
