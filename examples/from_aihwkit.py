"""Coming from aihwkit.

An inference model there is programmed and drifts: `program_analog_weights`,
`drift_analog_weights(t)`. Here a key is a chip, `program`, `age` and `read` are functions, and
wires are part of the circuit.
"""

import jax
import numpy as np

import xbar as xb

jax.config.update("jax_enable_x64", True)

rng = np.random.default_rng(0)
state_dict = {  # model.state_dict() of torch.nn.Sequential(Linear(8, 6), ReLU(), Linear(6, 3))
    "0.weight": rng.normal(size=(6, 8)),
    "0.bias": rng.normal(size=6),
    "2.weight": rng.normal(size=(3, 6)),
    "2.bias": rng.normal(size=3),
}
x = rng.uniform(size=(100, 8))

# rpu_config = InferenceRPUConfig(noise_model=PCMLikeNoiseModel(g_max=25.0)); 8 bits in and out
# model = convert_to_analog(model, rpu_config); model.eval(); model.program_analog_weights()
hardware = xb.Hardware(device=xb.devices.preset("pcm"), dac=xb.DAC(8), adc=xb.ADC(8))
net = xb.nn.from_torch(state_dict, activation="relu", calibration=x, hardware=hardware)
key = jax.random.key(0)
chip = xb.nn.program(net, key)
wanted = net(x).argmax(1)
print(f"as programmed: {(chip(x).argmax(1) == wanted).mean():.1%} as asked")
for seconds in (3600.0, 86_400.0, 365 * 86_400.0):  # model.drift_analog_weights(seconds)
    aged = xb.nn.read(xb.nn.age(chip, key, seconds), key, seconds)
    print(f"after {seconds:10.0f} s: {(aged(x).argmax(1) == wanted).mean():.1%}")
