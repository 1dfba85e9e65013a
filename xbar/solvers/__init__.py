"""Solvers: how the cell voltages of an array are found. `Auto` is the default."""

from xbar.solvers.auto import Auto as Auto
from xbar.solvers.base import AbstractSolver as AbstractSolver
from xbar.solvers.cg import CG as CG
from xbar.solvers.newton import Newton as Newton
from xbar.solvers.references import Dense as Dense
from xbar.solvers.references import Ideal as Ideal
from xbar.solvers.sweep.solver import ColumnSweep as ColumnSweep
