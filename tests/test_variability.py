"""Variance maps: what each cell's spread costs, against chips that are drawn and solved."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sensitivity_cases import inputs, labels, network

import xbar as xb
from xbar import sensitivity as sens
from xbar.devices import Device, ProgrammingError
from xbar.sensitivity.inputs import loss_of

CHIPS = 4000
HALF: Any = 2.5


@pytest.fixture(scope="module")
def base():
    return sens.baseline(network(), inputs(), labels())


@eqx.filter_jit
def sampled(net, sigma, keys):
    """Losses of chips whose cells vary by sigma, with antithetic twins, (2, chips)."""
    judge = loss_of("cross_entropy", net)

    def one(key):
        drawn = [
            s * jax.random.normal(jax.random.fold_in(key, k), s.shape) for k, s in enumerate(sigma)
        ]

        def at(sign):
            pairs = [
                xb.Pairs.from_interleaved(layer.pairs.interleave() + sign * d)
                for layer, d in zip(net.layers, drawn, strict=True)
            ]
            own = eqx.tree_at(lambda n: [layer.pairs for layer in n.layers], net, pairs)
            return judge(own(inputs(), solver=xb.Dense()), labels())

        return jnp.stack([at(1.0), at(-1.0)])

    return jax.lax.map(one, keys).T


def test_mean_and_variance_of_sampled_chips_are_the_maps_sums(base):
    maps = sens.variability(base, 0.01)
    found = sampled(base.net, [m.sigma_g for m in maps], jax.random.split(jax.random.key(0), CHIPS))
    healthy = float(base.scores().loss)
    slope, bend = np.asarray(found[0] - found[1]) / 2, np.asarray(found.mean(0)) - healthy
    mean = sum(float(m.mean.sum()) for m in maps)
    variance = sum(float(m.variance.sum()) for m in maps)
    assert abs(bend.mean() - mean) < 4 * bend.std() / np.sqrt(CHIPS) + 0.02 * abs(mean)
    # Of a normal slope, the variance's own standard error is sqrt(2 / n) of it.
    assert abs(slope.var() / variance - 1) < 4 * np.sqrt(2 / CHIPS) + 0.01
    assert mean != 0


def test_variance_follows_the_square_of_the_spread(base):
    one, two = sens.variability(base, 0.01), sens.variability(base, 0.02)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(b.variance, 4 * a.variance, rtol=1e-10)
        np.testing.assert_allclose(b.mean, 4 * a.mean, rtol=1e-10)


def test_spreads_of_devices_are_their_laws():
    device = Device([ProgrammingError(fraction=0.1)], xb.Window.preset("3.3k-1M"))
    net = network()
    layers = [
        eqx.tree_at(lambda la: la.device, layer, device, is_leaf=lambda x: x is None)
        for layer in net.layers
    ]
    net = eqx.tree_at(lambda n: n.layers, net, tuple(layers))
    found = sens.cell_spreads(net, jax.random.key(1), chips=2000)
    for sigma, layer in zip(found, net.layers, strict=True):
        expected = 0.1 * np.asarray(layer.pairs.interleave())
        np.testing.assert_allclose(sigma, expected, rtol=4 / np.sqrt(2 * 2000))


def test_bad_spreads_are_named(base, no_shape_checks):
    with pytest.raises(ValueError, match=r"spread: got 1 layers, needs 2"):
        sens.variability(base, [np.zeros((4, 6))])
    with pytest.raises(ValueError, match=r"spread\[1\]: got shape \(6, 4\), needs \(4, 6\)"):
        sens.variability(base, [np.zeros((4, 6)), np.zeros((6, 4))])
    with pytest.raises(ValueError, match="spread: got"):
        sens.variability(base, -0.1)
    with pytest.raises(TypeError, match="base: got Network, needs what baseline"):
        sens.variability(base.net)
    with pytest.raises(TypeError, match=r"chips: got 2\.5, needs a whole number"):
        sens.cell_spreads(base.net, jax.random.key(0), chips=HALF)
    with pytest.raises(ValueError, match="chips: got 1"):
        sens.cell_spreads(base.net, jax.random.key(0), chips=1)
