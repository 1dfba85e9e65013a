"""What every command which computes into a folder shares: options, and what it turns on."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console


def path(text: str) -> Path:
    """A path from the command line; an empty one would mean the current folder."""
    if not text.strip():
        raise typer.BadParameter("got an empty text, needs a path")
    return Path(text)


def whole(least: int = 0, most: int = 2**63) -> Callable[[Any], int]:
    """A whole number from the command line; what is wrong with one is told with it."""

    def parsed(text: Any) -> int:  # Typer has the default parsed too
        needs = f"{least} or more" if most == 2**63 else f"{least} to {most}"
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            got = repr(text) if len(str(text)) <= 60 else f"{len(text)} characters"
            raise typer.BadParameter(f"got {got}, needs a whole number, {needs}")
        return number

    return parsed


def setting(text: str) -> Any:
    """An option that is a setting of its name; the settings say what is wrong with it."""
    return typer.Option(help=text, show_default=False, metavar="VALUE")


def file(text: str, *names: str, metavar: str = "FILE") -> Any:
    """An option that is a file or folder."""
    return typer.Option(*names, help=text, show_default=False, metavar=metavar, parser=path)


Text = str | None  # as `setting` takes it
Finished = Annotated[
    Path, typer.Argument(help="Folder of a finished run.", show_default=False, parser=path)
]
Out = Annotated[
    Path,
    typer.Option(
        parser=path, metavar="FOLDER", help="Folder for results; resumes an unfinished run there."
    ),
]
Seed = Annotated[
    int, typer.Option(parser=whole(0, 2**32 - 1), metavar="N", help="Seed of all randomness.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Start anew in the folder; removes what a run made.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change any setting, such as seed=3 or defects.coverage=0.2; may be repeated.",
        show_default=False,
    ),
]
Cache = Annotated[
    bool,
    typer.Option(
        "--cache/--no-cache", help="Keep compiled programs in the user's cache folder, or not."
    ),
]


def start(cache: bool) -> "Console":
    """Where a command prints; from here on, what JAX compiles is kept unless told otherwise."""
    import warnings

    from rich.console import Console

    from xbar.compile_cache import keep_compiled

    # Two processes may meet at an entry; JAX then compiles anew.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache entry")
    console = Console()
    if cache:
        try:
            keep_compiled()
        except OSError as error:
            Console(stderr=True).print(
                f"compiled programs are not kept: {error}", markup=False, highlight=False
            )
    return console
