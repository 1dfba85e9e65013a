"""Operations and bytes of xbar's kernels, counted by formula. R rows, C cols, n inputs.

What is counted is what the method needs, whatever way it is written; so a fraction of the machine's
rate says how far the code is from the method's limit, and a better method changes the formula.
"""

from pathlib import Path

import numpy as np

from xbar.solvers.cg import MODES_CELLS
from xbar.solvers.lines import SHORT, block_size


def cache_bytes() -> int:
    """Size of this processor's largest cache; 0 where the system does not say."""
    sizes = [0]
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text().strip()
        sizes.append(int(text[:-1]) * {"K": 2**10, "M": 2**20}.get(text[-1], 0))
    return max(sizes)


def cg_held(rows: int, cols: int, n: int = 1, itemsize: int = 8) -> float:
    """Bytes that a step works on: g, u, residual, direction and image."""
    return 5.0 * n * rows * cols * itemsize


def bound(flops: float, moved: float, held: float, rate: float, copy: float, cache: float) -> float:
    """Least time [s]: of the operations, or of the bytes where the working set is not in cache."""
    return max(flops / rate, moved / copy if held > cache else 0.0)


def drop_flops(rows: int, cols: int, n: int = 1) -> float:
    """Both line operators, per cell a product of the length of its line or, on long lines, of its
    block, three products over the blocks of a line, and two multiply-adds to join them."""

    def per_cell(length: int) -> float:
        if length <= SHORT:
            return 2.0 * length
        size = block_size(length)
        return 2.0 * size + 6.0 * (length / size) ** 2 / length + 4.0

    return n * rows * cols * (per_cell(rows) + per_cell(cols))


def cg_flops(rows: int, cols: int, steps: float, n: int = 1) -> float:
    """`steps` steps, and two more applications of the lines for the first and the true residual.

    A step has, per cell, a product with g (1), the sum with the drop (1), three multiply-adds (6)
    and two weighted inner products (2 and 3). Preconditioned, a product with g more (1), sums along
    both lines (4), two products with the modes of both (4), two multiply-adds (4) and an inner
    product (2).
    """
    per_cell = 13.0 + 15.0 * (rows * cols in MODES_CELLS)
    return (steps + 2) * drop_flops(rows, cols, n) + per_cell * steps * n * rows * cols


def newton_flops(rows: int, cols: int, steps: float, inner: float, n: int = 1) -> float:
    """`inner` steps of CG in all; in each of Newton's, and once more to judge, the cells' current
    and slope (40 per cell, an exponential counted as 10) and the lines for what is left."""
    per_step = drop_flops(rows, cols, n) + 40.0 * n * rows * cols
    return cg_flops(rows, cols, inner, n) + (steps + 1) * per_step


def tiles_flops(side: int) -> float:
    """Joining tiles pairwise to one, as counted in xbar/solvers/tiles.py."""
    return 150.0 * side**3


def tiles_bytes(side: int, itemsize: int = 8) -> float:
    """Each of the levels reads its tiles' responses and writes half as many, 16 n^2 numbers."""
    return 1.5 * 16.0 * side**2 * np.log2(side**2) * itemsize


def cg_bytes(rows: int, cols: int, steps: float, n: int = 1, itemsize: int = 8) -> float:
    """Per step: reads g, u, residual, direction and image, writes the last four, if none stays in
    the cache between its uses."""
    return 9.0 * (steps + 1) * n * rows * cols * itemsize


def sweep_flops(rows: int, cols: int) -> float:
    """Per column one Newton step (4 R^3) and the walk (2 R^3), along the longer side."""
    short, long = sorted((rows, cols))
    return 6.0 * long * short**3


def sweep_bytes(rows: int, cols: int, itemsize: int = 8) -> float:
    """Per column: the column's admittance read once, two matrices read and written."""
    short, long = sorted((rows, cols))
    return 5.0 * long * short**2 * itemsize


def apply_flops(rows: int, cols: int, images: int) -> float:
    """A dense product of the inputs with T."""
    return 2.0 * images * rows * cols


def apply_bytes(rows: int, cols: int, images: int, itemsize: int = 8) -> float:
    return itemsize * float(images * (rows + cols) + rows * cols)
