"""Transfer matrices by elimination in float32: within their tolerance, or marked."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fuzz import REGIMES, random_circuit

import xbar as xb
from xbar.solvers.base import problem_of
from xbar.solvers.sweep import elimination, nodes


def by_elimination(g, wires, dtype):
    return jax.jit(partial(entries, dtype=dtype))(jnp.asarray(g), wires)[0]


def all_alike(shape, siemens, ohm):
    return np.full(shape, np.float32(siemens), float), xb.Wires(*(np.float64(np.float32(ohm)),) * 2)


def off(found, right):
    return np.abs(np.asarray(found, float) - right).max() / np.abs(right).max()


@pytest.mark.parametrize("siemens", [1e-6, 3e-5])
@pytest.mark.parametrize("shape", [(64, 64), (400, 24), (8, 600), (3, 2000)])
def test_however_many_columns_float32_keeps_its_tolerance(shape, siemens):
    """Each step changes a conductance by less than its roundings."""
    g, wires = all_alike(shape, siemens, 5.0)
    right = by_elimination(g, wires, np.float64)
    assert off(by_elimination(g, wires, np.float32), right) <= 2e-6


def test_without_changes_apart_it_would_not(monkeypatch):
    g, wires = all_alike((64, 64), 1e-6, 5.0)
    right = by_elimination(g, wires, np.float64)
    monkeypatch.setattr(elimination, "in_parts", lambda y, *_: nodes.Parts(y, None))
    assert off(by_elimination(g, wires, np.float32), right) > 1e-5


def test_so_does_the_matrix_that_derivatives_come_with():
    g, wires = all_alike((24, 400), 1e-6, 1.0)
    right = by_elimination(g, wires, np.float64)

    def read(g):
        return xb.transfer(xb.Crossbar(g, wires), xb.ColumnSweep())

    found, change = jax.jvp(read, (np.float32(g),), (np.float32(g),))
    assert found.dtype == np.float32
    assert off(found, right) <= 5e-6
    _, exact = jax.jvp(read, (g,), (g,))
    assert off(change, exact) <= 1e-5


def test_a_tolerance_beyond_the_precision_is_marked():
    """By an elimination or by what is made for mild drop; in float64 as well."""
    for shape, dtype, rtol in [((8, 40), np.float32, 1e-7), ((40, 50), np.float32, 1e-7),
                               ((8, 40), np.float64, 1e-15)]:  # fmt: skip
        array = xb.Crossbar(np.full(shape, 1e-5, dtype), xb.Wires(dtype(1), dtype(1)))
        with pytest.raises(RuntimeError, match="tolerance"):
            xb.transfer(array, xb.ColumnSweep(rtol=rtol))
        shown = xb.transfer(array, xb.ColumnSweep(rtol=rtol), throw=False)
        assert off(shown, np.asarray(xb.transfer(array), float)) < 1e-5
        slopes = jax.grad(
            lambda g, array=array, rtol=rtol: xb.transfer(
                xb.Crossbar(g, array.wires), xb.ColumnSweep(rtol=rtol), throw=False
            ).sum()
        )(array.g)
        assert np.isnan(slopes).all()


@pytest.mark.parametrize("ohm", [1.0, 5.0])
@pytest.mark.parametrize("shape", [(65, 100), (128, 128)])
def test_ordinary_arrays_stay_unmarked_in_float32(shape, ohm):
    g = np.exp(np.random.default_rng(0).uniform(np.log(1e-6), np.log(1e-4), shape))
    array = xb.Crossbar(np.float32(g), xb.Wires(np.float32(ohm), np.float32(ohm)))
    xb.transfer(array)
    xb.transfer(array, xb.ColumnSweep())


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(65, 100), (100, 65), (32, 512), (512, 512)])
def test_every_entry_of_random_legal_circuits_is_right_relative_to_itself(shape):
    """From none to extreme drop: nothing cancels, however the elimination keeps its numbers."""
    solvers = [jax.jit(partial(entries, dtype=d)) for d in ("float32", "float64")]
    regimes = ["mild", "ends", "log_segment", "few_cells"] if shape == (512, 512) else REGIMES
    for regime in regimes:
        c = random_circuit(regime, *shape, 0, np.float32)
        parts = (jnp.asarray(x) for x in (c.word_line, c.bit_line, c.source, c.sense))
        wires = xb.Wires(*parts)
        (found, ok), (right, _) = (solve(jnp.asarray(c.g), wires) for solve in solvers)
        assert ok
        found, right = np.asarray(found, float), np.asarray(right)
        assert np.all(np.abs(found - right) <= 1e-5 * right + 1e-30), regime
        assert np.all(np.abs(found - right) <= 3e-6 * right.max()), regime


def entries(g, wires, dtype):
    problem = problem_of(
        jnp.asarray(g, dtype), jax.tree.map(lambda x: jnp.asarray(x, dtype), wires)
    )
    return xb.ColumnSweep().eliminated_transfer(problem)
