"""Correctors of the paper: recipes, pools, side information, following, on arrays of numbers."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import xbar as xb
from xbar.devices import StuckPair
from xbar.learn.corrector import train_correctors
from xbar.learn.mlp import MLP, accuracy
from xbar.paper.correctors import FLOOR, Recipe, Samples, by_class, train
from xbar.paper.experiments.mixes import ALL, SINGLE, WITHOUT, mixes
from xbar.paper.experiments.overlap import CIRCLE, shapes, stuck_pairs
from xbar.paper.experiments.side_information import Variant, reference_voltages, samples
from xbar.paper.following import Aged, aged, follow, frozen
from xbar.paper.pools import Pools, accuracy_of, members, pooled_recipe
from xbar.paper.settings import FULL, QUICK, RADIUS
from xbar.paper.workspace import Workspace
from xbar.run.folders.runner import Runner

KEY = jax.random.key(0)
CONSOLE = Console(quiet=True)


def workspace():
    """A workspace that computes but has no folder."""
    settings = replace(FULL, steps=200, side_pool=6)
    return Workspace(settings, Runner("nowhere", {}, "paper", console=CONSOLE))


def clouds(*lead, classes=3, seed=0):
    """Voltages that tell their classes with some errors, (*lead, outputs), and the classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, lead)
    y[..., :classes] = np.arange(classes)
    return 0.1 * (np.eye(classes)[y] + 0.4 * rng.normal(size=(*lead, classes))), y


def split(n=40, circuits=2):
    (v, y), (test_v, test_y) = clouds(circuits, n), clouds(circuits, 20, seed=1)
    return Samples(v, y, test_v, test_y)


def test_the_plain_recipe_is_the_librarys_corrector():
    volts, keys = split(), jax.random.split(KEY, 2)
    got = train(workspace(), Recipe((4,), steps=60, batch=16), volts, keys)
    plain = train_correctors(
        jnp.asarray(volts.train_v), jnp.asarray(volts.train_y), keys, hidden=(4,), steps=60,
        batch_size=16,
    )  # fmt: skip
    expected = accuracy(plain(jnp.asarray(volts.test_v)), jnp.asarray(volts.test_y))
    np.testing.assert_allclose(got.accuracy, expected, atol=1e-6)
    assert got.classes.shape == (2, 20)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe((1,), skip=True, steps=80),
        Recipe((4,), steps=300, brief=True),
        Recipe(None, steps=40),
        Recipe((), converged=True),
    ],
    ids=["skip", "brief", "bias", "converged"],
)
def test_every_recipe_learns(recipe):
    volts = split(60)
    got = train(workspace(), recipe, volts, jax.random.split(KEY, 2))
    assert (got.accuracy > 0.7).all()


def test_a_skip_leaves_what_a_bottleneck_loses():
    """Ten classes through one number: nothing; beside a straight connection: most of it."""
    (v, y), (w, z) = clouds(1, 200, classes=10), clouds(1, 200, classes=10, seed=1)
    volts = Samples(v, y, w, z)
    narrow, beside = (
        train(workspace(), Recipe((1,), skip=skip, steps=300, batch=None), volts, KEY[None])
        for skip in (False, True)
    )
    assert beside.accuracy[0] > narrow.accuracy[0] + 0.2


def test_an_output_that_was_constant_in_training_cannot_dominate_elsewhere():
    v, _ = clouds(50)
    v[:, 1] = 0.05
    here, elsewhere = (Recipe((4,), elsewhere=e).start(KEY, jnp.asarray(v)) for e in (False, True))
    spread = np.sqrt(np.mean(v.std(0) ** 2))
    np.testing.assert_allclose(elsewhere.std[1], FLOOR * spread, rtol=1e-5)
    np.testing.assert_allclose(elsewhere.std[0], here.std[0], rtol=1e-5)
    assert here.std[1] < 1e-4 * spread
    dead = Recipe((4,), elsewhere=True).start(KEY, jnp.ones((5, 3)))
    assert (dead.std == 1).all()


@given(seed=st.integers(0, 1000), n=st.integers(4, 60))
def test_the_first_images_have_every_class_as_evenly_as_can_be(seed, n):
    labels = jnp.asarray(np.random.default_rng(seed).permutation(np.arange(60) % 4))
    order = np.asarray(by_class(labels, jax.random.key(seed)))
    assert sorted(order) == list(range(60))
    counts = np.bincount(np.asarray(labels)[order[:n]], minlength=4)
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("rows", [1, 5, 33, 70])
def test_rows_are_mapped_in_blocks_and_come_back_in_order(rows):
    found = workspace().map(double, jnp.arange(rows), 8)
    assert found.tolist() == [2 * k for k in range(rows)]


def double(x):
    return 2 * x


# --- pools and side information ---------------------------------------------------------------


