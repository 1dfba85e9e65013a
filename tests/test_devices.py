"""Devices: one key is one chip, faults and ageing among the effects, thousands of chips at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xbar.devices import (
    Ageing,
    Circle,
    Defect,
    Device,
    Drift,
    FlickerNoise,
    Levels,
    Lognormal,
    ProgrammingError,
    Relaxation,
    StuckCells,
    StuckPair,
    StuckPlus,
    Telegraph,
    Wear,
    inject,
)
from xbar.devices.mapping import Pairs, Window

KEY, OTHER = jax.random.split(jax.random.key(2))
WINDOW = Window(1e-6, 1e-4)
SIZE = (12, 9)
G = np.random.default_rng(0).uniform(1e-6, 1e-4, SIZE)
PAIRS = Pairs(*np.random.default_rng(1).uniform(1e-6, 1e-4, (2, *SIZE)))
EFFECTS = [
    Levels(32),
    ProgrammingError(fraction=0.03),
    Lognormal(0.1),
    StuckCells(0.05, 0.1),
    Drift(0.05, 0.02),
    Relaxation(None, (1e-8, 1e-7)),
    Wear(0.01, 0.01),
    FlickerNoise(fraction=0.005),
    Telegraph(0.05, 0.3),
]
DEVICE = Device(EFFECTS, WINDOW)
HOUR = 3600.0


def life(device, g, key, seconds=HOUR, read=0, cycle=0):
    programmed = device.program(g, key, cycle=cycle)
    aged = device.age(programmed, key, seconds, g)
    return programmed, aged, device.read(aged, key, seconds, read, g)


def same(a, b):
    return all(
        (np.asarray(x) == np.asarray(y)).all()
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def test_a_device_without_effects_is_perfect():
    assert same(life(Device(), G, KEY), (G, G, G))
    assert "any" in str(Device())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_key_is_one_chip_and_another_is_another(dtype):
    g = G.astype(dtype)
    once, again, other = (life(DEVICE, g, k) for k in (KEY, KEY, OTHER))
    assert same(once, again)
    assert {x.dtype for x in once} == {np.dtype(dtype)}
    assert all(
        (np.asarray(a) != np.asarray(b)).mean() > 0.5 for a, b in zip(once, other, strict=True)
    )


def test_reads_differ_by_number_and_a_later_time_is_the_same_chip():
    programmed, aged, seen = life(DEVICE, G, KEY)
    assert same(DEVICE.age(programmed, KEY, HOUR, G), aged)
    assert (np.asarray(DEVICE.read(aged, KEY, HOUR, 1, G)) != np.asarray(seen)).mean() > 0.5
    assert same(DEVICE.read(aged, KEY, HOUR, 0, G), seen)
    assert same(DEVICE.age(programmed, KEY, 0.0, G), programmed)


def test_effect_number_k_draws_with_the_key_of_k_and_what_follows_changes_nothing():
    short = Device([Levels(8), ProgrammingError(1e-7)], WINDOW)
    long = Device([Levels(8), ProgrammingError(1e-7), Drift(), Telegraph(0.1)], WINDOW)
    assert same(short.program(G, KEY), long.program(G, KEY))
    drift = Device([Levels(8), ProgrammingError(1e-7), Drift()], WINDOW)
    own = jax.random.fold_in(KEY, 2)
    np.testing.assert_allclose(
        drift.age(G, KEY, HOUR), Drift().age(jnp.asarray(G), own, HOUR), rtol=1e-12
    )


def test_another_cycle_draws_errors_of_programming_anew_and_leaves_what_is_the_cells():
    for effect, anew in (
        (ProgrammingError(1e-7), True),
        (Lognormal(0.1, between="cycles"), True),
        (Lognormal(0.1, between="devices"), False),
        (StuckCells(0.3, 0.3), False),
    ):
        device = Device([effect], WINDOW)
        first, second = (device.program(G, KEY, cycle=k) for k in (0, 1))
        assert same(first, second) != anew


def test_stuck_cells_come_last_and_neither_drift_nor_relax():
    device = Device([StuckCells(0.2, 0.2), *EFFECTS], WINDOW)
    programmed, aged, _ = life(device, G, KEY, 1e9)
    own = jax.random.fold_in(KEY, 0)
    sticks, value = StuckCells(0.2, 0.2).stuck(SIZE, np.float64, WINDOW, own)
    sticks, value = np.asarray(sticks), np.asarray(value)
    assert 0.2 < sticks.mean() < 0.6
    assert set(value[sticks]) == {1e-6, 1e-4}
    # The other fault of the device, which comes later, has its say too.
    later = np.asarray(
        StuckCells(0.05, 0.1).stuck(SIZE, np.float64, WINDOW, jax.random.fold_in(KEY, 4))[0]
    )
    for g in (programmed, aged):
        assert (np.asarray(g)[sticks & ~later] == value[sticks & ~later]).all()
    assert (np.asarray(aged)[~sticks & ~later] != np.asarray(programmed)[~sticks & ~later]).all()


def test_a_device_takes_pairs_and_their_faults():
    fault = Defect(Circle((0.5, 0.5), 0.3), StuckPlus("uniform"))
    device = Device([ProgrammingError(1e-7), fault], WINDOW)
    found = device.program(PAIRS, KEY)
    own = jax.random.fold_in(KEY, 1)
    clean = Device([ProgrammingError(1e-7)], WINDOW).program(PAIRS, KEY)
    expected = inject(clean, fault.mask, fault.fault, WINDOW, own)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    assert same(device.age(found, KEY, HOUR), found)
    stacked = np.stack([PAIRS.g_plus, PAIRS.g_minus])
    assert same(device.program(stacked, KEY), np.stack([found.g_plus, found.g_minus]))
    elsewhere = Defect(fault.mask, StuckPair("on"), Window(1e-5, 5e-4))
    hit = np.asarray(fault.mask.mask(SIZE))
    assert (np.asarray(Device([elsewhere], WINDOW).program(PAIRS, KEY).g_minus)[hit] == 5e-4).all()


def test_ageing_is_drift_and_wear():
    aged = Ageing().apply(PAIRS, 1e6, WINDOW, KEY)
    g = jnp.stack([PAIRS.g_plus, PAIRS.g_minus])
    of_drift, of_wear = jax.random.split(KEY)
    by_hand = Wear().age(Drift().age(g, of_drift, 1e6), of_wear, 1e6, window=WINDOW)
    assert same(aged, Pairs(*by_hand))


def test_thousands_of_chips_times_and_reads_at_once():
    keys = jax.random.split(KEY, 2000)
    many = jax.jit(jax.vmap(lambda key: life(DEVICE, jnp.asarray(G), key)))(keys)
    for k in (0, 1999):
        for batch, alone in zip(many, life(DEVICE, G, keys[k]), strict=True):
            np.testing.assert_allclose(batch[k], alone, rtol=1e-12)
    times = jnp.array([1.0, HOUR, 1e6])
    programmed = DEVICE.program(G, KEY)
    by_time = jax.vmap(lambda t: DEVICE.age(programmed, KEY, t, G))(times)
    np.testing.assert_allclose(by_time[1], DEVICE.age(programmed, KEY, HOUR, G), rtol=1e-12)
    reads = jax.vmap(lambda n: DEVICE.read(G, KEY, HOUR, n))(jnp.arange(3))
    np.testing.assert_allclose(reads[2], DEVICE.read(G, KEY, HOUR, 2), rtol=1e-12)


def test_parameters_can_be_traced_batched_and_differentiated():
    def programmed(sigma):
        return Device([ProgrammingError(sigma)], WINDOW).program(G, KEY)

    sigmas = jnp.array([0.0, 1e-7, 2e-7])
    found = jax.jit(jax.vmap(programmed))(sigmas)
    for one, sigma in zip(found, sigmas, strict=True):
        np.testing.assert_allclose(one, programmed(float(sigma)), rtol=1e-12)
    draws = (np.asarray(found[1]) - G) / 1e-7
    slope = jax.grad(lambda s: programmed(s).sum())(1e-7)
    np.testing.assert_allclose(slope, draws.sum(), rtol=1e-9)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: Device([1.0]), TypeError, r"Device.effects\[0\]: got float, needs an effect"),
        (lambda: Device([], 1e-6), TypeError, "Device.window: got float, needs xbar.Window"),
        (lambda: Device([Levels(4)]).program(G, KEY), ValueError, "window: got None, needs the"),
        (lambda: Device().program(-G, KEY), ValueError, "g_target: got -.*, needs finite cond"),
        (lambda: Device().age(G, KEY, -1.0), ValueError, "seconds: got -1.0, needs a finite time"),
        (
            lambda: Device().age(G, KEY, 1.0, G[:3]),
            ValueError,
            r"g_target: got shape \(3, 9\), needs \(12, 9\)",
        ),
        (
            lambda: Device([StuckPair("on")], WINDOW).program(G, KEY),
            ValueError,
            r"StuckPair: got cells \(12, 9\), needs Pairs, or plus and minus cells",
        ),
        (
            lambda: Device([StuckCells(0.1, 0.1)]).program(G, KEY),
            ValueError,
            "window: got None, needs the device's Window for StuckCells",
        ),
        (lambda: Device().cells(G), ValueError, "cells: got device 'device', whose cells are ohm"),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_bad_input_gets_one_sentence(make, kind, message):
    with pytest.raises(kind, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
