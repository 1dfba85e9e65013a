"""What a study would take: circuits, chunks, memory, disk and time, without touching anything.

Times are measured on a circuit of each layer, with an untrained network, on the machine that asks.
"""

import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from xbar.learn.mlp import BATCH_SIZE, MLP, STEPS
from xbar.run.chunks import KEPT_SHARDS, Work
from xbar.run.config import DefectSettings, Study, values
from xbar.run.plan import Chunk, Plan
from xbar.run.software import Given, load

# Measured: a process with JAX, its compiled functions and the digits.
PROCESS_BYTES = 700 * 2**20
# Arrays of the size (inputs, rows, columns) that a solver holds at once, about.
SOLVER_ARRAYS = 16


@dataclass(frozen=True)
class Estimate:
    """What a study would take.

    Args:
        circuits: defective circuits.
        healthy: healthy circuits.
        chunks: of all kinds.
        memory: of one process [byte].
        disk: of results.h5; about twice as much is needed while it is written [byte].
        seconds: to compute everything on the devices of this process, without compiling.
    """

    circuits: int
    healthy: int
    chunks: int
    memory: float
    disk: float
    seconds: float


def estimate(study: Study, beside: Path | None = None) -> Estimate:
    """Measure a little and add up.

    Args:
        study: in its checked form.
        beside: folder of files that it names.

    Raises:
        StudyError: it does not fit its data or network.
        StoreError: a file that it names cannot be read.
    """
    with jax.enable_x64(study.run.precision == "float64"):
        given = load(study, beside, None, None)
        plan = Plan(study, given.sizes(study))
        seconds = _seconds(plan, given)
    memory, disk = sizes_of(plan, given)
    healthy = len(plan.healthy["seed"])
    return Estimate(plan.circuits, healthy, len(plan.chunks), memory, disk, seconds)


def sizes_of(plan: Plan, given: Given) -> tuple[float, float]:
    """Bytes of memory and of results.h5, from the shapes."""
    study, number = plan.study, 8 if plan.study.run.precision == "float64" else 4
    shapes = [(n + 1, m) for n, m in pairwise(plan.sizes)]
    cells = sum(2 * n * m for n, m in shapes)
    images, classes = len(given.dataset.labels), plan.sizes[-1]
    labelled = round(images * sum(study.data.fractions[1:]))
    variants = 1 + ("retrained" in study.references)
    circuit = number * (2 * cells + 3 * labelled * classes)  # conductances, transfers, voltages
    solver = max(number * SOLVER_ARRAYS * min(n, 2 * m) * n * 2 * m for n, m in shapes)
    chunk = study.run.chunk * variants
    memory = float(PROCESS_BYTES) + circuit * chunk * (KEPT_SHARDS + 3) + solver * study.run.lanes
    kept = 0.0
    store, stored = study.store, 8 if study.store.precision == "float64" else 4
    if store.voltages != "none":
        test = round(images * study.data.fractions[2])
        tested = test if store.images is None else min(store.images, test)
        kept += (
            stored * classes * (tested + (labelled - test if store.voltages == "labelled" else 0))
        )
    if store.arrays:
        kept += np.mean([(2 * number + 1) * np.prod(shapes[k]) for k in plan.table["layer"]])
    healthy = len(plan.healthy["seed"]) * (number * cells + kept)
    return float(memory), float(plan.circuits * (kept + 200) + healthy)


def _seconds(plan: Plan, given: Given) -> float:
    """Seconds for everything, from one circuit of each layer and one network."""
    study, layers = plan.study, np.unique(plan.table["layer"])
    small = replace(
        study,
        seeds=1,
        circuit=replace(
            study.circuit, window=("mnsim",), wire_ohm=values(study.circuit.wire_ohm)[:1]
        ),
        defects=tuple(DefectSettings(layer=int(layer)) for layer in layers),
        run=replace(study.run, chunk=1),
    )
    small = replace(small, circuit=replace(small.circuit, mapping=("unipolar",)))
    done: dict[str, Any] = {}
    work = Work(Plan(small, plan.sizes), _untrained(plan, given), lambda c: done[c.name], {})
    took: dict[str, float] = {}
    for chunk in work.plan.chunks:
        done[chunk.name] = work.compute(chunk)
        if chunk.kind != "software":
            took[_name(chunk)] = _timed(work, chunk)
    total = took["healthy0"] * len(plan.healthy["seed"])
    for layer in layers:
        total += took[f"circuits{layer}"] * int((plan.table["layer"] == layer).sum())
    total /= jax.local_device_count()
    return total + (0 if given.network else study.seeds * _training(plan))


def _name(chunk: Chunk) -> str:
    return f"{chunk.kind}{chunk.layer}"


def _timed(work: Work, chunk: Chunk) -> float:
    start = time.perf_counter()
    work.compute(chunk)
    return time.perf_counter() - start


def _untrained(plan: Plan, given: Given) -> Given:
    """The same data with a network that need not be trained."""
    if given.network is not None:
        return given
    model = MLP.init(jax.random.key(0), plan.sizes, given.activation)
    return replace(given, network=model)


def _training(plan: Plan) -> float:
    """Seconds to train one network: about 6 operations for each weight, sample and step.

    8e8 per second is what a 64-50-20-8-10 network gets on one core, with batches of 32.
    """
    weights = sum((n + 1) * m for n, m in pairwise(plan.sizes))
    return 6 * weights * BATCH_SIZE * STEPS / 8e8 / 4


def show_estimate(study: Study, beside: Path, console: Console) -> None:
    """Print what a study would take."""
    with console.status("measuring a circuit of each layer"):
        found = estimate(study, beside)
    table = Table(study.name, "")
    table.add_row("defective circuits", f"{found.circuits:,}")
    table.add_row("healthy circuits", f"{found.healthy:,}")
    table.add_row("software networks", f"{study.seeds:,}")
    table.add_row("chunks", f"{found.chunks:,} of up to {study.run.chunk} circuits")
    table.add_row("memory of a process", f"about {found.memory / 2**30:.1f} GiB")
    table.add_row("results.h5", f"about {_bytes(found.disk)}; twice that while it is written")
    table.add_row("time", f"about {_duration(found.seconds)} on this machine, and compiling")
    console.print(table)


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
