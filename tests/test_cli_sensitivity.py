"""`xbar sensitivity`: wrong calls, what it leaves behind, and going on after a stop."""

import csv
import io
import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cli_cases import run_cli
from study_cases import quiet_console, write_tiny

import xbar as xb
from xbar.io.runs import load_run
from xbar.io.store import read_results
from xbar.io.tree import decode
from xbar.learn.mlp import accuracy
from xbar.run import read_study, run_study
from xbar.run.errors import UsageError
from xbar.run.sensitivity import placed, stages
from xbar.run.sensitivity.config import SensitivityConfig
from xbar.run.sensitivity.findings import as_csv, ranked, yielded
from xbar.run.sensitivity.run import run
from xbar.run.sensitivity.source import PARTS, Source

SMALL = SensitivityConfig(
    cells=3, rates=(0.0, 0.05), samples=5, places=6, starts=3, steps=4, pooled=2, ngspice_s=0
)
ONE_LAYER = """
name = "one layer"
seeds = 2

[data]
file = "data.npz"

[network]
hidden = []

[[defects]]
shape = "row"
coverage = 0.3

[store]
arrays = true
"""


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A finished study of a network with one array."""
    folder = tmp_path_factory.mktemp("stored")
    file = write_tiny(folder, ONE_LAYER)
    run_study(read_study(file), folder / "study", quiet_console(), beside=folder)
    return folder / "study"


@pytest.fixture(scope="module")
def finished(stored, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "sensitivity"
    console = quiet_console()
    return out, run(SMALL, out, console, source=stored), console.export_text()


WRONG = {
    "--shape blob": "shape: got 'blob', needs one of circle, ring",
    "--coverage 2": "coverage: got 2, needs 0 to 0.785 for circle",
    "--shape scratch --coverage 0.5": "needs 0 to 0.192 for scratch",
    "--stuck open": "stuck: got 'open', needs one of on, off",
    "--cells 0": "cells: got 0, needs at least 1",
    "--set rates=[]": "rates: got none, needs at least one",
    "--tile [65]": "circuit.tile[1]: got none, needs a value",
    "--cells many": 'cells: got "many", needs a valid integer',
    "--samples 1": "samples: got 1, needs at least 2",
    "--places 1": "places: got 1, needs at least 2",
    "--starts 0": "starts: got 0, needs at least 1",
    "--seed -1": "--seed",
    "--ngspice-s -1": "ngspice_s: got -1, needs 0 or more",
    "--circuit 1": "--circuit: got no --from, needs a run",
    "--defective": "--defective: got no --from, needs a run",
    "--from nowhere": "nowhere: got no such folder",
    "--from .": "got a folder that no xbar run made",
    "--out a_file": "which is a file",
    "--out .": "holds files that no xbar run made",
}


@pytest.mark.parametrize("call", WRONG)
def test_wrong_calls_get_one_line_and_touch_nothing(call, tmp_path, monkeypatch, capsys):
    (tmp_path / "a_file").write_text("years of work")
    monkeypatch.chdir(tmp_path)
    arguments = [*([] if "--out" in call else ["--out", "runs/x"]), *call.split()]
    code, out, error = run_cli(monkeypatch, capsys, "sensitivity", *arguments)
    assert (code, out) == (2, "")
    assert error.startswith("xbar: ")
    assert error.count("\n") == 1
    assert WRONG[call] in error
    assert [file.name for file in tmp_path.iterdir()] == ["a_file"]


@pytest.mark.slow
def test_a_circuit_that_the_run_lacks_is_named(stored, tmp_path, monkeypatch, capsys):
    arguments = ["--out", str(tmp_path / "x"), "--from", str(stored), "--circuit", "2"]
    code, _, error = run_cli(monkeypatch, capsys, "sensitivity", *arguments)
    assert code == 2
    assert "circuit: got 2, needs 0..1" in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_tiles_are_looked_at_by_their_place_on_the_chip(tmp_path):
    """The same questions of a layer in 2 x 2 tiles, and its faults where they stand."""
    file = write_tiny(tmp_path, ONE_LAYER + "\n[circuit]\ntile = [3, 4]\n")
    run_study(read_study(file), tmp_path / "study", quiet_console(), beside=tmp_path)
    out = tmp_path / "sensitivity"
    run(SMALL, out, quiet_console(), source=tmp_path / "study")
    tree, _ = read_results(out / "results.h5", ("maps", "chip"))
    layer = tree["maps"]["layer_0"]
    losses = layer["cell_on"]["loss"] - tree["maps"]["healthy"]["loss"]
    assert losses.shape == layer["slope_word_line"].shape == (5, 6)
    assert (layer["row_on"]["loss"].shape, layer["column_on"]["loss"].shape) == ((5, 2), (2, 6))
    chip = tree["chip"]["on"]
    assert np.isfinite(chip).sum() == losses.size
    np.testing.assert_allclose(chip[:3, :4], losses[:3, :4])  # the first tile, all of it used
    with (out / "critical_cells.csv").open() as rows:
        worst = next(csv.DictReader(rows))
    row, column = int(worst["word_line"]), int(worst["bit_line"])
    tile = int(worst["tile_row"]), int(worst["tile_column"])
    assert tile == (row // 3, column // 4)
    place = 3 * tile[0] + int(worst["tile_word_line"]), 4 * tile[1] + int(worst["tile_bit_line"])
    found = tree["chip"]["on" if worst["fault"] == "stuck-on" else "off"]
    assert found[place] == pytest.approx(float(worst["loss_change"]), rel=1e-6)
    assert (out / "chip.png").exists()


def test_no_more_cells_are_stuck_together_than_the_weights_have():
    """A logistic regression of two inputs has four such cells, fewer than the default asks for."""
    rng = np.random.default_rng(0)
    x, parts = rng.uniform(size=(12, 2)), dict.fromkeys(PARTS, np.arange(12))
    net = xb.Network.from_weights([rng.normal(size=(2, 1))], calibration=x)
    source = Source(net, x, np.arange(12) % 2, parts, "two inputs", "")
    config = replace(SMALL, cells=16)
    found = stages.cells(source, config, lambda _: None)
    assert stages.most_cells(source, config) == 4
    assert {len(group["cell"]) for name, group in found.items() if name != "random"} == {4}
    assert found["random"]["count"].tolist() == [1, 2, 4]


def small_maps():
    """Two layers of two cells each, one fault of which has no solution."""

    def layer(on, off):
        return {
            "g": np.array([[1e-5, 2e-5]]),
            "g_on": np.full((1, 2), 1e-4),
            "g_off": np.full((1, 2), 1e-6),
            "slope": np.array([[1e4, -1e4]]),
            "cell_on": {"loss": np.array([on]), "accuracy": np.array([[0.5, 0.9]])},
            "cell_off": {"loss": np.array([off]), "accuracy": np.array([[0.8, 0.7]])},
        }

    healthy = {"loss": np.array(0.1), "accuracy": np.array(0.9)}
    first, second = layer([0.3, 0.05], [0.2, np.nan]), layer([0.1, 0.7], [0.4, 0.15])
    return {"healthy": healthy, "layer_0": first, "layer_1": second}


def test_faults_are_ranked_by_the_loss_with_the_numbers_of_their_cells():
    rows = ranked(small_maps())
    changes = rows["loss_change"]
    np.testing.assert_allclose(changes, [0.6, 0.3, 0.2, 0.1, 0.05, 0, -0.05], atol=1e-12)
    worst = rows.iloc[0]
    assert (worst.layer, worst.word_line, worst.bit_line, worst.pair) == (1, 0, 1, 0)
    assert (worst.cell, worst.fault) == ("minus", "stuck-on")
    np.testing.assert_allclose(worst.predicted_loss_change, -1e4 * (1e-4 - 2e-5))
    table = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert [int(row["rank"]) for row in table] == list(range(1, 8))
    assert float(table[0]["g_stuck_S"]) == 1e-4
    assert len(ranked(small_maps(), 2)) == 2


def test_a_prediction_holds_where_it_expects_the_mean_of_the_solved_circuits():
    rng = np.random.default_rng(0)
    solved = rng.normal(0.8, 0.05, (2, 50))
    predicted = np.stack([rng.normal(mean, 0.05, (200, 50)) for mean in (0.8, 0.9)])
    same, other = yielded({"rate": np.array([0.1, 0.2]), "predicted": predicted, "solved": solved})
    assert same["mean_holds"]
    assert same["same_distribution_p"] > 0.05
    assert not other["mean_holds"]
    assert other["same_distribution_p"] < 1e-3
    solved[0, 0] = np.nan
    one = yielded({"rate": [0.1], "predicted": predicted[:1], "solved": solved[:1]})[0]
    assert one["unsolved"] == 1


def test_a_rare_disaster_that_no_solved_circuit_had_does_not_break_a_prediction():
    # One circuit in two hundred reads 10 % instead of 97 %; these hundred had none, so that their
    # spread, and Student's interval, are 0.
    rare = np.where(np.random.default_rng(0).random((200, 100)) < 0.005, 0.1, 0.97)
    row = yielded({"rate": [1e-4], "predicted": rare[None], "solved": np.full((1, 100), 0.97)})[0]
    assert row["predicted_mean"] < row["solved_mean"]
    assert row["mean_holds"]


@pytest.mark.slow
def test_a_run_leaves_everything_and_says_where(finished):
    out, summary, text = finished
    assert summary == json.loads((out / "summary.json").read_text())
    names = {file.name for file in out.iterdir()}
    files = {"report.html", "results.h5", "run.json", "summary.json", "critical_cells.csv"}
    assert names == {*files, *summary["figures"]}
    assert len(summary["figures"]) == 13
    report = (out / "report.html").read_text()
    assert report.count("data:image/png;base64,") == 13
    assert "http" not in report
    for name in names - {"run.json"}:
        assert name in text.replace("\n", "")
    worst = summary["single_faults"]["worst"]
    assert f"word line {worst['word_line']}, bit line {worst['bit_line']}" in report
    assert summary["ngspice"]["status"] == ["left out"]


@pytest.mark.slow
def test_numbers_follow_from_the_stored_network_alone(finished, stored):
    out, summary, _ = finished
    arrays, _ = read_results(out / "results.h5")
    data, maps = arrays["data"], arrays["maps"]["layer_0"]
    network = jax.tree.map(jnp.asarray, decode(arrays["network"]))
    x, labels = data["images"][data["test"]], jnp.asarray(data["labels"][data["test"]])
    assert float(accuracy(network(x), labels)) == summary["healthy"]["accuracy"]
    original = load_run(stored).network("healthy", 0)
    for a, b in zip(jax.tree.leaves(network), jax.tree.leaves(original), strict=True):
        np.testing.assert_array_equal(a, b)
    g = np.asarray(network.layers[0].pairs.interleave())
    np.testing.assert_array_equal(maps["g"], g)
    with (out / "critical_cells.csv").open() as file:
        first = next(csv.DictReader(file))
    at = int(first["word_line"]), int(first["bit_line"])
    assert float(first["g_S"]) == g[at]
    kind = first["fault"].removeprefix("stuck-")
    change = maps[f"cell_{kind}"]["loss"] - arrays["maps"]["healthy"]["loss"]
    assert float(first["loss_change"]) == change[at] == np.nanmax(change)
    solved = arrays["yield"]["solved"]
    assert (solved[0] == summary["healthy"]["accuracy"]).all()  # rate 0
    greedy = arrays["cells"]["greedy_all"]
    assert greedy["seen_loss"][0] <= greedy["seen_loss"][2]


@pytest.mark.slow
def test_a_finished_run_is_shown_and_another_is_refused(finished, stored):
    out, summary, text = finished
    before = {file: file.stat().st_mtime_ns for file in out.iterdir()}
    console = quiet_console()
    assert run(SMALL, out, console, source=stored) == summary
    assert text.endswith(console.export_text())
    with pytest.raises(UsageError, match="circuit = 0, asked for 1"):
        run(SMALL.__class__(**{**SMALL.as_dict(), "circuit": 1}), out, console, source=stored)
    assert {file: file.stat().st_mtime_ns for file in out.iterdir()} == before


@pytest.mark.slow
def test_a_stopped_run_goes_on_with_the_same_numbers(finished, stored, tmp_path, monkeypatch):
    out, summary, _ = finished

    def stop(*_):
        raise KeyboardInterrupt

    def twice(*_):
        raise AssertionError("computed again")

    with monkeypatch.context() as patch:
        patch.setattr(stages, "yields", stop)
        with pytest.raises(KeyboardInterrupt):
            run(SMALL, tmp_path / "x", quiet_console(), source=stored)
    left = {file.name for file in (tmp_path / "x").iterdir()}
    assert left == {"run.json", "shards"}
    with monkeypatch.context() as patch:
        for stage in ("maps", "steps", "cells"):
            patch.setattr(stages, stage, twice)
        patch.setattr(placed, "places", twice)
        again = run(SMALL, tmp_path / "x", quiet_console(), source=stored)
    timed = ("wall_s", "stages_s", "places")  # of places: seconds of the search
    assert {k: v for k, v in again.items() if k not in timed} == {
        k: v for k, v in summary.items() if k not in timed
    }
    a, b = (read_results(path / "results.h5")[0]["yield"] for path in (out, tmp_path / "x"))
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
