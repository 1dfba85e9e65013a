"""What the tests of wrong files share."""

import numpy as np
import pytest

from xbar.io import StoreError

X, Y = np.random.default_rng(0).random((12, 4)), np.arange(12) % 2


def refused(call, path, message):
    """A StoreError of one line that begins with the file's name and is not endless."""
    with pytest.raises(StoreError, match=message) as error:
        call(path)
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 400 + 3 * len(str(path))
    return text
