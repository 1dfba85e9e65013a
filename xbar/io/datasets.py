"""Every data set by its name. A new one is a file with a loader, and a line here."""

from collections.abc import Callable
from pathlib import Path

from xbar.io.dataset import Dataset
from xbar.io.mnist import load_mnist
from xbar.io.user import read_dataset


def load_digits() -> Dataset:
    """The UCI handwritten digits that scikit-learn carries: 1,797 images of 8x8 pixels.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits" (test part),
    UCI Machine Learning Repository, doi:10.24432/C50P49. Read from the installed package, offline.

    Returns:
        images (1797, 64), float64 with the integers 0..16, labels (1797,) 0..9.
    """
    from sklearn import datasets  # not at import time: it takes most of a second

    x, y = datasets.load_digits(return_X_y=True)
    return Dataset.from_arrays(
        x,
        y,
        max_input=16.0,
        name="digits",
        source="UCI optical digits (test part) through sklearn.datasets.load_digits",
    )


DATASETS: dict[str, Callable[[], Dataset]] = {
    "digits": load_digits,
    "mnist": load_mnist,
}
"""Loaders by name."""


def load_dataset(name: Path | str, test: Path | str | None = None) -> Dataset:
    """A data set by its name, or from a user's file.

    ```python
    load_dataset("digits")
    load_dataset("mine.npz", test="held_out.npz")
    ```

    Args:
        name: a key of `DATASETS`, or a file as `xbar.io.user` describes it.
        test: a second file, all of whose rows are the test part.

    Returns:
        The data set.

    Raises:
        StoreError: no such name or file, or it cannot be read.
    """
    if str(name) in DATASETS and test is None:
        return DATASETS[str(name)]()
    return read_dataset(name, test)