@given(shapes=st.integers(1, 6), count=st.integers(1, 60))
def test_a_pool_takes_its_shapes_in_turn_and_holds_every_smaller_one(shapes, count):
    chosen = members(range(shapes), count)
    assert len(set(chosen)) == count
    counts = np.bincount([shape for shape, _ in chosen], minlength=shapes)
    assert counts.max() - counts.min() <= 1
    assert members(range(shapes), count + 3)[:count] == chosen


def test_accuracies_are_by_shape_and_circuits_that_failed_have_none():
    volts = np.random.default_rng(0).normal(size=(2, 3, 4, 7, 5))
    labels = np.arange(14).reshape(2, 7) % 5
    pools = Pools(volts, labels, trained=4, first=3)
    assert pools.test_v.shape == (2, 3, 1, 3, 5)
    read = np.broadcast_to(pools.test_y[:, None, None], (2, 3, 1, 3)).copy()
    read[0, 1, 0, 0] += 1
    assert pools.right(read).tolist() == [[1, 2 / 3, 1], [1, 1, 1]]
    volts[0, 2, 3, 5] = np.nan  # a test circuit that was not solved
    volts[1, 0, 1] = np.nan  # one that trains
    found = pools.right(read)
    assert found[0, :2].tolist() == [1, 2 / 3]
    assert np.isnan(found[0, 2])
    assert np.isnan(found[1]).all()


def circuit_pools():
    """Two shapes that swap two outputs; four places, the last of which tests."""
    y = np.tile(np.arange(40) % 2, (1, 1))
    v = np.where(np.arange(2)[:, None] == 0, y, 1 - y)[None, :, None, :, None]
    volts = np.broadcast_to(v * np.array([0.1, -0.1]), (1, 2, 4, 40, 2))
    noise = 0.01 * np.random.default_rng(0).normal(size=volts.shape)
    return Pools(volts + noise, y, trained=30, first=3)


def test_a_corrector_repairs_its_own_shape_and_not_the_other():
    work, pools = workspace(), circuit_pools()
    recipe = pooled_recipe(work)
    found = accuracy_of(work, pools, recipe, members([0], 3), KEY[None])
    assert found[0].tolist() == [1, 0]


def test_with_the_shape_known_a_common_corrector_reads_both():
    work, pools = workspace(), circuit_pools()
    recipe = pooled_recipe(work, (8,), 2)
    read = {}
    for information in ("nothing", "the shape"):
        volts = samples(work, pools, Variant(information, 0, 8), (0, 1))
        assert volts.train_v.shape[-1] == (2 if information == "nothing" else 4)
        read[information] = pools.right(train(work, recipe, volts, KEY[None]).classes).mean()
    assert read["the shape"] == 1
    assert read["nothing"] < 0.8


def test_reference_voltages_are_those_of_the_known_images_of_each_circuit():
    v, _ = clouds(2, 3, 9)
    order = np.array([[4, 1, 0], [8, 2, 3]])
    got = reference_voltages(v, order, 2)
    np.testing.assert_array_equal(got[1, 2], np.concatenate([v[1, 2, 8], v[1, 2, 2]]))
    assert reference_voltages(v, order, 0).shape == (2, 3, 0)


@pytest.mark.parametrize("settings", [FULL, QUICK], ids=["full", "quick"])
def test_mixes_leave_out_what_they_say_and_fit_the_places(settings):
    every = list(mixes(settings))
    assert len(set(every)) == len(every)
    for mix in every:
        assert mix.circuits <= settings.pool_places * len(mix.shapes)
        if mix.kind == WITHOUT:
            assert set(mix.shapes) == set(settings.shapes) - {mix.about}
        if mix.kind == SINGLE:
            assert mix.shapes == (mix.about,)
    assert {mix.circuits for mix in every if mix.kind == ALL} >= set(settings.pool_sizes)


def test_shapes_at_one_place_share_what_their_names_say():
    """On an array fine enough that shares are those of areas."""
    masks = stuck_pairs(jnp.full((1, 2), 0.5), RADIUS, (120, 120))
    circle = np.asarray(masks[CIRCLE][0])
    assert list(masks) == list(shapes(jnp.full(2, 0.5), RADIUS))  # the circle first
    shared = {
        name: (circle & np.asarray(m[0])).sum() / (circle | np.asarray(m[0])).sum()
        for name, m in masks.items()
    }
    expected = {CIRCLE: 1, "ring, r/2 to r": 0.75, "ring, 0.8 r to r": 0.36, "complement": 0}
    for name, share in expected.items():
        assert shared[name] == pytest.approx(share, abs=0.02)
    assert shared["ring outside, r to 1.4 r"] < 0.02
    areas = {name: np.asarray(m).mean() for name, m in masks.items()}
    for name in ("ring of equal area", "row of equal area"):
        assert areas[name] == pytest.approx(areas[CIRCLE], abs=0.01)


