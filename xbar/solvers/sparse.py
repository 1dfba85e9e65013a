"""One severe array on the host: sparse elimination in an order that the grid itself suggests.

With the IR drop `d` of word-line nodes below their drivers, the rise `b` of bit-line nodes above
the virtual ground, `L` the conductances of the segments of a kind of line as a Laplacian with its
grounded end, and drives `e` of the cells, Kirchhoff's current law at the nodes is

    (L_word + g) d + g b = g e          g d + (L_bit + g) b = g e          u = e - d - b

a symmetric, positive definite matrix whatever the values, which SciPy's SuperLU factorizes without
pivots. Its order is nested dissection (George, 1973): a cut through a rectangle of cells takes one
line of nodes, about ``31 n^2 log2(n)`` numbers for n x n cells, and as long whatever the drop. The
factors lose digits where a node hangs on a conductance that is small beside its segments', and `u`
where the wires take nearly all of the drive; so what is left of the cell equation is solved for
again, as in `xbar.solvers.sweep.voltages`, which is also the judge of what is found.

Of segments of 0 ohm, which have no conductance, a billionth of what would matter stands in the
matrix; the repeated solves take away what that does to the voltages.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from xbar.circuit import Wires
from xbar.programs import program
from xbar.solvers.base import Answer, Drives, Voltages, default_rtol, problem_of
from xbar.solvers.recurrence import size_of
from xbar.solvers.sweep.voltages import Iterate, answer_of, improved, start_of

# Solves after which what is still not right is left to elimination without subtractions. Circuits
# over nine decades took three.
MAX_SOLVES = 10
# Columns that are eliminated together: half the time of SuperLU's own choice at 65x65, a fifth less
# at 512x512 (benchmarks/log.md). More than that choice overruns its buffers.
PANEL = 2
# Of the resistance at which a line's drop would be as large as its drive.
NEGLIGIBLE = 1e-9

Known = Float[np.ndarray, "rows cols"]


def sparse_answer(
    g: Float[Array, "rows cols"], wires: Wires, e: Drives, rtol: float | None
) -> Answer | None:
    """Cell voltages of an array of known numbers, all of them legal.

    Args:
        g: conductances [S]; their precision is that of the answer.
        wires: the wires.
        e: drives (n, rows, 1) or (n, rows, cols) [V].
        rtol: bound on the errors, as that of the solvers; None for the default.

    Returns:
        The answer, right or marked as not; None where the matrix has no factors.
    """
    rtol = default_rtol(rtol, g.dtype)
    size, e, it, segments = _start(g, wires, e)
    solved = _factorized(*(np.asarray(x, np.float64) for x in (g, *segments)))
    if solved is None:
        return None
    for _ in range(MAX_SOLVES):
        du = solved(np.asarray(it.left.residual, np.float64))
        with np.errstate(over="ignore"):  # what diverges in float32 becomes infinite, and is marked
            it = _improved(g, wires, e, it, jnp.asarray(du, g.dtype), rtol)
        if bool(jnp.all(it.ok)):
            break
    return _answer(it, size)


@program()
def _start(g: Array, wires: Wires, e: Drives) -> tuple[Array, Drives, Iterate, tuple[Array, Array]]:
    """Sizes of the drives, drives of that size, where to start, and the segments' resistances."""
    problem, size = problem_of(g, wires), size_of(e)
    return size, e / size, start_of(problem, e / size), problem.segments()


@program(static_argnames="rtol")
def _improved(g: Array, wires: Wires, e: Drives, it: Iterate, du: Voltages, rtol: float) -> Iterate:
    return improved(problem_of(g, wires), e, it, du, rtol)


@program()
def _answer(it: Iterate, size: Array) -> Answer:
    found = answer_of(it)
    u, word, bit = (size * x for x in (found.u, found.word, found.bit))
    return Answer(u, word, bit, found.ok, found.steps)


def _factorized(g: Known, word: Known, bit: Known) -> Callable[[np.ndarray], np.ndarray] | None:
    """From what is left of the cell equation (n, rows, cols) to the change of the cell voltages."""
    from scipy.sparse.linalg import splu  # here, as few results ask for it

    order = _order(*g.shape)
    try:
        factors = splu(
            _matrix(g, word, bit, order),
            permc_spec="NATURAL",
            diag_pivot_thresh=0.0,
            panel_size=PANEL,
            options={"SymmetricMode": True},
        )
    except (RuntimeError, MemoryError):  # singular to the last digit; too large
        return None

    def solved(left: np.ndarray) -> np.ndarray:
        i_cell = (g * left).reshape(len(left), -1)
        nodes = np.empty((2 * g.size, len(left)))
        nodes[order] = factors.solve(np.concatenate([i_cell, i_cell], axis=1).T[order])
        return left - (nodes[: g.size] + nodes[g.size :]).T.reshape(left.shape)

    return solved


def _matrix(g: Known, word: Known, bit: Known, order: Int[np.ndarray, " nodes"]) -> Any:
    """The matrix above, its nodes (word line, then bit line) in the order of elimination."""
    from scipy.sparse import csc_array

    largest = max(g.sum(axis=0).max(), g.sum(axis=1).max())
    least = NEGLIGIBLE / largest if largest > 0 else 1.0
    g_word, g_bit = (1 / np.maximum(r, least) for r in (word, bit))
    of_word, of_bit = g + g_word, g + g_bit
    of_word[:, :-1] += g_word[:, 1:]
    of_bit[1:] += g_bit[:-1]
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    w, b = place.reshape(2, *g.shape)
    pairs = [
        (w[:, 1:], w[:, :-1], -g_word[:, 1:]),
        (b[:-1], b[1:], -g_bit[:-1]),
        (w, b, g),
    ]
    both = [*pairs, *((k, i, x) for i, k, x in pairs), (w, w, of_word), (b, b, of_bit)]
    i, k, x = (
        np.concatenate([part.ravel() for part in parts]) for parts in zip(*both, strict=True)
    )
    return csc_array((x, (i, k)), shape=(len(order), len(order)))


@lru_cache(maxsize=8)
def _order(rows: int, cols: int) -> Int[np.ndarray, " nodes"]:
    """Nodes in the order of nested dissection: numbers of word-line nodes, then of bit lines'.

    A rectangle is cut across its longer side by the nodes of one line of cells. Those that connect
    its halves come last; those of the crossing line hang on these alone.
    """
    number = np.arange(rows * cols).reshape(rows, cols)
    order: list[np.ndarray] = []

    def eliminate(part: np.ndarray) -> None:
        if min(part.shape) == 0:
            return
        if max(part.shape) <= 2:
            order.extend([part.ravel(), part.ravel() + number.size])
            return
        across = part.shape[1] >= part.shape[0]
        part = part if across else part.T
        middle = part.shape[1] // 2
        for half in (part[:, :middle], part[:, middle + 1 :]):
            eliminate(half if across else half.T)
        word, bit = part[:, middle], part[:, middle] + number.size
        order.extend([bit, word] if across else [word, bit])

    eliminate(number)
    return np.concatenate(order)
