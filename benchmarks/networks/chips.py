"""1,000 defective chips of 784-256-128-10 with 1,000 images each: a few are timed, and scaled.

    python benchmarks/networks/chips.py [--chips 50] [--out benchmarks/results/tiles_chips.md]

62 tiles of 65 x 128 cells a chip, 1 ohm, float32; 1 % of all cells stuck, on or off with equal
chance. Chip after chip through one compiled program; seconds are of the processor, all threads
together, so that a busy machine does not change them much.
"""

import argparse
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scale import KEY, OHM, SIZES, TILE, trained

import xbar as xb
from xbar.learn.mlp import accuracy

SHARE, CHIPS = 0.01, 1000


@eqx.filter_jit
def read(net: xb.Network, key: jax.Array, images: jax.Array) -> jax.Array:
    """Output voltages of one chip, its stuck cells drawn from the key."""

    def broken(number: int, layer: xb.nn.Layer) -> xb.Pairs:
        where, which = jax.random.split(jax.random.fold_in(key, number))
        g = jnp.stack([layer.pairs.g_plus, layer.pairs.g_minus])
        window = layer.window
        stuck = jnp.where(jax.random.bernoulli(which, 0.5, g.shape), window.g_max, window.g_min)
        hit = jax.random.uniform(where, g.shape) < SHARE
        return xb.Pairs(*jnp.where(hit, stuck.astype(g.dtype), g))

    pairs = [broken(number, layer) for number, layer in enumerate(net.layers)]
    return eqx.tree_at(lambda n: [layer.pairs for layer in n.layers], net, pairs)(images)


def main() -> None:
    """Measure, and write a table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--chips", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/tiles_chips.md"))
    asked = parser.parse_args()
    model, k, x, y, parts = trained()
    hardware = xb.Hardware(tile=TILE, wires=xb.Wires(OHM, OHM))
    net = xb.Network.from_weights(model.weights, model.biases, k=k, hardware=hardware)
    images, labels = x[parts.test][:1000], y[parts.test][:1000]
    read(net, KEY, images).block_until_ready()
    spent, right = [], []
    for number in range(asked.chips):
        began = time.process_time()
        volts = read(net, jax.random.fold_in(KEY, number), images).block_until_ready()
        spent.append(time.process_time() - began)
        right.append(float(accuracy(volts, labels)))
        print(f"chip {number}: {spent[-1]:.2f} s, {right[-1]:.1%} right", flush=True)
    each = np.array(spent)
    low, high = np.quantile(each, [0.1, 0.9])
    scaled = CHIPS * np.median(each) / 2 / 60
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(
        f"# {'-'.join(map(str, SIZES))}, defective chips with 1,000 images each\n\n"
        f"By `benchmarks/networks/chips.py`: tiles of {TILE[0]} x {TILE[1]} cells, {OHM:g} ohm, "
        f"float32, {SHARE:.0%} of the cells stuck, {asked.chips} chips. Processor seconds.\n\n"
        "| a chip, median [s] | 10 % to 90 % of chips [s] | 1,000 chips on two idle cores, scaled "
        "[min] | read right, mean | worst chip |\n|---|---|---|---|---|\n"
        f"| {np.median(each):.2f} | {low:.2f} to {high:.2f} | {scaled:.1f} | "
        f"{np.mean(right):.1%} | {min(right):.1%} |\n"
    )


if __name__ == "__main__":
    main()
