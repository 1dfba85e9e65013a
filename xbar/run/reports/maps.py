"""Maps of arrays in a report that answer to the mouse: each cell says where it is and what it has.

The page holds the numbers, to three digits, and a script of its own (templates/maps.js); nothing
is fetched from elsewhere.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

DIGITS = 3  # of the numbers in the page
MOST = 200_000  # numbers in a page, about 1.5 MB; arrays past that are left out


class CellMap(NamedTuple):
    """One array's cells, with any number of quantities.

    Args:
        title: of the map.
        quantities: by name with its unit, such as "conductance [µS]", (rows, columns) each.
    """

    title: str
    quantities: Mapping[str, Any]


def as_json(maps: Sequence[CellMap]) -> str:
    """What the script reads, safe inside a page; maps past `MOST` numbers are left out."""
    kept, total = [], 0
    for found in maps:
        arrays = {name: np.asarray(values, float) for name, values in found.quantities.items()}
        total += sum(array.size for array in arrays.values())
        if total > MOST:
            break
        rows, columns = next(iter(arrays.values())).shape
        shown = {"title": found.title, "rows": rows, "columns": columns}
        kept.append(shown | {"quantities": {name: _numbers(a) for name, a in arrays.items()}})
    return json.dumps(kept, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")


def _numbers(array: np.ndarray) -> list[float | None]:
    """Row by row; None where there is none."""
    return [float(f"{x:.{DIGITS}g}") if np.isfinite(x) else None for x in array.ravel()]
