"""Coming from CrossSim.

CrossSim simulates a matrix product with the errors of an array; its parasitics are those of the
same circuit (`Rp_row`, `Rp_col`, no source or sense resistance, one segment before the first
cell). Here the circuit is the object, and its product is exact.
"""

import jax
import numpy as np

import xbar as xb

jax.config.update("jax_enable_x64", True)

rng = np.random.default_rng(0)
matrix, vector = rng.normal(size=(10, 16)), rng.uniform(size=16)  # y = matrix @ vector

# params.xbar.device: Rmin = 1e4, Rmax = 1e6 (and cell_bits = 4, programming_error)
# params.xbar.array.parasitics: enable = True, Rp_row = Rp_col = 1.0
# core = AnalogCore(matrix, params); core.matvec(vector)
device = xb.devices.Device(
    [xb.devices.Levels(16), xb.devices.ProgrammingError(fraction=0.02)],
    window=xb.Window.from_resistances(1e4, 1e6),
)
hardware = xb.Hardware(wires=xb.Wires(1.0, 1.0), device=device, adc=xb.ADC(8), dac=xb.DAC(8))
net = xb.Network.from_weights([matrix.T], calibration=vector[None], hardware=hardware)
chip = xb.nn.program(net, jax.random.key(0))
product = chip(vector) / chip.output_scale

worst = float(np.abs(product - matrix @ vector).max() / np.abs(matrix @ vector).max())
print(f"largest error of the product, of its largest entry: {worst:.1%}")
