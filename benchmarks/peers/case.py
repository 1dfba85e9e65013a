"""What is to be solved: a batch of arrays with the same wires, one input, and a data set."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

AMPERE = 1e-3  # L = 1/2 sum (i_out / AMPERE)^2 is then of order 1


class Case(NamedTuple):
    g: np.ndarray  # (n, rows, cols) [S], float64
    r_word: float  # every word-line segment [ohm]
    r_bit: float  # every bit-line segment [ohm]
    v: np.ndarray  # (rows,) [V]
    data: np.ndarray  # (inputs, rows) [V]

    @property
    def shape(self) -> tuple[int, int]:
        return self.g.shape[1:]

    def save(self, path: Path) -> None:
        np.savez(path, **self._asdict())

    @staticmethod
    def load(path: Path) -> "Case":
        with np.load(path) as file:  # allow_pickle is False
            r_word, r_bit = float(file["r_word"]), float(file["r_bit"])
            return Case(file["g"], r_word, r_bit, file["v"], file["data"])

    def part(self, start: int, stop: int) -> "Case":
        return self._replace(g=self.g[start:stop])
