"""`xbar demo` from the outside: a user's own files, wrong calls, Ctrl-C, progress."""

import io
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from cli_cases import run_cli
from rich.console import Console

from xbar.io.dataset import Dataset
from xbar.io.runs import load_run
from xbar.learn.mlp import MLP
from xbar.run.demo import demo_study, run_demo
from xbar.run.errors import UsageError
from xbar.run.folders import progress
from xbar.run.folders.progress import Stages

RNG = np.random.default_rng(1)
CENTRES = 3 * np.eye(3, 4)
Y = np.arange(90) % 3
X = np.maximum(CENTRES[Y] + RNG.normal(size=(90, 4)), 0)


def files(folder):
    """A network that reads three classes from four inputs, and data for it."""
    np.savez(folder / "data.npz", x=X, y=Y)
    weights = {"weights_0": np.eye(4, 4), "biases_0": np.zeros(4), "weights_1": np.eye(4, 3)}
    np.savez(folder / "net.npz", **weights, biases_1=np.zeros(3))
    np.savez(folder / "digits_net.npz", weights_0=np.ones((63, 10)))
    np.savez(folder / "one_class.npz", x=X, y=0 * Y)
    np.savez(folder / "rare.npz", x=X, y=np.where(np.arange(90) == 0, 1, 0))
    np.savez(folder / "nan.npz", x=X * np.nan, y=Y)
    (folder / "a_file").write_text("years of work")


WRONG = {
    "--shape blob": "shape: got 'blob', needs one of circle, ring",
    "--coverage 2": "coverage: got 2, needs 0 to 0.785 for circle",
    "--coverage nan": "coverage: got nan",
    "--coverage lots": 'defects[0].coverage[0]: got "lots", needs a valid number',
    "--shape circle-complement --coverage 0.1": "needs 0.215 to 1 for circle-complement",
    "--layer 4": "layer: got 4, needs 0 to 3",
    "--layer -1": "layer: got -1",
    "--seeds 1": "seeds: got 1, needs at least 2",
    "--seeds many": 'seeds: got "many", needs a valid integer',
    "--seed 4294967296": "--seed",
    "--window oxide": "window[0]: got 'oxide', needs one of mnsim",
    "--stuck-window oxide": "stuck_window: got 'oxide'",
    "--mapping bipolar": "mapping[0]: got \"bipolar\", needs 'unipolar' or 'balanced'",
    "--fault cell": "fault: got 'cell', needs one of pair",
    "--stuck somewhere": "stuck: got somewhere, needs on, off",
    "--stuck 0": "stuck: got 0, needs",
    "--stuck inf": "stuck: got inf, needs",
    "--fault unequal --stuck on": "stuck (with fault unequal): got 'on', needs one of random",
    "--wire-ohm -1": "wire_ohm[0]: got -1, needs a finite resistance",
    "--wire-ohm inf": "wire_ohm[0]: got inf",
    "--gain 0": "gain: got 0, needs above 0",
    "--rail nan": "rail: got nan",
    "--activation gelu": "activation: got \"gelu\", needs 'relu'",
    "--network nowhere.npz": "network.file: nowhere.npz: got no file",
    "--network a_file": "a_file: got no suffix",
    "--network data.npz": "data.npz: got an array 'x'",
    "--network digits_net.npz": "network: got 63 inputs and 10 outputs, needs 64 and 10",
    "--network net.npz": "network: got 4 inputs and 3 outputs, needs 64 and 10",
    "--network net.npz --data data.npz --layer 2": "layer: got 2, needs 0 to 1",
    "--data net.npz": "needs x too",
    "--data nan.npz": "NaN",
    "--data one_class.npz": "data: got 1 class, needs at least 2",
    "--data rare.npz": "got 1 of class 1, needs at least one for each",
    "--out a_file": "which is a file",
    "--out a_file/below": "cannot write to a_file/below",
    "--out /proc/xbar": "cannot write to /proc/xbar",
    "--out .": "holds files that no xbar run made",
}


