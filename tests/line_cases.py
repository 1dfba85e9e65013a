"""Arrays with any lines, and the exact answer for them: Kirchhoff's laws for nodes and branches.

The oracle shares no code and no formulation with the package. Unknowns are the voltages of all
nodes and the currents of all segments, drivers and bridges, with ``v_a - v_b - r i = V`` for each
of these and cells as conductances; broken segments are left out. A part without a driver has one
node held at 0 V, and no voltages. Solved by sparse LU, refined with residuals in extended
precision.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

import xbar as xb


class Case(NamedTuple):
    """An array with its wiring and bias, arrays of full shape; None where there is none."""

    g: np.ndarray
    word_line: np.ndarray
    bit_line: np.ndarray
    source: np.ndarray
    sense: np.ndarray
    word: np.ndarray
    bit: np.ndarray
    source_far: np.ndarray | None = None
    sense_far: np.ndarray | None = None
    word_far: np.ndarray | None = None
    bit_far: np.ndarray | None = None
    word_floats: np.ndarray | None = None
    bit_floats: np.ndarray | None = None
    word_far_floats: np.ndarray | None = None
    bit_far_floats: np.ndarray | None = None
    word_open: np.ndarray | None = None
    bit_open: np.ndarray | None = None
    bridges: tuple[tuple[tuple, tuple, float], ...] = ()

    def array(self, **options: Any) -> xb.Crossbar:
        wires = xb.Wires(
            self.word_line, self.bit_line, self.source, self.sense, self.source_far, self.sense_far
        )
        if self.word_open is None and self.bit_open is None and not self.bridges:
            return xb.Crossbar(self.g, wires)
        bridges = tuple(xb.Bridge(a, b, r) for a, b, r in self.bridges)
        faults = xb.LineFaults(self.word_open, self.bit_open, bridges, **options)
        return xb.Crossbar(self.g, wires, faults)

    def bias(self) -> xb.Bias:
        return xb.Bias(
            self.word,
            self.bit,
            self.word_far,
            self.bit_far,
            self.word_floats,
            self.bit_floats,
            self.word_far_floats,
            self.bit_far_floats,
        )


class Exact(NamedTuple):
    """What the oracle found; NaN where a voltage is undefined."""

    v_word: np.ndarray
    v_bit: np.ndarray
    i_cell: np.ndarray
    i_out: np.ndarray
    i_word: np.ndarray
    i_word_far: np.ndarray | None
    i_bit_far: np.ndarray | None
    p_total: float
    largest: float  # of all currents
    rounding: float  # current that rounding of voltages makes where none flows, else 0
    floating: bool


class _Branch(NamedTuple):
    a: int
    b: int  # -1 for ground
    r: float
    v: float
    name: tuple


def exact(case: Case) -> Exact:
    rows, cols = case.g.shape
    branches = _branches(case)
    cells = rows * cols
    a_cell = np.arange(cells)
    g = case.g.ravel()
    # Which nodes hang on ground.
    joined = [(x.a, 2 * cells if x.b < 0 else x.b) for x in branches]
    joined += [(k, cells + k) for k in range(cells) if g[k] > 0]
    ends = np.array(joined, int).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(2 * cells + 1,) * 2)
    label = connected_components(graph, directed=False)[1]
    undefined = label[:-1] != label[-1]
    held = [np.flatnonzero(label[:-1] == k)[0] for k in np.unique(label[:-1][undefined])]
    size = 2 * cells + len(branches)
    row, col, val = [], [], []

    def put(i: Any, j: Any, x: Any) -> None:
        i, j, x = np.broadcast_arrays(i, j, x)
        row.extend(i.ravel()), col.extend(j.ravel()), val.extend(x.ravel())

    for i, j, sign in ((0, 0, 1), (0, 1, -1), (1, 0, -1), (1, 1, 1)):
        put(a_cell + i * cells, a_cell + j * cells, sign * g)
    right = np.zeros(size)
    zero_ohm = _Union(2 * cells + 1 + len(branches))
    for k, x in enumerate(branches):
        q = 2 * cells + k
        right[q] = x.v
        # A second path of 0 ohm between the same nodes takes no part.
        other = 2 * cells if x.b < 0 else x.b
        if x.r == 0 and x.v == 0 and not zero_ohm.join(x.a, other):
            put(q, q, 1.0)
            continue
        put(x.a, q, 1.0)
        put(q, x.a, 1.0)
        put(q, q, -x.r)
        if x.b >= 0:
            put(x.b, q, -1.0)
            put(q, x.b, -1.0)
    matrix = coo_matrix((val, (row, col)), shape=(size, size)).tolil()
    for k in held:
        matrix[k] = 0
        matrix[k, k] = 1
    x = _solve(matrix.tocsc(), right)
    v, i = x[: 2 * cells], x[2 * cells :]
    i_cell = g * (v[:cells] - v[cells:])
    volts = np.where(undefined, np.nan, v)
    found = {name: np.zeros(n) for name, n in _sizes(case).items()}
    power = 0.0
    for x, current in zip(branches, i, strict=True):
        if x.name[0] in found:  # positive out of the node, so that drivers deliver its opposite
            found[x.name[0]][x.name[1]] = -current
            power -= x.v * current
    largest = float(max(np.max(np.abs(i_cell)), np.max(np.abs(i), initial=0)))
    busiest = max(case.g.sum(0).max(), case.g.sum(1).max())
    rounding = 16 * float(np.finfo(float).eps * busiest * np.max(np.abs(right), initial=0))
    return Exact(
        volts[:cells].reshape(rows, cols),
        volts[cells:].reshape(rows, cols),
        i_cell.reshape(rows, cols),
        -found["bit"],
        found["word"],
        found.get("word_far"),
        found.get("bit_far"),
        power,
        largest,
        rounding if largest <= rounding else 0.0,
        bool(np.any(undefined)),
    )


def _sizes(case: Case) -> dict[str, int]:
    rows, cols = case.g.shape
    sizes = {"word": rows, "bit": cols}
    if case.source_far is not None:
        sizes["word_far"] = rows
    if case.sense_far is not None:
        sizes["bit_far"] = cols
    return sizes


def _branches(case: Case) -> list[_Branch]:
    rows, cols = case.g.shape
    none_w, none_b = np.zeros(rows, bool), np.zeros(cols, bool)
    opened = np.zeros((rows, cols), bool)
    word_open = opened if case.word_open is None else case.word_open
    bit_open = opened if case.bit_open is None else case.bit_open

    def w(i: int, j: int) -> int:
        return i * cols + j

    def b(i: int, j: int) -> int:
        return (rows + i) * cols + j

    out = []
    for i in range(rows):
        out += [
            _Branch(w(i, j - 1), w(i, j), case.word_line[i, j], 0.0, ("segment",))
            for j in range(1, cols)
            if not word_open[i, j]
        ]
        if not (
            word_open[i, 0] or (case.word_floats if case.word_floats is not None else none_w)[i]
        ):
            r = case.source[i] + case.word_line[i, 0]
            out.append(_Branch(w(i, 0), -1, r, case.word[i], ("word", i)))
        floats = none_w if case.word_far_floats is None else case.word_far_floats
        if case.source_far is not None and not floats[i]:
            v = case.word if case.word_far is None else case.word_far
            out.append(_Branch(w(i, cols - 1), -1, case.source_far[i], v[i], ("word_far", i)))
    for j in range(cols):
        out += [
            _Branch(b(i, j), b(i + 1, j), case.bit_line[i, j], 0.0, ("segment",))
            for i in range(rows - 1)
            if not bit_open[i, j]
        ]
        floats = none_b if case.bit_floats is None else case.bit_floats
        if not (bit_open[-1, j] or floats[j]):
            r = case.sense[j] + case.bit_line[-1, j]
            out.append(_Branch(b(rows - 1, j), -1, r, case.bit[j], ("bit", j)))
        floats = none_b if case.bit_far_floats is None else case.bit_far_floats
        if case.sense_far is not None and not floats[j]:
            v = case.bit if case.bit_far is None else case.bit_far
            out.append(_Branch(b(0, j), -1, case.sense_far[j], v[j], ("bit_far", j)))
    for a, c, r in case.bridges:
        ends = [(w if kind == "word" else b)(i, j) for kind, i, j in (a, c)]
        if ends[0] != ends[1]:
            out.append(_Branch(*ends, r, 0.0, ("bridge",)))
    return out


class _Union:
    def __init__(self, n: int):
        self.parent = list(range(n))

    def root(self, k: int) -> int:
        while self.parent[k] != k:
            k = self.parent[k]
        return k

    def join(self, a: int, b: int) -> bool:
        a, b = self.root(a), self.root(b)
        self.parent[a] = b
        return a != b


def _solve(matrix: Any, right: np.ndarray) -> np.ndarray:
    scale = 1 / np.maximum(np.abs(matrix).max(axis=1).toarray().ravel(), 1e-300)
    rows = matrix.tocoo()
    values = rows.data * scale[rows.row]
    scaled = coo_matrix((values, (rows.row, rows.col)), shape=matrix.shape).tocsc()
    lu = splu(scaled)
    b = (right * scale).astype(np.longdouble)
    x = lu.solve(b.astype(float)).astype(np.longdouble)
    data = rows.data.astype(np.longdouble) * scale[rows.row]
    for _ in range(6):
        left = b.copy()
        np.subtract.at(left, rows.row, data * x[rows.col])
        x = x + lu.solve(left.astype(float))
    return x.astype(float)


class Kind(NamedTuple):
    """What there may be; one compiled program serves all cases of a kind and a shape."""

    far: tuple[bool, bool] = (False, False)
    floats: bool = False
    opens: bool = False
    bridges: int = 0


KINDS = {
    "plain": Kind(),
    "floats": Kind(floats=True),
    "opens": Kind(floats=True, opens=True),
    "both ends": Kind(far=(True, True)),
    "bridges": Kind(bridges=2),
    "opens and bridges": Kind(floats=True, opens=True, bridges=3),
    "everything": Kind((True, True), True, True, 2),
    "some of it": Kind((True, False), True, False, 1),
}
REGIMES = {
    "mild": ((1e-6, 1e-4), (0.1, 10.0)),
    "severe": ((1e-4, 1e-2), (1.0, 1e3)),
    "extreme": ((1e-9, 1.0), (1e-3, 1e6)),
}


def random_case(rng: np.random.Generator, rows: int, cols: int, regime: str, kind: Kind) -> Case:
    """Log-uniform values, zeros sprinkled in; ends, opens, bridges and floats at random."""
    (g_low, g_high), (r_low, r_high) = REGIMES[regime]

    def draw(low: float, high: float, shape: Any) -> np.ndarray:
        values = np.exp(rng.uniform(np.log(low), np.log(high), shape))
        if rng.random() < 0.5:
            values[rng.random(shape) < 0.2] = 0
        return values

    def mask(there: bool, n: Any, rates: tuple[float, ...]) -> np.ndarray | None:
        return rng.random(n) < rng.choice(rates) if there else None

    def node() -> tuple:
        return str(rng.choice(["word", "bit"])), int(rng.integers(rows)), int(rng.integers(cols))

    def ends(lines: int, there: bool) -> tuple:
        r = draw(r_low, r_high, lines) if there else None
        v = rng.uniform(-1, 1, lines) if there else None
        return r, v, mask(there and kind.floats, lines, (0.0, 0.1, 0.95))

    # The kinds of nodes are part of the program.
    kinds = [("word", "word"), ("bit", "bit"), ("word", "bit")][: kind.bridges]
    bridges = []
    for pair in kinds:
        r = 0.0 if rng.random() < 0.4 else float(draw(r_low, r_high, 1)[0])
        a, b = ((name, *node()[1:]) for name in pair)
        bridges.append((a, b, r))
    floats, opens = (0.0, 0.1, 0.5, 0.95), (0.0, 0.01, 0.05, 0.3)
    source_far, word_far, word_far_floats = ends(rows, kind.far[0])
    sense_far, bit_far, bit_far_floats = ends(cols, kind.far[1])
    return Case(
        g=draw(g_low, g_high, (rows, cols)),
        word_line=draw(r_low, r_high, (rows, cols)),
        bit_line=draw(r_low, r_high, (rows, cols)),
        source=draw(r_low, r_high, rows),
        sense=draw(r_low, r_high, cols),
        word=rng.uniform(-1, 1, rows),
        bit=rng.uniform(-0.5, 0.5, cols) if rng.random() < 0.5 else np.zeros(cols),
        source_far=source_far,
        sense_far=sense_far,
        word_far=word_far,
        bit_far=bit_far,
        word_floats=mask(kind.floats, rows, floats),
        bit_floats=mask(kind.floats, cols, floats),
        word_far_floats=word_far_floats,
        bit_far_floats=bit_far_floats,
        word_open=mask(kind.opens, (rows, cols), opens),
        bit_open=mask(kind.opens, (rows, cols), opens),
        bridges=tuple(bridges),
    )


def differences(found: xb.Solution, right: Exact) -> dict[str, float]:
    """Largest error of each quantity, relative to the largest current or voltage of the circuit."""
    volts = np.nanmax(np.abs(np.stack([right.v_word, right.v_bit])), initial=0.0)
    # Where no current flows, what rounding of the voltages makes of that is allowed.
    volts = max(volts, 1e-150)
    amps = max(right.largest, right.rounding / 1e-9, 1e-150)
    out = {}
    for name in ("v_word", "v_bit"):
        ours, theirs = np.asarray(getattr(found, name)), getattr(right, name)
        if not np.array_equal(np.isnan(ours), np.isnan(theirs)):
            out[name] = np.inf
        else:
            out[name] = float(np.nanmax(np.abs(ours - theirs), initial=0.0) / volts)
    for name in ("i_cell", "i_out", "i_word", "i_word_far", "i_bit_far"):
        theirs = getattr(right, name)
        if theirs is not None:
            ours = np.asarray(getattr(found, name))
            out[name] = float(np.max(np.abs(ours - theirs)) / amps)
    out["p_total"] = abs(float(found.p_total) - right.p_total) / (amps * volts)
    return {k: (np.inf if np.isnan(x) else x) for k, x in out.items()}
