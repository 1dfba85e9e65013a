"""`CG(fused=True)`: its kernel as a CPU interprets it, and as it is handed to a GPU's compiler."""

import re

import fuzz
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar.solvers import kernel

PLAIN, FUSED = xb.CG(), xb.CG(fused=True)
RNG = np.random.default_rng(5)
MILD = ("mild", "open_lines", "circle", "checkerboard", "all_open", "no_wires")
HARD = ("ends", "log_segment", "zeros_scattered", "few_cells", "break_in_line", "short_circuit")
# Lines of one part, of two, and of one cell.
SHAPES = [(5, 7), (3, 66), (67, 2), (1, 6), (6, 1), (1, 1)]


def found(c, solver, dtype=np.float64):
    array = jax.tree.map(lambda x: x.astype(dtype), c.array(dtype))
    return jax.tree.map(np.asarray, xb.solve(array, c.v_in.astype(dtype), solver, throw=False))


def succeeded(solution):
    return bool(solution.result == xb.RESULTS.successful)


def close(a, b, bound):
    return np.abs(a - b).max() <= bound * np.abs(b).max()


@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 1e-10), (np.float32, 1e-5)])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_finds_what_the_ordinary_loop_finds_in_as_many_steps(shape, dtype, bound):
    for name in MILD:
        c = fuzz.random_circuit(name, *shape, 1, dtype)
        fused, plain = found(c, FUSED, dtype), found(c, PLAIN, dtype)
        assert succeeded(fused) == succeeded(plain), name
        assert succeeded(fused) or dtype == np.float32, name
        assert abs(fused.steps - plain.steps) <= 1 or not succeeded(fused), name
        assert close(fused.i_cell, plain.i_cell, bound), name
        assert close(fused.v_bit, plain.v_bit, bound), name


@pytest.mark.parametrize("shape", [(5, 7), (66, 3)])
def test_behind_severe_drop_it_is_right_or_says_that_it_is_not(shape):
    missed = {True: 0, False: 0}
    for name in HARD:
        for seed in range(3):
            c = fuzz.random_circuit(name, *shape, seed)
            for fused in (True, False):
                solution = found(c, xb.CG(fused=fused))
                missed[fused] += not succeeded(solution)
                if succeeded(solution):
                    assert max(fuzz.errors(solution, fuzz.right_answer(c), c)) <= 1e-9, name
    assert missed[True] <= missed[False] + 1


@pytest.mark.parametrize(
    ("word", "bit", "source", "sense"),
    [
        ((), (), (5,), ()),
        ((5, 1), (1, 7), (), (7,)),
        ((1, 7), (5, 1), (5,), (7,)),
        ((5, 7), (), (), ()),
    ],
)
def test_wires_may_have_any_shape(word, bit, source, sense):
    wires = xb.Wires(*(RNG.uniform(1, 20, shape) for shape in (word, bit, source, sense)))
    array = xb.Crossbar(10 ** RNG.uniform(-6, -3, (5, 7)), wires)
    fused, dense = (xb.solve(array, np.linspace(0.1, 1, 5), s) for s in (FUSED, xb.Dense()))
    assert close(fused.i_cell, dense.i_cell, 1e-10)
    assert close(xb.transfer(array, FUSED), xb.transfer(array, xb.Dense()), 1e-10)


def uneven(shape, n=5):
    """Arrays that take from no to many steps."""
    g = 10 ** RNG.uniform(-6, -3, (n, *shape))
    return jnp.asarray(g), jnp.asarray([0.0, 0.1, 500.0, 2.0, 20.0])


def solve(g, ohms, solver=FUSED):
    array = xb.Crossbar(g, xb.Wires(ohms, ohms))
    found = xb.solve(array, jnp.linspace(0.1, 0.2, g.shape[0], dtype=g.dtype), solver)
    return found.i_out, found.steps


