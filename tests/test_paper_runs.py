"""Each experiment from end to end on a tiny network; its tables against direct computation."""

from dataclasses import replace

import numpy as np
import pytest
from paper_cases import TINY, tiny_data
from study_cases import quiet_console

from xbar.io import StoreError
from xbar.io.runs import load_run
from xbar.paper.experiments import (
    ageing,
    deeper,
    devices,
    labels,
    mixes,
    options,
    overlap,
    remedies,
    side_information,
    simulator,
    sizes,
    stuck,
    transfer,
)
from xbar.paper.run import run
from xbar.paper.tables import chosen, read_tables
from xbar.spice import NgspiceMissing, find_ngspice
from xbar.spice.ngspice import VARIABLE

try:
    find_ngspice()
    MISSING = ""
except NgspiceMissing as error:
    MISSING = str(error)


def paper(out, module):
    """Summary and tables of one experiment; a second run takes what it finds."""
    arguments = {"dataset": tiny_data(), "experiments": [module.EXPERIMENT]}
    summary = run(TINY, out, quiet_console(), **arguments)
    assert run(TINY, out, quiet_console(), **arguments) == summary
    assert all((out / name).stat().st_size > 5_000 for name in summary["figures"])
    return summary, read_tables(out / "results.h5")[0][module.EXPERIMENT.name]


def test_without_ngspice_there_is_no_reference_and_the_report_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "/nowhere/ngspice")
    summary, tables = paper(tmp_path / "out", simulator)
    assert summary["simulator"].startswith("No reference: ngspice could not be used here")
    assert list(tables) == ["program"]
    assert "No reference" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_ngspice_agrees_on_every_shape_and_layer(tmp_path):
    summary, tables = paper(tmp_path / "out", simulator)
    table = tables["circuits"]
    assert len(table) == len(TINY.shapes) * 2
    assert (table["error"] <= table["allowed"]).all()
    assert (table["allowed"] <= 1e-9).all()
    assert "agree on 8 of 8 circuits" in summary["simulator"]
    worse = tables | {"circuits": table.assign(error=table["error"] + 1)}
    assert simulator.find(worse).facts["agree"] == "0"


@pytest.mark.slow
def test_sizes(tmp_path):
    summary, tables = paper(tmp_path / "out", sizes)
    table, known = tables["circuits"], tables["correctors"]
    assert len(table) == 2 * 2
    assert set(known["corrector"]) == set(sizes.recipes(1, 1))
    assert table[known["corrector"]].notna().all(axis=None)
    assert set(summary["claims"]) == {
        *("parameters_31", "parameters_178", "parameters_3013", "capacity_floor")
    }


@pytest.mark.slow
def test_overlap_counts_shared_pairs_and_tests_the_circle(tmp_path):
    summary, tables = paper(tmp_path / "out", overlap)
    table = tables["accuracy"]
    assert len(table) == 2 * 1 * 2 * 9 * 2  # layers, radii, ways to place, shapes, seeds
    shared = table.groupby("trained")["shared"]
    assert (shared.min()["circle itself"], shared.max()["circle itself"]) == (1, 1)
    assert shared.max()["complement"] == shared.max()["healthy circuit"] == 0
    each = table.groupby(["layer", "place", "seed"])["defective"]
    assert (each.nunique() == 1).all()  # the same circle, whatever trained
    assert set(summary["claims"]) == {"ring_to_circle", "complement_to_circle_same_place"}


@pytest.mark.slow
def test_transfers_are_the_correctors_of_pooled_voltages(tmp_path):
    """Uncorrected accuracies and rows against the stored sweep; the pools' sizes."""
    _, tables = paper(tmp_path / "out", transfer)
    table = tables["accuracy"]
    assert len(table) == 2 * 1 * 5 * 4 * 2  # layers, pools, training sets, shapes, seeds
    assert set(chosen(table, trained="all")["circuits"]) == {4}
    sweep = load_run(tmp_path / "out" / "studies" / "transfer")
    found = sweep.read("accuracy")["defective"]
    for row in table.iloc[::7].itertuples():
        axes = {"layer": row.layer, "seed": row.seed, "shape": row.tested}
        circuit = sweep.rows(**axes, placement=1)  # the test place
        assert np.isclose(row.defective, found[circuit[0]], atol=1e-9)


@pytest.mark.slow
def test_errors_of_voltages_and_the_checks_of_the_physics(tmp_path):
    _, tables = paper(tmp_path / "out", stuck)
    table, checks = tables["circuits"], tables["checks"]
    assert len(table) == 2 * 2 * 2 * len(stuck.WORDS)  # layers, mappings, seeds, kinds of fault
    assert np.isfinite(table["rms"]).all()
    assert (chosen(table, fault="pair", mapping="unipolar")["rms"] > 0).all()
    first = chosen(checks, check=1)
    assert first["holds"].all()
    assert (first["left"] < 1e-9).all()
    assert len(checks) == 2 * 2 + 3 + 2 * 2 * 2
    assert (~checks["required"]).sum() == 2


