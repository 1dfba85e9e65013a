"""Any ends, broken and bridged lines, floats and write schemes against ngspice, run now."""

import numpy as np
import pytest
from line_cases import KINDS, Case, random_case
from spice_cases import needs_ngspice

import xbar as xb
from xbar import cells, spice
from xbar.spice.wiring import wired_netlist

pytestmark = needs_ngspice
SOLVER = xb.CG(rtol=1e-13)


def agrees(array: xb.Crossbar, bias: xb.Bias) -> None:
    report = spice.verify_wired(array, bias, solver=SOLVER, rtol=1e-12)
    assert len(report.rows) >= 6
    assert report.agrees, "\n".join(map(str, report.rows))


def connected(case: Case) -> Case:
    """Two drivers joined by 0 ohm are no circuit for SPICE."""
    return case._replace(
        source=np.maximum(case.source, 0.1),
        sense=np.maximum(case.sense, 0.1),
        g=np.minimum(case.g, 1e-2),
    )


@pytest.mark.parametrize("kind", ["floats", "both ends", "opens and bridges", "everything"])
def test_linear_circuits(kind):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        case = connected(random_case(rng, 3, 4, ("mild", "severe")[seed % 2], KINDS[kind]))
        array = case.array(max_open=7) if case.word_open is not None else case.array()
        agrees(array, case.bias())


def test_several_inputs_are_one_netlist_altered():
    case = connected(random_case(np.random.default_rng(1), 3, 4, "mild", KINDS["floats"]))
    word, bit = np.random.default_rng(2).uniform(-1, 1, (3, 3)), np.linspace(0, 0.3, 12)
    bias = xb.Bias(
        word, bit.reshape(4, 3), word_floats=case.word_floats, bit_floats=case.bit_floats
    )
    agrees(case.array(), bias)


def test_a_disagreement_is_seen():
    """The other scheme's netlist is not this one's."""
    array = xb.Crossbar(np.full((2, 3), 1e-4), xb.Wires(2.0, 3.0, 1.0, 1.0))
    half = xb.Bias.half_select(2, 3, 1.0, 0, 0)
    agrees(array, half)
    theirs = spice.measure_wired(array, xb.Bias.third_select(2, 3, 1.0, 0, 0))
    ours = xb.solve(array, half, SOLVER)
    assert np.max(np.abs(theirs.v_word[..., 0] - ours.v_word)) > 0.1


def with_laws(text: str, g: np.ndarray, law: str) -> str:
    """The netlist with cells that are not resistors: literals stand outside of expressions."""
    lines = [line for line in text.splitlines() if not line.lower().startswith("rcell_")]
    nodes = {
        line.split()[0][6:]: line.split()[1:3]
        for line in text.splitlines()
        if line.lower().startswith("rcell_")
    }
    extra = [".param dummy=0"]
    for place, (w, b) in nodes.items():
        i, j = map(int, place.split("_"))
        conductance = float(g[i, j])
        if law == "sinh":
            extra.append(f"Bc_{place} y_{place} 0 V=sinh(V({w},{b})/0.25)")
            extra.append(f"Gc_{place} {w} {b} y_{place} 0 {0.25 * conductance!r}")
        else:
            extra.append(f"Rm_{place} {w} x_{place} {1 / conductance!r}")
            extra.append(f"Bs_{place} y_{place} 0 V=sinh(V(x_{place},{b})/0.06)")
            extra.append(f"Gs_{place} x_{place} {b} y_{place} 0 1e-9")
    options = ".options reltol=1e-9 abstol=1e-18 vntol=1e-14 gmin=1e-24 itl1=500"
    return "\n".join([*lines[:-2], *extra, options, ".op", ".end"]) + "\n"


SCHEMES = {
    "V/2": xb.Bias.half_select(8, 8, 1.0, 3, 5),
    "V/3": xb.Bias.third_select(8, 8, 1.0, 3, 5),
    "other word lines float": xb.Bias(
        np.where(np.arange(8) == 3, 1.0, 0.0), word_floats=np.arange(8) != 3
    ),
    "all other lines float": xb.Bias.read(8, 8, 1.0, 3, 5, "floating"),
}


FIRST = "all other lines float", "1S1R"  # the hardest; the others are slow
NONLINEAR = [
    pytest.param(scheme, law, marks=[] if (scheme, law) == FIRST else pytest.mark.slow)
    for scheme in SCHEMES
    for law in ("sinh", "1S1R")
]


@pytest.mark.parametrize(("scheme", "law"), NONLINEAR)
def test_cells_that_are_not_linear(scheme, law):
    """8x8, 5 ohm, 1 V: currents of every driver within 1e-10."""
    rng = np.random.default_rng(0)
    g = np.exp(rng.uniform(np.log(1e-6), np.log(1e-4), (8, 8)))
    wires, bias = xb.Wires(5.0, 5.0, 1.0, 1.0), SCHEMES[scheme]
    if law == "sinh":
        array = xb.Crossbar(cells.Sinh(g, v_0=0.25), wires)
    else:
        array = xb.Crossbar(cells.Series(cells.Ohmic(g), cells.Selector(1e-9, 0.06)), wires)
    ours = xb.solve(array, bias, xb.Newton(rtol=1e-12))
    text = with_laws(wired_netlist(xb.Crossbar(g, wires), bias), g, law)
    point = spice.run_netlist(text, timeout_s=60.0).points[0]
    theirs = {
        "i_word": np.array([-point.get(f"i:vin_{i}", 0.0) for i in range(8)]),
        "i_out": np.array([point.get(f"i:vout_{j}", 0.0) for j in range(8)]),
    }
    largest = max(np.max(np.abs(x)) for x in theirs.values())
    for name, right in theirs.items():
        assert np.max(np.abs(np.asarray(getattr(ours, name)) - right)) <= 1e-10 * largest, name
