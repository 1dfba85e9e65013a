"""The runner and its folder: what is kept, what resumes, what is removed, and never a file more."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from study_cases import quiet_console

from xbar.io.run_record import read_record
from xbar.io.shards import read_shard
from xbar.io.store import Field, StoreError, write_results
from xbar.io.writing import is_file, published, read_bytes, write_text
from xbar.run.errors import UsageError
from xbar.run.folders.folder import RunFolder
from xbar.run.folders.runner import Piece, Runner, fingerprint


class Work:
    """A run of two stages that counts what it computes, and stops where it is told to."""

    def __init__(self, stop_at=None):
        self.done, self.stop_at = [], stop_at

    def _step(self, name, values):
        if name == self.stop_at:
            raise KeyboardInterrupt
        self.done.append(name)
        return {"x": np.asarray(values, float), "below": {"y": np.arange(3)}}

    def __call__(self, run):
        first = run.stage("first stage", lambda done: self._step("first", [1, 2]), 2, "units")
        pieces = [Piece(f"p-{k}", 2, lambda k=k: self._step(f"p-{k}", [k])) for k in range(3)]
        run.pieces("pieces", "units", pieces)
        total = first["x"].sum() + sum(run.read(piece.name)["x"].sum() for piece in pieces)
        if self.stop_at == "files":
            raise KeyboardInterrupt
        run.write_text("table.csv", f"total\n{total}\n")
        run.save("picture.png", lambda path: path.write_bytes(b"png"))
        with run.writing("results.h5", 1000) as path:
            write_results(path, {"sum": {"total": Field(total, "1", (), "of all")}}, run.settings)
        return {"total": total}


def show(summary, run):
    run.print(f"total {summary['total']}", "table.csv")


def run(out, work=None, settings=None, **options):
    console = quiet_console()
    runner = Runner(out, settings or {"a": 1}, "test", console=console, **options)
    summary = runner.shown(show) or runner.complete(work or Work(), show)
    return summary, console.export_text()


OWN = {"run.json", "summary.json", "table.csv", "picture.png", "results.h5"}


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_a_run_leaves_its_files_alone_and_shows_them_again(tmp_path):
    work = Work()
    summary, text = run(tmp_path / "out", work)
    assert summary == {"total": 6}
    assert names(tmp_path / "out") == OWN
    assert work.done == ["first", "p-0", "p-1", "p-2"]
    assert f"total 6.0\n  {tmp_path}/out/table.csv\n" in text
    before = {f: f.stat().st_mtime_ns for f in (tmp_path / "out").iterdir()}
    again, shown = run(tmp_path / "out", Work("first"))
    assert again == summary
    assert text.endswith(shown)
    assert before == {f: f.stat().st_mtime_ns for f in before}
    record = read_record(tmp_path / "out")
    assert set(record.files) == OWN - {"run.json"}
    assert record.damage(tmp_path / "out") == []


@pytest.mark.parametrize("stop", ["first", "p-0", "p-2", "files"])
def test_what_was_kept_is_not_computed_again(stop, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(out, Work(stop))
    assert not (out / "run.lock").exists()
    before = names(out / "shards")
    work = Work()
    assert run(out, work)[0] == {"total": 6}
    assert len(work.done) == 4 - len(before)
    assert names(out) == OWN


def test_pieces_that_were_damaged_exchanged_or_replaced_are_computed_again(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(out, Work("files"))
    shards = out / "shards"
    a, b = (shards / f"p-{k}.h5" for k in (0, 1))
    a.rename(out / "x")
    b.rename(a)
    (out / "x").rename(b)  # of one run and one kind, but not of one piece
    with h5py.File(shards / "p-2.h5", "a") as file:
        file["tree/x"][0] += 1e-9
    with pytest.raises(StoreError, match="another run"):
        read_shard(a, "nothing of this run")
    work = Work()
    assert run(out, work)[0] == {"total": 6}
    assert work.done == ["p-0", "p-1", "p-2"]


def test_a_piece_that_is_a_folder_is_one_sentence(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(out, Work("p-0"))
    (out / "shards" / "p-0.h5").mkdir()
    with pytest.raises(OSError, match="Is a directory") as error:
        run(out)
    assert "p-0.h5" in str(error.value)


def users_files(out):
    """What a user may have put beside a run's files."""
    files = {
        "my_table.csv": "1",
        "my_plot.png": "2",
        "notes.txt": "3",
        "shards/mine.h5": "4",
        ".table.csv.partial": "5",
        ".mine.csv.0123456789abcdef.partial": "6",
    }
    for name, text in files.items():
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text(text)
    return files


@pytest.mark.parametrize("stop", [None, "p-1"], ids=["finished", "unfinished"])
def test_overwrite_removes_the_runs_own_files_and_nothing_else(stop, tmp_path):
    out = tmp_path / "out"
    if stop:
        with pytest.raises(KeyboardInterrupt):
            run(out, Work(stop))
    else:
        run(out)
    mine = users_files(out)
    left = out / ".table.csv.0123456789abcdef.partial"  # by a killed process
    left.touch()
    (out / "table.csv").touch()  # in an unfinished run not the run's, and written over
    with pytest.raises(UsageError, match="a = 1, asked for 2"):
        run(out, settings={"a": 2})
    folder = RunFolder(out, "test", {"a": 2}, overwrite=True)
    folder.release()
    kept = {"run.json", "shards", *mine, *(["table.csv"] if stop else [])}
    assert names(out) == kept | ({left.name} if stop else set())
    for name, text in mine.items():
        assert (out / name).read_text() == text


