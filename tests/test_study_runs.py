"""Studies from end to end on a small scale: their numbers, going on, locks, failures, results."""

import json
import shutil
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from study_cases import CIRCUITS, assert_same, numbers, quiet_console, write_tiny

from xbar.devices import random_mask
from xbar.io.runs import load_run
from xbar.io.store import StoreError, verify_results
from xbar.learn.corrector import train_correctors
from xbar.learn.mlp import accuracy
from xbar.run import CircuitSettings, DefectSettings, Study, labelled, read_study, run_study
from xbar.run.errors import UsageError
from xbar.run.folders.folder import RunFolder
from xbar.run.folders.progress import Stages
from xbar.run.folders.runner import Interrupt
from xbar.run.settings.faults import make_fault
from xbar.run.study import chunks
from xbar.run.study.plan import Plan, row_keys
from xbar.run.study.tables import interval


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The file of the tiny study, and the folder in which it has run."""
    folder = tmp_path_factory.mktemp("tiny")
    file = write_tiny(folder)
    run(file, folder / "out")
    return file, folder / "out"


def run(file, out, study=None, **options):
    study = read_study(file) if study is None else study
    return run_study(study, out, quiet_console(), beside=file.parent, **options)


def test_the_summary_and_the_folder(tiny):
    _, out = tiny
    summary = json.loads((out / "summary.json").read_text())
    assert summary["circuits"] == CIRCUITS
    assert summary["status"] == {"solved": CIRCUITS}
    assert list(summary["accuracy"]) == ["software", "healthy", "defective", "corrector 3"]
    assert list(summary["axes"]) == ["layer", "shape", "coverage", "fault"]
    assert {f.name for f in out.iterdir()} == {
        *summary["figures"],
        *("run.json", "summary.json", "results.h5", "report.html", "circuits.csv"),
    }
    report = (out / "report.html").read_text()
    assert report.count("data:image/png;base64,") == len(summary["figures"])
    assert "wire resistance" not in report  # not swept
    assert len((out / "circuits.csv").read_text().splitlines()) == CIRCUITS + 1


def test_every_number_is_what_the_package_gives_for_that_circuit(tiny):
    """One circuit after the other, by the public functions, from the stored software networks."""
    file, out = tiny
    found, study = load_run(out), read_study(file)
    plan, images = Plan(study, (4, 4, 3)), jnp.asarray(found.images)
    seen = found.read("voltages/images")
    for circuit in range(0, CIRCUITS, 7):
        row = {name: column[circuit : circuit + 1] for name, column in found.table.items()}
        layer, seed = int(row["layer"][0]), int(row["seed"][0])
        healthy = found.network("healthy", circuit)
        shape = healthy.layers[layer].pairs.shape
        key, fault_key, corrector_key = (
            row_keys(plan, purpose, row)[0] for purpose in ("defect", "fault", "corrector")
        )
        mask = random_mask(str(row["shape"][0]), key, row["coverage"][0]).mask(shape)
        fault = make_fault(str(row["fault"][0]), str(row["stuck"][0]))
        broken = healthy.with_fault(layer, mask, fault, fault_key)
        volts = broken(images[seen[seed]])
        stored = found.read("voltages/defective")[circuit]
        np.testing.assert_allclose(stored, volts, rtol=0, atol=1e-9 * np.abs(volts).max())
        np.testing.assert_array_equal(found.hit(circuit), mask)
        assert found.table["pairs_hit"][circuit] == mask.sum()
        labels = jnp.asarray(found.labels[seen[seed]])
        trained = len(found.parts["corrector"][circuit])
        right = accuracy(jnp.asarray(stored)[trained:], labels[trained:])
        assert found.read("accuracy/defective")[circuit] == right
        corrector = train_correctors(
            jnp.asarray(stored)[None, :trained],
            labels[None, :trained],
            corrector_key[None],
            hidden=(3,),
            steps=50,
        )
        logits = corrector(jnp.asarray(stored)[None, trained:])[0]
        mine = found.corrector(circuit)(jnp.asarray(stored)[trained:])
        np.testing.assert_allclose(logits, mine, rtol=1e-6, atol=1e-6)


def test_random_numbers_follow_from_coordinates_not_from_the_rest_of_the_sweep(tiny):
    study = read_study(tiny[0])
    one = Plan(study, (4, 4, 3))
    block = replace(study.defects[0], shape=("column",), coverage=(0.6,), placements=3)
    other = Plan(replace(study, seeds=5, defects=(block,)), (4, 4, 3))
    axes = ("layer", "seed", "shape", "placement")

    def known(plan):
        keys = np.asarray(jax.random.key_data(row_keys(plan, "defect", plan.table)))
        where = zip(*(plan.table[name].tolist() for name in axes), strict=True)
        return {row: tuple(key) for row, key in zip(where, keys.tolist(), strict=True)}

    a, b = known(one), known(other)
    shared = set(a) & set(b)
    assert len(shared) == 2 * 2 * 2
    assert all(a[row] == b[row] for row in shared)
    assert len(set(a.values())) == len(a)  # no two places alike
    purposes = [row_keys(one, p, one.table) for p in ("defect", "fault", "corrector")]
    data = np.concatenate([np.asarray(jax.random.key_data(keys)) for keys in purposes])
    assert len(np.unique(data, axis=0)) == 3 * len(a)


@pytest.mark.slow
def test_chunks_change_no_table(tiny, tmp_path):
    file, out = tiny
    study = read_study(file)
    run(file, tmp_path / "out", replace(study, run=replace(study.run, chunk=7)))
    a, b = numbers(out), numbers(tmp_path / "out")
    for name, values in a.items():
        if name.startswith(("circuits/", "accuracy/")):
            np.testing.assert_array_equal(values, b[name])
        elif name.startswith("voltages/"):
            np.testing.assert_allclose(values, b[name], rtol=0, atol=1e-12)


def test_axes_of_different_lengths_in_two_blocks_give_all_circuits_once():
    study = Study(
        seeds=2,
        circuit=CircuitSettings(window=("mnsim", "1e4:1e5"), wire_ohm=(0.0, 1.0, 2.0)),
        defects=(
            DefectSettings("ring", (0.1, 0.2), (0, 1, 2), stuck=("on", "off", "500")),
            DefectSettings("row", None, None, ("unequal", "plus"), placements=4),
        ),
    )
    plan = Plan(study, (8, 7, 6, 5))
    assert plan.circuits == 2 * 6 * (2 * 3 * 3 + 2 * 4)
    rows = list(zip(*(plan.table[n].tolist() for n in plan.table), strict=True))
    assert len(set(rows)) == plan.circuits
    covered = [r for c in plan.of_kind("circuits") for r in range(c.first, c.first + c.count)]
    assert covered == list(range(plan.circuits))
    for chunk in plan.of_kind("circuits"):
        assert set(plan.table["layer"][chunk.rows]) == {chunk.layer}
    for name in ("seed", "window", "wire_ohm"):
        expected = plan.healthy[name][plan.table["healthy"]]
        np.testing.assert_array_equal(plan.table[name], expected)


def stopped(*_, **__):
    raise KeyboardInterrupt


def test_a_stopped_study_goes_on_and_finds_the_same(tiny, tmp_path, monkeypatch):
    file, out = tiny
    calls = []
    correct = chunks.correct

    def sometimes(*arguments):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return correct(*arguments)

    monkeypatch.setattr(chunks, "correct", sometimes)
    with pytest.raises(KeyboardInterrupt):
        run(file, tmp_path / "out")
    shards = tmp_path / "out" / "shards"
    assert len(list(shards.glob("circuits-*.h5"))) == 4
    # A shard that was damaged is computed again.
    damaged = shards / "circuits-000002.h5"
    with h5py.File(damaged, "a") as shard:
        shard["tree/volts"][0, 0, 0] += 1e-9
    (shards / "circuits-000001.h5").write_bytes(b"half")
    monkeypatch.setattr(chunks, "solve_healthy", stopped)  # must not be called again
    run(file, tmp_path / "out")
    assert_same(numbers(tmp_path / "out"), numbers(out))


def test_shards_of_another_study_are_not_taken(tiny, tmp_path):
    file, out = tiny
    study = read_study(file)
    shutil.copytree(out, tmp_path / "out")
    (tmp_path / "out" / "summary.json").unlink()
    with pytest.raises(UsageError, match="seed = 0, asked for 1"):
        run(file, tmp_path / "out", replace(study, seed=1))
    with pytest.raises(UsageError, match=r"run.chunk = 4, asked for 5"):
        run(file, tmp_path / "out", replace(study, run=replace(study.run, chunk=5)))


def test_a_finished_study_is_shown_and_left_alone(tiny, monkeypatch):
    file, out = tiny
    before = {f: f.stat().st_mtime_ns for f in out.iterdir()}
    monkeypatch.setattr("xbar.run.engine.load", stopped)  # not even its data are read
    start = time.perf_counter()
    summary = run(file, out)
    assert time.perf_counter() - start < 1
    assert summary["circuits"] == CIRCUITS
    assert {f: f.stat().st_mtime_ns for f in out.iterdir()} == before


def test_the_second_run_in_a_folder_is_refused(tmp_path):
    out = tmp_path / "out"
    with RunFolder(out, "study", {}, overwrite=False):
        with pytest.raises(UsageError, match=r"another run \(process \d+ on .*\) is at work"):
            RunFolder(out, "study", {}, overwrite=False)
        with pytest.raises(UsageError, match="is at work"):
            RunFolder(out, "study", {}, overwrite=True)
    assert {f.name for f in out.iterdir()} == {"run.json", "shards"}
    (out / "run.lock").write_text("process 1 on elsewhere")  # of a process that died
    RunFolder(out, "study", {}, overwrite=False).release()
    empty = tmp_path / "killed at once"
    empty.mkdir()
    (empty / "run.lock").touch()
    RunFolder(empty, "study", {}, overwrite=False).release()


def test_a_circuit_that_fails_is_marked_and_stops_nobody(tiny, tmp_path, monkeypatch):
    file, out = tiny
    solve = chunks.solve_broken

    def fails(layer, *arguments):
        volts = solve(layer, *arguments)
        return volts.at[1].set(jnp.nan) if layer == 0 else volts

    monkeypatch.setattr(chunks, "solve_broken", fails)
    summary = run(file, tmp_path / "out")
    assert summary["status"] == {"solved": 56, "the broken array could not be solved": 8}
    found, sound = (load_run(path) for path in (tmp_path / "out", out))
    bad = found.table["status"] == 2
    assert np.flatnonzero(bad).tolist() == [1 + 4 * k for k in range(8)]
    for name in ("defective", "corrector 3"):
        values, expected = (r.read(f"accuracy/{name}") for r in (found, sound))
        assert np.isnan(values[bad]).all()
        np.testing.assert_array_equal(values[~bad], expected[~bad])
    assert np.isfinite(summary["accuracy"]["defective"])
    assert "8 circuits failed" in (tmp_path / "out" / "report.html").read_text()


def test_a_study_without_one_good_circuit_still_reports(tiny, tmp_path, monkeypatch):
    file, _ = tiny
    solve = chunks.solve_broken
    monkeypatch.setattr(chunks, "solve_broken", lambda *a: jnp.nan * solve(*a))
    summary = run(file, tmp_path / "out")
    assert summary["accuracy"]["defective"] is None
    assert summary["status"] == {"the broken array could not be solved": CIRCUITS}


def test_own_measurements_are_stored_and_are_a_setting(tiny, tmp_path):
    file, out = tiny

    def swing(batch):
        v = batch.defective_v
        return {"volts": v.max((1, 2)) - v.min((1, 2)), "rows": jnp.asarray(batch.rows["layer"])}

    run(file, tmp_path / "out", measures={"swing": swing})
    found = load_run(tmp_path / "out")
    volts = load_run(out).read("voltages/defective")
    expected = volts.max((1, 2)) - volts.min((1, 2))
    np.testing.assert_array_equal(found.read("measures/swing")["volts"], expected)
    np.testing.assert_array_equal(found.read("measures/swing")["rows"], found.table["layer"])
    with pytest.raises(UsageError, match="measures"):
        run(file, tmp_path / "out")
    with pytest.raises(ValueError, match=r"wrong gave it of shape \(3,\), needs \(4, ...\)"):
        run(file, tmp_path / "x", measures={"wrong": lambda batch: {"it": jnp.ones(3)}})


def test_a_ctrl_c_that_python_dropped_stops_at_the_next_chunk():
    interrupt, done = Interrupt(), []

    def work():
        with interrupt.watched():
            with suppress(KeyboardInterrupt):  # as a callback of C does
                signal.raise_signal(signal.SIGINT)
            with Stages(quiet_console(), interrupt.check).stage("many", 2, "circuits") as advance:
                done.append(1)
                advance(1)
                done.append(2)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == [1]


def test_a_dropped_ctrl_c_prints_no_traceback_but_other_failures_do(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: told.append(dropped.exc_type))
    interrupt = Interrupt()

    class Dropping:  # what is raised in here, Python prints and drops
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    class Failing:
        def __del__(self):
            raise OSError

    def work():
        with interrupt.watched():
            [Failing(), Dropping()].clear()

    hook = sys.unraisablehook
    with pytest.raises(KeyboardInterrupt):
        work()
    assert told == [OSError]
    assert sys.unraisablehook is hook


def test_results_as_arrays_with_named_axes(tiny):
    found = load_run(tiny[1])
    array = labelled(found, "corrector 3")
    axes = ("layer", "shape", "coverage", "fault", "seed", "placement")  # stuck follows from fault
    assert array.dims == axes
    assert array.values.shape == (2, 2, 2, 2, 2, 2)
    assert np.isfinite(array.values).sum() == CIRCUITS
    where = {"layer": 1, "shape": "row", "coverage": 0.6, "fault": "pair"}
    rows = found.rows(**where)
    expected = found.read("accuracy/corrector 3")[rows].reshape(2, 2)
    np.testing.assert_array_equal(array.sel(**where).values, expected)
    volts = labelled(found, "voltages").sel(**where, seed=1)
    chosen = found.rows(**where, seed=1)
    np.testing.assert_array_equal(volts.values, found.voltages(chosen)[0])
    assert volts.attrs == {"unit": "V"}
    right = found.voltages(chosen)[0].argmax(-1) == found.voltages(chosen)[1]
    tested = found.parts["test"].shape[-1]
    shares = found.read("accuracy/defective")[chosen]
    np.testing.assert_allclose(right[:, -tested:].mean(-1), shares)
    with pytest.raises(ValueError, match="labelled: got 'accuracy', needs one of"):
        labelled(found, "accuracy")
    with pytest.raises(KeyError, match=r"not all values found in index .shape"):
        array.sel(shape="blob")


def test_correctors_of_some_circuits_read_the_voltages_of_others(tiny):
    found = load_run(tiny[1])
    trained, tested = (found.rows(layer=1, shape=shape) for shape in ("row", "column"))
    volts, classes = found.voltages(tested)
    logits = found.correctors(trained, "corrector 3")(jnp.asarray(volts))
    for k in (0, 5):
        alone = found.corrector(int(trained[k]))(jnp.asarray(volts[k]))
        np.testing.assert_allclose(logits[k], alone, rtol=1e-12, atol=1e-12)
    own = found.correctors(tested, "corrector 3")(jnp.asarray(volts))
    test = found.parts["test"].shape[-1]
    shares = accuracy(own[:, -test:], jnp.asarray(classes[:, -test:]))
    np.testing.assert_array_equal(shares, found.read("accuracy/corrector 3")[tested])


def test_tables_are_read_without_voltages(tiny, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(tiny[1], out)
    with h5py.File(out / "results.h5", "a") as file:
        file["voltages/images"][0, 0] += 1
    found = load_run(out)
    assert len(found.table["coverage"]) == CIRCUITS
    assert found.read("accuracy/defective").shape == (CIRCUITS,)
    with pytest.raises(StoreError, match="voltages/images: other numbers than were written"):
        found.voltages([0])


def test_a_changed_number_is_found_by_its_checksum(tiny, tmp_path):
    path = tmp_path / "results.h5"
    shutil.copyfile(tiny[1] / "results.h5", path)
    assert verify_results(path) == []
    with h5py.File(path, "a") as file:
        file["voltages/defective"][9, 0, 0] += 1e-15
        file["arrays/layer_1/g_plus"][31, 0, 0] *= 1 + 1e-15
    assert verify_results(path) == [
        "/voltages/defective: other numbers than were written",
        "/arrays/layer_1/g_plus: other numbers than were written",
    ]


def test_intervals_are_over_seeds_whose_circuits_are_averaged_first():
    values = np.array([0.2, 0.4, 0.6, np.nan, 0.9, 1.0])
    found = interval(values, np.array([0, 0, 1, 1, 2, 2]))
    np.testing.assert_allclose(found.mean, (0.3 + 0.6 + 0.95) / 3)
    spread = np.std([0.3, 0.6, 0.95], ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(found.half_width, 4.3026527 * spread, rtol=1e-6)
    assert found.n == 3
    assert interval(np.array([np.nan]), np.array([0])).n == 0


@pytest.mark.slow
def test_an_own_network_with_everything_swept(tmp_path):
    """One seed, so no interval; its network reads with tanh, which its file says."""
    rng = np.random.default_rng(2)
    weights = {"weights_0": rng.normal(size=(4, 4)), "weights_1": rng.normal(size=(4, 3))}
    np.savez(tmp_path / "net.npz", **weights, activation="tanh")
    text = """
    seeds = 1
    references = ["nearest-neighbours", "retrained"]
    data.file = "data.npz"
    network.file = "net.npz"
    circuit.window = ["mnsim", "2e4:1e6"]
    circuit.wire_ohm = [0.0, 3.0]
    circuit.mapping = ["unipolar", "balanced"]
    defects = {shape = "row", coverage = 0.4, stuck = ["off", 5e3], stuck_window = "chip-stuck"}
    store = {voltages = "test", images = 5, precision = "float32", arrays = true}
    correctors = [{hidden = []}, {bias_only = true, trained_on = "healthy", steps = 20}]
    """
    file = write_tiny(tmp_path, text)
    summary = run(file, tmp_path / "out")
    found = load_run(tmp_path / "out")
    assert found.circuits == 2 * 2 * 2 * 2
    assert list(summary["axes"]) == ["window", "wire_ohm", "mapping", "stuck"]
    assert list(summary["accuracy"])[3:] == [
        *("linear corrector", "bias-only corrector"),
        *("nearest neighbours", "retrained network"),
    ]
    assert set(summary["ci95"].values()) == {None}
    # Of the one that fixed its steps nobody knows.
    ended = found.read("converged")
    assert list(ended) == ["linear corrector"]
    assert ended["linear corrector"].shape == (found.circuits,)
    assert summary["unconverged"] == {}
    assert np.all(ended["linear corrector"])
    for circuit in range(found.circuits):
        row = {name: column[circuit] for name, column in found.table.items()}
        network = found.network("defective", circuit)
        assert [layer.activation for layer in network.layers] == ["tanh", None]
        assert float(network.layers[0].wires.word_line) == row["wire_ohm"]
        pairs, hit = network.layers[1].pairs, found.hit(circuit)
        stuck = 1e-5 if row["stuck"] == "off" else 1 / 5e3  # off in the window of stuck cells
        np.testing.assert_allclose(np.asarray(pairs.g_plus)[hit], stuck, rtol=1e-12)
        r_off = 1e6
        least = min(float(p.pairs.g_plus.min()) for p in found.network("healthy", circuit).layers)
        assert least >= 1 / r_off * (1 - 1e-12)
        volts, _ = found.voltages([circuit])
        assert volts.shape == (1, 5, 3)
        assert volts.dtype == np.float32
        expected = network(found.images[found.parts["test"][circuit, :5]])
        np.testing.assert_allclose(volts[0], expected, rtol=0, atol=1e-6 * np.abs(volts).max())
    model = found.software(0)
    np.testing.assert_array_equal(model.weights[0], weights["weights_0"])
    assert model.activation == "tanh"


@pytest.mark.slow
def test_a_study_in_single_precision(tmp_path):
    text = 'seeds = 1\ndata.file = "data.npz"\nnetwork.hidden = [3]\nrun.precision = "float32"\n'
    file = write_tiny(tmp_path, text)
    run(file, tmp_path / "out")
    assert load_run(tmp_path / "out").read("healthy/layers/0/pairs/g_plus").dtype == np.float32
