"""`xbar study`."""

from pathlib import Path
from typing import Annotated

import typer

from xbar.cli.options import Overwrite

File = Annotated[Path, typer.Argument(help="Study file, in TOML.", show_default=False)]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what it would take; touch and compute nothing.")
]
Folder = Annotated[
    Path | None,
    typer.Option("--out", help="Folder for results; resumes an unfinished run there."),
]
Coordinator = Annotated[
    str | None, typer.Option(help="Several processes: HOST:PORT of process 0.", show_default=False)
]
Count = Annotated[
    int | None, typer.Option("--processes", help="How many processes.", show_default=False)
]
Number = Annotated[
    int | None, typer.Option("--process-id", help="Which of them this is.", show_default=False)
]


def study(
    file: File,
    out: Folder = None,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    coordinator: Coordinator = None,
    processes: Count = None,
    process_id: Number = None,
) -> None:
    """Run a sweep over defective circuits that a file describes; go on with one that was stopped.

    Uses every device. Under Slurm, `srun xbar study ...` shares the work among its tasks.
    """
    # Imported here: --help should not wait for JAX.
    from rich.console import Console

    from xbar.run.errors import UsageError
    from xbar.run.toml import read_study

    asked = read_study(file)
    if dry_run:
        from xbar.run.estimate import show_estimate

        show_estimate(asked, file.parent, Console())
        return
    if out is None:
        raise UsageError("--out: got none, needs a folder for results")
    from xbar.run.engine import run_study
    from xbar.run.processes import join

    together = join(coordinator, processes, process_id)
    run_study(asked, out, Console(), overwrite=overwrite, beside=file.parent, processes=together)
