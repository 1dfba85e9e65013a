"""Wires from geometry and by technology node: the tables' check values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar.circuit.geometry import TABLES, capacitance_at_node, segment_resistance

# Ohm per 4F2 cell as the collection of sources rounds them.
BY_NODE = {
    "neurosim-1.4": {65: 0.30, 45: 0.42, 32: 0.64, 22: 0.93, 14: 1.26, 10: 2.32, 7: 2.78, 5: 4.98},
    "neurosim-1.3": {65: 0.30, 45: 0.49, 32: 0.73, 22: 1.06, 14: 2.03, 7: 3.53},
}


@pytest.mark.parametrize(("table", "nm"), [(t, nm) for t in BY_NODE for nm in BY_NODE[t]])
def test_a_node_has_the_tables_resistance(table, nm):
    wires = xb.Wires.at_node(nm, table=table)
    assert wires.word_line == wires.bit_line
    assert round(float(wires.word_line), 2) == BY_NODE[table][nm]


def test_cells_with_transistors_have_longer_segments():
    plain, cell = xb.Wires.at_node(22), xb.Wires.at_node(22, "1T1R", source=50.0, sense=10.0)
    np.testing.assert_allclose(cell.word_line / plain.word_line, 6, rtol=1e-12)
    np.testing.assert_allclose(cell.bit_line / plain.bit_line, 2, rtol=1e-12)
    assert (float(cell.source), float(cell.sense)) == (50.0, 10.0)
    same = xb.Wires.at_node(22, (12, 4))
    assert same.word_line == cell.word_line
    word, bit = capacitance_at_node(22, "1T1R")
    np.testing.assert_allclose([word, bit], [12 * 40 * 0.2e-18, 4 * 40 * 0.2e-18], rtol=1e-12)


def test_wires_from_geometry_are_those_of_the_node():
    metal = TABLES["neurosim-1.4"][22]
    wires = xb.Wires.from_geometry(
        width=metal.width,
        thickness=metal.aspect_ratio * metal.width,
        pitch_word=80e-9,
        pitch_bit=160e-9,
        rho=metal.rho,
        barrier=metal.barrier,
        source=3.0,
    )
    np.testing.assert_allclose(wires.word_line, xb.Wires.at_node(22).word_line, rtol=1e-12)
    np.testing.assert_allclose(wires.bit_line, 2 * wires.word_line, rtol=1e-12)
    assert wires.source == 3.0


def test_a_barrier_takes_its_share_of_the_cross_section():
    bare = segment_resistance(1e-6, 40e-9, 80e-9, 2e-8)
    np.testing.assert_allclose(bare, 2e-8 * 1e-6 / (40e-9 * 80e-9), rtol=1e-12)
    lined = segment_resistance(1e-6, 40e-9, 80e-9, 2e-8, 2e-9)
    np.testing.assert_allclose(bare / lined, 1 - (2 * 80 + 40) * 2 / (40 * 80), rtol=1e-12)


def test_wires_of_a_node_leave_float32_arrays_in_float32():
    array = xb.Crossbar(np.full((2, 2), 1e-5, np.float32), xb.Wires.at_node(22))
    assert array.dtype == np.float32


def test_geometry_can_be_differentiated():
    slope = jax.grad(lambda w: xb.Wires.from_geometry(w, 1e-7, 1e-7, 1e-7, 2e-8).word_line)(5e-8)
    np.testing.assert_allclose(slope, -2e-8 * 1e-7 / (5e-8**2 * 1e-7), rtol=1e-9)
    widths = jnp.array([4e-8, 8e-8])
    found = jax.vmap(lambda w: xb.Wires.from_geometry(w, 1e-7, 1e-7, 1e-7, 2e-8).bit_line)(widths)
    np.testing.assert_allclose(found[0] / found[1], 2, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: xb.Wires.at_node(28), r"nm: got 28, needs one of \[130, 90"),
        (lambda: xb.Wires.at_node(5, table="neurosim-1.3"), "nm: got 5, needs one of"),
        (lambda: xb.Wires.at_node(22, table="irds"), "table: got 'irds', needs one of"),
        (lambda: xb.Wires.at_node(22, "6F2"), "cell: got '6F2', needs one of"),
        (lambda: xb.Wires.at_node(22, (2, 0)), r"cell: got \(2, 0\), needs two pitches above 0"),
        (
            lambda: xb.Wires.from_geometry(0.0, 1e-7, 1e-7, 1e-7, 2e-8),
            r"width: got 0.0, needs a finite value > 0 \[m\]",
        ),
        (
            lambda: xb.Wires.from_geometry(1e-8, 2e-8, 1e-7, 1e-7, 2e-8, barrier=5e-9),
            r"barrier: got 5e-09, needs a thickness that leaves metal in the line",
        ),
    ],
)
def test_bad_input_gets_one_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()
