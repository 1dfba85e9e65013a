"""Update or solve anew: which takes less time for many sets of cells on one array.

For an array of m x n cells, m its shorter side, and sets of k cells,

    solve anew     8 m^3 n                              per set
    update         k^3 + 2 k^2 m + 2 k m n, k^2 looked up    per set
    coupling       4 m^2 (m n)^2 / m                    once, unless it is known

operations, each at the speed that it was measured to reach (`benchmarks/sensitivity`). Only the
ratios matter; they hold for CPUs of today within a factor of two, and a wrong choice near the
crossover costs little.
"""

# Measured on one core, float64 [operations per second].
SWEEP, FACTOR, COUPLING = 16e9, 8e9, 12e9
# To look up one entry of K [s].
LOOK_UP = 4e-9
# What a set costs beside: loops, gathering [s].
OVERHEAD = 3e-5


def resolve_seconds(shape: tuple[int, ...]) -> float:
    """To solve one array of this shape anew [s]."""
    m, n = sorted(shape)
    return OVERHEAD + 8 * m**3 * n / SWEEP


def update_seconds(shape: tuple[int, ...], k: int) -> float:
    """To update its transfer matrix for k cells [s]."""
    m, n = sorted(shape)
    return OVERHEAD + LOOK_UP * k**2 + (k**3 + 2 * k**2 * m + 2 * k * m * n) / FACTOR


def coupling_seconds(shape: tuple[int, ...]) -> float:
    """To find the coupling of all its cells [s]."""
    rows, cols = shape
    return 4 * rows * (rows * cols) ** 2 / COUPLING


def update_is_cheaper(shape: tuple[int, ...], k: int, sets: int, known: bool) -> bool:
    """Whether updating beats solving anew.

    Args:
        shape: of the array, (rows, cols).
        k: cells per set.
        sets: how many sets.
        known: whether the coupling of all cells is found already.
    """
    once = 0.0 if known else coupling_seconds(shape)
    return once + sets * update_seconds(shape, k) < sets * resolve_seconds(shape)
