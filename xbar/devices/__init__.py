"""Defects: masks say which pairs are hit, faults what happens to them, ageing what time does.

```python
mask = Circle((0.5, 0.5), 0.2) | Rows(0.9, 0.1)
pairs = inject(pairs, mask, StuckPair("on"), window)
```
"""

from xbar.devices.ageing import Ageing as Ageing
from xbar.devices.ageing import Drift as Drift
from xbar.devices.ageing import Wear as Wear
from xbar.devices.faults import PUBLISHED_RATES as PUBLISHED_RATES
from xbar.devices.faults import AbstractFault as AbstractFault
from xbar.devices.faults import StuckCells as StuckCells
from xbar.devices.faults import StuckMinus as StuckMinus
from xbar.devices.faults import StuckPair as StuckPair
from xbar.devices.faults import StuckPlus as StuckPlus
from xbar.devices.faults import StuckUnequal as StuckUnequal
from xbar.devices.faults import inject as inject
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
from xbar.devices.shapes import Checkerboard as Checkerboard
from xbar.devices.shapes import Circle as Circle
from xbar.devices.shapes import ColumnLines as ColumnLines
from xbar.devices.shapes import Columns as Columns
from xbar.devices.shapes import Ring as Ring
from xbar.devices.shapes import RowLines as RowLines
from xbar.devices.shapes import Rows as Rows
from xbar.devices.shapes import Scattered as Scattered
from xbar.devices.shapes import Scratch as Scratch
