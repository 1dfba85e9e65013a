from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xbar.io import load_digits, split_many
from xbar.learn.mlp import ACTIVATIONS, MLP, accuracy, cross_entropy, fit, fit_many

SIZES = (64, 50, 20, 8, 10)
PHI = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
}
CLASSES = st.integers(0, 3)
DTYPES = ["float32", "float64"]


def blobs(key, models, n=60, features=4, classes=3, dtype="float64"):
    """Overlapping clusters: x (models, n, features), labels (models, n)."""
    a, b, c = jax.random.split(key, 3)
    labels = jax.random.randint(a, (models, n), 0, classes)
    centres = 1.5 * jax.random.normal(b, (classes, features), dtype)
    return centres[labels] + jax.random.normal(c, (models, n, features), dtype), labels


@eqx.filter_jit
def stacked(keys, sizes, activation="relu", dtype=None):
    return eqx.filter_vmap(lambda k: MLP.init(k, sizes, activation, dtype))(keys)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_logits_are_the_textbook_formula(activation):
    model = MLP.init(jax.random.key(0), (5, 4, 3, 2), activation)
    model = eqx.tree_at(lambda m: m.biases, model, tuple(b + 0.1 for b in model.biases))
    x = np.random.default_rng(0).normal(size=(7, 5))
    a = x
    for layer, (w, b) in enumerate(zip(model.weights, model.biases, strict=True)):
        z = a @ np.asarray(w) + np.asarray(b)
        a = z if layer == 2 else PHI[activation](z)
    np.testing.assert_allclose(model(jnp.asarray(x)), a, rtol=1e-12)


def test_one_sample_is_a_row_of_many():
    model = MLP.init(jax.random.key(0), SIZES)
    x = jax.random.normal(jax.random.key(1), (6, 64))
    np.testing.assert_allclose(model(x[2]), model(x)[2], rtol=1e-12)
    assert model(x[2]).shape == (10,)


@pytest.mark.parametrize("shape", [(4,), (6, 4), (3, 6, 4)])
def test_stacked_model_pairs_its_axes_with_the_inputs(shape):
    models = stacked(jax.random.split(jax.random.key(0), 3), (4, 5, 2))
    x = jax.random.normal(jax.random.key(1), shape)
    got = models(x)
    for i in range(3):
        one = jax.tree.map(lambda a, i=i: a[i], models)
        np.testing.assert_allclose(got[i], one(x[i] if x.ndim == 3 else x), rtol=1e-12)


def test_parameter_count():
    assert MLP.init(jax.random.key(0), SIZES).parameter_count == 4528
    assert stacked(jax.random.split(jax.random.key(0), 3), SIZES).parameter_count == 4528


@pytest.mark.parametrize("dtype", DTYPES)
def test_new_weights_have_the_intended_spread(dtype):
    model = MLP.init(jax.random.key(0), (400, 300, 200), "relu", dtype)
    assert all(leaf.dtype == dtype for leaf in jax.tree.leaves(model))
    for w, gain in zip(model.weights, (2**0.5, 1.0), strict=True):
        assert float(jnp.std(w)) == pytest.approx(gain * w.shape[0] ** -0.5, rel=0.01)
    assert not any(jnp.any(b) for b in model.biases)


@given(arrays(float, (6, 4), elements=st.floats(-9, 9)), arrays(int, 6, elements=CLASSES))
def test_cross_entropy_is_minus_log_softmax(logits, labels):
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    got = cross_entropy(jnp.asarray(logits), jnp.asarray(labels))
    np.testing.assert_allclose(got, -np.log(p[np.arange(6), labels]).mean(), rtol=1e-12)


@given(st.integers(0, 2**31), arrays(int, 6, elements=CLASSES), st.floats(0.01, 100))
def test_accuracy_counts_and_ignores_scale(seed, labels, scale):
    logits = np.random.default_rng(seed).normal(size=(6, 4))
    share = np.mean([max(range(4), key=row.__getitem__) for row in logits] == labels)
    got = accuracy(jnp.asarray(logits), jnp.asarray(labels))
    assert float(got) == pytest.approx(share)
    assert float(accuracy(jnp.asarray(scale * logits), jnp.asarray(labels))) == float(got)


