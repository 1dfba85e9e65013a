"""CHOLMOD through scikit-sparse: analysed once per size, factored in place for every array.

Tried per size: nested dissection (CHOLMOD's and METIS' own) and AMD, simplicial and supernodal,
one BLAS thread and all. Batches run in one process per core.
"""

from typing import Any

import numpy as np
from sksparse.cholmod import analyze
from threadpoolctl import threadpool_limits

from benchmarks.peers.case import Case
from benchmarks.peers.nodal import Nodal, NodalSolver
from benchmarks.peers.tuning import fastest

ORDERINGS = ("nesdis", "metis", "amd")


def prepare(op: str, case: Case, settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    nodal = Nodal(case, "lower")
    matrix, values = nodal.csc()
    matrix.data = values.of(case.g[0])
    modes = ("simplicial", "supernodal")
    if nodal.size > 100_000:  # supernodal first: the budget may end before the others
        modes = modes[::-1]
    threads = sorted({settings["threads"], 1}, reverse=True)

    def make(option: tuple[str, str, int]) -> Any:
        mode, ordering, count = option
        state = analyze(matrix, mode=mode, ordering_method=ordering, use_long=False)

        def factor(data: np.ndarray) -> Any:
            matrix.data = data
            state.cholesky_inplace(matrix)
            return state.solve_A

        call = NodalSolver(case, nodal, values, factor).call(op)
        threadpool_limits(count, "blas")  # stays until the next option sets its own
        return call

    options = [(m, o, t) for m in modes for o in ORDERINGS for t in threads]
    option, call = fastest(options, make, settings)
    threadpool_limits(option[2], "blas")
    return call, {
        "options": f"{option[0]}, {option[1]}, BLAS threads: {option[2]}",
        "option": options.index(option),
    }
