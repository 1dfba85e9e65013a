"""Delays: closed forms, the first moment of the exact circuit, ngspice's transients."""

import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from spice_cases import needs_ngspice

import xbar as xb
from xbar.circuit.geometry import capacitance_at_node
from xbar.spice import array_netlist, find_ngspice

ROWS, COLS = 3, 4
SOLVER = xb.CG()
RNG = np.random.default_rng(0)
G = RNG.uniform(1e-5, 1e-3, (ROWS, COLS))
WORD, BIT = RNG.uniform(1, 100, (2, ROWS, COLS))
WIRES = xb.Wires(WORD, BIT, RNG.uniform(1, 100, ROWS), RNG.uniform(1, 100, COLS))
ARRAY = xb.Crossbar(G, WIRES)
C_CELL, C_WORD, C_BIT = RNG.uniform(1e-16, 1e-15, (3, ROWS, COLS))
V_IN = np.array([0.2, 0.1, 0.3])
CAPACITANCES = {"c_cell": C_CELL, "c_word": C_WORD, "c_bit": C_BIT}


def test_a_line_of_equal_segments_has_its_closed_form():
    """tau at the far end of n segments: C (n R_source + r n (n + 1) / 2)."""
    n = 6
    array = xb.Crossbar(np.full((1, n), 1e-5), xb.Wires(2.0, 3.0, source=50.0, sense=10.0))
    delay = xb.elmore_delay(array, c_word=1e-15)
    np.testing.assert_allclose(delay.word[0, -1], 1e-15 * (50 * n + 2 * n * (n + 1) / 2))
    np.testing.assert_allclose(delay.bit, np.zeros((1, n)))
    delay = xb.elmore_delay(array, c_cell=1e-15)
    np.testing.assert_allclose(delay.bit, np.full((1, n), 1e-15 * 13))
    np.testing.assert_allclose(delay.path, np.asarray(delay.word) + np.asarray(delay.bit))


def test_every_node_has_the_sum_over_shared_resistance():
    delay = xb.elmore_delay(ARRAY, **CAPACITANCES)
    to_word = np.asarray(WIRES.source)[:, None] + np.cumsum(WORD, 1)
    to_bit = np.asarray(WIRES.sense) + np.cumsum(BIT[::-1], 0)[::-1]
    for i in range(ROWS):
        for j in range(COLS):
            shared = np.minimum(to_word[i], to_word[i, j])
            np.testing.assert_allclose(delay.word[i, j], (shared * (C_WORD + C_CELL)[i]).sum())
            shared = np.minimum(to_bit[:, j], to_bit[i, j])
            np.testing.assert_allclose(delay.bit[i, j], (shared * (C_BIT + C_CELL)[:, j]).sum())


def moments(v_in):
    """Final output currents and their first moments by nodal analysis, (cols,) each."""
    cells = ROWS * COLS
    g, c = np.zeros((2, 2 * cells, 2 * cells))
    w, b = np.arange(2 * cells).reshape(2, ROWS, COLS)
    drive = np.zeros(2 * cells)

    def put(matrix, a, z, value):
        matrix[a, a] += value
        if z is not None:
            matrix[z, z] += value
            matrix[a, z] -= value
            matrix[z, a] -= value

    first = 1 / (np.asarray(WIRES.source) + WORD[:, 0])
    last = 1 / (np.asarray(WIRES.sense) + BIT[-1])
    for i in range(ROWS):
        for j in range(COLS):
            put(g, w[i, j], b[i, j], G[i, j])
            put(c, w[i, j], b[i, j], C_CELL[i, j])
            put(c, w[i, j], None, C_WORD[i, j])
            put(c, b[i, j], None, C_BIT[i, j])
            if j:
                put(g, w[i, j], w[i, j - 1], 1 / WORD[i, j])
            else:
                put(g, w[i, j], None, first[i])
                drive[w[i, j]] = first[i] * v_in[i]
            put(
                g,
                b[i, j],
                b[i + 1, j] if i + 1 < ROWS else None,
                1 / BIT[i, j] if i + 1 < ROWS else last[j],
            )
    end = np.linalg.solve(g, drive)
    moment = np.linalg.solve(g, c @ end)
    return last * end[b[-1]], last * moment[b[-1]]


def test_output_delays_are_the_first_moments_of_the_circuit():
    end, moment = moments(V_IN)
    found = xb.output_delay(ARRAY, V_IN, **CAPACITANCES, solver=SOLVER)
    np.testing.assert_allclose(found, moment / end, rtol=1e-9)


def test_where_cells_conduct_little_an_output_waits_for_its_lines():
    """Each cell's path, weighted by its current."""
    high = xb.Crossbar(1e-6 * G, WIRES)
    found = xb.output_delay(high, V_IN, c_word=C_WORD, c_bit=C_BIT, solver=SOLVER)
    path = np.asarray(xb.elmore_delay(high, c_word=C_WORD, c_bit=C_BIT).path)
    weights = G * V_IN[:, None]
    np.testing.assert_allclose(found, (weights * path).sum(0) / weights.sum(0), rtol=1e-5)


