"""Wrong calls of the circuit and solvers: one sentence each that names the argument."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb

G = np.full((3, 2), 1e-5)
ARRAY = xb.Crossbar(G)
NAN, INF = float("nan"), float("inf")


def with_value(value):
    g = G.copy()
    g[1, 0] = value
    return g


STATIC = {
    "one-dimensional g": (lambda: xb.Crossbar(np.ones(3)), "Crossbar.g: got shape"),
    "batched g": (lambda: xb.Crossbar(np.ones((2, 3, 4))), "vmap"),
    "empty g": (lambda: xb.Crossbar(np.ones((0, 3))), "at least one cell"),
    "ragged g": (lambda: xb.Crossbar([[1, 2], [3]]), "unequal length"),
    "text as g": (lambda: xb.Crossbar("1"), "Crossbar.g: got str"),
    "no g": (lambda: xb.Crossbar(None), "Crossbar.g: got NoneType"),
    "complex g": (lambda: xb.Crossbar(G + 1j), "complex128"),
    "half precision": (lambda: xb.Crossbar(G.astype(np.float16)), "float16"),
    "negative wire": (lambda: xb.Wires(word_line=-1.0), "Wires.word_line: got -1.0"),
    "infinite wire": (lambda: xb.Wires(bit_line=INF), "Wires.bit_line: got inf"),
    "NaN source": (lambda: xb.Wires(source=NAN), "Wires.source: got nan"),
    "negative sense": (lambda: xb.Wires(sense=-2), "Wires.sense: got -2"),
    "flat word line": (lambda: xb.Wires(word_line=np.ones(3)), "Wires.word_line: got shape"),
    "two-dimensional source": (lambda: xb.Wires(source=np.ones((3, 1))), "Wires.source"),
    "word line of another array": (
        lambda: xb.Crossbar(G, xb.Wires(word_line=np.ones((2, 3)))),
        r"Wires.word_line: got shape \(2, 3\)",
    ),
    "source per column": (lambda: xb.Crossbar(G, xb.Wires(source=np.ones(2))), "Wires.source"),
    "sense per row": (lambda: xb.Crossbar(G, xb.Wires(sense=np.ones(3))), "Wires.sense"),
    "short v_in": (lambda: xb.solve(ARRAY, np.ones(2)), "rows = 3"),
    "scalar v_in": (lambda: xb.solve(ARRAY, 1.0), "v_in: got shape"),
    "no inputs": (lambda: xb.solve(ARRAY, np.ones((3, 0))), "v_in: got shape"),
    "three axes of v_in": (lambda: xb.solve(ARRAY, np.ones((3, 1, 1))), "v_in: got shape"),
    "rtol of 0": (lambda: xb.CG(rtol=0.0), "CG.rtol: got 0.0"),
    "rtol of 2": (lambda: xb.Dense(rtol=2.0), "Dense.rtol: got 2.0"),
    "no steps": (lambda: xb.CG(max_steps=0), "CG.max_steps: got 0"),
    "dense and large": (
        lambda: xb.solve(xb.Crossbar(np.ones((65, 100))), np.ones(65), xb.Dense()),
        "65x100 array, needs at most 4096 cells",
    ),
}

AT_RUN_TIME = {
    "negative g": (with_value(-1e-5), {}, np.ones(3), r"Crossbar.g: got -1e-05 at \(1, 0\)"),
    "NaN g": (with_value(NAN), {}, np.ones(3), "Crossbar.g: got nan"),
    "infinite g": (with_value(INF), {}, np.ones(3), "Crossbar.g: got inf"),
    "negative wires": (G, {"word_line": np.full((3, 2), -1.0)}, np.ones(3), "Wires.word_line: got"),
    "infinite sense": (G, {"sense": np.array([1.0, INF])}, np.ones(3), r"sense: got inf at \(1,\)"),
    "NaN v_in": (G, {}, np.array([1.0, NAN, 0.0]), r"v_in: got nan at \(1,\)"),
    "infinite v_in": (G, {}, np.array([1.0, 0.0, -INF]), "v_in: got -inf"),
}


# In this suite beartype speaks before the package does, so these run outside of it.
WRONG_KIND = {
    "xb.Crossbar(G, 1.0)": "needs xbar.Wires",
    "xb.solve(G, V)": "needs xbar.Crossbar",
    "xb.solve(ARRAY, V, 'cg')": "solver: got 'cg'",
    "xb.transfer(ARRAY, xb.CG)": "needs a solver object",
    "xb.Auto(rtol='small')": "Auto.rtol: got 'small'",
    "xb.CG(max_steps=2.5)": "CG.max_steps: got 2.5",
    "xb.CG(foresee='yes')": "CG.foresee: got 'yes'",
    "xb.CG(fused='yes')": "CG.fused: got 'yes'",
    "xb.Wires(word_line='1 ohm')": "Wires.word_line: got str",
    "xb.solve(ARRAY, None)": "v_in: got NoneType",
}


solve_inside_jit = jax.jit(xb.solve)


def assert_one_sentence(error):
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 250


def test_wrong_kinds_of_arguments_raise_at_once():
    script = f"""
