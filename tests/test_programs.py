"""How many programs a network takes: constructors compile none, equal layers share theirs."""

import jax
import jax.numpy as jnp
import numpy as np
from compiled import programs

import xbar as xb
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
