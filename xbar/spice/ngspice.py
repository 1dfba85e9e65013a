"""Find ngspice, run a netlist in it, read what it found; each thing that can go wrong is an error.

A netlist runs in a temporary folder, in batch mode, without the user's start-up file, without a
shell, under a time limit. Several operating points come from one netlist by altering elements in
between, so that it is parsed once.
"""

import math
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from xbar.spice.text import identifier, number


class SpiceError(RuntimeError):
    """ngspice gave no usable result; the base of the errors below."""


class NgspiceMissing(SpiceError):  # noqa: N818
    """There is no ngspice where one was looked for."""


class NgspiceTooOld(SpiceError):  # noqa: N818
    """The ngspice found is older than what xbar is checked against, or does not say."""


class NgspiceTimeout(SpiceError):  # noqa: N818
    """ngspice did not finish in the time it was given, and was killed."""


class NgspiceCrashed(SpiceError):  # noqa: N818
    """ngspice ended with an error."""


class NgspiceNoConvergence(SpiceError):  # noqa: N818
    """ngspice found no operating point, or one that is not finite."""


class NgspiceTruncated(SpiceError):  # noqa: N818
    """The results are missing or end too early."""


VARIABLE = "XBAR_NGSPICE"
OLDEST = 39  # what Debian 12 has, and what the tests compare with
KEPT_OUTPUT = 64 * 1024  # bytes of those of ngspice's messages that matter
MATTERS = re.compile(rb"error|warning|abort|transient op|time.* = |ngspice-", re.I)
# After these ngspice may go on to "succeed": with conductances to ground that it added, at the end
# of a transient, with a resistor of its own choice. None is the circuit's operating point.
NOT_THE_CIRCUIT = ("singular matrix", "transient op started", "resistance to low", "aborted")
NOT_ALTERED = ("no such device", "no default parameter")


class Plot(NamedTuple):
    """One operating point."""

    name: str  # such as "Operating Point"
    values: dict[str, float]  # "w_0_3" [V] for a node, "i:vin_0" [A] for a source's current


class Ngspice(NamedTuple):
    """An ngspice that can be run."""

    path: str
    version: str  # such as "39" or "44.2"


class Readings(NamedTuple):
    """What ngspice found, one entry per operating point."""

    points: list[dict[str, float]]  # node -> [V], "i:" + source -> [A]
    version: str
    seconds: dict[str, float]  # ngspice's own account of its time


def find_ngspice(path: str | os.PathLike[str] | None = None) -> Ngspice:
    """The ngspice to use: the argument, else the variable XBAR_NGSPICE, else the one in PATH.

    Args:
        path: the program.

    Returns:
        Its path and version.

    Raises:
        NgspiceMissing: there is none, or it cannot be run.
        NgspiceTooOld: its version is below 39, or cannot be told.
    """
    wanted = path or os.environ.get(VARIABLE)
    found = shutil.which(os.fspath(wanted or "ngspice"))
    if found is None:
        where = f"at {os.fspath(wanted)!r}" if wanted else f"in PATH nor in {VARIABLE}"
        raise NgspiceMissing(
            f"ngspice: got none {where}, needs version {OLDEST} or newer "
            "(Debian, Ubuntu: apt install ngspice)"
        )
    # Absolute, since it runs in another folder.
    found = str(Path(found).absolute())
    status, text = _call([found, "--version"], Path.cwd(), 30.0)
    version = re.search(r"ngspice-(\d+(?:\.\d+)*)", text)
    if version is None:
        raise NgspiceTooOld(f"ngspice: got no version from {found!r} (status {status})")
    if int(version[1].split(".")[0]) < OLDEST:
        raise NgspiceTooOld(f"ngspice: got version {version[1]}, needs {OLDEST} or newer")
    return Ngspice(found, version[1])


