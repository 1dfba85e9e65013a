"""Thousands of chips in one call.

A chip is a key. Each of 2,000 chips has its own stuck cells in both arrays, solved exactly; the
program is compiled once, and `xb.batch_map` shares the chips among all devices within a budget of
memory. On a GPU the same lines run side by side.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import xbar as xb
from xbar.devices import Everywhere

jax.config.update("jax_enable_x64", True)

rng = np.random.default_rng(0)
weights = [rng.normal(size=(8, 6)), rng.normal(size=(6, 3))]
x = jnp.asarray(rng.uniform(size=(100, 8)))
net = xb.Network.from_weights(weights, wires=xb.Wires(2.0, 2.0), calibration=x)
healthy = net(x).argmax(1)


def agreement(key, net):
    """Share of inputs whose class this chip leaves as it was."""
    for layer in range(2):
        fault = xb.StuckCells(rate_on=0.01, rate_off=0.03)
        net = net.with_fault(layer, Everywhere(), fault, jax.random.fold_in(key, layer))
    return jnp.mean(net(x).argmax(1) == healthy)


keys = jax.random.split(jax.random.key(0), 2000)
xb.batch_map(agreement, keys[:100], net, block=100)  # compiles, for any number of chips
start = time.perf_counter()
found = np.asarray(xb.batch_map(agreement, keys, net, block=100))
print(f"{len(keys)} chips, {len(x)} inputs each: {time.perf_counter() - start:.2f} s")
print(f"mean {found.mean():.1%}, worst {found.min():.1%}, {np.mean(found > 0.9):.1%} above 90 %")

if len(sys.argv) > 1:  # a file for the figure
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.hist(100 * found, bins=40)
    axes.set(xlabel="inputs read as by the healthy chip [%]", ylabel="chips")
    figure.savefig(sys.argv[1])
