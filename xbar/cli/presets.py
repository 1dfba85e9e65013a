"""`xbar presets`."""


def presets() -> None:
    """List device windows, shapes and faults with their values, and where the values are from."""
    # Imported here: --help should not wait for JAX.
    from rich.console import Console

    from xbar.run.presets import show_presets

    show_presets(Console())
