"""SciPy's SuperLU: symmetric mode, and the best of its own orderings and of METIS'.

splu analyses anew in every call: it has no way to keep an ordering. The exception is a matrix that
comes in a good order already, which is tried where scikit-sparse is there to compute one.
"""

from typing import Any

import numpy as np
from scipy.sparse.linalg import splu

from benchmarks.peers.case import Case
from benchmarks.peers.nodal import Nodal, NodalSolver
from benchmarks.peers.tuning import fastest

SYMMETRIC = {"diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
OPTIONS = [
    ("metis", "NATURAL"),
    ("amd", "NATURAL"),
    ("own", "MMD_AT_PLUS_A"),
    ("own", "COLAMD"),
]


def prepare(op: str, case: Case, settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    def make(option: tuple[str, str]) -> Any:
        order, permc = option
        permutation = None if order == "own" else _permutation(case, order)
        nodal = Nodal(case, "full", permutation)
        matrix, values = nodal.csc()
        modes = {} if permc == "COLAMD" else SYMMETRIC

        def factor(data: np.ndarray) -> Any:
            matrix.data = data
            return splu(matrix, permc_spec=permc, **modes).solve

        return NodalSolver(case, nodal, values, factor).call(op)

    option, call = fastest(OPTIONS, make, settings)
    return call, {"options": f"ordering {option[0]}, {option[1]}", "option": OPTIONS.index(option)}


def _permutation(case: Case, order: str) -> np.ndarray:
    from sksparse.cholmod import analyze  # not there: the options that need it drop out

    matrix, values = Nodal(case, "lower").csc()
    matrix.data = values.of(case.g[0])
    return analyze(matrix, ordering_method=order).P()