import numpy as np, xbar as xb
G, V = np.ones((3, 2), np.float32), np.ones(3, np.float32)
ARRAY = xb.Crossbar(G)
for call in {list(WRONG_KIND)!r}:
    try:
        eval(call)
    except (TypeError, ValueError) as error:
        print(error)
    else:
        print("no error:", call)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    for line, message in zip(done.stdout.splitlines(), WRONG_KIND.values(), strict=True):
        assert message in line


@pytest.mark.parametrize("case", STATIC)
def test_static_mistakes_raise_at_once(case):
    call, message = STATIC[case]
    with pytest.raises((ValueError, TypeError), match=message) as error:
        call()
    assert_one_sentence(error)


@pytest.mark.parametrize("case", AT_RUN_TIME)
def test_bad_values_raise_outside_jit(case):
    g, wires, v_in, message = AT_RUN_TIME[case]
    with pytest.raises(ValueError, match=message) as error:
        xb.solve(xb.Crossbar(g, xb.Wires(**wires)), v_in)
    assert_one_sentence(error)


@pytest.mark.parametrize("case", AT_RUN_TIME)
def test_bad_values_are_marked_without_throw_and_nan_inside_jit(case):
    g, wires, v_in, _ = AT_RUN_TIME[case]
    array = xb.Crossbar(g, xb.Wires(**wires))
    marked = xb.solve(array, v_in, throw=False)
    assert marked.result != xb.RESULTS.successful
    inside = solve_inside_jit(array, v_in)
    for sol in (marked, inside):
        for numbers in (sol.i_out, sol.v_word, sol.v_bit, sol.i_cell, sol.kcl_residual):
            assert np.all(np.isnan(numbers))


def test_ideal_refuses_wires():
    array = xb.Crossbar(G, xb.Wires(sense=1.0))
    with pytest.raises(ValueError, match="needs every wire at 0 ohm"):
        xb.solve(array, np.ones(3), xb.Ideal())
    assert np.all(np.isnan(jax.jit(lambda a: xb.transfer(a, xb.Ideal()))(array)))


def test_missed_tolerance_is_never_silent():
    array = xb.Crossbar(np.full((30, 30), 1e-2), xb.Wires(10.0, 10.0))
    solver = xb.CG(max_steps=2)
    with pytest.raises(RuntimeError, match="missed their tolerance"):
        xb.solve(array, np.ones(30), solver)
    assert np.all(np.isnan(jax.jit(lambda a: xb.transfer(a, solver))(array)))
    gradient = jax.grad(lambda a: xb.solve(a, np.ones(30), solver, throw=False).i_out.sum())(array)
    assert np.all(np.isnan(gradient.g))
    kept = xb.solve(array, np.ones(30), solver, throw=False)
    assert kept.result == xb.RESULTS.tolerance_missed
    assert np.all(np.isfinite(kept.i_out))


def test_gradient_outside_jit_still_raises():
    with pytest.raises(ValueError, match="Conductances must be finite"):
        jax.grad(lambda g: xb.solve(xb.Crossbar(g), jnp.ones(3)).i_out.sum())(with_value(-1.0))


def test_results_are_read_only():
    with pytest.raises(AttributeError):
        ARRAY.g = jnp.ones((3, 2))


def test_float64_without_x64_warns_once_and_float32_not_at_all():
    script = """
import warnings, numpy as np, xbar as xb
warnings.simplefilter("always")
with warnings.catch_warnings(record=True) as seen:
    array = xb.Crossbar(np.ones((3, 2), np.float32), xb.Wires(word_line=1.0, sense=2.0))
    sol = xb.solve(array, np.ones(3, np.float32))
    assert not seen and sol.i_out.dtype == np.float32
    xb.solve(xb.Crossbar(np.ones((3, 2)), xb.Wires(np.ones((3, 2)))), np.ones(3))
print(len(seen), seen[0].message, seen[0].filename)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=None
    )
    assert done.stdout.startswith("1 ")
    assert "64-bit mode is off" in done.stdout
