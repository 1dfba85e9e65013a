"""What the command line is given that it cannot use: one line each, exit 2, nothing touched.

All of it is refused before anything is computed. Files of data and results have tests of their own.
"""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from study_cases import TINY, quiet_console, write_tiny

from xbar import cli
from xbar.io import run_record
from xbar.io.run_record import read_record
from xbar.io.store import StoreError
from xbar.run import engine, read_study
from xbar.run.errors import UsageError
from xbar.run.folders.folder import RunFolder
from xbar.run.folders.runner import Runner
from xbar.run.folders.show import damage_of, show_run

DIGITS = "9" * 400
DEEP = "[" * 5000 + "]" * 5000


def call(monkeypatch, capsys, *arguments):
    """Exit code, stdout and stderr."""
    monkeypatch.setattr("sys.argv", ["xbar", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code, *capsys.readouterr()


def assert_refused(found, *words):
    """Lines that name what is wrong, and no traceback."""
    code, out, error = found
    assert (code, out) == (2, ""), error
    assert error.splitlines()
    for line in error.splitlines():
        assert line.startswith("xbar: ")
        assert len(line) < 700
    for word in words:
        assert word in error


# --- study files ----------------------------------------------------------------------------------

STUDIES = {
    # text in place of the tiny study's (a dictionary replaces parts of it): what is said
    "": None,  # the default study: legal, see below
    "seeds = ": "not TOML",
    "seeds = 1\nseeds = 2": "not TOML",
    "\ufeffseeds = 1": "not TOML",
    f"seeds = {'9' * 5000}": "not TOML: Exceeds the limit",
    f"seeds = 0x{'f' * 5000}": "seeds: got a whole number of about 6021 digits",
    f"seeds = {DIGITS}": "seeds: got a whole number of about 400 digits",
    f"x = {DEEP}": "nested too deeply",
    f"{'a.' * 3000}b = 1": "levels of tables or lists",
    f"[{'a.' * 3000}b]\nx = 1": "levels of tables or lists",
    f"x = {'[' * 60}{']' * 60}": "levels of tables or lists",
    f"x = {'{a=' * 60}1{'}' * 60}": "levels of tables or lists",
    f"circuit.gain = {DIGITS}": "circuit.gain: got a whole number of about 400 digits",
    f"circuit.rail = {DIGITS}": "circuit.rail: got a whole number",
    f"circuit.wire_ohm = [1, {DIGITS}]": "circuit.wire_ohm[1]: got a whole number",
    f"defects = {{stuck = {DIGITS}}}": "defects.stuck: got a whole number",
    f"defects = {{placements = {'9' * 30}}}": "defects.placements: got 99999",
    "defects = {placements = 5_000_000}": "placements: got 5000000, needs at least 1 and at most",
    f"network.hidden = [{'9' * 30}]": "network.hidden[0]: got 99999",
    "network.hidden = [1_000_000_000]": "network.hidden: got [1000000000], needs sizes",
    "correctors = {hidden = [1_000_000_000]}": "correctors[0].hidden: got",
    "seeds = 2_000_000_000": "2,000,000,000 circuits, needs at most 100,000,000",
    "seed = 18446744073709551616": "seed: got 18446744073709551616, needs less than 2^63",
    'circuit.window = "1e-320:1"': "window[0]: got '1e-320:1'",
    'circuit.window = "1:1e-320"': "window[0]: got",
    'circuit.window = "1:1e400"': "window[0]: got",
    'circuit.window = "1M:10k"': "window[0]: got '1M:10k'",
    'circuit.window = ":"': "window[0]: got ':'",
    'circuit.window = "nan:nan"': "window[0]: got 'nan:nan'",
    f'circuit.window = "{"x" * 3000}"': "(3,002 characters)",
    'defects = {stuck = "1e-320"}': "stuck: got 1e-320",
    'defects = {stuck = "-5"}': "stuck: got -5",
    'defects = {stuck_window = "0:1"}': "stuck_window: got '0:1'",
    "defects = {coverage = nan}": "coverage: got nan",
    "defects = {coverage = 1e400}": "coverage: got inf",
    "defects = []": "defects: got none, needs at least one",
    "defects = 3": "defects: got 3, needs",
    "defects = [3]": "defects[0]: got 3, needs",
    "circuit = 5": "circuit: got 5, needs",
    "circuit = [1]": "circuit: got [1], needs",
    "seeds = 2024-01-01": 'seeds: got "2024-01-01", needs a valid integer',
    "seeds = true": "seeds: got true, needs a valid integer",
    '"a\\nb" = 1': '"a\\nb": got a key that is not known',
    '"" = 1': "got a key that is not known",
    'name = ""': "name: got '', needs a name of at most 80 printable characters",
    'name = "a/b"': "name: got 'a/b'",
    'name = "a\\u0000b"': "name: got 'a\\x00b'",
    f'name = "{"n" * 300}"': "name: got",
    'correctors = {name = "."}': "correctors[0].name: got '.'",
    'correctors = {name = ".."}': "correctors[0].name: got '..'",
    'correctors = {name = "a\\u0000b"}': "correctors[0].name: got 'a\\x00b'",
    'correctors = {name = "a\\nb"}': "correctors[0].name: got 'a\\nb'",
    'correctors = {name = " a"}': "correctors[0].name: got ' a'",
    f'correctors = {{name = "{"n" * 300}"}}': "correctors[0].name: got",
    'correctors = {name = "healthy"}': "correctors[0].name: got 'healthy'",
    'correctors = [{name = "a"}, {name = "a"}]': "correctors: got a twice",
    'data.file = "nowhere.npz"': "data.file: ",
    'data.file = "."': "got no file",
    'data.file = "a\\u0000b"': "got no file",
    f'data.file = "{"f" * 5000}.npz"': "got no file",
    'network.file = "tiny.toml"': "tiny.toml",
    "run.chunk = 0": "run.chunk: got 0",
    'run.precision = "float16"': "run.precision: got",
    "references = ['retrained', 'retrained']": "references: got retrained twice",
}


@pytest.mark.parametrize("text", [t for t, said in STUDIES.items() if said], ids=lambda t: t[:40])
def test_study_files_that_cannot_be(text, tmp_path, monkeypatch, capsys):
    file = write_tiny(tmp_path, text)
    before = {f.name for f in tmp_path.iterdir()}
    assert_refused(
        call(monkeypatch, capsys, "study", file, "--out", tmp_path / "out"), STUDIES[text]
    )
    assert {f.name for f in tmp_path.iterdir()} == before


def test_a_study_file_of_bytes_a_pipe_a_folder_and_one_too_large(tmp_path, monkeypatch, capsys):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**40)  # a hole: takes no room
    (tmp_path / "loop").symlink_to("loop")
    words = {
        "bytes": "it is not UTF-8 text",
        "pipe": "it is a pipe, not a file",
        "folder": "it is a folder, not a file",
        "large": "bytes, over",
        "loop": "symbolic links",
        "n" * 300: "File name too long",
        "nowhere": "No such file",
    }
    for name, said in words.items():
        found = call(monkeypatch, capsys, "study", tmp_path / name, "--out", tmp_path / "out")
        assert_refused(found, "cannot be read", said)
    assert_refused(call(monkeypatch, capsys, "study", "", "--out", "o"), "needs a path")


# --- changes and options --------------------------------------------------------------------------

CHANGES = {
    "seeds": "needs KEY=VALUE",
    "=3": "needs KEY=VALUE",
    "": "needs KEY=VALUE",
    "a..b=3": "needs KEY=VALUE",
    "a b=3": "needs KEY=VALUE",
    f"{'a.' * 50}b=3": "needs KEY=VALUE",
    "defects[x].layer=1": "needs KEY=VALUE",
    "defects[1].layer=1": "got number 1, needs 0 to 0",
    "seeds.x=1": 'seeds: got {"x": 1}, needs a valid integer',
    "name.x=1": "a key below name, which is no table",
    "frob=3": "frob: got a key that is not known",
    "defects.frob=3": "defects[0].frob: got a key that is not known",
    f"seeds={DIGITS}": "seeds: got a whole number of about 400 digits",
    f"seeds={'9' * 5000}": 'seeds: got "999',
    f"seeds={DEEP}": "seeds: got",
    "circuit.gain=-1": "circuit.gain: got -1, needs above 0",
    "circuit.gain=[1]": "circuit.gain: got [1], needs",
    "defects.coverage=[0.1,0.2]": "needs one defect and one value of each setting",
    "defects.placements=3": "needs one defect",
    "correctors=[]": "correctors: got others than the demo's report compares",
    "references=[]": "references: got others",
    "store.arrays=false": "store: got others",
    "seeds=1": "seeds: got 1, needs at least 2",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda t: t[:40])
def test_changes_that_cannot_be(change, tmp_path, monkeypatch, capsys):
    found = call(monkeypatch, capsys, "demo", "--out", tmp_path / "out", "--set", change)
    assert_refused(found, CHANGES[change])
    assert list(tmp_path.iterdir()) == []


OPTIONS = {
    "demo --out": "--out",
    "demo": "--out",
    "demo --out x --seed 4294967296": "got '4294967296', needs a whole number",
    f"demo --out x --seed {DIGITS}": "got 400 characters",
    "demo --out x --seed 1.5": "got '1.5', needs a whole number",
    f"demo --out x --rail {DIGITS}": "circuit.rail: got a whole number of about 400 digits",
    f"demo --out x --stuck {DIGITS}": "stuck: got a whole number",
    "demo --out x --stuck 1e-320": "stuck: got 9.99989e-321",
    "demo --out x --window 1e-320:1": "window[0]: got",
    "demo --out x --window 1M:10k": "window[0]: got '1M:10k'",
    "demo --out x --network .": "network.file: .: got no file",
    "demo --out x --data nowhere.npz": "data.file: nowhere.npz: got no file",
    "sensitivity --out x --samples 1": "samples: got 1",
    f"sensitivity --out x --cells {DIGITS}": "cells: got a whole number",
    "sensitivity --out x --set rates=[2]": "rates: got 2, needs shares in 0 to 1",
    "sensitivity --out x --set rates=0.1": "rates: got 0.1, needs",
    "sensitivity --out x --set corrector=[0]": "corrector: got [0]",
    "sensitivity --out x --circuit 1": "got no --from",
    "sensitivity --out x --from y --network z.npz": "--network: got --from too",
    "sensitivity --out x --from y --wire-ohm 2": "--wire-ohm: got --from too",
    "sensitivity --out x --network nowhere.npz": "network.file: nowhere.npz: got no file",
    "sensitivity --out x --window 1M:10k": "window[0]: got '1M:10k'",
    "sensitivity --out x --from nowhere": "nowhere: got no such folder",
    "study": "Missing argument",
    "study x.toml --out o": "x.toml",
    "study x.toml --processes 1 --coordinator h:9 --process-id 0 --out o": "x.toml",
    "study x.toml --processes 2 --coordinator h:99999999 --process-id 0 --out o": "needs HOST:PORT",
    "spice export nowhere": "nowhere: got no such folder",
    "spice export nowhere --out .": "--out: got ., which is a folder",
    "spice export nowhere --layer -1": "got '-1', needs a whole number, 0 or more",
    "spice verify nowhere --images 0": "got '0', needs a whole number, 1 or more",
    "show": "Missing argument",
    "show nowhere": "nowhere: got no folder",
    "paper --out x --seed x": "got 'x', needs a whole number",
    "dmeo": "dmeo",
    "--frob": "--frob",
}


@pytest.mark.parametrize("line", OPTIONS, ids=lambda t: t[:50])
def test_options_that_cannot_be(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert_refused(call(monkeypatch, capsys, *line.split()), OPTIONS[line])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["demo", "sensitivity", "paper", "spice export x"])
def test_an_empty_path_is_not_the_current_folder(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found = call(monkeypatch, capsys, *command.split(), "--out", "")
    assert_refused(found, "--out", "got an empty text, needs a path")
    assert list(tmp_path.iterdir()) == []


# --- folders --------------------------------------------------------------------------------------


def begin(out, file=None, version=None):
    """A folder in which the tiny study has begun, or that of another command."""
    config = {"a": 1}
    if file is not None:
        config = engine.settings_of(read_study(file), file.parent)
    RunFolder(out, "study" if file else "demo", config).release()
    if version:
        record = replace(read_record(out), version=version)
        record.write(out)
    return out


OURS = '{"command": "demo", "config": {}, "version": "1", "signature": "xbar run"'
RECORDS = {
    "[]": "the file: got []",
    "null": "the file: got None",
    "3": "the file: got 3",
    '"x"': "the file: got 'x'",
    "": "the file: got",
    "{": "the file: got",
    '{"config": []}': "command: got",
    '{"command": "demo", "config": {}}': "version",
    '{"command": "demo", "config": {}, "version": "1", "signature": "other"}': "signature",
    '{"command": 3, "config": {}, "version": "1"}': "command: got 3",
    OURS + ', "files": {}, "frob": 1}': "frob",
    OURS + ', "files": {"a": 1}}': "files.a: got 1",
    OURS + ', "files": {"/etc/passwd": null}}': "files",
    '{"a":' * 3000 + "1" + "}" * 3000: "recursion limit",
    f'{{"command": "demo", "version": {"9" * 6000}}}': "version",
}


@pytest.mark.parametrize("text", RECORDS, ids=lambda t: t[:40])
@pytest.mark.parametrize("more", [[], ["--overwrite"]], ids=["", "overwrite"])
def test_folders_whose_record_is_not_ours(text, more, tmp_path, monkeypatch, capsys):
    file, out = write_tiny(tmp_path), tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text(text)
    for name in ("results.h5", "data.csv", "fig.png", "summary.json"):
        (out / name).write_text("years of work")
    before = {f.name: f.read_text() for f in out.iterdir()}
    found = call(monkeypatch, capsys, "study", file, "--out", out, *more)
    assert_refused(found, "of another program or an older xbar", RECORDS[text][:40])
    assert {f.name: f.read_text() for f in out.iterdir()} == before
    assert_refused(call(monkeypatch, capsys, "show", out), "run.json")


def test_a_record_that_is_a_pipe_or_a_folder_is_not_waited_for(tmp_path, monkeypatch, capsys):
    for make in (os.mkfifo, os.mkdir):
        out = tmp_path / make.__name__
        out.mkdir()
        make(out / "run.json")
        assert_refused(call(monkeypatch, capsys, "show", out), "not a file")
        with pytest.raises(UsageError, match="not a file"):
            RunFolder(out, "demo", {}, overwrite=True)


def test_another_command_or_version_is_named_with_the_cure(tmp_path, monkeypatch, capsys):
    file = write_tiny(tmp_path)
    found = call(monkeypatch, capsys, "study", file, "--out", begin(tmp_path / "a"))
    assert_refused(found, "command demo, asked for study", "needs another folder, or --overwrite")
    old = begin(tmp_path / "b", file, version="0.0.7")
    found = call(monkeypatch, capsys, "study", file, "--out", old)
    here = read_record(begin(tmp_path / "c", file)).version
    assert_refused(found, "xbar 0.0.7", f"xbar {here}", "needs that version to go on")
    found = call(monkeypatch, capsys, "show", old)
    assert_refused(found, "got an unfinished run")


def finished(out, settings=None):
    """A finished run of next to nothing."""

    def work(run):
        run.stage("a stage", lambda done: {"x": [1.0]})
        run.write_text("table.csv", "x\n1\n")
        return {"x": float("nan"), "name": "[bold]no markup[/x]"}

    def show(summary, run):
        run.print(f"{summary['name']} {summary['x']}", "table.csv")

    runner = Runner(out, settings or {}, "study", console=quiet_console())
    return runner.shown(show) or runner.complete(work, show)


DAMAGE = {
    "deleted": (lambda out: (out / "table.csv").unlink(), "table.csv is missing"),
    "changed": (lambda out: (out / "table.csv").write_text("x\n2\n"), "table.csv is not as the"),
    "cut": (lambda out: (out / "table.csv").write_text("x\n"), "table.csv is not as the"),
    "a folder": (
        lambda out: ((out / "table.csv").unlink(), (out / "table.csv").mkdir()),
        "table.csv is missing",
    ),
    "a pipe": (
        lambda out: ((out / "table.csv").unlink(), os.mkfifo(out / "table.csv")),
        "table.csv is missing",
    ),
    **{
        f"summary {text[:10]}": (
            lambda out, text=text: (out / "summary.json").write_text(text),
            "summary.json is not as the run wrote it",
        )
        for text in ("[]", "{}", "null", "x", '{"x": 1}', "[" * 10_000)
    },
    "no summary": (lambda out: (out / "summary.json").unlink(), "summary.json is missing"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_run_says_so_and_show_exits_1(kind, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    finished(out)
    assert damage_of(out) == []
    DAMAGE[kind][0](out)
    code, printed, error = call(monkeypatch, capsys, "show", out)
    assert (code, printed) == (1, "")
    assert error.count("\n") == 1
    assert f"{out}: {DAMAGE[kind][1]}" in error
    if kind not in ("changed", "no summary"):  # of one size, or begun anew
        with pytest.raises((UsageError, StoreError), match=r"damaged|other figures"):
            finished(out)


def test_text_is_shown_as_it_is_and_nan_is_none(tmp_path):
    out, console = tmp_path / "o[x]", quiet_console()
    summary = finished(out)
    assert summary == {"x": None, "name": "[bold]no markup[/x]"}
    assert {f.name for f in out.iterdir()} == {"run.json", "summary.json", "table.csv"}
    Runner(out, {}, "study", console=console).print("[bold]no markup[/x]", "table.csv")
    assert console.export_text() == f"[bold]no markup[/x]\n  {out}/table.csv\n"


def test_a_summary_of_another_version_is_no_traceback(tmp_path, monkeypatch, capsys):
    finished(tmp_path / "out")
    with pytest.raises(StoreError, match=r"figures of xbar .*KeyError: 'inputs'"):
        show_run(tmp_path / "out", quiet_console())
    assert_refused(call(monkeypatch, capsys, "show", tmp_path / "out"), "can print only some")


def test_what_nobody_foresaw_is_one_line_and_a_log(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for raised, said in (
        (RuntimeError("first\nsecond"), "unexpected RuntimeError: first; please send in"),
        (RecursionError("x"), "unexpected RecursionError: x; please send in"),
        (MemoryError("3 EB"), "not enough memory (3 EB)"),
        (OSError(28, "No space left on device", "results.h5"), "results.h5: No space left"),
    ):
        monkeypatch.setattr(run_record, "read_bytes", lambda *_, raised=raised: throw(raised))
        (tmp_path / "run.json").touch()
        code, out, error = call(monkeypatch, capsys, "show", tmp_path)
        if isinstance(raised, OSError):  # foreseen
            assert code == 2
            continue
        assert (code, out) == (1, "")
        assert error.startswith(f"xbar: {said}")
        assert error.count("\n") == 1
    logs = list((tmp_path / "state").rglob("error-*.txt"))
    assert len(logs) == 2
    text = "".join(log.read_text() for log in logs)
    for word in ("Traceback", "RuntimeError: first", "second", "jax: ", f"show {tmp_path}"):
        assert word in text


def throw(error):
    raise error


def test_a_full_disk_names_its_file_and_exits_1(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    file = write_tiny(tmp_path, TINY)
    monkeypatch.setattr(Path, "write_bytes", full)
    code, _, error = call(monkeypatch, capsys, "study", file, "--out", tmp_path / "out")
    assert code == 1
    assert error == f"xbar: {tmp_path}/out/run.json: No space left on device\n"
    assert [f.name for f in (tmp_path / "out").iterdir()] == []


def test_a_copy_of_a_folder_is_a_run(tmp_path):
    finished(tmp_path / "out")
    shutil.copytree(tmp_path / "out", tmp_path / "copy")
    assert finished(tmp_path / "copy")["x"] is None
    assert json.loads((tmp_path / "copy" / "run.json").read_text())["signature"] == "xbar run"
