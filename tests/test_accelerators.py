"""What an accelerator would run, as far as a processor can tell: batches side by side, no host."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import xbar as xb
from xbar.solvers import batching
from xbar.solvers.wiring import unknowns

pytestmark = pytest.mark.optimized

RNG = np.random.default_rng(7)
SMALL, LARGE = (6, 5), (33, 34)  # with and without a fallback in the default's program


def volts(g):
    return jnp.linspace(0.1, 0.2, g.shape[0])


def solve(g, ohms):
    return xb.solve(xb.Crossbar(g, xb.Wires(ohms, ohms)), volts(g)).i_out


def transfer(g, ohms):
    return xb.transfer(xb.Crossbar(g, xb.Wires(ohms, ohms)))


def bent(g, ohms):
    return xb.solve(xb.Crossbar(xb.cells.Sinh(g, v_0=0.2), xb.Wires(ohms, ohms)), volts(g)).i_out


def at_both_ends(g, ohms, solver=None, throw=True):
    wires = xb.Wires(ohms, ohms, source_far=3.0)
    bias = xb.Bias(volts(g), word_far=volts(g))
    return xb.solve(xb.Crossbar(g, wires), bias, solver, throw=throw)


def two_ended(g, ohms):
    return at_both_ends(g, ohms).i_out


def broken(g, ohms):
    cut = jnp.zeros(g.shape, bool).at[1, 2].set(True)
    faults = xb.LineFaults(word_open=cut, max_open=1)
    array = xb.Crossbar(g, xb.Wires(ohms, ohms), line_faults=faults)
    return xb.solve(array, xb.Bias(volts(g), word_floats=jnp.arange(g.shape[0]) == 3)).i_out


def slope(function):
    return jax.grad(lambda g, ohms: jnp.sum(function(g, ohms) ** 2))


@pytest.fixture
def side_by_side(monkeypatch):
    """Batches take the branch that accelerators take."""
    jax.clear_caches()
    monkeypatch.setattr(
        batching.lax, "platform_dependent", lambda *args, cpu, default: default(*args)
    )
    yield
    jax.clear_caches()


def arrays(shape):
    """Mild, severe (no first method manages that) and without drop, in one batch."""
    g = 10 ** RNG.uniform(-6, -4, (4, *shape))
    g[1] = 10 ** RNG.uniform(-9, 0, shape)
    return jnp.asarray(g), jnp.asarray([1.0, 1e4, 0.0, 5.0])


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (solve, SMALL),
        (transfer, SMALL),
        (slope(transfer), SMALL),
        (bent, SMALL),
        (two_ended, SMALL),
        pytest.param(broken, SMALL, marks=pytest.mark.slow),
        pytest.param(slope(solve), SMALL, marks=pytest.mark.slow),
        pytest.param(solve, LARGE, marks=pytest.mark.slow),
        pytest.param(transfer, LARGE, marks=pytest.mark.slow),
        pytest.param(slope(solve), LARGE, marks=pytest.mark.slow),
        pytest.param(slope(transfer), LARGE, marks=pytest.mark.slow),
    ],
)
def test_batches_side_by_side_are_the_arrays_one_by_one(side_by_side, function, shape):
    g, ohms = arrays(shape)
    if function in (bent, two_ended, broken):
        ohms = ohms.at[1].set(50.0)
    one_by_one = [function(*each) for each in zip(g, ohms, strict=True)]
    together = jax.jit(jax.vmap(function))(g, ohms)
    for one, all_ in zip(one_by_one, together, strict=True):
        np.testing.assert_allclose(all_, one, rtol=1e-8, atol=1e-9 * float(jnp.abs(one).max()))


@pytest.mark.parametrize("batch", ["in turn", "side by side"])
def test_wired_arrays_that_gradients_miss_are_mended_in_batches(request, monkeypatch, batch):
    """Some of a batch or of a batch of batches, in values and in derivatives."""
    if batch == "side by side":
        request.getfixturevalue("side_by_side")
    g, ohms = arrays(SMALL)
    right = [(two_ended(*each), slope(two_ended)(*each)) for each in zip(g, ohms, strict=True)]
    monkeypatch.setattr(unknowns, "default_steps", lambda g: 4)
    alone = xb.CG(max_steps=4)
    missed = [
        bool(at_both_ends(*each, alone, throw=False).result == xb.RESULTS.tolerance_missed)
        for each in zip(g, ohms, strict=True)
    ]
    assert any(missed)
    assert not all(missed)

    def both(g, ohms):
        return two_ended(g, ohms), slope(two_ended)(g, ohms)

    nested = jax.jit(jax.vmap(jax.vmap(both)))
    found = nested(g.reshape(2, 2, *SMALL), ohms.reshape(2, 2))
    for k, wanted in enumerate(right):
        for one, all_ in zip(wanted, found, strict=True):
            limit = 1e-9 * float(jnp.abs(one).max())
            np.testing.assert_allclose(all_[divmod(k, 2)], one, rtol=1e-8, atol=limit)


def lowered(function, *shape):
    shapes = jax.ShapeDtypeStruct(shape, jnp.float64), jax.ShapeDtypeStruct(shape[:-2], jnp.float64)
    return export.export(jax.jit(function), platforms=["cuda"])(*shapes).mlir_module()


@pytest.mark.parametrize(
    "function", [solve, transfer, slope(solve), slope(transfer), bent, two_ended]
)
def test_programs_for_a_gpu_ask_no_host_and_loop_over_no_arrays(function):
    one, many = lowered(function, *SMALL), lowered(jax.vmap(function), 7, *SMALL)
    assert "callback" not in many
    assert many.count("stablehlo.while") <= one.count("stablehlo.while")


def test_a_loop_over_arrays_would_be_noticed():
    one, many = (
        lowered(f, *shape)
        for f, shape in (
            (transfer, SMALL),
            (lambda g, r: jax.lax.map(lambda x: transfer(*x), (g, r)), (7, *SMALL)),
        )
    )
    assert many.count("stablehlo.while") > one.count("stablehlo.while")
