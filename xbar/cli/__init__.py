"""The command line. One file per command; what they compute is in `xbar.run`.

Nothing here loads JAX before a command needs it, so that every `--help` is there at once.
"""

import sys
from typing import Annotated, NoReturn

import typer

from xbar.cli.demo import demo
from xbar.cli.paper import paper
from xbar.cli.sensitivity import sensitivity
from xbar.cli.show import presets, show
from xbar.cli.spice import spice
from xbar.cli.study import study

app = typer.Typer(name="xbar", rich_markup_mode=None, pretty_exceptions_enable=False)
LONGEST = 600  # characters of a message; a wrong value may be a book
STOPPED = "stopped; the same command goes on from here"


def _version(wanted: bool | None) -> None:
    if wanted:
        from xbar import __version__

        typer.echo(f"xbar {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    _show_version: Annotated[
        bool | None,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = None,
) -> None:
    """A differentiable simulator of ReRAM crossbar circuits.

    First steps: `xbar demo --out runs/demo`, then look at runs/demo/report.html.
    """


# Short enough to stand whole beside the names at 80 columns.
app.command("demo", short_help="Train, map to arrays, break one, solve exactly, correct.")(demo)
app.command("study", short_help="Run a sweep that a file describes; go on with it.")(study)
app.command("sensitivity", short_help="Say which cells of a network matter.")(sensitivity)
app.command("show", short_help="Print what a run found; verify its checksums.")(show)
app.command("presets", short_help="List windows, shapes and faults with their values.")(presets)
app.add_typer(spice, name="spice", short_help="Netlists of a run, and ngspice's verdict.")
app.command("paper", short_help="Do the published study again, and judge its claims.")(paper)


def main() -> None:
    """Run the command line; every foreseeable mistake is one line on stderr and exit code 2."""
    try:
        arguments = sys.argv[1:]
        if arguments in ([], ["spice"]):  # groups of commands: alone, they show what there is
            arguments.append("--help")
        status = app(arguments, prog_name="xbar", standalone_mode=False)
    except typer.TyperException as error:
        # Typer's own click keeps the option's name out of str(); its classes are not public.
        _fail(getattr(error, "format_message", error.__str__)(), 2)
    except (typer.Abort, KeyboardInterrupt):
        _fail(STOPPED, 130)
    except Exception as error:  # noqa: BLE001 - the last net: whatever it is, one line
        _fail(*_told(error))
    else:
        if status == 130:  # what Typer makes of Ctrl-C in a command
            _fail(STOPPED, 130)
        sys.exit(status if isinstance(status, int) else 0)


def _told(error: Exception) -> tuple[str, int]:
    """What to say of an error, and the exit code."""
    from xbar.io.store import StoreError
    from xbar.run.errors import UsageError

    if isinstance(error, UsageError | StoreError):
        return str(error), 2
    if isinstance(error, OSError) and error.strerror:  # such as a disk that is full
        name = error.filename2 or error.filename
        return f"{name}: {error.strerror}" if name else error.strerror, 1
    if isinstance(error, MemoryError):
        return f"not enough memory ({error or 'no more is said'})", 1
    from xbar.cli.crash import write_log

    first = (str(error).splitlines() or [""])[0][:200]
    return f"unexpected {type(error).__name__}: {first}; please send in {write_log(error)}", 1


def _fail(message: str, status: int) -> NoReturn:
    for line in message.splitlines() or [""]:
        text = " ".join(line.split())
        text = text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text):,} characters)"
        print(f"xbar: {text}", file=sys.stderr)  # noqa: T201
    sys.exit(status)
