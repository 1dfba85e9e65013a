"""The demo's stages on a small scale, its folder, and the command line around it."""

import io
import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import xbar as xb
from xbar import cli
from xbar.io.runs import load_run
from xbar.io.store import read_results
from xbar.io.tree import flatten
from xbar.learn.corrector import predict
from xbar.run.demo import demo_study, run_demo
from xbar.run.errors import UsageError
from xbar.run.folders.folder import RunFolder
from xbar.run.study import chunks


def quiet_console() -> Console:
    """Prints nowhere and remembers."""
    return Console(record=True, width=100, file=io.StringIO())


SETTINGS = ("seeds=2", "network.hidden=[12]", "defects.layer=1")
SMALL = demo_study(SETTINGS)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "demo"
    console = quiet_console()
    summary = run_demo(SMALL, out, console, overwrite=False)
    return out, summary, console.export_text()


def test_summary_has_the_agreed_fields(finished):
    out, summary, _ = finished
    assert summary == json.loads((out / "summary.json").read_text())
    stages = ["software", "healthy", "defective", "corrected"]
    assert list(summary["accuracy"]) == list(summary["ci95"]) == stages
    assert {"defect", "layer", "seed", "wall_s"} <= set(summary)
    accuracy = summary["accuracy"]
    assert accuracy["software"] > 0.9
    assert abs(accuracy["healthy"] - accuracy["software"]) < 0.03
    assert accuracy["defective"] < accuracy["healthy"] - 0.1
    assert accuracy["corrected"] > accuracy["defective"] + 0.05


def test_folder_and_screen(finished):
    out, summary, text = finished
    names = {file.name for file in out.iterdir()}
    figures = {"accuracy", "arrays", "confusion", "drop", "outputs", "power"}
    assert set(summary["figures"]) == {f"{name}.png" for name in figures}
    texts = {"report.html", "results.h5", "run.json", "summary.json"}
    assert names == {*summary["figures"], *texts}
    assert f"{100 * summary['accuracy']['corrected']:.1f} %" in text
    report = (out / "report.html").read_text()
    assert report.count("data:image/png;base64,") == len(figures)
    assert len(report) < 1.5e6
    assert "http" not in report.replace("http-equiv", "")  # self-contained
    assert f"{100 * summary['accuracy']['defective']:.1f} %" in report


def test_every_accuracy_follows_from_the_file_alone(finished):
    out, summary, _ = finished
    arrays, attributes = read_results(out / "results.h5")
    data, volts = arrays["data"], arrays["voltages"]
    labels = data["labels"][volts["images"]]
    tested = data["test"].shape[-1]
    assert attributes["config"]["seeds"] == 2
    np.testing.assert_array_equal(volts["images"][:, -tested:], data["test"])
    stopped = {name: int((~ended).sum()) for name, ended in arrays["converged"].items()}
    assert set(stopped) == set(arrays["correctors"])
    assert summary["unconverged"] == {name: count for name, count in stopped.items() if count}
    for name in ("healthy", "defective"):
        right = (volts[name].argmax(-1) == labels)[:, -tested:]
        np.testing.assert_allclose(right.mean(), summary["accuracy"][name], rtol=1e-12)
    # And the voltages from the stored conductances, with nothing of the package's network code.
    circuit = arrays["healthy"]
    v = circuit["k_in"][0] * data["images"][volts["images"][0, :5]]
    for number in range(2):
        layer = {n: x[0] for n, x in flatten(circuit["layers"][str(number)]) if n[-5:] != "class"}
        pairs = {n: x[0] for n, x in arrays["arrays"].get(f"layer_{number}", {}).items()}
        plus, minus = (pairs.get(n, layer[f"pairs/{n}"]) for n in ("g_plus", "g_minus"))
        v = np.hstack([v, np.full((5, 1), layer["v_bias"])])
        g = np.stack([plus, minus], axis=-1).reshape(v.shape[1], -1)
        array = xb.Crossbar(g, xb.Wires(layer["wires/word_line"], layer["wires/bit_line"]))
        i_out = np.asarray(xb.solve(array, v.T, xb.ColumnSweep()).i_out).T
        v = layer["readout/steps/0/r_f"] * (i_out[:, 0::2] - i_out[:, 1::2])
        v = np.maximum(v, 0) if number == 0 else v
    expected = volts["defective"][0, :5]
    assert np.max(np.abs(v - expected)) <= 1e-9 * np.max(np.abs(expected))


