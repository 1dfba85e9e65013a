"""Exact what-if against solving anew: times, errors, and the digits network's maps.

    python -m benchmarks.sensitivity.what_if [--quick]

On one array of 65x100 (10 kOhm to 1 MOhm, 1 Ohm wires): sets of 1, 8, 64 and 400 random cells, each
stuck-on or stuck-off, by the low-rank update and by a new transfer matrix. On a 64-50-20-8-10
network trained on the digits: the gradient of the base images' loss in forward solves, and every
single stuck cell on the test images. Writes results/what_if.csv and .md; --quick writes nothing.
"""

import argparse
import csv
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import xbar as xb
from benchmarks.speed.machine import description
from xbar import sensitivity as sens
from xbar.data.digits import load_digits, split
from xbar.mlp import MLP, fit

RESULTS = Path(__file__).parents[1] / "results"
ROWS, COLS = 65, 100
SIZES = (64, 50, 20, 8, 10)
CELLS = (1, 8, 64, 400)
PRECISIONS = {"float64": jnp.float64, "float32": jnp.float32}


def median(call, repeats: int) -> float:
    """Seconds of a warm call."""
    jax.block_until_ready(call())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def row(what: str, precision: str, seconds: float, per: str, error: float, beside: float) -> dict:
    """One result; `beside` is the time of what it is compared with, for the same work."""
    times = {"seconds": seconds, "per": per, "error": error, "beside_s": beside}
    return {"what": what, "precision": precision, **times, "gain": beside / seconds}


