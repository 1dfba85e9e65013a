"""Every data set by its name. A new one is a file with a loader, and a line here."""

from collections.abc import Callable
from pathlib import Path

from xbar.io.dataset import Dataset
from xbar.io.digits import load_digits
from xbar.io.mnist import load_mnist
from xbar.io.user import read_dataset

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
