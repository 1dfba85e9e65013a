"""Runs a study: piece after piece, then one results file. What was stopped goes on.

```python
from xbar.run import DefectSettings, Study, run_study

study = Study(seeds=20, defects=(DefectSettings(shape=("ring", "row"), coverage=(0.1, 0.3)),))
run_study(study, "runs/shapes")
```
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from xbar.io.dataset import Dataset
from xbar.io.writing import is_file
from xbar.learn.mlp import MLP
from xbar.run.errors import UsageError
from xbar.run.folders.processes import Processes
from xbar.run.folders.runner import Piece, Runner, Show
from xbar.run.folders.runner import fingerprint as fingerprint
from xbar.run.reports import study as reports
from xbar.run.settings.checks import shortened
from xbar.run.settings.files import checked
from xbar.run.settings.study import Study
from xbar.run.study.chunks import ChunkComputer, Measure
from xbar.run.study.plan import Plan
from xbar.run.study.publish import ComputedStudy, Finish, write_study_results
from xbar.run.study.software import StudyInputs, load

STAGES = {
    "software": ("software networks", "networks"),
    "healthy": ("healthy circuits", "circuits"),
    "circuits": ("defective circuits", "circuits"),
}


def run_study(
    study: Study,
    out: Path | str,
    console: Console | None = None,
    *,
    overwrite: bool = False,
    beside: Path | None = None,
    dataset: Dataset | None = None,
    network: MLP | None = None,
    measures: Mapping[str, Measure] | None = None,
    processes: Processes | None = None,
    command: str = "study",
    finish: Finish = reports.finish,
    show: Show = reports.show,
) -> dict[str, Any]:
    """Run a study in a folder, go on with one there, or show what a finished one found.

    Args:
        study: what to run.
        out: the folder.
        console: where progress and results go; None is the terminal.
        overwrite: start anew, removing what the run there has made.
        beside: folder of files that the study names; None is the current one.
        dataset: a user's data instead of what the study names.
        network: a user's trained network instead.
        measures: measurements of one's own by name, made on every chunk and stored below
            `measures` in results.h5. Their names count as settings.
        processes: from `xbar.run.folders.processes.join`, for several processes on one study.
        command: name of the command, which counts as a setting.
        finish: writes figures and the report and returns the summary.
        show: prints the summary.

    Returns:
        The summary, as in `summary.json`. Processes other than the first get {}.

    Raises:
        StudyError: a line for everything that is wrong with the study.
        UsageError: the folder cannot be used.
        StoreError: a file that the study names cannot be read.
        OSError: a file cannot be written, as on a full disk; started again, the run goes on.
    """
    study, measures, beside = checked(study), measures or {}, beside or Path()
    runner = Runner(
        out,
        settings_of(study, beside, dataset, network, measures),
        command,
        overwrite=overwrite,
        console=console,
        processes=processes,
        reads=files_of(study, beside),
    )
    if found := runner.shown(show):
        return found
    with jax.enable_x64(study.run.precision == "float64"):
        inputs = load(study, beside, dataset, network)

        def work(run: Runner) -> dict[str, Any]:
            plan = Plan(study, inputs.sizes(study))
            _compute(plan, inputs, run, measures)
            return finish(ComputedStudy(plan, inputs, run)) if run.processes.first else {}

        return runner.complete(work, show)


def _compute(plan: Plan, inputs: StudyInputs, run: Runner, measures: Mapping[str, Measure]) -> None:
    """Compute whatever is not there, then write results.h5 from all of it."""
    computer = ChunkComputer(plan, inputs, lambda chunk: run.read(chunk.name), measures)
    for kind, (title, unit) in STAGES.items():
        chunks = plan.of_kind(kind)
        pieces = [Piece(c.name, c.count, lambda c=c: computer.compute(c)) for c in chunks]
        run.pieces(title, unit, pieces)
    if run.processes.first:
        size = run.kept_bytes(chunk.name for chunk in plan.chunks)
        with run.timed("write results.h5"), run.writing("results.h5", size) as path:
            read = lambda chunk: run.read(chunk.name)  # noqa: E731
            write_study_results(path, plan, inputs, read, run.settings)


def files_of(study: Study, beside: Path) -> list[Path]:
    """The files that a study names."""
    maps = (defect.map for defect in study.defects)
    named = (study.data.file, study.data.test_file, study.network.file, *maps)
    return [beside / name for name in named if name is not None]


def settings_of(
    study: Study,
    beside: Path,
    dataset: Dataset | None = None,
    network: MLP | None = None,
    measures: Mapping[str, Measure] | None = None,
) -> dict[str, Any]:
    """Everything that a folder resumes under: the study, and fingerprints of what it reads."""
    found: dict[str, Any] = study.as_dict()
    for name, tree, file in (
        ("data", dataset, study.data.file),
        ("network", network, study.network.file),
        ("data", None, None if dataset is not None else study.data.test_file),
    ):
        if tree is not None:
            found[name]["given"] = fingerprint(tree)
        elif file is not None:
            read = _bytes(f"{name}.file", beside / file)
            before = found[name].get("sha256", "")
            found[name]["sha256"] = before + hashlib.sha256(read).hexdigest()[:12]
    for number, defect in enumerate(study.defects):
        if defect.map is not None:
            digest = hashlib.sha256(_bytes(f"defects[{number}].map", beside / defect.map))
            found["defects"][number]["sha256"] = digest.hexdigest()[:12]
    if measures:
        found["measures"] = sorted(measures)
    return found


def _bytes(place: str, path: Path) -> bytes:
    if not is_file(path):
        raise UsageError(f"{place}: {shortened(path, 200)}: got no file, needs one")
    return path.read_bytes()
