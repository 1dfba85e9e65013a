"""CrossSim's loop, re-coded: fixed-point iteration on the cell voltages, in NumPy.

CrossSim (github.com/sandialabs/cross-sim) is not to be had from a package index, so this is not it
but the iteration that it publishes, written anew. From the full drive ``dv0``, each turn finds what
the wires lose for the cell currents ``g dv`` by cumulative sums along rows and columns, and

    dv += gamma (dv0 - loss - dv)

until no cell is off by more than a tolerance. A loop that diverges or takes too many turns is begun
anew with 0.98 gamma. CrossSim stops at 1e-3 of the largest drive or after 100 turns; here the loop
goes on until column currents are right to 1e-10 of the largest, or says that it does not.

What a user cannot know beforehand, the best gamma and the loosest tolerance that gives such
currents, is found on the first array before the clock runs, as other peers' options are. CrossSim
has no derivatives, so neither has this.
"""

import time
from typing import Any

import numpy as np

from benchmarks.peers.case import Case
from benchmarks.peers.tuning import fastest

SHRINK = 0.98
# Of the largest drive. What is left, divided by the share of it that a turn takes away, is the
# error, so that how much may be left depends on the drop; the last is near what rounding leaves.
TOLERANCES = (1e-10, 1e-11, 1e-12, 1e-13)
ENOUGH = 2e-11  # of the largest current: by how much currents may differ from those of the last
MOST_TURNS = 20_000
BLOCK_BYTES = 2**20  # of cell voltages of several inputs that go through the loop together
LEAST = 5e-4  # gamma, below which the turns would not do
# Powers of SHRINK on the largest gamma that converges, which are tried.
POWERS = (1, 3, 6, 10, 16, 0)


class DivergedError(Exception):
    """The loop grew, or did not end."""


class Loop:
    """Cell voltages of one array for one or several inputs."""

    def __init__(self, case: Case):
        self.r_word, self.r_bit = case.r_word, case.r_bit
        self.tolerance, self.gamma = TOLERANCES[-1], 1.0
        self.end_s = np.inf  # of the time for choosing gamma

    def currents(self, g: np.ndarray, v: np.ndarray, gamma: float) -> np.ndarray:
        """Column currents (n, cols) of inputs (n, rows); leaves the last gamma in `gamma`."""
        block = max(1, BLOCK_BYTES // g.nbytes)
        parts = [v[k : k + block] for k in range(0, len(v), block)]
        return np.concatenate([self._some(g, part, gamma) for part in parts])

    def _some(self, g: np.ndarray, v: np.ndarray, gamma: float) -> np.ndarray:
        """The loop, begun anew with less gamma until it converges."""
        while True:
            self.gamma = gamma
            try:
                return self._once(g, v, gamma)
            except DivergedError:
                gamma *= SHRINK
                if gamma < LEAST or time.perf_counter() > self.end_s:
                    raise

    def _once(self, g: np.ndarray, v: np.ndarray, gamma: float) -> np.ndarray:
        dv = np.repeat(v[:, :, None], g.shape[1], axis=2)
        i, loss = np.empty_like(dv), np.empty_like(dv)
        bound, limit = self.tolerance * np.abs(v).max(), np.inf
        for turn in range(MOST_TURNS):
            # What is left of dv0 once the wires have taken theirs, in place throughout.
            np.multiply(g, dv, out=i)
            np.cumsum(i[:, :, ::-1], axis=2, out=loss[:, :, ::-1])
            np.cumsum(loss, axis=2, out=loss)
            loss *= self.r_word
            np.subtract(v[:, :, None], loss, out=loss)
            np.cumsum(i, axis=1, out=i)
            np.cumsum(i[:, ::-1], axis=1, out=i[:, ::-1])
            i *= self.r_bit
            loss -= i
            loss -= dv
            worst = max(loss.max(), -loss.min())
            if worst <= bound:
                return np.einsum("ij,nij->nj", g, dv)
            limit = 100 * worst if turn == 0 else limit
            if not worst <= limit or (turn % 256 == 255 and time.perf_counter() > self.end_s):
                break
            loss *= gamma
            dv += loss
        raise DivergedError(
            f"not within {self.tolerance:g} after {turn + 1} turns, gamma {gamma:.3g}"
        )


def prepare(op: str, case: Case, settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    loop, (rows, _) = Loop(case), case.shape
    inputs = np.eye(rows) if op.startswith("transfer") else case.v[None]

    def make(power: int) -> Any:
        gamma = largest * SHRINK**power
        loop.tolerance = tolerance = _enough(loop, case.g[0], inputs, gamma)

        def one(k: int) -> np.ndarray:
            loop.tolerance = tolerance
            found = loop.currents(case.g[k % len(case.g)], inputs, gamma)
            return found.T if op.startswith("transfer") else found[0]

        if op.endswith("_all"):
            return lambda k: np.stack([one(k) for k in range(len(case.g))])
        return one

    loop.end_s = time.perf_counter() + 2 * settings["tuning_s"]
    loop.currents(case.g[0], case.v[None], 1.0)
    largest = loop.gamma
    option, call = fastest(POWERS, make, settings)
    loop.end_s = np.inf
    call(0)  # sets the tolerance and gamma that belong to it
    options = f"gamma {loop.gamma:.2g}, tolerance {loop.tolerance:g}"
    return call, {"options": options, "option": POWERS.index(option)}


def _enough(loop: Loop, g: np.ndarray, inputs: np.ndarray, gamma: float) -> float:
    """The loosest tolerance that makes no difference to the currents of one array."""
    found = {}
    for loop.tolerance in reversed(TOLERANCES):
        found[loop.tolerance] = loop.currents(g, inputs, gamma)
    tight = found[TOLERANCES[-1]]
    allowed = ENOUGH * np.abs(tight).max()
    return next(t for t in TOLERANCES if np.abs(found[t] - tight).max() <= allowed)
