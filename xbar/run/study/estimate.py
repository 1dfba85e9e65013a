"""What a study would take: circuits, chunks, memory, disk and time, without touching anything.

Times are measured on a circuit of each layer, with an untrained network, on the machine that asks.
"""

import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from xbar.cells.families import OHMIC
from xbar.learn.mlp import BATCH_SIZE, MLP, STEPS, fit_many
from xbar.learn.scores import LOSSES
from xbar.run.folders.progress import compiling, duration
from xbar.run.settings.checks import values
from xbar.run.settings.study import DefectSettings, Study
from xbar.run.study.chunks import KEPT_SHARDS, ChunkComputer
from xbar.run.study.plan import Plan
from xbar.run.study.software import StudyInputs, load

# Measured: a process with JAX, its compiled functions and the digits.
PROCESS_BYTES = 700 * 2**20
# Arrays of the size (inputs, rows, columns) that a solver holds at once, about.
SOLVER_ARRAYS = 16
# Multiplications and additions a second in training: what a 64-50-20-8-10 network gets on one core,
# with batches of 32.
TRAINED_PER_S = 8e8


def show_estimate(study: Study, beside: Path, console: Console) -> None:
    """Measure a little, add up, and print what a study would take.

    Args:
        study: in its checked form.
        beside: folder of files that it names.
        console: where to print.

    Raises:
        StudyError: it does not fit its data or network.
        StoreError: a file that it names cannot be read.
    """
    with (
        jax.enable_x64(study.run.precision == "float64"),
        console.status("measuring a circuit of each layer"),
    ):
        inputs = load(study, beside, None, None)
        plan = Plan(study, inputs.sizes(study))
        seconds, compiled, programs = _times(plan, inputs)
    memory, disk = _sizes(plan, inputs)
    rows = {
        "defective circuits": f"{plan.circuits:,}",
        "healthy circuits": f"{len(plan.healthy['seed']):,}",
        "software networks": f"{study.seeds:,}",
        "chunks": f"{len(plan.chunks):,} of up to {study.run.chunk} circuits",
        "memory of a process": f"about {memory / 2**30:.1f} GiB",
        "results.h5": f"about {decimal(round(disk))}; twice that while it is written",
        "computing": f"about {duration(seconds)} on this machine",
        "compiling": f"about {duration(compiled)} for {programs} programs, less if kept",
    }
    table = Table(escape(study.name), "")
    for name, text in rows.items():
        table.add_row(name, text)
    console.print(table)


def _sizes(plan: Plan, inputs: StudyInputs) -> tuple[float, float]:
    """Bytes of memory and of results.h5, from the shapes."""
    study, number = plan.study, 8 if plan.study.run.precision == "float64" else 4
    shapes = [(n + 1, m) for n, m in pairwise(plan.sizes)]
    cells = sum(2 * n * m for n, m in shapes)
    images, classes = len(inputs.dataset.labels), plan.sizes[-1]
    labelled, test = (round(images * sum(study.data.fractions[k:])) for k in (1, 2))
    circuit = number * (2 * cells + 3 * labelled * classes)  # conductances, transfers, voltages
    solver = max(number * SOLVER_ARRAYS * min(n, 2 * m) * n * 2 * m for n, m in shapes)
    chunk = study.run.chunk * (1 + ("retrained" in study.references))
    memory = PROCESS_BYTES + circuit * chunk * (KEPT_SHARDS + 3) + solver * study.run.lanes
    store, kept = study.store, 200.0  # of the table
    if store.voltages != "none":
        stored = test if store.images is None else min(store.images, test)
        stored += labelled - test if store.voltages == "labelled" else 0
        kept += (8 if store.precision == "float64" else 4) * classes * stored
    if store.arrays:
        kept += np.mean([(2 * number + 1) * np.prod(shapes[k]) for k in plan.table["layer"]])
    healthy = len(plan.healthy["seed"]) * (number * cells + kept)
    return float(memory), float(plan.circuits * kept + healthy)


def _times(plan: Plan, inputs: StudyInputs) -> tuple[float, float, int]:
    """Seconds of computing and of compiling everything, and how many programs are compiled.

    Measured on one circuit of each layer. A program is a stage with arrays of one size in chunks of
    one size; one more of the same stage takes as long to compile.
    """
    study, done = plan.study, dict[str, Any]()
    first = {
        name: values(getattr(study.circuit, name))[:1]
        for name in ("window", "wire_ohm", *study.circuit.chip_axes)
    }
    small = replace(
        study,
        seeds=1,
        circuit=replace(study.circuit, **first, mapping=("unipolar",)),
        cells=None if study.cells is None else study.cells.one_of_each,
        defects=tuple(DefectSettings(layer=int(k)) for k in np.unique(plan.table["layer"])),
        run=replace(study.run, chunk=1),
    )
    given = inputs.network is not None
    untrained = inputs.network or MLP.init(jax.random.key(0), plan.sizes, inputs.activation)
    computer = ChunkComputer(
        Plan(small, plan.sizes),
        replace(inputs, network=untrained),
        lambda chunk: done[chunk.name],
        {},
    )
    runs, compiles = {}, {}
    for chunk in computer.plan.chunks:
        stage, before = (chunk.kind, chunk.layer, chunk.law), _compiled()
        done[chunk.name] = computer.compute(chunk)
        compiles[stage] = _compiled() - before
        start = time.perf_counter()
        computer.compute(chunk)
        runs[stage] = time.perf_counter() - start
    if not given:
        compiles["software", 0, OHMIC] += _compile_training(plan, inputs)
    circuits = [chunk for chunk in plan.chunks if chunk.kind != "software"]
    total = sum(c.count * runs[c.kind, c.layer, c.law] for c in circuits) / jax.local_device_count()
    # About 6 operations for each weight, sample and step; a quarter of them side by side.
    weights = sum((n + 1) * m for n, m in pairwise(plan.sizes))
    total += 0 if given else study.seeds * 6 * weights * BATCH_SIZE * STEPS / TRAINED_PER_S / 4
    mapping = plan.healthy["mapping"]
    programs = {
        (c.kind, c.layer, c.law, c.size, mapping[c.first] if c.kind == "healthy" else "")
        for c in plan.chunks
    }
    return total, sum(compiles[tuple(stage)] for *stage, _, _ in programs), len(programs)


def _compiled() -> float:
    """Seconds of compiling so far, those that kept programs have saved included."""
    return compiling().spent + compiling().saved


def _compile_training(plan: Plan, inputs: StudyInputs) -> float:
    """Seconds to compile the training of software networks, which one step shows."""
    before, keys = _compiled(), jax.random.split(jax.random.key(0), 1)
    models = eqx.filter_vmap(lambda key: MLP.init(key, plan.sizes, inputs.activation))(keys)
    loss = LOSSES[inputs.task.loss]
    fit_many(models, inputs.images[None], inputs.labels[None], keys=keys, steps=1, loss=loss)
    return _compiled() - before
