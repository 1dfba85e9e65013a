"""Find ngspice, run a netlist in it, read what it found.

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

from xbar.spice.errors import (
    NgspiceCrashed,
    NgspiceMissing,
    NgspiceNoConvergence,
    NgspiceTimeout,
    NgspiceTooOld,
    NgspiceTruncated,
)
from xbar.spice.rawfile import Plot, read_plots
from xbar.spice.text import identifier, number

VARIABLE = "XBAR_NGSPICE"
OLDEST = 39  # what Debian 12 has, and what the tests compare with
KEPT_OUTPUT = 64 * 1024  # bytes of those of ngspice's messages that matter
MATTERS = re.compile(rb"error|warning|abort|transient op|time.* = |ngspice-", re.I)
# After these ngspice may go on to "succeed": with conductances to ground that it added, at the end
# of a transient, with a resistor of its own choice. None is the circuit's operating point.
NOT_THE_CIRCUIT = ("singular matrix", "transient op started", "resistance to low", "aborted")
NOT_ALTERED = ("no such device", "no default parameter")


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
