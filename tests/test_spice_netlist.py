"""Netlists as text: deterministic, exact, readable, safe. No ngspice is needed here."""

import re

import jax
import numpy as np
import pytest
from circuits import random_circuit
from spice_cases import small_network

import xbar as xb
from xbar import spice
from xbar.nn import Layer

RNG = np.random.default_rng(5)
CIRCUIT = random_circuit(RNG, 4, 3, "mild")
ARRAY, V_IN = CIRCUIT.array(), CIRCUIT.v_in


def elements(text: str) -> dict[str, list[str]]:
    """Name -> the rest of its line, continuations joined."""
    lines = text.replace("\n+", "").splitlines()
    return {words[0]: words[1:] for words in map(str.split, lines) if words[0][0] not in "*."}


def test_same_circuit_same_text():
    network, x = small_network("tanh", open_loop_gain=1e3, v_max=0.1)
    again, _ = small_network("tanh", open_loop_gain=1e3, v_max=0.1)
    assert spice.network_netlist(network, x[0]) == spice.network_netlist(again, x[0])
    assert spice.array_netlist(ARRAY, V_IN) == spice.array_netlist(CIRCUIT.array(), V_IN)


def test_all_elements_with_the_digits_that_identify_them():
    found = elements(spice.array_netlist(ARRAY, V_IN))
    rows, cols = CIRCUIT.g.shape
    for i in range(rows):
        assert float(found[f"Vin_{i}"][-1]) == V_IN[i]
        for j in range(cols):
            if CIRCUIT.g[i, j] == 0:
                assert f"Rcell_{i}_{j}" not in found
            else:
                # A resistance is one rounding away from the conductance.
                assert 1 / float(found[f"Rcell_{i}_{j}"][-1]) == pytest.approx(
                    CIRCUIT.g[i, j], rel=3e-16
                )
            for kind, r in (("word", CIRCUIT.word_line), ("bit", CIRCUIT.bit_line)):
                name = f"R{kind}_{i}_{j}"
                assert float(found[name][-1]) == r[i, j] if r[i, j] else name not in found


def test_nodes_are_named_by_row_and_column():
    wires = xb.Wires(word_line=1.0, bit_line=2.0, source=3.0, sense=4.0)
    found = elements(spice.array_netlist(xb.Crossbar(np.full((3, 2), 1e-4), wires), np.ones(3)))
    assert found["Rsrc_1"] == ["in_1", "drv_1", "3"]
    assert found["Rword_1_0"] == ["drv_1", "w_1_0", "1"]
    assert found["Rword_1_1"] == ["w_1_0", "w_1_1", "1"]
    assert found["Rcell_1_1"] == ["w_1_1", "b_1_1", "10000"]
    assert found["Rbit_1_1"] == ["b_1_1", "b_2_1", "2"]
    assert found["Rbit_2_1"] == ["b_2_1", "end_1", "2"]
    assert found["Rsense_1"] == ["end_1", "out_1", "4"]
    assert found["Vout_1"] == ["out_1", "0", "0"]


def test_zero_resistances_merge_nodes():
    word = np.array([[1.0, 0, 0], [0, 0, 2.0]])
    bit = np.array([[0, 5.0, 0], [0, 0, 3.0]])
    array = xb.Crossbar(np.full((2, 3), 1e-4), xb.Wires(word, bit, source=[0, 7.0]))
    found = elements(spice.array_netlist(array, np.ones(2)))
    ends = {name: words[:2] for name, words in found.items() if name.startswith("Rcell")}
    assert ends == {
        "Rcell_0_0": ["w_0_0", "out_0"],
        "Rcell_0_1": ["w_0_0", "b_0_1"],
        "Rcell_0_2": ["w_0_0", "b_1_2"],
        "Rcell_1_0": ["drv_1", "out_0"],
        "Rcell_1_1": ["drv_1", "out_1"],
        "Rcell_1_2": ["w_1_2", "b_1_2"],
    }
    assert [name for name in found if name[0] == "R" and "cell" not in name] == [
        "Rword_0_0",
        "Rsrc_1",
        "Rword_1_2",
        "Rbit_0_1",
        "Rbit_1_2",
    ]


def test_no_resistor_of_zero_or_without_end():
    for regime in ("mild", "severe", "extreme"):
        circuit = random_circuit(np.random.default_rng(2), 5, 4, regime)
        for name, words in elements(spice.array_netlist(circuit.array(), circuit.v_in)).items():
            if name.startswith("R"):
                assert 0 < float(words[2]) < np.inf
                assert words[0] != words[1]


HOSTILE = [
    "a\n.control\nshell touch owned\n.endc",
    "# quit",
    "a\r.include /etc/passwd",
    "line\\\\",
    "naïve \u2028 Ω",
    "x" * 10_000,
]


