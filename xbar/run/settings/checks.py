"""Types of settings, and checks: each yields what is wrong in one sentence, its place first.

A swept setting is one value or a list of those, kept as a tuple.
"""

import math
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Discriminator, Tag

from xbar.devices.mapping import Scheme

LONGEST_NAME = 80  # of what becomes names of files and of columns


def in_range(name: str, value: Any, fits: bool, needs: str) -> Iterator[str]:
    """A value that has to fit."""
    if not fits:
        yield f"{name}: got {shortened(value)}, needs {needs}"


def one_of(name: str, value: str, known: Collection[str]) -> Iterator[str]:
    """A word that has to be known."""
    if value not in known:
        yield f"{name}: got {shortened(repr(value))}, needs one of {', '.join(known)}"


def sizes(name: str, found: Sequence[int], most: int) -> Iterator[str]:
    """Numbers of units in layers."""
    fits = all(1 <= n <= most for n in found)
    yield from in_range(name, list(found), fits, f"sizes of at least 1 and at most {most:,}")


def swept(name: str, items: Sequence[Any]) -> Iterator[str]:
    """Values of a setting that is swept."""
    yield from in_range(name, "an empty list", len(items) > 0, "at least one value")
    yield from repeated(name, items)


def repeated(name: str, items: Sequence[Any]) -> Iterator[str]:
    """Things that have to differ."""
    for item in sorted({str(item) for item in items if list(items).count(item) > 1}):
        yield f"{name}: got {shortened(item)} twice, needs each once"


def plain_name(place: str, name: str, taken: Collection[str] = ()) -> Iterator[str]:
    """A name that files, tables and reports can carry."""
    fits = (
        0 < len(name) <= LONGEST_NAME
        and name == name.strip()
        and name not in (".", "..", *taken)
        and "/" not in name
        and not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name)
    )
    needs = f"a name of at most {LONGEST_NAME} printable characters without '/'"
    needs += f", and none of {', '.join(taken)}" if taken else ""
    yield from in_range(place, repr(name), fits, needs)


def has_conductance(ohm: float) -> bool:
    """Whether a resistance and its inverse are finite and above 0."""
    return 0 < ohm < math.inf and 0 < 1 / ohm < math.inf


def shortened(value: Any, most: int = 60) -> str:
    """A value as text of a length that a sentence can hold."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**most:
        return f"a whole number of about {int((value.bit_length() - 1) * math.log10(2)) + 1} digits"
    text = str(value)
    return text if len(text) <= most else f"{text[: most - 3]}... ({len(text):,} characters)"


def values(setting: Any) -> tuple[Any, ...]:
    """The values of a swept setting."""
    return tuple(setting) if isinstance(setting, list | tuple) else (setting,)


def _text(value: Any) -> Any:
    """A resistance may be written as a number; it is kept as text, as the command line has it."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:g}" if plain else value


# One value is checked as a list of one, so that each problem is named once.
_LISTED, _MANY = BeforeValidator(values), Discriminator(lambda _: "many")
Words = Annotated[
    Annotated[str, Tag("one")] | Annotated[tuple[str, ...], Tag("many")], _MANY, _LISTED
]
Integers = Annotated[
    Annotated[int, Tag("one")] | Annotated[tuple[int, ...], Tag("many")], _MANY, _LISTED
]
Number = float | int
Numbers = Annotated[
    Annotated[Number, Tag("one")] | Annotated[tuple[Number, ...], Tag("many")], _MANY, _LISTED
]
Schemes = Annotated[
    Annotated[Scheme, Tag("one")] | Annotated[tuple[Scheme, ...], Tag("many")], _MANY, _LISTED
]
StuckWords = Annotated[
    Annotated[str | Number, Tag("one")]
    | Annotated[tuple[Annotated[str | Number, BeforeValidator(_text)], ...], Tag("many")],
    _MANY,
    _LISTED,
]
# Defaults are brought into the one form too, so that a setting left out equals its default.
FORBID = ConfigDict(extra="forbid", validate_default=True, revalidate_instances="always")
