"""Correctors: trained until they converge, by AdamW's fixed steps, and by scikit-learn.

    taskset -c 1 python -m benchmarks.correctors

72 faulty circuits of the digits network (8 networks of 64-50-20-8-10, nine defects each), 359
labelled images to train on, 360 others to test. Every contestant trains every circuit; processor
time per corrector, after one call that compiles. Then 10,000 correctors in one call, of the same
circuits again and again from other random weights, on all cores. Writes results/correctors.md.
"""

import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

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
from xbar.learn.corrector import L2, STEPS, accuracy, train_correctors
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
HIDDEN = {"linear": (), "10-8-10": (8,), "10-14-10": (14,), "10-143-10": (143,)}
MANY, ASKED = 10_000, {"linear": 10, "10-14-10": 25, "10-143-10": 240}  # seconds on two cores
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


def by_xbar(steps, hidden, v, y, keys):
    """Correctors, processor seconds of the first call and of the second; None converges."""

    def timed():
        begin = time.process_time()
        found = train_correctors(v[:, :TRAIN], y[:, :TRAIN], keys, hidden=hidden, steps=steps)
        return jax.block_until_ready(found), time.process_time() - begin

    _, first = timed()
    correctors, again = timed()
    return correctors, (first, again)


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


def compared(volts, labels):
    """Rows of the first table."""
    warnings.simplefilter("ignore", category=sklearn.exceptions.ConvergenceWarning)
    rows = []
    for name, hidden in HIDDEN.items():
        # Of the largest, which take a second each, every fourth circuit.
        chosen = slice(None, None, 4 if sum(hidden) > 100 else 1)
        v, y = jnp.asarray(volts[chosen]), jnp.asarray(labels[chosen])
        keys, base = jax.random.split(jax.random.key(3), len(volts))[chosen], None
        for method, steps in ((f"xbar, AdamW, {STEPS:,} steps", STEPS), ("xbar, L-BFGS", None)):
            correctors, (first, again) = by_xbar(steps, hidden, v, y, keys)
            score = np.asarray(accuracy(correctors(v[:, TRAIN:]), y[:, TRAIN:]))
            ended = correctors.converged
            ended = "" if ended is None else f"{int(ended.sum())} of {len(v)}"
            base = (again, score) if base is None else base
            rows.append(
                (name, method, again / len(v), score, f"{first - again:.1f} s", ended, base)
            )
        score, seconds = by_sklearn(hidden, volts[chosen], labels[chosen])
        peer = "LogisticRegression" if hidden == () else "MLPClassifier, lbfgs"
        rows.append((name, f"scikit-learn {peer}", seconds / len(v), score, "none", "", base))
    found = []
    for name, method, each, score, compiling, ended, (slow, reference) in rows:
        off, ratio = 100 * (score - reference), slow / len(score) / each
        error = off.std(ddof=1) / len(off) ** 0.5
        found.append(
            f"| {name} | {method} | {1e3 * each:.2f} | {ratio:.1f} | {score.mean():.2%} |"
            f" {off.mean():+.2f} ± {error:.2f} | {ended} | {compiling} |"
        )
    return found


def many(volts, labels):
    """Seconds of a first call for `MANY` correctors, on all devices, and how many converged."""
    which = np.arange(MANY) % len(volts)
    v, y = jnp.asarray(volts[which, :TRAIN]), jnp.asarray(labels[which, :TRAIN])
    keys, found = jax.random.split(jax.random.key(4), MANY), {}
    for name in ASKED:
        begin = time.perf_counter()
        correctors = jax.block_until_ready(train_correctors(v, y, keys, hidden=HIDDEN[name]))
        found[name] = time.perf_counter() - begin, int(correctors.converged.sum())
    return found


def main():
    jax.config.update("jax_enable_x64", True)
    if sys.argv[1:]:
        found = np.load(sys.argv[1])
        print(json.dumps(many(found["volts"], found["labels"])))
        return
    volts, labels = circuits()
    bare = np.asarray(accuracy(jnp.asarray(volts[:, TRAIN:]), jnp.asarray(labels[:, TRAIN:])))
    rows, where = compared(volts, labels), description()
    cores = os.cpu_count() or 1
    os.sched_setaffinity(0, range(cores))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "circuits.npz"
        np.savez(file, volts=volts, labels=labels)
        child = subprocess.run(
            [sys.executable, "-m", "benchmarks.correctors", str(file)],
            env=os.environ | {"JAX_NUM_CPU_DEVICES": str(cores)},
            check=True,
            stdout=subprocess.PIPE,
        )
    lines = [
        "# Correctors: time and held-out accuracy",
        "",
        f"{len(volts)} faulty circuits of the digits network ({bare.mean():.1%} uncorrected),",
        f"{TRAIN} samples to train on, {volts.shape[1] - TRAIN} to test (18 circuits for",
        "10-143-10); voltages in float64; processor time each after a first call, all trained",
        "in one call by xbar, one by one by scikit-learn. Difference: points against AdamW on the",
        "same circuits, mean and its standard error.",
        "",
        "| corrector | by | ms each | times as fast as AdamW | accuracy | difference | converged |"
        " compiling |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
        *rows,
        "",
        f"{MANY:,} of them in one call by L-BFGS, on {cores} cores; the clock, compiling included:",
        "",
        "| corrector | s | asked | converged |",
        "|---|--:|--:|--:|",
    ]
    for name, (seconds, ended) in json.loads(child.stdout).items():
        lines.append(f"| {name} | {seconds:.1f} | {ASKED[name]} | {ended:,} |")
    lines += ["", ", ".join(f"{key}: {value}" for key, value in where.items()), ""]
    lines += ["Again: `taskset -c 1 python -m benchmarks.correctors`", ""]
    OUT.write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
