"""The runner: finding ngspice, time limits, and every way in which a run can fail."""

import os
import subprocess
import time
from textwrap import dedent

import numpy as np
import pytest
from spice_cases import needs_ngspice

import xbar as xb
from xbar import spice
from xbar.spice.ngspice import KEPT_OUTPUT, _call, read_plots
from xbar.spice.verify import Report, Row

DIVIDER = "* divider\nVin in 0 3\nRa in mid 1000\nRb mid 0 2000\n.op\n.end\n"
HEADER = dedent("""\
    Title: toy
    Plotname: Operating Point
    Flags: real
    No. Variables: 2
    No. Points: 1
    Variables:
    \t0\tv(mid)\tvoltage
    \t1\ti(vin)\tcurrent
    Binary:
    """)
RAW = HEADER.encode() + np.array([2.0, -0.001]).tobytes()


def test_a_report_prints_a_line_for_each_quantity():
    rows = [Row("v_word", 2e-14, "row 1", 1e-10), Row("i_out", 3e-2, "column 2", 1e-10)]
    assert str(Report(rows, "39")).splitlines() == [
        "v_word   2.0e-14 of 1.0e-10 at row 1: agrees",
        "i_out    3.0e-02 of 1.0e-10 at column 2: DISAGREES",
        "ngspice 39 DISAGREES",
    ]


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch):
    monkeypatch.delenv("XBAR_NGSPICE", raising=False)


def program(tmp_path, run: str, version: str = "** ngspice-39 : Circuit level simulator"):
    """A program that says it is ngspice and then does what the test is about."""
    path = tmp_path / "fake-ngspice"
    path.write_text(
        f'#!/bin/sh\nif [ "$1" = --version ]; then echo "{version}"; exit 0; fi\n{run}\n'
    )
    path.chmod(0o755)
    return path


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(spice.NgspiceMissing) as error:
        spice.find_ngspice()
    assert "apt install ngspice" in one_line(error)
    with pytest.raises(spice.NgspiceMissing, match="nowhere/ngspice"):
        spice.find_ngspice(tmp_path / "nowhere/ngspice")
    (tmp_path / "ngspice").write_text("no program")
    (tmp_path / "ngspice").chmod(0o755)
    with pytest.raises(spice.NgspiceMissing, match="cannot be run"):
        spice.find_ngspice()


def test_argument_before_variable_before_path(tmp_path, monkeypatch):
    paths = {}
    for name, version in {"argument": 41, "variable": 42, "path": 43}.items():
        (tmp_path / name).mkdir()
        paths[name] = program(tmp_path / name, "", f"** ngspice-{version}.1 : x")
    paths["path"] = paths["path"].rename(tmp_path / "path" / "ngspice")
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:{os.environ['PATH']}")
    assert spice.find_ngspice() == (str(paths["path"]), "43.1")
    monkeypatch.setenv("XBAR_NGSPICE", str(paths["variable"]))
    assert spice.find_ngspice() == (str(paths["variable"]), "42.1")
    assert spice.find_ngspice(paths["argument"]) == (str(paths["argument"]), "41.1")


@pytest.mark.parametrize("version", ["** ngspice-38 : x", "** ngspice-9.5", "something else"])
def test_too_old(tmp_path, version):
    with pytest.raises(spice.NgspiceTooOld) as error:
        spice.find_ngspice(program(tmp_path, "", version))
    assert "version" in one_line(error)


