import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from xbar.learn.corrector import (
    Corrector,
    accuracy,
    nearest_neighbour_accuracy,
    normalisation,
    predict,
    train_correctors,
)
from xbar.learn.mlp import MLP

DTYPES = ["float32", "float64"]
KINDS = [(8,), (), None]


def circuits(n_circuits=3, n=150, outputs=10, seed=0, dtype="float64"):
    """Output voltages around 0.1 V that a random matrix has mixed, and their classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, outputs, (n_circuits, n))
    logits = np.eye(outputs)[labels] + 0.15 * rng.normal(size=(n_circuits, n, outputs))
    mix = np.eye(outputs) + 0.4 * rng.normal(size=(n_circuits, outputs, outputs))
    return jnp.asarray(0.1 * logits @ mix, dtype), jnp.asarray(labels)


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


@pytest.mark.parametrize(
    ("hidden", "count"),
    [
        (None, 10),
        ((), 110),
        ((1,), 31),
        ((2,), 52),
        ((4,), 94),
        ((8,), 178),
        ((6, 6), 178),
        ((14,), 304),
        ((32,), 682),
        ((143,), 3013),
    ],
)
def test_parameter_count(hidden, count):
    voltages, labels = circuits(2, n=20)
    corrector = Corrector.init(jax.random.key(0), voltages[0], hidden)
    assert corrector.parameter_count == count
    stacked = train_correctors(voltages, labels, keys(2), hidden=hidden, steps=1)
    assert stacked.parameter_count == count
    trained = sum(leaf.size for leaf in jax.tree.leaves(corrector.head))
    assert trained == count + (hidden is None)  # the bias-only head's temperature


@pytest.mark.parametrize(
    ("hidden", "dtype"),
    [((8,), "float32"), ((8,), "float64"), ((), "float64"), (None, "float32")],
)
def test_one_circuit_of_many_trains_as_if_alone(hidden, dtype):
    voltages, labels = circuits(3, dtype=dtype)
    options = {"hidden": hidden, "steps": 60}
    together = train_correctors(voltages, labels, keys(3), **options)
    for i in range(3):
        alone = train_correctors(
            voltages[i : i + 1], labels[i : i + 1], keys(3)[i : i + 1], **options
        )
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            assert a.dtype == dtype
            np.testing.assert_allclose(a[i], b[0], atol=1e-10 if dtype == "float64" else 1e-3)


def test_cutting_circuits_into_chunks_changes_nothing(monkeypatch):
    voltages, labels = circuits(5)
    whole = train_correctors(voltages, labels, keys(5), steps=20)
    monkeypatch.setattr(
        "xbar.learn.corrector.CHUNK", 2 * 150 * 28
    )  # two circuits at a time, one left
    cut = train_correctors(voltages, labels, keys(5), steps=20)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(cut), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)


@pytest.mark.parametrize("batch_size", [None, 32])
@pytest.mark.parametrize("dtype", DTYPES)
def test_correctors_undo_a_mixture(batch_size, dtype):
    voltages, labels = circuits(3, n=500, dtype=dtype)
    fresh = slice(300, None)
    before = accuracy(voltages[:, fresh], labels[:, fresh])
    correctors = train_correctors(
        voltages[:, :300], labels[:, :300], keys(3), batch_size=batch_size
    )
    after = accuracy(correctors(voltages[:, fresh]), labels[:, fresh])
    assert float(before.max()) < 0.9
    assert float(after.min()) > 0.97


def test_bias_only_undoes_offsets_and_nothing_else():
    voltages, labels = circuits(1, n=500)
    voltages = 0.1 * jnp.eye(10)[labels] + 0.02 * jax.random.normal(
        jax.random.key(0), voltages.shape
    )
    offsets = 0.3 * jax.random.normal(jax.random.key(1), (10,))
    cases = jnp.concatenate([voltages + offsets, jnp.roll(voltages, 1, -1)])
    both = jnp.concatenate([labels, labels])
    correctors = train_correctors(cases, both, keys(2), hidden=None)
    shifted, swapped = accuracy(correctors(cases), both)
    assert float(accuracy(cases, both)[0]) < 0.4
    assert float(shifted) > 0.97
    assert float(swapped) < 0.3


def test_bias_only_takes_the_decisions_of_biased_voltages():
    """One scale for all outputs: argmax(v + b) for some b in volts, whatever was trained."""
    voltages, labels = circuits(1)
    corrector = jax.tree.map(
        lambda a: a[0], train_correctors(voltages, labels, keys(1), hidden=None)
    )
    unit = corrector.std * jnp.exp(-corrector.head.log_scale)
    assert float(jnp.ptp(unit)) == 0
    expected = jnp.argmax(voltages[0] + unit * corrector.head.bias, -1)
    assert jnp.array_equal(predict(corrector, voltages[0]), expected)


@pytest.mark.parametrize("hidden", KINDS)
def test_unit_of_the_voltages_does_not_matter(hidden):
    voltages, labels = circuits(2)
    volts = train_correctors(voltages, labels, keys(2), hidden=hidden, steps=50)
    other = train_correctors(2.0**-20 * voltages, labels, keys(2), hidden=hidden, steps=50)
    np.testing.assert_allclose(volts(voltages), other(2.0**-20 * voltages), rtol=1e-9)


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.floats(-3, 3), st.floats(-3, 3))
def test_normalisation_follows_shift_and_scale(seed, shift, log_scale):
    scale = 10.0**log_scale
    v = jnp.asarray(np.random.default_rng(seed).normal(size=(20, 4)))
    mean, std = normalisation(v)
    np.testing.assert_allclose(((v - mean) / std).mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(((v - mean) / std).std(0), 1, rtol=1e-12)
    moved_mean, moved_std = normalisation(scale * (v + shift))
    np.testing.assert_allclose(moved_mean, scale * (mean + shift), rtol=1e-9, atol=1e-12 * scale)
    np.testing.assert_allclose(moved_std, scale * std, rtol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dead_output_stays_quiet(dtype):
    """A column that carries nothing but solver noise must not be blown up to unit spread."""
    v = np.random.default_rng(0).normal(size=(50, 3))
    v[:, 1] = 0.05 + 1e-9 * v[:, 1]
    mean, std = normalisation(jnp.asarray(v, dtype))
    assert float(jnp.abs((v - mean) / std)[:, 1].max()) < 0.01
    assert float(std.min()) > 0


@pytest.mark.parametrize(
    ("hidden", "dtype"),
    [((8,), "float32"), ((8,), "float64"), ((), "float64"), (None, "float32")],
)
def test_dead_circuit_trains_to_the_most_frequent_class(hidden, dtype):
    labels = jnp.array([[2] * 6 + [1] * 3 + [0]] * 2)
    voltages = jnp.full((2, 10, 3), 0.05, dtype).at[1].set(0)  # constant; nothing at all
    correctors = train_correctors(voltages, labels, keys(2), hidden=hidden)
    assert jnp.array_equal(predict(correctors, voltages), jnp.full((2, 10), 2))
    # Not divided by the rounding error of a standard deviation
    np.testing.assert_allclose(correctors.std, np.full((2, 3), [[5e-7], [1]]), rtol=1e-3)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(correctors))


def test_circuit_that_failed_spoils_no_other():
    voltages, labels = circuits(3)
    clean = train_correctors(voltages, labels, keys(3), steps=20)
    failed = voltages.at[1, 7, 2].set(jnp.nan)
    spoilt = train_correctors(failed, labels, keys(3), steps=20)
    np.testing.assert_array_equal(jnp.isnan(accuracy(spoilt(failed), labels)), [0, 1, 0])
    for i in (0, 2):
        np.testing.assert_allclose(clean(voltages)[i], spoilt(voltages)[i], rtol=1e-12)


@pytest.mark.parametrize("hidden", KINDS)
def test_stacked_corrector_answers_as_its_members(hidden):
    voltages, labels = circuits(3)
    correctors = train_correctors(voltages, labels, keys(3), hidden=hidden, steps=20)
    logits, classes = correctors(voltages), predict(correctors, voltages)
    for i in range(3):
        one = jax.tree.map(lambda a, i=i: a[i], correctors)
        np.testing.assert_allclose(logits[i], one(voltages[i]), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(logits[i, 4], one(voltages[i, 4]), rtol=1e-10, atol=1e-12)
        assert jnp.array_equal(classes[i], predict(one, voltages[i]))
        assert int(classes[i, 4]) == int(predict(one, voltages[i, 4]))
    np.testing.assert_allclose(
        correctors(voltages[0, 4]), correctors(voltages[:1, 4:5])[:, 0], rtol=1e-10, atol=1e-12
    )


def test_corrector_can_be_differentiated_to_the_voltages():
    voltages, _ = circuits(1)
    corrector = Corrector.init(jax.random.key(0), voltages[0])
    jacobian = jax.jacobian(corrector)(voltages[0, 0])
    step = 1e-6
    for j in range(10):
        nudge = step * jnp.eye(10)[j]
        change = corrector(voltages[0, 0] + nudge) - corrector(voltages[0, 0] - nudge)
        np.testing.assert_allclose(jacobian[:, j], change / (2 * step), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("k", [1, 5, 12])
@pytest.mark.parametrize("dtype", DTYPES)
def test_nearest_neighbours_agree_with_scikit_learn(k, dtype):
    voltages, labels = circuits(3, n=200, dtype=dtype)
    train, test = slice(0, 120), slice(120, None)
    got = nearest_neighbour_accuracy(
        voltages[:, train], labels[:, train], voltages[:, test], labels[:, test], k
    )
    assert got.dtype == dtype
    for i in range(3):
        v = np.asarray(voltages[i], "float64")
        v = (v - v[train].mean(0)) / v[train].std(0)
        model = KNeighborsClassifier(k).fit(v[train], labels[i, train])
        score = model.score(v[test], labels[i, test])
        assert float(got[i]) == pytest.approx(score, abs=0.013 if dtype == "float32" else 1e-9)
        one = nearest_neighbour_accuracy(
            voltages[i, train], labels[i, train], voltages[i, test], labels[i, test], k
        )
        assert one.shape == ()
        assert float(one) == float(got[i])


def test_nearest_neighbours_mark_a_failed_circuit():
    voltages, labels = circuits(2, n=40)
    spoilt = voltages.at[1, 3, 3].set(jnp.nan)
    for train, test in ((spoilt, voltages), (voltages, spoilt)):
        got = nearest_neighbour_accuracy(train, labels, test, labels, 1)
        np.testing.assert_array_equal(jnp.isnan(got), [False, True])


@pytest.mark.parametrize("k", [0, 41])
def test_wrong_number_of_neighbours_says_so(k):
    voltages, labels = circuits(1, n=40)
    with pytest.raises(ValueError, match=f"k: got {k}, needs 1 to 40"):
        nearest_neighbour_accuracy(voltages, labels, voltages, labels, k)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": jnp.zeros((2, 149), int)}, r"labels: got shape \(2, 149\)"),
        ({"labels": jnp.full((2, 150), 10)}, "labels: got 10 to 10, needs 0 to 9"),
        ({"labels": jnp.full((2, 150), -1)}, "labels: got -1 to -1, needs 0 to 9"),
        ({"labels": jnp.zeros((2, 150))}, "labels: got dtype float64, needs integers"),
        ({"voltages": jnp.zeros((150, 10))}, r"voltages: got shape \(150, 10\), needs"),
        ({"keys": keys(3)}, "keys: got 3, needs one per circuit, 2"),
        ({"hidden": (0,)}, "sizes: got"),
        ({"activation": "step"}, "activation: got 'step'"),
        ({"steps": 0}, "steps: got 0"),
        ({"batch_size": -5}, "batch_size: got -5"),
        ({"steps": 2.5}, "steps: got 2.5, needs a whole number"),
        ({"batch_size": 2.5}, "batch_size: got 2.5, needs a whole number"),
        ({"learning_rate": -0.1}, "learning_rate: got -0.1, needs a finite rate >= 0"),
        ({"weight_decay": float("nan")}, "weight_decay: got nan, needs a finite rate >= 0"),
        ({"hidden": 8}, "hidden: got 8, needs whole numbers such as"),
        ({"hidden": "diag"}, "hidden: got 'diag', needs"),
        ({"hidden": (8.5,)}, r"hidden: got \(8.5,\), needs"),
        ({"voltages": jnp.zeros((2, 150, 10), int)}, "voltages: got dtype int64, needs floating"),
        ({"keys": jax.random.key(0)}, "keys: got one key without a leading axis, needs"),
        ({"keys": jax.random.PRNGKey(0)}, "keys: got one key without a leading axis, needs"),
    ],
)
def test_wrong_training_says_so(changed, message):
    voltages, labels = circuits(2)
    call = {"voltages": voltages, "labels": labels, "keys": keys(2), **changed}
    with pytest.raises(ValueError, match=message):
        train_correctors(**call)


@pytest.mark.usefixtures("no_shape_checks")
def test_the_name_of_a_loss_is_no_loss():
    with pytest.raises(TypeError, match="loss: got 'squared', needs a function, such as those of"):
        train_correctors(*circuits(2), keys(2), loss="squared")


def test_import_loads_nothing_heavy():
    unwanted = ["sklearn", "matplotlib", "h5py", "xbar.io"]
    code = f"import sys, xbar.learn.corrector; print([m for m in {unwanted} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == "[]"


def test_head_is_the_plain_network():
    voltages, _ = circuits(1)
    corrector = Corrector.init(jax.random.key(0), voltages[0], (6, 6), "tanh")
    assert isinstance(corrector.head, MLP)
    z = (voltages[0] - voltages[0].mean(0)) / voltages[0].std(0)
    np.testing.assert_allclose(corrector(voltages[0]), corrector.head(z), rtol=1e-9, atol=1e-12)
    assert eqx.tree_equal(corrector, Corrector.init(jax.random.key(0), voltages[0], (6, 6), "tanh"))