def transient(folder):
    """First moments of ngspice's step responses: integral of 1 - i(t) / i_end, by trapezoids."""
    netlist = array_netlist(ARRAY, V_IN).removesuffix(".op\n.end\n")
    for i, v in enumerate(V_IN):
        at = f"Vin_{i} in_{i} 0 "
        start = netlist.index(at)
        line = netlist[start : netlist.index("\n", start)]
        netlist = netlist.replace(line, f"{at}pwl(0 0 1e-18 {v})")
    lines = []
    for i in range(ROWS):
        for j in range(COLS):
            lines += [
                f"Ccell_{i}_{j} w_{i}_{j} b_{i}_{j} {C_CELL[i, j]:.17g}",
                f"Cword_{i}_{j} w_{i}_{j} 0 {C_WORD[i, j]:.17g}",
                f"Cbit_{i}_{j} b_{i}_{j} 0 {C_BIT[i, j]:.17g}",
            ]
    ends = " ".join(f"i(Vout_{j})" for j in range(COLS))
    deck = [
        netlist + "\n".join(lines),
        ".options reltol=1e-7 abstol=1e-18 vntol=1e-12 chgtol=1e-24 method=trap",
        ".control",
        "set numdgt=12",
        "set wr_singlescale",
        "tran 5e-15 1.5e-11 0 5e-15 uic",
        f"wrdata out.txt {ends}",
        "quit 0",
        ".endc",
        ".end",
        "",
    ]
    (folder / "deck.cir").write_text("\n".join(deck))
    command = [find_ngspice().path, "-b", "-n", "deck.cir"]
    subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=True)
    time, *currents = np.loadtxt(folder / "out.txt").T
    return [np.trapezoid(1 - i / i[-1], time) for i in currents]


@needs_ngspice
def test_output_delays_are_those_of_ngspices_transients(tmp_path):
    found = np.asarray(xb.output_delay(ARRAY, V_IN, **CAPACITANCES, solver=SOLVER))
    np.testing.assert_allclose(transient(tmp_path), found, rtol=1e-3)


def test_delays_have_derivatives_and_batches():
    def slowest(r):
        return xb.elmore_delay(xb.Crossbar(G, xb.Wires(r, r)), c_word=1e-15).word[0, -1]

    np.testing.assert_allclose(jax.grad(slowest)(2.0), 1e-15 * COLS * (COLS + 1) / 2)

    def delay(scale):
        wires = jax.tree.map(lambda r: scale * r, WIRES)
        return xb.output_delay(xb.Crossbar(G, wires), V_IN, **CAPACITANCES, solver=SOLVER)[0]

    compiled = jax.jit(delay)
    step = 1e-5
    by_hand = (float(compiled(1 + step)) - float(compiled(1 - step))) / (2 * step)
    np.testing.assert_allclose(jax.jit(jax.grad(delay))(1.0), by_hand, rtol=1e-6)
    both = jax.jit(jax.vmap(delay))(jnp.array([1.0, 2.0]))
    np.testing.assert_allclose(both[0], compiled(1.0), rtol=1e-9)


def test_an_output_without_current_has_no_delay():
    found = xb.output_delay(xb.Crossbar(np.array([[0.0, 1e-5]])), np.ones(1), solver=SOLVER)
    assert np.isnan(found).tolist() == [True, False]
    assert found[1] == 0


@pytest.mark.usefixtures("no_shape_checks")
def test_bad_input_gets_one_sentence():
    with pytest.raises(TypeError, match=r"array: got ndarray, needs xbar.Crossbar"):
        xb.elmore_delay(G)
    with pytest.raises(ValueError, match=r"c_word: got -1.0, needs finite capacitances >= 0"):
        xb.elmore_delay(ARRAY, c_word=-1.0)
    with pytest.raises(ValueError, match=r"c_bit: got shape \(3,\), needs a number or \(3, 4\)"):
        xb.elmore_delay(ARRAY, c_bit=np.ones(3))
    with pytest.raises(ValueError, match=r"v_in: got 2 axes, needs \(rows,\)"):
        xb.output_delay(ARRAY, np.ones((3, 2)))


def test_lines_of_a_node_settle_in_less_than_a_picosecond():
    """128 x 128 at 22 nm: 0.93 ohm and 16 aF a segment, without cells and drivers."""
    c_word, c_bit = capacitance_at_node(22)
    assert f"{c_word:.3g}" == "1.6e-17"
    array = xb.Crossbar(np.full((128, 128), 1e-5), xb.Wires.at_node(22))
    delay = xb.elmore_delay(array, c_word=c_word, c_bit=c_bit)
    r = 2 * 2.97e-8 / (1 - (2 * 1.9 * 40 + 40) * 2.5 / (1.9 * 40**2)) / (1.9 * 40e-9)
    found = np.asarray(delay.word).max()
    np.testing.assert_allclose(found, r * 1.6e-17 * 128 * 129 / 2, rtol=1e-9)
    assert found < 1e-12
