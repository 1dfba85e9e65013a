"""Equinox models on arrays: what they compute, what trains, and what stays in software."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import xbar as xb
from xbar import cells, devices, nn
from xbar.learn.training import train

KEY = jax.random.key(7)
F32 = np.float32


def error(found, want):
    return float(np.abs(found - want).max() / np.abs(want).max())


def single(model):
    return jax.tree.map(lambda x: x.astype(F32) if eqx.is_inexact_array(x) else x, model)


class LeNet(eqx.Module):
    """As a user writes one; nothing in it knows xbar."""

    convs: list
    pool: eqx.nn.MaxPool2d
    dense: list

    def __init__(self, key):
        a, b, c, d = jax.random.split(key, 4)
        self.convs = [eqx.nn.Conv2d(1, 3, 3, key=a), eqx.nn.Conv2d(3, 4, 3, padding=1, key=b)]
        self.pool = eqx.nn.MaxPool2d(2, 2)
        self.dense = [eqx.nn.Linear(36, 12, key=c), eqx.nn.Linear(12, 5, use_bias=False, key=d)]

    def __call__(self, x):
        for conv in self.convs:
            x = self.pool(jax.nn.gelu(conv(x)))
        x = jax.nn.swish(self.dense[0](x.ravel()))
        return self.dense[1](x)


@pytest.mark.slow
def test_a_lenet_converts_in_one_line_and_is_itself_on_ideal_hardware():
    model = single(LeNet(KEY))
    x = jax.random.uniform(KEY, (4, 1, 14, 14), F32)
    on_arrays = xb.convert(model, calibration=x)
    found = jax.vmap(on_arrays)(x)
    assert found.dtype == F32
    assert error(found, jax.vmap(model)(x)) < 1e-5
    kept = nn.prepare(on_arrays)
    assert error(jax.vmap(kept)(x), found) < 1e-6


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 2, "padding": 1},
        {"dilation": 2, "padding": "SAME", "use_bias": False},
        {"groups": 2, "padding": ((1, 0), (2, 1))},
        {"padding": 1, "padding_mode": "REFLECT"},
    ],
)
def test_convolutions_of_every_kind_are_those_of_equinox(options):
    layer = eqx.nn.Conv2d(4, 6, (3, 2), key=KEY, **options)
    x = jax.random.normal(KEY, (3, 4, 7, 8))
    assert error(jax.vmap(xb.convert(layer, calibration=x))(x), jax.vmap(layer)(x)) < 1e-11


def test_one_dimension_scalars_and_layers_of_ones_own():
    x = jax.random.normal(KEY, (3, 2, 9))
    line = eqx.nn.Conv1d(2, 3, 3, stride=2, key=KEY)
    assert error(jax.vmap(xb.convert(line, calibration=x))(x), jax.vmap(line)(x)) < 1e-11
    one = eqx.nn.Linear("scalar", "scalar", key=KEY)
    assert error(xb.convert(one)(jnp.asarray(0.3)), one(jnp.asarray(0.3))) < 1e-12
    for ours, theirs in (
        (nn.Linear(5, 3, key=KEY), eqx.nn.Linear(5, 3, key=KEY)),
        (nn.Conv1d(5, 3, 1, key=KEY), eqx.nn.Conv1d(5, 3, 1, key=KEY)),
    ):
        v = jax.random.normal(KEY, (5, *[1] * (ours.weight.ndim - 2)))
        assert error(ours(v), theirs(v)) < 1e-12


def test_batch_normalisation_is_folded():
    norm, state = eqx.nn.make_with_state(eqx.nn.BatchNorm)(3, "batch", mode="ema")
    for index, value in (
        (norm.ema_state_index, (jnp.array([0.3, -1.0, 2.0]), jnp.array([0.5, 2.0, 9.0]))),
    ):
        state = state.set(index, value)
    model = eqx.nn.Sequential([eqx.nn.Conv2d(2, 3, 2, key=KEY), norm, eqx.nn.Lambda(jnp.tanh)])
    model = eqx.nn.inference_mode(model)
    x = jax.random.normal(KEY, (4, 2, 4, 4))
    want = jax.vmap(lambda x: model(x, state)[0], axis_name="batch")(x)
    assert error(jax.vmap(xb.convert(model, calibration=x, state=state))(x), want) < 1e-11


def test_scales_come_from_the_data_and_only_weights_train():
    model = eqx.nn.MLP(4, 3, 5, 2, key=KEY)
    x = 50 * jax.random.uniform(KEY, (6, 4))
    on_arrays = xb.convert(model, calibration=x)
    assert on_arrays.layers[0].fixed.k_in * float(x.max()) == pytest.approx(0.2)
    params = jax.tree.leaves(eqx.filter(on_arrays, eqx.is_inexact_array))
    assert [p.shape for p in params] == [(5, 4), (5,), (5, 5), (5,), (3, 5), (3,)]


def test_what_stays_in_software_is_named(no_shape_checks):
    class Model(eqx.Module):
        cell: eqx.nn.GRUCell
        out: eqx.nn.Linear

    model = Model(eqx.nn.GRUCell(2, 3, key=KEY), eqx.nn.Linear(3, 1, key=KEY))
    with pytest.warns(UserWarning, match=r"stays in software: \.cell\.weight_ih"):
        xb.convert(model)
    with pytest.raises(ValueError, match="got no layer to convert"):
        xb.convert(model.cell)
    with pytest.raises(TypeError, match="hardware: got dict"):
        xb.convert(model, {})
    with pytest.raises(ValueError, match="no layers on arrays"):
        nn.prepare(model)
    with pytest.raises(ValueError, match="calibration: got none through layer 0"):
        xb.convert(model, calibration=np.ones((2, 3)), run=lambda model, x: x)


def test_circuits_show_tiles_converters_cells_and_chips():
    """One layer with all of it is the network of the same layer."""
    layer = eqx.nn.Linear(7, 4, key=KEY)
    x = jax.random.uniform(KEY, (5, 7))
    device = devices.Device([devices.ProgrammingError(fraction=0.05)], xb.Window.preset())
    hardware = xb.Hardware(
        tile=(5, 6), wires=xb.Wires(3.0, 3.0), adc=xb.ADC(6), dac=xb.DAC(5), device=device
    )
    one = nn.program(xb.convert(layer, hardware, calibration=x), KEY)
    net = xb.Network.from_weights([layer.weight.T], [layer.bias], calibration=x, hardware=hardware)
    own = jax.random.fold_in(KEY, 0)
    want = nn.program(net, own)(x) / net.output_scale
    assert error(jax.vmap(one)(x), want) < 1e-9
    bent = xb.convert(layer, xb.Hardware(cells=lambda g: cells.Sinh(g, v_0=0.1)), calibration=x)
    assert 1e-4 < error(jax.vmap(bent)(x), jax.vmap(layer)(x)) < 0.3


@pytest.mark.slow
def test_training_through_the_circuit_lowers_the_loss_and_leaves_wires_alone():
    """A regression with one output; a fresh chip in each step."""
    x = jax.random.uniform(KEY, (32, 3))
    y = jnp.sin(x.sum(1, keepdims=True))
    device = devices.Device([devices.ProgrammingError(fraction=0.02)], xb.Window.preset())
    hardware = xb.Hardware(wires=xb.Wires(20.0, 20.0), tile=(4, 8), device=device)
    model = xb.convert(eqx.nn.MLP(3, 1, 4, 1, key=KEY), hardware, calibration=x)

    def loss(model, x, y, key):
        return jnp.mean((jax.vmap(nn.program(model, key))(x) - y) ** 2)

    made = optax.adam(0.02)
    better, losses = train(model, x, y, loss, key=KEY, steps=60, optimiser=made)
    assert losses[-10:].mean() < 0.3 * losses[:5].mean()
    assert better.layers[0].fixed == model.layers[0].fixed
    _, other = train(model, x, y, loss, key=KEY, steps=60, optimiser=made, remember=False)
    np.testing.assert_allclose(other, losses, rtol=1e-6)
    bad = eqx.tree_at(lambda m: m.layers[0].bias, model, jnp.full(4, jnp.nan))
    _, shown = train(bad, x, y, loss, key=KEY, steps=60, optimiser=made)
    assert np.isnan(shown).all()
    with pytest.raises(ValueError, match="steps: got 0"):
        train(model, x, y, loss, key=KEY, steps=0)
