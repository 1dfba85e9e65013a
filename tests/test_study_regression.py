"""Studies of regressions: networks of real outputs, scored by how far they are off."""

import json

import numpy as np
import pytest
from study_cases import quiet_console

from xbar.io import load_run
from xbar.io.datasets import load_dataset
from xbar.learn.mlp import MLP
from xbar.run import DefectSettings, Study, run_study
from xbar.run.errors import StudyError, UsageError
from xbar.run.sensitivity.source import stored
from xbar.run.settings.files import read_study
from xbar.run.settings.study import (
    CircuitSettings,
    CorrectorSettings,
    DataSettings,
    NetworkSettings,
)
from xbar.run.study.software import load
from xbar.run.study.tables import labelled

STUDY = """
name = "pressure"
seeds = 2
score = "rmse"
references = ["retrained"]

[data]
file = "data.npz"

[network]
hidden = [6]

[circuit]
wire_ohm = [0.0, 1.0]

[[defects]]
shape = "row"
coverage = 0.4
layer = 0

[[correctors]]
hidden = []
steps = 300

[store]
correctors = true
"""


def write_regression(folder, outputs=1):
    """Targets of some size and offset that four inputs give, with noise of 0.5."""
    rng = np.random.default_rng(3)
    x = rng.uniform(size=(150, 4))
    w = np.array([[9.0, -6.0, 4.0, 12.0], [100.0, 40.0, -70.0, 20.0]])[:outputs]
    targets = 120.0 + x @ w.T + 0.5 * rng.normal(size=(150, outputs))
    np.savez(folder / "data.npz", x=x, targets=targets[:, 0] if outputs == 1 else targets)
    file = folder / "study.toml"
    file.write_text(STUDY)
    return file


@pytest.fixture(scope="module")
def run_of(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regression")
    study = read_study(write_regression(folder))
    summary = run_study(study, folder / "run", quiet_console(), beside=folder)
    return folder / "run", summary


def test_a_regression_runs_from_file_to_report_with_errors_in_the_targets_unit(run_of):
    folder, summary = run_of
    spread = float(np.std(load_run(folder).labels))
    found = summary["rmse"]
    assert summary["score"] == "rmse"
    assert "accuracy" not in summary
    assert 0.3 < found["software"] < 0.2 * spread
    assert found["healthy"] == pytest.approx(found["software"], rel=0.5)
    assert found["defective"] > 2 * found["healthy"]
    assert found["linear corrector"] < 1.1 * found["defective"]  # one output holds no more
    assert found["retrained network"] > 0
    report = (folder / "report.html").read_text()
    assert "root mean square error" in report
    assert "accuracy" not in report.split("The study, whole")[0].lower()
    assert (folder / "rmse.png").exists()
    assert (folder / "circuits.csv").read_text().splitlines()[0].endswith("rmse retrained network")
    assert json.loads((folder / "summary.json").read_text())["rmse"] == found


def test_ideal_wires_give_the_software_networks_error(run_of):
    run = load_run(run_of[0])
    healthy, ohm = run.read("rmse")["healthy"], run.read("healthy_circuits")["wire_ohm"]
    software = run.read("rmse")["software"]
    assert np.allclose(healthy[ohm == 0], software, rtol=1e-9)
    assert labelled(run, "defective").sizes["wire_ohm"] == 2


def test_what_a_corrector_reads_is_stored_in_the_targets_unit(run_of):
    run = load_run(run_of[0])
    read = run.read("correctors")["linear corrector"]["targets"]
    wanted = run.labels[run.parts["test"]]
    error = np.sqrt(np.mean((read - wanted) ** 2, (1, 2)))
    assert np.allclose(error, run.read("rmse")["linear corrector"])


def test_a_network_of_ones_own_may_have_one_output_and_keeps_its_unit(tmp_path):
    write_regression(tmp_path)
    data = load_dataset(tmp_path / "data.npz")
    rng = np.random.default_rng(0)
    own = MLP((rng.normal(size=(4, 3)), 5 * rng.normal(size=(3, 1))), (np.ones(3), np.full(1, 9.0)))
    study = Study(data=DataSettings("data.npz"))
    given = load(study, tmp_path, None, own)
    assert given.task.score == "rmse"
    assert given.network is not None
    error = float(given.task.scored(given.network(given.images), given.labels))
    direct = np.sqrt(np.mean((np.asarray(own(given.images)) - data.labels) ** 2))
    assert error == pytest.approx(direct, rel=1e-5)


@pytest.mark.slow
def test_several_targets_are_learnt_alike_whatever_their_units(tmp_path):
    write_regression(tmp_path, outputs=2)
    study = Study(
        seeds=1,
        score="mae",
        data=DataSettings("data.npz"),
        network=NetworkSettings(hidden=(6,)),
        circuit=CircuitSettings(wire_ohm=0.0),
        defects=(DefectSettings(layer=1),),
        correctors=(CorrectorSettings(hidden=(), steps=50),),
    )
    found = run_study(study, tmp_path / "run", quiet_console(), beside=tmp_path)["mae"]
    assert found["software"] < 2.0  # of spreads of 4 and 37
    assert found["healthy"] == pytest.approx(found["software"], rel=1e-9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"score": "accuracy"},
            "score: got 'accuracy', needs one of data.npz's targets: rmse, mae",
        ),
        ({"loss": "cross-entropy"}, "loss: got 'cross-entropy', needs one of data.npz's targets"),
        ({"references": ("nearest-neighbours",)}, "a vote on classes"),
        ({"network": NetworkSettings(file="net.npz")}, "2 outputs, needs 4 and 1, .*targets of"),
    ],
)
def test_what_a_regression_does_not_have_is_said(tmp_path, settings, message):
    write_regression(tmp_path)
    np.savez(tmp_path / "net.npz", weights_0=np.ones((4, 2)))
    with pytest.raises(StudyError, match=message):
        load(Study(data=DataSettings("data.npz"), **settings), tmp_path, None, None)


def test_classes_are_not_scored_by_errors():
    with pytest.raises(StudyError, match="score: got 'rmse', needs one of digits's classes"):
        load(Study(score="rmse"), None, None, None)


def test_sensitivity_says_that_it_needs_classes(run_of):
    with pytest.raises(UsageError, match="got a run scored by rmse, needs one of classes"):
        stored(run_of[0], 0, False)
