"""ngspice as the referee: a circuit of each shape and layer, and what all would have cost."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np

from xbar.io.runs import Run, load_run
from xbar.paper.experiment import Experiment, Tables, column
from xbar.paper.lab import Lab
from xbar.paper.referee_findings import draw, find
from xbar.run.config import DefectSettings, StoreSettings
from xbar.run.progress import Advance
from xbar.spice import (
    NgspiceMissing,
    NgspiceTooOld,
    find_ngspice,
    layer_netlist,
    run_netlist,
    verify_layer,
)
from xbar.spice.layers import input_volts
from xbar.spice.ngspice import Ngspice

# Some systems count processor time in steps of 0.01 s, and small circuits take less.
LEAST_SECONDS = 0.1
MOST_RUNS = 100  # where the system counts nothing, an end


def compute(lab: Lab) -> Tables:
    """Differences by shape and layer; times and numbers of solves by layer."""
    asked = lab.settings
    try:
        program = find_ngspice()
    except (NgspiceMissing, NgspiceTooOld) as error:
        lab.console.print(f"no referee: {error}", highlight=False, soft_wrap=True)
        return {"program": {"version": column([""]), "reason": column([str(error)])}}
    defects = tuple(
        DefectSettings(shape, asked.transfer_coverage(shape), asked.layers)
        for shape in asked.shapes
    )
    study = lab.base(defects=defects, store=StoreSettings("none", arrays=True))
    run = lab.study("referee", study)
    chosen = run.rows(seed=0)
    total = len(chosen)
    with lab.stages.stage(f"ngspice {program.version}, {total} circuits", total, "circuits") as go:
        rows = _side_by_side(lab, run, chosen.tolist(), program, go)
    shape, layer, images, error, allowed, quantity = zip(*rows, strict=True)
    return {
        "program": {"version": column([program.version]), "reason": column([""])},
        "circuits": {
            "shape": column(shape),
            "layer": column(layer, "1", "broken layer, solved both ways"),
            "images": column(images, "1", "solved"),
            "error": column(error, "1", "largest difference over the largest voltage or current"),
            "allowed": column(allowed, "1", "largest difference that counts as agreement"),
            "quantity": column(quantity, "1", "where that difference is"),
        },
        "cost": _cost(lab, run, program),
    }


Row = tuple[str, int, int, float, float, str]
"""Shape, layer, images, largest error, its tolerance and its quantity, of one circuit."""


def _side_by_side(
    lab: Lab, run: Run, circuits: list[int], program: Ngspice, advance: Advance
) -> list[Row]:
    """Each circuit verified; as many ngspice processes at once as there are devices."""
    for name in ("healthy", *(f"arrays/layer_{k}" for k in lab.settings.layers)):
        run.read(name)  # once: the threads then only look it up

    def one(circuit: int) -> Row:
        with jax.enable_x64(True):  # holds for one thread
            return _verified(lab, run, circuit, program)

    rows = []
    with ThreadPoolExecutor(lab.how.mesh.size) as pool:
        try:
            for row in pool.map(one, circuits):
                rows.append(row)
                advance(1)
        finally:  # stopped: those that wait are not begun
            pool.shutdown(wait=False, cancel_futures=True)
    return rows


def _verified(lab: Lab, run: Run, circuit: int, program: Ngspice) -> Row:
    number = int(run.table["layer"][circuit])
    # The first array takes ngspice some seconds for each image.
    images = 1 if number == 0 else lab.settings.referee_images
    network = run.network("defective", circuit)
    x = run.images[run.parts["test"][circuit][:images]]
    volts = input_volts(network, x) if number == 0 else network.layer_voltages(x)[number - 1]
    report = verify_layer(network.layers[number], volts, number=number, ngspice=program)
    worst = max(report.rows, key=lambda row: row.error / row.rtol)
    shape = str(run.table["shape"][circuit])
    return shape, number, images, worst.error, worst.rtol, worst.quantity


def _cost(lab: Lab, run: Run, program: Ngspice) -> dict:
    """Seconds of one ngspice solve of each array, and how many solves all sweeps hold."""
    network = run.network("healthy", 0)
    x = run.images[run.parts["test"][0][:1]]
    inputs = [input_volts(network, x), *network.layer_voltages(x)[:-1]]
    shapes, seconds, lines = [], [], []
    for number, (layer, volts) in enumerate(zip(network.layers, inputs, strict=True)):
        netlist = layer_netlist(layer, np.asarray(volts)[0], number=number)
        seconds.append(_seconds(netlist, program))
        rows, outputs = layer.pairs.shape
        lines.append(rows)
        shapes.append(f"{rows}x{2 * outputs}")
    arrays = np.zeros(len(shapes), int)
    images = np.zeros(len(shapes), int)
    for circuits, each in _sweeps(lab.run.path / "studies", len(shapes)):
        arrays += circuits
        images += circuits * each
    layers = range(len(shapes))
    return {
        "layer": column(list(layers), "1", "array, 0 the first"),
        "cells": column(shapes, "1", "rows x columns"),
        "seconds": column(seconds, "s", "processor time of ngspice, one input, healthy array"),
        "arrays": column(arrays, "1", "different arrays of this size in all sweeps"),
        "solves": column(images, "1", "arrays x images that they read"),
        "linear": column(arrays * lines, "1", "arrays x word lines, enough as they are linear"),
    }


def _seconds(netlist: str, program: Ngspice) -> float:
    """Processor time of one run, over as many as the system's count of it needs."""
    start, runs, used = _child_seconds(), 0, 0.0
    while used < LEAST_SECONDS and runs < MOST_RUNS:
        run_netlist(netlist, ngspice=program)
        runs, used = runs + 1, _child_seconds() - start
    return used / runs


def _child_seconds() -> float:
    """Processor time of programs that have ended: another load on the machine does not count."""
    times = os.times()
    return times.children_user + times.children_system


def _sweeps(folder: Path, layers: int) -> Iterator[tuple[np.ndarray, int]]:
    """Arrays of each size that a sweep solved, and images that each read."""
    for path in sorted(folder.iterdir()):
        run = load_run(path)
        table = run.table
        circuits = np.bincount(table["layer"], minlength=layers)
        healthy = len(run.read("healthy_circuits")["seed"])
        data = run.read("data")
        yield circuits + healthy, data["corrector"].shape[-1] + data["test"].shape[-1]


EXPERIMENT = Experiment(
    name="referee",
    title="The referee",
    question="Does ngspice find the same voltages, and what would it have taken?",
    method="One circuit of each shape and layer, its broken layer with amplifiers and activation "
    "written as a netlist in full precision, solved by ngspice, and compared node by node: word "
    "and bit lines, cell and output currents, amplifier and output voltages.",
    compute=compute,
    draw=draw,
    find=find,
    section="referee",
)
