"""A run that is killed at any moment, or whose disk is full, goes on and finds the same."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from study_cases import assert_same, finish, numbers, write_tiny, xbar

from xbar.io.store import read_results

KILLS = {"study": 6, "demo": 2, "sensitivity": 1, "paper": 1}
SETTLE_S = 30.0  # longer than the imports take
LITTLE = ("samples=3", "places=3", "starts=2", "steps=2", "cells=2", "pooled=2", "rates=[0.05]")


class Undisturbed:
    """What each command finds when it is left alone, computed when it is asked for."""

    def __init__(self, folder: Path):
        self.folder, self.known, self.files = folder, {}, {}
        self.file = write_tiny(folder)
        weights = {"weights_0": np.eye(4, 4), "weights_1": np.eye(4, 3)}
        np.savez(folder / "net.npz", **weights)

    def command(self, name: str) -> list[str]:
        """The command without its folder for results."""
        if name == "study":
            return ["study", str(self.file)]
        if name == "demo":
            own = [
                "--network",
                str(self.folder / "net.npz"),
                "--data",
                str(self.folder / "data.npz"),
            ]
            return ["demo", *own, "--seeds", "2", "--set", "correctors.steps=20"]
        if name == "paper":
            return ["paper"]
        self.numbers("study")
        changes = [word for setting in LITTLE for word in ("--set", setting)]
        source = ["--from", str(self.folder / "study"), "--ngspice-s", "0"]
        return ["sensitivity", *source, *changes]

    def numbers(self, name: str) -> dict:
        """What it finds; `files` then has how many files it wrote, those that it took away too."""
        if name not in self.known:
            out, seen = self.folder / name, set()
            process = xbar(*self.command(name), "--out", out)
            wait_for_files(out, process, seen, None)
            code, _, error = finish(process, 1200)
            assert code == 0, error
            self.files[name] = len(seen)
            self.known[name] = numbers(out)
        return self.known[name]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return Undisturbed(tmp_path_factory.mktemp("undisturbed"))


def begun(out: Path, process: subprocess.Popen[str]) -> bool:
    """Wait until the process holds the folder; False if it ends before."""
    lock, end = out / "run.lock", time.monotonic() + SETTLE_S
    while time.monotonic() < end:
        if lock.exists() and f"process {process.pid} " in lock.read_text():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.005)
    return True


def shards(out: Path) -> int:
    return len(list((out / "shards").glob("*.h5")))


def wait_for_files(
    out: Path, process: subprocess.Popen[str], seen: set[Path], count: int | None
) -> None:
    """Wait until so many files were seen, whole ones by their names, or the process ends."""
    end = time.monotonic() + 1200
    while process.poll() is None and time.monotonic() < end:
        seen.update(path for path in out.rglob("*") if path.suffix != ".partial")
        if count is not None and len(seen) >= count:
            return
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLS)
def test_killed_at_random_moments_a_run_finds_the_same(name, undisturbed, tmp_path):
    """Each kill falls between two files, evenly from the first to the last."""
    expected, command = undisturbed.numbers(name), undisturbed.command(name)
    out, moments, seen, kept = tmp_path / "out", random.Random(6), set(), []
    for k in range(KILLS[name] + 1):
        process = xbar(*command, "--out", out)
        if k < KILLS[name] and begun(out, process):
            wait_for_files(
                out, process, seen, round((k + 0.5) * undisturbed.files[name] / (KILLS[name] + 0.5))
            )
            time.sleep(moments.uniform(0, 0.1))
            process.kill()
        code, _, error = finish(process, 1200)
        assert code in (0, -signal.SIGKILL), error
        if code:
            kept.append(len(seen))
        partial = out / "results.h5"
        if partial.exists():  # under its name there is never half a file
            read_results(partial)
    assert code == 0
    assert_same(numbers(out), expected)
    assert not list(out.rglob("*.partial"))
    assert not (out / "shards").exists()
    assert len(kept) > KILLS[name] / 2, "it ended before most of the kills"
    assert name != "study" or len({*kept}) >= 4, f"the kills met few stages: {kept}"


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 4 MB, of which the test may take away what it likes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no tmpfs can be mounted here ({error})")
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here ({done.stderr.strip()})")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    ("free", "kept", "results"),
    [
        pytest.param(0, (0, 0), False, id="nothing fits", marks=pytest.mark.slow),
        pytest.param(150_000, (1, 17), False, id="some shards", marks=pytest.mark.slow),
        pytest.param(450_000, (18, 18), False, id="no results file", marks=pytest.mark.slow),
        pytest.param(10**6, (18, 18), True, id="no figures", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_is_one_line_and_with_room_the_study_goes_on(
    undisturbed, small_disk, free, kept, results
):
    file, expected = undisturbed.file, undisturbed.numbers("study")
    out, filler = small_disk / "out", small_disk / "filler"
    out.mkdir()
    room = os.statvfs(small_disk)
    filler.write_bytes(bytes(max(room.f_bavail * room.f_frsize - free - 8192, 0)))
    code, _, error = finish(xbar("study", file, "--out", out))
    assert code == 1
    assert "No space left on device" in error
    assert error.count("\n") == 1
    assert str(out) in error  # which file
    assert not (out / "summary.json").exists()
    assert not (out / "run.lock").exists()
    left = shards(out)
    assert kept[0] <= left <= kept[1]
    assert (out / "results.h5").exists() == results
    filler.unlink()
    code, _, error = finish(xbar("study", file, "--out", out))
    assert code == 0, error
    assert_same(numbers(out), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["demo", "sensitivity", "paper"])
def test_on_a_full_disk_other_commands_stop_in_one_line_and_go_on(name, undisturbed, small_disk):
    expected, command = undisturbed.numbers(name), undisturbed.command(name)
    out, filler = small_disk / "out", small_disk / "filler"
    room = os.statvfs(small_disk)
    filler.write_bytes(bytes(room.f_bavail * room.f_frsize - 120_000))
    code, _, error = finish(xbar(*command, "--out", out), 1200)
    assert code == 1
    assert "No space left on device" in error
    assert error.count("\n") == 1
    filler.unlink()
    code, _, error = finish(xbar(*command, "--out", out), 1200)
    assert code == 0, error
    assert_same(numbers(out), expected)


@pytest.mark.slow  # by default: test_cli_demo.py
def test_ctrl_c_is_one_line_and_the_study_goes_on(undisturbed, tmp_path):
    file, expected = undisturbed.file, undisturbed.numbers("study")
    process = xbar("study", file, "--out", tmp_path / "out")
    assert begun(tmp_path / "out", process)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    code, _, error = finish(process)
    assert code == 130
    assert error == "xbar: stopped; the same command goes on from here\n"
    assert not (tmp_path / "out" / "run.lock").exists()
    code, _, error = finish(xbar("study", file, "--out", tmp_path / "out"))
    assert code == 0, error
    assert_same(numbers(tmp_path / "out"), expected)


@pytest.mark.slow
def test_a_second_process_in_the_folder_is_refused(undisturbed, tmp_path):
    file, expected = undisturbed.file, undisturbed.numbers("study")
    first = xbar("study", file, "--out", tmp_path / "out")
    assert begun(tmp_path / "out", first)
    code, _, error = finish(xbar("study", file, "--out", tmp_path / "out", "--overwrite"))
    second_came_in_time = first.poll() is None
    assert finish(first)[0] == 0
    if second_came_in_time:
        assert code == 2
        assert f"process {first.pid} on" in error
        assert error.count("\n") == 1
        assert_same(numbers(tmp_path / "out"), expected)
