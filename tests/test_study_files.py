"""Study files: what they may say, and that everything wrong with one is named at once."""

import tomllib
from pathlib import Path

import pytest
from study_cases import TINY, write_tiny

from xbar import cli
from xbar.run import (
    CircuitSettings,
    CorrectorSettings,
    DefectSettings,
    NetworkSettings,
    Study,
    StudyError,
    UsageError,
    read_study,
    write_study,
)
from xbar.run.settings.files import checked, settings_from
from xbar.run.study.plan import Plan

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

WRONG = """
seeds = "3"
frob = 1
references = ["voting"]
[data]
fractions = [0.5, 0.5]
[network]
activation = "gelu"
[circuit]
gain = "z"
wire_ohm = [1, true]
[defects]
shape = ["ring", 3]
coverage = "x"
[[correctors]]
hidden = [1.5]
steps = true
[run]
chnk = 3
"""
NAMED = {
    'seeds: got "3", needs a valid integer',
    "frob: got a key that is not known",
    "references[0]: got \"voting\", needs 'nearest-neighbours' or 'retrained'",
    "data.fractions[2]: got none, needs a value",
    "network.activation: got \"gelu\", needs 'relu', 'tanh' or 'sigmoid'",
    'circuit.gain: got "z", needs a valid number',
    "circuit.wire_ohm[1]: got true, needs a valid number",
    "defects[0].shape[1]: got 3, needs a valid string",
    'defects[0].coverage[0]: got "x", needs a valid number',
    "correctors[0].hidden[0]: got 1.5, needs a valid integer",
    "correctors[0].steps: got true, needs a valid integer",
    "run.chnk: got a key that is not known",
}
IMPOSSIBLE = """
seed = -1
seeds = 0
data.fractions = [0.6, 0.2, 0.3]
network.hidden = [0]
circuit.window = ["oxide", "5e5:1e4", "1e4:1e6"]
circuit.wire_ohm = [-1.0, nan, 2.0, 2.0]
circuit.rail = 0.0
circuit.tile = [26, 41]
store.images = 0
run.lanes = 0
[[defects]]
shape = ["ring", "circle-complement", "blob"]
coverage = [0.1, 0.4]
layer = [0, 2]
fault = ["pair", "unequal"]
stuck = ["on", 0]
stuck_window = "chip-stuck"
placements = 0
[[defects]]
shape = []
[[correctors]]
name = "defective"
[[correctors]]
steps = 0
[[correctors]]
"""
NAMED_TOO = [
    "seed: got -1, needs 0 to 4294967295",
    "seeds: got 0, needs at least 1",
    "data.fractions: got [0.6, 0.2, 0.3], needs three above 0 that add up to 1",
    "network.hidden: got [0], needs sizes of at least 1",
    "circuit.window[0]: got 'oxide', needs one of mnsim",
    "circuit.window[1]: got '5e5:1e4', needs one of",
    "circuit.wire_ohm[0]: got -1.0, needs a finite resistance",
    "circuit.wire_ohm[1]: got nan",
    "circuit.wire_ohm: got 2.0 twice",
    "circuit.rail: got 0.0, needs above 0",
    "circuit.tile: got (26, 41), needs (rows, columns) above 0, an even number of columns",
    "store.images: got 0",
    "run.lanes: got 0",
    "defects[0].shape: got 'blob'",
    "defects[0].coverage: got 0.1, needs 0.215 to 1 for circle-complement",
    "defects[0].layer: got 2, needs 0 to 1",
    "defects[0].stuck: got 0, needs on, off",
    "defects[0].stuck (with fault unequal): got 'on', needs one of random, uniform",
    "defects[0].placements: got 0",
    "defects[1].shape: got an empty list",
    "correctors[0].name: got 'defective', needs a name",
    "correctors[1].steps: got 0",
    "correctors: got corrector 14 twice",
]


def test_every_wrong_type_and_unknown_key_is_named_with_its_place():
    with pytest.raises(StudyError) as error:
        settings_from(Study, tomllib.loads(WRONG))
    assert set(error.value.problems) == NAMED


def test_every_impossible_value_is_named_with_its_place():
    with pytest.raises(StudyError) as error:
        settings_from(Study, tomllib.loads(IMPOSSIBLE))
    found = list(error.value.problems)
    for expected in NAMED_TOO:
        assert any(problem.startswith(expected) for problem in found), expected
        found = [problem for problem in found if not problem.startswith(expected)]
    assert [p for p in found if "got -1" not in p and "got '0'" not in p] == []


