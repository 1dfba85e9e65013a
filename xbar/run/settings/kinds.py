"""Types of settings: one value or a list of those, kept as a tuple."""

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Discriminator, Tag

from xbar.devices.mapping import Scheme


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
