"""What drawing chips costs: 10,000 drawn chips of the digits network beside 10,000 faulty ones.

    python -m benchmarks.devices cost

Both kinds see all 1,797 images, every array of every network solved by itself. A faulty network has
a circle of stuck pairs in each array, each pair at a value of its own (as `benchmarks.speed
networks`); a drawn one is programmed, aged by a day and read as its preset says, and has no fault.
The two take turns, block by block, in one process; the goal is a ratio of 1.2.
"""

import argparse
import time
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import xbar as xb
from benchmarks.cells.digits import SIZES
from benchmarks.devices.digits import WIRES
from benchmarks.devices.table import Table
from benchmarks.speed.machine import description
from benchmarks.speed.networks import expected
from benchmarks.speed.reference import relative
from xbar.io import load_digits

PRESETS = ("cmo_hfox", "wan2022", "pcm")  # with programming and ageing; two with noise of reads
DAY = 86_400.0
BLOCKS = 10
CHECKED, IMAGES_CHECKED = 3, 4
BOUND = 1e-9  # as `benchmarks.speed networks`
GOAL = 1.2


def faulty(key: jax.Array, net: xb.Network) -> xb.Network:
    """The network with a circle of stuck pairs in each array."""
    for layer, own in enumerate(jax.random.split(key, len(net.layers))):
        place, values = jax.random.split(own)
        mask = xb.random_mask("circle", place)
        net = net.with_fault(layer, mask, xb.StuckPair("uniform"), values)
    return net


def drawn(key: jax.Array, net: xb.Network) -> xb.Network:
    """One chip of the network, as a read sees it a day after programming."""
    return xb.nn.read(xb.nn.age(xb.nn.program(net, key), key, DAY), key, DAY)


def _seen(net: xb.Network, x: jax.Array) -> dict[str, jax.Array]:
    volts = net(x)
    return {"mean": jnp.mean(volts, axis=0), "first": volts[:IMAGES_CHECKED]}


def of_faulty(key: jax.Array, net: xb.Network, x: jax.Array) -> dict[str, jax.Array]:
    """Output voltages of a faulty network: their mean, and of the first images [V]."""
    return _seen(faulty(key, net), x)


def of_drawn(key: jax.Array, net: xb.Network, x: jax.Array) -> dict[str, jax.Array]:
    """The same of a drawn chip."""
    return _seen(drawn(key, net), x)


KINDS = {"faulty": (faulty, of_faulty), "drawn": (drawn, of_drawn)}


def timed(function: Any, keys: jax.Array, *shared: Any) -> tuple[float, dict[str, jax.Array]]:
    """Wall time of all keys, compiling included if it is the first call [s], and what was found."""
    start = time.perf_counter()
    found = jax.block_until_ready(xb.batch_map(function, keys, *shared, block=len(keys)))
    return time.perf_counter() - start, found


def error(kind: str, keys: jax.Array, net: xb.Network, found: jax.Array, x: jax.Array) -> float:
    """Largest error of some output voltages, relative, against extended precision."""
    v_in = np.asarray(net.k_in * x[:IMAGES_CHECKED])
    kept = {"v_in": v_in, "v_bias": np.asarray(net.layers[0].v_bias)}
    kept |= {f"r_f{k}": np.asarray(layer.readout.r_f) for k, layer in enumerate(net.layers)}
    errors = []
    for n, key in enumerate(keys[:CHECKED]):
        own = KINDS[kind][0](key, net)
        cells = {f"g{n}_{k}": np.asarray(p.pairs.interleave()) for k, p in enumerate(own.layers)}
        errors.append(relative(np.asarray(found[n], np.longdouble), expected(kept | cells, n)))
    return float(max(errors))


def measured(preset: str, count: int, x: jax.Array) -> list[dict[str, Any]]:
    """One preset: a row for each kind."""
    rng = np.random.default_rng(0)
    weights = [jnp.asarray(rng.normal(0, (2 / a) ** 0.5, (a, b))) for a, b in pairwise(SIZES)]
    hardware = xb.Hardware(wires=WIRES, device=xb.devices.preset(preset))
    net = xb.Network.from_weights(weights, hardware=hardware, calibration=x)
    size = -(-count // BLOCKS)
    keys = jax.random.split(jax.random.key(1), size * BLOCKS)
    first, wall, errors = {}, {kind: [] for kind in KINDS}, {}
    for kind, (_, function) in KINDS.items():  # compiles
        first[kind], found = timed(function, keys[:size], net, x)
        errors[kind] = error(kind, keys, net, found["first"], x)
    for block in range(BLOCKS):
        own = keys[block * size : (block + 1) * size]
        for kind in list(KINDS)[:: 1 if block % 2 else -1]:
            seconds, found = timed(KINDS[kind][1], own, net, x)
            if not bool(jnp.isfinite(found["mean"]).all()):
                raise RuntimeError(f"{preset}: a {kind} network without a result")
            wall[kind].append(seconds)
    ratio = float(np.median(np.array(wall["drawn"]) / np.array(wall["faulty"])))
    return [
        {
            "preset": preset,
            "kind": kind,
            "networks": size * BLOCKS,
            "images": len(x),
            "wall [s]": float(np.sum(wall[kind])),
            "compiling [s]": first[kind] - float(np.median(wall[kind])),
            "error": errors[kind],
            "ratio": ratio if kind == "drawn" else 1.0,
            "status": "ok" if errors[kind] <= BOUND else f"failed: error above {BOUND:g}",
        }
        | description()
        for kind in KINDS
    ]


def run(asked: argparse.Namespace) -> None:
    table = Table("cost", ("preset", "networks"), quick=asked.quick)
    x = jnp.asarray(load_digits().images, float)
    count = BLOCKS * -(-asked.count // BLOCKS)
    presets = PRESETS[:1] if asked.quick else PRESETS
    for preset in presets:
        if not table.has(preset=preset, networks=count):
            table.add(measured(preset, count, x))
    print("| device | networks | faulty | drawn | ratio, median of blocks | goal | error |")
    for preset in presets:
        plain, own = (
            row for row in table.rows if row["preset"] == preset and row["networks"] == count
        )
        verdict = "met" if own["ratio"] <= GOAL else "missed"
        print(
            f"| {preset} | {count:,} | {plain['wall [s]']:.1f} s | {own['wall [s]']:.1f} s "
            f"| {own['ratio']:.2f} | {GOAL:g}: {verdict} | {own['error']:.0e}, {own['status']} |"
        )
