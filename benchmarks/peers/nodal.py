"""The nodal conductance matrix, the formulation that suits sparse direct solvers best.

Unknowns are the 2 rows cols node voltages. The matrix is symmetric and positive definite with two
entries per cell and segment, and only its values depend on g: the pattern, the place of every
value and the wires' share are made once, so that assembly is one gather and one multiply-add over
the entries.

    A = wires + sum over cells of g [[1, -1], [-1, 1]]         A x = b,  b[W[i,0]] = v[i] / r_word
    i_out[j] = x[B[rows-1,j]] / r_bit
"""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from benchmarks.peers.case import AMPERE, Case


class Entries(NamedTuple):
    """Values of a matrix as ``wires + sign * g.ravel()[cell]``, in COO."""

    row: np.ndarray
    col: np.ndarray
    wires: np.ndarray
    sign: np.ndarray
    cell: np.ndarray


class Nodal:
    """Pattern of one size and kind of wires; `triangle` is "lower", "upper" or "full"."""

    def __init__(self, case: Case, triangle: str, permutation: np.ndarray | None = None):
        if not (case.r_word > 0 and case.r_bit > 0):
            raise ValueError("nodal formulation: needs wires above 0 ohm")
        rows, cols = case.shape
        self.size = 2 * rows * cols
        cells = np.arange(rows * cols).reshape(rows, cols)
        # Both nodes of a cell side by side; the solvers' orderings do the rest.
        self.word, self.bit = 2 * cells, 2 * cells + 1
        if permutation is not None:
            place = np.empty_like(permutation)
            place[permutation] = np.arange(self.size)
            self.word, self.bit = place[self.word], place[self.bit]
        self.g_word, self.g_bit = 1 / case.r_word, 1 / case.r_bit
        self.drivers, self.outputs = self.word[:, 0], self.bit[-1]
        entries = self._entries(cells)
        keep = {
            "lower": entries.row >= entries.col,
            "upper": entries.row <= entries.col,
            "full": np.ones(entries.row.size, bool),
        }[triangle]
        self.entries = Entries(*(part[keep] for part in entries))

    def _entries(self, cells: np.ndarray) -> Entries:
        """All entries: diagonal, cells, word-line and bit-line segments, both triangles."""
        at_word = np.full(cells.shape, 2 * self.g_word)
        at_word[:, -1] -= self.g_word  # the far end is open
        at_bit = np.full(cells.shape, 2 * self.g_bit)
        at_bit[0] -= self.g_bit
        none = np.zeros(cells.size)
        one = np.ones(cells.size)
        where = cells.ravel()
        word, bit = self.word.ravel(), self.bit.ravel()
        pairs = [
            (self.word[:, :-1].ravel(), self.word[:, 1:].ravel(), self.g_word),
            (self.bit[:-1].ravel(), self.bit[1:].ravel(), self.g_bit),
        ]
        parts = [
            (word, word, at_word.ravel(), one, where),
            (bit, bit, at_bit.ravel(), one, where),
            (word, bit, none, -one, where),
            (bit, word, none, -one, where),
        ]
        for a, b, g in pairs:
            wire, still, nowhere = np.full(a.size, -g), np.zeros(a.size), np.zeros(a.size, int)
            parts += [(a, b, wire, still, nowhere), (b, a, wire, still, nowhere)]
        return Entries(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def csc(self) -> tuple[sp.csc_matrix, "Values"]:
        """An empty matrix in CSC with 32-bit indices, and what fills its values from g."""
        e = self.entries
        order = np.lexsort((e.row, e.col))
        columns = np.bincount(e.col, minlength=self.size)
        pointers = np.concatenate([[0], np.cumsum(columns)]).astype(np.int32)
        rows = e.row[order].astype(np.int32)
        shape = (self.size, self.size)
        matrix = sp.csc_matrix((np.zeros(order.size), rows, pointers), shape=shape)
        matrix.has_sorted_indices = matrix.has_canonical_format = True
        return matrix, Values(e.wires[order], e.sign[order], e.cell[order])

    def drive(self, v: np.ndarray) -> np.ndarray:
        """Right-hand sides of inputs (rows,) or (rows, n), columns contiguous."""
        b = np.zeros((self.size, *v.shape[1:]), order="F")
        b[self.drivers] = self.g_word * v
        return b

    def pull(self, w: np.ndarray) -> np.ndarray:
        """Right-hand sides of the adjoint, from derivatives by column currents (cols, ...)."""
        b = np.zeros((self.size, *w.shape[1:]), order="F")
        b[self.outputs] = self.g_bit * w
        return b

    def currents(self, x: np.ndarray) -> np.ndarray:
        return self.g_bit * x[self.outputs]


class Values(NamedTuple):
    wires: np.ndarray
    sign: np.ndarray
    cell: np.ndarray

    def of(self, g: np.ndarray) -> np.ndarray:
        out = np.take(g.ravel(), self.cell)
        out *= self.sign
        out += self.wires
        return out


RHS_BYTES = 2**28  # right-hand sides of a transfer matrix that are solved at once


class NodalSolver:
    """Every operation, given ``factor(values) -> solve(b)`` for one array's matrix."""

    def __init__(self, case: Case, nodal: Nodal, values: Values, factor: Any):
        self.case, self.nodal, self.values, self.factor = case, nodal, values, factor
        rows, cols = case.shape
        side = min(rows, cols)
        # Reciprocity: the shorter side is driven.
        unit = np.eye(side)
        b = nodal.drive(unit) if rows <= cols else nodal.pull(unit)
        block = max(1, RHS_BYTES // (8 * nodal.size))
        self.blocks = [np.asfortranarray(b[:, k : k + block]) for k in range(0, side, block)]
        self.one = nodal.drive(case.v)

    def _factored(self, k: int) -> Any:
        return self.factor(self.values.of(self.case.g[k % len(self.case.g)]))

    def solve(self, k: int) -> np.ndarray:
        return self.nodal.currents(self._factored(k)(self.one))

    def transfer(self, k: int) -> np.ndarray:
        solve, nodal = self._factored(k), self.nodal
        rows, cols = self.case.shape
        if rows <= cols:
            return np.hstack([nodal.currents(solve(b)) for b in self.blocks])
        return np.vstack([nodal.g_word * solve(b)[nodal.drivers].T for b in self.blocks])

    def gradient(self, k: int) -> np.ndarray:
        """By hand: one more solve with the same factor."""
        solve = self._factored(k)
        x = solve(self.one)
        adjoint = solve(self.nodal.pull(self.nodal.currents(x) / AMPERE**2))
        return -self._across(adjoint) * self._across(x)

    def gradient_data(self, k: int) -> np.ndarray:
        solve, data = self._factored(k), self.case.data
        x = np.hstack([solve(b) for b in self.blocks])
        t = self.nodal.currents(x)
        per_t = (data @ t.T).T @ data / (len(data) * AMPERE**2)
        adjoint = solve(self.nodal.pull(per_t))
        return -np.sum(self._across(adjoint) * self._across(x), axis=-1)

    def _across(self, x: np.ndarray) -> np.ndarray:
        return x[self.nodal.word] - x[self.nodal.bit]

    def all(self, op: str) -> np.ndarray:
        return np.stack([getattr(self, op)(k) for k in range(len(self.case.g))])

    def call(self, op: str) -> Any:
        """`call(k)` of an operation."""
        if op.endswith("_all"):
            return lambda k: self.all(op.removesuffix("_all"))
        if op == "gradient_data" and self.case.shape[0] > self.case.shape[1]:
            raise ValueError("gradient_data: written for rows <= cols")
        return getattr(self, op)
