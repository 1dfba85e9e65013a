"""Beyond the paper: pools, what a corrector is told, and following, on small arrays of numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xbar as xb
from xbar.devices import StuckPair
from xbar.learn.corrector import predict, train_correctors
from xbar.learn.mlp import MLP
from xbar.paper.beyond.aged import aged
from xbar.paper.beyond.bench import by_class, evenly, first_of, keys
from xbar.paper.beyond.curves import compared, word
from xbar.paper.beyond.following import Aged, follow, frozen, multiply_adds
from xbar.paper.beyond.mixes import mixes
from xbar.paper.beyond.mixes_findings import ALL, SINGLE, WITHOUT
from xbar.paper.beyond.pools import Pools, members, pooled
from xbar.paper.beyond.told import Told, one_hot, read_told, reference_voltages
from xbar.paper.settings import FULL, QUICK
from xbar.run.devices import Batching, local_mesh
from xbar.statistics import Interval

KEY = jax.random.key(0)
HOW = Batching(local_mesh(), 2)


def clouds(*lead, classes=3, seed=0):
    """Voltages that tell their classes with some errors, (*lead, outputs), and the classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, lead)
    y[..., :classes] = np.arange(classes)
    return 0.1 * (np.eye(classes)[y] + 0.4 * rng.normal(size=(*lead, classes))), y


@given(seed=st.integers(0, 1000), n=st.integers(4, 60))
def test_the_first_images_have_every_class_as_evenly_as_can_be(seed, n):
    labels = jnp.asarray(np.random.default_rng(seed).permutation(np.arange(60) % 4))
    order = np.asarray(by_class(labels, jax.random.key(seed)))
    assert sorted(order) == list(range(60))
    counts = np.bincount(np.asarray(labels)[order[:n]], minlength=4)
    assert counts.max() - counts.min() <= 1


def test_few_images_are_the_first_of_the_order_with_their_labels():
    v, y = clouds(2, 9)
    order = np.stack([np.random.default_rng(k).permutation(9) for k in range(2)])
    some_v, some_y = first_of(jnp.asarray(v), jnp.asarray(y), jnp.asarray(order), 4)
    for k in range(2):
        assert (some_v[k] == v[k][order[k, :4]]).all()
        assert (some_y[k] == y[k][order[k, :4]]).all()


@given(shapes=st.integers(1, 6), count=st.integers(1, 60))
def test_a_pool_takes_its_shapes_in_turn_and_holds_every_smaller_one(shapes, count):
    chosen = members(range(shapes), count)
    assert len(set(chosen)) == count
    counts = np.bincount([shape for shape, _ in chosen], minlength=shapes)
    assert counts.max() - counts.min() <= 1
    assert members(range(shapes), count + 3)[:count] == chosen


def test_pooled_voltages_are_those_of_the_circuits_with_the_images_labels():
    volts = np.random.default_rng(0).normal(size=(2, 3, 4, 7, 5))
    labels = np.arange(14).reshape(2, 7) % 5
    pools = Pools(volts, labels, trained=4, first=3)
    order = np.array([[2, 0], [3, 1]])
    v, y = pooled(pools, [(0, 1), (2, 2)], order)
    assert v.shape == (2, 4, 5)
    assert (v[1] == np.concatenate([volts[1, 0, 1, [3, 1]], volts[1, 2, 2, [3, 1]]])).all()
    assert y[1].tolist() == labels[1, [3, 1, 3, 1]].tolist()
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


@pytest.mark.parametrize("settings", [FULL, QUICK], ids=["full", "quick"])
def test_mixes_leave_out_what_they_say_and_fit_the_places(settings):
    every = list(mixes(settings))
    assert len(set(every)) == len(every)
    for mix in every:
        assert mix.circuits <= settings.beyond.pool_places * len(mix.shapes)
        if mix.kind == WITHOUT:
            assert set(mix.shapes) == set(settings.shapes) - {mix.about}
        if mix.kind == SINGLE:
            assert mix.shapes == (mix.about,)
    assert {mix.circuits for mix in every if mix.kind == ALL} >= set(settings.beyond.pool_sizes)
    assert settings.beyond.told_pool <= settings.beyond.pool_places * len(settings.shapes)


