"""The same circuits in ngspice and in xbar, one run: benchmarks/spice_speed.csv and .md.

    taskset -c 1 python benchmarks/spice_speed.py

One operating point of arrays up to 65x100; 1,797 digits through one defective 64-50-20-8-10
network, where ngspice is measured on a few images and extrapolated. Run it on one core, so that
both have the same; ngspice 39 uses one anyway.
"""

import csv
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import xbar as xb  # noqa: E402
from benchmarks.speed.machine import processor  # noqa: E402
from xbar import spice  # noqa: E402
from xbar.devices import StuckPair, random_mask  # noqa: E402
from xbar.io import load_digits  # noqa: E402
from xbar.nn import Network  # noqa: E402

jax.config.update("jax_enable_x64", True)
SIZES = ((16, 16), (32, 32), (64, 64), (65, 100))
REPEATS = 50
# Another 65x100 netlist's operating point, measured earlier on a machine of the same kind.
QUIET_S, KLU_S = 5.0, 0.21  # ngspice 39 at its fastest; ngspice 44 with KLU, parsing included
NGSPICE_RUNS = 2
MEASURED_IMAGES = 2


def seconds(call: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Median time of a call that has been compiled, [s]."""
    jax.block_until_ready(call())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def array_row(rows: int, cols: int) -> dict[str, Any]:
    rng = np.random.default_rng(rows * 1000 + cols)
    g = np.exp(rng.uniform(np.log(1e-6), np.log(1e-4), (rows, cols)))
    stuck = rng.random(g.shape)
    g[stuck < 0.02], g[stuck > 0.91] = 1e-4, 1e-6
    array = xb.Crossbar(g, xb.Wires(word_line=1.0, bit_line=1.0))
    v_in = np.full(rows, 0.2)
    text = spice.array_netlist(array, v_in)
    runs = []
    for _ in range(NGSPICE_RUNS):
        start = time.perf_counter()
        readings = spice.run_netlist(text)
        runs.append((time.perf_counter() - start, readings))
    # Its fastest run: other work on the machine slows its ordering more than anything of xbar's.
    process_s, readings = min(runs, key=lambda run: run[0])
    theirs = np.array([readings.points[0][f"i:vout_{j}"] for j in range(cols)])
    start = time.perf_counter()
    ours = jax.block_until_ready(xb.solve(array, v_in).i_out)
    first_s = time.perf_counter() - start
    drive = jax.numpy.asarray(v_in)
    solve_s = seconds(lambda: xb.solve(array, drive).i_out)
    # As inside a larger computation: compiled, without the checks of the Python call.
    compiled = jax.jit(lambda g, v: xb.solve(xb.Crossbar(g, array.wires), v).i_out)
    jit_s = seconds(lambda: compiled(array.g, drive))
    spent = readings.seconds
    return {
        "circuit": f"{rows}x{cols}",
        "ngspice_process_s": process_s,
        "ngspice_parse_s": sum(v for k, v in spent.items() if "pars" in k or "loading" in k),
        "ngspice_expand_s": spent.get("subckt and param expansion", 0.0),
        "ngspice_analysis_s": spent["total analysis"],
        "ngspice_reorder_s": spent["matrix reorder"],
        "ngspice_factor_s": spent["matrix factor"],
        "ngspice_solve_s": spent["matrix solve"],
        "xbar_first_call_s": first_s,
        "xbar_call_s": solve_s,
        "xbar_jit_s": jit_s,
        "error": float(np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs))),
        "ratio_analysis_to_call": spent["total analysis"] / solve_s,
        "ratio_analysis_to_jit": spent["total analysis"] / jit_s,
        "ratio_process_to_call": process_s / solve_s,
    }


def network_row() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    sizes, images = (64, 50, 20, 8, 10), load_digits().images
    weights = [rng.normal(0, (2 / a) ** 0.5, (a, b)) for a, b in pairwise(sizes)]
    healthy = Network.from_weights(
        weights, wires=xb.Wires(1.0, 1.0), calibration=images, open_loop_gain=1e4
    )
    mask = random_mask("circle", jax.random.key(2), 0.35)
    network = healthy.with_fault(3, mask, StuckPair("on"))
    start = time.perf_counter()
    theirs = spice.run_network(network, images[:MEASURED_IMAGES])
    process_s = time.perf_counter() - start
    inputs = jax.numpy.asarray(images)
    call_s = seconds(lambda: network(inputs), 5)
    ours = network.layer_voltages(images[:MEASURED_IMAGES])
    errors = [
        float(np.max(np.abs(a - b.v_out)) / np.max(np.abs(b.v_out)))
        for a, b in zip(ours, theirs, strict=True)
    ]
    all_s = process_s / MEASURED_IMAGES * len(images)
    return {
        "images": len(images),
        "ngspice_measured_images": MEASURED_IMAGES,
        "ngspice_measured_s": process_s,
        "ngspice_extrapolated_s": all_s,
        "xbar_s": call_s,
        "error": max(errors),
        "ratio": all_s / call_s,
    }


def line(r: dict[str, Any]) -> str:
    return (
        f"| {r['circuit']} | {r['ngspice_parse_s'] + r['ngspice_expand_s']:.2f} s "
        f"| {r['ngspice_reorder_s']:.2f} s | {r['ngspice_factor_s']:.2f} s "
        f"| {r['ngspice_solve_s']:.3f} s | {r['ngspice_analysis_s']:.2f} s "
        f"| {r['ngspice_process_s']:.2f} s | {r['xbar_first_call_s']:.1f} s "
        f"| {1e3 * r['xbar_call_s']:.2f} ms | {1e3 * r['xbar_jit_s']:.2f} ms "
        f"| {r['error']:.0e} | {r['ratio_analysis_to_call']:,.0f}x "
        f"| {r['ratio_analysis_to_jit']:,.0f}x |"
    )


def report(arrays: list[dict[str, Any]], network: dict[str, Any]) -> str:
    load = os.getloadavg()[0]
    head = [
        "# ngspice and xbar on the same circuits",
        "",
        f"Written by `benchmarks/spice_speed.py`: {processor()}, {len(os.sched_getaffinity(0))} of "
        f"{os.cpu_count()} cores, load {load:.1f} at the end",
        "(a higher load slows ngspice's ordering most and flatters the ratios; another figure for",
        "ngspice is below the table). float64; Python "
        f"{platform.python_version()}, xbar {version('xbar')},",
        f"jax {version('jax')}, ngspice {spice.find_ngspice().version}. xbar: medians of {REPEATS}"
        " compiled calls that find all voltages and",
        "currents; error: largest difference of an output current, relative to the largest.",
        "",
        "| array | ngspice: parse | ordering | factor | solve | analysis | whole process "
        "| xbar: first call | call | in jit | error | analysis / call | analysis / in jit |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    last = arrays[-1]
    n = network
    return "\n".join(
        [
            *head,
            *map(line, arrays),
            "",
            "`parse` is reading, expanding and parsing the netlist; `first call` includes XLA's",
            "compilation, from its cache where there is one; ngspice: the faster of "
            f"{NGSPICE_RUNS} runs. Nearly",
            "all of its time is the ordering of its sparse matrix (Sparse 1.3, done anew for every",
            "`op`). Not measured in this run: another netlist of this size took ngspice 39 "
            f"{QUIET_S:g} s for",
            f"65x100, {QUIET_S / last['xbar_jit_s']:,.0f}x of xbar's time in jit here; a build "
            f"with KLU (ngspice 44) took {KLU_S} s,",
            f"which leaves {KLU_S / last['xbar_call_s']:,.0f}x per call and "
            f"{KLU_S / last['xbar_jit_s']:,.0f}x in jit.",
            "",
            f"**{n['images']:,} digits through one defective 64-50-20-8-10 network** (gain "
            "10,000, a circle stuck on): xbar",
            f"{n['xbar_s']:.3f} s; ngspice {n['ngspice_measured_s']:.0f} s for "
            f"{n['ngspice_measured_images']} of them, *extrapolated* to "
            f"{n['ngspice_extrapolated_s'] / 3600:.1f} h for all: {n['ratio']:,.0f}x, error "
            f"{n['error']:.0e}.",
            "xbar solves each array once for all images; ngspice solves the circuit for each.",
            "",
        ]
    )


def main() -> int:
    spice.find_ngspice()
    arrays = []
    for rows, cols in SIZES:
        arrays.append(array_row(rows, cols))
        print(arrays[-1], flush=True)
    network = network_row()
    print(network, flush=True)
    with (HERE / "spice_speed.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["circuit", "quantity", "value"])
        for row in arrays:
            writer.writerows([row["circuit"], k, v] for k, v in row.items() if k != "circuit")
        writer.writerows(["network", k, v] for k, v in network.items())
    (HERE / "spice_speed.md").write_text(report(arrays, network))
    return 0


if __name__ == "__main__":
    sys.exit(main())
