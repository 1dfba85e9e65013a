"""`xbar show`."""

from pathlib import Path
from typing import Annotated

import typer

from xbar.cli.options import path

Folder = Annotated[
    Path,
    typer.Argument(help="Folder of a finished run.", show_default=False, parser=path),
]


def show(folder: Folder) -> None:
    """Print what a run found, and verify the checksums of its files; exit 1 if any is damaged."""
    # Imported here: --help should not wait for HDF5.
    from xbar.run.folders.show import damage_of, show_run

    if damage := damage_of(folder):
        for line in damage:
            typer.echo(f"xbar: {folder}: {line}", err=True)
        raise typer.Exit(1)
    show_run(folder)
