"""Derivatives of a transfer matrix by each kind of wire, alone and together, and what they take."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb

LEAVES = ("word_line", "bit_line", "source", "sense")


def circuit(rows, cols, kind="each"):
    """Conductances with an open cell; wires, `each` of its own and some of 0 ohm, or `alike`."""
    rng = np.random.default_rng(rows)
    g = np.exp(rng.uniform(np.log(1e-6), np.log(1e-4), (rows, cols)))
    shapes = ((rows, cols), (rows, cols), (rows,), (cols,))
    ohm = [rng.uniform(1, 30, shape if kind == "each" else ()) for shape in shapes]
    g[1, 1] = 0
    if kind == "each":
        ohm[0][0, 0] = ohm[1][-1, -1] = ohm[2][1] = ohm[3][0] = 0
    return jnp.asarray(g), dict(zip(LEAVES, map(jnp.asarray, ohm), strict=True))


def slopes(g, ohm, moving, solver):
    """Of a sum over T with random weights, by reverse mode and along one direction."""
    weights = jnp.asarray(np.random.default_rng(1).normal(size=g.shape[::-1]))

    def of(moved, fixed):
        return jnp.sum(weights * xb.transfer(xb.Crossbar(g, xb.Wires(**moved, **fixed)), solver))

    moved = {name: ohm[name] for name in moving}
    fixed = {name: x for name, x in ohm.items() if name not in moving}
    along = jax.tree.map(lambda x: x * jnp.cos(1 + jnp.arange(x.size)).reshape(x.shape), moved)

    @jax.jit
    def both(moved, along):
        return jax.grad(of)(moved, fixed), jax.jvp(lambda m: of(m, fixed), (moved,), (along,))[1]

    backward, forward = both(moved, along)
    both_ways = sum(jnp.sum(backward[name] * along[name]) for name in moving)
    size = sum(jnp.sum(jnp.abs(backward[name] * along[name])) for name in moving)
    assert abs(forward - both_ways) <= 1e-11 * size
    return backward


@pytest.mark.parametrize("moving", [*((name,) for name in LEAVES), LEAVES])
@pytest.mark.parametrize(("shape", "kind"), [((4, 6), "each"), ((6, 4), "each"), ((4, 6), "alike")])
def test_wires_move_a_transfer_matrix_as_all_equations_at_once_say(shape, kind, moving):
    g, ohm = circuit(*shape, kind)
    ours, theirs = (slopes(g, ohm, moving, s) for s in (xb.ColumnSweep(), xb.Dense()))
    for name in moving:
        largest = np.max(np.abs(theirs[name]))
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-10 * largest, rtol=1e-8)


def test_so_they_do_where_drop_is_mild_and_lines_are_long():
    g, ohm = circuit(50, 52)
    ohm = {name: x / 100 for name, x in ohm.items()}
    ours, theirs = (slopes(g, ohm, LEAVES, s) for s in (xb.ColumnSweep(), xb.CG(1e-13)))
    for name in LEAVES:
        assert np.max(np.abs(ours[name] - theirs[name])) <= 1e-8 * np.max(np.abs(theirs[name]))


def reserved(moving):
    """Bytes for the gradient by the conductances and by some wires."""
    g, ohm = circuit(40, 70)

    def of(g, moved):
        return jnp.sum(xb.transfer(xb.Crossbar(g, xb.Wires(**{**ohm, **moved})))[::2] ** 2)

    moved = {name: ohm[name] for name in moving}
    options = xb.compiler_options()
    program = jax.jit(jax.grad(of, (0, 1)), compiler_options=options).lower(g, moved).compile()
    return program.memory_analysis().temp_size_in_bytes


def test_derivatives_by_the_lines_ends_reserve_no_arrays_of_all_inputs():
    """One number for each input and cell is 0.9 MB here; 32 MiB in all are the limit of speed."""
    one = 40 * 70 * 40 * 8
    without = reserved(())
    assert reserved(("source", "sense")) <= without + one / 4
    assert reserved(LEAVES) <= without + 1.5 * one
