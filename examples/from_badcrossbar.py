"""Coming from badcrossbar.

The same segments at both ends, the same layout of node voltages and device currents. Three things
change: resistances become conductances, `r_i` becomes `xb.Wires`, and output currents are
transposed.
"""

import jax
import numpy as np

import xbar as xb

jax.config.update("jax_enable_x64", True)

rng = np.random.default_rng(0)
resistances = rng.uniform(1e4, 1e6, (16, 8))  # ohm; np.inf is an open cell in both
applied_voltages = rng.uniform(0, 0.2, (16, 3))  # volt, (rows, inputs)

# solution = badcrossbar.compute(applied_voltages, resistances, r_i=2.5)
array = xb.Crossbar.from_resistances(resistances, xb.Wires(word_line=2.5, bit_line=2.5))
sol = xb.solve(array, applied_voltages)

output = sol.i_out.T  # solution.currents.output, (inputs, columns)
device = sol.i_cell  # solution.currents.device, (rows, columns, inputs)
word_line = np.cumsum(sol.i_cell[:, ::-1], axis=1)[:, ::-1]  # solution.currents.word_line
bit_line = np.cumsum(sol.i_cell, axis=0)  # solution.currents.bit_line
v_word, v_bit = sol.v_word, sol.v_bit  # solution.voltages.word_line, .bit_line

assert np.allclose(word_line[:, 0].sum(0), output.sum(1), rtol=1e-12)  # what goes in comes out
print("output currents [uA]\n", np.round(1e6 * np.asarray(output), 3))
