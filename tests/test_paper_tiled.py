"""Networks on tiles with one layer broken: against the network itself and against software."""

from dataclasses import replace
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from paper_cases import TINY, tiny_data
from study_cases import quiet_console

import xbar as xb
from xbar.paper import tiled
from xbar.paper.circuits import STUCK_ON
from xbar.paper.tiled import LENET, TILE, OnTiles, TiledDefect, layers_on_tiles, passed, stuck_pairs
from xbar.paper.workspace import Workspace
from xbar.run.folders.runner import Runner

SEEDS = 2
DEFECTS = (TiledDefect("layer", "circle", 0.35), TiledDefect("tile", "circle", 0.7))


@pytest.fixture
def work():
    return Workspace(TINY, Runner("nowhere", {}, "paper", console=quiet_console()))


def test_broken_circuits_are_those_of_the_network_itself(work, monkeypatch):
    monkeypatch.setattr(tiled, "STEPS", 20)
    networks = OnTiles(work, "4-6-5-3", tiny_data(), SEEDS)
    params = jax.tree.map(lambda leaf: np.asarray(leaf[1], float), networks.params)
    dense = [step for step in params.layers if isinstance(step, eqx.nn.Linear)]
    k = np.array([float(part[1]) for part in networks.mapped["k"]])
    net = xb.Network.from_weights(
        [step.weight.T for step in dense],
        [step.bias for step in dense],
        k=k,
        hardware=tiled.hardware(),
    )
    x = tiny_data().images[networks.labelled[1]] / tiny_data().max_input
    np.testing.assert_allclose(
        networks.entering[-1][1], net(x) / net.output_scale, rtol=1e-3, atol=1e-4
    )
    for layer, pairs in enumerate(networks.pairs):
        hit = stuck_pairs(work, layer, pairs, DEFECTS, SEEDS)
        last, volts = networks.broken(layer, hit)
        assert last.shape[:3] == volts.shape[:3] == (2, SEEDS, len(x))
        assert not np.allclose(volts, networks.entering[-1])
        for number in range(len(DEFECTS)):
            broken = net.with_fault(layer, hit[number, 1], STUCK_ON)
            direct = np.asarray(broken(x) / broken.output_scale)
            np.testing.assert_allclose(volts[number, 1], direct, rtol=1e-3, atol=1e-4)


def test_convolutions_on_ideal_tiles_are_those_of_software(monkeypatch):
    monkeypatch.setattr(tiled, "hardware", lambda: xb.Hardware(tile=TILE))
    network = tiled.new_network(LENET, jax.random.key(0))
    x = jax.random.uniform(jax.random.key(1), (784,), jnp.float32)
    steps = [step for step in network.layers if tiled.with_weights(step)]
    k = [jnp.float32(0.1 + 0.05 * n) for n in range(len(steps) + 1)]
    layers = layers_on_tiles(network, k)
    products = [
        tiled._product(step, layer, scales, layer.transfer(xb.Ideal()))
        for step, layer, scales in zip(steps, layers, pairwise(k), strict=True)
    ]
    ours, plain = passed(network, products, x, 0), passed(network, steps, x, 0)
    for one, other in zip(ours[1:], plain[1:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    assert [layer.pairs.shape for layer in layers] == [
        (26, 6),
        (151, 16),
        (257, 120),
        (121, 84),
        (85, 10),
    ]
    np.testing.assert_allclose(plain[-1], network(x), rtol=1e-6)


def test_a_defect_within_a_tile_stays_within_one(work):
    pairs = (2 * TILE[0] + 3, TILE[1])
    whole, local = stuck_pairs(work, 0, pairs, DEFECTS, 20)
    assert whole.mean() == pytest.approx(0.35, abs=0.02)
    places = set()
    for hit in local:
        rows, columns = np.flatnonzero(hit.any(1)), np.flatnonzero(hit.any(0))
        place = rows[0] // TILE[0], columns[0] // (TILE[1] // 2)
        assert place == (rows[-1] // TILE[0], columns[-1] // (TILE[1] // 2))
        places.add(place)
    assert places == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert local.sum((1, 2)).mean() == pytest.approx(0.7 * TILE[0] * TILE[1] / 2, rel=0.03)
    changed = replace(TINY, seed=1)
    other = stuck_pairs(replace(work, settings=changed), 0, pairs, DEFECTS, 20)
    assert (other != np.stack([whole, local])).any()