def test_time_limit_kills_the_program_and_what_it_started(tmp_path):
    slow = program(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; sleep 60")
    start = time.perf_counter()
    with pytest.raises(spice.NgspiceTimeout, match=r"after 0\.5 s"):
        spice.run_netlist(DIVIDER, ngspice=slow, timeout_s=0.5)
    assert time.perf_counter() - start < 10
    child = (tmp_path / "child").read_text().strip()
    # Gone, or dead and not yet collected by its new parent.
    state = subprocess.run(["ps", "-o", "stat=", "-p", child], capture_output=True, text=True)
    assert state.stdout.strip()[:1] in ("", "Z")


FAILURES = {
    "status": ("echo 'Error: no such thing'; exit 3", spice.NgspiceCrashed, "status 3.*no such"),
    "signal": ("kill -SEGV $$", spice.NgspiceCrashed, "signal 11"),
    "no results": ("exit 0", spice.NgspiceTruncated, "got 0 operating points, needs 1"),
    "truncated": ("cp RAW readings.raw; exit 0", spice.NgspiceTruncated, "after 1 of 2 numbers"),
    "half a header": ("echo Title: > readings.raw", spice.NgspiceTruncated, "within a header"),
    "not converged": (
        "echo 'Error: singular matrix: check node mid'",
        spice.NgspiceNoConvergence,
        "as written: Error: singular matrix",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failures_have_their_own_errors(tmp_path, name):
    run, kind, message = FAILURES[name]
    (tmp_path / "raw").write_bytes(RAW[:-8])
    fake = program(tmp_path, run.replace("RAW", str(tmp_path / "raw")))
    with pytest.raises(kind, match=message) as error:
        spice.run_netlist(DIVIDER, ngspice=fake)
    one_line(error)
    assert issubclass(kind, spice.SpiceError)


def test_output_is_bounded(tmp_path):
    (tmp_path / "raw").write_bytes(RAW)
    flood = f"yes 'Warning: again and again' | head -c {20 * KEPT_OUTPUT}"
    long_line = f"head -c {20 * KEPT_OUTPUT} /dev/zero | tr '\\0' 'x'"
    copy = f"cp {tmp_path}/raw readings.raw"
    run = program(tmp_path, f"{flood}; {long_line}; {copy}")
    status, text = _call([str(run)], tmp_path, 60.0)
    assert status == 0
    assert len(text) <= KEPT_OUTPUT + 4096
    readings = spice.run_netlist(DIVIDER, ngspice=run)
    assert readings.points == [{"mid": 2.0, "i:vin": -0.001}]


def test_raw_files():
    plots = read_plots(RAW + RAW)
    assert [plot.name for plot in plots] == ["Operating Point"] * 2
    assert plots[1].values == {"mid": 2.0, "i:vin": -0.001}
    for broken in (
        RAW.replace(b"real", b"complex"),
        RAW.replace(b"Points: 1", b"Points: 2"),
        RAW.replace(b"Variables: 2", b"Variables: 3"),
        RAW.replace(b"Plotname", b"Plot"),
    ):
        with pytest.raises(spice.NgspiceTruncated):
            read_plots(broken)


@needs_ngspice
def test_a_divider_altered():
    readings = spice.run_netlist(DIVIDER, [{}, {"vin": -6.0}, {"Rb": 1000.0}])
    assert [point["mid"] for point in readings.points] == pytest.approx([2, -4, -3], rel=1e-14)
    assert readings.points[0]["i:vin"] == pytest.approx(-1e-3, rel=1e-14)
    assert int(readings.version.split(".")[0]) >= 39
    assert readings.seconds["total analysis"] >= 0


@needs_ngspice
@pytest.mark.parametrize("element", ["Rc", "Egain"])
def test_what_cannot_be_altered(element):
    """Ngspice would go on with the old value."""
    netlist = DIVIDER.replace(".op", "Egain out 0 mid 0 3\n.op")
    with pytest.raises(spice.NgspiceCrashed, match="did not alter"):
        spice.run_netlist(netlist, [{}, {element: 5.0}])


@needs_ngspice
@pytest.mark.parametrize(
    "parts",
    [
        "Vtwo in 0 2",
        "Rone x y 5",
        "Cone mid x 1",  # ngspice "succeeds", with the end of a transient: 2.000001 V at mid
        "Bx x 0 v = ln(-2 - v(x) * v(x))",
        "Rtiny in tiny 1e-320\nRone tiny 0 1",
    ],
    ids=["voltage loop", "floating nodes", "no path at DC", "not finite", "infinite conductance"],
)
def test_circuits_that_ngspice_cannot_solve_as_written(parts):
    with pytest.raises(spice.NgspiceNoConvergence) as error:
        spice.run_netlist(DIVIDER.replace(".op", f"{parts}\n.op"))
    one_line(error)


@needs_ngspice
def test_a_netlist_that_is_none():
    with pytest.raises(spice.NgspiceCrashed, match="status"):
        spice.run_netlist(DIVIDER.replace("Rb mid 0 2000", "Xb mid 0 unknown"))


@pytest.mark.parametrize("name", ["vin; shell ls", "vin\nquit", "", "2", "vin = 3"])
def test_only_names_reach_a_command(name):
    with pytest.raises(ValueError, match="alterations"):
        spice.run_netlist(DIVIDER, [{name: 1.0}], ngspice=spice.Ngspice("/bin/false", "39"))


def test_wrong_calls():
    never = spice.Ngspice("/bin/false", "39")
    with pytest.raises(ValueError, match="needs a finite value"):
        spice.run_netlist(DIVIDER, [{"vin": np.nan}], ngspice=never)
    with pytest.raises(ValueError, match=r"needs a complete netlist"):
        spice.run_netlist("* nothing", ngspice=never)
    with pytest.raises(ValueError, match="v_in: got shape"):
        spice.run_array(xb.Crossbar(np.ones((2, 2))), np.ones((2, 2, 2)), ngspice=never)
    with pytest.raises(spice.NgspiceCrashed):
        spice.run_netlist(DIVIDER, ngspice=never)
