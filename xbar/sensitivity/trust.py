"""How far a prediction from derivatives can be trusted: predicted against exact single faults."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats


class Agreement(NamedTuple):
    """How well predictions match the exact changes.

    Args:
        rank: Spearman's rank correlation; NaN where either side is the same everywhere.
        error: RMS of predicted - exact over RMS of exact; 1 is what predicting 0 would have.
        sign: share of the changes that are predicted with the right sign.
        cells: how many were compared.
    """

    rank: float
    error: float
    sign: float
    cells: int


def agreement(predicted: Any, exact: Any) -> Agreement:
    """Compare predicted with exact changes of the loss.

    Args:
        predicted: of each cell, any shape [loss].
        exact: of the same cells [loss]; what is NaN on either side is left out.

    Returns:
        The agreement.

    Raises:
        ValueError: different shapes, or nothing to compare.
    """
    a, b = np.asarray(predicted, float), np.asarray(exact, float)
    if a.shape != b.shape:
        raise ValueError(f"predicted: got shape {a.shape}, needs that of exact, {b.shape}")
    fine = np.isfinite(a) & np.isfinite(b)
    a, b = a[fine], b[fine]
    if a.size == 0:
        raise ValueError("predicted: got no finite entries, needs at least one")
    varied = a.size > 1 and np.ptp(a) > 0 and np.ptp(b) > 0
    rank = float(stats.spearmanr(a, b).statistic) if varied else float("nan")
    size = np.sqrt(np.mean(b**2))
    off = np.sqrt(np.mean((a - b) ** 2))
    error = float(off / size) if size > 0 else float("nan")
    return Agreement(rank, error, float(np.mean(np.sign(a) == np.sign(b))), a.size)
