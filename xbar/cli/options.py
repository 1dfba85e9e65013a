"""Options that every command which computes into a folder has."""

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option(help="Folder for results; resumes an unfinished run there.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Start anew in the folder.")]
