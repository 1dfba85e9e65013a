"""What cells are made of: devices and their effects, faults, and the masks that say where.

```python
from xbar import devices
device = devices.preset("wan2022")  # print(device): its laws, units, ranges and source
g = device.program(g_target, key)  # one key is one chip ...
g_day = device.age(g, key, 86_400.0)  # ... at every time [s]
seen = device.read(g_day, key, 86_400.0, read=3)

mask = Circle((0.5, 0.5), 0.2) | Rows(0.9, 0.1)
pairs = inject(pairs, mask, StuckPair("on"), window)
```
"""

from xbar.devices.ageing import Ageing as Ageing
from xbar.devices.device import About as About
from xbar.devices.device import Device as Device
from xbar.devices.effects import EFFECTS as EFFECTS
from xbar.devices.effects import AbstractAgeing as AbstractAgeing
from xbar.devices.effects import AbstractEffect as AbstractEffect
from xbar.devices.effects import AbstractProgramming as AbstractProgramming
from xbar.devices.effects import AbstractReading as AbstractReading
from xbar.devices.effects import Drift as Drift
from xbar.devices.effects import FlickerNoise as FlickerNoise
from xbar.devices.effects import Levels as Levels
from xbar.devices.effects import Lognormal as Lognormal
from xbar.devices.effects import ProgrammingError as ProgrammingError
from xbar.devices.effects import Relaxation as Relaxation
from xbar.devices.effects import Telegraph as Telegraph
from xbar.devices.effects import Wear as Wear
from xbar.devices.effects import WriteVerify as WriteVerify
from xbar.devices.faults import AbstractFault as AbstractFault
from xbar.devices.faults import inject as inject
from xbar.devices.fits import AbstractFit as AbstractFit
from xbar.devices.fits import ConstantFit as ConstantFit
from xbar.devices.fits import FunctionFit as FunctionFit
from xbar.devices.fits import LogFit as LogFit
from xbar.devices.fits import PolynomialFit as PolynomialFit
from xbar.devices.fits import PowerFit as PowerFit
from xbar.devices.fits import TableFit as TableFit
from xbar.devices.law import CellLaw as CellLaw
from xbar.devices.maps import ChipMap as ChipMap
from xbar.devices.masks import AbstractMask as AbstractMask
from xbar.devices.masks import Complement as Complement
from xbar.devices.masks import Everywhere as Everywhere
from xbar.devices.masks import Intersection as Intersection
from xbar.devices.masks import Union as Union
from xbar.devices.placements import PLACEMENTS as PLACEMENTS
from xbar.devices.placements import SHAPES as SHAPES
from xbar.devices.placements import Placement as Placement
from xbar.devices.placements import placed_mask as placed_mask
from xbar.devices.placements import random_mask as random_mask
from xbar.devices.presets import PRESETS as PRESETS
from xbar.devices.presets import preset as preset
from xbar.devices.shapes import Checkerboard as Checkerboard
from xbar.devices.shapes import Circle as Circle
from xbar.devices.shapes import ColumnLines as ColumnLines
from xbar.devices.shapes import Columns as Columns
from xbar.devices.shapes import Ring as Ring
from xbar.devices.shapes import RowLines as RowLines
from xbar.devices.shapes import Rows as Rows
from xbar.devices.shapes import Scattered as Scattered
from xbar.devices.shapes import Scratch as Scratch
from xbar.devices.stuck import FAULTS as FAULTS
from xbar.devices.stuck import PUBLISHED_RATES as PUBLISHED_RATES
from xbar.devices.stuck import Defect as Defect
from xbar.devices.stuck import FaultKind as FaultKind
from xbar.devices.stuck import StuckCells as StuckCells
from xbar.devices.stuck import StuckMinus as StuckMinus
from xbar.devices.stuck import StuckPair as StuckPair
from xbar.devices.stuck import StuckPlus as StuckPlus
from xbar.devices.stuck import StuckUnequal as StuckUnequal
from xbar.devices.tables import from_table as from_table
from xbar.devices.time_fits import AbstractTimeFit as AbstractTimeFit
from xbar.devices.time_fits import LogTime as LogTime
from xbar.devices.time_fits import SpreadAtTimes as SpreadAtTimes
