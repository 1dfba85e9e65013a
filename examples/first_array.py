"""One array, solved and drawn.

Branches are coloured by current, nodes by voltage. Behind 20 ohm segments the far cells of a well
conducting row see less than they were given.
"""

import sys

import jax
import numpy as np

import xbar as xb

jax.config.update("jax_enable_x64", True)

rng = np.random.default_rng(0)
r = 10 ** rng.uniform(3, 6, (6, 8))  # 1 kohm to 1 Mohm
v_in = rng.uniform(0.02, 0.2, 6)  # volt

array = xb.Crossbar.from_resistances(r, xb.Wires(word_line=20.0, bit_line=20.0))
sol = xb.solve(array, v_in)
ideal = v_in @ (1 / r)
for column, (i, wanted) in enumerate(zip(sol.i_out, ideal, strict=True)):
    print(f"column {column}: {1e6 * i:6.1f} uA, without wires {1e6 * wanted:6.1f} uA")
print(f"drivers deliver {1e6 * sol.p_total:.1f} uW; Kirchhoff's check {sol.kcl_residual:.0e}")

if len(sys.argv) > 1:  # a file for the figure
    xb.plots.circuit(sol).savefig(sys.argv[1])
