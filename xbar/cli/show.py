"""`xbar show` and `xbar presets`, which print what is there and compute nothing."""

from typing import Annotated

import typer

from xbar.cli.options import Finished


def show(folder: Finished) -> None:
    """Print what a run found, and verify the checksums of its files; exit 1 if any is damaged."""
    # Imported here: --help should not wait for HDF5.
    from xbar.run.folders.show import damage_of, show_run

    if damage := damage_of(folder):
        for line in damage:
            typer.echo(f"xbar: {folder}: {line}", err=True)
        raise typer.Exit(1)
    show_run(folder)


def presets(
    device: Annotated[
        str | None,
        typer.Argument(
            help="A device, such as pcm, with all its laws.", show_default=False, metavar="DEVICE"
        ),
    ] = None,
) -> None:
    """List device windows, shapes and faults with their values, and where the values are from.

    Of one device: its laws with units, the ranges that they hold in, and its source.
    """
    # Imported here: --help should not wait for JAX.
    from rich.console import Console

    from xbar.run.settings.presets import show_device, show_presets

    if device is None:
        show_presets(Console())
    else:
        show_device(Console(), device)