@pytest.mark.parametrize("dtype", DTYPES)
def test_accuracy_of_a_stack_marks_only_the_failed_entry(dtype):
    logits = jnp.eye(3, dtype=dtype)[None].repeat(3, 0).at[1, 0, 2].set(jnp.nan)
    labels = jnp.array([[0, 1, 2], [0, 1, 2], [0, 0, 2]])
    got = accuracy(logits, labels)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, [1, np.nan, 2 / 3], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
def test_digits_are_learnt_by_eight_seeds_at_once(dtype):
    digits = load_digits()
    keys = jax.random.split(jax.random.key(0), 8)
    parts = split_many(digits.labels, keys)
    x = jnp.asarray((digits.images / digits.max_input).astype(dtype))
    labels = jnp.asarray(digits.labels)
    models = stacked(keys, SIZES, "relu", dtype)
    models = fit_many(models, x[parts.base], labels[parts.base], keys=keys)
    assert all(leaf.dtype == dtype for leaf in jax.tree.leaves(models))
    got = accuracy(models(x[parts.test]), labels[parts.test])
    assert float(got.mean()) > 0.96
    assert float(got.min()) > 0.93


@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.parametrize("dtype", DTYPES)
def test_training_together_is_training_alone(batch_size, dtype):
    keys = jax.random.split(jax.random.key(1), 3)
    x, labels = blobs(jax.random.key(0), 3, dtype=dtype)
    models = stacked(keys, (4, 5, 3), "tanh", dtype)
    options = {"steps": 50, "batch_size": batch_size}
    together = fit_many(models, x, labels, keys=keys, **options)
    for i in range(3):
        one = jax.tree.map(lambda a, i=i: a[i], models)
        alone = fit(one, x[i], labels[i], key=keys[i], **options)
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a[i], b, atol=1e-11 if dtype == "float64" else 2e-4)


def test_key_decides_the_minibatches_alone():
    x, labels = (a[0] for a in blobs(jax.random.key(0), 1))
    model = MLP.init(jax.random.key(1), (4, 5, 3))

    def trained(seed, batch_size):
        key = jax.random.key(seed)
        return fit(model, x, labels, key=key, steps=20, batch_size=batch_size).weights[0]

    assert jnp.array_equal(trained(0, 16), trained(0, 16))
    assert not jnp.array_equal(trained(0, 16), trained(1, 16))
    assert jnp.array_equal(trained(0, None), trained(1, None))
    assert jnp.array_equal(trained(0, 60), trained(1, 1000))  # all the samples, or more


