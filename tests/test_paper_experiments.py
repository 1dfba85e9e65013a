"""Each experiment from end to end on a tiny network; its tables against direct computation."""

import numpy as np
import pytest
from paper_cases import TINY, tiny_data
from study_cases import quiet_console

from xbar.io.runs import load_run
from xbar.io.store import read_results
from xbar.paper import options, referee, sizes, stuck, transfer
from xbar.paper.referee_findings import find
from xbar.paper.run import run
from xbar.spice import NgspiceMissing, find_ngspice
from xbar.spice.ngspice import VARIABLE

try:
    find_ngspice()
    MISSING = ""
except NgspiceMissing as error:
    MISSING = str(error)


def paper(out, *modules):
    experiments = [module.EXPERIMENT for module in modules]
    summary = run(TINY, out, quiet_console(), dataset=tiny_data(), experiments=experiments)
    return summary, read_results(out / "results.h5")[0]


def test_without_ngspice_there_is_no_referee_and_the_report_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "/nowhere/ngspice")
    summary, results = paper(tmp_path / "out", referee)
    assert summary["referee"].startswith("No referee: ngspice could not be used here")
    assert list(results["referee"]) == ["program"]
    assert "No referee" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_the_referee_agrees_on_every_shape_and_layer_and_counts_what_was_solved(tmp_path):
    summary, results = paper(tmp_path / "out", sizes, referee)
    table, cost = results["referee"]["circuits"], results["referee"]["cost"]
    assert len(table["layer"]) == len(TINY.shapes) * 2
    assert np.all(table["error"] <= table["allowed"])
    assert np.all(table["allowed"] <= 1e-9)
    assert "agree on 8 of 8 circuits" in summary["referee"]
    assert cost["cells"].tolist() == ["5x8", "5x6"]
    # two sweeps of 2 seeds: sizes (a setting for each layer) and the referee's own (4 shapes)
    assert cost["arrays"].tolist() == [2 + 2 + 8 + 2] * 2
    assert cost["solves"].tolist() == [36 * n for n in cost["arrays"]]
    assert cost["linear"].tolist() == [5 * n for n in cost["arrays"]]
    assert np.all(cost["seconds"] > 0)
    worse = {name: dict(columns) for name, columns in results["referee"].items()}
    worse["circuits"]["error"] = table["error"] + 1
    assert "agree on 0 of 8 circuits" in find(worse).sentences[0]


@pytest.mark.slow
def test_transfers_are_the_correctors_of_pooled_voltages(tmp_path):
    """Uncorrected accuracies and rows against the stored sweep; the pools' sizes."""
    summary, results = paper(tmp_path / "out", transfer)
    table = results["transfer"]["accuracy"]
    assert len(table["seed"]) == 2 * 1 * 5 * 4 * 2  # layers, pools, training sets, shapes, seeds
    assert set(table["circuits"][table["trained"] == "all"]) == {4}
    sweep = load_run(tmp_path / "out" / "studies" / "transfer")
    found = sweep.read("accuracy")["defective"]
    for row in range(0, len(table["seed"]), 7):
        axes = {"layer": table["layer"][row], "seed": table["seed"][row]}
        circuit = sweep.rows(**axes, shape=table["tested"][row], placement=1)  # the test place
        assert np.isclose(table["defective"][row], found[circuit[0]], atol=1e-9)
    assert set(summary["claims"]) == {
        *("ring_to_circle", "complement_to_circle", "poor_tests", "all_shapes"),
    }


@pytest.mark.slow
def test_errors_of_voltages_and_the_checks_of_the_physics(tmp_path):
    results = paper(tmp_path / "out", stuck)[1]["stuck"]
    table, checks = results["circuits"], results["checks"]
    assert len(table["seed"]) == 2 * 2 * 2 * 8  # layers, mappings, seeds, kinds of fault
    equal = (table["fault"] == "pair") & (table["mapping"] == "unipolar")
    assert np.all(np.isfinite(table["rms"]))
    assert np.all(table["rms"][equal] > 0)
    first = checks["check"] == "1"
    assert np.all(checks["holds"][first])
    assert np.all(checks["left"][first] < 1e-9)
    assert len(checks["check"]) == 2 * 2 + 3 + 2 * 2 * 2


@pytest.mark.slow
def test_options_change_one_thing_at_a_time(tmp_path):
    results = paper(tmp_path / "out", options)[1]["options"]["circuits"]
    kinds = dict.fromkeys(zip(results["option"].tolist(), results["value"].tolist(), strict=True))
    assert list(kinds) == [
        ("wire resistance", "0.0"),
        ("wire resistance", "1.0"),
        ("device window", "mnsim"),
        ("device window", "stanford"),
        ("mapping", "balanced"),
        ("activation", "tanh"),
        ("bias row", "bias row left out"),
    ]
    default = [
        results["defective"][(results["option"] == option) & (results["value"] == value)]
        for option, value in (("wire resistance", "1.0"), ("device window", "mnsim"))
    ]
    assert np.array_equal(*default)  # the default, twice: the same circuits