def test_a_record_that_points_out_of_the_folder_removes_nothing_there(tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    run(out)
    elsewhere.mkdir()
    (elsewhere / "thesis.tex").write_text("years of work")
    (out / "link").symlink_to(elsewhere)
    (out / "table.csv").unlink()
    (out / "table.csv").symlink_to(elsewhere / "thesis.tex")
    record = read_record(out)
    files = record.files | dict.fromkeys(["link/thesis.tex", "../elsewhere/thesis.tex"])
    replace(record, files=files).write(out)
    RunFolder(out, "test", {}, overwrite=True).release()
    assert (elsewhere / "thesis.tex").read_text() == "years of work"
    assert names(out) == {"run.json", "shards", "link"}  # the link that was ours is gone


def test_no_link_is_followed_when_writing(tmp_path):
    target = tmp_path / "thesis.tex"
    target.write_text("years of work")
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(out, Work("files"))
    for name in ("table.csv", "results.h5", "picture.png", "shards/p-0.h5"):
        (out / name).unlink(missing_ok=True)
        (out / name).symlink_to(target)
    (out / "run.lock").symlink_to(target)
    with pytest.raises(UsageError, match="cannot write to"):
        run(out)
    (out / "run.lock").unlink()
    assert run(out)[0] == {"total": 6}
    assert target.read_text() == "years of work"
    assert not any(path.is_symlink() for path in out.rglob("*"))


def test_shards_below_a_link_and_a_lock_of_ones_own_are_refused(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(out, Work("first"))
    (out / "shards").rmdir()
    (out / "shards").symlink_to(elsewhere)
    with pytest.raises(UsageError, match="which no xbar run made"):
        run(out)
    (out / "shards").unlink()
    (out / "run.lock").write_text("my notes")
    with pytest.raises(UsageError, match="which no run wrote"):
        run(out)
    assert (out / "run.lock").read_text() == "my notes"


def test_what_a_run_reads_is_neither_its_folder_nor_removed(tmp_path):
    out = tmp_path / "out"
    run(out)
    (tmp_path / "same").symlink_to(out)
    for path in (out, tmp_path / "same", tmp_path / "x" / ".." / "out"):
        with pytest.raises(UsageError, match="which the run reads"):
            run(out, settings={"a": 2}, overwrite=True, reads=[path])
    with pytest.raises(UsageError, match=r"would remove .*table.csv, which the run reads"):
        run(out, settings={"a": 2}, overwrite=True, reads=[out / "table.csv"])
    assert names(out) == OWN


def test_runs_below_a_run_go_with_it(tmp_path):
    out = tmp_path / "out"

    def work(above):
        run(above.below("studies/one"))
        (above.path / "studies" / "one" / "mine.txt").touch()
        run(above.below("studies/two"))
        return {"total": 1.0}

    run(out, work)
    RunFolder(out, "test", {}, overwrite=True).release()
    assert names(out) == {"run.json", "shards", "studies", "studies/one", "studies/one/mine.txt"}


def test_an_error_in_the_middle_of_a_file_leaves_the_old_one(tmp_path):
    path = tmp_path / "table.csv"
    write_text(path, "old")

    def fail():
        with published(path) as partial:
            partial.write_text("half")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert path.read_text() == "old"
    assert names(tmp_path) == {"table.csv"}
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask()


def umask():
    found = os.umask(0)
    os.umask(found)
    return found


def test_a_full_disk_in_hdf5_is_an_error_of_the_file(tmp_path):
    def work(run):
        with run.writing("results.h5"):
            raise RuntimeError("Can't decrement id ref count")  # as HDF5 has it

    with pytest.raises(OSError, match=r"results\.h5") as error:
        run(tmp_path / "out", work)
    assert "cannot be written" in str(error.value)
    with pytest.raises(OSError, match=r"No space left|too large"):
        run(tmp_path / "out", lambda run: run.writing("results.h5", 2**60).__enter__())


def test_small_files_are_read_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"12345")
    assert read_bytes(tmp_path / "file") == b"12345"
    for name, most, said in (("pipe", 9, "pipe"), ("", 9, "folder"), ("file", 4, "over 4")):
        with pytest.raises(OSError, match=said):
            read_bytes(tmp_path / name, most)
    with pytest.raises(OSError, match="device"):
        read_bytes(Path("/dev/zero"))
    assert is_file(tmp_path / "file")
    assert not any(is_file(tmp_path / name) for name in ("pipe", "n" * 300, "a\0b", ""))


def test_runs_that_meet_in_one_folder_wait_for_nobody(tmp_path):
    out, inside, end = tmp_path / "out", threading.Event(), threading.Event()

    def slow(run):
        inside.set()
        end.wait(20)
        return Work()(run)

    thread = threading.Thread(target=lambda: run(out, slow))
    thread.start()
    assert inside.wait(20)
    with pytest.raises(UsageError, match="another run"):
        run(out, overwrite=True)
    end.set()
    thread.join()
    assert names(out) == OWN


def test_fingerprints_tell_arrays_apart():
    a = {"x": np.arange(3), "y": np.ones(2)}
    others = [
        {"x": np.arange(3.0), "y": np.ones(2)},
        {"x": np.arange(3), "y": np.ones((2, 1))},
        {"x": np.arange(3), "z": np.ones(2)},
        {"x": np.arange(3) + 1, "y": np.ones(2)},
    ]
    assert fingerprint(a) == fingerprint({"y": np.ones(2), "x": np.arange(3)})
    assert len({fingerprint(tree) for tree in (a, *others)}) == 5
