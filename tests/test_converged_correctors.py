"""Correctors trained to convergence: as good as any, and honest about having arrived."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from xbar.learn.converged import L2, Converged, converged_correctors
from xbar.learn.corrector import predict
from xbar.learn.mlp import cross_entropy

OUTPUTS, SAMPLES = 4, 120


@pytest.fixture(scope="module")
def circuits():
    """Voltages of three classes' worth of overlap, the labels, keys."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, OUTPUTS, (3, SAMPLES))
    v = np.eye(OUTPUTS)[labels] + rng.normal(0, 0.6, (3, SAMPLES, OUTPUTS))
    return jnp.asarray(0.1 * v), jnp.asarray(labels), jax.random.split(jax.random.key(5), 3)


def loss_of(trained: Converged, voltages, labels):
    head = trained.correctors.head
    size = sum(jnp.sum(w * w, (-2, -1)) for w in head.weights)
    return cross_entropy(trained.correctors(voltages), labels) + L2 / 2 * size


def test_the_linear_map_is_the_logistic_regression_of_scikit_learn(circuits):
    voltages, labels, keys = circuits
    trained = converged_correctors(*circuits, hidden=(), gradient=1e-7)
    assert np.all(trained.converged)
    z = np.asarray(trained.correctors.normalise(voltages))
    for k in range(len(keys)):
        # Its penalty is 1 / (2 C) |W|^2 beside a sum over samples.
        theirs = LogisticRegression(C=1 / (L2 * SAMPLES), tol=1e-10, max_iter=10_000)
        theirs.fit(z[k], np.asarray(labels[k]))
        got = np.asarray(jax.nn.softmax(trained.correctors(voltages)[k]))
        assert np.abs(got - theirs.predict_proba(z[k])).max() < 1e-4


@pytest.mark.parametrize("hidden", [(8,), "diagonal", None], ids=str)
def test_what_has_converged_is_at_the_bottom(circuits, hidden):
    trained = converged_correctors(*circuits, hidden=hidden, gradient=1e-4)
    assert np.all(trained.converged)
    assert np.all((trained.steps > 0) & (trained.steps < 300))
    chance = np.mean(np.asarray(predict(trained.correctors, circuits[0]) == circuits[1]))
    assert chance > 0.6


def test_one_that_had_too_few_steps_says_so(circuits):
    trained = converged_correctors(*circuits, max_steps=2)
    assert not np.any(trained.converged)
    assert np.all(trained.steps == 2)


def test_more_steps_do_not_make_it_worse(circuits):
    few = converged_correctors(*circuits, hidden=(8,), max_steps=10)
    many = converged_correctors(*circuits, hidden=(8,))
    assert np.all(loss_of(many, *circuits[:2]) <= loss_of(few, *circuits[:2]) + 1e-12)


def test_a_bad_circuit_is_marked_and_leaves_the_others_alone(circuits):
    voltages, labels, keys = circuits
    spoilt = voltages.at[1, 0, 0].set(jnp.nan)
    trained = converged_correctors(spoilt, labels, keys, hidden=(8,))
    whole = converged_correctors(voltages, labels, keys, hidden=(8,))
    assert np.asarray(trained.converged).tolist() == [True, False, True]
    for got, right in zip(
        jax.tree.leaves(trained.correctors.head),
        jax.tree.leaves(whole.correctors.head),
        strict=True,
    ):
        assert np.all(np.isnan(got[1]))
        np.testing.assert_allclose(got[0], right[0], rtol=1e-12)
        np.testing.assert_allclose(got[2], right[2], rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_steps": 0}, "max_steps: got 0, needs at least 1"),
        ({"l2": -1.0}, "l2: got -1.0, needs at least 0"),
        ({"gradient": 0.0}, "gradient: got 0.0, needs above 0"),
    ],
)
def test_bad_options(circuits, options, message):
    with pytest.raises(ValueError, match=message):
        converged_correctors(*circuits, **options)


def test_bad_labels(circuits):
    voltages, labels, keys = circuits
    with pytest.raises(ValueError, match=r"labels: got 0 to 9, needs 0 to 3"):
        converged_correctors(voltages, labels.at[0, 0].set(9), keys)
