"""Operations and bytes of xbar's kernels, counted by formula. R rows, C cols, n inputs.

What is counted is what the method needs, whatever way it is written; so a fraction of the machine's
rate says how far the code is from the method's limit, and a better method changes the formula.
"""

from pathlib import Path

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
    and two weighted inner products (2 and 3).
    """
    return (steps + 2) * drop_flops(rows, cols, n) + 13.0 * steps * n * rows * cols


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
