"""Rung 3 of the ladder: committed ngspice results, checked wherever there is no ngspice."""

import re

import numpy as np
import pytest
from spice_cases import array_of, committed, netlist_of, network_of, sha256

import xbar as xb

CASES = committed()
ARRAYS = [name for name, case in CASES.items() if "layers" not in case]
NETWORKS = [name for name, case in CASES.items() if "layers" in case]


def wrong(ours, theirs, scale):
    theirs = np.array(theirs)
    assert ours.shape == theirs.shape
    return float(np.max(np.abs(np.asarray(ours) - theirs))) / scale


def array_error(case, array) -> float:
    sol, found = xb.solve(array, array_of(case)[1]), case["found"]
    volt = np.max(np.abs(found["v_word"]))
    ampere = max(np.max(np.abs(found[name])) for name in ("i_cell", "i_out"))
    return max(
        wrong(getattr(sol, name), found[name], volt if name[0] == "v" else ampere)
        for name in ("v_word", "v_bit", "i_cell", "i_out")
    )


def test_there_are_results():
    assert len(ARRAYS) >= 3
    assert len(NETWORKS) >= 2
    assert all(re.match(r"\d+", case["ngspice"]) for case in CASES.values())


@pytest.mark.parametrize("name", CASES)
def test_the_exporter_still_writes_the_netlist_that_was_run(name):
    assert sha256(netlist_of(CASES[name])) == CASES[name]["netlist_sha256"]


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_agree(name):
    assert array_error(CASES[name], array_of(CASES[name])[0]) <= 1e-10


def test_a_cell_off_by_a_millionth_is_noticed():
    case = CASES["array_mild"]
    array, _ = array_of(case)
    i, j = np.unravel_index(np.argmax(array.g), array.g.shape)
    off = xb.Crossbar(array.g.at[i, j].multiply(1 + 1e-6), array.wires)
    assert array_error(case, off) > 1e-8


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_agree(name):
    network, x = network_of(CASES[name])
    for ours, theirs in zip(network.layer_voltages(x), CASES[name]["found"]["v_out"], strict=True):
        assert wrong(ours, theirs, np.max(np.abs(theirs))) <= 1e-9
