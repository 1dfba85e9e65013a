"""What training does for a digits network on defective chips: who knows what, and which wires.

    python benchmarks/networks/defects.py [--seeds 10] [--out benchmarks/results/defects.csv]

A 64-50-20-8-10 network on 13 tiles of 26 x 40 cells, in float32. A chip has stuck cells in every
layer, at a share of all cells: scattered, or those within a circle; each is on or off with equal
chance. What may be done about it has the same 359 labelled images and the same steps each:

- none; correctors of 110 and 304 parameters on the ten outputs;
- noise: training with noise on the weights, no circuit (ideal forward and backward pass);
- many chips: training through the exact circuit of a fresh defective chip in each step;
- this chip, ideal: training with this chip's stuck cells, without its wires;
- this chip, exact: training through this chip's exact circuit.

All are scored on the exact circuit of the same chip, by images that trained nothing.
"""

import argparse
import csv
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import xbar as xb
from xbar.io import load_dataset, split
from xbar.learn.corrector import train_correctors
from xbar.learn.mlp import MLP, accuracy, cross_entropy, fit
from xbar.learn.training import train
from xbar.nn import volts_per_unit

SIZES = (64, 50, 20, 8, 10)
STEPS, BATCH = 200, 64
TILE = (26, 40)
NOISE = 0.05  # of the noise training, standard deviation by the largest weight of a layer
WINDOW = xb.Window.preset()
FIELDS = ("seed", "shape", "share", "wire_ohm", "method", "accuracy", "cpu_s")


def network(model: MLP, k: jax.Array, r: jax.Array) -> xb.Network:
    """The healthy network."""
    hardware = xb.Hardware(window=WINDOW, wires=xb.Wires(r, r), tile=TILE)
    return xb.Network.from_weights(model.weights, model.biases, k=k, hardware=hardware)


class Chip(eqx.Module):
    """Which cells are stuck, and at what, layer by layer, (2, rows, outputs)."""

    hit: list[jax.Array]
    g: list[jax.Array]

    @staticmethod
    def draw(key: jax.Array, share: jax.Array, circle: jax.Array) -> "Chip":
        """A chip with a share of its cells stuck, scattered or within a circle of that area."""
        hit, g = [], []
        for layer, (rows, outputs) in enumerate(pairwise(SIZES)):
            place, which, value = jax.random.split(jax.random.fold_in(key, layer), 3)
            shape = (2, rows + 1, outputs)
            y = (jnp.arange(rows + 1) + 0.5) / (rows + 1)
            x = (jnp.arange(outputs) + 0.5) / outputs
            radius = jnp.sqrt(share / jnp.pi)
            centre = radius + (1 - 2 * radius) * jax.random.uniform(place, (2,))
            distance = jnp.hypot(y[:, None] - centre[0], x - centre[1])
            inside = jnp.broadcast_to(distance < radius, shape)
            hit.append(jnp.where(circle, inside, jax.random.uniform(which, shape) < share))
            on = jax.random.bernoulli(value, 0.5, shape)
            g.append(jnp.where(on, WINDOW.g_max, WINDOW.g_min).astype(jnp.float32))
        return Chip(hit, g)

    def broken(self, net: xb.Network) -> xb.Network:
        """A network with these cells stuck."""
        pairs = []
        for layer, hit, g in zip(net.layers, self.hit, self.g, strict=True):
            both = jnp.stack([layer.pairs.g_plus, layer.pairs.g_minus])
            pairs.append(xb.Pairs(*jnp.where(hit, g, both)))
        return eqx.tree_at(lambda n: [layer.pairs for layer in n.layers], net, pairs)


def logits(net: xb.Network, x: jax.Array, exact: bool) -> jax.Array:
    """Outputs in the software network's unit."""
    return net(x, solver=None if exact else xb.Ideal()) / net.output_scale


class Through(eqx.Module):
    """Loss through a chip, known or drawn anew, with wires or without."""

    chip: Chip
    k: jax.Array
    r: jax.Array
    share: jax.Array
    circle: jax.Array
    known: jax.Array
    exact: bool = eqx.field(static=True)

    def __call__(self, model: MLP, x: jax.Array, y: jax.Array, key: jax.Array) -> jax.Array:
        fresh = Chip.draw(key, self.share, self.circle)
        chip = jax.tree.map(lambda a, b: jnp.where(self.known, a, b), self.chip, fresh)
        r = self.r if self.exact else jnp.zeros_like(self.r)
        return cross_entropy(logits(chip.broken(network(model, self.k, r)), x, self.exact), y)


