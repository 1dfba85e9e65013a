"""Pictures of one array: what is drawn obeys Kirchhoff's laws; bad input is named."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.collections import EllipseCollection, LineCollection

import xbar as xb
from xbar import plots
from xbar.plots.circuit import MOST


def solved(rows, cols, inputs=None):
    """A solution of an array without wires, made here: v_word is the drive, v_bit 0."""
    rng = np.random.default_rng(0)
    shape = (rows, cols) if inputs is None else (rows, cols, inputs)
    drive = np.broadcast_to(
        rng.uniform(0.1, 0.2, (rows, 1, inputs or 1)), (rows, cols, inputs or 1)
    )
    drive = drive.reshape(shape)
    i_cell = drive * rng.uniform(1e-6, 1e-4, shape)
    return SimpleNamespace(
        i_out=i_cell.sum(0), v_word=drive, v_bit=0 * drive, i_cell=i_cell, terminals=None
    )


def collection(figure, kind):
    return next(c for c in figure.axes[0].collections if isinstance(c, kind))


def test_the_first_segments_carry_the_rows_and_the_last_ones_the_columns_currents():
    sol = solved(3, 5)
    microampere = collection(plots.circuit(sol), LineCollection).get_array().reshape(3, 3, 5)
    np.testing.assert_allclose(microampere[0][:, 0], 1e6 * sol.i_cell.sum(1))
    np.testing.assert_allclose(microampere[1], 1e6 * sol.i_cell)
    np.testing.assert_allclose(microampere[2][-1], 1e6 * sol.i_out)


def test_every_node_has_its_voltage():
    sol = solved(2, 3)
    millivolt = collection(plots.circuit(sol), EllipseCollection).get_array()
    np.testing.assert_allclose(millivolt, 1e3 * np.concatenate([sol.v_word, sol.v_bit]).ravel())


def test_drawn_segments_obey_ohm_s_law_on_any_lines():
    """Driven at both ends, floating and broken: what is drawn is the drop over the resistance."""
    rng = np.random.default_rng(1)
    g, ohms = rng.uniform(1e-5, 1e-3, (3, 4)), 20.0
    cut = np.zeros((3, 4), bool)
    cut[1, 2] = True
    wires = xb.Wires(ohms, ohms, 5.0, 5.0, source_far=7.0, sense_far=9.0)
    bias = xb.Bias(
        rng.uniform(0, 1, 3), np.zeros(4), rng.uniform(0, 1, 3), 0.1 + np.zeros(4),
        word_floats=np.array([False, False, True]),
    )  # fmt: skip
    sol = xb.solve(xb.Crossbar(g, wires, xb.LineFaults(word_open=cut)), bias)
    drawn = collection(plots.circuit(sol), LineCollection).get_array() / 1e6
    word, cells, bit, word_far, bit_far = np.split(drawn, [12, 24, 36, 39])
    word, bit = word.reshape(3, 4), bit.reshape(3, 4)
    along_word = np.where(cut, 0, np.diff(sol.v_word, axis=1, prepend=0))[:, 1:] / ohms
    np.testing.assert_allclose(word[:, 1:], np.abs(along_word), atol=1e-12)
    np.testing.assert_allclose(word[:, 0], np.abs(sol.i_word), atol=1e-12)
    np.testing.assert_allclose(bit[:-1], np.abs(np.diff(sol.v_bit, axis=0)) / ohms, atol=1e-12)
    np.testing.assert_allclose(bit[-1], np.abs(sol.i_out), atol=1e-12)
    np.testing.assert_allclose(word_far, np.abs(sol.i_word_far), atol=1e-12)
    np.testing.assert_allclose(bit_far, np.abs(sol.i_bit_far), atol=1e-12)
    np.testing.assert_allclose(cells, np.abs(sol.i_cell).ravel(), atol=1e-12)


def test_one_of_several_inputs_is_chosen_by_its_number():
    many = solved(3, 4, inputs=2)
    drawn = collection(plots.circuit(many, 1), LineCollection).get_array()
    np.testing.assert_allclose(drawn.max(), 1e6 * many.i_cell[..., 1].sum(1).max())
    with pytest.raises(ValueError, match=r"which: got 2, needs 0\.\.1"):
        plots.circuit(many, 2)


def test_a_drawing_is_written_as_vectors(tmp_path):
    plots.circuit(solved(2, 2)).savefig(tmp_path / "array.svg")
    text = (tmp_path / "array.svg").read_text()
    assert "<path" in text
    assert "<image" not in text.split("colorbar")[0].split('id="axes_2"')[0]


def test_what_cannot_be_drawn_is_refused_with_what_can():
    with pytest.raises(ValueError, match=r"got 33x2 cells, needs at most 32x32.*plots\.drop"):
        plots.circuit(solved(MOST + 1, 2))
    other = solved(2, 2)
    other.terminals = SimpleNamespace(bridge=np.zeros(1))
    with pytest.raises(ValueError, match="needs lines that do not touch"):
        plots.circuit(other)
    with pytest.raises(ValueError, match=r"v_in: got shape \(3,\), needs \(2,\)"):
        plots.drop(solved(2, 2), np.ones(3))
    with pytest.raises(ValueError, match=r"g: got shape \(3,\), needs \(rows, cols\)"):
        plots.array(np.ones(3))


@pytest.mark.parametrize("shape", [(1, 1), (2, 30), (30, 2), (64, 100)])
def test_titles_and_axes_say_which_array_it_is(shape):
    rows, cols = shape
    sol = solved(rows, cols)
    drive = sol.v_word[:, 0]
    for figure in (plots.array(sol.i_cell / sol.v_word), plots.drop(sol, drive), plots.power(sol)):
        axes = figure.axes[0]
        assert axes.get_title(loc="left") == f"{rows} word lines, {cols} bit lines"
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("bit line", "word line")
        assert axes.images[0].get_array().shape == shape


@pytest.mark.parametrize("draw", [plots.circuit, plots.power, lambda sol: plots.drop(sol, 1.0)])
def test_what_is_no_solution_is_named(draw):
    with pytest.raises(TypeError, match=r"^sol: got ndarray, needs an xb.Solution, or its i_out"):
        draw(np.zeros((3, 2)))
