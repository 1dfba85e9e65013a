"""Update or solve anew: which takes less time for many sets of cells on one array.

For an array of m x n cells, m its shorter side, and sets of k cells, seconds by the operations that
each takes,

    update         1, k (k + m + n) looked up, k^3 + 2 k^2 m + 2 k m n     per set
    solve anew     1, 8 m^3 n                                              per set
    coupling       1, 4 rows (m n)^2                                       once, if unknown

each number with a constant that was measured (`benchmarks/sensitivity/update_cost.py`, with the
table beside it). Mild drop: solving anew takes longer where it is severe. Only ratios matter; a
wrong choice near the crossover costs little.
"""

import numpy as np

# Measured on one core, float64 [s]: per set, per entry of K, u and l looked up, per operation.
UPDATE = 9.7e-6, 1.6e-8, 3.7e-11
RESOLVE = 1.3e-4, 2.0e-11
COUPLING = 7.7e-4, 4.2e-11


def update_terms(shape: tuple[int, ...], k: int) -> tuple[int, ...]:
    """How often an update for k cells takes each of `UPDATE`."""
    m, n = sorted(shape)
    return 1, k * (k + m + n), k**3 + 2 * k**2 * m + 2 * k * m * n


def resolve_terms(shape: tuple[int, ...]) -> tuple[int, ...]:
    """How often a new solution takes each of `RESOLVE`."""
    m, n = sorted(shape)
    return 1, 8 * m**3 * n


def coupling_terms(shape: tuple[int, ...]) -> tuple[int, ...]:
    """How often the coupling of all cells takes each of `COUPLING`."""
    rows, cols = shape
    return 1, 4 * rows * (rows * cols) ** 2


def resolve_seconds(shape: tuple[int, ...]) -> float:
    """To solve one array of this shape anew [s]."""
    return float(np.dot(resolve_terms(shape), RESOLVE))


def update_seconds(shape: tuple[int, ...], k: int) -> float:
    """To update its transfer matrix for k cells [s]."""
    return float(np.dot(update_terms(shape, k), UPDATE))


def coupling_seconds(shape: tuple[int, ...]) -> float:
    """To find the coupling of all its cells [s]."""
    return float(np.dot(coupling_terms(shape), COUPLING))


def update_is_cheaper(
    shape: tuple[int, ...], k: int, sets: int, known: bool, arrays: int = 1
) -> bool:
    """Whether updating beats solving anew.

    Args:
        shape: of the array, (rows, cols).
        k: cells per set.
        sets: how many sets.
        known: whether the coupling of all cells is found already.
        arrays: of that shape, all of which are solved anew, or coupled.
    """
    once = 0.0 if known else arrays * coupling_seconds(shape)
    return once + sets * update_seconds(shape, k) < sets * arrays * resolve_seconds(shape)
