"""The public names, each with its file; `__init__.py` loads one when it is first used."""

from . import cells as cells
from . import devices as devices
from .analysis import LineDelay as LineDelay
from .analysis import Power as Power
from .analysis import elmore_delay as elmore_delay
from .analysis import output_delay as output_delay
from .analysis import output_noise as output_noise
from .analysis import power as power
from .batch import batch_map as batch_map
from .circuit import RESULTS as RESULTS
from .circuit import Crossbar as Crossbar
from .circuit import Solution as Solution
from .circuit import Wires as Wires
from .compile_cache import keep_compiled as keep_compiled
from .devices import Checkerboard as Checkerboard
from .devices import Circle as Circle
from .devices import Columns as Columns
from .devices import Ring as Ring
from .devices import Rows as Rows
from .devices import Scattered as Scattered
from .devices import StuckCells as StuckCells
from .devices import StuckMinus as StuckMinus
from .devices import StuckPair as StuckPair
from .devices import StuckPlus as StuckPlus
from .devices import StuckUnequal as StuckUnequal
from .devices import random_mask as random_mask
from .devices.mapping import Pairs as Pairs
from .devices.mapping import Window as Window
from .devices.mapping import map_weights as map_weights
from .learn.corrector import Corrector as Corrector
from .learn.corrector import train_correctors as train_correctors
from .linearised import linearise as linearise
from .nn import Network as Network
from .nn import Readout as Readout
from .solve import solve as solve
from .solve import transfer as transfer
from .solvers import CG as CG
from .solvers import AbstractSolver as AbstractSolver
from .solvers import Auto as Auto
from .solvers import ColumnSweep as ColumnSweep
from .solvers import Dense as Dense
from .solvers import Ideal as Ideal
from .solvers import Newton as Newton

__version__: str