def samples(told):
    """Two seeds of three circuits, some numbers told of each."""
    (v, y), (test_v, _) = clouds(2, 3, 30), clouds(2, 2, 8, seed=1)
    said = np.random.default_rng(2).normal(size=(2, 5, told))
    return Told(*map(jnp.asarray, (v, said[:, :3], y, test_v, said[:, 3:])))


@pytest.mark.slow
def test_told_nothing_is_the_common_corrector():
    nothing, starts = samples(0), jax.random.split(KEY, 2)
    got = read_told(nothing, starts, (6,), 60, HOW)
    flat = nothing.train_v.reshape(2, 90, 3), nothing.train_y.reshape(2, 90)
    plain = train_correctors(*flat, starts, hidden=(6,), steps=60, batch_size=256)
    expected = predict(plain, nothing.test_v.reshape(2, 16, 3)).reshape(2, 2, 8)
    assert (got == expected).all()
    assert (read_told(samples(2), starts, (6,), 60, HOW) != expected).any()


def test_told_the_circuit_a_corrector_reads_what_it_could_not():
    """Circuits of two kinds that swap two outputs: told which, the classes can be told apart."""
    y = np.tile(np.arange(30) % 2, (1, 4, 1))
    v = np.where(np.arange(4)[None, :, None] % 2 == 0, y, 1 - y)[..., None] * np.array([1.0, -1.0])
    kind = one_hot(np.arange(4) % 2, 2, 1)
    told = Told(*map(jnp.asarray, (v, kind, y, v, kind)))
    untold = told._replace(train_told=told.train_told[:, :, :0], test_told=told.test_told[:, :, :0])
    starts = jax.random.split(KEY, 1)
    knows, does_not = (read_told(s, starts, (16,), 400, HOW) for s in (told, untold))
    assert (knows == y).mean() > 0.95
    assert (does_not == y).mean() < 0.7


def test_reference_voltages_are_those_of_the_known_images_of_each_circuit():
    v, _ = clouds(2, 3, 9)
    order = np.array([[4, 1, 0], [8, 2, 3]])
    got = reference_voltages(v, order, 2)
    rms = np.sqrt((v[1] ** 2).mean())
    np.testing.assert_allclose(got[1, 2], np.concatenate([v[1, 2, 8], v[1, 2, 2]]) / rms)
    assert reference_voltages(v, order, 0).shape == (2, 3, 0)


TIMES = 4


def ageing_samples():
    """Voltages of one circuit whose outputs fade and turn into each other."""
    v, y = clouds(60)
    turn = [np.roll(np.eye(3), 1, 0) * (t / TIMES) + np.eye(3) * (1 - t / TIMES) for t in range(4)]
    volts = np.stack([(0.8**t) * v @ m for t, m in enumerate(turn)])
    parts = volts[:, :40], y[:40], volts[:, 40:], y[40:]
    corrector = train_correctors(
        jnp.asarray(volts[None, 0, :40]), jnp.asarray(y[None, :40]), KEY[None], steps=100
    )
    return Aged(*map(jnp.asarray, parts)), jax.tree.map(lambda x: x[0], corrector)


@pytest.mark.slow
@pytest.mark.parametrize("renormalise", [False, True])
@pytest.mark.parametrize("replay", [False, True])
def test_without_updates_what_follows_is_frozen(replay, renormalise):
    samples, corrector = ageing_samples()
    picks = jnp.asarray(np.random.default_rng(0).integers(0, 40, (TIMES, 5)))
    how = {"replay": replay, "renormalise": renormalise}
    still = frozen(corrector, samples, renormalise=renormalise)
    args = corrector, samples, picks, jnp.arange(10)
    np.testing.assert_array_equal(follow(*args, **how, updates=0), still)
    moved = follow(*args, **how, updates=100, rate=0.03)
    assert moved[0] == still[0]
    assert moved[-1] > still[-1] + 0.1


