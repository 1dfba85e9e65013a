"""Accuracy over circuits with random faults: the additive model and its laws, exact circuits."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xbar as xb
from xbar.learn.mlp import MLP, accuracy
from xbar.nn import Network
from xbar.sensitivity.all_cells import (
    conductances,
    places_of,
    solve_all,
    stuck_conductances,
    with_conductances,
)
from xbar.sensitivity.expansion import agreement
from xbar.sensitivity.yields import (
    Effects,
    Rates,
    drawn_circuits,
    predicted_moments,
    predicted_sample,
)

KEY = jax.random.key(0)
SIZES = (3, 2)


def network():
    mlp = MLP.init(jax.random.key(3), SIZES)
    x = jax.random.uniform(jax.random.key(4), (20, SIZES[0]))
    net = Network.from_weights(mlp.weights, mlp.biases, wires=xb.Wires(20.0, 20.0), calibration=x)
    return net, x, jnp.argmax(mlp(x), -1)


NET, X, LABELS = network()
G = conductances(NET)
G_ON, G_OFF = (stuck_conductances(NET, kind) for kind in ("on", "off"))


def single_effects():
    """Accuracy change of every single fault, each circuit solved by itself."""
    healthy = accuracy(NET(X), LABELS)
    changed = [
        [accuracy(with_conductances(NET, G.at[k].set(stuck[k]))(X), LABELS) for k in range(len(G))]
        for stuck in (G_ON, G_OFF)
    ]
    on, off = (jnp.stack(column) - healthy for column in changed)
    return Effects(healthy, on, off)


EFFECTS = single_effects()


def test_cells_in_a_row_are_the_cells_of_the_arrays():
    at = places_of(NET)
    arrays = [np.asarray(layer.pairs.interleave()) for layer in NET.layers]
    expected = [arrays[k][r, c] for k, r, c in zip(*at, strict=True)]
    np.testing.assert_array_equal(G, expected)
    same = with_conductances(NET, G)
    for a, b in zip(jax.tree.leaves(same), jax.tree.leaves(NET), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_many_networks_solved_are_each_network_solved():
    rng = np.random.default_rng(0)
    g = jnp.asarray(rng.uniform(1e-6, 1e-4, (19, len(G))))  # more than a block, and not a multiple
    found = solve_all(NET, g, X, LABELS)
    for row, loss, right in zip(g, found.loss, found.accuracy, strict=True):
        volts = with_conductances(NET, row)(X)
        logits = volts / NET.output_scale
        own = logits[jnp.arange(len(LABELS)), LABELS]
        np.testing.assert_allclose(loss, jnp.mean(jax.nn.logsumexp(logits, -1) - own), rtol=1e-9)
        assert float(right) == float(accuracy(volts, LABELS))


def test_a_network_without_a_solution_is_marked_and_stops_nobody():
    found = solve_all(NET, jnp.stack([G, G.at[0].set(jnp.nan), G]), X, LABELS)
    assert np.isnan(found.loss).tolist() == [False, True, False]
    assert np.isnan(found.accuracy).tolist() == [False, True, False]


def test_at_rate_0_every_circuit_is_the_healthy_one():
    mean, variance = predicted_moments(EFFECTS, Rates(0.0, 0.0))
    assert (float(mean), float(variance)) == (float(EFFECTS.healthy), 0.0)
    sample = predicted_sample(EFFECTS, Rates(0.0, 0.0), KEY, 50)
    np.testing.assert_array_equal(sample, EFFECTS.healthy)
    drawn = drawn_circuits(G, G_ON, G_OFF, Rates(0.0, 0.0), jax.random.split(KEY, 20))
    np.testing.assert_array_equal(drawn, jnp.tile(G, (20, 1)))


def test_with_at_most_one_fault_the_predicted_mean_is_that_of_all_circuits():
    # To first order in the rate only circuits with no fault or one count: enumerated, each solved.
    # Their probabilities: (1 - n p) and p / 2 for each single fault, n cells, both kinds alike.
    rate, n = 1e-3, len(G)
    singles = [
        float(accuracy(with_conductances(NET, G.at[k].set(stuck[k]))(X), LABELS))
        for k, stuck in product(range(n), (G_ON, G_OFF))
    ]
    healthy = float(accuracy(NET(X), LABELS))
    expected = (1 - n * rate) * healthy + rate / 2 * sum(singles)
    mean = predicted_moments(EFFECTS, Rates(rate / 2, rate / 2)).mean
    np.testing.assert_allclose(mean, expected, rtol=1e-12)
    assert abs(expected - healthy) > 1e-4


@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=4),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
)
def test_moments_are_those_of_every_combination_of_faults(pairs, p_on, p_off):
    # The model itself, by brute force: all 3^n states with their probabilities.
    on, off = (np.array(column) for column in zip(*pairs, strict=True))
    values, weights = [], []
    for state in product(range(3), repeat=len(pairs)):
        chosen = np.array(state)
        values.append(0.9 + on[chosen == 1].sum() + off[chosen == 2].sum())
        weights.append(np.prod(np.array([1 - p_on - p_off, p_on, p_off])[chosen]))
    expected = np.dot(weights, values)
    spread = np.dot(weights, (np.array(values) - expected) ** 2)
    effects = Effects(jnp.asarray(0.9), jnp.asarray(on), jnp.asarray(off))
    mean, variance = predicted_moments(effects, Rates(p_on, p_off))
    np.testing.assert_allclose(mean, expected, atol=1e-12)
    np.testing.assert_allclose(variance, spread, atol=1e-12)


def test_samples_have_the_moments():
    rates, effects = (
        Rates(0.05, 0.1),
        Effects(jnp.asarray(0.9), EFFECTS.on - 0.1, EFFECTS.off + 0.2),
    )
    mean, variance = predicted_moments(effects, rates)
    sample = predicted_sample(effects, rates, KEY, 20_000)
    assert abs(sample.mean() - mean) < 5 * np.sqrt(float(variance) / 20_000)
    np.testing.assert_allclose(sample.var(), variance, rtol=0.1)


def test_drawn_circuits_have_faults_at_their_rates_and_nested_ones_at_higher_rates():
    keys = jax.random.split(KEY, 2000)
    low, high = (drawn_circuits(G, G_ON, G_OFF, Rates(r, 2 * r), keys) for r in (0.05, 0.1))
    for g, rate in ((low, 0.05), (high, 0.1)):
        changed_on = (g == G_ON) & (g != G)
        share = changed_on.sum() / (2000 * (G_ON != G).sum())
        np.testing.assert_allclose(share, rate, rtol=0.1)
        assert ((g == G) | (g == G_ON) | (g == G_OFF)).all()
    assert ((low == G) | (low == high)).all()


def test_agreement_knows_right_wrong_and_reversed():
    exact = np.array([[1.0, -2.0], [3.0, np.nan]])
    right = agreement(exact, exact)
    assert (right.rank, right.error, right.sign, right.cells) == (1.0, 0.0, 1.0, 3)
    nothing = agreement(np.zeros(3), np.array([1.0, 2.0, 3.0]))
    assert np.isnan(nothing.rank)
    assert nothing.error == 1
    wrong = agreement(-exact, exact)
    np.testing.assert_allclose([wrong.rank, wrong.error, wrong.sign], [-1, 2, 0])
    bent = agreement(np.array([1.0, 8.0, 27.0]), np.array([1.0, 2.0, 3.0]))
    assert bent.rank == 1
    assert bent.error > 1


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: predicted_moments(EFFECTS, Rates(-0.1, 0.0)), "rate_on: got -0.1, needs a value"),
        (lambda: predicted_moments(EFFECTS, Rates(0.7, 0.7)), "rate_off: got 0.7, needs at most 1"),
        (lambda: predicted_sample(EFFECTS, Rates(0.1, 2.0), KEY, 3), "rate_off: got 2.0, needs"),
        (lambda: stuck_conductances(NET, "open"), 'stuck: got \'open\', needs "on" or "off"'),
        (lambda: solve_all(NET, G[None, :-1], X, LABELS), "g: got shape .1, 15., needs .networks"),
        (lambda: agreement([1.0], [1.0, 2.0]), "predicted: got shape .1,., needs that of exact"),
        (lambda: agreement([np.nan], [1.0]), "predicted: got no finite entries"),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
