"""Random legal circuits of many kinds, and the right answer for each in extended precision.

The oracle eliminates the circuit's nodes one by one by the star-mesh transform, in NumPy's long
double (64 bits of significand on x86) and with sums, products and quotients of non-negative numbers
alone, so that every node voltage is right to about 1e-17 of the largest drive. It shares no code
with the package, and knows node conductances alone: a segment of 0 ohm is one of 1e-1000 ohm. Exact
fractions confirm it on small circuits (test_fuzz.py).
"""

from typing import NamedTuple

import numpy as np
from circuits import Circuit

EXACT = np.longdouble
SHORT = EXACT("1e-1000")


class Answer(NamedTuple):
    """Of one input: node voltages and cell currents (rows, cols), output currents (cols,)."""

    v_word: np.ndarray
    v_bit: np.ndarray
    i_cell: np.ndarray
    i_out: np.ndarray


def right_answer(c: Circuit) -> Answer:
    """Every node's voltage as a mean of the drives, formed without a subtraction."""
    rows, cols = c.g.shape
    cells = rows * cols
    word = np.arange(cells).reshape(rows, cols)
    bit = cells + word
    source, ground = 2 * cells + np.arange(rows), 2 * cells + rows + np.arange(cols)
    y = np.zeros((2 * cells + rows + cols,) * 2, EXACT)

    def join(a, b, conductance):
        np.add.at(y, (a.ravel(), b.ravel()), conductance.ravel())
        np.add.at(y, (b.ravel(), a.ravel()), conductance.ravel())

    def through(r):
        return 1 / np.maximum(r.astype(EXACT), SHORT)

    r_word, r_bit = np.broadcast_to(c.word_line, c.g.shape), np.broadcast_to(c.bit_line, c.g.shape)
    first = np.where(c.source == 0, r_word[:, 0], c.source + r_word[:, 0].astype(EXACT))
    last = np.where(c.sense == 0, r_bit[-1], c.sense + r_bit[-1].astype(EXACT))
    join(word, bit, c.g.astype(EXACT))
    join(word[:, :-1], word[:, 1:], through(r_word[:, 1:]))
    join(bit[:-1], bit[1:], through(r_bit[:-1]))
    join(source, word[:, 0], through(first))
    join(bit[-1], ground, through(last))
    v = np.zeros(len(y), EXACT)
    v[source] = c.v_in
    means = []
    for k in range(2 * cells):
        row = y[k, k + 1 :].copy()
        touched = np.flatnonzero(row)
        share = row[touched] / row[touched].sum()
        block = np.outer(share, row[touched])
        np.fill_diagonal(block, 0)
        y[np.ix_(k + 1 + touched, k + 1 + touched)] += block
        means.append((k + 1 + touched, share))
    for k in reversed(range(2 * cells)):
        others, share = means[k]
        v[k] = share @ v[others]
    v_word, v_bit = v[word], v[bit]
    i_cell = c.g * (v_word - v_bit)
    i_out = v_bit[-1] / np.maximum(last, SHORT)
    i_out = np.where(last > 1e-3, i_out, i_cell.sum(0))
    return Answer(v_word, v_bit, i_cell, i_out)


def _log(rng, low, high, shape):
    return np.exp(rng.uniform(np.log(low), np.log(high), shape))


def _one_of(rng, values, shape):
    return rng.choice(np.array(values, float), shape)


def _mild(rng, rows, cols):
    return _log(rng, 1e-6, 1e-4, (rows, cols)), *_wires(rng, rows, cols, 0.1, 10)


def _wires(rng, rows, cols, low, high):
    return [_log(rng, low, high, s) for s in ((rows, cols), (rows, cols), (rows,), (cols,))]


def _legal_uniform(rng, rows, cols):
    g = rng.uniform(0, 1, (rows, cols))
    return g, *(rng.uniform(0, 1e6, s) for s in ((rows, cols), (rows, cols), (rows,), (cols,)))


def _log_array(rng, rows, cols):
    one = [np.full(s, _log(rng, 1e-3, 1e6, ())) for s in _shapes(rows, cols)]
    return _log(rng, 1e-9, 1, (rows, cols)), *one


def _log_segment(rng, rows, cols):
    return _log(rng, 1e-9, 1, (rows, cols)), *_wires(rng, rows, cols, 1e-3, 1e6)


def _zeros_scattered(rng, rows, cols):
    parts = _log_segment(rng, rows, cols)
    return [np.where(rng.random(p.shape) < 0.3, 0, p) for p in parts]


def _open_lines(rng, rows, cols):
    g, *wires = _mild(rng, rows, cols)
    g[rng.random(rows) < 0.3] = 0
    g[:, rng.random(cols) < 0.3] = 0
    return g, *wires


def _ends(rng, rows, cols):
    g, word, bit, source, sense = _mild(rng, rows, cols)
    kinds = [0, 1e-6, 1, 1e6]
    return g, word, bit, _one_of(rng, kinds, source.shape), _one_of(rng, kinds, sense.shape)


def _few_cells(rng, rows, cols):
    g, *wires = _log_segment(rng, rows, cols)
    return np.where(rng.random(g.shape) < 0.1, g, 0), *wires


