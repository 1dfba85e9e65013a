"""What an array is: conductances between word lines and bit lines, their wires, a solution."""

from xbar.circuit.bias import Bias as Bias
from xbar.circuit.crossbar import Crossbar as Crossbar
from xbar.circuit.crossbar import Wires as Wires
from xbar.circuit.line_defects import BridgedLines as BridgedLines
from xbar.circuit.line_defects import OpenBitLine as OpenBitLine
from xbar.circuit.line_defects import OpenWordLine as OpenWordLine
from xbar.circuit.line_defects import draw_line_faults as draw_line_faults
from xbar.circuit.line_faults import Bridge as Bridge
from xbar.circuit.line_faults import LineFaults as LineFaults
from xbar.circuit.solution import RESULTS as RESULTS
from xbar.circuit.solution import Solution as Solution
from xbar.circuit.solution import Terminals as Terminals
