"""Each experiment beyond the paper from end to end on a tiny network, and its tables' rows."""

from dataclasses import replace

import numpy as np
import pytest
from paper_cases import TINY, tiny_data
from study_cases import quiet_console

from xbar.io.store import read_results
from xbar.paper.beyond import ageing, images, mixes, remedies, told
from xbar.paper.beyond.ageing_findings import FROZEN, NEW, RENORMALISED, UNCORRECTED
from xbar.paper.beyond.remedies_findings import HEALTHY
from xbar.paper.run import run

SETTINGS = replace(
    TINY,
    beyond=replace(
        TINY.beyond,
        hidden_layer=0,
        hidden_coverage=0.3,
        label_counts=(6,),
        pool_places=4,
        pool_tested=1,
        pool=4,
        pool_sizes=(4, 8),
        pool_images=(6,),
        told_pool=8,
        told_images=(1, 2),
        told_hidden=(5,),
        ages=3,
        live=(2,),
        spares=(2,),
        retrain_steps=20,
    ),
)


def paper(out, module):
    """Tables and figures of one experiment; a second run takes what it finds."""
    arguments = {"dataset": tiny_data(), "experiments": [module.EXPERIMENT]}
    summary = run(SETTINGS, out, quiet_console(), **arguments)
    assert run(SETTINGS, out, quiet_console(), **arguments) == summary
    tables = read_results(out / "results.h5")[0][module.EXPERIMENT.name]
    assert len(module.EXPERIMENT.find(tables).sentences) > 1
    for name in summary["figures"]:
        assert (out / name).stat().st_size > 5_000
    return tables


@pytest.mark.slow
def test_mixes(tmp_path):
    tables = paper(tmp_path / "out", mixes)
    table, references = tables["accuracy"], tables["references"]
    assert len(table["seed"]) == len(list(mixes.mixes(SETTINGS))) * 4 * 2
    assert len(references["seed"]) == 4 * 2
    for columns, name in ((table, "accuracy"), (references, "own"), (references, "uncorrected")):
        assert ((columns[name] >= 0) & (columns[name] <= 1)).all()
    assert references["own"].mean() > 1 / 3


@pytest.mark.slow
def test_told(tmp_path):
    table = paper(tmp_path / "out", told)["accuracy"]
    assert len(table["seed"]) == (1 + 3 + 2 + 2) * 4 * 2
    assert np.isfinite(table["accuracy"]).all()
    assert set(table["parameters"]) >= {(3 + 1) * 5 + 6 * 3, (3 + 6 + 1) * 5 + 6 * 3}


@pytest.mark.slow
def test_ageing(tmp_path):
    tables = paper(tmp_path / "out", ageing)
    table, cost = tables["accuracy"], tables["cost"]
    assert len(table["seed"]) == 2 * (4 + 3) * 3 * 2
    first = table["time"] == table["time"].min()
    for seed in (0, 1):  # whatever follows starts as the frozen corrector
        rows = first & (table["seed"] == seed) & (table["start"] == table["start"][0])
        found = {way: table["accuracy"][rows & (table["way"] == way)] for way in (FROZEN, NEW)}
        assert found[FROZEN] == found[NEW]
    assert cost["multiply_adds"][cost["way"] == UNCORRECTED] == [0]
    assert cost["voltages"][cost["way"] == RENORMALISED] == [18]


@pytest.mark.slow
def test_remedies(tmp_path):
    """The hidden layer is the first here, whose inputs a remapping moves too."""
    tables = paper(tmp_path / "out", remedies)
    table, needs = tables["accuracy"], tables["needs"]
    assert len(table["seed"]) == (10 + 11 + 1) * 2 - 2
    assert np.isfinite(table["accuracy"]).all()
    means = {
        name: table["accuracy"][table["remedy"] == name].mean()
        for name in np.unique(table["remedy"])
    }
    assert means[HEALTHY] > 0.6
    assert set(needs["remedy"]) == set(means)


@pytest.mark.slow
def test_images(tmp_path):
    tables = paper(tmp_path / "out", images)
    table = tables["accuracy"]
    assert len(table["seed"]) == 2 * 2 * 6 * 2
    assert set(table["images"]) == {6, 18}
    assert len(tables["circuits"]["seed"]) == 2 * 2
