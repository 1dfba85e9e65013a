"""`xbar sensitivity`."""

from pathlib import Path
from typing import Annotated

import typer

from xbar.cli.options import Cache, Out, Overwrite, Seed, Text, file, setting, start

From = Annotated[
    Path | None,
    file("Folder of a finished run; without it, the demo's network.", "--from", metavar="FOLDER"),
]
Network = Annotated[
    Path | None,
    file("Your trained network instead: .npz or .h5 with weights_0, biases_0, ..."),
]
Data = Annotated[
    Path | None, file("Your data: .npz or .h5 with x (n, features) and y (n,) classes.")
]
Defective = Annotated[
    bool, typer.Option("--defective", help="That circuit with its defect, instead of without.")
]
# Options that are settings by the same name, and those of the circuit of an own network.
KEYS = (
    "circuit",
    "shape",
    "coverage",
    "stuck",
    "cells",
    "samples",
    "places",
    "starts",
    "ngspice_s",
)
CIRCUIT = ("window", "wire_ohm", "tile")


def sensitivity(
    out: Out,
    source: From = None,
    circuit: Annotated[Text, setting("Which of that run's circuits (default 0).")] = None,
    defective: Defective = False,
    network: Network = None,
    data: Data = None,
    window: Annotated[Text, setting("Its devices: mnsim (default), ..., or 10k:1M.")] = None,
    wire_ohm: Annotated[Text, setting("Its resistance per wire segment [ohm] (default 1).")] = None,
    tile: Annotated[
        Text, setting("Its arrays' rows and columns of cells, as [65,128] (default one a layer).")
    ] = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    shape: Annotated[Text, setting("Placed defect: circle (default), ring, scratch, ...")] = None,
    coverage: Annotated[Text, setting("Share of the array (default the shape's own).")] = None,
    stuck: Annotated[Text, setting("Where its pairs stick: on (default) or off.")] = None,
    cells: Annotated[Text, setting("Most cells stuck together, worst first (default 16).")] = None,
    samples: Annotated[Text, setting("Circuits solved at each fault rate (default 100).")] = None,
    places: Annotated[Text, setting("Random places in each layer (default 100).")] = None,
    starts: Annotated[
        Text, setting("Starts of the search for the worst place (default 16).")
    ] = None,
    ngspice_s: Annotated[
        Text, setting("Limit for ngspice on an array (default 60 s; 0: none).")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change any setting, such as rates=[1e-3,1e-2]; may be repeated.",
            show_default=False,
        ),
    ] = None,
    cache: Cache = True,
) -> None:
    """Say which cells of a network matter: exact maps of single faults, worst cases, yield.

    \b
    xbar sensitivity --out runs/cells --network net.npz --data set.npz
    xbar sensitivity --out runs/cells --from runs/demo --circuit 2 --defective
    """  # noqa: D301 - what click asks for where lines are to stay
    options = locals()
    given = [f"{name}={options[name]}" for name in KEYS if options[name] is not None]
    # Imported here: --help should not wait for JAX.
    from xbar.run.demo import demo_study
    from xbar.run.errors import UsageError
    from xbar.run.sensitivity.config import SensitivityConfig
    from xbar.run.sensitivity.run import run
    from xbar.run.settings.files import changed, quoted, settings_from

    own = [f"circuit.{name}={options[name]}" for name in CIRCUIT if options[name] is not None]
    files = {"network": network, "data": data}
    own += [f"{n}.file={quoted(str(f))}" for n, f in files.items() if f is not None]
    if problem := _of_two_circuits(source, own, circuit, defective):
        raise UsageError(problem)
    tree = changed({"seed": seed, "defective": defective}, [*given, *(changes or ())])
    config = settings_from(SensitivityConfig, tree)
    study = demo_study([f"seed={seed}", *own])
    run(config, out, start(cache), source=source, study=study, overwrite=overwrite)


def _of_two_circuits(
    source: object, own: list[str], circuit: str | None, defective: bool
) -> str | None:
    """What is wrong with options of which some choose a run's circuit and others make one."""
    if source is not None and own:
        option = own[0].removeprefix("circuit.").partition("=")[0].removesuffix(".file")
        option = f"--{option.replace('_', '-')}"
        return f"{option}: got --from too, needs one of them: a run has its own circuit"
    if source is None and (circuit is not None or defective):
        option = "--defective" if circuit is None else "--circuit"
        return f"{option}: got no --from, needs a run whose circuit it chooses"
    return None