def test_replay_remembers_what_new_labels_alone_forget():
    """Nothing ages, and only one class is labelled again and again."""
    samples, corrector = ageing_samples()
    same = samples._replace(
        train_v=samples.train_v[:1].repeat(TIMES, 0), test_v=samples.test_v[:1].repeat(TIMES, 0)
    )
    picks = jnp.full((TIMES, 3), int(jnp.argmax(samples.train_y == 1)))
    ends = [
        follow(
            corrector,
            same,
            picks,
            jnp.arange(30),
            replay=r,
            renormalise=False,
            updates=200,
            rate=0.03,
        )[-1]
        for r in (False, True)
    ]
    assert ends[1] > ends[0] + 0.1


def test_a_common_fade_does_not_hurt_what_is_normalised_anew():
    samples, corrector = ageing_samples()
    fades = jnp.asarray([1.0, 0.5, 0.1, 0.01])[:, None, None]
    faded = samples._replace(
        train_v=samples.train_v[:1] * fades + 0.3, test_v=samples.test_v[:1] * fades + 0.3
    )
    still = frozen(corrector, faded, renormalise=True)
    assert np.ptp(still) == 0
    assert frozen(corrector, faded)[-1] < still[-1] - 0.2


def test_an_update_costs_one_pass_forwards_and_two_back():
    assert multiply_adds(280, 25, 20) == 3 * 280 * 25 * 20


@pytest.mark.slow
def test_an_aged_network_starts_as_the_broken_one_and_keeps_its_stuck_pairs():
    model = MLP.init(KEY, (5, 4, 3))
    x = np.abs(np.random.default_rng(0).normal(size=(6, 5)))
    wires = xb.Wires(word_line=1.0, bit_line=1.0)
    network = xb.Network.from_weights(model.weights, model.biases, wires=wires, calibration=x)
    hit = jnp.asarray(np.random.default_rng(1).random((5, 3)) < 0.4)
    broken = network.with_fault(1, hit, StuckPair("on"))
    now, later = (aged(network, 1, hit, jnp.asarray(t), KEY) for t in (20.0, 2e6))
    assert eqx.tree_equal(now, broken)
    for cells in jax.tree.leaves(later.layers[1].pairs):
        assert (cells[hit] == network.layers[1].window.g_max).all()
    drifted = [
        new / old
        for old, new in zip(
            *(jax.tree.leaves([part.pairs for part in net.layers]) for net in (broken, later)),
            strict=True,
        )
    ]
    assert all((ratio[~hit] < 0.9).mean() > 0.8 for ratio in drifted[2:])
    assert all((ratio < 0.9).mean() > 0.8 for ratio in drifted[:2])
    assert (drifted[0] != drifted[1]).all()  # each cell its own exponent
    for part in ("wires", "readout", "s", "k"):
        assert eqx.tree_equal(getattr(later.layers[0], part), getattr(network.layers[0], part))


def test_keys_follow_from_seed_purpose_and_number_alone():
    data = jax.random.key_data
    a, b = keys(0, "one", [0, 1, 2]), keys(0, "one", [2])
    assert (data(a)[2] == data(b)[0]).all()
    every = [data(k) for k in (*a, *keys(0, "two", [0]), *keys(1, "one", [0]))]
    assert len({tuple(k.tolist()) for k in every}) == len(every)


@pytest.mark.parametrize(("rows", "lanes"), [(1, 1), (7, 7), (8, 8), (20, 7), (40, 8)])
def test_rows_are_shared_out_evenly(rows, lanes):
    assert evenly(Batching(local_mesh(), 8), rows).lanes == lanes


@pytest.mark.parametrize(
    ("mean", "half", "expected"),
    [
        (0.03, 0.01, "better"),
        (-0.03, 0.01, "worse"),
        (0.01, 0.03, "no different"),
        (0.02, float("nan"), "no different"),
    ],
)
def test_a_difference_counts_only_outside_its_interval(mean, half, expected):
    found = Interval(mean, half, 8)
    assert word(found) == expected
    assert compared(found).startswith(expected)
    assert f"{100 * mean:+.1f}" in compared(found)


def test_settings_of_quick_are_those_of_full_and_fewer():
    full, quick = FULL.beyond, QUICK.beyond
    assert set(quick.label_counts) <= set(full.label_counts)
    assert set(quick.told_images) <= set(full.told_images)
    assert quick.ages < full.ages
