"""Settings from TOML files, from `--set` and from Python, with all that is wrong named at once.

Pydantic checks types and unknown keys: it reads standard dataclasses and collects every error with
its place. Its strict JSON mode takes no text for numbers and no number for a yes or no. What it
cannot know, the settings' own `problems` say.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import tomli_w
from pydantic import TypeAdapter, ValidationError

from xbar.io.writing import read_bytes
from xbar.run.errors import StudyError, UsageError
from xbar.run.settings.checks import shortened
from xbar.run.settings.study import Study


@runtime_checkable
class _Checkable(Protocol):
    def as_dict(self) -> dict[str, Any]: ...

    def problems(self) -> Iterator[str]: ...


Settings = TypeVar("Settings", bound=_Checkable)
DEEPEST = 20  # tables in tables; settings have three levels
LARGEST = 2**63  # of whole numbers, as most programs have them
_BRANCH = re.compile(r"(literal|tuple|function-[a-z-]+|tagged-union|nullable)\[")  # of a union
_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)(?:\[(\d{1,4})\])?")


def read_study(path: Path | str, changes: Iterable[str] = ()) -> Study:
    """The study that a TOML file describes, checked whole.

    Args:
        path: the file; files that it names lie beside it.
        changes: settings in place of the file's, such as "defects.coverage=0.2"; see `changed`.

    Returns:
        The study; paths in it are as written.

    Raises:
        StudyError: a line for every problem in it.
        UsageError: the file cannot be read, or a change is not understood.
    """
    tree = changed(read_toml(Path(path)), changes)
    try:
        return settings_from(Study, tree)
    except StudyError as error:
        raise StudyError([f"{path}: {problem}" for problem in error.problems]) from error


def write_study(study: Study) -> str:
    """The study as TOML; `read_study` of it gives an equal study."""
    return tomli_w.dumps(checked(study).as_dict())


def checked(settings: Settings) -> Settings:
    """Settings in their one form (swept ones as tuples), after all checks; errors as below."""
    return settings_from(type(settings), settings.as_dict())


def settings_from(kind: type[Settings], tree: Mapping[str, Any]) -> Settings:
    """Settings from nested dictionaries.

    Args:
        kind: their class.
        tree: as TOML has them; one table will do for a list of one.

    Returns:
        The settings in their one form, checked.

    Raises:
        StudyError: a line for each wrong type and unknown key; without those, a line for each value
            that cannot be.
    """
    for name in ("defects", "correctors"):
        if isinstance(tree.get(name), dict):
            tree = {**tree, name: [tree[name]]}
    if problems := list(_unreasonable(tree)):
        raise StudyError(problems)
    try:
        text = json.dumps(tree, default=str)
        found: Settings = _adapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        raise StudyError(_sentences(error)) from error
    if problems := list(found.problems()):
        raise StudyError(problems)
    return found


@cache
def _adapter(kind: type[Any]) -> Any:
    return TypeAdapter(kind)


def _unreasonable(tree: Any, place: str = "", depth: int = 0) -> Iterator[str]:
    """Numbers and nesting that no setting needs, and that Python would choke on."""
    if depth > DEEPEST:
        yield f"{shortened(place)}: got more than {DEEPEST} levels of tables or lists, needs fewer"
    elif isinstance(tree, dict):
        for name, item in tree.items():
            yield from _unreasonable(item, f"{place}.{name}" if place else name, depth + 1)
    elif isinstance(tree, list | tuple):
        for number, item in enumerate(tree):
            yield from _unreasonable(item, f"{place}[{number}]", depth + 1)
    elif isinstance(tree, int) and abs(tree) >= LARGEST:
        yield f"{place}: got {shortened(tree)}, needs less than 2^63; larger ones as 1e30"


def _sentences(error: ValidationError) -> list[str]:
    found: dict[str, str] = {}
    for problem in error.errors(include_url=False):
        place = _place(problem["loc"])
        if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            sentence = "got a key that is not known"
        elif problem["type"] == "missing":  # of a pair; Pydantic's words are of a field
            sentence = "got none, needs a value"
        else:
            got = shortened(json.dumps(problem["input"], default=str))
            needs = problem["msg"].removeprefix("Input should be ")
            sentence = f"got {got}, needs {needs}"
        found.setdefault(place, f"{place}: {sentence}")
    return list(found.values())


def _place(loc: Sequence[str | int]) -> str:
    """Such as `defects[1].coverage[0]`; names of a union's members are left out."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part not in ("int", "float", "str", "many") and not _BRANCH.match(part):
            word = part if re.fullmatch(r"[\w-]+", part) else json.dumps(part)
            text += f".{word}" if text else word
    return shortened(text) or "the study"


# --- files, and changes on the command line -----------------------------------------------------


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file holds.

    Raises:
        UsageError: it cannot be read.
        StudyError: it is not TOML, or nested or counting beyond reason.
    """
    try:
        tree = _parsed(read_bytes(path).decode())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: cannot be read (it is not UTF-8 text)") from error
    except ValueError as error:
        raise StudyError([f"{path}: got a file that is not TOML: {error}"]) from error
    if problems := [f"{path}: {problem}" for problem in _unreasonable(tree)]:
        raise StudyError(problems)
    return tree


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def changed(tree: Mapping[str, Any], changes: Iterable[str]) -> dict[str, Any]:
    """Settings with some of them changed.

    Args:
        tree: nested dictionaries as TOML has them; it is left as it is.
        changes: "KEY=VALUE" each. A key is such as "seeds", "defects.coverage" (of every
            `[[defects]]`, or of one that is made) or "defects[1].coverage". A value is TOML, or
            the text itself where it is not TOML: 0.2, [0.1, 0.2], ring, 10k:1M. An empty value
            takes the setting away, so that its default holds.

    Returns:
        The changed settings.

    Raises:
        UsageError: a change is not understood.
    """
    found = deepcopy(dict(tree))
    for change in changes:
        key, equals, text = change.partition("=")
        parts = [_KEY.fullmatch(part.strip()) for part in key.split(".")]
        if not equals or not all(parts) or len(parts) > DEEPEST:
            raise UsageError(
                f"--set: got {shortened(repr(change))}, needs KEY=VALUE, such as "
                "defects.coverage=0.2"
            )
        path = [(part[1], None if part[2] is None else int(part[2])) for part in parts if part]
        _put(found, path, _value(text.strip()), key)
    return found


def quoted(text: str) -> str:
    """A text as a value of a change, whatever is in it."""
    return tomli_w.dumps({"text": text}).removeprefix("text = ").rstrip("\n")


def _value(text: str) -> Any:
    """A value as TOML has it, else the text; None for nothing."""
    if not text:
        return None
    try:
        found = _parsed(f"value = {text}")
    except ValueError:
        return text
    return found["value"] if list(found) == ["value"] else text


def _put(tree: dict[str, Any], path: list[tuple[str, int | None]], value: Any, key: str) -> None:
    (name, number), rest = path[0], path[1:]
    if not rest and number is None:
        tree[name] = value
        if value is None:
            del tree[name]
        return
    below = tree.setdefault(name, {})
    entries = below if isinstance(below, list) else [below]
    if number is not None and number >= len(entries):
        raise UsageError(f"--set {key}: got number {number}, needs 0 to {len(entries) - 1}")
    if not rest:
        tree[name] = [v if k != number else value for k, v in enumerate(entries)]
        return
    for entry in entries if number is None else [entries[number]]:
        if not isinstance(entry, dict):
            raise UsageError(f"--set {key}: got a key below {name}, which is no table")
        _put(entry, rest, value, key)
