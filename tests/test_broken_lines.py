"""Broken and bridged lines where a shape lies, and studies that ask for them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from study_cases import quiet_console, write_tiny

import xbar as xb
from xbar.io.runs import load_run
from xbar.nn.broken_lines import (
    LINE_FAULTS,
    bridge_ohm,
    line_faults_at,
    stacked_line_faults,
)
from xbar.run import DefectSettings, Study, read_study, run_study
from xbar.run.settings.faults import describe

HIT = np.zeros((4, 3), bool)
HIT[1, 1:] = HIT[2, 2] = True


def opened(mask) -> list[list[int]]:
    return np.argwhere(np.asarray(mask)).tolist()


def nodes(faults) -> list[tuple]:
    return [
        tuple((kind, int(i), int(j)) for kind, i, j in bridge.ends) for bridge in faults.bridges
    ]


def test_lines_break_where_the_shape_begins():
    """Word lines seen from their drivers on the left, bit lines from their amplifiers below."""
    word = line_faults_at("open-word-lines", HIT)
    assert opened(word.word_open) == [[1, 2], [2, 4]]
    assert opened(word.bit_open) == []
    bit = line_faults_at("open-bit-lines", HIT)
    assert opened(bit.bit_open) == [[1, 2], [1, 3], [2, 4], [2, 5]]
    assert bit.max_open == 4


def test_bridges_join_neighbours_where_the_shape_begins():
    word = line_faults_at("bridged-word-lines", HIT, 20.0)
    assert nodes(word) == [
        (("word", 1, 2), ("word", 2, 2)),
        (("word", 2, 4), ("word", 3, 4)),
    ]
    assert [float(bridge.r) for bridge in word.bridges] == [20.0, 20.0]
    last = np.zeros((4, 3), bool)
    last[3, 0] = True
    assert nodes(line_faults_at("bridged-word-lines", last)) == [(("word", 3, 0), ("word", 2, 0))]
    bit = line_faults_at("bridged-bit-lines", HIT)
    assert nodes(bit) == [(("bit", 1, 2), ("bit", 1, 3)), (("bit", 2, 4), ("bit", 2, 5))]
    with pytest.raises(ValueError, match="needs two"):
        line_faults_at("bridged-word-lines", np.ones((1, 2), bool))


def test_several_arrays_share_one_shape():
    """Bridges that are not there join a node to itself; a stuck array's lines are whole."""
    faults = ("open-word-lines", "pair", "bridged-word-lines")
    found = stacked_line_faults(faults, np.stack([HIT] * 3), [0.0, 0.0, 5.0])
    assert found is not None
    assert found.max_open == 2
    assert np.asarray(found.word_open).sum(axis=(1, 2)).tolist() == [2, 0, 0]
    assert len(found.bridges) == 2
    parts = [jax.tree.map(lambda leaf, k=k: jnp.asarray(leaf[k]), found) for k in range(3)]
    assert nodes(parts[0]) == nodes(parts[1]) == [(("word", 0, 0), ("word", 0, 0))] * 2
    assert nodes(parts[2]) == nodes(line_faults_at("bridged-word-lines", HIT))
    assert stacked_line_faults(("pair", "plus"), np.stack([HIT] * 2), [0.0, 0.0]) is None


def test_resistances_of_bridges_are_in_a_study_s_words():
    assert bridge_ohm("bridged-bit-lines", "2k") == 2e3
    assert bridge_ohm("bridged-word-lines", "0") == 0
    assert bridge_ohm("open-word-lines", "open") == 0


def test_settings_of_line_faults():
    for fault in LINE_FAULTS:
        assert not [*Study(defects=(DefectSettings(shape="row", fault=fault),)).problems()]
        assert "row over 10%" in describe("row", 0.1, fault, None, None)
    for fault, stuck, words in (
        ("open-bit-lines", "on", "needs one of open"),
        ("bridged-bit-lines", "-1", "needs a finite resistance >= 0"),
        ("bridged-word-lines", "inf", "needs a finite resistance >= 0"),
    ):
        (problem,) = DefectSettings(fault=fault, stuck=stuck).problems("defects[0]", None)
        assert words in problem


# One layer in one chunk, and no correctors: the study compiles one program, which all four share.
LINES = f"""
name = "lines"
seeds = 1

[data]
file = "data.npz"

[network]
hidden = [4]

[[defects]]
shape = ["row", "column"]
coverage = 0.5
layer = 1
fault = {[*LINE_FAULTS]}

[store]
arrays = true
"""


@pytest.mark.slow
def test_a_study_s_voltages_are_those_of_the_networks_it_stores(tmp_path):
    """From the study's file to the run read back, whose arrays nodal analysis solves anew."""
    out = tmp_path / "out"
    run_study(read_study(write_tiny(tmp_path, LINES)), out, quiet_console(), beside=tmp_path)
    found = load_run(out)
    assert found.circuits == 8
    assert not found.table["status"].any()
    healthy = found.network("healthy", 0)(found.images, solver=xb.Dense())
    for fault in LINE_FAULTS:
        circuit = int(found.rows(fault=fault, shape="row" if "word" in fault else "column")[0])
        network = found.network("defective", circuit)
        assert network.layers[1].line_faults is not None
        (volts,), _ = found.voltages([circuit])
        images = found.read("voltages/images")[0]
        again = np.asarray(network(found.images[images], solver=xb.Dense()))
        largest = np.abs(volts).max()
        np.testing.assert_allclose(volts, again, rtol=0, atol=1e-9 * largest)
        assert np.max(np.abs(volts - healthy[images])) > 1e-3 * largest
