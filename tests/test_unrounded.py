"""Sums without rounding: what they are for, and what they let float32 say of itself."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar.solvers import cg
from xbar.solvers.base import left_by, problem_of
from xbar.solvers.cg import CG
from xbar.solvers.unrounded import Wide, left_in_full

SHAPE = 96, 100
# Of the result [relative]: a few roundings.
ALLOWED = {np.float32: 5e-7, np.float64: 1e-15}


def solved(solver):
    def solve(g, wires, v_in):
        return xb.solve(xb.Crossbar(g, wires), v_in, solver, throw=False)

    return jax.jit(solve)


def doubled(circuit):
    return jax.tree.map(lambda x: x.astype(float), circuit)


@pytest.mark.slow
@pytest.mark.optimized  # what XLA makes of the sums is what is tested
def test_parts_of_a_number_are_of_the_same_number_in_every_sum():
    """A product that one sum adds unrounded, and another rounded, put lines off by a unit."""

    @jax.jit
    def lost(g, u, wire, source):
        problem = problem_of(g, xb.Wires(wire, wire, source=source))
        e = jnp.zeros((1, *g.shape), g.dtype)
        return left_in_full(problem, e, Wide(u[None], 0 * u[None])).word[0]

    wire, source = np.float32(10), np.float32(1e4)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        g = (10 ** rng.uniform(-5, -4, SHAPE)).astype(np.float32)
        u = (rng.uniform(0, 0.2, SHAPE) * 10 ** rng.uniform(-2, 0, (SHAPE[0], 1))).astype("f4")
        behind = np.cumsum((g * u)[:, ::-1].astype(float), axis=1)[:, ::-1]
        exact = 1e4 * behind[:, :1] + np.cumsum(10 * behind, axis=1)
        off = np.abs(np.asarray(lost(g, u, wire, source), float) - exact).max()
        assert off <= 2 * np.finfo(np.float32).eps * exact.max(), seed


@pytest.mark.parametrize("ohm", [100.0, 1000.0])
def test_float32_cg_says_itself_right_behind_much_drop(ohm):
    """By plain sums it could not: they hide more than the tolerance."""
    g = np.full((128, 128), 1e-4, np.float32)
    v_in = np.random.default_rng(0).uniform(0.02, 0.2, 128).astype(np.float32)
    circuit = g, xb.Wires(np.float32(ohm), np.float32(ohm)), v_in
    found, truth = solved(CG())(*circuit), solved(xb.Auto())(*doubled(circuit))
    assert (found.result == xb.RESULTS.successful) & (truth.result == xb.RESULTS.successful)
    largest = np.abs(truth.i_cell.sum(1)).max()
    np.testing.assert_allclose(found.i_out, truth.i_out, rtol=0, atol=1e-6 * largest)
    for name in ("v_word", "v_bit"):
        off = np.asarray(getattr(found, name), float) - getattr(truth, name)
        assert np.abs(off).max() <= 2e-6 * v_in.max()


def test_mild_drop_is_judged_by_plain_sums(monkeypatch):
    """Which take a third of the time: the others are not asked."""

    def spoilt(problem, e, u):
        left = left_in_full(problem, e, u)
        return left._replace(residual=left.residual + jnp.nan)

    monkeypatch.setattr(cg, "left_in_full", spoilt)
    solver = CG(max_steps=1777)  # no program of another test
    v_in = np.random.default_rng(0).uniform(0.02, 0.2, 256).astype(np.float32)
    on = np.full((256, 256), 1e-4, np.float32)
    for ohm, result in ((1.0, xb.RESULTS.successful), (100.0, xb.RESULTS.tolerance_missed)):
        wires = xb.Wires(np.float32(ohm), np.float32(ohm))
        assert xb.solve(xb.Crossbar(on, wires), v_in, solver, throw=False).result == result


@pytest.mark.parametrize("ohm", [1e5, 1e6])
@pytest.mark.parametrize("solver", [CG(), xb.Auto()], ids=["CG", "Auto"])
def test_node_voltages_that_a_series_resistance_magnifies_are_right_or_marked(solver, ohm):
    """One row drives columns that hardly draw any current."""
    rng = np.random.default_rng(0)
    g = (10 ** rng.uniform(-4, -3, (96, 96))).astype(np.float32)
    v_in = np.eye(96, dtype=np.float32)[3]

    wires = xb.Wires(np.float32(0.1), np.float32(0.1), sense=np.float32(ohm))
    circuit = g, wires, v_in
    found, truth = solved(solver)(*circuit), solved(solver)(*doubled(circuit))
    off = max(
        np.abs(np.asarray(getattr(found, name), float) - getattr(truth, name)).max()
        for name in ("v_word", "v_bit")
    )
    assert truth.result == xb.RESULTS.successful
    assert found.result == xb.RESULTS.tolerance_missed or off <= 1e-5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_is_lost_where_currents_of_a_line_cancel(dtype):
    """A large series resistance magnifies what plain sums have lost by then."""
    rng = np.random.default_rng(0)
    g = rng.uniform(1e-3, 1e-2, (64, 64)).astype(dtype)
    u = rng.uniform(-1, 1, (64, 64))
    u[:, -1] -= (g * u).sum(axis=1) / g[:, -1]
    problem = problem_of(jnp.asarray(g), xb.Wires(dtype(1), dtype(0), source=dtype(1e6)))
    e, volts = jnp.zeros((1, 64, 64), dtype), jnp.asarray(u.astype(dtype))[None]
    exact = [exact_loss(g[i], u[i].astype(dtype), 1, 10**6) for i in range(64)]

    def off(left):
        lost = np.asarray(exact, float)
        wrong = np.abs(np.asarray(left.word[0], float) - lost).max(axis=1)
        return (wrong / np.abs(lost).max(axis=1)).max()

    assert off(left_in_full(problem, e, Wide(volts, 0 * volts))) <= ALLOWED[dtype]
    assert off(left_by(problem, e, volts)) >= 100 * ALLOWED[dtype]


def exact_loss(g, u, ohm, source):
    """Voltage lost along one word line by rational numbers, currents rounded as a product is."""
    currents = [Fraction(float(x)) for x in g * u]
    behind = sum(currents)
    lost, at = source * behind, []
    for current in currents:
        lost += ohm * behind
        behind -= current
        at.append(lost)
    return at
