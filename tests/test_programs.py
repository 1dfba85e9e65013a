"""How many programs a network takes: constructors compile none, layers of a shape share them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import programs

import xbar as xb
from xbar import programs as compiling
from xbar.nn import volts_per_unit

RNG = np.random.default_rng(0)
WEIGHTS = [RNG.normal(size=(3, 3)) for _ in range(3)]
BIASES = [RNG.normal(size=3) for _ in range(3)]
X = RNG.uniform(size=(5, 3))
WIRES = xb.Wires(1.0, 1.0)
MASK = xb.Circle((0.5, 0.5), 0.3)


def build(weights=WEIGHTS, **options):
    return xb.Network.from_weights(weights, BIASES, wires=WIRES, calibration=X, **options)


def test_constructors_of_known_numbers_compile_nothing():
    with programs() as compiled:
        window = xb.Window.from_resistances(2e4, 1e6)
        pairs, _ = xb.map_weights(WEIGHTS[0], window, "balanced", scale="column")
        xb.Pairs.from_interleaved(pairs.interleave())
        volts_per_unit(WEIGHTS, BIASES, X, activation="tanh")
        hardware = xb.Hardware(window, WIRES, adc=xb.ADC(8), dac=xb.DAC(6), v_max=0.3)
        for activation in ("relu", "tanh", "sigmoid"):
            net = build(activation=activation)
        xb.Network.from_weights(WEIGHTS, hardware=hardware, calibration=X)
        assert "3-3-3-3" in str(net)
        assert net.k.shape == (4,)
    assert compiled == []


def test_a_first_forward_pass_compiles_one_program_per_shape_and_one_for_the_network():
    net = build()
    compiling.compiler_options()  # tried once in a process
    with programs() as compiled:
        net(X, solver=xb.Dense())
    # Building the array, its transfer matrix, the forward pass, whether it succeeded.
    assert len(compiled) <= 4, compiled
    with programs() as compiled:
        broken = net.with_fault(1, MASK, xb.StuckPair("on"))
    assert len(compiled) <= 1, compiled
    assert broken.layers[1].pairs.g_plus.max() == net.layers[1].window.g_max


def test_traced_weights_are_mapped_in_the_program_around_them():
    """And give what NumPy gives."""
    known = build()
    weights = [jnp.asarray(w) for w in WEIGHTS]
    with programs() as compiled:
        traced = jax.jit(build)(weights)
        slopes = jax.jit(jax.grad(lambda w: build(w).layers[1].pairs.g_plus.sum()))(weights)
    assert len(compiled) == 2, compiled
    assert np.abs(slopes[1]).max() > 0
    for a, b in zip(jax.tree.leaves(traced), jax.tree.leaves(known), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
        assert a.dtype == b.dtype


# Longer than 32 cells, so that the default has a fallback; a drop that conjugate gradients and the
# sweep for mild drop do not manage.
LARGE = (33, 34)
SEVERE = xb.Crossbar(10 ** RNG.uniform(-9, 0, LARGE), xb.Wires(1e5, 1e5))
MILD = xb.Crossbar(np.full(LARGE, 1e-5), xb.Wires(1.0, 1.0))
V_IN = np.linspace(0.1, 1.0, LARGE[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["_solve", "_transfer"])
def test_a_fallback_is_a_second_program_compiled_where_a_result_asks_for_it(name):
    def found(array, solver=None, **more):
        if name == "_transfer":
            return xb.transfer(array, solver, **more)
        return xb.solve(array, V_IN, solver, **more).i_out

    with programs() as compiled:
        found(MILD)
    assert compiled.count(f"jit({name})") == 1, compiled
    with programs() as compiled:
        repaired = found(SEVERE)
    assert compiled.count(f"jit({name})") == 2, compiled
    np.testing.assert_allclose(repaired, found(SEVERE, xb.ColumnSweep()), rtol=1e-9, atol=1e-15)
    with pytest.raises(RuntimeError, match="missed"):
        found(SEVERE, xb.Auto(fallback=False))
    marked = jax.jit(lambda array: found(array, xb.Auto(fallback=False)))(SEVERE)
    assert np.isnan(marked).all()
    slope = jax.jit(
        jax.grad(lambda g: found(xb.Crossbar(g, SEVERE.wires), xb.Auto(fallback=False)).sum())
    )
    assert np.isnan(slope(SEVERE.g)).all()


def test_circuits_of_known_numbers_may_stand_inside_a_program():
    array, v_in = xb.Crossbar(np.full((3, 4), 1e-5), WIRES), np.ones(3)
    far = xb.Crossbar(array.g, xb.Wires(1.0, 1.0, source_far=1.0))

    @jax.jit
    def inside(x):
        plain, wired = xb.solve(array, v_in), xb.solve(far, xb.Bias(v_in, word_far=v_in))
        return x * plain.i_out, x * wired.i_out, x * xb.transfer(array)

    outside = xb.solve(array, v_in).i_out, xb.solve(far, xb.Bias(v_in, word_far=v_in)).i_out
    for a, b in zip(inside(2.0), (*outside, xb.transfer(array)), strict=True):
        np.testing.assert_allclose(a, 2 * b, rtol=1e-12)


STRANGE = {"xla_no_such_option": True}


@pytest.mark.parametrize("known", [True, False])
def test_programs_of_the_package_compile_as_it_asks_where_xla_knows_how(monkeypatch, known):
    """And as always where it does not, or where somebody else's program holds them."""
    known = compiling.compiler_options() if known else {}
    monkeypatch.setattr(compiling, "OPTIONS", {**STRANGE, **known})
    seen = []

    def jit(function, **options):
        seen.append(options)
        return jax.jit(function, **options)

    @compiling.program(jit)
    def twice(x):
        return 2 * x

    assert twice(jnp.ones(3)).tolist() == [2, 2, 2]
    assert jax.jit(lambda x: twice(x) + twice(np.ones(3)))(jnp.ones(3)).tolist() == [4, 4, 4]
    assert jax.grad(lambda x: twice(x).sum())(jnp.ones(3)).tolist() == [2, 2, 2]
    assert jax.vmap(twice)(jnp.ones((2, 3))).tolist() == [[2, 2, 2]] * 2
    assert seen == ([{}, {"compiler_options": known}] if known else [{}])