@pytest.mark.slow
def test_a_loaded_run_gives_the_same_voltages_and_accuracy(finished):
    out, summary, _ = finished
    run = load_run(out)
    hits = []
    for circuit in range(run.circuits):
        test = run.parts["test"][circuit]
        for name in ("healthy", "defective"):
            volts = run.network(name, circuit)(run.images[test])
            expected = run.read(f"voltages/{name}")[circuit, -len(test) :]
            assert np.max(np.abs(volts - expected)) <= 1e-9 * np.max(np.abs(expected))
        found = np.asarray(predict(run.corrector(circuit), volts))
        hits.append(np.mean(found == run.labels[test]))
        logits = run.software(circuit)(jnp.asarray(run.images[test]))
        stored = run.read("accuracy")["software"][circuit]
        assert np.mean(np.argmax(np.asarray(logits), -1) == run.labels[test]) == pytest.approx(
            stored
        )
    assert np.mean(hits) == pytest.approx(summary["accuracy"]["corrected"], rel=1e-12)


def test_parts_are_disjoint_for_every_seed(finished):
    out, _, _ = finished
    digits = read_results(out / "results.h5")[0]["data"]
    for seed in range(2):
        parts = [set(digits[name][seed].tolist()) for name in ("base", "corrector", "test")]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 1797


def test_finished_run_is_shown_and_left_alone(finished):
    out, summary, _ = finished
    before = {file: file.stat().st_mtime_ns for file in out.iterdir() if file.name != "run.json"}
    console = quiet_console()
    assert run_demo(SMALL, out, console, overwrite=False) == summary
    assert before == {file: file.stat().st_mtime_ns for file in before}


def test_interrupted_run_goes_on_behind_its_last_chunk(finished, tmp_path, monkeypatch):
    _, summary, _ = finished
    out = tmp_path / "demo"
    console = quiet_console()

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(chunks, "solve_broken", stop)
        with pytest.raises(KeyboardInterrupt):
            run_demo(SMALL, out, console, overwrite=False)
    with monkeypatch.context() as patch:  # neither training nor solving may run again
        for name in ("compute_software", "solve_healthy"):
            patch.setattr(chunks, name, stop)
        again = run_demo(SMALL, out, console, overwrite=False)
    assert again["accuracy"] == summary["accuracy"]
    assert again["references"] == summary["references"]


@pytest.mark.parametrize(
    ("prepare", "config", "message"),
    [
        ("foreign", SMALL, "holds files that no xbar run made"),
        ("file", SMALL, "which is a file"),
        ("finished", demo_study([*SETTINGS, "seed=1"]), "seed = 0, asked for 1"),
    ],
)
def test_folders_that_are_not_ours_stay_as_they_are(finished, tmp_path, prepare, config, message):
    out = tmp_path / "out"
    if prepare == "foreign":
        out.mkdir()
        (out / "thesis.tex").write_text("years of work")
    elif prepare == "file":
        out.write_text("years of work")
    else:
        shutil.copytree(finished[0], out)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=message):
        run_demo(config, out, quiet_console())
    assert sorted(tmp_path.rglob("*")) == before


def test_overwrite_starts_anew_but_not_over_foreign_files(finished, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(finished[0], out)
    (out / "notes.txt").write_text("mine")
    folder = RunFolder(out, "demo", {"seed": 5}, overwrite=True)
    assert not folder.finished
    folder.release()
    assert {f.name for f in out.iterdir()} == {"run.json", "notes.txt", "shards"}
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="no xbar run made"):
        RunFolder(foreign, "demo", {}, overwrite=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo"], "--out"),
        (["demo", "--out", "x", "--seed", "one"], "--seed"),
        (["demo", "--out", "x", "--seed", "-1"], "--seed"),
        (["demo", "--out", "x", "--frobnicate"], "--frobnicate"),
        (["dmeo"], "dmeo"),
    ],
)
def test_wrong_arguments_exit_2_with_one_line(arguments, message, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["xbar", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert error.count("\n") == 1
    assert message in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["spice"]], ids=["xbar", "xbar spice"])
def test_groups_alone_show_what_there_is(arguments, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["xbar", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    shown = capsys.readouterr().out
    assert stopped.value.code == 0
    assert shown.startswith("Usage: xbar")
    assert shown.count("\n") > 5
