"""Transfer matrices by tiles: those of the whole array, of any shape, with their derivatives.

The default judges what tiles find and would quietly take another method, so they are asked by
themselves here.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar.solvers.base import problem_of
from xbar.solvers.tiles import tiled_transfer

SHAPES = [(1, 1), (5, 1), (1, 9), (7, 13), (13, 6), (9, 40), (33, 18)]


def by_tiles(g, wires):
    return tiled_transfer(problem_of(g, wires))


def whole(g, wires):
    return xb.transfer(xb.Crossbar(g, wires), solver=xb.Dense())


def off(found, right):
    return float(jnp.abs(found - right).max() / jnp.abs(right).max())


def circuit(shape, seed):
    """Segments that differ everywhere, some of them, and some cells, of none at all."""
    rng = np.random.default_rng(seed)
    g = np.exp(rng.uniform(np.log(1e-6), np.log(1e-3), shape)) * (rng.uniform(size=shape) > 0.1)
    word, bit = (rng.uniform(0, 50, shape) * (rng.uniform(size=shape) > 0.1) for _ in range(2))
    source, sense = rng.uniform(0, 100, shape[0]), rng.uniform(0, 100, shape[1])
    return jnp.asarray(g), xb.Wires(*(jnp.asarray(x) for x in (word, bit, source, sense)))


@pytest.mark.parametrize("shape", SHAPES)
def test_tiles_are_the_whole_array(shape):
    g, wires = circuit(shape, sum(shape))
    g = g.at[0, 0].set(1e-4)  # some current at least
    assert off(by_tiles(g, wires), whole(g, wires)) <= 1e-12


@pytest.mark.parametrize("shape", [(7, 13), (13, 6)])
def test_so_are_their_derivatives(shape):
    """Along a random change of everything, forwards and in reverse."""
    point, change = circuit(shape, 1), circuit(shape, 2)
    found = jax.jvp(by_tiles, point, change)
    right = jax.jvp(whole, point, change)
    assert off(found[1], right[1]) <= 1e-10
    weights = jnp.asarray(np.random.default_rng(3).normal(size=right[0].shape))
    back = jax.vjp(by_tiles, *point)[1](weights)
    along = jax.tree.map(lambda a, b: jnp.sum(a * b), back, change)
    assert sum(jax.tree.leaves(along)) == pytest.approx(
        float(jnp.sum(weights * right[1])), rel=1e-10
    )


def test_each_member_of_a_batch_is_its_own():
    circuits = [circuit((6, 11), seed) for seed in range(3)]
    g, wires = jax.tree.map(lambda *x: jnp.stack(x), *circuits)
    found = jax.vmap(by_tiles)(g, wires)
    for one, mine in zip(circuits, found, strict=True):
        assert off(mine, whole(*one)) <= 1e-12