def test_derivatives_by_what_a_batch_s_function_closes_over():
    """Its programs cannot have options then, which nothing but the call itself shows."""
    g = jnp.asarray(RNG.uniform(1e-6, 1e-4, (3, 4, 5)))

    def loss(ohm):
        wires = xb.Wires(ohm, ohm)
        return jnp.sum(xb.batch_map(lambda g: xb.transfer(xb.Crossbar(g, wires)), g) ** 2)

    np.testing.assert_allclose(jax.grad(loss)(1.0), jax.jit(jax.grad(loss))(1.0), rtol=1e-12)


def test_options_for_a_jit_of_ones_own_are_those_of_the_package():
    """And a copy, which a caller may change."""
    options = xb.compiler_options()
    xb.compiler_options().clear()
    assert xb.compiler_options() == options
    assert options.items() <= compiling.OPTIONS.items()
    solved = jax.jit(xb.transfer, compiler_options=xb.compiler_options())
    array = xb.Crossbar(RNG.uniform(1e-6, 1e-4, (3, 4)), WIRES)
    np.testing.assert_allclose(solved(array), xb.transfer(array), rtol=1e-12)


@pytest.mark.parametrize("value", ["no", 1, None])
def test_a_fallback_is_there_or_not(value, no_shape_checks):
    with pytest.raises(TypeError, match=r"Auto.fallback: got .*, needs True or False"):
        xb.Auto(fallback=value)
