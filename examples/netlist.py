"""My netlist in and out, and ngspice's verdict.

The export is exact: 17 digits, no element for a segment of 0 ohm, an ammeter at each virtual
ground. Where ngspice is installed, it solves the same circuit and every node is compared.
"""

import sys

import jax
import numpy as np

import xbar as xb

jax.config.update("jax_enable_x64", True)

rng = np.random.default_rng(0)
g = rng.uniform(1e-6, 1e-4, (3, 4))
array = xb.Crossbar(g, xb.Wires(word_line=2.0, bit_line=3.0, source=50.0, sense=10.0))
v_in = np.array([0.1, 0.2, 0.15])

netlist = xb.spice.array_netlist(array, v_in, title="three rows, four columns")
print("\n".join(netlist.splitlines()[:12]), "\n...")
print(xb.spice.subckt(array, "mine").count("\n"), "lines as a subcircuit, for your own test bench")

found = xb.spice.netlist_as_array(netlist)  # or read_netlist("mine.sp"); any crossbar of resistors
back = xb.solve(found.array, found.bias).i_out
print("read back, largest difference", float(abs(back - xb.solve(array, v_in).i_out).max()), "A")

try:
    report = xb.spice.verify_array(array, v_in)
except xb.spice.NgspiceMissing as missing:
    print(missing)
else:
    for row in report.rows:
        print(f"{row.quantity:10s} {row.error:.1e} at {row.where}: {row.verdict}")

if len(sys.argv) > 1:  # a file for the figure
    xb.plots.circuit(xb.solve(array, v_in)).savefig(sys.argv[1])
