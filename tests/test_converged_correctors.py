"""Correctors trained to convergence: as good as any, and honest about having arrived."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from xbar.learn import converged
from xbar.learn.converged import minimised
from xbar.learn.corrector import L2, Corrector, predict, train_correctors
from xbar.learn.mlp import MLP, cross_entropy
from xbar.learn.scores import LOSSES

OUTPUTS, SAMPLES = 4, 120


@pytest.fixture(scope="module")
def circuits():
    """Voltages of three classes' worth of overlap, the labels, keys."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, OUTPUTS, (3, SAMPLES))
    v = np.eye(OUTPUTS)[labels] + rng.normal(0, 0.6, (3, SAMPLES, OUTPUTS))
    return jnp.asarray(0.1 * v), jnp.asarray(labels), jax.random.split(jax.random.key(5), 3)


def loss_of(head, z, labels):
    """What training minimises; written again, for one circuit."""
    weights = head.weights if isinstance(head, MLP) else ()
    size = sum((jnp.sum(w * w) for w in weights), jnp.zeros(()))
    return cross_entropy(head(z), labels) + L2 / 2 * size


def slope_of(head, z, labels):
    leaves = jax.tree.leaves(jax.grad(loss_of)(head, z, labels))
    return max(float(jnp.abs(leaf).max()) for leaf in leaves)


def one(trained, k):
    return jax.tree.map(lambda leaf: leaf[k], trained)


def test_the_linear_map_is_the_logistic_regression_of_others(circuits):
    voltages, labels, key = (x[0] for x in circuits)
    start = Corrector.init(key, voltages, ())
    z = start.normalise(voltages)

    @jax.jit
    def train(head):
        return minimised(lambda head: loss_of(head, z, labels), head, gradient=1e-7)

    head, arrived = train(start.head)
    assert arrived
    # Its penalty is 1 / (2 C) |W|^2 beside a sum over samples.
    theirs = LogisticRegression(C=1 / (L2 * SAMPLES), tol=1e-10, max_iter=10_000)
    theirs.fit(np.asarray(z), np.asarray(labels))
    got = np.asarray(jax.nn.softmax(head(z)))
    assert np.abs(got - theirs.predict_proba(np.asarray(z))).max() < 1e-4
    # And that of `train_correctors`, which ends earlier, comes close.
    usual = train_correctors(*(x[:1] for x in circuits), hidden=())
    assert np.abs(jax.nn.softmax(usual(voltages[None])[0]) - got).max() < 0.03


@pytest.mark.parametrize("hidden", [(8,), (), "diagonal", None], ids=str)
def test_what_has_converged_is_at_the_bottom(circuits, hidden):
    voltages, labels, _ = circuits
    trained = train_correctors(*circuits, hidden=hidden)
    assert trained.converged is not None
    assert np.all(trained.converged)
    for k in range(3):
        alone = one(trained, k)
        start = Corrector.init(jax.random.key(0), voltages[k], hidden)
        z = alone.normalise(voltages[k])
        # At a kink of ReLU no slope gets small: it ends as the loss no longer comes down.
        assert slope_of(alone.head, z, labels[k]) < (0.02 if hidden == (8,) else 3e-3)
        assert loss_of(alone.head, z, labels[k]) < loss_of(start.head, z, labels[k])
    right = np.mean(np.asarray(predict(trained, voltages) == labels))
    assert right > 0.6


def test_one_that_was_stopped_says_so(circuits):
    voltages, labels, key = (x[0] for x in circuits)
    start = Corrector.init(key, voltages, (8,))
    z = start.normalise(voltages)

    def judged(head):
        return loss_of(head, z, labels)

    for points, expected in ((3, False), (400, True)):
        train = jax.jit(lambda head, p=points: minimised(judged, head, max_points=p))
        head, arrived = train(start.head)
        assert bool(arrived) is expected
        assert judged(head) < judged(start.head)


def test_fixed_steps_do_not_claim_to_have_converged(circuits):
    assert train_correctors(*circuits, hidden=(), steps=2).converged is None
    assert train_correctors(*circuits, hidden=(), batch_size=60).converged is None