def _steps(rng, rows, cols):
    wires = [_one_of(rng, [0, 1e-12, 1, 1e6], s) for s in _shapes(rows, cols)]
    return _one_of(rng, [0, 1e-12, 1e-6, 1], (rows, cols)), *wires


def _shapes(rows, cols):
    return (rows, cols), (rows, cols), (rows,), (cols,)


def _no_wires(rng, rows, cols):
    return _log(rng, 1e-6, 1, (rows, cols)), *(np.zeros(s) for s in _shapes(rows, cols))


def _word_only(rng, rows, cols):
    g, word, bit, source, sense = _log_segment(rng, rows, cols)
    return g, word, 0 * bit, source, 0 * sense


def _bit_only(rng, rows, cols):
    g, word, bit, source, sense = _log_segment(rng, rows, cols)
    return g, 0 * word, bit, 0 * source, sense


def _most_drop(rng, rows, cols):
    return np.ones((rows, cols)), *(np.full(s, 1e6) for s in _shapes(rows, cols))


def _checkerboard(rng, rows, cols):
    g, *wires = _mild(rng, rows, cols)
    return np.where(np.indices(g.shape).sum(0) % 2, 0, 1e-3), *wires


def _circle(rng, rows, cols):
    g, *wires = _mild(rng, rows, cols)
    i, j = np.indices(g.shape)
    hit = np.hypot(i / rows - rng.random(), j / cols - rng.random()) < 0.3
    return np.where(hit, 1e-2, g), *wires


def _all_open(rng, rows, cols):
    g, *wires = _mild(rng, rows, cols)
    return 0 * g, *wires


def _big_source(rng, rows, cols):
    g, word, bit, source, sense = _mild(rng, rows, cols)
    return g, word, bit, _log(rng, 1e3, 1e6, source.shape), sense


def _break_in_line(rng, rows, cols):
    g, word, bit, source, sense = _mild(rng, rows, cols)
    word, bit = (np.where(rng.random(r.shape) < 0.05, 1e6, r) for r in (word, bit))
    return _log(rng, 1e-6, 1e-2, g.shape), word, bit, source, sense


def _short_circuit(rng, rows, cols):
    g, *wires = _mild(rng, rows, cols)
    return np.where(rng.random(g.shape) < 0.1, 1.0, g), *wires


REGIMES = {
    "mild": _mild,
    "legal_uniform": _legal_uniform,
    "log_array": _log_array,
    "log_segment": _log_segment,
    "zeros_scattered": _zeros_scattered,
    "open_lines": _open_lines,
    "ends": _ends,
    "few_cells": _few_cells,
    "steps": _steps,
    "no_wires": _no_wires,
    "word_only": _word_only,
    "bit_only": _bit_only,
    "most_drop": _most_drop,
    "checkerboard": _checkerboard,
    "circle": _circle,
    "all_open": _all_open,
    "big_source": _big_source,
    "break_in_line": _break_in_line,
    "short_circuit": _short_circuit,
}
"""From a generator, rows and cols: g [S], word_line, bit_line, source and sense [ohm]."""


def _inputs(rng, rows):
    kind = rng.integers(9)
    one = np.eye(rows)[rng.integers(rows)]
    signs = rng.uniform(-1, 1, rows)
    return [
        rng.uniform(0, 1, rows),
        signs,
        signs * (rng.random(rows) < 0.2) + 0.2 * one,
        one,
        1e6 * signs,
        1e-12 * rng.uniform(0, 1, rows),
        signs - signs.mean(),
        signs * _log(rng, 1e-18, 1, rows),
        np.full(rows, 0.2),
    ][kind]


def random_circuit(regime: str, rows: int, cols: int, seed: int, dtype=np.float64) -> Circuit:
    """One circuit of a regime, its numbers exactly those of the precision."""
    rng = np.random.default_rng([list(REGIMES).index(regime), rows, cols, seed])
    parts = (*REGIMES[regime](rng, rows, cols), _inputs(rng, rows))
    return Circuit(*(np.asarray(p).astype(dtype).astype(np.float64) for p in parts))


def errors(found, right: Answer, c: Circuit) -> tuple[float, float]:
    """Error of the currents over the largest current, and of node voltages over the largest drive.

    Args:
        found: an `xbar.Solution` of one input, in NumPy arrays.
        right: the right answer.
        c: the circuit.
    """
    lines = (right.i_cell, right.i_cell.sum(0), right.i_cell.sum(1), right.i_out)
    largest = max(float(np.abs(x).max()) for x in lines)
    off = max(
        float(np.abs(found.i_cell - right.i_cell).max()),
        float(np.abs(found.i_out - right.i_out).max()),
    )
    moved = max(
        float(np.abs(found.v_word - right.v_word).max()),
        float(np.abs(found.v_bit - right.v_bit).max()),
    )
    drive = float(np.abs(c.v_in).max())
    return _ratio(off, largest), _ratio(moved, drive)


def _ratio(off: float, size: float) -> float:
    return 0.0 if off == 0 else off / size if size else np.inf