@pytest.mark.slow
def test_options_change_one_thing_at_a_time(tmp_path):
    _, tables = paper(tmp_path / "out", options)
    table = tables["circuits"]
    kinds = dict.fromkeys(zip(table["option"], table["value"], strict=True))
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
        chosen(table, option=option, value=value)["defective"].to_numpy()
        for option, value in (("wire resistance", "1.0"), ("device window", "mnsim"))
    ]
    assert np.array_equal(*default)  # the default, twice: the same circuits


@pytest.mark.slow
def test_mixes(tmp_path):
    _, tables = paper(tmp_path / "out", mixes)
    table, references = tables["accuracy"], tables["references"]
    assert len(table) == len(list(mixes.mixes(TINY))) * 4 * 2
    assert len(references) == 4 * 2
    for column in (table["accuracy"], references["own"], references["uncorrected"]):
        assert column.between(0, 1).all()
    assert references["own"].mean() > 1 / 3


@pytest.mark.slow
def test_side_information(tmp_path):
    _, tables = paper(tmp_path / "out", side_information)
    assert len(tables["accuracy"]) == (1 + 3 + 2 + 2) * 4 * 2
    assert tables["accuracy"]["accuracy"].notna().all()


@pytest.mark.slow
def test_ageing(tmp_path):
    _, tables = paper(tmp_path / "out", ageing)
    table = tables["accuracy"]
    assert len(table) == 3 * (4 + 3) * 3 * 2  # cases, ways, times, seeds
    first = table[table["time"] == table["time"].min()]
    wide = first.pivot(index=["law", "start", "seed"], columns="way", values="accuracy")
    assert (wide[ageing.FROZEN] == wide[ageing.NEW]).all()  # whatever follows starts as frozen


@pytest.mark.slow
def test_remedies(tmp_path):
    """The hidden layer is the first here, whose inputs a remapping moves too."""
    _, tables = paper(tmp_path / "out", remedies)
    table = tables["accuracy"]
    assert len(table) == 3 * (4 + 1 + 5 + 5) * 2
    assert table["accuracy"].notna().all()
    assert chosen(table, remedy=remedies.HEALTHY)["accuracy"].mean() > 0.6


@pytest.mark.slow
def test_labels(tmp_path):
    _, tables = paper(tmp_path / "out", labels)
    table = tables["accuracy"]
    assert len(table) == 3 * 2 * 6 * 2
    assert set(table["images"]) == {6, 18}
    assert len(tables["circuits"]) == 3 * 2


@pytest.mark.slow
def test_devices(tmp_path):
    summary, tables = paper(tmp_path / "out", devices)
    table = tables["circuits"]
    assert {"ideal", "programming error 5 %", "nonlinear cells"} < {*table["device"]}
    assert (chosen(table, device="nonlinear cells")["current_error"] > 0).all()
    assert (chosen(table, device="ideal")["current_error"] == 0).all()
    ideal, other = (chosen(table, device=d) for d in ("ideal", "nonlinear cells"))
    assert (ideal["hit_share"].to_numpy() == other["hit_share"].to_numpy()).all()  # same places
    names = ("gain", "order", "parameters_31", "linear", "columns")
    assert {f"device_{name}" for name in names} == {*summary["claims"]}


@pytest.mark.slow
def test_deeper(tmp_path):
    summary, tables = paper(tmp_path / "out", deeper)
    table = tables["circuits"]
    assert len(table) == 3 * len(TINY.deep_defects) * TINY.deep_seeds
    assert (table["tiles"] == 1).all()
    assert table["software"].to_numpy() == pytest.approx(table["healthy"].to_numpy(), abs=0.1)
    share = table.groupby("coverage")["hit_share"].mean()
    assert share[0.7] > share[0.35] > 0.2
    tiles = tables["tiles"]
    assert list(zip(tiles["rows"], tiles["outputs"], strict=True)) == [(5, 6), (7, 5), (6, 3)]
    assert MISSING or (tiles["error"] <= tiles["allowed"]).all()
    assert {"large_mild"} <= {*summary["claims"]}


def test_a_network_whose_images_are_not_there_is_left_out_in_a_sentence(tmp_path, monkeypatch):
    def missing(name):
        raise StoreError(f"{name}: got no package")

    monkeypatch.setattr(deeper, "load_dataset", missing)
    with pytest.raises(ValueError, match="no network"):
        run(
            replace(TINY, deep_networks=("784-2-10",)),
            tmp_path / "out",
            quiet_console(),
            dataset=tiny_data(),
            experiments=[deeper.EXPERIMENT],
        )
