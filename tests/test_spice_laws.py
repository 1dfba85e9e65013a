"""Cells that are not resistors: their netlists, and xbar against ngspice, run now."""

import re

import jax
import numpy as np
import pytest
from spice_cases import LAWS, law_of, needs_ngspice, random_law, small_network

import xbar as xb
from xbar import cells, spice

SHAPE = (2, 2)
V_IN = np.array([0.3, -0.2])


def netlist(law) -> str:
    return spice.array_netlist(xb.Crossbar(law, xb.Wires(1.0, 1.0, 1.0, 1.0)), V_IN)


def elements(text: str, place: str) -> list[str]:
    return re.findall(rf"^[A-Z]cell_{place}\S* .*$", text, re.MULTILINE)


def test_behavioural_sources_hold_no_number_that_ngspice_would_shorten():
    """It reads 11 digits of those; 0.1 has one, a random scale 17."""
    g = np.full(SHAPE, 1.2345678901234567e-5)
    text = netlist(cells.Sinh(g, np.array([[0.1, 0.12345678901234567], [0.2, 0.3]])))
    assert elements(text, "0_0") == [
        "Bcell_0_0 cell_0_0_y 0 v = sinh(v(w_0_0,b_0_0)/1.0000000000e-01)",
        f"Gcell_0_0 w_0_0 b_0_0 cell_0_0_y 0 {1.2345678901234567e-5 * 0.1:.17g}",
    ]
    assert elements(text, "0_1")[0] == (
        f"Ecell_0_1 cell_0_1_x 0 w_0_1 b_0_1 {1 / 0.12345678901234567:.17g}"
    )
    assert all(len(found) <= 16 for found in re.findall(r"/([\d.]+e[-+]\d+)\)", text))


def test_open_cells_are_no_elements_also_in_series():
    g = np.array([[0.0, 1e-5], [1e-5, 1e-5]])
    for law in (cells.Sinh(g, 0.1), cells.Series(cells.Ohmic(g), cells.Selector(1e-9, 0.06))):
        text = netlist(law)
        assert "* cell_0_0 is open" in text
        assert elements(text, "0_0") == []
        assert elements(text, "0_1")


def test_resistors_by_any_law_are_resistors():
    law = cells.Where(np.eye(2, dtype=bool), cells.Ohmic(1e-3), cells.Ohmic(np.full(SHAPE, 1e-5)))
    text = netlist(law)
    assert text == spice.array_netlist(
        xb.Crossbar(np.where(np.eye(2), 1e-3, 1e-5), xb.Wires(1.0, 1.0, 1.0, 1.0)), V_IN
    )
    assert ".options" not in text


def test_a_law_of_ones_own_has_no_netlist():
    class Own(cells.AbstractCell):
        g: jax.Array

        def current(self, u):
            return self.g * u**3

    with pytest.raises(ValueError, match=r"Own, which has no netlist; needs laws of xbar\.cells"):
        netlist(Own(np.ones(SHAPE)))


# --- live ---------------------------------------------------------------------------------------

# Mild, severe: ohm of a segment.
WIRES = {"mild": 1.0, "severe": 30.0}
SIZES = [
    (2, 2),
    (8, 8),
    *(pytest.param((n, n), marks=pytest.mark.slow) for n in (16, 48)),
]


def rtol(kind: str) -> float:
    """Of transistors, ngspice's own convergence shows."""
    return 1e-9 if kind == "1T1R" else 1e-11


@needs_ngspice
@pytest.mark.parametrize("wires", WIRES)
@pytest.mark.parametrize("shape", SIZES, ids=lambda shape: f"{shape[0]}x{shape[1]}")
@pytest.mark.parametrize("kind", LAWS)
def test_every_law_agrees(kind, shape, wires):
    rng = np.random.default_rng(shape[0])
    law, r = law_of(random_law(kind, rng, shape)), WIRES[wires]
    array = xb.Crossbar(law, xb.Wires(r, r, 2 * r, r))
    v_in, solver = rng.uniform(-1, 1, shape[0]), xb.Newton(rtol=1e-12)
    report = spice.verify_array(array, v_in, solver=solver, rtol=rtol(kind))
    assert len(report.rows) == 5
    assert report.agrees, "\n".join(map(str, report.rows))


@needs_ngspice
def test_transistors_that_conduct_backwards_agree():
    """Bit lines rise above word lines that are held at 0 V: drain and source exchange."""
    rng = np.random.default_rng(5)
    law = law_of(random_law("1T1R", rng, (8, 8)))
    v_in = np.where(np.arange(8) % 2, 0.0, 1.0)
    array = xb.Crossbar(law, xb.Wires(30.0, 30.0, 60.0, 300.0))
    assert np.sum(np.asarray(xb.solve(array, v_in).i_cell) < -1e-9) >= 8
    report = spice.verify_array(array, v_in, rtol=1e-9)
    assert report.agrees, "\n".join(map(str, report.rows))


@needs_ngspice
def test_an_exponential_off_by_a_millionth_is_noticed():
    law = cells.Sinh(np.full(SHAPE, 1e-4), 0.1)
    array = xb.Crossbar(law, xb.Wires(10.0, 10.0))
    theirs = spice.run_array(xb.Crossbar(cells.Sinh(law.g, 0.1 * (1 + 1e-6)), array.wires), V_IN)
    rows = spice.compare(xb.solve(array, V_IN), theirs, rtol=1e-10)
    assert not all(row.agrees for row in rows)


@needs_ngspice
def test_networks_of_such_cells_agree():
    hardware = xb.Hardware(
        wires=xb.Wires(5.0, 3.0, 10.0, 2.0), cells=lambda g: cells.Sinh(g, v_0=0.1)
    )
    network, x = small_network("tanh", hardware=hardware)
    report = spice.verify_network(network, x[:1], rtol=1e-8)
    assert report.agrees, "\n".join(map(str, report.rows))


@needs_ngspice
def test_gradients_by_the_law_are_those_of_ngspice():
    """With v_0 of one cell moved both ways; and with its conductance."""
    rng = np.random.default_rng(2)
    g, v_0 = np.full((3, 3), 1e-4), rng.uniform(0.1, 0.2, (3, 3))
    wires, v_in = xb.Wires(20.0, 20.0, 10.0, 10.0), np.array([0.5, 0.2, 0.4])

    def by_xbar(g, v_0):
        return xb.solve(xb.Crossbar(cells.Sinh(g, v_0), wires), v_in).i_out[1]

    for number, step in ((0, 1e-4 * 1e-4), (1, 1e-4 * 0.1)):
        moved = np.zeros((3, 3))
        moved[1, 1] = step
        ends = [
            [x + sign * moved if k == number else x for k, x in enumerate((g, v_0))]
            for sign in (-1, 1)
        ]
        low, high = (
            float(spice.run_array(xb.Crossbar(cells.Sinh(*end), wires), v_in).i_out[1])
            for end in ends
        )
        slope = jax.grad(by_xbar, argnums=number)(g, v_0)[1, 1]
        assert abs((high - low) / (2 * step) - slope) <= 1e-5 * abs(slope)
