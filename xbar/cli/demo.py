"""`xbar demo`."""

from typing import Annotated

import typer

from xbar.cli.options import Out, Overwrite


def demo(
    out: Out,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of all randomness.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Train a digit network, map it to arrays, break one, solve exactly, correct."""
    # Imported here: --help and a wrong argument should not wait for JAX.
    import jax
    from rich.console import Console

    from xbar.studies.demo import DemoConfig
    from xbar.studies.run_demo import run

    jax.config.update("jax_enable_x64", True)
    run(DemoConfig(seed=seed), out, Console(), overwrite=overwrite)
