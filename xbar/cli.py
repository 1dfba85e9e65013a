"""The command line: `xbar demo`."""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="xbar",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Out = Annotated[Path, typer.Option(help="Folder for results; resumes an unfinished run there.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Start anew in the folder.")]


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


@app.command()
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


def main() -> None:
    """Run the command line; every foreseeable mistake is one line on stderr and exit code 2."""
    from xbar.studies.folder import UsageError

    try:
        status = app(standalone_mode=False)
    except typer.TyperException as error:
        # Typer's own click keeps the option's name out of str(); its classes are not public.
        _fail(getattr(error, "format_message", error.__str__)(), 2)
    except UsageError as error:
        _fail(str(error), 2)
    except (typer.Abort, KeyboardInterrupt):
        _fail("stopped; the same command goes on from here", 130)
    else:
        sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> None:
    print(f"xbar: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    sys.exit(status)
