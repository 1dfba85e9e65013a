"""The cells that matter, worst first: exact single-fault maps of all layers as one list."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from xbar.sensitivity.baseline import Baseline
from xbar.sensitivity.fault_maps import cell_faults
from xbar.sensitivity.losses import Criterion


class RankedFault(NamedTuple):
    """One stuck cell, and what it leaves of the network.

    ```python
    worst = sens.ranked(base, n=3)[0]
    print(worst.layer, worst.word_line, worst.bit_line, worst.stuck)
    ```

    Args:
        layer: index of the layer.
        word_line: the last one is the bias row.
        bit_line: even ones hold plus cells, odd ones minus cells.
        stuck: "on" or "off".
        loss: of the data set with this fault alone.
        accuracy: share of inputs that are then classified right.
    """

    layer: int
    word_line: int
    bit_line: int
    stuck: str
    loss: float
    accuracy: float


def ranked(
    base: Baseline,
    n: int = 20,
    kinds: Sequence[str] = ("on", "off"),
    loss: Criterion = "cross_entropy",
) -> list[RankedFault]:
    """The n single stuck cells that raise the loss most, worst first, each exactly.

    ```python
    for fault in sens.ranked(sens.baseline(net, x, labels), n=5):
        print(fault)
    ```

    Args:
        base: the baseline; a network with faults gives one more fault.
        n: how many; fewer where there are fewer cells.
        kinds: of "on" and "off".
        loss: what counts as bad, as in `cell_faults`.

    Returns:
        A list, which `pandas.DataFrame` takes as it is. Faults whose effect is not known (NaN) are
        left out.

    Raises:
        ValueError: n is below 1, or an unknown kind or loss.
    """
    if n < 1:
        raise ValueError(f"n: got {n}, needs 1 or more")
    found: list[RankedFault] = []
    for layer in range(len(base.net.layers)):
        for kind in kinds:
            faults = cell_faults(base, layer, kind, loss)
            found += _worst(layer, kind, np.asarray(faults.loss), np.asarray(faults.accuracy), n)
    return sorted(found, key=lambda fault: -fault.loss)[:n]


def _worst(
    layer: int, kind: str, loss: np.ndarray, accuracy: np.ndarray, n: int
) -> list[RankedFault]:
    order = np.argsort(-loss, axis=None, kind="stable")  # NaN comes last
    places = zip(*np.unravel_index(order[:n], loss.shape), strict=True)
    return [
        RankedFault(layer, int(i), int(j), kind, float(loss[i, j]), float(accuracy[i, j]))
        for i, j in places
        if np.isfinite(loss[i, j])
    ]
