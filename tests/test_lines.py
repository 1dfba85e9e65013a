"""Sums along lines: every way of applying them against the plain definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import xbar as xb
from xbar.solvers import lines
from xbar.solvers.lines import drop_of

# Sides on both sides of the blocks' limit: divisible by a good block, prime, and tiny.
SIDES = [1, 4, 49, 64, 53, 200]


def plain(wires, x):
    """Word-line drop and bit-line rise by their definitions, in NumPy."""
    rows, cols = x.shape[-2:]
    word = np.broadcast_to(wires.word_line, (rows, cols))
    bit = np.broadcast_to(wires.bit_line, (rows, cols))
    behind = np.cumsum(x[..., ::-1], -1)[..., ::-1]
    above = np.cumsum(x, -2)
    drop = np.cumsum(word * behind, -1) + np.reshape(wires.source, (-1, 1)) * behind[..., :1]
    rise = np.cumsum((bit * above)[..., ::-1, :], -2)[..., ::-1, :]
    return drop, rise + np.reshape(wires.sense, (1, -1)) * above[..., -1:, :]


@jax.jit
def both_of(wires, x):
    drop = drop_of(wires, jnp.ones(x.shape[-2:]))
    return drop.word(x), drop.bit(x)


@pytest.mark.parametrize("rows", SIDES)
@pytest.mark.parametrize("shape", ["scalar", "per row", "per column", "per cell"])
def test_drop_is_the_sum_over_segments(rows, shape):
    rng = np.random.default_rng(rows)
    for cols in SIDES:
        sizes = {
            "scalar": (),
            "per row": (rows, 1),
            "per column": (1, cols),
            "per cell": (rows, cols),
        }
        ends = ((), ()) if shape == "scalar" else ((rows,), (cols,))
        wires = xb.Wires(*(rng.random(s) for s in (sizes[shape], sizes[shape], *ends)))
        x = rng.standard_normal((2, rows, cols))
        for ours, expected in zip(both_of(wires, x), plain(wires, x), strict=True):
            off = np.max(np.abs(np.asarray(ours) - expected))
            assert off <= 1e-13 * np.max(np.abs(expected)), (rows, cols, shape)


def test_each_form_is_used_where_it_is_meant_to_be():
    one, end = jnp.asarray(1.0), jnp.asarray(0.0)
    per_column, per_cell = jnp.ones((1, 65)), jnp.ones((65, 65))
    assert isinstance(lines.line_of(one, end, 20, lines.WORD), lines.Matrix)
    assert isinstance(lines.line_of(one, end, 65, lines.WORD), lines.Blocks)
    assert isinstance(lines.line_of(per_column, end, 65, lines.WORD), lines.Matrix)
    assert isinstance(lines.line_of(per_column, end, 65, lines.BIT), lines.Blocks)
    assert isinstance(lines.line_of(per_cell, end, 65, lines.BIT), lines.Sums)


@given(
    n=st.integers(1, 130),
    axis=st.sampled_from([lines.WORD, lines.BIT]),
    reverse=st.booleans(),
)
@hypothesis_settings(max_examples=25)
def test_running_sum(n, axis, reverse):
    shape = (3, n) if axis == lines.WORD else (n, 3)
    x = np.random.default_rng(n).standard_normal(shape)
    turned = np.flip(x, axis) if reverse else x
    expected = np.cumsum(turned, axis)
    expected = np.flip(expected, axis) if reverse else expected
    ours = jax.jit(lambda x: lines.running_sum(x, axis, reverse=reverse))(x)
    np.testing.assert_allclose(ours, expected, atol=1e-13)
