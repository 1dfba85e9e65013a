"""ngspice's binary raw files, read at full precision.

A file is one or more plots: a header of text lines, `Binary:`, then the numbers, float64 in the
machine's byte order, point by point. An operating point has one point of real numbers.

The readers on PyPI do not fit: spicelib and PySpice are GPL and cannot be a dependency of an Apache
package, ltspice reads LTspice's format.
"""

import re
from typing import NamedTuple

import numpy as np

from xbar.spice.errors import NgspiceTruncated


class Plot(NamedTuple):
    """One operating point."""

    name: str  # such as "Operating Point"
    values: dict[str, float]  # "w_0_3" [V] for a node, "i:vin_0" [A] for a source's current


def read_plots(data: bytes) -> list[Plot]:
    """The operating points in a raw file, in order.

    Args:
        data: the file's bytes.

    Raises:
        NgspiceTruncated: the file ends early, or is not of this format.
    """
    plots, at = [], 0
    while at < len(data):
        mark = data.find(b"Binary:\n", at)
        if mark < 0:
            raise NgspiceTruncated("ngspice's results end within a header")
        header = data[at:mark].decode("ascii", "replace")
        at = mark + len(b"Binary:\n")
        names = _names(header)
        block = data[at : at + 8 * len(names)]
        if len(block) < 8 * len(names):
            raise NgspiceTruncated(
                f"ngspice's results end after {len(block) // 8} of {len(names)} numbers"
            )
        at += len(block)
        numbers = np.frombuffer(block, np.float64).tolist()
        plots.append(Plot(_field(header, "Plotname"), dict(zip(names, numbers, strict=True))))
    return plots


def _names(header: str) -> list[str]:
    if _field(header, "Flags") != "real" or _field(header, "No. Points") != "1":
        raise NgspiceTruncated("ngspice's results are not one real operating point per plot")
    lines = header.partition("Variables:\n")[2].splitlines()
    count = int(_field(header, "No. Variables"))
    if len(lines) != count:
        raise NgspiceTruncated(f"ngspice's results name {len(lines)} of {count} variables")
    return [_plain(line.split()[1]) for line in lines]


def _field(header: str, name: str) -> str:
    found = re.search(rf"^{re.escape(name)}: *(.*?) *$", header, re.MULTILINE)
    if found is None:
        raise NgspiceTruncated(f"ngspice's results have no line {name!r}")
    return found[1]


def _plain(variable: str) -> str:
    """`v(w_0_3)` -> `w_0_3`, `i(vin_0)` -> `i:vin_0`; other names as they are."""
    found = re.fullmatch(r"([vi])\((.+)\)", variable)
    if found is None:
        return variable
    return found[2] if found[1] == "v" else f"i:{found[2]}"