@pytest.mark.parametrize("title", HOSTILE)
def test_titles_stay_comments(title):
    network, x = small_network()
    plain = spice.array_netlist(ARRAY, V_IN), spice.network_netlist(network, x[0])
    titled = (
        spice.array_netlist(ARRAY, V_IN, title=title),
        spice.network_netlist(network, x[0], title=title),
    )
    for before, text in zip(plain, titled, strict=True):
        assert text.isascii()
        assert max(map(len, text.splitlines())) < 300
        added = set(text.splitlines()) - set(before.splitlines())
        assert len(added) == 1
        (line,) = added
        assert line.startswith("* ")
        assert "\\" not in line
        assert elements(text) == elements(before)


def test_faults_are_marked_in_their_place():
    faults = CIRCUIT.g == CIRCUIT.g.max()
    ((i, j),) = np.argwhere(faults)
    lines = spice.array_netlist(ARRAY, V_IN, faults=faults).splitlines()
    at = lines.index(f"* fault: the cell in row {i}, column {j}")
    assert lines[at + 1].startswith(f"Rcell_{i}_{j} ")
    network, x = small_network()
    cells = np.zeros((6, 8), bool)
    cells[5, 7] = True
    text = spice.network_netlist(network, x[0], faults={1: cells})
    assert "* fault: the cell in row 5, column 7\nRcell_l1_5_7 " in text
    assert text.count("fault") == 1


def test_subcircuit_pins():
    text = spice.subckt(ARRAY, "My_Array")
    pins = "in_0 in_1 in_2 in_3 out_0 out_1 out_2"
    assert f".subckt my_array {pins}\n" in text.replace("\n+", "")
    assert text.endswith(".ends my_array\n")
    assert set(elements(text)) == {
        n for n in elements(spice.array_netlist(ARRAY, V_IN)) if n[0] == "R"
    }


def test_behavioural_sources_hold_no_number_that_would_be_rounded():
    for activation in ("relu", "tanh", "sigmoid"):
        network, x = small_network(activation, open_loop_gain=123.456, v_min=-0.1, v_max=0.1)
        text = spice.network_netlist(network, x[0])
        sources = [line.partition("v = ")[2] for line in text.splitlines() if line.startswith("B")]
        assert len(sources) == 12 + 9
        numbers = {n for line in sources for n in re.findall(r"(?<![\w.])[\d.]+", line)}
        assert numbers <= {"0", "0.5"}


def test_layers_are_chained():
    network, x = small_network()
    text = spice.network_netlist(network, x[0])
    found = elements(text)
    assert found["Rsrc_l1_2"][0] == "l0_act_2"
    assert found["Vin_l1_5"] == ["l1_in_5", "0", "0.20000000000000001"]
    assert "l2_act_0" not in text
    assert {name[:4] for name in found if name[0] == "V"} == {"Vin_", "Vout"}


def traced():
    return jax.jit(lambda g: spice.array_netlist(xb.Crossbar(g), np.ones(2)))(np.ones((2, 2)))


def other_layer() -> Layer:
    return small_network()[0].layers[1]


WRONG = {
    "traced": (traced, TypeError, "outside jit"),
    "v_in of another shape": (lambda: spice.array_netlist(ARRAY, [1.0]), ValueError, "v_in: got"),
    "v_in not finite": (
        lambda: spice.array_netlist(ARRAY, [1.0, np.inf, 0, 0]),
        ValueError,
        r"v_in: got inf at \(1,\)",
    ),
    "negative": (
        lambda: spice.subckt(xb.Crossbar(np.array([[1.0, -1.0]]))),
        ValueError,
        r"Crossbar.g: got -1.0 at \(0, 1\)",
    ),
    "endless wire": (
        lambda: spice.subckt(xb.Crossbar(np.ones((1, 2)), xb.Wires(sense=np.array([1, np.inf])))),
        ValueError,
        "Wires.sense: got inf",
    ),
    "subnormal": (
        lambda: spice.subckt(xb.Crossbar(np.array([[1e-310]]))),
        ValueError,
        "at least 5.6e-309 S",
    ),
    "name": (lambda: spice.subckt(ARRAY, "a b"), ValueError, "name: got 'a b'"),
    "faults": (
        lambda: spice.array_netlist(ARRAY, V_IN, faults=np.ones((4, 3))),
        ValueError,
        "faults: got float64",
    ),
    "layer's inputs": (
        lambda: spice.layer_netlist(other_layer(), np.ones(6)),
        ValueError,
        r"v: got shape \(6,\), needs \(5,\)",
    ),
}


def test_not_an_array():
    # beartype is there first; without it the message is ours.
    with pytest.raises(Exception, match="Crossbar"):
        spice.subckt(np.ones((2, 2)))


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls(name):
    call, kind, message = WRONG[name]
    with pytest.raises(kind, match=message):
        call()