@pytest.fixture
def side_by_side(monkeypatch):
    """Batches take the branch that accelerators take, the kernel is interpreted."""
    jax.clear_caches()
    monkeypatch.setattr(
        jax.lax,
        "platform_dependent",
        lambda *args, cpu, default, cuda=None: (cpu if cuda else default)(*args),
    )
    yield
    jax.clear_caches()


@pytest.mark.parametrize("batched", [jax.vmap, lambda f: jax.vmap(jax.vmap(f))])
def test_each_array_of_a_batch_takes_its_own_steps(side_by_side, batched):
    g, ohms = uneven((6, 5))
    one_by_one = [solve(*each) for each in zip(g, ohms, strict=True)]
    nested = batched is not jax.vmap
    together, steps = jax.jit(batched(solve))(*((g[None], ohms[None]) if nested else (g, ohms)))
    together, steps = together.reshape(5, -1), steps.ravel()
    assert len(set(steps.tolist())) >= 4
    for k, (i_out, alone) in enumerate(one_by_one):
        assert steps[k] == alone
        np.testing.assert_allclose(together[k], i_out, rtol=1e-12)


def test_a_batch_on_a_processor_is_the_arrays_one_by_one():
    g, ohms = uneven((6, 5))
    together, _ = jax.vmap(solve)(g, ohms)
    for k in range(len(g)):
        np.testing.assert_allclose(together[k], solve(g[k], ohms[k])[0], rtol=1e-12)


def test_each_input_of_an_array_takes_its_own_steps_and_none_for_zero():
    c = fuzz.random_circuit("log_array", 6, 5, 3)
    v_in = np.stack([c.v_in, np.zeros(6), np.eye(6)[2]], axis=1)
    together = xb.solve(c.array(), v_in, FUSED)
    assert not together.i_cell[..., 1].any()
    for k in range(3):
        alone = xb.solve(c.array(), v_in[:, k], FUSED)
        assert together.steps[k] == alone.steps
        np.testing.assert_allclose(together.i_cell[..., k], alone.i_cell, rtol=1e-9, atol=1e-20)
    assert together.steps[0] > 1


