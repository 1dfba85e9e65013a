"""What the engine of studies adds to the computing: storing, checksums, progress, publishing.

    python benchmarks/studies/overhead.py [--circuits 10000] [--repeats 3] [--correctors]

Prints a Markdown table. In one process, after everything has been compiled, it computes the same
sweep of the 64-50-20-8-10 digits network (four layers, two shapes, output voltages of 180 test
images stored in float64) alternately with nothing but the chunks' functions, and with the engine.
"""

import argparse
import os
import platform
import resource
import statistics
import tempfile
import time
from pathlib import Path

import jax
from rich.console import Console

from xbar.io.runs import load_run
from xbar.io.store import commit
from xbar.run import (
    CorrectorSettings,
    DataSettings,
    DefectSettings,
    StoreSettings,
    Study,
    run_study,
)
from xbar.run.settings.files import checked
from xbar.run.study.chunks import ChunkComputer
from xbar.run.study.plan import Plan
from xbar.run.study.software import load

LAYERS, SHAPES, SEEDS = (0, 1, 2, 3), ("circle", "row"), 5


def study_of(circuits: int, correctors: bool) -> Study:
    places = max(1, circuits // (len(LAYERS) * len(SHAPES) * SEEDS))
    return checked(
        Study(
            name="overhead",
            seeds=SEEDS,
            data=DataSettings(fractions=(0.6, 0.3, 0.1)),
            defects=(DefectSettings(SHAPES, 0.2, LAYERS, placements=places),),
            correctors=(CorrectorSettings(),) if correctors else (),
            store=StoreSettings("test"),
        )
    )


def alone(study: Study) -> float:
    """Seconds for the chunks' functions, software networks left out."""
    given = load(study, None, None, None)
    plan, done = Plan(study, given.sizes(study)), {}
    work = ChunkComputer(plan, given, lambda chunk: done[chunk.name], {})
    total = 0.0
    for chunk in plan.chunks:
        start = time.perf_counter()
        found = work.compute(chunk)
        total += time.perf_counter() - start if chunk.kind != "software" else 0.0
        if chunk.kind != "circuits":
            done[chunk.name] = found
    return total


def engine(study: Study, folder: Path) -> tuple[float, float]:
    """Seconds for the same with everything around it, and for tables, figures and report."""
    summary = run_study(study, folder, Console(quiet=True))
    stages = summary["stages_s"]
    reports = stages.pop("write tables, figures and report")
    return sum(s for name, s in stages.items() if "software" not in name), reports


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--circuits", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--correctors", action="store_true", help="a 10-14-10 for each circuit")
    given = parser.parse_args()
    study = study_of(given.circuits, given.correctors)
    with jax.enable_x64(True):
        pure, whole, reports, size = [], [], [], 0
        if given.circuits <= 2000:
            alone(study)  # compiles
        for repeat in range(given.repeats):
            with tempfile.TemporaryDirectory() as folder:
                if given.circuits <= 2000:
                    pure.append(alone(study))
                took, extra = engine(study, Path(folder) / f"{repeat}")
                whole.append(took)
                reports.append(extra)
                size = (Path(folder) / f"{repeat}" / "results.h5").stat().st_size
                circuits = load_run(Path(folder) / f"{repeat}").circuits
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"| circuits | {circuits:,} |\n|---|---|")
    if pure:
        ratio = statistics.median(b / a - 1 for a, b in zip(pure, whole, strict=True))
        print(f"| computing alone | {statistics.median(pure):.1f} s |")
        print(f"| engine adds | {100 * ratio:.1f} % (median of {given.repeats} pairs) |")
    print(f"| with the engine | {statistics.median(whole):.1f} s |")
    print(f"| tables, figures, report | {statistics.median(reports):.1f} s |")
    print(f"| results.h5 | {size / 1e6:.1f} MB |")
    print(f"| peak memory of the process | {peak:.2f} GiB |")
    cores = len(os.sched_getaffinity(0))
    print(f"| on | {cores} core(s) of {platform.machine()}, jax {jax.__version__}, {commit()} |")


if __name__ == "__main__":
    main()
