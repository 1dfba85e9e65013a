"""xbar: a differentiable simulator of ReRAM crossbar circuits in JAX."""

from xbar.crossbar import Crossbar as Crossbar
from xbar.crossbar import Wires as Wires
from xbar.solution import Solution as Solution
from xbar.solve import solve as solve
from xbar.solve import transfer as transfer
from xbar.solvers import CG as CG
from xbar.solvers import RESULTS as RESULTS
from xbar.solvers import AbstractSolver as AbstractSolver
from xbar.solvers import Auto as Auto
from xbar.solvers import ColumnSweep as ColumnSweep
from xbar.solvers import Dense as Dense
from xbar.solvers import Ideal as Ideal
