"""Which cells matter in my network, ranked; and how good chips must be.

The list has the exact effect of every single stuck cell, from one solution of each array. The
fault rate is that of chips drawn at random and solved exactly.
"""

import sys

import jax
import numpy as np
from matplotlib.figure import Figure

import xbar as xb
from xbar import sensitivity as sens

jax.config.update("jax_enable_x64", True)

rng = np.random.default_rng(0)
weights = [rng.normal(size=(8, 6)), rng.normal(size=(6, 3))]
x = rng.uniform(size=(100, 8))
net = xb.Network.from_weights(weights, wires=xb.Wires(2.0, 2.0), calibration=x)
labels = net(x).argmax(1)  # yours come from your data

base = sens.baseline(net, x, labels)
print(" layer  word line  bit line  stuck  accuracy")
for fault in sens.ranked(base, n=10):
    place = f"{fault.layer:6d} {fault.word_line:10d} {fault.bit_line:9d}"
    print(f"{place}  {fault.stuck:>5s} {fault.accuracy:9.1%}")

rate = sens.largest_fault_rate(net, x, labels, at_least=0.8, key=jax.random.key(0), chips=100)
print(f"95 % of chips keep 80 % of the inputs right up to {rate:.2%} of stuck cells")

if len(sys.argv) > 1:  # a file for the figure
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.subplots()
    harm = sens.cell_faults(base, 0, "on").loss - base.scores().loss
    image = axes.imshow(harm, cmap="magma_r")
    axes.set(xlabel="bit line", ylabel="word line", title="layer 0: each cell stuck-on, alone")
    figure.colorbar(image, label="change of the loss")
    figure.savefig(sys.argv[1])
