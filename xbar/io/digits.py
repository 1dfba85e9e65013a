"""The UCI handwritten digits."""

from xbar.io.dataset import Dataset


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
