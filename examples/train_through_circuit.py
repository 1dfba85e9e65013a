"""Train a network through the circuit of its own defective chip.

    python examples/train_through_circuit.py

A 64-50-20-8-10 network reads the UCI digits. A tenth of its cells is stuck; its wires have 1 ohm a
segment. The software weights learn what this chip can do: each step maps them to conductances,
puts the stuck cells in, solves all arrays and takes the exact gradient back to the weights.
"""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import xbar as xb
from xbar.devices import Scattered, StuckUnequal
from xbar.io import load_dataset, split
from xbar.learn import MLP, accuracy, cross_entropy, fit, train
from xbar.nn import volts_per_unit

KEY = jax.random.key(0)
SHARE, STEPS = 0.1, 300


def main() -> None:
    """Train in software, break a chip, train through it."""
    data = load_dataset("digits")
    parts = split(data.labels, KEY)
    x, y = jnp.asarray(data.images / 16, jnp.float32), jnp.asarray(data.labels)
    model = MLP.init(KEY, (64, 50, 20, 8, 10), dtype=jnp.float32)
    model = fit(model, x[parts.base], y[parts.base], key=KEY)
    k = volts_per_unit(model.weights, model.biases, np.asarray(x[parts.base]))
    hardware = xb.Hardware(wires=xb.Wires(1.0, 1.0))

    def chip(model: MLP) -> xb.Network:
        net = xb.Network.from_weights(model.weights, model.biases, k=k, hardware=hardware)
        for n in range(len(net.layers)):
            own = jax.random.fold_in(KEY, n)
            net = net.with_fault(n, Scattered(SHARE, own), StuckUnequal("random"), own)
        return net

    def loss(model: MLP, x: jax.Array, y: jax.Array, key: jax.Array) -> jax.Array:
        net = chip(model)
        return cross_entropy(net(x) / net.output_scale, y)

    score = eqx.filter_jit(lambda model: accuracy(chip(model)(x[parts.test]), y[parts.test]))
    print(f"software   {accuracy(model(x[parts.test]), y[parts.test]):6.1%}")
    print(f"this chip  {score(model):6.1%}")
    taught = x[parts.corrector], y[parts.corrector]
    trained, losses = train(model, *taught, loss, key=KEY, steps=STEPS)
    print(f"trained    {score(trained):6.1%}   {STEPS} steps, {len(parts.corrector)} labels")

    if len(sys.argv) > 1:  # a file for the figure
        figure = Figure(figsize=(5, 3), layout="constrained")
        axes = figure.subplots()
        axes.plot(losses, lw=0.8)
        axes.set(xlabel="step", ylabel="loss on a minibatch of 64 [nat]", yscale="log")
        axes.grid(alpha=0.3)
        figure.savefig(sys.argv[1])


if __name__ == "__main__":
    main()
