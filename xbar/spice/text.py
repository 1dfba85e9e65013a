r"""How numbers, comments and names are written into a netlist.

What a caller supplies as text (a title, a path) reaches a netlist only through `comment` and
`identifier`: ngspice would take a line break for the end of the comment, `*#` for a command, a
trailing `\\` for a continuation.
"""

import re
from typing import Any

import numpy as np

LONGEST_COMMENT = 200  # characters; only keeps a pasted file from filling the netlist


def number(value: Any) -> str:
    """A float64 with the 17 digits that identify it."""
    return f"{float(value):.17g}"


def comment(text: str) -> str:
    """A comment line of printable ASCII, whatever the text is."""
    flat = " ".join(text.split())
    safe = "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in flat)
    # The blank keeps a text that starts with # from becoming ngspice's command mark, *#.
    return f"* {safe[:LONGEST_COMMENT]}"


def identifier(argument: str, name: str) -> str:
    """The name in lower case, as ngspice reads it.

    Raises:
        ValueError: not a letter followed by letters, digits and underscores.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ValueError(
            f"{argument}: got {name!r}, needs a letter, then letters, digits and underscores"
        )
    return name.lower()


def ranges(numbers: Any) -> str:
    """Whole numbers, at least one, in words: `0 to 7`, or `8` for a single one."""
    first, last = int(np.min(numbers)), int(np.max(numbers))
    return f"{first}" if first == last else f"{first} to {last}"
