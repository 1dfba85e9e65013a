"""Remedies: what they may change, what they must leave alone, and that they do what they say."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xbar as xb
from xbar.devices import StuckPair
from xbar.learn.mlp import MLP
from xbar.paper.remapping import Assignment, importance, permuted, places
from xbar.paper.repaired import match, retrain, without

SIZES = (6, 7, 5, 4)
KEY = jax.random.key(0)


def model(seed=0):
    made = MLP.init(jax.random.key(seed), SIZES)
    biases = (0.1 * jax.random.normal(jax.random.key(seed + 1), b.shape) for b in made.biases)
    return MLP(made.weights, tuple(biases), made.activation)


def images(count=20):
    return np.abs(np.random.default_rng(0).normal(size=(count, SIZES[0])))


def hits(layer, share=0.3, seed=0):
    shape = (SIZES[layer] + 1, SIZES[layer + 1])
    return np.random.default_rng(seed).random(shape) < share


def mapped(network, x):
    return xb.Network.from_weights(network.weights, network.biases, calibration=x)


@pytest.mark.slow
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_moving_neurons_leaves_the_healthy_ideal_circuit_alone(layer):
    x = images()
    at = places(importance(model(), x, layer), hits(layer))
    assert not (at.rows == np.arange(SIZES[layer])).all()
    moved = permuted(model(), layer, at)
    before = mapped(model(), x)(x)
    new_x = x[:, at.rows] if layer == 0 else x
    after = mapped(moved, new_x)(new_x)
    after = after[:, np.argsort(at.columns)] if layer == 2 else after
    largest = float(jnp.abs(before).max())
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-12 * largest)


@given(seed=st.integers(0, 10_000), share=st.floats(0, 1))
def test_places_are_permutations_and_never_lose_more(seed, share):
    hit = hits(1, share, seed)
    d = np.random.default_rng(seed).random(hit.shape)
    at = places(d, hit)
    assert sorted(at.rows) == list(range(SIZES[1]))
    assert sorted(at.columns) == list(range(SIZES[2]))
    rows = np.append(at.rows, SIZES[1])
    lost = (d[rows][:, at.columns] * hit).sum()
    assert at.lost == pytest.approx(lost, rel=1e-12)
    assert lost <= (d * hit).sum() * (1 + 1e-12)


def test_places_find_the_best_of_all_where_there_is_one_problem():
    """One column, or one row of weights: the least of them on the stuck pairs."""
    d = np.random.default_rng(3).random((9, 1))
    hit = np.array([[True], [False], [True], *[[False]] * 6])
    assert places(d, hit).lost == pytest.approx(np.sort(d[:-1, 0])[:2].sum(), rel=1e-12)
    d, hit = np.random.default_rng(4).random((2, 8)), np.zeros((2, 8), bool)
    hit[0, [2, 5]] = hit[1, 5] = True
    best = min(
        d[0, i] + d[0, j] + d[1, j] for i, j in itertools.permutations(range(8), 2)
    )  # i where the weight alone is stuck, j where the bias is too
    assert places(d, hit).lost == pytest.approx(best, rel=1e-12)


def test_importance_is_the_error_of_the_ideal_layer():
    """In the last layer, for one weight alone: the mean square of what it adds to an output."""
    network, x = model(), images()
    d = importance(network, x, 2)
    for pair in ((1, 2), (5, 0)):  # a weight and a bias
        hit = np.zeros((SIZES[2] + 1, SIZES[3]), bool)
        hit[pair] = True
        less = without(network, 2, jnp.asarray(hit))
        lost = jnp.mean((network(jnp.asarray(x)) - less(jnp.asarray(x))) ** 2, 0).sum()
        assert d[pair] == pytest.approx(float(lost), rel=1e-9)


def stacked(count=2):
    return jax.tree.map(lambda *x: jnp.stack(x), *(model(n) for n in range(count)))


@pytest.mark.parametrize("layer", [0, 2])
def test_retraining_holds_stuck_pairs_and_learns_with_the_rest(layer):
    rng = np.random.default_rng(0)
    y = jnp.asarray(np.tile(np.arange(40) % 4, (2, 1)))
    x = jnp.asarray(5 * np.maximum(np.eye(4, 6)[y] + 0.2 * rng.normal(size=(2, 40, 6)), 0))
    hit = jnp.asarray(np.stack([hits(layer, 0.2, n) for n in range(2)]))
    start = without(stacked(), layer, hit)
    after = retrain(stacked(), layer, hit, x, y, jax.random.split(KEY, 2), 200)
    held = jnp.concatenate([after.weights[layer], after.biases[layer][:, None]], axis=1)
    assert (held[hit] == 0).all()
    assert (held[~hit] != 0).mean() > 0.9
    for before, now in zip(start.weights, after.weights, strict=True):
        assert (before != now).any()
    right = (jnp.argmax(after(x), -1) == y).mean()
    assert float(right) > float((jnp.argmax(start(x), -1) == y).mean()) + 0.1


def test_a_stuck_pair_is_a_weight_of_zero_in_the_ideal_circuit():
    network, x, hit = model(), images(), jnp.asarray(hits(1))
    healthy = mapped(network, x)
    volts = healthy.with_fault(1, hit, StuckPair("on"))(x)
    expected = healthy.output_scale * without(network, 1, hit)(jnp.asarray(x))
    np.testing.assert_allclose(volts, expected, rtol=0, atol=1e-12 * float(jnp.abs(volts).max()))


def test_matched_voltages_have_the_healthy_statistics_and_dead_outputs_stay_dead():
    rng = np.random.default_rng(0)
    of = rng.normal(2, 3, (50, 4))
    of[:, 3] = 0.7
    like = rng.normal(-1, 0.5, (60, 4))
    got = np.asarray(match(of, of, like))
    np.testing.assert_allclose(got.mean(0), like.mean(0), rtol=1e-12)
    np.testing.assert_allclose(got.std(0)[:3], like.std(0)[:3], rtol=1e-12)
    assert np.ptp(got[:, 3]) == 0
    one = np.asarray(match(of[:1], of, like))
    np.testing.assert_allclose(one, got[:1], rtol=1e-12)  # statistics are those of the sample


def test_bad_shapes_are_named():
    with pytest.raises(ValueError, match=r"hit: got shape \(3, 2\), needs that of the weights"):
        places(np.ones((4, 2)), np.ones((3, 2), bool))


def test_places_where_nothing_is_stuck_stay():
    at = places(np.ones((4, 3)), np.zeros((4, 3), bool))
    assert at == Assignment(pytest.approx(np.arange(3)), pytest.approx(np.arange(3)), 0.0)
