"""1T1R arrays with gates against ground: the circuit itself, derivatives, and ngspice."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from spice_cases import needs_ngspice

import xbar as xb
from xbar import cells, spice

ROWS, COLS = 3, 3
G = np.exp(np.random.default_rng(0).uniform(np.log(1e-5), np.log(1e-3), (ROWS, COLS)))
V_IN = np.array([0.6, 0.0, 0.9])
WIRES = xb.Wires(30.0, 30.0, 50.0, 100.0)


def array(g, beta=2e-4, v_gate=0.7):
    return xb.Crossbar(cells.Series(cells.Ohmic(g), cells.Transistor(beta, v_gate)), WIRES)


@jax.jit
def gated(g, v_gate, v):
    found = xb.solve_gated(array(g, v_gate=v_gate), v)
    return jnp.sum(jnp.array([1.0, -2.0, 0.5]) * 1e4 * found.i_out), found


def test_each_cell_has_the_overdrive_that_its_bit_line_leaves():
    """A cell with the overdrive put in by hand carries the same current at the same voltage."""
    found = gated(G, 0.7, V_IN)[1]
    law = cells.Series(cells.Ohmic(G), cells.Transistor(2e-4, 0.7 - found.v_bit))
    again = law.current(found.v_word - found.v_bit)
    assert np.max(np.abs(again - found.i_cell)) <= 1e-9 * np.max(np.abs(found.i_cell))
    assert found.result == xb.RESULTS.successful
    # It matters: bit lines rise, overdrives and currents fall.
    fixed = xb.solve(array(G), V_IN)
    assert np.max(np.abs(fixed.i_out - found.i_out)) > 1e-3 * np.max(np.abs(found.i_out))


def test_derivatives_are_those_of_finite_differences():
    both = jax.jit(jax.grad(lambda *args: gated(*args)[0], argnums=(0, 1)))
    d_g, d_gate = both(jnp.asarray(G), jnp.asarray(0.7), V_IN)
    h = 1e-4
    low, high = (float(gated(G, 0.7 + s * h, V_IN)[0]) for s in (-1, 1))
    assert abs((high - low) / (2 * h) - d_gate) <= 1e-5 * abs(d_gate)
    step = np.zeros_like(G)
    step[1, 2] = 1e-3 * G[1, 2]
    low, high = (float(gated(G + s * step, 0.7, V_IN)[0]) for s in (-1, 1))
    assert abs((high - low) / (2 * step[1, 2]) - d_g[1, 2]) <= 1e-4 * abs(d_g[1, 2])


@needs_ngspice
def test_ngspice_with_its_gates_against_ground_agrees():
    text = spice.array_netlist(array(G), V_IN)
    text, count = re.subn(r"^(V\S+ \S+_gate) \S+ ", r"\1 0 ", text, flags=re.MULTILINE)
    assert count == ROWS * COLS
    (point,) = spice.run_netlist(text).points
    theirs = np.array([point[f"i:vout_{j}"] for j in range(COLS)])
    ours = gated(G, 0.7, V_IN)[1].i_out
    assert np.max(np.abs(ours - theirs)) <= 1e-9 * np.max(np.abs(theirs))


@pytest.mark.parametrize(
    ("law", "message"),
    [
        (cells.Sinh(G, 0.1), "Sinh cells without a transistor; use"),
        (cells.Series(cells.Transistor(1e-4, 0.4), cells.Ohmic(G)), "at the word-line end"),
    ],
)
def test_cells_that_have_no_such_gate(law, message):
    with pytest.raises(ValueError, match=message):
        xb.solve_gated(xb.Crossbar(law, WIRES), V_IN)