@pytest.mark.parametrize(("n", "batch_size"), [(60, 16), (61, 60), (5, 1), (64, 16)])
def test_every_sample_trains(n, batch_size):
    """A weight that only one sample reaches moves, whichever sample that is."""
    x, labels = jnp.eye(n), jnp.arange(n) % 2
    model = MLP.init(jax.random.key(0), (n, 2))
    steps = -(-n // batch_size)
    trained = fit(
        model, x, labels, key=jax.random.key(1), steps=steps, batch_size=batch_size, weight_decay=0
    )
    assert bool(jnp.all(jnp.any(trained.weights[0] != model.weights[0], 1)))


def test_rates_can_be_vmapped():
    x, labels = (a[0] for a in blobs(jax.random.key(0), 1))
    model, key = MLP.init(jax.random.key(1), (4, 3)), jax.random.key(2)

    def size(weight_decay):
        trained = fit(model, x, labels, key=key, steps=300, weight_decay=weight_decay)
        return jnp.abs(trained.weights[0]).max()

    sizes = jax.vmap(size)(jnp.array([0.0, 0.3, 3.0]))
    assert np.all(np.diff(sizes) < 0)


def test_weight_decay_leaves_biases_alone():
    """Inputs of 0 make the biases all that matters: they must reach the log frequencies."""
    labels = jnp.array([0] * 6 + [1] * 3 + [2])
    model = MLP.init(jax.random.key(0), (4, 3))
    trained = fit(
        model, jnp.zeros((10, 4)), labels, key=jax.random.key(1), batch_size=None, weight_decay=1
    )
    got = jax.nn.softmax(trained.biases[0])
    np.testing.assert_allclose(got, [0.6, 0.3, 0.1], atol=1e-3)
    assert float(jnp.abs(trained.weights[0]).max()) < 0.1 * float(jnp.abs(model.weights[0]).max())


@settings(max_examples=5)
@given(st.integers(0, 2**31))
def test_masked_entries_keep_their_value(seed):
    x, labels = blobs(jax.random.key(0), 2)
    keys = jax.random.split(jax.random.key(0), 2)
    models = stacked(keys, (4, 5, 3))
    rng = np.random.default_rng(seed)
    masks = jax.tree.map(lambda a: jnp.asarray(rng.integers(0, 2, a.shape)), models)
    trained = fit_many(
        models, x, labels, keys=keys, steps=20, batch_size=16, weight_decay=1, trainable=masks
    )
    for before, after, mask in zip(*map(jax.tree.leaves, (models, trained, masks)), strict=True):
        assert jnp.array_equal(before[mask == 0], after[mask == 0])
        # ReLU units that are always off have no gradient, but decay moves weights all the same.
        if before.ndim == 3:
            assert jnp.all(before[mask == 1] != after[mask == 1])


def test_mask_of_ones_changes_nothing():
    x, labels = (a[0] for a in blobs(jax.random.key(0), 1))
    model, key = MLP.init(jax.random.key(1), (4, 5, 3)), jax.random.key(2)
    plain = fit(model, x, labels, key=key, steps=20)
    masked = fit(model, x, labels, key=key, steps=20, trainable=jax.tree.map(jnp.ones_like, model))
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(masked), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_one_bad_data_set_spoils_no_other():
    x, labels = blobs(jax.random.key(0), 2)
    keys = jax.random.split(jax.random.key(1), 2)
    models = stacked(keys, (4, 3))
    clean = fit_many(models, x, labels, keys=keys, steps=20)
    spoilt = fit_many(models, x.at[0, 3].set(jnp.nan), labels, keys=keys, steps=20)
    assert jnp.isnan(spoilt.weights[0][0]).any()
    assert jnp.array_equal(spoilt.weights[0][1], clean.weights[0][1])


def layers(*sizes):
    return [np.zeros(pair) for pair in pairwise(sizes)], [np.zeros(n) for n in sizes[1:]]


@pytest.mark.parametrize(
    ("weights", "biases", "activation", "message"),
    [
        (*layers(3, 2), "gelu", "activation: got 'gelu', needs one of"),
        ([], [], "relu", "MLP.biases: got 0 for 0 layers"),
        (layers(3, 2)[0], [], "relu", "MLP.biases: got 0 for 1 layers"),
        (layers(3, 2)[0], [np.zeros(3)], "relu", r"MLP.biases\[0\]: got shape \(3,\) beside"),
        ([np.zeros((3, 2)), np.zeros((4, 5))], [np.zeros(2), np.zeros(5)], "relu", "got 4 inputs"),
    ],
)
def test_layers_that_do_not_fit_say_so(weights, biases, activation, message):
    with pytest.raises(ValueError, match=message):
        MLP(tuple(map(jnp.asarray, weights)), tuple(map(jnp.asarray, biases)), activation)


@pytest.mark.parametrize(
    ("sizes", "activation", "message"),
    [
        ((3,), "relu", "MLP.init sizes: got"),
        ((3, 0, 2), "relu", "MLP.init sizes: got"),
        ((3, 2), "ReLU", "activation: got 'ReLU'"),
    ],
)
def test_wrong_sizes_say_so(sizes, activation, message):
    with pytest.raises(ValueError, match=message):
        MLP.init(jax.random.key(0), sizes, activation)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": jnp.zeros(9, int)}, r"labels: got shape \(9,\), needs one per sample"),
        ({"labels": jnp.zeros((10, 1), int)}, r"labels: got shape \(10, 1\)"),
        ({"labels": jnp.full(10, -1)}, "labels: got -1 to -1, needs 0 to 2"),
        ({"labels": jnp.arange(10)}, "labels: got 0 to 9, needs 0 to 2"),
        ({"labels": jnp.zeros(10)}, "labels: got dtype float64, needs integers"),
        ({"x": jnp.zeros((0, 4)), "labels": jnp.zeros(0, int)}, "labels: got"),
        ({"x": jnp.zeros((10, 5))}, "MLP x: got 5 inputs per sample, needs 4"),
        ({"steps": 0}, "steps: got 0"),
        ({"batch_size": 0}, "batch_size: got 0"),
    ],
)
def test_wrong_training_says_so(changed, message):
    call = {"x": jnp.zeros((10, 4)), "labels": jnp.zeros(10, int), **changed}
    with pytest.raises(ValueError, match=message):
        fit(MLP.init(jax.random.key(0), (4, 3)), key=jax.random.key(0), **call)