def random_sets(g: np.ndarray, k: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(k)
    flat = np.stack([rng.permutation(g.size)[:k] for _ in range(count)])
    cells = np.stack(np.unravel_index(flat, g.shape), axis=-1)
    return cells, np.where(rng.random((count, k)) < 0.5, 1e-4, 1e-6)


def sets(precision: str, repeats: int, count: int) -> list[dict]:
    """Sets of cells on one array, per set; the error against transfer matrices in float64."""
    rng = np.random.default_rng(0)
    g = np.exp(rng.uniform(np.log(1e-6), np.log(1e-4), (ROWS, COLS)))
    exact = xb.Crossbar(g, xb.Wires(1.0, 1.0))
    array = jax.tree.map(lambda x: x.astype(PRECISIONS[precision]), exact)
    response, known = sens.response(array), sens.coupling(array)

    @jax.jit
    def anew(array: xb.Crossbar, changed: jax.Array) -> jax.Array:
        return lax.map(lambda g: xb.transfer(xb.Crossbar(g, array.wires)), changed)

    found = []
    for k in CELLS:
        cells, g_new = random_sets(g, k, count)
        changed = np.repeat(g[None], count, 0)
        np.put_along_axis(
            changed.reshape(count, -1), cells[..., 0] * COLS + cells[..., 1], g_new, axis=1
        )
        arrays = jnp.asarray(changed, array.g.dtype)
        updated = median(partial(sens.changed_transfers, response, known, cells, g_new), repeats)
        solved = median(partial(anew, array, arrays), repeats)
        expected = anew(exact, jnp.asarray(changed))
        t = sens.changed_transfers(response, known, cells, g_new)
        error = float(jnp.max(jnp.abs(t - expected)) / jnp.max(jnp.abs(expected)))
        what = f"{k} changed cells of {ROWS}x{COLS}: update"
        found.append(row(what, precision, updated / count, "set", error, solved / count))
    once = {"all answers (response)": sens.response, "coupling of all cells": sens.coupling}
    for name, function in once.items():
        seconds = median(lambda f=function: f(array), repeats)
        found.append(row(f"{name} of {ROWS}x{COLS}", precision, seconds, "array", np.nan, np.nan))
    return found


def digits() -> tuple[xb.Network, dict[str, tuple[jax.Array, jax.Array]]]:
    data = load_digits()
    parts = split(data.labels, jax.random.key(0))
    x = data.images / 16
    model = MLP.init(jax.random.key(1), SIZES)
    model = fit(model, x[parts.base], data.labels[parts.base], key=jax.random.key(2))
    net = xb.Network.from_weights(
        model.weights, model.biases, wires=xb.Wires(1.0, 1.0), calibration=x[parts.base]
    )
    return net, {n: (x[p], data.labels[p]) for n, p in vars(parts).items()}


def network(precision: str, repeats: int) -> list[dict]:
    """Gradient and single-fault maps of the digits network."""
    net, parts = digits()
    exact_grad = sens.gradients(net, *parts["base"])
    exact_maps = maps_of(sens.baseline(net, *parts["test"]))
    net = jax.tree.map(lambda x: x.astype(PRECISIONS[precision]), net)
    forward = jax.jit(lambda net, x: net(x))
    found = []
    solve = median(lambda: forward(net, parts["base"][0]), 3 * repeats)
    gradient = median(lambda: sens.gradients(net, *parts["base"]), 3 * repeats)
    ours = sens.gradients(net, *parts["base"])
    error = max(
        float(jnp.max(jnp.abs(a.g - b.g)) / jnp.max(jnp.abs(b.g)))
        for a, b in zip(ours.layers, exact_grad.layers, strict=True)
    )
    n = len(parts["base"][0])
    what = f"gradient over every element, {n} images; beside: net(x)"
    found.append(row(what, precision, gradient, "data set", error, solve))
    base = median(lambda: sens.baseline(net, *parts["test"]), repeats)
    found.append(row("baseline of four layers", precision, base, "network", np.nan, np.nan))
    start = sens.baseline(net, *parts["test"])
    seconds = median(lambda: maps_of(start), repeats)
    maps = maps_of(start)
    error = max(
        float(jnp.max(jnp.abs(a.loss - b.loss)) / jnp.max(b.loss))
        for a, b in zip(maps, exact_maps, strict=True)
    )
    faults = sum(m.loss.size for m in maps)
    solves = faults * median(lambda: forward(net, parts["test"][0]), repeats)
    what = f"all {faults} single stuck cells, {len(parts['test'][0])} images; beside: net(x) each"
    found.append(row(what, precision, seconds, "all", error, solves))
    return found


def maps_of(base: sens.Baseline) -> list[sens.FaultMap]:
    layers = range(len(base.stages))
    return [sens.cell_faults(base, layer, how) for layer in layers for how in ("on", "off")]


def brute() -> float:
    """Largest error of the output voltages of random single faults, against solving anew [V/V]."""
    net, parts = digits()
    x, labels = parts["test"]
    base, forward = sens.baseline(net, x, labels), jax.jit(lambda net, x: net(x))
    rng, worst = np.random.default_rng(0), 0.0
    for layer, stage in enumerate(base.stages):
        g = np.asarray(stage.response.g)
        cells = np.stack(np.unravel_index(rng.permutation(g.size)[:5], g.shape), -1)
        for how in ("on", "off"):
            ours = sens.fault_voltages(base, layer, cells, how)
            values = sens.stuck_values(base, layer, how)[cells[:, 0], cells[:, 1]]
            for k, cell in enumerate(cells):
                anew = forward(sens.with_cells(net, layer, cell[None], values[k]), x)
                off = jnp.max(jnp.abs(ours[k] - anew)) / jnp.max(jnp.abs(anew))
                worst = max(worst, float(off))
    return worst


def table(rows: list[dict], worst: float) -> str:
    where = description()
    lines = [
        "# Exact what-if",
        "",
        __doc__.partition("\n\n")[0],
        "",
        f"Written by `python -m benchmarks.sensitivity.what_if` at commit {where['commit']}: "
        f"{where['machine']}, {where['cores']} cores, load {where['load']}; Python "
        f"{where['python']}, jax {where['jax']}. Warm medians. Error: largest, relative to the "
        f"largest value, against float64 solved anew (gradients, maps: against float64). Output "
        f"voltages of 40 random single faults against `net(x)` of the faulty network: {worst:.0e} "
        "of the largest.",
        "",
        "| | precision | time | per | error | beside | gain |",
        "|---|---|---:|---|---:|---:|---:|",
    ]
    for r in rows:
        error, beside, gain = (
            "" if np.isnan(r[n]) else format(r[n] * scale, form)
            for n, scale, form in (
                ("error", 1, ".0e"),
                ("beside_s", 1e3, ".4g"),
                ("gain", 1, ".3g"),
            )
        )
        beside = beside and f"{beside} ms"
        time_ms = f"{1e3 * r['seconds']:.3g} ms"
        values = (r["what"], r["precision"], time_ms, r["per"], error, beside, gain)
        lines.append(f"| {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small, and writes nothing")
    quick = parser.parse_args().quick
    jax.config.update("jax_enable_x64", True)
    repeats, count = (2, 4) if quick else (5, 25)
    rows = []
    for precision in PRECISIONS:
        rows += sets(precision, repeats, count) + network(precision, repeats)
    text = table(rows, brute())
    print(text)
    if not quick:
        with (RESULTS / "what_if.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, [*rows[0], *description()])
            writer.writeheader()
            writer.writerows(r | description() for r in rows)
        (RESULTS / "what_if.md").write_text(text)


if __name__ == "__main__":
    main()
