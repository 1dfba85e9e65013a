"""Test circuits and the exact answer for them: rational arithmetic on Kirchhoff's laws.

The oracle shares no code and no formulation with the package: it writes the current law at every
node and the voltage law along every segment, and eliminates in exact fractions.
"""

from fractions import Fraction
from typing import NamedTuple

import jax
import numpy as np

import xbar as xb

# Wire and cell ranges, from what is built to what is merely legal.
REGIMES = {
    "mild": ((1e-6, 1e-4), (0.1, 10.0)),
    "severe": ((1e-4, 1e-2), (1.0, 1e3)),
    "extreme": ((1e-9, 1.0), (1e-3, 1e6)),
}


class Circuit(NamedTuple):
    """Plain arrays of one circuit and its inputs."""

    g: np.ndarray
    word_line: np.ndarray
    bit_line: np.ndarray
    source: np.ndarray
    sense: np.ndarray
    v_in: np.ndarray

    def array(self, dtype=np.float64) -> xb.Crossbar:
        wires = xb.Wires(
            word_line=self.word_line.astype(dtype),
            bit_line=self.bit_line.astype(dtype),
            source=self.source.astype(dtype),
            sense=self.sense.astype(dtype),
        )
        return xb.Crossbar(self.g.astype(dtype), wires)

    def turned(self) -> "Circuit":
        """Seen from its outputs: bit lines driven with 1 V, word lines read."""
        return Circuit(
            g=self.g[::-1, ::-1].T,
            word_line=self.bit_line[::-1, ::-1].T,
            bit_line=self.word_line[::-1, ::-1].T,
            source=self.sense[::-1],
            sense=self.source[::-1],
            v_in=np.ones(self.g.shape[1]),
        )


def random_circuit(rng: np.random.Generator, rows: int, cols: int, regime: str) -> Circuit:
    """Log-uniform values of a regime, with open cells and zero segments sprinkled in."""
    (g_low, g_high), (r_low, r_high) = REGIMES[regime]

    def draw(low, high, shape):
        values = np.exp(rng.uniform(np.log(low), np.log(high), shape))
        if rng.random() < 0.5:
            values[rng.random(shape) < 0.25] = 0
        return values

    v_in = rng.uniform(-1, 1, rows) if rng.random() < 0.5 else np.full(rows, 0.2)
    return Circuit(
        g=draw(g_low, g_high, (rows, cols)),
        word_line=draw(r_low, r_high, (rows, cols)),
        bit_line=draw(r_low, r_high, (rows, cols)),
        source=draw(r_low, r_high, rows),
        sense=draw(r_low, r_high, cols),
        v_in=v_in,
    )


def exact(circuit: Circuit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cell currents (rows, cols), word-line and bit-line node voltages, rounded once at the end."""
    rows, cols = circuit.g.shape
    cells = rows * cols
    # Unknowns: W, B, then the word-line currents left of, and bit-line currents below each cell.
    w, b, x, y = (lambda i, j, k=k: k * cells + i * cols + j for k in range(4))
    matrix = [dict[int, Fraction]() for _ in range(4 * cells)]
    right = [Fraction(0)] * (4 * cells)

    def put(row, column, value):
        matrix[row][column] = matrix[row].get(column, Fraction(0)) + Fraction(value)

    for i in range(rows):
        for j in range(cols):
            g = Fraction(float(circuit.g[i, j]))
            for law, current in ((w(i, j), x), (b(i, j), y)):  # current law at W and at B
                put(law, current(i, j), 1)
                put(law, w(i, j), -g)
                put(law, b(i, j), g)
            if j + 1 < cols:
                put(w(i, j), x(i, j + 1), -1)
            if i > 0:
                put(b(i, j), y(i - 1, j), -1)
            law = x(i, j)  # voltage law along the word line
            put(law, w(i, j), 1)
            put(law, x(i, j), Fraction(float(circuit.word_line[i, j])))
            if j > 0:
                put(law, w(i, j - 1), -1)
            else:
                put(law, x(i, j), Fraction(float(circuit.source[i])))
                right[law] = Fraction(float(circuit.v_in[i]))
            law = y(i, j)  # voltage law along the bit line
            put(law, b(i, j), 1)
            put(law, y(i, j), -Fraction(float(circuit.bit_line[i, j])))
            if i + 1 < rows:
                put(law, b(i + 1, j), -1)
            else:
                put(law, y(i, j), -Fraction(float(circuit.sense[j])))
    values = _eliminate(matrix, right)
    word = np.array([values[w(i, j)] for i in range(rows) for j in range(cols)])
    bit = np.array([values[b(i, j)] for i in range(rows) for j in range(cols)])
    conductance = np.array([Fraction(float(g)) for g in circuit.g.ravel()])
    shape = (rows, cols)
    i_cell = (conductance * (word - bit)).astype(float).reshape(shape)
    return i_cell, word.astype(float).reshape(shape), bit.astype(float).reshape(shape)


def _eliminate(matrix: list[dict[int, Fraction]], right: list[Fraction]) -> list[Fraction]:
    """Sparse Gaussian elimination in fractions, pivoting on the shortest row."""
    rows = list(range(len(matrix)))
    order = []
    for column in range(len(matrix)):
        candidates = [r for r in rows if matrix[r].get(column)]
        pivot = min(candidates, key=lambda r: len(matrix[r]))
        rows.remove(pivot)
        order.append((column, pivot))
        for r in candidates:
            if r == pivot:
                continue
            factor = matrix[r].pop(column) / matrix[pivot][column]
            for k, value in matrix[pivot].items():
                if k != column:
                    left = matrix[r].get(k, 0) - factor * value
                    if left:
                        matrix[r][k] = left
                    else:
                        matrix[r].pop(k, None)
            right[r] -= factor * right[pivot]
    values = [Fraction(0)] * len(matrix)
    for column, pivot in reversed(order):
        known = sum((v * values[k] for k, v in matrix[pivot].items() if k != column), Fraction(0))
        values[column] = (right[pivot] - known) / matrix[pivot][column]
    return values


def largest_current(i_cell: np.ndarray) -> float:
    """Largest magnitude among cell, row and output currents."""
    parts = (i_cell, i_cell.sum(0), i_cell.sum(1))
    return max(float(np.max(np.abs(part))) for part in parts)


def cast(tree, dtype):
    """The same arrays in another precision."""
    return jax.tree.map(lambda leaf: leaf.astype(dtype), tree)
