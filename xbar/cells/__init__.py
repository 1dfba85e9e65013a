"""Cell laws: the current of a cell as a function of the voltage across it.

`xbar.Crossbar(cells, wires)` takes one of these, or plain conductances. A law of your own is a
subclass of `AbstractCell` with one method, `current(u)`.
"""

from xbar.cells.base import AbstractCell as AbstractCell
from xbar.cells.compound import Series as Series
from xbar.cells.compound import Where as Where
from xbar.cells.families import SelectorCells as SelectorCells
from xbar.cells.families import SinhCells as SinhCells
from xbar.cells.families import TransistorCells as TransistorCells
from xbar.cells.laws import Ohmic as Ohmic
from xbar.cells.laws import Polynomial as Polynomial
from xbar.cells.laws import Selector as Selector
from xbar.cells.laws import Sinh as Sinh
from xbar.cells.laws import Stanford as Stanford
from xbar.cells.transistor import Transistor as Transistor