def run_netlist(
    netlist: str,
    alterations: Sequence[Mapping[str, float]] = ({},),
    *,
    ngspice: Ngspice | str | os.PathLike[str] | None = None,
    timeout_s: float = 600.0,
) -> Readings:
    """Operating points of a netlist.

    Args:
        netlist: complete, its last line `.end`. It is run as it is: whoever takes one from
            elsewhere trusts it as a program.
        alterations: one per operating point: resistors and voltage sources, and their new values,
            which stay until they are altered again. `{}` is the netlist as written.
        ngspice: the program; None looks for it, as `find_ngspice` does.
        timeout_s: time limit for all of them [s].

    Returns:
        The readings.

    Raises:
        SpiceError: one of its kinds, by what went wrong.
        ValueError: an alteration that is not an element's name and a finite number.
    """
    program = ngspice if isinstance(ngspice, Ngspice) else find_ngspice(ngspice)
    body, end, rest = netlist.rpartition(".end\n")
    if not end or rest:
        raise ValueError("netlist: got text that does not end in '.end', needs a complete netlist")
    deck = body + _control(alterations) + end
    with tempfile.TemporaryDirectory(prefix="xbar-ngspice-") as folder:
        (Path(folder) / "deck.cir").write_text(deck, encoding="ascii")
        command = [program.path, "-b", "-n", "deck.cir"]
        status, text = _call(command, Path(folder), timeout_s)
        raw = Path(folder) / "readings.raw"
        data = raw.read_bytes() if raw.exists() else b""
    _check_ended(status, text)
    points = [plot.values for plot in _checked(read_plots(data), len(alterations), text)]
    return Readings(points, program.version, _seconds(text))


def _control(alterations: Sequence[Mapping[str, float]]) -> str:
    lines = [".control", "set filetype=binary", "set appendwrite"]
    for altered in alterations:
        for element, value in altered.items():
            if not math.isfinite(value):
                raise ValueError(f"alterations: got {value} for {element}, needs a finite value")
            lines.append(f"alter {identifier('alterations', element)} = {number(value)}")
        # Without the old plot, a failed `op` leaves nothing that could pass for its result.
        lines += ["op", "write readings.raw", "destroy all"]
    return "\n".join([*lines, "rusage everything", "quit 0", ".endc"]) + "\n"


def _call(command: list[str], folder: Path, timeout_s: float) -> tuple[int, str]:
    """Status and messages of a command; killed with all it started when time is up."""
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise NgspiceMissing(f"ngspice: {command[0]!r} cannot be run ({error.strerror})") from None
    kept = bytearray()
    reader = threading.Thread(target=_keep, args=(process.stdout, kept), daemon=True)
    reader.start()
    try:
        status = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise NgspiceTimeout(
            f"ngspice: not finished after {timeout_s:g} s, needs a smaller circuit or more time"
        ) from None
    finally:  # also when interrupted
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        reader.join(5.0)
        if process.stdout is not None and not reader.is_alive():
            process.stdout.close()
    return status, kept.decode("utf-8", "replace")


def _keep(stream: IO[bytes], kept: bytearray) -> None:
    """Collect the lines that matter; read on to the end whatever comes, lest the program blocks."""
    while line := stream.readline(4096):
        if MATTERS.search(line) and len(kept) < KEPT_OUTPUT:
            kept += line


def _check_ended(status: int, text: str) -> None:
    if status == 0:
        return
    if status < 0:
        raise NgspiceCrashed(f"ngspice: killed by signal {-status}")
    errors = [line for line in text.splitlines() if "error" in line.lower()] or ["no message"]
    raise NgspiceCrashed(f"ngspice: ended with status {status}: {errors[0].strip()[:200]}")


def _checked(plots: list[Plot], wanted: int, text: str) -> list[Plot]:
    """The plots, if every operating point is there, is the circuit's own, and is finite."""
    lines = [line.strip() for line in text.splitlines()]
    for line in lines:
        if any(message in line.lower() for message in NOT_ALTERED):
            raise NgspiceCrashed(f"ngspice: did not alter an element: {line[:200]}")
        if any(message in line.lower() for message in NOT_THE_CIRCUIT):
            raise NgspiceNoConvergence(
                f"ngspice: did not solve the circuit as written: {line[:200]}"
            )
    for index, plot in enumerate(plots):
        if plot.name != "Operating Point" or not all(map(math.isfinite, plot.values.values())):
            raise NgspiceNoConvergence(f"ngspice: operating point {index} is none, or not finite")
    if len(plots) < wanted:
        raise NgspiceTruncated(f"ngspice: got {len(plots)} operating points, needs {wanted}")
    return plots


def _seconds(text: str) -> dict[str, float]:
    found = re.findall(r"^([A-Z][A-Za-z ]*?) time(?: \(seconds\))? = ([\d.]+)", text, re.MULTILINE)
    return {name.lower(): float(value) for name, value in found}


def read_plots(data: bytes) -> list[Plot]:
    """The operating points in a raw file, in order, at full precision.

    A file is one or more plots: a header of text lines, `Binary:`, then the numbers, float64 in the
    machine's byte order, point by point. An operating point has one point of real numbers.

    The readers on PyPI do not fit: spicelib and PySpice are GPL and cannot be a dependency of an
    Apache package, ltspice reads LTspice's format.

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