def noisy(model: MLP, x: jax.Array, y: jax.Array, key: jax.Array) -> jax.Array:
    """Loss with noise on all weights, in software."""

    def moved(n: int, w: jax.Array) -> jax.Array:
        size = NOISE * jnp.max(jnp.abs(jax.lax.stop_gradient(w)))
        return w + size * jax.random.normal(jax.random.fold_in(key, n), w.shape)

    weights = tuple(moved(n, w) for n, w in enumerate(model.weights))
    return cross_entropy(eqx.tree_at(lambda m: m.weights, model, weights)(x), y)


@eqx.filter_jit
def measured(model: MLP, chip: Chip, k: jax.Array, r: jax.Array, x: jax.Array) -> jax.Array:
    """Outputs of the exact circuit of a chip."""
    return logits(chip.broken(network(model, k, r)), x, True)


def scores(seed: int, cases: list) -> Iterator[list[dict]]:
    """All methods on each of the chips of a seed, chip by chip."""
    data = load_dataset("digits")
    parts = split(data.labels, jax.random.key(seed))
    x, y = jnp.asarray(data.images / 16, jnp.float32), jnp.asarray(data.labels)
    learn, test = parts.corrector, parts.test
    base = MLP.init(jax.random.key(100 + seed), SIZES, dtype=jnp.float32)
    base = fit(base, x[parts.base], y[parts.base], key=jax.random.key(seed))
    k = jnp.asarray(volts_per_unit(base.weights, base.biases, np.asarray(x[parts.base])))

    noise_model = None
    for shape, share, ohm in cases:
        case, rows = (shape, share, ohm), []

        def note(method: str, found: jax.Array, began: float) -> None:
            spent = round(time.process_time() - began, 2)
            values = (seed, *case, method, round(100 * float(found), 2), spent)  # noqa: B023
            rows.append(dict(zip(FIELDS, values, strict=True)))  # noqa: B023

        key, r = jax.random.fold_in(jax.random.key(seed), round(1e4 * share)), jnp.float32(ohm)
        rate, circle = jnp.float32(share), jnp.asarray(shape == "circle")
        chip = Chip.draw(key, rate, circle)
        score = lambda model: accuracy(measured(model, chip, k, r, x[test]), y[test])  # noqa: B023, E731
        began = time.process_time()
        sound = eqx.tree_at(lambda c: c.hit, chip, [jnp.zeros_like(h) for h in chip.hit])
        note("healthy", accuracy(measured(base, sound, k, r, x[test]), y[test]), began)
        note("none", score(base), began)
        volts = measured(base, chip, k, r, x)
        for name, hidden in (("corrector 110", ()), ("corrector 304", (14,))):
            began = time.process_time()
            taught = volts[learn][None], y[learn][None], key[None]
            found = train_correctors(*taught, hidden=hidden, steps=STEPS, batch_size=BATCH)
            corrected = jax.tree.map(lambda a: a[0], found)(volts[test])
            note(name, accuracy(corrected, y[test]), began)
        options = {"key": key, "steps": STEPS, "batch_size": BATCH}
        began = time.process_time()
        if noise_model is None:
            noise_model, _ = train(base, x[learn], y[learn], noisy, **options)
        note("noise", score(noise_model), began)
        ways = (("many chips", False, True), ("this chip, ideal", True, False))
        for name, known, exact in (*ways, ("this chip, exact", True, True)):
            began = time.process_time()
            loss = Through(chip, k, r, rate, circle, jnp.asarray(known), exact)
            tuned, _ = train(base, x[learn], y[learn], loss, **options)
            note(name, score(tuned), began)
        yield rows


def main() -> None:
    """Run, chip after chip; what is in the file already is not done again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/defects.csv"))
    asked = parser.parse_args()
    cases = [("scattered", 0.1, ohm) for ohm in (1.0, 10.0, 0.0)]
    cases += [("scattered", share, 1.0) for share in (0.2, 0.05, 0.01)]
    cases += [("circle", share, 1.0) for share in (0.1, 0.2, 0.05, 0.01)]
    done = set()
    if asked.out.exists():
        with asked.out.open() as file:
            done = {
                (int(r["seed"]), r["shape"], float(r["share"]), float(r["wire_ohm"]))
                for r in csv.DictReader(file)
            }
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    with asked.out.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if not done:
            writer.writeheader()
        for seed in range(asked.seeds):
            for rows in scores(seed, [case for case in cases if (seed, *case) not in done]):
                writer.writerows(rows)
                file.flush()


if __name__ == "__main__":
    main()
