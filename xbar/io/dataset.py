"""Labelled data sets, as NumPy's arrays: nothing here needs JAX."""

from typing import Any, NamedTuple

import numpy as np

from xbar.io.files import native, shaped

MARKS = ("train", "corrector", "test")
"""What a row may be marked for: to train the network; its corrector; nothing, but to score both."""


class Dataset(NamedTuple):
    """A labelled data set whose features can be driven as voltages.

    Make one with `Dataset.from_arrays`, which checks, or `xbar.io.load_dataset`.

    Args:
        images: the inputs, (n, features) [the data set's own unit].
        labels: the class of each input, (n,), integers 0..classes-1; or targets of a regression,
            (n, outputs), floating-point numbers.
        max_input: the largest |input|, which drives the first array at full read voltage.
        name: a short name for tables.
        source: where the data came from.
        part: what each row is for, (n,) words of `MARKS`; None where the data set does not say.
    """

    images: np.ndarray
    labels: np.ndarray
    max_input: float
    name: str
    source: str
    part: np.ndarray | None = None

    @property
    def n_features(self) -> int:
        """Number of inputs that a network for it needs."""
        return self.images.shape[-1]

    @property
    def is_regression(self) -> bool:
        """Whether the labels are numbers to come close to, and not classes."""
        return self.labels.dtype.kind == "f"

    @property
    def n_classes(self) -> int:
        """Number of outputs that a network for it needs."""
        return self.labels.shape[-1] if self.is_regression else int(self.labels.max()) + 1

    def test_note(self, own_network: bool) -> str:
        """What the test part trained, in words that go on after "... test images, which".

        A network that was trained elsewhere may have been trained on rows of this data set. Only
        the data set itself can say that its test part was kept apart.

        Args:
            own_network: whether the network was brought along, trained.
        """
        if self.part is not None:
            return "its source marks as its test part"
        if own_network:
            return "may have trained the network (the data mark no test part, see xbar.io.user)"
        return "trained nothing here"

    @staticmethod
    def from_arrays(
        x: Any,
        y: Any,
        *,
        max_input: float | int | None = None,
        name: str = "user data",
        source: str = "arrays",
        part: Any = None,
        regression: bool = False,
    ) -> "Dataset":
        """Check a user's own inputs and labels and make a data set of them.

        Args:
            x: inputs, (n, features), real and finite; float32 and float64 keep their dtype, other
                numbers become float64.
            y: labels, (n,), integers 0..classes-1, each class at least once; of a regression, real
                numbers (n,) or (n, outputs).
            max_input: full scale of the inputs; None takes the largest |x|.
            name: a short name for tables.
            source: where the data came from.
            part: what each row is for, (n,) words of `MARKS`, "train" and "test" at least once.
            regression: whether y are targets and not classes.

        Returns:
            The data set.

        Raises:
            TypeError: x is not real numbers, or regression neither True nor False.
            ValueError: the shapes do not fit, an input is NaN or infinite, the labels are not the
                integers 0..classes-1, a mark is unknown, or max_input is below the largest |x|.
        """
        if regression not in (True, False):
            raise TypeError(f"Dataset regression: got {regression!r}, needs True or False")
        images = shaped("Dataset x", x, "n", "features")
        images = images if images.dtype.kind == "f" else images.astype(float)
        labels = _targets("Dataset y", y) if regression else as_labels("Dataset y", y)
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
        marks = None if part is None else _marks("Dataset part", part, len(images))
        return Dataset(images, labels, full_scale, name, source, marks)


def as_labels(name: str, labels: Any) -> np.ndarray:
    """Classes as int32, (n,).

    Raises:
        ValueError: not the integers 0..classes-1, each of them at least once.
    """
    array = np.asarray(labels)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name}: got shape {array.shape}, needs (n,), n at least 1")
    if array.dtype.kind not in "iu":
        cure = "; targets of a regression are called so" if array.dtype.kind == "f" else ""
        raise ValueError(f"{name}: got dtype {array.dtype}, needs integers{cure}")
    present = np.unique(array)
    if present[0] < 0 or present[-1] != len(present) - 1:
        raise ValueError(
            f"{name}: got {len(present)} classes from {present[0]} to {present[-1]}, needs all of "
            "0..classes-1"
        )
    return array.astype(np.int32)


def _targets(name: str, targets: Any) -> np.ndarray:
    array = native(name, targets)
    return shaped(name, array[:, None] if array.ndim == 1 else array, "n", "outputs").astype(float)


def _marks(name: str, part: Any, count: int) -> np.ndarray:
    words = np.asarray(part)
    words = np.char.decode(words) if words.dtype.kind == "S" else words
    if words.shape != (count,) or words.dtype.kind != "U":
        got = f"{words.dtype} {words.shape}"
        raise ValueError(f"{name}: got {got}, needs a word for each row of x, ({count},)")
    if unknown := sorted(set(words.tolist()) - set(MARKS)):
        raise ValueError(f"{name}: got {unknown[0]!r}, needs {', '.join(MARKS)}")
    if missing := sorted({"train", "test"} - set(words.tolist())):
        raise ValueError(f"{name}: got no row for {missing[0]!r}, needs some")
    return words
