"""Arrays whose lines end, break and touch in any way."""

from xbar.solvers.wiring.solution import solve_wired as solve_wired
from xbar.solvers.wiring.transfer import transfer_wired as transfer_wired