def test_derivatives_are_those_of_the_ordinary_loop():
    g, _ = uneven((5, 7), 1)

    def loss(inputs, solver):
        g, word, source = inputs
        return jnp.sum(xb.solve(xb.Crossbar(g, xb.Wires(word, 3.0, source)), V, solver).i_out ** 2)

    V = np.linspace(0.1, 1, 5)
    inputs = g[0], jnp.asarray(2.0), jnp.linspace(1.0, 5.0, 5)
    fused, plain = (jax.grad(loss)(inputs, solver) for solver in (FUSED, PLAIN))
    for a, b in zip(fused, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_newtons_method_takes_its_steps_with_it():
    bent = xb.cells.Sinh(np.full((4, 3), 1e-4), v_0=0.2)
    array = xb.Crossbar(bent, xb.Wires(20.0, 20.0))
    fused, plain = (
        xb.solve(array, np.linspace(0.1, 1, 4), xb.Newton(solver=s)) for s in (FUSED, PLAIN)
    )
    np.testing.assert_allclose(fused.i_out, plain.i_out, rtol=1e-10)
    assert fused.inner_steps == plain.inner_steps


def test_too_few_steps_are_marked_and_foreseen():
    on = xb.Crossbar(np.full((12, 10), 1e-2), xb.Wires(1e3, 1e3))
    v_in = np.linspace(0.1, 1, 12)
    one = xb.solve(on, v_in, xb.CG(max_steps=1, fused=True), throw=False)
    asked, foreseen = (
        [
            xb.solve(on, v_in, xb.CG(max_steps=60, foresee=foresee, fused=fused), throw=False)
            for fused in (True, False)
        ]
        for foresee in (False, True)
    )
    for solution in (one, *asked, *foreseen):
        assert solution.result == xb.RESULTS.tolerance_missed
    assert int(one.steps) == 1
    assert int(asked[0].steps) == int(asked[1].steps) == 60
    assert int(foreseen[0].steps) == int(foreseen[1].steps) == 50


def test_illegal_numbers_are_marked_as_ever():
    array = xb.Crossbar(np.full((4, 3), 1e-4), xb.Wires(1.0, 1.0))
    bad = xb.Crossbar(np.full((4, 3), np.nan), xb.Wires(1.0, 1.0))
    found = xb.solve(array, np.full(4, np.nan), FUSED, throw=False)
    assert found.result == xb.RESULTS.invalid_input
    assert xb.solve(bad, np.ones(4), FUSED, throw=False).result == xb.RESULTS.invalid_conductance


def _half(line):
    return lambda parts, axis: ([x / 2 for x in line(parts, axis)[0]], line(parts, axis)[1])


@pytest.mark.parametrize("name", ["_from_start", "_up_to_end"])
def test_what_a_wrong_kernel_finds_is_marked(monkeypatch, name):
    jax.clear_caches()
    monkeypatch.setattr(kernel, name, _half(getattr(kernel, name)))
    array = xb.Crossbar(np.full((9, 8), 1e-3), xb.Wires(20.0, 20.0))
    found = xb.solve(array, np.linspace(0.1, 1, 9), FUSED, throw=False)
    assert found.result == xb.RESULTS.tolerance_missed
    jax.clear_caches()


def test_lines_are_cut_into_powers_of_two_that_hold_every_cell_once():
    for n in range(1, 400):
        parts = kernel._parts(n)
        assert all(part.padded & (part.padded - 1) == 0 for part in parts)
        starts = np.cumsum([0, *(part.padded for part in parts)])
        assert [part.start for part in parts] == starts[:-1].tolist()
        assert starts[-2] < n <= starts[-1]


# --- what a GPU would get -----------------------------------------------------------------------


def lowered(function, *shape, dtype=jnp.float64):
    shapes = jax.ShapeDtypeStruct(shape, dtype), jax.ShapeDtypeStruct(shape[:-2], dtype)
    try:
        return jax.jit(function).trace(*shapes).lower(lowering_platforms=("cuda",)).as_text()
    except RuntimeError as error:  # JAX after 0.10.2 has its CUDA plugin compile what it lowers
        if "Triton compilation handler" not in str(error):
            raise
        pytest.skip(str(error))


def kernels(text):
    return text.count('name = "conjugate_gradients"')


def loops(text):
    return text.count("stablehlo.while")


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
@pytest.mark.parametrize("shape", [(6, 5), (65, 100), (1, 9), (128, 128)])
def test_a_gpu_gets_one_kernel_for_all_steps_and_all_arrays(shape, dtype):
    one = lowered(solve, *shape, dtype=dtype)
    many = lowered(jax.vmap(solve), 7, *shape, dtype=dtype)
    for text in (one, many):
        assert kernels(text) == 1
        assert "callback" not in text
        assert loops(text) == 1  # the passes
    (warps,) = re.findall(r"num_warps = (\d+)", one)
    assert int(warps) in (1, 2, 4, 8, 16)
    assert "grid_x = 1 :" in one
    assert re.search(r"grid_[xy] = 7 :", many)


def test_other_programs_have_no_kernel():
    """The default, arrays that are too large, and other accelerators."""
    ordinary = lowered(lambda g, ohms: solve(g, ohms, PLAIN), 6, 5)
    large = lowered(solve, 129, 128)
    assert kernels(ordinary) == kernels(large) == 0
    assert loops(ordinary) == loops(large) == 2
    shapes = jax.ShapeDtypeStruct((6, 5), jnp.float64), jax.ShapeDtypeStruct((), jnp.float64)
    other = jax.jit(solve).trace(*shapes).lower(lowering_platforms=("rocm",)).as_text()
    assert (kernels(other), loops(other)) == (0, 2)
