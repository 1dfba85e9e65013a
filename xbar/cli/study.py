"""`xbar study`."""

from pathlib import Path
from typing import Annotated

import typer

from xbar.cli.options import Cache, Changes, Overwrite, path, start, whole

File = Annotated[
    Path,
    typer.Argument(help="Study file, in TOML.", show_default=False, parser=path, metavar="FILE"),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what it would take; touch and compute nothing.")
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--out",
        parser=path,
        metavar="FOLDER",
        help="Folder for results; resumes an unfinished run there.",
    ),
]
Coordinator = Annotated[
    str | None, typer.Option(help="Several processes: HOST:PORT of process 0.", show_default=False)
]
Count = Annotated[
    int | None,
    typer.Option("--processes", parser=whole(), metavar="N", help="How many processes."),
]
Number = Annotated[
    int | None,
    typer.Option("--process-id", parser=whole(), metavar="N", help="Which of them this is."),
]


def study(
    file: File,
    out: Folder = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    coordinator: Coordinator = None,
    processes: Count = None,
    process_id: Number = None,
    changes: Changes = None,
    cache: Cache = True,
) -> None:
    """Run a sweep over defective circuits that a file describes; go on with one that was stopped.

    Uses every device. Under Slurm, `srun xbar study ...` shares the work among its tasks.
    """
    # Imported here: --help should not wait for JAX.
    from xbar.run.errors import UsageError
    from xbar.run.settings.files import read_study

    if dry_run:
        from xbar.run.study.estimate import show_estimate

        show_estimate(read_study(file, changes or ()), file.parent, start(cache))
        return
    if out is None:
        raise UsageError("--out: got none, needs a folder for results")
    from xbar.run.engine import run_study
    from xbar.run.folders.processes import join

    # First of all: checking the settings computes with JAX, after which no process can join.
    together = join(coordinator, processes, process_id)
    asked = read_study(file, changes or ())
    options = {"overwrite": overwrite, "beside": file.parent, "processes": together}
    run_study(asked, out, start(cache), **options)
