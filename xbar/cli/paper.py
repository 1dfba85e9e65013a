"""`xbar paper`."""

import os
from typing import Annotated

import typer

from xbar.cli.options import Cache, Out, Overwrite, Seed, start

Quick = Annotated[
    bool, typer.Option("--quick", help="8 seeds and fewer settings: minutes, not an hour.")
]


def paper(
    out: Out,
    quick: Quick = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    cache: Cache = True,
) -> None:
    """Do the published study again on the exact circuit, and say which of its claims hold.

    Needs no data: the digits come with scikit-learn. Uses every core.
    """
    # Imported here: --help should not wait for JAX.
    from dataclasses import replace

    import jax

    if "JAX_NUM_CPU_DEVICES" not in os.environ:  # a processor is one device unless told otherwise
        jax.config.update("jax_num_cpu_devices", cores())

    from xbar.paper.run import run
    from xbar.paper.settings import FULL, QUICK

    run(replace(QUICK if quick else FULL, seed=seed), out, start(cache), overwrite=overwrite)


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
