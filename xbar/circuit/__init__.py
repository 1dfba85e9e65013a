"""What an array is: conductances between word lines and bit lines, their wires, a solution."""

from xbar.circuit.crossbar import Crossbar as Crossbar
from xbar.circuit.crossbar import Wires as Wires
from xbar.circuit.solution import RESULTS as RESULTS
from xbar.circuit.solution import Solution as Solution
