"""Study files: TOML <-> `Study`, with all that is wrong named at once.

Pydantic checks: it reads standard dataclasses, collects every error with its place, and can refuse
unknown keys. Its strict JSON mode takes no text for numbers and no number for a yes or no.
"""

import json
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import TypeAdapter, ValidationError

from xbar.devices import SHAPES
from xbar.io.datasets import DATASETS
from xbar.run.chunks import RESERVED
from xbar.run.config import CorrectorSettings, DefectSettings, Study, values
from xbar.run.errors import StudyError, UsageError
from xbar.run.faults import (
    FAULTS,
    check_coverage,
    check_stuck,
    check_window,
    in_range,
    one_of,
)

_STUDY = TypeAdapter(Study)


def read_study(path: Path | str) -> Study:
    """The study that a TOML file describes, checked whole.

    Args:
        path: the file; files that it names lie beside it.

    Returns:
        The study; paths in it are as written.

    Raises:
        StudyError: a line for every problem in it.
        UsageError: the file cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"{path}: cannot be read ({reason})") from error
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError([f"{path}: got a file that is not TOML: {error}"]) from error
    try:
        return study_from(tree)
    except StudyError as error:
        raise StudyError([f"{path}: {problem}" for problem in error.problems]) from error


def write_study(study: Study) -> str:
    """The study as TOML; `read_study` of it gives an equal study."""
    return tomli_w.dumps(checked(study).as_dict())


def checked(study: Study) -> Study:
    """The study in its one form (swept settings as tuples), after all checks.

    Raises:
        StudyError: a line for every problem in it.
    """
    return study_from(study.as_dict())


def study_from(tree: dict[str, Any]) -> Study:
    """A study from nested dictionaries; errors as `checked`."""
    for name in ("defects", "correctors"):  # one table will do for a list of one
        if isinstance(tree.get(name), dict):
            tree = {**tree, name: [tree[name]]}
    try:
        study = _STUDY.validate_json(json.dumps(tree, default=str), strict=True)
    except ValidationError as error:
        raise StudyError(_sentences(error)) from error
    if problems := list(_problems(study)):
        raise StudyError(problems)
    return study


def _sentences(error: ValidationError) -> list[str]:
    found: dict[str, str] = {}
    for problem in error.errors(include_url=False):
        place = _place(problem["loc"])
        if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            sentence = "got a key that is not known"
        else:
            got = json.dumps(problem["input"], default=str)
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
        elif part.isidentifier() and part not in ("int", "float", "str", "literal"):
            text += f".{part}" if text else part
    return text or "the study"


def _problems(study: Study) -> Iterator[str]:
    """What pydantic cannot know: ranges, and settings that have to fit each other."""
    yield from in_range("seed", study.seed, 0 <= study.seed < 2**32, "0 to 4294967295")
    yield from in_range("seeds", study.seeds, study.seeds >= 1, "at least 1")
    shares = study.data.fractions
    fits = min(shares) > 0 and abs(sum(shares) - 1) < 1e-9
    yield from in_range("data.fractions", list(shares), fits, "three above 0 that add up to 1")
    yield from one_of("data.name", study.data.name, DATASETS)
    lone = study.data.test_file is not None and study.data.file is None
    yield from in_range("data.test_file", "one", not lone, "data.file beside it")
    yield from _sizes("network.hidden", study.network.hidden)
    for number, window in enumerate(values(study.circuit.window)):
        yield from check_window(f"circuit.window[{number}]", window)
    for number, ohm in enumerate(values(study.circuit.wire_ohm)):
        needs = "a finite resistance >= 0 [ohm]"
        yield from in_range(f"circuit.wire_ohm[{number}]", ohm, 0 <= ohm < float("inf"), needs)
    for name in ("gain", "rail"):
        value = getattr(study.circuit, name)
        yield from in_range(f"circuit.{name}", value, value is None or value > 0, "above 0")
    yield from in_range("defects", "none", len(study.defects) > 0, "at least one")
    layers = None if study.network.file else len(study.network.hidden) + 1
    for number, defect in enumerate(study.defects):
        yield from _defect_problems(f"defects[{number}]", defect, layers)
    yield from _corrector_problems(study.correctors)
    yield from _repeated("references", study.references)
    for name in ("chunk", "lanes", "train_lanes"):
        value = getattr(study.run, name)
        yield from in_range(f"run.{name}", value, value >= 1, "at least 1")
    images = study.store.images
    yield from in_range("store.images", images, images is None or images >= 1, "at least 1")
    for name in ("window", "wire_ohm", "mapping"):
        yield from _swept(f"circuit.{name}", values(getattr(study.circuit, name)))


def _defect_problems(place: str, defect: DefectSettings, layers: int | None) -> Iterator[str]:
    for shape in values(defect.shape):
        yield from one_of(f"{place}.shape", shape, SHAPES)
    for coverage in () if defect.coverage is None else values(defect.coverage):
        for shape in values(defect.shape):
            yield from check_coverage(f"{place}.coverage", shape, coverage)
    for layer in () if defect.layer is None else values(defect.layer):
        most = float("inf") if layers is None else layers - 1
        needs = "0 or more" if layers is None else f"0 to {most}"
        yield from in_range(f"{place}.layer", layer, 0 <= layer <= most, needs)
    for fault in values(defect.fault):
        yield from one_of(f"{place}.fault", fault, FAULTS)
        for stuck in () if defect.stuck is None else values(defect.stuck):
            yield from check_stuck(f"{place}.stuck", fault, str(stuck))
    if defect.stuck_window is not None:
        yield from check_window(f"{place}.stuck_window", defect.stuck_window)
    count = defect.placements
    yield from in_range(f"{place}.placements", count, count >= 1, "at least 1")
    for name in ("shape", "coverage", "layer", "fault", "stuck"):
        if (setting := getattr(defect, name)) is not None:
            yield from _swept(f"{place}.{name}", values(setting))


def _corrector_problems(correctors: Sequence[CorrectorSettings]) -> Iterator[str]:
    for number, corrector in enumerate(correctors):
        place = f"correctors[{number}]"
        yield from _sizes(f"{place}.hidden", corrector.hidden)
        yield from in_range(f"{place}.steps", corrector.steps, corrector.steps >= 1, "at least 1")
        both = corrector.bias_only and corrector.diagonal
        yield from in_range(f"{place}.diagonal", "true beside bias_only", not both, "one of them")
        size = corrector.batch_size
        yield from in_range(f"{place}.batch_size", size, size is None or size >= 1, "at least 1")
        label = corrector.label
        fits = bool(label.strip()) and "/" not in label and label not in RESERVED
        needs = f"a name without '/', and none of {', '.join(RESERVED)}"
        yield from in_range(f"{place}.name", repr(label), fits, needs)
    yield from _repeated("correctors", [corrector.label for corrector in correctors])


def _sizes(name: str, sizes: Sequence[int]) -> Iterator[str]:
    yield from in_range(name, list(sizes), all(n >= 1 for n in sizes), "sizes of at least 1")


def _swept(name: str, swept: Sequence[Any]) -> Iterator[str]:
    yield from in_range(name, "an empty list", len(swept) > 0, "at least one value")
    yield from _repeated(name, swept)


def _repeated(name: str, items: Sequence[Any]) -> Iterator[str]:
    for item in sorted({str(item) for item in items if list(items).count(item) > 1}):
        yield f"{name}: got {item} twice, needs each once"