def test_a_bad_circuit_is_marked_and_leaves_the_others_alone(circuits):
    voltages, labels, keys = circuits
    spoilt = voltages.at[1, 0, 0].set(jnp.nan)
    trained = train_correctors(spoilt, labels, keys, hidden=(8,))
    whole = train_correctors(voltages, labels, keys, hidden=(8,))
    assert np.asarray(trained.converged).tolist() == [True, False, True]
    pairs = zip(jax.tree.leaves(trained.head), jax.tree.leaves(whole.head), strict=True)
    for got, right in pairs:
        assert np.all(np.isnan(got[1]))
        np.testing.assert_array_equal(got[0], right[0])
        np.testing.assert_array_equal(got[2], right[2])


def test_a_start_at_the_bottom_stays_there():
    voltages = jnp.full((1, 10, 2), 0.05)
    labels = jnp.array([[0, 1] * 5])
    trained = train_correctors(voltages, labels, jax.random.split(jax.random.key(0), 1), hidden=())
    assert np.all(trained.converged)
    assert np.all(np.isfinite(trained(voltages)))


@pytest.mark.parametrize("loss", ["squared", "absolute"])
def test_targets_are_learnt_as_well_as_by_fixed_steps(circuits, loss):
    voltages, labels, keys = circuits
    wanted = jax.nn.one_hot(labels, OUTPUTS) * 2 - 0.5
    loss = LOSSES[loss]
    soon = train_correctors(voltages, wanted, keys, hidden=(), loss=loss)
    late = train_correctors(voltages, wanted, keys, hidden=(), loss=loss, steps=1500)
    assert np.all(soon.converged)
    np.testing.assert_allclose(
        loss(soon(voltages), wanted), loss(late(voltages), wanted), rtol=0.03
    )


@pytest.mark.parametrize("unit", [1.0, 1e-2, 1e-3])
def test_targets_in_a_small_unit_are_no_reason_to_stop(circuits, unit):
    """The linear map of targets of 1 mV misses the same share of them as that of 1 V does."""
    voltages, _, keys = circuits
    z = voltages / jnp.std(voltages)
    targets = z @ jnp.array([[0.6, -0.3, 0.0, 0.2]] * OUTPUTS).T * unit
    trained = train_correctors(voltages, targets, keys, hidden=(), loss=LOSSES["squared"])
    assert trained.converged is not None
    assert np.all(trained.converged)
    missed = jnp.sqrt(LOSSES["squared"](trained(voltages), targets)) / jnp.std(targets, (1, 2))
    assert np.all(missed < 0.03)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("outputs", [1, 3])
def test_classes_are_no_targets(outputs):
    """As many samples as outputs, or one output: the difference would be of all pairs."""
    x, keys = jnp.ones((1, 3, outputs)), jax.random.split(jax.random.key(0), 1)
    for loss in (LOSSES["squared"], LOSSES["absolute"]):
        with pytest.raises(
            ValueError, match=r"targets: got shape \(3,\), needs that of the outputs"
        ):
            train_correctors(x, jnp.array([[0, 1, 0]]), keys, hidden=(), loss=loss)


def test_a_valley_that_bends(monkeypatch):
    """Rosenbrock's, whose bottom is known: the memory of steps has to turn with the valley."""

    def valley(x):
        return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    monkeypatch.setattr(converged, "DECREASE", 0.0)
    found, arrived = jax.jit(lambda x: minimised(valley, x, gradient=1e-8))(jnp.full(5, -1.0))
    assert arrived
    np.testing.assert_allclose(found, np.ones(5), atol=1e-7)


def test_devices_share_the_circuits_and_change_none():
    """Two devices, three circuits; and what was put on one device stays there."""
    code = """
import jax, numpy as np
from xbar.learn import train_correctors
one, other = jax.local_devices()
rng = np.random.default_rng(0)
y = rng.integers(0, 3, (3, 40))
v = (np.eye(3)[y] + 0.5 * rng.normal(size=(3, 40, 3))).astype("float32")
keys = jax.random.split(jax.random.key(0), 3)
shared = train_correctors(v, y, keys, hidden=())
placed = train_correctors(*jax.device_put((v, y, keys), other), hidden=())
assert shared.mean.devices() == {one, other}, shared.mean.devices()
assert placed.mean.devices() == {other}, placed.mean.devices()
assert shared.converged.all() and placed.converged.all()
for a, b in zip(jax.tree.leaves(shared), jax.tree.leaves(placed), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
"""
    env = os.environ | {"JAX_NUM_CPU_DEVICES": "2"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
