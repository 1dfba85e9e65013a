"""Cells of a study: laws by name, their parameters, and how many inputs are read.

A law is a class of `xbar.cells.families.FAMILIES`, and its parameters are settings here: a new law
is an entry there, and nothing here.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, make_dataclass, replace
from itertools import product
from math import prod
from typing import Any

import numpy as np

from xbar.cells.families import FAMILIES, OHMIC, bent, family, parameters_of
from xbar.nn.corrected import ReadMode
from xbar.run.settings.checks import (
    FORBID,
    Numbers,
    Words,
    in_range,
    one_of,
    shortened,
    swept,
    values,
)

LAWS = (OHMIC, *FAMILIES)
ABSENT = math.inf  # of a parameter that a law does not have

# Unit and meaning of the columns that a table has where a study names laws.
PARAMETERS = {name: about for law in FAMILIES for name, about in parameters_of(law).items()}
CELL_AXES: dict[str, tuple[str, str]] = {"law": ("1", "law of the cells")} | {
    name: (about["unit"], f"{about['about']}; inf where the law has none")
    for name, about in PARAMETERS.items()
}

# The fields of `CellSettings`: law, read, and between them one for each parameter of any law.
_Fields: Any = make_dataclass(
    "_Fields",
    [
        ("law", Words, "sinh"),
        *((name, Numbers | None, None) for name in PARAMETERS),
        ("read", ReadMode, "exact"),
    ],
    frozen=True,
)


@dataclass(frozen=True)
class CellSettings(_Fields):
    """What cells are that are not resistors, or not only.

    Args:
        law: *swept*, of `LAWS`; each with its own parameters, of which all combinations are taken.
        v_0: of "sinh", *swept* [V]; infinite is a resistor. So with every parameter of every law:
        i_s: of "selector", *swept* [A].
        v_s: of "selector", *swept* [V].
        beta: of "transistor", *swept* [A/V^2].
        v_ov: of "transistor", *swept* [V].
        read: "exact" solves every array for every input; "corrected" takes corrected transfer
            matrices and stores their measured error (see `xbar.corrected_currents`).
    """

    __pydantic_config__ = FORBID

    def problems(self, line_faults: Sequence[str]) -> Iterator[str]:
        """What cannot be, in sentences.

        Args:
            line_faults: those of the study.
        """
        laws = values(self.law)
        yield from swept("cells.law", laws)
        for number, law in enumerate(laws):
            yield from one_of(f"cells.law[{number}]", law, LAWS)
        known = [law for law in laws if law in LAWS]
        for name in PARAMETERS:
            yield from self._of_parameter(name, [law for law in known if _has(law, name)])
        fits = self.read == "exact" or not line_faults
        needs = f"exact beside faults of lines ({', '.join(line_faults)})"
        yield from in_range("cells.read", self.read, fits, needs)

    def _of_parameter(self, name: str, laws: Sequence[str]) -> Iterator[str]:
        """What is wrong with a parameter that these of the study's laws have."""
        place, given = f"cells.{name}", getattr(self, name)
        owners = " or ".join(law for law in FAMILIES if _has(law, name))
        if given is None:
            needs = f"at least one value for {' and '.join(laws)} cells"
            yield from in_range(place, "none", not laws, needs)
            return
        found = values(given)
        yield from swept(place, found)
        yield from in_range(place, list(found), bool(laws), f"{owners} among cells.law")
        for number, value in enumerate(found):
            for law in laws:
                if problem := _refused(law, name, value):
                    yield f"{place}[{number}]: got {shortened(value)}, {problem}"

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of these cells: the law, and parameters of any of the laws."""
        laws = values(self.law)
        own = (name for name in PARAMETERS if any(_has(law, name) for law in laws))
        return ("law", *own)

    @property
    def one_of_each(self) -> "CellSettings":
        """The same laws at one combination of parameters each; with and without a bend."""
        given = {name: getattr(self, name) for name in PARAMETERS}
        one = {n: (min(values(found)),) for n, found in given.items() if found is not None}
        if "v_0" in one and math.inf in values(self.v_0):
            one["v_0"] = tuple({*one["v_0"], math.inf})
        return replace(self, **one)

    @property
    def count(self) -> int:
        """Number of combinations, whether they can be or not."""
        return sum(
            prod(len(values(getattr(self, name))) for name in parameters_of(law))
            for law in values(self.law)
        )

    @property
    def combinations(self) -> list[tuple[Any, ...]]:
        """The cells of the study, a value for each of `names`."""
        return [
            (law, *map(float, point))
            for law in values(self.law)
            for point in product(
                *(
                    values(getattr(self, name)) if _has(law, name) else (ABSENT,)
                    for name in self.names[1:]
                )
            )
        ]


def _has(law: str, name: str) -> bool:
    return name in parameters_of(law)


def _refused(law: str, name: str, value: Any) -> str | None:
    """Why a law does not take a value, after "got ...": what it needs instead."""
    if name == "v_0" and value == math.inf:
        return None
    try:
        family(law, {n: value if n == name else 1.0 for n in parameters_of(law)})
    except ValueError as error:
        return str(error).rpartition(", needs ")[2].join(("needs ", ""))
    return None


def laws_of(table: Mapping[str, np.ndarray]) -> np.ndarray:
    """The law that each row of a table is computed with; see `bent`."""
    count = len(table["seed"])
    if "law" not in table:
        return np.full(count, OHMIC)
    v_0 = table.get("v_0", np.full(count, ABSENT))
    return np.array([bent(*row) for row in zip(table["law"].tolist(), v_0.tolist(), strict=True)])


def parameters_in(table: Mapping[str, np.ndarray], law: str) -> dict[str, np.ndarray]:
    """The parameters of rows that are all computed with one law."""
    return {name: table[name] for name in parameters_of(law)}
