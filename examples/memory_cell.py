"""Reading a memory cell, and its sneak paths.

One word line is driven, one bit line is sensed. With the other lines floating, current reaches the
sensed line through three cells in series; grounded lines carry it away. How large may the array be?
"""

import sys

import jax
import numpy as np
from matplotlib.figure import Figure

import xbar as xb
from xbar import memory

jax.config.update("jax_enable_x64", True)

ON, OFF = 1e-4, 1e-6  # 10 kohm and 1 Mohm
wires = xb.Wires(2.0, 2.0, source=100.0, sense=100.0)  # ohm

bits = np.random.default_rng(0).integers(0, 2, (16, 16)).astype(bool)
bits[3, 7] = False  # the cell that is read is off
g = np.where(bits, ON, OFF)
for unselected in ("floating", "grounded"):
    read = memory.read(g, wires, v=0.2, row=3, col=7, unselected=unselected)
    print(
        f"others {unselected}: sensed {1e6 * read.i_out:.2f} uA, the cell {1e6 * read.i_cell:.2f}"
    )

# The same with a Bias of one's own, which also has V/2 and V/3 for writing.
bias = xb.Bias.read(16, 16, v=0.2, row=3, col=7, unselected="floating")
sol = xb.solve(xb.Crossbar(g, wires), bias)
print(f"the other bit lines float up to {1e3 * float(sol.v_bit.max()):.0f} mV")

# The margin between a cell that is on and one that is off, all other cells on: below 0, no
# threshold tells them apart.
sizes = (2, 4, 8, 16, 32)


def margins(unselected):
    """Of each size."""
    options = {"v": 0.2, "unselected": unselected, "patterns": "high"}
    return [float(memory.read_margin(n, n, ON, OFF, wires, **options).margin) for n in sizes]


found = {unselected: margins(unselected) for unselected in ("floating", "grounded")}
for n, *pair in zip(sizes, *found.values(), strict=True):
    print(f"{n:2d} x {n:<2d}  margin {pair[0]:.3f} floating, {pair[1]:.3f} grounded")

if len(sys.argv) > 1:  # a file for the figure
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    for unselected, values in found.items():
        axes.plot(sizes, values, "o-", label=f"other lines {unselected}")
    axes.set(xlabel="word lines and bit lines", ylabel="read margin")
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(sys.argv[1])
