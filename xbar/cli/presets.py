"""`xbar presets`."""

from typing import Annotated

import typer


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