def test_studies_from_python_are_checked_alike():
    study = Study(seeds=0, defects=(DefectSettings(shape="ring", coverage=0.9),))
    with pytest.raises(StudyError) as error:
        checked(study)
    assert len(error.value.problems) == 2


@pytest.mark.parametrize(
    "study",
    [
        Study(),
        Study(
            seeds=3,
            network=NetworkSettings((5, 4), "tanh"),
            circuit=CircuitSettings(("mnsim", "2e4:1e6"), (0, 1.5), "balanced", 1e3, 0.5),
            defects=(
                DefectSettings(("ring", "row"), (0.1, 0.2), (0, 1), "plus", ("on", 5000)),
                DefectSettings("circle-complement", None, None, "unequal", stuck_window="chip"),
            ),
            correctors=(CorrectorSettings((8, 4), batch_size=64), CorrectorSettings((), "lin")),
            references=("retrained",),
        ),
    ],
    ids=["default", "everything"],
)
def test_a_study_survives_being_written_and_read(study, tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(write_study(study))
    assert read_study(file) == checked(study)
    assert checked(checked(study)) == checked(study)


def test_one_value_or_a_list_are_the_same():
    one = settings_from(Study, {"defects": {"shape": "ring", "stuck": 5000}})
    many = settings_from(Study, {"defects": [{"shape": ["ring"], "stuck": ["5000"]}]})
    assert one == many
    assert one.defects[0].stuck == ("5000",)


def call(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["xbar", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (WRONG, len(NAMED)),
        ("seeds = ", 1),
        (TINY + '\n[[correctors]]\nname = "a/b"\n', 1),
        (TINY.replace("layer = [0, 1]", "layer = [0, 7]"), 1),
        (TINY.replace("data.npz", "nowhere.npz"), 1),
        (TINY.replace("data.npz", "tiny.toml"), 1),
        (TINY.replace("[network]", "[network]\nfile = 'data.npz'"), 1),
        (TINY.replace("[data]", "[data]\nfractions = [0.98, 0.01, 0.01]"), 1),
    ],
    ids=["types", "no TOML", "name", "layer", "no data", "not data", "not a network", "rare"],
)
def test_a_wrong_file_exits_2_with_a_line_for_each_problem(
    text, lines, tmp_path, monkeypatch, capsys
):
    file = write_tiny(tmp_path, text)
    code, out, error = call(monkeypatch, capsys, "study", file, "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert len(error.splitlines()) == lines
    assert all(line.startswith("xbar: ") for line in error.splitlines())
    assert {f.name for f in tmp_path.iterdir()} == {"tiny.toml", "data.npz"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--processes", "2"], "--coordinator: got none, needs all of"),
        (["--coordinator", "x", "--processes", "2", "--process-id", "0"], "needs HOST:PORT"),
        (
            ["--coordinator", "h:1", "--processes", "2", "--process-id", "2"],
            "--process-id: got 2, needs 0 to 1",
        ),
    ],
)
def test_processes_that_do_not_fit_get_one_line(more, message, tmp_path, monkeypatch, capsys):
    file = write_tiny(tmp_path)
    code, _, error = call(monkeypatch, capsys, "study", file, "--out", tmp_path / "out", *more)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1


def test_a_file_that_is_not_there_gets_one_line(tmp_path, monkeypatch, capsys):
    code, _, error = call(monkeypatch, capsys, "study", tmp_path / "x.toml", "--out", tmp_path)
    assert code == 2
    assert "x.toml: cannot be read (No such file or directory)" in error
    with pytest.raises(UsageError):
        read_study(tmp_path)


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.toml")), ids=lambda file: file.name)
def test_examples_are_studies(file):
    assert Plan(read_study(file), (64, 50, 20, 8, 10)).circuits > 0


def test_a_dry_run_says_what_it_takes_and_touches_nothing(tmp_path, monkeypatch, capsys):
    file = write_tiny(tmp_path)
    code, out, _ = call(monkeypatch, capsys, "study", file, "--dry-run")
    assert code == 0
    told = ("defective circuits", " 64 ", "18 of up to 4 circuits", "GiB", "kB")
    for text in (*told, "computing", " s on this", "compiling", "for 4 programs"):
        assert text in out
    assert {f.name for f in tmp_path.iterdir()} == {"tiny.toml", "data.npz"}


def test_without_a_folder_there_is_one_line(tmp_path, monkeypatch, capsys):
    code, _, error = call(monkeypatch, capsys, "study", write_tiny(tmp_path))
    assert code == 2
    assert error == "xbar: --out: got none, needs a folder for results\n"
