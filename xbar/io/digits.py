"""Labelled data sets, the UCI handwritten digits among them, and their three disjoint parts."""

from collections.abc import Sequence
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray, UInt32

from xbar.checks import as_real

PARTS = ("base", "corrector", "test")


@final
class Dataset(eqx.Module):
    """A labelled data set whose features can be driven as voltages.

    Make one with `Dataset.from_arrays`, which checks, or `load_digits`.

    Args:
        images: the inputs, (n, features) [the data set's own unit].
        labels: the class of each input, (n,), integers 0..classes-1.
        max_input: the largest |input|, which drives the first array at full read voltage.
        name: a short name for tables.
        source: where the data came from.
    """

    images: Float[Array, "n features"]
    labels: Int[Array, " n"]
    max_input: float = eqx.field(static=True)
    name: str = eqx.field(static=True)
    source: str = eqx.field(static=True)

    @property
    def n_features(self) -> int:
        """Number of inputs that a network for it needs."""
        return self.images.shape[-1]

    @property
    def n_classes(self) -> int:
        """Number of outputs that a network for it needs."""
        return int(np.asarray(self.labels).max()) + 1  # NumPy: a number also while JAX traces

    @staticmethod
    def from_arrays(
        x: Any,
        y: Any,
        *,
        max_input: float | int | None = None,
        name: str = "user data",
        source: str = "arrays",
    ) -> "Dataset":
        """Check a user's own inputs and labels and make a data set of them.

        Args:
            x: inputs, (n, features), real and finite; floats keep their dtype, integers become
                JAX's default float.
            y: labels, (n,), integers 0..classes-1, each class at least once.
            max_input: full scale of the inputs; None takes the largest |x|.
            name: a short name for tables.
            source: where the data came from.

        Returns:
            The data set.

        Raises:
            TypeError: x is not real numbers.
            ValueError: the shapes do not fit, an input is NaN or infinite, the labels are not the
                integers 0..classes-1, or max_input is below the largest |x|.
        """
        images = as_real("Dataset x", x)
        if images.ndim != 2 or 0 in images.shape:
            raise ValueError(f"Dataset x: got shape {images.shape}, needs (n, features), neither 0")
        if bad := int(np.count_nonzero(~np.isfinite(images))):
            raise ValueError(f"Dataset x: got {bad} NaN or infinite entries, needs finite ones")
        labels = _as_labels("Dataset y", y)
        if len(labels) != len(images):
            raise ValueError(
                f"Dataset y: got {len(labels)} labels, needs one per row of x, {len(images)}"
            )
        largest = float(abs(images).max())
        full_scale = largest if max_input is None else float(max_input)
        if not (np.isfinite(full_scale) and full_scale > 0 and full_scale >= largest):
            raise ValueError(
                f"Dataset max_input: got {full_scale:g}, needs a finite value above 0 and at least "
                f"the largest |x|, {largest:g}"
            )
        return Dataset(images, jnp.asarray(labels, "int32"), full_scale, name, source)


@final
class Split(eqx.Module):
    """Three disjoint, stratified parts of a data set, as indices; stacked ones lead with seeds.

    Args:
        base: trains the base network, (n_base,) or (seeds, n_base).
        corrector: trains the corrector, (n_corrector,) or (seeds, n_corrector).
        test: scores everything and trains nothing, (n_test,) or (seeds, n_test).
    """

    base: Int[Array, "... n_base"]
    corrector: Int[Array, "... n_corrector"]
    test: Int[Array, "... n_test"]


def load_digits() -> Dataset:
    """The UCI handwritten digits that scikit-learn carries: 1,797 images of 8x8 pixels.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits" (test part),
    UCI Machine Learning Repository, doi:10.24432/C50P49. Read from the installed package, offline.

    Returns:
        images (1797, 64) with values 0..16 in JAX's default float dtype, labels (1797,) 0..9.
    """
    from sklearn import datasets  # not at import time: it takes most of a second

    x, y = datasets.load_digits(return_X_y=True)
    return Dataset.from_arrays(
        jnp.asarray(x),  # exact in float32 too: the pixels are the integers 0..16
        y,
        max_input=16.0,
        name="digits",
        source="UCI optical digits (test part) through sklearn.datasets.load_digits",
    )


def split(
    labels: Any, key: PRNGKeyArray, fractions: Sequence[float | int] = (0.6, 0.2, 0.2)
) -> Split:
    """Split a data set into base, corrector and test parts, each with every class in proportion.

    Sizes depend on the number of labels and the fractions alone, never on the key, so that the
    parts of many keys can be stacked (see `split_many`).

    Args:
        labels: the class of each sample, (n,), integers 0..classes-1.
        key: JAX key; the same key gives the same parts.
        fractions: shares of the base, corrector and test part, above 0, adding up to 1.

    Returns:
        The indices of the three parts, shuffled.

    Raises:
        ValueError: fractions or labels are wrong, or a class is too rare to be in every part.
    """
    from sklearn.model_selection import train_test_split

    labels = _as_labels("split labels", labels)
    shares = _check_fractions(fractions)
    n = len(labels)
    n_base, n_corrector = round(shares[0] * n), round(shares[1] * n)
    count = np.bincount(labels)
    if count.min() * min(shares) < 1:
        raise ValueError(
            f"split labels: got {count.min()} of class {count.argmin()}, needs at least one for "
            f"each of the three parts, {shares}"
        )

    seeds = np.asarray(jax.random.bits(key, (2,), "uint32"))
    base, rest = train_test_split(
        np.arange(n), train_size=n_base, stratify=labels, random_state=int(seeds[0])
    )
    corrector, test = train_test_split(
        rest, train_size=n_corrector, stratify=labels[rest], random_state=int(seeds[1])
    )
    return Split(*(jnp.asarray(part, "int32") for part in (base, corrector, test)))


def split_many(
    labels: Any,
    keys: Key[Array, " seeds"] | UInt32[Array, "seeds 2"],
    fractions: Sequence[float | int] = (0.6, 0.2, 0.2),
) -> Split:
    """Split the same data set once per key and stack the parts: `images[parts.base]` vmaps.

    Args:
        labels: the class of each sample, (n,), integers 0..classes-1.
        keys: JAX keys, (seeds,) typed or (seeds, 2) raw.
        fractions: as for `split`.

    Returns:
        The parts, (seeds, n_part) each.

    Raises:
        ValueError: as `split`, or there is no key.
    """
    if len(keys) == 0:
        raise ValueError("split_many keys: got none, needs at least one")
    parts = [split(labels, key, fractions) for key in keys]
    return jax.tree.map(lambda *part: jnp.stack(part), *parts)


def _as_labels(name: str, labels: Any) -> np.ndarray:
    array = np.asarray(labels)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name}: got shape {array.shape}, needs (n,), n at least 1")
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name}: got dtype {array.dtype}, needs integers")
    present = np.unique(array)
    if present[0] < 0 or present[-1] != len(present) - 1:
        raise ValueError(
            f"{name}: got {len(present)} classes from {present[0]} to {present[-1]}, needs all of "
            "0..classes-1"
        )
    return array


def _check_fractions(fractions: Sequence[float | int]) -> tuple[float, ...]:
    shares = tuple(float(share) for share in fractions)
    # `not >` also refuses NaN.
    if len(shares) != 3 or not min(shares) > 0 or not abs(sum(shares) - 1) < 1e-9:
        raise ValueError(
            f"split fractions: got {shares}, needs three shares above 0 that add up to 1 {PARTS}"
        )
    return shares
