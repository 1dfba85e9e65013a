"""Random circuits of cells that are not resistors, and the right answer for each.

The oracle shares no code and no formulation with the package. Its unknowns are the cell currents,
which minimise the circuit's co-content: with D the dense matrix of the lines and ``U(i)`` the laws
read backwards, Newton's steps are ``(D + diag U'(i)) di = e - D i - U(i)``, symmetric and positive
definite. What is left is computed in NumPy's long double, so that errors end near 1e-17.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

EXACT = np.longdouble
SIDE = 24  # of the array that all circuits are put into; cells beyond theirs are open


class Case(NamedTuple):
    """One circuit: cells (rows, cols), the same resistance for all segments, and its law.

    `a` and `b` are v_0 and nothing for a hyperbolic sine, i_s and v_s for a selector in series.
    """

    g: np.ndarray
    v_in: np.ndarray
    segment: float
    source: float
    sense: float
    a: float
    b: float


class Answer(NamedTuple):
    """Cell currents [A], and the largest among cell, row and output currents."""

    i_cell: np.ndarray
    largest: float


def random_case(seed: int, selector: bool) -> Case:
    """In the ranges that the docs name: mild to absurd, with short circuits among the cells."""
    rng = np.random.default_rng(seed)
    rows, cols = rng.integers(2, SIDE + 1, 2)
    low = 10 ** rng.uniform(-7, -4)
    high = low * 10 ** rng.uniform(0, 3)
    segment, volts = 10 ** rng.uniform(-2, 2), 10 ** rng.uniform(-1.3, 0.3)
    g = np.exp(rng.uniform(np.log(low), np.log(high), (rows, cols)))
    g[rng.uniform(size=g.shape) < 0.03] = 1e-2
    v_in = rng.uniform(-1 if seed % 2 else 0, 1, rows) * volts
    source, sense = 10 ** rng.uniform(-1, 2, 2)
    if selector:
        a, b = 10 ** rng.uniform(-11, -7), 10 ** rng.uniform(-1.5, -0.9)
    else:
        a, b = 10 ** rng.uniform(-1.5, 0), 0.0
    return Case(g, v_in, segment, source, sense, a, b)


def stacked(cases: list[Case]) -> tuple[np.ndarray, ...]:
    """The numbers of many circuits, each put into the lower left corner of an array of SIDE."""
    g, v_in = np.zeros((len(cases), SIDE, SIDE)), np.zeros((len(cases), SIDE))
    for k, case in enumerate(cases):
        rows, cols = case.g.shape
        g[k, SIDE - rows :, :cols] = case.g
        v_in[k, SIDE - rows :] = case.v_in
    return g, v_in, *(np.array([case[k] for case in cases]) for k in range(2, 7))


def inner(case: Case, x: np.ndarray) -> np.ndarray:
    """The circuit's own cells out of an array of SIDE."""
    rows, cols = case.g.shape
    return np.asarray(x)[SIDE - rows :, :cols]


def right_answer(case: Case, near: np.ndarray, law: Any = None) -> Answer:
    """The currents of the circuit; there is one solution, so `near` is no more than a start."""
    read, size = law or (_selector if case.b else _sinh), case.g.size
    e = np.repeat(case.v_in, case.g.shape[1]).astype(EXACT)
    drop, g = lines(case), case.g.ravel().astype(EXACT)
    i = near.ravel().astype(EXACT)
    i = np.where(np.isfinite(i), i, 0)

    def downhill(i):
        return e - drop @ i - read(case, g, i)[0]

    left = downhill(i)
    for _ in range(200):
        slope = read(case, g, i)[1]
        scale = np.sqrt(slope + np.diag(drop))
        matrix = np.array((drop + np.diag(slope)) / np.outer(scale, scale), float)
        di = cho_solve(cho_factor(matrix), np.array(left / scale, float)).astype(EXACT) / scale
        length = EXACT(1)
        # As long as the co-content falls along the step, by its slope at the end of it.
        while np.any(~np.isfinite(downhill(i + length * di))) or (
            downhill(i + length * di) @ di < -0.9 * (left @ di) - EXACT(1e-40)
        ):
            length /= 2
            if length < 1e-12:
                break
        i, left = i + length * di, downhill(i + length * di)
        if np.max(np.abs(length * di)) <= 1e-15 * np.max(np.abs(i)):
            break
    else:
        raise AssertionError("the oracle itself found no answer")
    cells = i.reshape(case.g.shape)
    sums = [np.abs(cells).max(), np.abs(cells.sum(0)).max(), np.abs(cells.sum(1)).max()]
    assert size == cells.size
    return Answer(cells, float(max(sums)))


def lines(case: Case) -> np.ndarray:
    """The voltage that each cell's current takes from every cell, dense."""
    rows, cols = case.g.shape
    word = case.source + case.segment * (1 + np.minimum.outer(np.arange(cols), np.arange(cols)))
    above = np.arange(rows)[::-1]
    bit = case.sense + case.segment * (1 + np.minimum.outer(above, above))
    dense = np.zeros((rows, cols, rows, cols), EXACT)
    for i in range(rows):
        dense[i, :, i, :] += word
    for j in range(cols):
        dense[:, j, :, j] += bit
    return dense.reshape(rows * cols, rows * cols)


def _sinh(case: Case, g: np.ndarray, i: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ratio = i / (g * case.a)
    return case.a * np.arcsinh(ratio), 1 / (g * np.sqrt(1 + ratio**2))


def _selector(case: Case, g: np.ndarray, i: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = EXACT(case.a), EXACT(case.b)
    return i / g + b * np.arcsinh(i / a), 1 / g + b / np.sqrt(a**2 + i**2)