@pytest.mark.parametrize("call", WRONG)
def test_wrong_calls_get_one_line_and_touch_nothing(call, tmp_path, monkeypatch, capsys):
    files(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    monkeypatch.chdir(tmp_path)
    arguments = ["demo", *([] if "--out" in call else ["--out", "runs/x"]), *call.split()]
    code, out, error = run_cli(monkeypatch, capsys, *arguments)
    assert (code, out) == (2, "")
    assert error.startswith("xbar: ")
    assert error.count("\n") == 1
    assert WRONG[call] in error
    assert len(error) < 300
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.slow
def test_a_users_own_network_and_data(tmp_path, monkeypatch, capsys):
    files(tmp_path)
    monkeypatch.chdir(tmp_path)
    call = (
        "demo --out mine --network net.npz --data data.npz --seeds 2 --shape row --coverage 0.4 "
        "--fault plus --stuck 5000 --mapping balanced --gain 1000 --rail 0.5 --wire-ohm 2"
    )
    code, out, _ = run_cli(monkeypatch, capsys, *call.split())
    assert code == 0
    assert "2 seeds of a 4-4-3 network; layer 1 broken: row over 40%" in " ".join(out.split())
    run = load_run(tmp_path / "mine")
    for circuit in range(2):  # one network, broken at two places
        np.testing.assert_array_equal(run.software(circuit).weights[0], np.eye(4))
        layer = run.network("defective", circuit).layers[1]
        hit = run.hit(circuit)
        assert hit.any()
        np.testing.assert_array_equal(layer.pairs.g_plus == 1 / 5000, hit)
        assert float(layer.readout.open_loop_gain) == 1000
        assert float(layer.readout.v_max) == -float(layer.readout.v_min) == 0.5
        assert float(layer.wires.bit_line) == 2
        expected, seen = run.read("voltages/defective")[circuit], run.read("voltages/images")
        volts = run.network("defective", circuit)(run.images[seen[circuit]])
        assert np.max(np.abs(volts - expected)) <= 1e-9 * np.max(np.abs(expected))
    # The same call shows what it found; another network of the same shape is another run.
    code, again, _ = run_cli(monkeypatch, capsys, *call.split())
    assert code == 0
    assert out.endswith(again)
    np.savez("net.npz", weights_0=2 * np.eye(4), weights_1=np.eye(4, 3))
    code, _, error = run_cli(monkeypatch, capsys, *call.split())
    assert code == 2
    assert "network.sha256 = '" in error


def test_the_wrong_network_from_python_is_the_same_sentence(tmp_path):
    model = MLP.init(jax.random.key(0), (4, 2))
    with pytest.raises(UsageError, match="network: got 4 inputs and 2 outputs, needs 4 and 3"):
        run_demo(demo_study(), tmp_path / "x", dataset=Dataset.from_arrays(X, Y), network=model)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_is_one_line_and_leaves_what_resumes(tmp_path):
    files(tmp_path)
    call = "demo --out mine --network net.npz --data data.npz --seeds 2"
    command = [sys.executable, "-m", "xbar", *call.split()]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=tmp_path, text=True, **pipes)
    try:
        assert process.stdout
        lines = (process.stdout.readline() for _ in range(3))
        assert any("2 software networks" in line for line in lines)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    assert error == "xbar: stopped; the same command goes on from here\n"
    left = {file.name for file in (tmp_path / "mine").iterdir()}
    assert left == {"run.json", "shards"}  # and no lock
    assert "software-000000.h5" in {f.name for f in (tmp_path / "mine" / "shards").iterdir()}


def test_progress_in_a_pipe_is_a_line_now_and_then(monkeypatch):
    monkeypatch.setattr(progress, "HEARTBEAT_S", 0.05)
    file = io.StringIO()
    with Stages(Console(file=file)).stage("slow"):
        time.sleep(0.3)
    lines = file.getvalue().splitlines()
    assert len(lines) >= 3
    assert all(line.startswith("slow ...") for line in lines[:-1])
    assert lines[-1].startswith("slow ")
    assert lines[-1].endswith(" s")
    assert "\x1b" not in file.getvalue()


def test_progress_tells_rate_and_time_left_of_this_run_alone(monkeypatch):
    monkeypatch.setattr(progress, "HEARTBEAT_S", 0.1)
    file = io.StringIO()
    with Stages(Console(file=file)).stage("many", 1000, "circuits", 900) as advance:
        time.sleep(0.25)
        advance(10)
        time.sleep(0.25)
    lines = file.getvalue().splitlines()
    assert "900 of 1,000 circuits" in lines[0]
    moved = next(line for line in lines if "910 of 1,000" in line)
    rate = float(moved.split("circuits, ")[1].split(" per s")[0])
    assert 5 < rate < 40  # 10 in about 0.3 to 0.5 s; with the 900 it would be thousands
    assert moved.endswith(" s left")


def test_progress_on_a_terminal_moves():
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=120)
    with Stages(console).stage("slow", 4, "circuits", 1) as advance:
        time.sleep(0.1)
        advance(2)
        time.sleep(0.6)
    assert "━" in file.getvalue()
    assert "3/4" in file.getvalue()
    assert "per s" in file.getvalue()
    assert "s left" in file.getvalue()
    assert file.getvalue().splitlines()[-1].endswith(" s")
