"""The worst cells together: greedy starts at the map's maximum, and reports what is solved."""

from itertools import product

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar.learn.mlp import MLP, cross_entropy
from xbar.nn import Network
from xbar.sensitivity.all_cells import (
    conductances,
    places_of,
    stuck_conductances,
    with_conductances,
)
from xbar.sensitivity.baseline import baseline
from xbar.sensitivity.gradient_maps import wire_slopes
from xbar.sensitivity.worst_cells import (
    greedy_cells,
    individually_worst,
    random_circuits,
    single_losses,
    worst_of,
)

SIZES = (3, 3, 2)
KINDS = ("on", "off")


def network():
    mlp = MLP.init(jax.random.key(12), SIZES)
    x = jax.random.uniform(jax.random.key(13), (25, SIZES[0]))
    net = Network.from_weights(mlp.weights, mlp.biases, wires=xb.Wires(20.0, 20.0), calibration=x)
    return with_conductances(net, conductances(net)), x, jnp.argmax(mlp(x), -1)


NET, X, LABELS = network()
G = np.asarray(conductances(NET))
STUCK = {kind: np.asarray(stuck_conductances(NET, kind)) for kind in KINDS}
MAPS = single_losses(NET, X, LABELS)


def loss_with(faults):
    """Solved anew with these (cell, conductance) pairs in place."""
    g = G.copy()
    for cell, value in faults:
        g[cell] = value
    volts = with_conductances(NET, jnp.asarray(g))(X)
    return float(cross_entropy(volts / NET.output_scale, LABELS))


def test_the_map_of_all_cells_is_every_fault_solved_anew():
    for kind, cell in product(KINDS, range(len(G))):
        expected = loss_with([(cell, STUCK[kind][cell])])
        np.testing.assert_allclose(MAPS[kind][cell], expected, rtol=1e-9)


@pytest.mark.slow
def test_slopes_of_wires_are_those_of_the_derivative_rule():
    wires = NET.layers[0].wires
    found = wire_slopes(baseline(NET, X, LABELS))
    for number, slopes in enumerate(found):
        shape = slopes.word_line.shape

        def loss(word_line, bit_line, number=number):
            net = eqx.tree_at(
                lambda n: n.layers[number].wires,
                NET,
                xb.Wires(word_line, bit_line, wires.source, wires.sense),
            )
            return cross_entropy(net(X) / NET.output_scale, LABELS)

        each = (jnp.full(shape, 20.0), jnp.full(shape, 20.0))
        for slope, expected in zip(slopes, jax.grad(loss, (0, 1))(*each), strict=True):
            largest = float(jnp.abs(expected).max())
            np.testing.assert_allclose(slope, expected, rtol=0, atol=1e-9 * largest)
            assert largest > 0


@pytest.mark.slow
def test_greedy_with_one_cell_is_the_maximum_of_the_map():
    found = greedy_cells(NET, X, LABELS, 1)
    kind, cell = worst_of(MAPS, np.ones(len(G), bool))
    assert found.cell[0] == cell
    assert found.g[0] == STUCK[kind][cell]
    np.testing.assert_allclose(found.loss[0], max(m.max() for m in MAPS.values()), rtol=1e-9)


@pytest.mark.parametrize("choose", ["greedy", "alone"])
def test_losses_are_those_of_circuits_solved_anew_with_all_cells_so_far(choose):
    steps = []
    if choose == "greedy":
        found = greedy_cells(NET, X, LABELS, 3, done=steps.append)
        assert steps == [1, 1, 1]
    else:
        found = individually_worst(NET, MAPS, X, LABELS, 3)
    assert len(set(found.cell.tolist())) == 3
    for k in range(3):
        together = list(zip(found.cell[: k + 1], found.g[: k + 1], strict=True))
        np.testing.assert_allclose(found.loss[k], loss_with(together), rtol=1e-9)


def test_each_greedy_step_is_the_worst_that_one_more_cell_can_do():
    found = greedy_cells(NET, X, LABELS, 2)
    first = (found.cell[0], found.g[0])
    others = [
        loss_with([first, (cell, STUCK[kind][cell])])
        for kind, cell in product(KINDS, range(len(G)))
        if cell != first[0]
    ]
    np.testing.assert_allclose(found.loss[1], max(others), rtol=1e-9)
    # Not simply the next of those that are worst alone.
    alone = individually_worst(NET, MAPS, X, LABELS, 2)
    assert found.cell[1] != alone.cell[1]
    assert found.loss[1] > alone.loss[1]


def test_cells_that_may_not_be_chosen_are_not():
    weights = places_of(NET).row != SIZES[0]  # both layers have three inputs
    everything = greedy_cells(NET, X, LABELS, 2)
    some = greedy_cells(NET, X, LABELS, 2, among=weights)
    alone = individually_worst(NET, MAPS, X, LABELS, 2, among=weights)
    assert weights[some.cell].all()
    assert weights[alone.cell].all()
    assert some.loss[0] <= everything.loss[0]
    best = max(m[weights].max() for m in MAPS.values())
    np.testing.assert_allclose([some.loss[0], alone.loss[0]], best, rtol=1e-9)


def test_a_fault_without_a_solution_is_never_the_worst():
    maps = {"on": np.array([np.nan, 2.0, np.inf]), "off": np.array([1.0, np.nan, 3.0])}
    assert worst_of(maps, np.array([True, True, True])) == ("off", 2)
    assert worst_of(maps, np.array([True, True, False])) == ("on", 1)


def test_random_circuits_have_so_many_faults_and_fewer_are_part_of_more():
    key, between = jax.random.key(1), 3e-5  # so that every stuck cell can be seen
    net = with_conductances(NET, jnp.full(len(G), between))
    few, many = (np.asarray(random_circuits(net, key, n, 40)) for n in (3, 9))
    for g, count in ((few, 3), (many, 9)):
        stuck = (g == STUCK["on"]) | (g == STUCK["off"])
        assert ((g == between) | stuck).all()
        assert (stuck.sum(1) == count).all()
    assert ((few == between) | (few == many)).all()
    assert len(np.unique(many, axis=0)) == 40


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: greedy_cells(NET, X, LABELS, 0), "count: got 0, needs 1 to 40"),
        (lambda: individually_worst(NET, MAPS, X, LABELS, 41), "count: got 41, needs 1 to 40"),
        (lambda: random_circuits(NET, jax.random.key(0), 41, 1), "count: got 41, needs 1 to 40"),
        (
            lambda: greedy_cells(NET, X, LABELS, 1, among=np.ones(3, bool)),
            r"among: got shape \(3,\), needs \(40,\)",
        ),
        (lambda: single_losses(NET, X, LABELS, ("open",)), "stuck: got 'open', needs"),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