# --- ageing -----------------------------------------------------------------------------------

TIMES = 4


def ageing_samples():
    """Voltages of one circuit whose outputs fade and turn into each other."""
    v, y = clouds(60)
    turn = [np.roll(np.eye(3), 1, 0) * (t / TIMES) + np.eye(3) * (1 - t / TIMES) for t in range(4)]
    volts = np.stack([(0.8**t) * v @ m for t, m in enumerate(turn)])
    parts = volts[:, :40], y[:40], volts[:, 40:], y[40:]
    first = jnp.asarray(volts[0, :40]), jnp.asarray(y[:40])
    return Aged(*map(jnp.asarray, parts)), Recipe((8,), steps=100, batch=None).trained(KEY, *first)


@pytest.mark.slow
@pytest.mark.parametrize("renormalise", [False, True])
@pytest.mark.parametrize("replay", [False, True])
def test_without_updates_what_follows_is_frozen(replay, renormalise):
    volts, corrector = ageing_samples()
    picks = jnp.asarray(np.random.default_rng(0).integers(0, 40, (TIMES, 5)))
    how = {"replay": replay, "renormalise": renormalise}
    still = frozen(corrector, volts, renormalise=renormalise)
    args = corrector, volts, picks, jnp.arange(10)
    np.testing.assert_array_equal(follow(*args, **how, updates=0), still)
    moved = follow(*args, **how, updates=100, rate=0.03)
    assert moved[0] == still[0]
    assert moved[-1] > still[-1] + 0.1


@pytest.mark.slow
def test_replay_remembers_what_new_labels_alone_forget():
    """Nothing ages, and only one class is labelled again and again."""
    volts, corrector = ageing_samples()
    same = volts._replace(
        train_v=volts.train_v[:1].repeat(TIMES, 0), test_v=volts.test_v[:1].repeat(TIMES, 0)
    )
    picks = jnp.full((TIMES, 3), int(jnp.argmax(volts.train_y == 1)))
    how = {"renormalise": False, "updates": 200, "rate": 0.03}
    ends = [
        follow(corrector, same, picks, jnp.arange(30), replay=replay, **how)[-1]
        for replay in (False, True)
    ]
    assert ends[1] > ends[0] + 0.1


@pytest.mark.slow
def test_a_common_fade_does_not_hurt_what_is_normalised_anew():
    volts, corrector = ageing_samples()
    fades = jnp.asarray([1.0, 0.5, 0.1, 0.01])[:, None, None]
    faded = volts._replace(
        train_v=volts.train_v[:1] * fades + 0.3, test_v=volts.test_v[:1] * fades + 0.3
    )
    still = frozen(corrector, faded, renormalise=True)
    assert np.ptp(still) == 0
    assert frozen(corrector, faded)[-1] < still[-1] - 0.2


@pytest.mark.slow
@pytest.mark.parametrize("law", [(0.05, 0.02, 0.0005), (0.0, 0.0, 0.05)], ids=["drift", "wear"])
def test_an_aged_network_starts_as_the_broken_one_and_keeps_its_stuck_pairs(law):
    model = MLP.init(KEY, (5, 4, 3))
    x = np.abs(np.random.default_rng(0).normal(size=(6, 5)))
    wires = xb.Wires(word_line=1.0, bit_line=1.0)
    network = xb.Network.from_weights(model.weights, model.biases, wires=wires, calibration=x)
    hit = jnp.asarray(np.random.default_rng(1).random((5, 3)) < 0.4)
    broken = network.with_fault(1, hit, StuckPair("on"))
    now, later = (aged(network, 1, hit, jnp.asarray(t), KEY, law) for t in (20.0, 2e6))
    assert eqx.tree_equal(now, broken)
    for cells in jax.tree.leaves(later.layers[1].pairs):
        assert (cells[hit] == network.layers[1].window.g_max).all()
    moved = [
        np.asarray(new != old).mean()
        for new, old in zip(
            jax.tree.leaves(later.layers[0].pairs), jax.tree.leaves(network.layers[0].pairs),
            strict=True,
        )
    ]  # fmt: skip
    assert max(moved) > (0.8 if law[0] else 0.1)
    for part in ("wires", "readout", "s", "k"):
        assert eqx.tree_equal(getattr(later.layers[0], part), getattr(network.layers[0], part))


def test_keys_follow_from_seed_purpose_and_number_alone():
    data, work = jax.random.key_data, workspace()
    a, b = work.keys("one", [0, 1, 2]), work.keys("one", [2])
    assert (data(a)[2] == data(b)[0]).all()
    every = [data(k) for k in (*a, *work.keys("two", [0]))]
    assert len({tuple(k.tolist()) for k in every}) == len(every)
