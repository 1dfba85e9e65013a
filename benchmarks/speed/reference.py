"""What the contestants' results are compared with; shares no code with any of them.

The cell equation ``u + drop(g u) = e`` is solved by conjugate gradients in NumPy, float64, and
refined on residuals in extended precision (80-bit long double on x86). The error of every current
is then bounded by ``sqrt(largest line sum of g) |residual|_g``, as ``I + drop . g`` has no
eigenvalue below 1 in the inner product weighted by g; a reference whose bound is not below BOUND
is an error. tests/test_benchmarks.py compares it with a sparse nodal solution and with xbar's
`Dense`.
"""

import numpy as np

from benchmarks.peers.case import AMPERE, Case

BOUND = 1e-13  # of the largest column current
MAX_PASSES = 12
REDUCTION = 1e-9  # of the residual in one pass of conjugate gradients


def drop(i: np.ndarray, r_word: float, r_bit: float) -> np.ndarray:
    """Voltage that the wires take from each cell, for cell currents (n, rows, cols)."""
    behind = np.cumsum(i[..., ::-1], axis=-1)[..., ::-1]
    above = np.cumsum(i, axis=-2)
    word = r_word * np.cumsum(behind, axis=-1)
    word += r_bit * np.cumsum(above[..., ::-1, :], axis=-2)[..., ::-1, :]
    return word


def cell_voltages(g: np.ndarray, r_word: float, r_bit: float, e: np.ndarray) -> np.ndarray:
    """Cell voltages in extended precision for the drives e (n, rows, cols)."""
    e = e.astype(np.longdouble)
    wide = g.astype(np.longdouble)
    u = e.copy()
    line = max(np.max(g.sum(axis=0)), np.max(g.sum(axis=1)))
    for _ in range(MAX_PASSES):
        residual = e - u - drop(wide * u, r_word, r_bit)
        norm = np.sqrt(line * np.sum(wide * residual**2, axis=(1, 2)))
        largest = np.max(np.abs(np.sum(wide * u, axis=1)), axis=-1)
        if np.all(norm <= BOUND * largest):
            return u
        scale = np.max(np.abs(residual), axis=(1, 2), keepdims=True)
        scale[scale == 0] = 1
        u += scale * _conjugate_gradients(g, r_word, r_bit, (residual / scale).astype(float))
    raise RuntimeError(f"reference: bound {float(np.max(norm / largest)):.1e}, needs {BOUND:.0e}")


def _conjugate_gradients(g: np.ndarray, r_word: float, r_bit: float, e: np.ndarray) -> np.ndarray:
    u = np.zeros_like(e)
    residual, direction = e.copy(), e.copy()
    squared = np.sum(g * residual**2, axis=(1, 2), keepdims=True)
    enough = REDUCTION**2 * squared
    for _ in range(20 * sum(g.shape)):
        if np.all(squared <= enough):
            break
        current = g * direction
        image = direction + drop(current, r_word, r_bit)
        curvature = np.sum(current * image, axis=(1, 2), keepdims=True)
        size = squared / np.where(curvature == 0, 1, curvature)
        u += size * direction
        residual -= size * image
        before = squared
        squared = np.sum(g * residual**2, axis=(1, 2), keepdims=True)
        direction *= squared / np.where(before == 0, 1, before)
        direction += residual
    return u


class Reference:
    """Results of every operation on array k of a case, in extended precision."""

    def __init__(self, case: Case):
        self.case = case

    def _solved(self, k: int, e: np.ndarray) -> np.ndarray:
        shape = (len(e), *self.case.shape)
        return cell_voltages(
            self.case.g[k], self.case.r_word, self.case.r_bit, np.broadcast_to(e, shape)
        )

    def driven(self, k: int, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cell voltages and column currents of inputs (n, rows)."""
        u = self._solved(k, v[:, :, None])
        return u, np.sum(self.case.g[k] * u, axis=1)

    def solve(self, k: int) -> np.ndarray:
        return self.driven(k, self.case.v[None])[1][0]

    def transfer(self, k: int, inputs: np.ndarray) -> np.ndarray:
        """The columns of T that belong to some inputs."""
        return self.driven(k, np.eye(self.case.shape[0])[inputs])[1].T

    def gradient(self, k: int) -> np.ndarray:
        """dT[o,c]/dg = (cell voltage, 1 V on column o) (cell voltage, 1 V on row c)."""
        u, i_out = self.driven(k, self.case.v[None])
        pulled = self._solved(k, (i_out / AMPERE**2)[:, None, :])
        return (pulled * u)[0]

    def gradient_data(self, k: int) -> np.ndarray:
        data = self.case.data
        u, t = self.driven(k, np.eye(self.case.shape[0]))  # t: (rows, cols)
        per_t = (data @ t).T @ data / (len(data) * AMPERE**2)
        pulled = self._solved(k, per_t.T[:, None, :])
        return np.sum(pulled * u, axis=0)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest error relative to the largest expected value; infinite where anything is NaN."""
    found = np.asarray(found)
    if found.shape != expected.shape:
        return float("inf")
    wrong = float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))
    return wrong if np.isfinite(wrong) else float("inf")


SAMPLE = 3  # columns of T and arrays of a batch of gradients that are checked


def error_of(op: str, found: np.ndarray, case: Case, k: int) -> float:
    """Error of a contestant's result for array k, or for the whole batch.

    Single results are checked whole, except that of T a sample of columns is: the first, the last
    and one drawn anew for each array. Of batches, every array is checked in this way, except that
    gradients are checked for the first, middle and last array.
    """
    reference, found = Reference(case), np.asarray(found, np.longdouble)
    if op.endswith("_all"):
        n, single = len(case.g), op.removesuffix("_all")
        if len(found) != n:
            return float("inf")
        which = range(n) if single != "gradient" else sorted({0, n // 2, n - 1})
        return max(error_of(single, found[m], case, m) for m in which)
    k %= len(case.g)
    if op == "transfer":
        rows, cols = case.shape
        if found.shape != (cols, rows):
            return float("inf")
        drawn = np.random.default_rng(k).integers(0, rows, SAMPLE - 2)
        inputs = np.unique([0, rows - 1, *drawn])
        expected = reference.transfer(k, inputs)
        return relative(found[:, inputs], expected)
    return relative(found, getattr(reference, op)(k))
