"""What arguments of ends, biases and line faults are refused with, and what a plain array pays."""

from typing import Any

import jax
import numpy as np
import pytest

import xbar as xb
from xbar.solvers import cg

G = np.full((2, 3), 1e-4)
WRONG: Any = ("word", 0)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: xb.Wires(word_line=np.inf), ValueError, "LineFaults.word_open"),
        (lambda: xb.Wires(bit_line=float("inf")), ValueError, "LineFaults.bit_open"),
        (lambda: xb.Wires(source=np.inf), ValueError, "Bias.word_floats"),
        (lambda: xb.Wires(sense_far=float("inf")), ValueError, "None leaves the far ends open"),
        (lambda: xb.Wires(source_far=-1.0), ValueError, "Wires.source_far: got -1.0"),
        (lambda: xb.Crossbar(G, xb.Wires(source_far=np.ones(3))), ValueError, "Wires.source_far"),
        (lambda: xb.Bridge(("word", 0, 0), ("row", 0, 1)), ValueError, "Bridge.b: got 'row'"),
        (lambda: xb.Bridge(WRONG, ("bit", 0, 1)), TypeError, "Bridge.a"),
        (lambda: xb.Bridge(("word", 0, 0), ("bit", 0, -1)), ValueError, "place >= 0"),
        (lambda: xb.Bridge(("word", 0, 0.5), ("bit", 0, 1)), TypeError, "integers"),
        (
            lambda: xb.Bridge(("word", 0, 0), ("bit", 0, 1), np.inf),
            ValueError,
            "leave the bridge out",
        ),
        (lambda: xb.LineFaults(np.zeros((2, 3))), TypeError, "needs booleans"),
        (lambda: xb.LineFaults(bridges=[1.0]), TypeError, "needs xbar.Bridge"),
        (
            lambda: xb.Crossbar(G, None, xb.LineFaults(np.zeros((3, 2), bool))),
            ValueError,
            "LineFaults.word_open",
        ),
        (
            lambda: xb.Crossbar(
                G, None, xb.LineFaults(bridges=xb.Bridge(("word", 0, 0), ("word", 2, 0)))
            ),
            ValueError,
            r"bridges\[0\].b: got \('word', 2, 0\)",
        ),
        (lambda: xb.Crossbar(G, None, WRONG), TypeError, "needs xbar.LineFaults"),
        (lambda: xb.Bias("1 V"), TypeError, "Bias.word"),
        (lambda: xb.Bias(1.0, word_floats=np.zeros(2)), TypeError, "Bias.word_floats"),
        (lambda: xb.Bias.half_select(2, 3, 1.0, 2, 0), ValueError, "row: got 2, needs 0..1"),
        (
            lambda: xb.Bias.read(2, 3, 1.0, 0, 0, WRONG),
            ValueError,
            "unselected: got .*needs one of",
        ),
        (lambda: xb.solve(xb.Crossbar(G), xb.Bias(np.ones(3))), ValueError, "Bias.word: got shape"),
        (
            lambda: xb.solve(xb.Crossbar(G), xb.Bias(np.ones((2, 4)), np.ones((3, 5)))),
            ValueError,
            "same number everywhere",
        ),
        (
            lambda: xb.solve(xb.Crossbar(G), xb.Bias(1.0, word_far=1.0)),
            ValueError,
            "Wires.source_far",
        ),
        (
            lambda: xb.solve(xb.Crossbar(G), xb.Bias(1.0, bit_floats=np.zeros(2, bool))),
            ValueError,
            "Bias.bit_floats",
        ),
        (
            lambda: xb.solve(xb.Crossbar(G), xb.Bias(np.array([1.0, np.nan]))),
            ValueError,
            r"Bias.word: got nan at \(1,\)",
        ),
        (
            lambda: xb.solve(
                xb.Crossbar(G, xb.Wires(source_far=np.array([1.0, np.inf]))), np.ones(2)
            ),
            ValueError,
            r"Wires.source_far: got inf at \(1,\)",
        ),
        (
            lambda: xb.solve(
                xb.Crossbar(G), xb.Bias(1.0, word_floats=np.array([True, False])), xb.Ideal()
            ),
            ValueError,
            "Ideal",
        ),
        (lambda: xb.transfer(xb.Crossbar(G), WRONG), TypeError, "bias: got tuple"),
    ],
)
def test_wrong_arguments_are_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


def solved(array, bias):
    return xb.solve(array, bias, xb.CG(), throw=False)


