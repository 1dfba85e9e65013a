"""The command line. One file per command; what they compute is in `xbar.run`."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from xbar.cli.demo import demo
from xbar.cli.paper import paper
from xbar.cli.sensitivity import sensitivity
from xbar.cli.spice import spice
from xbar.cli.study import study

app = typer.Typer(
    name="xbar",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


STOPPED = "stopped; the same command goes on from here"


def _version(wanted: bool | None) -> None:
    if wanted:
        typer.echo(f"xbar {version('xbar')}")
        raise typer.Exit


@app.callback()
def _main(
    _show_version: Annotated[
        bool | None,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = None,
) -> None:
    """A differentiable simulator of ReRAM crossbar circuits."""


app.command("demo")(demo)
app.command("paper")(paper)
app.command("study")(study)
app.command("sensitivity")(sensitivity)
app.add_typer(spice, name="spice")


def main() -> None:
    """Run the command line; every foreseeable mistake is one line on stderr and exit code 2."""
    from xbar.io.store import StoreError
    from xbar.run.errors import UsageError

    try:
        arguments = sys.argv[1:]
        if arguments in ([], ["spice"]):  # groups of commands: alone, they show what there is
            arguments.append("--help")
        status = app(arguments, prog_name="xbar", standalone_mode=False)
    except typer.TyperException as error:
        # Typer's own click keeps the option's name out of str(); its classes are not public.
        _fail(getattr(error, "format_message", error.__str__)(), 2)
    except (UsageError, StoreError) as error:
        _fail(str(error), 2)
    except OSError as error:  # such as a disk that is full
        _fail(str(error), 1)
    except (typer.Abort, KeyboardInterrupt):
        _fail(STOPPED, 130)
    else:
        if status == 130:  # what Typer makes of Ctrl-C in a command
            _fail(STOPPED, 130)
        sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> None:
    for line in message.splitlines():
        print(f"xbar: {' '.join(line.split())}", file=sys.stderr)  # noqa: T201
    sys.exit(status)
