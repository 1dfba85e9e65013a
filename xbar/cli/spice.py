"""`xbar spice`: circuits of a finished run for ngspice, and the comparison with it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from xbar.cli.options import Cache, Finished, path, start, whole

if TYPE_CHECKING:
    from xbar.circuit import Crossbar, Solution
    from xbar.nn import Layer, Network
    from xbar.spice import Report
    from xbar.spice.importing import Imported

spice = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Netlists of a run's circuits, and their comparison with ngspice.",
)


LayerOption = Annotated[
    int | None,
    typer.Option(
        "--layer", parser=whole(), metavar="N", help="One layer; without it, the whole network."
    ),
]
Circuit = Annotated[
    int, typer.Option(parser=whole(), metavar="N", help="Which of the run's circuits.")
]
Healthy = Annotated[bool, typer.Option("--healthy", help="The circuit without its defect.")]


class CircuitPart(NamedTuple):
    """What the options choose of a run's circuit."""

    network: "Network"
    layer: int | None
    images: Any  # of the circuit's test part, (n, features)
    faults: dict[int, Any]  # cells that differ from the healthy network, by layer
    title: str

    def part(self) -> tuple["Layer", Any]:
        """The layer, and its input voltages as xbar finds them, (n, inputs) [V]."""
        assert self.layer is not None
        if self.layer == 0:
            from xbar.spice.layers import input_volts

            return self.network.layers[0], input_volts(self.network, self.images)
        volts = self.network.layer_voltages(self.images)[self.layer - 1]
        return self.network.layers[self.layer], volts

    def array(self) -> tuple["Crossbar", Any]:
        """The layer's array as `xbar.solve` has it, and its row voltages (rows, n) [V]."""
        from xbar.nn.array import with_last

        layer, volts = self.part()
        return layer.array(), with_last(volts, layer.v_bias).T

    @property
    def broken_lines(self) -> bool:
        """Whether lines of the chosen part are broken or bridged: then it is an array alone."""
        from xbar.run.errors import UsageError

        broken = [k for k, one in enumerate(self.network.layers) if one.line_faults is not None]
        if self.layer is None and broken:
            raise UsageError(
                f"--layer: got none, needs {broken[0]}: of a layer with broken or bridged lines "
                "there is a netlist of its array alone"
            )
        return self.layer in broken


@spice.command("export", short_help="Write a stored circuit as a SPICE netlist.")
def export(
    source: Finished,
    layer: LayerOption = None,
    circuit: Circuit = 0,
    image: Annotated[
        int,
        typer.Option(parser=whole(), metavar="N", help="Which input of the test part drives it."),
    ] = 0,
    healthy: Healthy = False,
    subckt: Annotated[
        bool, typer.Option("--subckt", help="The layer's array alone, as a subcircuit.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(parser=path, metavar="FILE", help="File to write; else it is printed."),
    ] = None,
) -> None:
    """Write a stored circuit as a SPICE netlist."""
    from xbar.run.errors import UsageError

    if subckt and layer is None:
        raise UsageError("--subckt: got no --layer, needs one: a subcircuit is one array")
    if out is not None and out.is_dir():
        raise UsageError(f"--out: got {out}, which is a folder, needs a file")
    chosen = _choose(source, layer, circuit, slice(image, image + 1), healthy)
    text = _netlist(chosen, subckt)
    if out is None:
        typer.echo(text, nl=False)
        return
    from xbar.io.writing import write_text

    try:
        write_text(out, text)
    except OSError as error:
        raise UsageError(f"--out: {out} cannot be written ({error.strerror})") from error
    typer.echo(str(out))


@spice.command("verify", short_help="Compare xbar with ngspice on a stored circuit.")
def verify(
    source: Finished,
    layer: LayerOption = None,
    circuit: Circuit = 0,
    images: Annotated[
        int, typer.Option(parser=whole(1), metavar="N", help="How many inputs of the test part.")
    ] = 8,
    healthy: Healthy = False,
    ngspice: Annotated[
        Path | None,
        typer.Option(parser=path, help="ngspice to run; else XBAR_NGSPICE, else that in PATH."),
    ] = None,
    timeout_s: Annotated[float, typer.Option(min=1, help="Time limit for ngspice.")] = 3600.0,
    cache: Cache = True,
) -> None:
    """Solve a stored circuit with xbar and with ngspice; exit 1 when they disagree."""
    from rich.console import Console

    from xbar.run.errors import UsageError
    from xbar.spice import (
        SpiceError,
        find_ngspice,
        verify_array,
        verify_layer,
        verify_network,
    )

    start(cache)
    try:
        program = find_ngspice(ngspice)
        chosen = _choose(source, layer, circuit, slice(0, images), healthy)
        options: dict[str, Any] = {"ngspice": program, "timeout_s": timeout_s}
        # A whole digit network takes ngspice 39 from 5 s up for each image.
        with Console(stderr=True).status(f"ngspice {program.version} solves {images} images"):
            if chosen.broken_lines:
                report = verify_array(*chosen.array(), **options)
            elif layer is None:
                report = verify_network(chosen.network, chosen.images, **options)
            else:
                part, volts = chosen.part()
                report = verify_layer(part, volts, number=layer, **options)
    except SpiceError as error:
        raise UsageError(str(error)) from error
    _show(report, chosen.title)
    if not report.agrees:
        raise typer.Exit(1)


@spice.command("import", short_help="Read a user's netlist as an array, and solve it.")
def import_(
    file: Annotated[
        Path, typer.Argument(help="Netlist of a crossbar.", show_default=False, parser=path)
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            parser=path, metavar="FILE", help="HDF5 file to write the array and its bias to."
        ),
    ] = None,
    cache: Cache = True,
) -> None:
    """Read a netlist of resistors and sources as an array, and solve it."""
    import jax

    from xbar.run.errors import UsageError
    from xbar.solve import solve
    from xbar.spice.importing import read_netlist
    from xbar.spice.parse import NetlistError

    start(cache)
    jax.config.update("jax_enable_x64", True)
    try:
        found = read_netlist(file)
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({error.strerror})") from error
    except NetlistError as error:
        raise UsageError(f"{file}: {error}") from error
    try:
        solution = solve(found.array, found.bias)
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"{file}: {error}") from error
    if out is not None:
        from xbar.io.store import write_results
        from xbar.io.tree import encode

        whole = {"array": encode(found.array), "bias": encode(found.bias)}
        try:
            write_results(out, {"circuit": whole}, {"netlist": str(file)})
        except OSError as error:
            raise UsageError(f"--out: {out} cannot be written ({error.strerror})") from error
    _tell(found, solution)


