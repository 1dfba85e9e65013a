"""The contestants of the speed benchmark, each in a process of its own environment.

A contestant is a module `by_<name>` here with one function, ``prepare(op, case, settings)``: it
does what a user would do once per size (ordering, analysis, compilation, choice of options) and
returns ``call(k)``, the work that is timed: operation `op` on array `k` (or on the whole batch),
from conductances to a NumPy or JAX array of currents [A], of T [S] or of derivatives.

Operations, with L = 1/2 sum (i_out / 1 mA)^2:

    solve           column currents of array k for one input                     (cols,)
    solve_all       the same for every array of the batch                        (n, cols)
    transfer        transfer matrix of array k                                   (cols, rows)
    transfer_all    the same for every array                                     (n, cols, rows)
    gradient        dL/dg of array k for one input                               (rows, cols)
    gradient_all    the same for every array                                     (n, rows, cols)
    gradient_data   dL/dg through T, L averaged over the inputs of a data set    (rows, cols)
"""

from typing import NamedTuple


class Contestant(NamedTuple):
    module: str
    environment: str  # "main" (beside xbar) or "sparsax" (needs Python 3.12)
    distribution: str  # whose version is reported
    operations: tuple[str, ...]
    label: str
    threads: str = "all"  # "one": no use of a second core, so batches run in two processes


ONE_INPUT = ("solve", "solve_all")
ALL = (*ONE_INPUT, "transfer", "transfer_all", "gradient", "gradient_all", "gradient_data")

CONTESTANTS = {
    "xbar": Contestant("by_xbar", "main", "xbar", ALL, "xbar"),
    "cholmod": Contestant("by_cholmod", "main", "scikit-sparse", ALL, "CHOLMOD (scikit-sparse)"),
    "splu": Contestant("by_splu", "main", "scipy", ALL, "SciPy splu"),
    "sparsax": Contestant("by_sparsax", "sparsax", "sparsax", ALL, "sparsax"),
    "klujax": Contestant("by_klujax", "sparsax", "klujax", ALL, "klujax"),
    "badcrossbar": Contestant(
        "by_badcrossbar", "main", "badcrossbar", (*ONE_INPUT, "transfer"), "badcrossbar"
    ),
    "crosssim_loop": Contestant(
        "by_crosssim_loop",
        "main",
        "numpy",
        (*ONE_INPUT, "transfer", "transfer_all"),
        "CrossSim's loop, re-coded",
    ),
    "ngspice": Contestant("by_ngspice", "main", "ngspice", ("solve",), "ngspice"),
}
