"""My own cell, fault and readout step.

Each is a small class with one or two methods; solvers, gradients and batches work with it as with
those that are there.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import xbar as xb
from xbar import cells, devices, nn

jax.config.update("jax_enable_x64", True)


class Cubic(cells.AbstractCell):
    """i = g u (1 + (u / v_0)^2): a cell that conducts better at higher voltage."""

    g: jax.Array  # (rows, cols) [S]
    v_0: float  # [V]

    def current(self, u):
        return self.g * u * (1 + (u / self.v_0) ** 2)


class Leaky(devices.AbstractFault):
    """Both cells of a pair have a leak of 20 kohm."""

    def stuck(self, shape, dtype, window, key):
        return jnp.ones(shape, bool), jnp.full(shape, 1 / 20e3, dtype)

    def describe(self):
        return "cells of 20 kohm"


class Compress(nn.AbstractStep):
    """An amplifier that saturates softly at 0.5 V."""

    linear = False

    def volts(self, x, key=None):
        return 0.5 * jnp.tanh(x / 0.5)


rng = np.random.default_rng(0)
g = jnp.asarray(rng.uniform(1e-6, 1e-4, (6, 4)))
wires = xb.Wires(5.0, 5.0)
volt = jnp.linspace(0.05, 1.0, 8)
sweep = [xb.solve(xb.Crossbar(Cubic(g, 0.4), wires), jnp.full(6, v)).i_out for v in volt]
print(f"at 1 V the cubic cells carry {float(sweep[-1][0] / (g.sum(0)[0])):.2f} times g u")

x = rng.uniform(size=(50, 5))
net = xb.Network.from_weights([rng.normal(size=(5, 3))], wires=wires, calibration=x)
leaky = net.with_fault(0, xb.Circle((0.5, 0.5), 0.3), Leaky())
print(f"leaky cells move outputs by up to {1e3 * abs(leaky(x) - net(x)).max():.1f} mV")

readout = nn.Readout(r_f=1e4).then(Compress())
print("soft readout [V]", np.asarray(readout.volts(jnp.array([1e-4, 0.0, 0.0, 1e-4]))))

if len(sys.argv) > 1:  # a file for the figure
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(volt, 1e6 * jnp.stack(sweep), "o-")
    axes.plot(volt, 1e6 * volt[:, None] * g.sum(0), "k:", linewidth=0.8)
    axes.set(xlabel="drive [V]", ylabel="column currents [µA]; dotted: ohmic, no wires")
    figure.savefig(sys.argv[1])