def _tell(found: "Imported", solution: "Solution") -> None:
    """What the netlist is, and what flows out of its bit lines."""
    import numpy as np

    rows, cols = found.array.g.shape
    ohms = {name: np.ravel(leaf) for name, leaf in found.array.wires.leaves.items()}
    wires = ", ".join(f"{name} {r.min():g} to {r.max():g}" for name, r in ohms.items())
    typer.echo(f"an array of {rows} x {cols} cells, {len(found.cells)} of them not open")
    typer.echo(f"wires [ohm]: {wires}")
    by_place = {place: name for name, place in found.nodes.items()}
    for j, current in enumerate(np.asarray(solution.i_out)):
        ends = [by_place[place] for place in by_place if place[0] == "bit" and place[2] == j]
        typer.echo(f"column {j} ({ends[-1] if ends else 'no cell'}): {current:.6e} A")


def _choose(
    source: Path, layer: int | None, circuit: int, images: slice, healthy: bool
) -> CircuitPart:
    # Imported here: --help and a wrong argument should not wait for JAX.
    import jax
    import numpy as np

    from xbar.io.runs import load_run
    from xbar.io.store import StoreError
    from xbar.run.errors import UsageError

    jax.config.update("jax_enable_x64", True)
    name = "healthy" if healthy else "defective"
    try:
        run = load_run(source)
        network, sound = run.network(name, circuit), run.network("healthy", circuit)
        test = run.parts["test"][circuit]
    except (StoreError, ValueError) as error:
        raise UsageError(str(error)) from error
    count = len(network.layers)
    if layer is not None and layer >= count:
        raise UsageError(f"--layer: got {layer}, needs 0..{count - 1}")
    if images.stop > len(test):
        raise UsageError(f"images: got {images.stop}, needs at most {len(test)}, the test part")
    faults = {
        k: np.asarray(a.pairs.interleave() != b.pairs.interleave())
        for k, (a, b) in enumerate(zip(network.layers, sound.layers, strict=True))
    }
    part = "whole network" if layer is None else f"layer {layer}"
    title = f"{source}: {name} circuit {circuit}, {part}"
    return CircuitPart(network, layer, run.images[test[images]], faults, title)


def _netlist(chosen: CircuitPart, as_subckt: bool) -> str:
    from xbar.run.errors import UsageError
    from xbar.spice import array_netlist, layer_netlist, network_netlist, subckt
    from xbar.spice.layers import bare

    if chosen.broken_lines:
        if as_subckt:
            raise UsageError("--subckt: got a layer with broken or bridged lines, needs whole ones")
        array, volts = chosen.array()
        return array_netlist(array, volts[:, 0], title=chosen.title)
    if chosen.layer is None:
        return network_netlist(
            chosen.network, chosen.images[0], title=chosen.title, faults=chosen.faults
        )
    marked: dict[str, Any] = {"title": chosen.title, "faults": chosen.faults[chosen.layer]}
    if as_subckt:
        array = bare(chosen.network.layers[chosen.layer])
        return subckt(array, f"layer_{chosen.layer}", **marked)
    layer, volts = chosen.part()
    return layer_netlist(layer, volts[0], number=chosen.layer, **marked)


def _show(report: "Report", title: str) -> None:
    from importlib.metadata import version

    from rich.console import Console
    from rich.table import Table

    table = Table("quantity", "largest relative error", "where", "verdict")
    for row in report.rows:
        error = f"{row.error:.1e} (allowed {row.rtol:.0e})"
        table.add_row(row.quantity, error, row.where, row.verdict)
    console = Console()
    console.print(table)
    verdict = "agree" if report.agrees else "DISAGREE"
    console.print(
        f"{title}: xbar {version('xbar')} and ngspice {report.version} {verdict}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
