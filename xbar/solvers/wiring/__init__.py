"""Arrays whose lines end, break and touch in any way."""

from xbar.solvers.wiring.solution import rooms_of as rooms_of
from xbar.solvers.wiring.solution import solve_wired as solve_wired
