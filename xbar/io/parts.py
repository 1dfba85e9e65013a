"""The three disjoint parts of a data set: for the network, for its corrector, and for scoring."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key, PRNGKeyArray, UInt32

from xbar.io.dataset import MARKS, as_labels

PARTS = ("base", "corrector", "test")


class Split(NamedTuple):
    """Three disjoint, stratified parts of a data set, as indices; stacked ones lead with seeds.

    Args:
        base: trains the base network, (n_base,) or (seeds, n_base).
        corrector: trains the corrector, (n_corrector,) or (seeds, n_corrector).
        test: scores everything and trains nothing, (n_test,) or (seeds, n_test).
    """

    base: Int[Array, "... n_base"]
    corrector: Int[Array, "... n_corrector"]
    test: Int[Array, "... n_test"]


def split(
    labels: Any,
    key: PRNGKeyArray,
    fractions: Sequence[float | int] = (0.6, 0.2, 0.2),
    marks: Any = None,
) -> Split:
    """Split a data set into base, corrector and test parts, each with every class in proportion.

    Sizes depend on the number of labels, the fractions and the marks alone, never on the key, so
    that the parts of many keys can be stacked (see `split_many`).

    Args:
        labels: the class of each sample, (n,), integers 0..classes-1.
        key: JAX key; the same key gives the same parts.
        fractions: shares of the base, corrector and test part, above 0, adding up to 1.
        marks: a data set's own `part`, (n,) words. Rows marked "test" are then the test part, and
            only the others are split, by the first two fractions; rows marked "corrector" are the
            corrector's, and nothing is left to split.

    Returns:
        The indices of the three parts, shuffled where they are drawn.

    Raises:
        ValueError: fractions or labels are wrong, or a class is too rare to be in every part.
    """
    labels = as_labels("split labels", labels)
    shares = _check_fractions(fractions)
    seeds = np.asarray(jax.random.bits(key, (2,), "uint32"))
    rows = np.arange(len(labels))
    if marks is None:
        _check_counts(labels, shares)
        base, rest = _parted(rows, labels, round(shares[0] * len(rows)), seeds[0])
        corrector, test = _parted(rest, labels, round(shares[1] * len(rows)), seeds[1])
    else:
        base, corrector, test = (rows[np.asarray(marks) == mark] for mark in MARKS)
        if not len(corrector):
            _check_counts(labels[base], shares[:2])
            size = round(shares[0] / (shares[0] + shares[1]) * len(base))
            base, corrector = _parted(base, labels, size, seeds[0])
    return Split(*(jnp.asarray(part, "int32") for part in (base, corrector, test)))


def _check_counts(labels: np.ndarray, shares: tuple[float, ...]) -> None:
    count = np.bincount(labels)
    if count.min() * min(shares) / sum(shares) < 1:
        raise ValueError(
            f"split labels: got {count.min()} of class {count.argmin()}, needs at least one for "
            f"each of the {len(shares)} parts, {shares}"
        )


def _parted(rows: np.ndarray, labels: np.ndarray, size: int, seed: Any) -> list[np.ndarray]:
    """So many of the rows, and the others, each class in proportion."""
    from sklearn.model_selection import train_test_split  # takes most of a second to load

    return train_test_split(rows, train_size=size, stratify=labels[rows], random_state=int(seed))


def split_many(
    labels: Any,
    keys: Key[Array, " seeds"] | UInt32[Array, "seeds 2"],
    fractions: Sequence[float | int] = (0.6, 0.2, 0.2),
    marks: Any = None,
) -> Split:
    """Split the same data set once per key and stack the parts: `images[parts.base]` vmaps.

    Args:
        labels: the class of each sample, (n,), integers 0..classes-1.
        keys: JAX keys, (seeds,) typed or (seeds, 2) raw.
        fractions: as for `split`.
        marks: as for `split`.

    Returns:
        The parts, (seeds, n_part) each.

    Raises:
        ValueError: as `split`, or there is no key.
    """
    if len(keys) == 0:
        raise ValueError("split_many keys: got none, needs at least one")
    parts = [split(labels, key, fractions, marks) for key in keys]
    return jax.tree.map(lambda *part: jnp.stack(part), *parts)


def _check_fractions(fractions: Sequence[float | int]) -> tuple[float, ...]:
    shares = tuple(float(share) for share in fractions)
    # `not >` also refuses NaN.
    if len(shares) != 3 or not min(shares) > 0 or not abs(sum(shares) - 1) < 1e-9:
        raise ValueError(
            f"split fractions: got {shares}, needs three shares above 0 that add up to 1 {PARTS}"
        )
    return shares
