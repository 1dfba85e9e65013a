"""`xbar sensitivity`."""

from pathlib import Path
from typing import Annotated

import typer

from xbar.cli.options import Out, Overwrite, Seed, failing

From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        help="Folder of a finished run; without it, the demo's network.",
        show_default=False,
    ),
]
Circuit = Annotated[int, typer.Option(help="Which of that run's circuits.")]
Defective = Annotated[
    bool, typer.Option("--defective", help="That circuit with its defect, instead of without.")
]
Shape = Annotated[
    str, typer.Option(help="Placed defect: circle, ring, row, column, scratch, checkerboard, ...")
]
Coverage = Annotated[
    float | None,
    typer.Option(help="Share of the array that it covers; the shape's own.", show_default=False),
]
Stuck = Annotated[str, typer.Option(help="Where its pairs stick, on or off.")]
Cells = Annotated[int, typer.Option(help="Most cells stuck together, worst first.")]
Samples = Annotated[int, typer.Option(help="Circuits that are solved at each fault rate.")]
Places = Annotated[int, typer.Option(help="Random places of the defect in each layer.")]
Starts = Annotated[int, typer.Option(help="Starts of the search for the worst place.")]
RefereeS = Annotated[
    float,
    typer.Option("--ngspice-s", help="Time limit for ngspice on each array [s]; 0 leaves it out."),
]


def sensitivity(
    out: Out,
    source: From = None,
    circuit: Circuit = 0,
    defective: Defective = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    shape: Shape = "circle",
    coverage: Coverage = None,
    stuck: Stuck = "on",
    cells: Cells = 16,
    samples: Samples = 100,
    places: Places = 100,
    starts: Starts = 16,
    ngspice_s: RefereeS = 60.0,
) -> None:
    """Say which cells of a network matter: exact maps of single faults, worst cases, yield."""
    # Imported here: --help should not wait for JAX.
    from rich.console import Console

    from xbar.run.errors import UsageError
    from xbar.run.sensitivity.config import SensitivityConfig
    from xbar.run.sensitivity.run import run

    if source is None and (circuit or defective):
        option = "--circuit" if circuit else "--defective"
        raise UsageError(f"{option}: got no --from, needs a run whose circuit it chooses")
    with failing(ValueError):
        config = SensitivityConfig(
            seed=seed,
            circuit=circuit,
            defective=defective,
            shape=shape,
            coverage=coverage,
            stuck=stuck,
            cells=cells,
            samples=samples,
            places=places,
            starts=starts,
            ngspice_s=ngspice_s,
        )
    run(config, out, Console(), source=source, overwrite=overwrite)
