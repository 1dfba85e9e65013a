"""Soft masks and the worst place: limits, derivatives, and no loss that the exact mask lacks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar.devices import (
    PLACEMENTS,
    Circle,
    ColumnLines,
    RowLines,
    Scattered,
    StuckMinus,
    StuckPair,
    StuckPlus,
    StuckUnequal,
    inject,
    placed_mask,
)
from xbar.devices.mapping import Pairs, Window
from xbar.learn.mlp import MLP, accuracy, cross_entropy
from xbar.nn import Network
from xbar.sensitivity.smooth_masks import blend, membership, with_smooth_fault
from xbar.sensitivity.worst_place import (
    Ascent,
    Defect,
    OneLayer,
    ascend,
    grid,
    grid_places,
    place,
    random_places,
    voltages_at,
)

SHAPE = (9, 10)
WINDOW = Window.preset()
KEY = jax.random.key(5)
MASKS = {name: placed_mask(name, jnp.full(p.dims, 0.37)) for name, p in PLACEMENTS.items()}
MASKS |= {"nested": ~MASKS["circle"] & MASKS["row"], "rows": RowLines([1, -1])}


def network(sizes=(6, 5, 3)):
    mlp = MLP.init(jax.random.key(1), sizes)
    x = jax.random.uniform(jax.random.key(2), (30, sizes[0]))
    wires = xb.Wires(5.0, 5.0)
    net = Network.from_weights(mlp.weights, mlp.biases, wires=wires, calibration=x)
    labels = jnp.argmax(mlp(x), -1)  # what the healthy network should say
    return net, x, labels


NET, X, LABELS = network()
TARGETS = [OneLayer.of(NET, layer, X, LABELS) for layer in range(2)]


def pairs_of(shape=SHAPE):
    g = jax.random.uniform(KEY, (2, *shape), minval=1e-6, maxval=1e-4)
    return Pairs(g[0], g[1])


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_a_soft_mask_becomes_the_mask_as_the_temperature_goes_to_0(mask):
    exact = mask.mask(SHAPE)
    off = [jnp.abs(membership(mask, SHAPE, t) - exact).max() for t in (0.1, 0.01, 1e-3, 1e-8)]
    assert off[0] > 0.01  # soft indeed
    assert (jnp.diff(jnp.array(off)) <= 0).all()
    assert off[-1] < 1e-12
    for temperature in (0.1, 1e-3):  # the same edge at any temperature
        assert ((membership(mask, SHAPE, temperature) > 0.5) == exact).all()


@pytest.mark.parametrize(
    "fault",
    [StuckPair("on"), StuckPair(3e-5), StuckPlus("off"), StuckMinus("on"), StuckUnequal("random")],
    ids=["pair", "pair-value", "plus", "minus", "unequal"],
)
@pytest.mark.parametrize("name", ["circle", "ring", "scratch"])
def test_a_blend_at_0_and_1_is_the_fault_and_between_it_is_between(fault, name):
    pairs, exact = pairs_of(), MASKS[name].mask(SHAPE)
    expected = inject(pairs, exact, fault, WINDOW, KEY)
    hard = blend(pairs, exact.astype(float), fault, WINDOW, KEY)
    half = blend(pairs, jnp.full(SHAPE, 0.5), fault, WINDOW, KEY)
    everywhere = fault.apply(pairs, jnp.ones(SHAPE, bool), WINDOW, KEY)
    for cell in ("g_plus", "g_minus"):
        np.testing.assert_array_equal(getattr(hard, cell), getattr(expected, cell))
        middle = (getattr(pairs, cell) + getattr(everywhere, cell)) / 2
        np.testing.assert_allclose(getattr(half, cell), middle, rtol=1e-14)


@pytest.mark.parametrize("layer", [0, -1])
def test_voltages_with_a_cold_soft_fault_are_those_with_the_fault(layer):
    circle = Circle((0.4, 0.6), 0.3)
    fault = StuckPair("on")
    soft = with_smooth_fault(NET, layer, circle, fault, 1e-7)(X)
    hard = NET.with_fault(layer, circle, fault)(X)
    healthy = NET(X)
    assert jnp.abs(soft - hard).max() < 1e-10 * jnp.abs(hard).max()
    assert jnp.abs(hard - healthy).max() > 1e-2 * jnp.abs(healthy).max()


@pytest.mark.slow
def test_the_loss_is_differentiable_by_centre_radius_and_angle():
    target = TARGETS[0]

    def loss(numbers):
        position, coverage = numbers[:3], numbers[3]
        share = membership(
            placed_mask("scratch", position, coverage), target.layer.pairs.shape, 0.05
        )
        return target.scores(blend(target.layer.pairs, share, StuckPair("on"), WINDOW))[0]

    at = jnp.array([0.4, 0.6, 0.3, 0.15])
    slope = jax.grad(loss)(at)
    step = 1e-5
    for number, nudge in enumerate(step * jnp.eye(4)):
        expected = (loss(at + nudge) - loss(at - nudge)) / (2 * step)
        np.testing.assert_allclose(slope[number], expected, rtol=1e-4)
    assert (slope != 0).all()


def test_a_line_of_a_given_index_has_no_derivative_and_a_scattered_mask_none_in_its_place():
    for mask in (RowLines(2), ColumnLines([0, 3])):
        assert not eqx.filter(mask, eqx.is_inexact_array).lines
    scattered = Scattered(0.3, KEY)
    slope = eqx.filter_grad(lambda m: membership(m, SHAPE, 0.1).sum())(scattered)
    assert float(slope.rate) > 0
    assert slope.key is None


# One search for each layer: what it compiles is used by all tests of it.
ASCENT = Ascent(screened=12, starts=6, steps=25)
DEFECTS = (Defect("circle", StuckPair("on"), 0.15), Defect("scratch", StuckPair("off"), 0.15))


@pytest.mark.slow
@pytest.mark.parametrize("layer", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_what_is_reported_is_the_loss_with_the_exact_mask_solved_anew(layer):
    target, defect = TARGETS[layer], DEFECTS[layer]
    found = ascend(target, defect, KEY, ASCENT)
    assert found.positions.shape == (6, defect.dims)
    volts = []
    for position, loss, right in zip(*found, strict=True):
        mask = placed_mask(defect.shape, position, 0.15)
        volts.append(NET.with_fault(layer, mask, defect.fault)(X))
        expected = cross_entropy(volts[-1] / NET.output_scale, LABELS)
        np.testing.assert_allclose(loss, expected, rtol=1e-9)
        np.testing.assert_allclose(right, accuracy(volts[-1], LABELS), rtol=1e-12)
    expected = jnp.stack(volts)
    at_once = voltages_at(target, defect, found.positions)
    assert jnp.abs(at_once - expected).max() < 1e-10 * jnp.abs(expected).max()


def test_the_ascent_climbs_from_the_worst_of_the_places_it_has_screened():
    target, defect = TARGETS[0], DEFECTS[0]
    screened = random_places(target, defect, KEY, ASCENT.screened)
    starts = jnp.sort(screened.loss)[::-1][: ASCENT.starts]
    after = ascend(target, defect, KEY, ASCENT)
    assert (after.loss >= starts).all()
    assert (after.loss > starts).any()
    everywhere = grid_places(target, defect)
    assert float(after.loss.max()) > float(jnp.quantile(everywhere.loss, 0.9))
    assert float(everywhere.loss[everywhere.worst]) == float(everywhere.loss.max())


def test_a_grid_finds_every_way_in_which_a_row_can_lie():
    defect = Defect("row", StuckPair("on"), 2 / 7)
    masks = {
        tuple(np.asarray(placed_mask("row", jnp.asarray(p), 2 / 7).mask((7, 5))[:, 0]))
        for p in grid(defect, (7, 5))
    }
    for first in range(6):  # two adjacent rows, anywhere
        assert tuple(np.isin(np.arange(7), [first, first + 1])) in masks


@pytest.mark.parametrize("name", PLACEMENTS)
def test_grids_stay_in_the_cube_and_within_their_limit(name):
    defect = Defect(name, StuckPair("on"))
    found = grid(defect, (21, 8), most=5000)
    assert found.shape[1] == defect.dims
    assert ((found >= 0) & (found <= 1)).all()
    assert len(np.unique(found, axis=0)) == len(found)
    assert len(found) <= 5000
    assert len(grid(defect, (21, 8), most=10)) < len(found)
    assert len(grid(defect, (65, 50))) <= 1500


def test_places_that_could_not_be_solved_are_marked_and_never_the_worst():
    bad = eqx.tree_at(
        lambda t: t.network.layers[0].pairs.g_plus, TARGETS[0], jnp.full((7, 5), jnp.nan)
    )
    found = place(bad, DEFECTS[0], jnp.array([[0.5, 0.5]]))
    assert jnp.isnan(found.loss).all()
    assert jnp.isnan(found.accuracy).all()
    assert found._replace(loss=jnp.array([jnp.nan, 0.1])).worst == 1


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: membership(MASKS["circle"], SHAPE, 0.0), "temperature: got 0.0, needs a finite"),
        (lambda: OneLayer.of(NET, 2, X, LABELS), "layer: got 2, needs 0..1"),
        (lambda: OneLayer.of(NET, 0, X, LABELS, "hinge"), "loss: got 'hinge', needs one of"),
        (lambda: with_smooth_fault(NET, 5, MASKS["row"], StuckPair(), 0.1), "layer: got 5, needs"),
        (lambda: Defect("blob", StuckPair()), "shape: got 'blob', needs one of"),
        (lambda: Defect("circle", StuckPair(), 0.9), "coverage: got 0.9, needs"),
        (lambda: place(TARGETS[0], Defect("row", StuckPair()), jnp.zeros((2, 2))), "needs .n, 1."),
        (lambda: place(TARGETS[0], Defect("row", StuckPair()), jnp.full((1, 1), 2.0)), "got 2.0"),
        (lambda: Ascent(starts=0), "Ascent.starts: got 0, needs at least 1"),
        (lambda: Ascent(screened=3), "Ascent.screened: got 3, needs at least starts"),
        (lambda: Ascent(learning_rate=0), "Ascent.learning_rate: got 0, needs above 0"),
        (lambda: Ascent(hot=0.1, cold=0.2), "Ascent.cold: got 0.2, needs above 0 and at most hot"),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
