"""My chip's defect map on my network.

A measured map is a file: a line for each cell that is known, `row, col, ohm`, with `on` and `off`
for cells that are stuck at an end of the window. Rows are word lines, the bias row last; columns
are bit lines, plus and minus cells in turn.
"""

import sys
import tempfile
from pathlib import Path

import jax
import numpy as np

import xbar as xb
from xbar.devices import Everywhere

jax.config.update("jax_enable_x64", True)

rng = np.random.default_rng(0)
weights = [rng.normal(size=(12, 6))]
x = rng.uniform(size=(200, 12))
net = xb.Network.from_weights(weights, wires=xb.Wires(2.0, 2.0), calibration=x)
rows, cols = net.layers[0].array().g.shape  # 13 word lines, 12 bit lines

chip = Path(tempfile.mkdtemp()) / "chip.csv"
chip.write_text("row,col,ohm\n2,3,on\n2,4,off\n7,0,1200\n7,1,2e6\n12,11,on\n")
measured = xb.io.load_map(chip, shape=(rows, cols))

mine = net.with_fault(0, Everywhere(), measured)
same = (mine(x).argmax(1) == net(x).argmax(1)).mean()
print(f"{chip.name}: the class of {same:.1%} of the inputs stays as it was")
print(f"cell (7, 0) is now {1 / mine.layers[0].array().g[7, 0]:.0f} ohm")

if len(sys.argv) > 1:  # a file for the figure
    xb.plots.array(mine.layers[0].array().g, "my chip, with its map").savefig(sys.argv[1])
