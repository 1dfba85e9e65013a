"""Correctors: AdamW's fixed steps, L-BFGS to convergence, and scikit-learn, on the same circuits.

    taskset -c 1 python -m benchmarks.correctors

72 faulty circuits of the digits network (8 networks of 64-50-20-8-10, nine defects each), 359
labelled images to train on, 360 others to test. Every contestant trains every circuit; processor
time per corrector, after one call that compiles. Writes results/correctors.md.
"""

import time
import warnings
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

import xbar as xb
from benchmarks.speed.machine import description
from xbar.io import load_digits
from xbar.learn.converged import L2, converged_correctors
from xbar.learn.corrector import accuracy, train_correctors
from xbar.learn.mlp import MLP, fit_many

SIZES, SEEDS, BASE, TRAIN = (64, 50, 20, 8, 10), 8, 1078, 359
# Shape, stuck value, layer, share of the layer's pairs.
DEFECTS = (
    ("circle", "on", 3, 0.35),
    ("circle", "on", 0, 0.2),
    ("circle", "on", 1, 0.2),
    ("circle", "on", 2, 0.2),
    ("circle", "off", 0, 0.3),
    ("circle", "off", 1, 0.4),
    ("ring", "on", 2, 0.2),
    ("row", "on", 1, 0.2),
    ("column", "off", 2, 0.3),
)
HIDDEN = {"linear": (), "10-8-10": (8,), "10-143-10": (143,)}
OUT = Path(__file__).parents[1] / "results" / "correctors.md"


def circuits():
    """Output voltages (72, 719, 10) and labels of images that trained no network."""
    data, rng = load_digits(), np.random.default_rng(0)
    orders = np.stack([rng.permutation(len(data.images)) for _ in range(SEEDS)])
    x, y = np.asarray(data.images)[orders], np.asarray(data.labels)[orders]
    start = eqx.filter_vmap(lambda key: MLP.init(key, SIZES))(
        jax.random.split(jax.random.key(0), SEEDS)
    )
    keys = jax.random.split(jax.random.key(1), SEEDS)
    models = fit_many(start, jnp.asarray(x[:, :BASE]), jnp.asarray(y[:, :BASE]), keys=keys)
    volts, labels = [], []
    for seed in range(SEEDS):
        weights, biases = ([p[seed] for p in leaves] for leaves in (models.weights, models.biases))
        healthy = xb.Network.from_weights(
            weights, biases, wires=xb.Wires(1.0, 1.0), calibration=x[seed, :BASE]
        )
        for number, (shape, stuck, layer, share) in enumerate(DEFECTS):
            mask = xb.random_mask(shape, jax.random.key(100 * seed + number), share)
            broken = healthy.with_fault(layer, mask, xb.StuckPair(stuck))
            volts.append(np.asarray(broken(x[seed, BASE:])))
            labels.append(y[seed, BASE:])
    return np.stack(volts), np.stack(labels)


def by_xbar(train, hidden, v, y, keys):
    """Held-out logits, processor seconds of the first call and of the second."""
    times = []
    for _ in range(2):
        begin = time.process_time()
        correctors = jax.block_until_ready(train(v[:, :TRAIN], y[:, :TRAIN], keys, hidden))
        times.append(time.process_time() - begin)
    return np.asarray(correctors(v[:, TRAIN:])), times


def adamw(v, y, keys, hidden):
    return train_correctors(v, y, keys, hidden=hidden)


def lbfgs(v, y, keys, hidden):
    return converged_correctors(v, y, keys, hidden=hidden).correctors


def by_sklearn(hidden, v, y):
    """Held-out accuracy and processor seconds of scikit-learn on the same normalised voltages."""
    mean, std = v[:, :TRAIN].mean(1, keepdims=True), v[:, :TRAIN].std(1, keepdims=True)
    z, right = (v - mean) / np.where(std > 0, std, 1), []
    begin = time.process_time()
    for k in range(len(z)):
        if hidden == ():
            model = LogisticRegression(C=1 / (L2 * TRAIN), max_iter=1000)
        else:
            # alpha as our l2: scikit-learn divides half of it by the samples, too
            model = MLPClassifier(hidden, alpha=L2 * TRAIN, solver="lbfgs", max_iter=1000)
        model.fit(z[k, :TRAIN], y[k, :TRAIN])
        right.append(np.mean(model.predict(z[k, TRAIN:]) == y[k, TRAIN:]))
    return np.array(right), time.process_time() - begin


def main():
    jax.config.update("jax_enable_x64", True)
    warnings.simplefilter("ignore", category=sklearn.exceptions.ConvergenceWarning)
    volts, labels = circuits()
    count, rows = len(volts), []
    v, y = jnp.asarray(volts), jnp.asarray(labels)
    keys = jax.random.split(jax.random.key(3), count)
    bare = np.asarray(accuracy(v[:, TRAIN:], y[:, TRAIN:])).mean()
    everything = volts, labels, v, y, keys
    for name, hidden in HIDDEN.items():
        # Of the largest, which take a second each, every fourth circuit.
        volts, labels, v, y, keys = (x[:: 4 if sum(hidden) > 100 else 1] for x in everything)
        base, count = None, len(volts)
        for method, train in (("xbar, AdamW, 1,500 steps", adamw), ("xbar, L-BFGS", lbfgs)):
            logits, (first, again) = by_xbar(train, hidden, v, y, keys)
            score = np.asarray(accuracy(jnp.asarray(logits), y[:, TRAIN:]))
            base = again if base is None else base
            compiling = f"{first - again:.1f} s"
            rows.append((name, method, again / count, base / again, score, compiling))
        score, seconds = by_sklearn(hidden, volts, labels)
        peer = "LogisticRegression" if hidden == () else "MLPClassifier, lbfgs"
        rows.append((name, f"scikit-learn {peer}", seconds / count, base / seconds, score, "none"))
    reference = {name: score for name, method, *_, score, _ in rows if "AdamW" in method}
    lines = [
        "# Correctors: time and held-out accuracy",
        "",
        f"{len(everything[0])} faulty circuits of the digits network ({bare:.1%} uncorrected),",
        f"{TRAIN} samples to train on, {volts.shape[1] - TRAIN} to test (18 circuits for",
        "10-143-10); float64; processor time each after a first call, all trained in one call by",
        "xbar, one by one by scikit-learn. Difference: points against AdamW on the same circuits,",
        "mean and its standard error.",
        "",
        "| corrector | by | ms each | times as fast as AdamW | accuracy | difference | compiling |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for name, method, each, ratio, score, compiling in rows:
        off = 100 * (score - reference[name])
        lines.append(
            f"| {name} | {method} | {1e3 * each:.2f} | {ratio:.1f} | {score.mean():.2%} |"
            f" {off.mean():+.2f} ± {off.std(ddof=1) / len(off) ** 0.5:.2f} | {compiling} |"
        )
    where = description()
    lines += ["", ", ".join(f"{key}: {value}" for key, value in where.items()), ""]
    lines += ["Again: `taskset -c 1 python -m benchmarks.correctors`", ""]
    OUT.write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
