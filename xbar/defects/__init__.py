"""Defects: masks say which pairs are hit, faults what happens to them, ageing what time does.

```python
mask = Circle((0.5, 0.5), 0.2) | Rows(0.9, 0.1)
pairs = inject(pairs, mask, StuckPair("on"), window)
```
"""

from xbar.defects.ageing import Ageing as Ageing
from xbar.defects.ageing import Drift as Drift
from xbar.defects.ageing import Wear as Wear
from xbar.defects.faults import PUBLISHED_RATES as PUBLISHED_RATES
from xbar.defects.faults import AbstractFault as AbstractFault
from xbar.defects.faults import StuckCells as StuckCells
from xbar.defects.faults import StuckMinus as StuckMinus
from xbar.defects.faults import StuckPair as StuckPair
from xbar.defects.faults import StuckPlus as StuckPlus
from xbar.defects.faults import StuckUnequal as StuckUnequal
from xbar.defects.faults import inject as inject
from xbar.defects.masks import AbstractMask as AbstractMask
from xbar.defects.masks import Complement as Complement
from xbar.defects.masks import Everywhere as Everywhere
from xbar.defects.masks import Intersection as Intersection
from xbar.defects.masks import Union as Union
from xbar.defects.placements import PLACEMENTS as PLACEMENTS
from xbar.defects.placements import SHAPES as SHAPES
from xbar.defects.placements import Placement as Placement
from xbar.defects.placements import placed_mask as placed_mask
from xbar.defects.placements import random_mask as random_mask
from xbar.defects.shapes import Checkerboard as Checkerboard
from xbar.defects.shapes import Circle as Circle
from xbar.defects.shapes import ColumnLines as ColumnLines
from xbar.defects.shapes import Columns as Columns
from xbar.defects.shapes import Ring as Ring
from xbar.defects.shapes import RowLines as RowLines
from xbar.defects.shapes import Rows as Rows
from xbar.defects.shapes import Scattered as Scattered
from xbar.defects.shapes import Scratch as Scratch