def test_drivers_joined_by_zero_ohm_are_an_error():
    """Over a bridge, or from end to end of a line; of equal voltage they are none."""
    short = xb.LineFaults(bridges=xb.Bridge(("word", 0, 0), ("word", 1, 0)))
    over_bridge = xb.Crossbar(G, xb.Wires(), short)
    along = xb.Crossbar(G, xb.Wires(source_far=0.0))
    for array, bias in (
        (over_bridge, xb.Bias(np.array([1.0, 2.0]))),
        (along, xb.Bias(1.0, word_far=2.0)),
    ):
        assert bool(solved(array, bias).result == xb.RESULTS.sources_joined)
        with pytest.raises(ValueError, match="joined by 0 ohm"):
            xb.solve(array, bias, xb.CG())
    for array, bias in ((over_bridge, xb.Bias(1.0)), (along, xb.Bias(1.0, word_far=1.0))):
        found = xb.solve(array, bias, xb.CG())
        np.testing.assert_allclose(found.i_out, 2e-4, rtol=1e-12)


def test_too_many_broken_segments_for_the_room_are_marked():
    masks = np.ones((2, 3), bool)
    array = xb.Crossbar(G, xb.Wires(1.0, 1.0), xb.LineFaults(masks, max_open=3))
    found = solved(array, xb.Bias(1.0))
    assert bool(found.result == xb.RESULTS.too_many_open)
    assert np.all(np.isnan(found.i_out))
    with pytest.raises(ValueError, match="max_open"):
        xb.solve(array, xb.Bias(1.0), xb.CG())


def test_far_ends_follow_their_near_ends_unless_given():
    array = xb.Crossbar(G, xb.Wires(1.0, 2.0, 3.0, 4.0, source_far=5.0, sense_far=6.0))
    word, bit = np.array([0.3, 0.2]), np.array([0.0, 0.1, 0.0])
    one, other = solved(array, xb.Bias(word, bit)), solved(array, xb.Bias(word, bit, word, bit))
    for name in ("i_out", "i_word", "i_word_far", "i_bit_far", "v_word", "p_total"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_named_biases():
    half = xb.Bias.half_select(2, 3, 2.0, 1, 2)
    np.testing.assert_array_equal(half.word, [1, 2])
    np.testing.assert_array_equal(half.bit, [1, 1, 0])
    third = xb.Bias.third_select(2, 3, 3.0, 1, 2)
    np.testing.assert_allclose(third.word, [1, 3])
    np.testing.assert_allclose(third.bit, [2, 2, 0])
    read = xb.Bias.read(2, 3, 0.2, 1, 2, "floating")
    np.testing.assert_array_equal(read.word_floats, [True, False])
    np.testing.assert_array_equal(read.bit_floats, [True, True, False])


def test_a_plain_array_pays_nothing():
    """Without far ends and faults there is nothing of them in the array, nor in its program."""

    def program(array: xb.Crossbar) -> str:
        return jax.jit(lambda a, v: xb.solve(a, v, xb.CG())).lower(array, np.ones(2)).as_text()

    bare = xb.Crossbar(G, xb.Wires(1.0, 2.0, 3.0, 4.0))
    none = xb.Crossbar(G, xb.Wires(1.0, 2.0, 3.0, 4.0, None, None), line_faults=None)
    assert len(jax.tree.leaves(bare)) == 5
    assert program(bare) == program(none)
    far = xb.Crossbar(G, xb.Wires(1.0, 2.0, 3.0, 4.0, source_far=1.0))
    assert program(bare) != program(far)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["two ends", "three breaks"])
def test_steps_are_at_most_1_3_times_those_of_a_plain_array(what, monkeypatch):
    """At 65x100 with wires of 1 ohm, where those are not preconditioned either."""
    monkeypatch.setattr(cg, "MODES_CELLS", range(0))
    rng = np.random.default_rng(0)
    g = np.exp(rng.uniform(np.log(1e-6), np.log(1e-4), (65, 100)))
    ends = (1.0, 1.0, 50.0, 10.0)
    bias = xb.Bias(rng.uniform(0, 0.2, 65))
    plain = xb.solve(xb.Crossbar(g, xb.Wires(*ends)), bias, xb.CG())
    if what == "two ends":
        array = xb.Crossbar(g, xb.Wires(*ends, source_far=50.0, sense_far=10.0))
    else:
        word, bit = np.zeros((2, 65, 100), bool)
        word[10, 40] = word[33, 80] = bit[20, 7] = True
        array = xb.Crossbar(g, xb.Wires(*ends), xb.LineFaults(word, bit))
    found = xb.solve(array, bias, xb.CG())
    assert int(found.steps) <= 1.3 * int(plain.steps)
