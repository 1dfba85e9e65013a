"""What every command which computes into a folder shares: options, and how it fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option(help="Folder for results; resumes an unfinished run there.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of all randomness.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Start anew in the folder.")]


@contextmanager
def failing(*kinds: type[Exception]) -> Iterator[None]:
    """Errors of these kinds are the user's to put right: one line, exit code 2, no traceback."""
    from xbar.run.errors import UsageError

    try:
        yield
    except kinds as error:
        raise UsageError(str(error)) from error
