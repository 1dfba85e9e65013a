"""Weights -> pairs -> weights, and the windows that the pairs lie in."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xbar.devices.mapping import WINDOWS, Pairs, Window, map_weights

SCHEMES = ["unipolar", "balanced"]
weight_matrices = hnp.arrays(
    np.float64,
    st.sampled_from([(4, 3), (1, 1)]),  # few, as JAX compiles for each
    elements=st.floats(-1e3, 1e3, allow_subnormal=False).map(lambda w: round(w, 6)),
)
windows = st.tuples(st.sampled_from([0.0, 1e-9, 1e-6]), st.floats(1e-5, 1e-2))


def weights_of(pairs, s):
    """The weights that pairs stand for."""
    return (pairs.g_plus - pairs.g_minus) / s


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_column_fills_the_window_by_itself_if_asked(scheme):
    w = np.array([[1.0, -20.0, 0.0], [-0.5, 5.0, 0.0]])
    pairs, s = map_weights(w, Window(1e-6, 1e-4), scheme, scale="column")
    np.testing.assert_allclose(s, 99e-6 / np.array([1.0, 20.0, 1.0]), rtol=1e-12)
    np.testing.assert_allclose(weights_of(pairs, s), w, atol=1e-12)
    spread = np.abs(pairs.g_plus - pairs.g_minus).max(0)
    np.testing.assert_allclose(spread, [99e-6, 99e-6, 0.0], rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=50, deadline=None)
@given(w=weight_matrices, limits=windows)
def test_pairs_give_back_their_weights_and_stay_in_the_window(scheme, w, limits):
    g_min, g_max = limits
    pairs, s = map_weights(w, Window(g_min, g_max), scheme)
    largest = max(np.abs(w).max(), 1e-300)
    assert np.abs(weights_of(pairs, s) - w).max() <= 1e-14 * largest * g_max / (g_max - g_min) * 4
    for g in (pairs.g_plus, pairs.g_minus):
        assert g.min() >= g_min
        assert g.max() <= g_max * (1 + 1e-15)
    if scheme == "unipolar":
        assert (np.minimum(pairs.g_plus, pairs.g_minus) == g_min).all()
    else:
        np.testing.assert_allclose(pairs.g_plus + pairs.g_minus, g_min + g_max, rtol=1e-14)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_largest_weight_spans_the_window(scheme):
    lo, hi = 1 / 16, 9 / 16  # powers of two: no rounding
    pairs, s = map_weights([[2.0, 0.0], [0.5, -4.0]], Window(lo, hi), scheme)
    assert s == 1 / 8
    assert (pairs.g_plus[1, 1], pairs.g_minus[1, 1]) == (lo, hi)
    unused = lo if scheme == "unipolar" else (lo + hi) / 2
    assert (pairs.g_plus[0, 1], pairs.g_minus[0, 1]) == (unused, unused)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_weights_that_are_all_zero_have_a_finite_scale_and_derivative(scheme):
    window = Window(1e-6, 1e-4)
    pairs, s = map_weights(np.zeros((2, 3)), window, scheme)
    np.testing.assert_allclose(s, 99e-6, rtol=1e-14)
    assert (weights_of(pairs, s) == 0).all()
    slope = jax.jacobian(lambda w: map_weights(w, window, scheme)[0].g_plus)(jnp.zeros((2, 3)))
    assert jnp.isfinite(slope).all()


def test_interleave_puts_plus_and_minus_side_by_side():
    pairs = Pairs([[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]])
    g = pairs.interleave()
    assert g.tolist() == [[1, 5, 2, 6], [3, 7, 4, 8]]
    assert eqx.tree_equal(Pairs.from_interleaved(g), pairs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_weights_dtype_is_kept(scheme, dtype):
    for window in (Window(1e-6, 1e-4), Window(np.array(1e-6), np.array(1e-4))):
        pairs, s = map_weights(np.ones((2, 2), dtype), window, scheme)
        assert pairs.g_plus.dtype == pairs.interleave().dtype == s.dtype == dtype


@pytest.mark.parametrize(("name", "r_on", "r_off"), [(n, *r) for n, r in WINDOWS.items()])
def test_presets_are_their_resistances(name, r_on, r_off):
    window = Window.preset(name)
    np.testing.assert_allclose([1 / window.g_max, 1 / window.g_min], [r_on, r_off], rtol=1e-14)


def test_an_infinite_off_resistance_is_an_open_cell():
    assert Window.from_resistances(1e4, np.inf).g_min == 0


def test_windows_and_weights_can_be_batched_under_jit():
    g_max = jnp.array([1e-4, 2e-4, 4e-4])
    w = jax.random.normal(jax.random.key(0), (3, 4, 5))
    batch = eqx.filter_vmap(lambda hi: Window(1e-6, hi))(g_max)
    pairs, s = eqx.filter_jit(eqx.filter_vmap(map_weights))(w, batch)
    for i in range(3):
        one, s_one = map_weights(w[i], Window(1e-6, g_max[i]))
        np.testing.assert_allclose(s[i], s_one, rtol=1e-14)
        np.testing.assert_allclose(pairs.g_plus[i], one.g_plus, rtol=1e-13)


OK = Window(1e-6, 1e-4)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: Window(-1e-6, 1e-4), ValueError, r"Window.g_min: got -1e-06, needs .* >= 0 \[S\]"),
        (lambda: Window(1e-6, np.inf), ValueError, "Window.g_max: got inf, needs a finite"),
        (lambda: Window(np.nan, 1e-4), ValueError, "Window.g_min: got nan"),
        (lambda: Window(1e-4, 1e-6), ValueError, "Window.g_max: got 1e-06, needs more than g_min"),
        (lambda: Window(1e-4, 1e-4), ValueError, "Window.g_max: got 0.0001, needs more than"),
        (lambda: Window(0.0, 0.0), ValueError, "Window.g_max: got 0.0"),
        (lambda: Window([1e-6, 2e-6], 1e-4), ValueError, "Window.g_min: got shape"),
        (lambda: Window("low", 1e-4), TypeError, "Window.g_min: got str"),
        (lambda: Window.from_resistances(0, 1e6), ValueError, "r_on: got 0, needs a finite"),
        (lambda: Window.from_resistances(1e6, 1e4), ValueError, "r_off: got .*, needs more than"),
        (lambda: Window.preset("mnist"), ValueError, "preset: got 'mnist', needs one of"),
        (lambda: Pairs([[1.0]], [[1.0, 2.0]]), ValueError, "Pairs.g_minus: got shape"),
        (lambda: Pairs([1.0], [1.0]), ValueError, "Pairs.g_plus: got shape"),
        (lambda: Pairs([[-1.0]], [[1.0]]), ValueError, "Pairs.g_plus: got -1.0, needs"),
        (lambda: Pairs.from_interleaved(np.ones((2, 3))), ValueError, "g: got 3 columns"),
        (lambda: map_weights([[1.0]], OK, "bipolar"), ValueError, "mapping: got 'bipolar'"),
        (lambda: map_weights([1.0], OK), ValueError, "w: got shape"),
        (lambda: map_weights([[np.nan]], OK), ValueError, "w: got nan, needs finite"),
        (lambda: map_weights([[1j]], OK), TypeError, "w: got dtype complex128"),
    ],
)
def test_bad_input_gets_one_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
