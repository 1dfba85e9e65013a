"""(h) Thousands of four-layer networks, all arrays defective and different, x the digits."""

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.client import FailedError, Process, cores
from benchmarks.speed.contest import environment_of
from benchmarks.speed.reference import cell_voltages, relative
from benchmarks.speed.rows import Row, save, seconds_text

SIZES = (64, 50, 20, 8, 10)
COUNT, COUNT_QUICK = 10_000, 200
CHECKED, IMAGES_CHECKED = 3, 4
BOUNDS = {"float64": 1e-9, "float32": 1e-4}
LIMIT_S = 3600.0
TITLE = "Defective networks"
TEXT = f"""\
{{count:,}} networks {"-".join(map(str, SIZES))} on four arrays each (65x100, 51x40, 21x16, 9x20;
10 kOhm to 1 MOhm, 1 Ohm wires). A circle of radius 0.2 at a random place of every array is stuck,
each pair at a value of its own, so that no two arrays are alike. All output voltages of the 1,797
digits are computed, and averaged over the images. Wall time of the whole, compilation included;
memory is the peak of the process, everything included. Error: output voltages of {CHECKED} networks
and {IMAGES_CHECKED} images, relative to the largest, after differences of currents and activations
in every layer."""


def measure(count: int, precision: str, folder: str) -> dict[str, Any]:
    """Runs in xbar's process; leaves what the check needs in `folder`."""
    import time

    import jax
    import jax.numpy as jnp

    import xbar as xb
    from benchmarks.peers import by_xbar
    from xbar.io import load_digits

    dtype = jnp.dtype(precision)
    images = jnp.asarray(load_digits().images, dtype)
    rng = np.random.default_rng(0)
    weights = [
        jnp.asarray(rng.normal(0, (2 / a) ** 0.5, (a, b)), dtype) for a, b in pairwise(SIZES)
    ]
    healthy = xb.Network.from_weights(weights, wires=xb.Wires(1.0, 1.0), calibration=images)

    def broken(key: jax.Array) -> xb.Network:
        net = healthy
        for layer, own in enumerate(jax.random.split(key, len(weights))):
            place, values = jax.random.split(own)
            mask = xb.random_mask("circle", place)
            net = net.with_fault(layer, mask, xb.StuckPair("uniform"), values)
        return net

    def one(key: jax.Array) -> dict[str, jax.Array]:
        volts = broken(key)(images)
        return {"mean": jnp.mean(volts, axis=0), "first": volts[:IMAGES_CHECKED]}

    keys = jax.random.split(jax.random.key(1), count)
    start = time.perf_counter()
    executable, compile_s = by_xbar.compiled(by_xbar.over_all(one), keys)
    found = jax.block_until_ready(executable(keys))
    wall_s = time.perf_counter() - start
    layers = [broken(key).layers for key in keys[:CHECKED]]
    kept = {f"g{n}_{k}": layer.pairs.interleave()
            for n, net in enumerate(layers) for k, layer in enumerate(net)}  # fmt: skip
    kept |= {f"r_f{k}": layer.readout.r_f for k, layer in enumerate(healthy.layers)}
    path = Path(folder) / "networks.npz"
    v_in = healthy.k_in * images[:IMAGES_CHECKED]
    bias = healthy.layers[0].v_bias
    np.savez(path, **kept, v_in=v_in, v_bias=bias, found=found["first"][:CHECKED])
    bad = int(jnp.sum(~jnp.isfinite(found["mean"]).all(axis=-1)))
    return {"wall_s": wall_s, "compile_s": compile_s, "bad": bad, "images": len(images)}


def expected(file: Any, n: int) -> np.ndarray:
    """Output voltages of network n, layer by layer in extended precision."""
    v = file["v_in"].astype(np.longdouble)
    layers = len(SIZES) - 1
    for k in range(layers):
        g = file[f"g{n}_{k}"].astype(float)
        rows = np.concatenate([v, np.full((len(v), 1), file["v_bias"])], axis=1)
        e = np.broadcast_to(rows[:, :, None], (len(v), *g.shape))
        i_out = np.sum(g * cell_voltages(g, 1.0, 1.0, e), axis=1)
        v = file[f"r_f{k}"] * (i_out[:, 0::2] - i_out[:, 1::2])
        v = np.maximum(v, 0) if k < layers - 1 else v
    return v


def run(quick: bool) -> None:
    count, rows = COUNT_QUICK if quick else COUNT, []
    for precision in ("float64", "float32"):
        row = Row("h", f"{count:,} networks", "outputs", "xbar", precision, batch=count)
        row.bound, row.threads = BOUNDS[precision], len(cores())
        try:
            _fill(row, count, precision)
        except FailedError as failure:
            row.status = f"failed: {failure}"
        rows.append(row.judge())
    save("networks", TITLE, TEXT.format(count=count), rows, _table(rows, count), quick=quick)


def _fill(row: Row, count: int, precision: str) -> None:
    environment = environment_of(precision, len(cores()))
    with tempfile.TemporaryDirectory(prefix="xbar-bench-") as folder:
        with Process("xbar", cores(), environment) as process:
            args = {"count": count, "precision": precision, "folder": folder}
            answer = process.ask(
                LIMIT_S, do="measure", module="networks", function="measure", args=args
            )
        with np.load(Path(folder) / "networks.npz") as file:
            found = file["found"].astype(np.longdouble)
            row.error = max(relative(found[n], expected(file, n)) for n in range(CHECKED))
    if answer["bad"]:
        row.status = f"failed: {answer['bad']} networks without a result"
    row.calls, row.compile_s, row.memory_mb = 1, answer["compile_s"], answer["peak_mb"]
    row.seconds = answer["wall_s"] / count
    row.options = "batch_map"


def _table(rows: list[Row], count: int) -> str:
    lines = [
        "| precision | wall time | of it compiling | peak memory | error | status |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        wall = seconds_text(row.seconds * count) if row.fine else ""
        lines.append(
            f"| {row.precision} | {wall} | {seconds_text(row.compile_s)} "
            f"| {row.memory_mb / 1024:.2f} GiB | {row.error:.0e} | {row.status} |"
        )
        if row.fine and count != COUNT:
            each = row.seconds - row.compile_s / count
            whole = seconds_text(row.compile_s + each * COUNT)
            lines.append(f"| {row.precision} | {whole}, *extrapolated to {COUNT:,}* | | | | |")
    return "\n".join(lines) + "\n"
