"""Rung 3 of the ladder: committed ngspice results, checked wherever there is no ngspice."""

import re
from typing import Any

import jax
import numpy as np
import pytest
from spice_cases import LAWS, array_of, committed, law_of, netlist_of, network_of, sha256

import xbar as xb
from xbar import cells

CASES = committed()
ARRAYS = [name for name, case in CASES.items() if "g" in case]
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
    assert {case["kind"] for case in CASES.values() if "law" in case} == set(LAWS)
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


# --- cells that are not resistors ---------------------------------------------------------------

SIDE = 16  # of the array that all circuits are put into: one program solves those of most laws
WIRES = ("word_line", "bit_line", "source", "sense")
PLAIN = {
    "Sinh": {"kind": "Sinh", "g": 1e-6, "v_0": 0.1},
    "Stanford": {"kind": "Stanford", "gap": 1e-9},
    "Selector": {"kind": "Selector", "i_s": 1e-9, "v_s": 0.06},
    "1S1R": {
        "kind": "Series",
        "a": {"kind": "Ohmic", "g": 1e-6},
        "b": {"kind": "Selector", "i_s": 1e-9, "v_s": 0.06},
    },
    "1T1R": {
        "kind": "Series",
        "a": {"kind": "Ohmic", "g": 1e-6},
        "b": {"kind": "Transistor", "beta": 1e-4, "v_ov": 0.4},
    },
}


def cornered(x: Any) -> Any:
    """Whatever is (rows, cols) in the lower left corner of an array, its edge repeated."""
    if isinstance(x, dict):
        return {name: cornered(value) for name, value in x.items()}
    if isinstance(x, str):
        return x
    if np.ndim(x) < 2:
        return np.full((SIDE, SIDE), x)
    rows, cols = np.shape(x)[-2:]
    before = [(0, 0)] * (np.ndim(x) - 2)
    return np.pad(np.array(x), [*before, (SIDE - rows, 0), (0, SIDE - cols)], mode="edge")


def circuit(case):
    """A law that is any of `PLAIN` or resistors, cell by cell; unused cells are open, far away."""
    law, kind = case["law"], case["kind"]
    rows, cols = np.shape(case["found"]["i_cell"])[:2]
    resistors, g = np.ones((SIDE, SIDE), bool), np.zeros((SIDE, SIDE))
    resistors[SIDE - rows :, :cols] = False
    if law["kind"] == "Where":
        resistors |= cornered(law["mask"])
        g[SIDE - rows :, :cols] = law["a"]["g"]
        law = law["b"]
    if law["kind"] == "Polynomial":
        found = law_of(cornered(law))
    else:
        found = law_of(cornered(PLAIN["Sinh"]))
        for name, plain in PLAIN.items():
            here = name in (kind, law["kind"])
            own = law_of(cornered(law if here else plain))
            found = cells.Where(np.full((SIDE, SIDE), here), own, found)
    v_in = np.zeros((SIDE, 1))
    v_in[SIDE - rows :] = case["v_in"]
    wires = {name: np.float64(case["wires"][name]) for name in WIRES}
    return cells.Where(resistors, cells.Ohmic(g), found), wires, v_in


@jax.jit
def solved(law, wires, v_in):
    return xb.solve(xb.Crossbar(law, xb.Wires(**wires)), v_in, xb.Newton(rtol=1e-12))


def law_error(case, scale=1.0) -> float:
    """Of xbar's currents and voltages, relative to the largest of each."""
    law, wires, v_in = circuit(case)
    sol = solved(law, wires, scale * v_in)
    rows, cols = np.shape(case["found"]["i_cell"])[:2]
    names = ("v_word", "v_bit", "i_cell")
    ours = {name: getattr(sol, name)[SIDE - rows :, :cols] for name in names}
    ours, found = ours | {"i_out": sol.i_out[:cols]}, case["found"]
    ampere = max(np.max(np.abs(found[name])) for name in ("i_cell", "i_out"))
    largest = {"v": np.max(np.abs(found["v_word"])), "i": ampere}
    return max(wrong(x, found[name], largest[name[0]]) for name, x in ours.items())


@pytest.mark.parametrize("kind", LAWS)
def test_laws_agree(kind):
    """Of transistors, ngspice's own convergence shows."""
    bound = 1e-9 if kind == "1T1R" else 1e-11
    cases = {name: case for name, case in CASES.items() if case.get("kind") == kind}
    assert len(cases) >= 3
    errors = {name: law_error(case) for name, case in cases.items()}
    assert max(errors.values()) <= bound, errors


def test_transistors_conduct_backwards_in_one_of_them():
    i_cell = np.array(CASES["law_1t1r_backward"]["found"]["i_cell"])
    assert np.sum(i_cell < -1e-9) >= 8


def test_a_drive_off_by_a_millionth_is_noticed():
    assert law_error(CASES["law_sinh_16x16"], 1 + 1e-6) > 1e-7
