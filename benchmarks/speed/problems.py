"""Seeded problems: the arrays that every contestant gets."""

import numpy as np

from benchmarks.peers.case import Case

G_OFF, G_ON = 1e-6, 1e-4  # [S], 1 MOhm and 10 kOhm
STUCK = 0.02  # share of cells stuck on, and of cells stuck off
V_READ = 0.2  # [V]
INPUTS = 1797  # of the data set; as many as the UCI digits


def single(x: np.ndarray) -> np.ndarray:
    """Numbers that float32 has too, so that both precisions solve the same problem."""
    return x.astype(np.float32).astype(np.float64)


def arrays(n: int, rows: int, cols: int, seed: int = 0) -> np.ndarray:
    """Different arrays: conductances log-uniform from off to on, some cells stuck; [S]."""
    rng = np.random.default_rng([seed, rows, cols])
    g = np.exp(rng.uniform(np.log(G_OFF), np.log(G_ON), (n, rows, cols)))
    stuck = rng.random(g.shape)
    g[stuck < STUCK] = G_ON
    g[stuck > 1 - STUCK] = G_OFF
    return single(g)


def all_on(n: int, rows: int, cols: int) -> np.ndarray:
    """Arrays with every cell on; the k-th is 0.1 % k above the first, so that all are different."""
    scale = 1 + 1e-3 * np.arange(n)
    return single(np.full((n, rows, cols), G_ON) * scale[:, None, None])


def decades(n: int, rows: int, cols: int) -> np.ndarray:
    """Different arrays of conductances log-uniform over nine decades, 1 nS to 1 S."""
    rng = np.random.default_rng([9, rows, cols])
    return single(10 ** rng.uniform(-9, 0, (n, rows, cols)))


def case_of(g: np.ndarray, r: float = 1.0, seed: int = 0, inputs: int = INPUTS) -> Case:
    """Arrays with `r` ohm in every segment, one input, and a data set."""
    rng = np.random.default_rng([seed, 1])
    rows = g.shape[1]
    v = single(rng.uniform(0.1, 1.0, rows) * V_READ)
    data = single(rng.uniform(0.0, 1.0, (inputs, rows)) * V_READ)
    return Case(g, r, r, v, data)


def copies(g: np.ndarray, which: np.ndarray, precision: str) -> np.ndarray:
    """Some arrays of a batch that is larger than `g`, as benchmarks/peers/by_xbar.py makes it."""
    step, round_, dtype = np.float32(0.001), which // len(g), np.dtype(precision)
    scales = 1 + step * round_.astype(np.float32) if precision == "float32" else 1 + 0.001 * round_
    return (g[which % len(g)].astype(dtype) * scales.astype(dtype)[:, None, None]).astype(float)
