"""sparsax: CHOLMOD (and KLU, UMFPACK) inside `jax.jit`, with gradients through the solve.

Analysis is kept per pattern; assembly from g happens inside the compiled function. It skips the
factorization when values did not change, which no user with different arrays would see, so the
cache holds one factor and successive calls get different arrays. Batches are `jax.vmap`, one
process per core.
"""

from typing import Any

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)
import sparsax  # noqa: E402

from benchmarks.peers.case import Case  # noqa: E402
from benchmarks.peers.jax_nodal import operation  # noqa: E402
from benchmarks.peers.nodal import Nodal  # noqa: E402
from benchmarks.peers.tuning import fastest  # noqa: E402

MODES = ("simplicial", "supernodal")  # of CHOLMOD; "auto" is one of the two
OPTIONS = (*MODES, "klu", "umfpack")


def prepare(op: str, case: Case, settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    sparsax.set_num_cache_size(1)
    sparsax.set_lu_cache_size(1)
    sparsax.set_umf_cache_size(1)

    def make(option: str) -> Any:
        symmetric = option in MODES
        nodal = Nodal(case, "upper" if symmetric else "full")
        i, j = (np.asarray(x, np.int32) for x in (nodal.entries.row, nodal.entries.col))
        if symmetric:
            sparsax.set_options(supernodal=option)
        run = {"klu": sparsax.lu_solve, "umfpack": sparsax.umf_solve}.get(option, sparsax.solve)
        return operation(op, case, nodal, lambda values, b: run(i, j, values, b))

    # Supernodal first where the array is large: the budget may end before the others.
    large = case.shape[0] * case.shape[1] > 50_000
    options = (*MODES[::-1], *OPTIONS[2:]) if large else OPTIONS
    option, call = fastest(options, make, settings)
    if option in MODES:
        call = make(option)  # the options tried after it changed the mode
    return call, {"options": option, "option": options.index(option)}
