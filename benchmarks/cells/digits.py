"""What bent cells do to the digits network: accuracy and corrector against v_0.

    python -m benchmarks.cells.digits [--seeds 10]

Writes benchmarks/results/cells_digits.csv and docs/figures/cells_digits.png.
"""

import argparse
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

import xbar as xb
from xbar import cells
from xbar.io import load_digits
from xbar.learn.mlp import MLP, accuracy, fit_many
from xbar.nn import forward
from xbar.nn.network import behind
from xbar.plots.style import COLOURS, new_figure, plain, save

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "benchmarks" / "results" / "cells_digits.csv"
FIGURE = ROOT / "docs" / "figures" / "cells_digits.png"
SIZES = (64, 50, 20, 8, 10)
V_0 = (np.inf, 0.5, 0.25, 0.1, 0.05)
LINEAR = 1e3  # volts: a cell that bends by 1e-8 of its current at 0.2 V
WIRES = 1.0  # ohm per segment
COVERAGE = 0.2  # of the last layer, a circle of pairs stuck-on
CORRECTOR = (14,)


def split(labels, seeds):
    """Images of each seed that train the network, train correctors, and test."""
    orders = [np.random.default_rng(seed).permutation(len(labels)) for seed in range(seeds)]
    first, second = int(0.6 * len(labels)), int(0.8 * len(labels))
    return [(o[:first], o[first:second], o[second:]) for o in orders]


def trained(seeds):
    """Images, labels, parts of each seed as `split` has them, and the seeds' networks, stacked."""
    data = load_digits()
    x = np.asarray(data.images, float)
    x = x / np.sqrt(np.mean(x**2))
    labels = np.asarray(data.labels)
    parts = split(labels, seeds)
    keys = jax.random.split(jax.random.key(0), seeds)
    models = eqx.filter_vmap(lambda key: MLP.init(key, SIZES, dtype=float))(keys)
    base = np.stack([part[0] for part in parts])
    models = fit_many(models, jnp.asarray(x[base]), jnp.asarray(labels[base]), keys=keys)
    return x, labels, parts, models


@eqx.filter_jit
def voltages(model, v_0, hit, base, x):
    """Output voltages of the healthy and the broken circuit, each array solved for each image."""
    hardware = xb.Hardware(wires=xb.Wires(WIRES, WIRES), cells=cells.SinhCells(v_0))
    net = xb.Network.from_weights(model.weights, model.biases, hardware=hardware, calibration=base)
    broken = net.with_fault(3, hit, xb.StuckPair("on"))
    arrays = [layer.circuit().answers() for layer in net.layers]
    v = forward(net.layers[:3], arrays[:3], net.input_volts(x))[-1].v_out
    healthy = behind(net.layers[3:], arrays[3:], v)
    return healthy, behind(broken.layers[3:], [broken.layers[3].circuit().answers()], v)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    jax.config.update("jax_enable_x64", True)
    x, labels, parts, models = trained(seeds)
    volts, start = {}, time.perf_counter()
    for seed, (first, second, test) in enumerate(parts):
        model = jax.tree.map(lambda leaf, seed=seed: leaf[seed], models)
        hit = xb.random_mask("circle", jax.random.key(seed), COVERAGE).mask((9, 10))
        seen = jnp.asarray(x[np.concatenate([second, test])])
        for v_0 in V_0:
            found = voltages(model, jnp.asarray(min(v_0, LINEAR)), hit, jnp.asarray(x[first]), seen)
            volts[seed, v_0, "healthy"], volts[seed, v_0, "defective"] = map(np.asarray, found)
        print(f"seed {seed}: {time.perf_counter() - start:.0f} s", flush=True)
    rows = judged(volts, labels, parts)
    TABLE.parent.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(TABLE, index=False)
    draw(rows)
    show(rows)


def judged(volts, labels, parts):
    """Accuracies on the test part, raw and behind a corrector trained on those voltages."""
    names = list(volts)
    count = len(parts[0][1])
    training = jnp.asarray(np.stack([volts[name][:count] for name in names]))
    own = jnp.asarray(np.stack([labels[parts[name[0]][1]] for name in names]))
    keys = jax.random.split(jax.random.key(1), len(names))
    correctors = xb.train_correctors(training, own, keys, hidden=CORRECTOR, batch_size=64)
    rest = jnp.asarray(np.stack([volts[name][count:] for name in names]))
    truth = jnp.asarray(np.stack([labels[parts[name[0]][2]] for name in names]))
    raw, corrected = accuracy(rest, truth), accuracy(correctors(rest), truth)
    return [
        {
            "seed": seed,
            "v_0 [V]": v_0,
            "circuit": circuit,
            "accuracy": float(raw[k]),
            "corrected": float(corrected[k]),
        }
        for k, (seed, v_0, circuit) in enumerate(names)
    ]


def means(rows, circuit, column):
    """Mean over seeds for each v_0, and the standard error of it."""
    found = [
        [row[column] for row in rows if row["circuit"] == circuit and row["v_0 [V]"] == v_0]
        for v_0 in V_0
    ]
    spread = np.std(found, axis=1, ddof=1 if len(found[0]) > 1 else 0)
    return np.mean(found, axis=1), spread / np.sqrt(len(found[0]))


LINES = {
    ("healthy", "accuracy"): ("healthy", COLOURS["healthy"], "-"),
    ("healthy", "corrected"): ("healthy, corrected", COLOURS["healthy"], "--"),
    ("defective", "accuracy"): ("defective", COLOURS["defective"], "-"),
    ("defective", "corrected"): ("defective, corrected", COLOURS["corrected"], "--"),
}


def draw(rows):
    figure = new_figure(3.2)
    axes = figure.add_subplot()
    for key, (label, colour, line) in LINES.items():
        mean, error = means(rows, *key)
        axes.errorbar(range(len(V_0)), 100 * mean, 100 * error, color=colour, ls=line, label=label)
    axes.set_xticks(range(len(V_0)), ["∞ (ohmic)", *(f"{v:g}" for v in V_0[1:])])
    axes.set_xlabel("v_0 of the cells [V]; read at 0.2 V")
    axes.set_ylabel("accuracy [%]")
    axes.legend(frameon=False)
    plain(axes)
    FIGURE.parent.mkdir(exist_ok=True)
    save(figure, FIGURE)


def show(rows):
    print("| v_0 [V] | " + " | ".join(label for label, *_ in LINES.values()) + " |")
    columns = [means(rows, *key) for key in LINES]
    for k, v_0 in enumerate(V_0):
        shown = [f"{100 * mean[k]:.1f} ± {100 * error[k]:.1f}" for mean, error in columns]
        print(f"| {'∞' if v_0 == np.inf else f'{v_0:g}'} | " + " | ".join(shown) + " |")


if __name__ == "__main__":
    main()
