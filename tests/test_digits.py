import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbar.io import Dataset, load_digits, split, split_many


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def parts_of(parts):
    return [np.asarray(part) for part in (parts.base, parts.corrector, parts.test)]


def test_digits_are_the_uci_ones(digits):
    assert digits.images.shape == (1797, 64)
    assert digits.labels.shape == (1797,)
    assert (digits.n_features, digits.n_classes) == (64, 10)
    assert digits.images.dtype == jnp.float64  # x64 is on in the tests
    assert float(digits.images.min()) == 0
    assert float(digits.images.max()) == digits.max_input == 16
    assert np.all(np.asarray(digits.images) % 1 == 0)
    # Counts per class as the UCI repository lists them for the test part.
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(digits.labels).tolist() == counts


def test_split_is_disjoint_and_complete(digits):
    parts = parts_of(split(digits.labels, jax.random.key(0)))
    assert [len(part) for part in parts] == [1078, 359, 360]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(1797))


def test_split_is_stratified(digits):
    whole = np.bincount(digits.labels) / 1797
    for part in parts_of(split(digits.labels, jax.random.key(0))):
        counts = np.bincount(digits.labels[part], minlength=10)
        # Three roundings to whole images at most: part of the total, then the part of the rest.
        assert np.abs(counts - whole * len(part)).max() < 2


def test_split_follows_its_key(digits):
    first, again = (split(digits.labels, jax.random.key(3)) for _ in range(2))
    other = split(digits.labels, jax.random.key(4))
    for a, b, c in zip(*map(parts_of, (first, again, other)), strict=True):
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)


@pytest.mark.parametrize("make", [jax.random.key, jax.random.PRNGKey])
def test_split_many_stacks_single_splits(digits, make):
    keys = jax.random.split(make(0), 3)
    many = split_many(digits.labels, keys)
    assert many.test.shape == (3, 360)
    assert digits.images[many.base].shape == (3, 1078, 64)
    for seed, key in enumerate(keys):
        for stacked, single in zip(
            parts_of(many), parts_of(split(digits.labels, key)), strict=True
        ):
            assert np.array_equal(stacked[seed], single)


@settings(max_examples=100)
@given(
    extra=st.lists(st.integers(0, 9), min_size=2, max_size=9),
    shares=st.tuples(*[st.integers(1, 8)] * 3),
    seed=st.integers(0, 2**31),
)
def test_classes_that_are_not_rare_always_split(extra, shares, seed):
    fractions = tuple(share / sum(shares) for share in shares)
    counts = -(-sum(shares) // min(shares)) + np.array(extra)  # one or more in the smallest part
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    parts = parts_of(split(labels, jax.random.key(seed), fractions))
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(labels)))
    for part, fraction in zip(parts, fractions, strict=True):
        assert abs(len(part) - fraction * len(labels)) <= 1
        part_counts = np.bincount(labels[part], minlength=len(counts))
        assert part_counts.min() >= 1
        assert np.abs(part_counts - counts * fraction).max() < 2.5


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("float32", "float32"), ("float64", "float64"), ("int16", "float64"), ("uint8", "float64")],
)
def test_own_data_keeps_its_float_dtype(dtype, expected):
    data = Dataset.from_arrays(np.array([[1, 2], [3, 0]], dtype), [0, 1], name="mine")
    assert data.images.dtype == expected
    assert (data.max_input, data.name, data.n_classes) == (3.0, "mine", 2)
    assert data.labels.dtype == jnp.int32


def test_negative_inputs_count_by_size():
    assert Dataset.from_arrays([[-2.0], [1.0]], [0, 1]).max_input == 2


X = np.ones((4, 3))


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (X[0], [0, 1, 0, 1], {}, r"Dataset x: got shape \(3,\), needs"),
        (np.ones((0, 3)), [], {}, r"Dataset x: got shape \(0, 3\), needs"),
        (np.full((4, 3), np.nan), [0, 1, 0, 1], {}, "Dataset x: got 12 NaN or infinite"),
        (np.diag([1.0, 2.0, 3.0, np.inf]), [0, 1, 0, 1], {}, "Dataset x: got 1 NaN or infinite"),
        (X, [0, 1, 0], {}, "Dataset y: got 3 labels, needs one per row of x, 4"),
        (X, [[0, 1, 0, 1]], {}, r"Dataset y: got shape \(1, 4\), needs"),
        (X, [0.0, 1.0, 0.0, 1.0], {}, "Dataset y: got dtype float64, needs integers"),
        (X, list("abab"), {}, "Dataset y: got dtype <U1, needs integers"),
        (X, [1, 2, 1, 2], {}, r"Dataset y: got 2 classes from 1 to 2, needs all of 0\.\."),
        (X, [-1, 0, 1, 0], {}, "Dataset y: got 3 classes from -1 to 1"),
        (X, [0, 2, 0, 2], {}, "Dataset y: got 2 classes from 0 to 2"),
        (X, [0, 1, 0, 1], {"max_input": 0.5}, "Dataset max_input: got 0.5, needs"),
        (X, [0, 1, 0, 1], {"max_input": np.nan}, "Dataset max_input: got nan, needs"),
        (0 * X, [0, 1, 0, 1], {}, "Dataset max_input: got 0, needs"),
    ],
)
def test_wrong_data_says_so(x, y, options, message):
    with pytest.raises(ValueError, match=message):
        Dataset.from_arrays(x, y, **options)


@pytest.mark.parametrize("x", [np.ones((4, 3), complex), [["a"] * 3] * 4, None])
def test_inputs_that_are_no_numbers_say_so(x):
    with pytest.raises(TypeError, match="needs real numbers"):
        Dataset.from_arrays(x, [0, 1, 0, 1])


LABELS = [0, 1] * 20


@pytest.mark.parametrize(
    ("labels", "fractions", "message"),
    [
        (LABELS, (0.5, 0.5), "split fractions: got"),
        (LABELS, (0.6, 0.2, 0.3), "split fractions: got"),
        (LABELS, (1.0, 0.0, 0.0), "split fractions: got"),
        (LABELS, (1.2, -0.1, -0.1), "split fractions: got"),
        (LABELS, (0.6, 0.4, float("nan")), "split fractions: got"),
        ([*LABELS, 2], (0.6, 0.2, 0.2), "split labels: got 1 of class 2, needs at least one"),
        ([*LABELS, 2, 2], (0.6, 0.2, 0.2), "split labels: got 2 of class 2, needs at least one"),
        ([0, 1, 2, 3, 4], (0.6, 0.2, 0.2), "split labels: got 1 of class 0, needs at least one"),
        ([0.5] * 9, (0.6, 0.2, 0.2), "split labels: got dtype float64"),
    ],
)
def test_wrong_split_says_so(labels, fractions, message):
    with pytest.raises(ValueError, match=message):
        split(labels, jax.random.key(0), fractions)


def test_split_many_needs_a_key():
    with pytest.raises(ValueError, match="split_many keys: got none"):
        split_many(LABELS, jax.random.split(jax.random.key(0), 1)[:0])
