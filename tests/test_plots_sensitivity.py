"""Figures of faults, trust and worst cases show the numbers that they are given."""

import numpy as np
import pytest

from xbar import plots
from xbar.plots.style import decade_ticks

RNG = np.random.default_rng(0)


def lines_of(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def test_maps_have_one_scale_and_ring_the_worst_cell_of_each_array():
    small, large = RNG.normal(size=(9, 20)), 10 * RNG.normal(size=(65, 100))
    small[2, 3], large[60, 7] = 5.0, 99.0
    small[0, 0] = np.nan
    figure = plots.fault_maps_figure([small, large], "change [nat]")
    panels = [axes for axes in figure.axes if axes.images]
    for axes, array, worst in zip(panels, (small, large), ((3, 2), (7, 60)), strict=True):
        shown = axes.images[0].get_array()
        np.testing.assert_array_equal(np.ma.filled(shown, np.nan), array)
        assert axes.images[0].get_clim() == (-99.0, 99.0)
        np.testing.assert_array_equal(np.ravel(axes.get_lines()[0].get_data()), worst)
        assert f"word line {worst[1]}, bit line {worst[0]}" in axes.get_title(loc="left")
    assert figure.axes[-1].get_xlabel() == "change [nat]"


@pytest.mark.parametrize("largest", [7.3, 1e-3, 0.15, 2.0e5])
def test_ticks_are_powers_of_ten_within_the_axis(largest):
    ticks = decade_ticks(largest, (0, 2))
    top = ticks[-1]
    assert largest / 10 < top <= largest
    np.testing.assert_allclose(ticks, [-top, -top / 100, 0, top / 100, top])
    assert float(f"{np.log10(top):.9g}").is_integer()
    figure = plots.fault_maps_figure([np.array([[largest, -largest / 2]])], "change [nat]")
    assert figure.axes[-1].get_xticks()[-1] == top


@pytest.mark.parametrize("array", [np.zeros((3, 4)), np.full((3, 4), np.nan)], ids=["zero", "nan"])
def test_maps_of_nothing_are_drawn(array):
    figure = plots.fault_maps_figure([array], "change [nat]")
    figure.draw_without_rendering()


def test_scatter_has_exact_across_and_predicted_up():
    exact = {"stuck-on": np.array([1.0, -2.0]), "stuck-off": np.array([[0.1, 0.0]])}
    predicted = {"stuck-on": np.array([0.5, 3.0]), "stuck-off": np.array([[0.2, -0.1]])}
    figure = plots.scatter_figure([exact] * 3, [predicted] * 3, "change")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == 3
    for kind in exact:
        x, y = lines_of(shown[0])[kind].get_data()
        np.testing.assert_array_equal(x, np.ravel(exact[kind]))
        np.testing.assert_array_equal(y, np.ravel(predicted[kind]))


def test_lines_of_cells_and_yield_are_percent_of_what_is_given():
    random = RNG.uniform(size=(2, 30))
    figure = plots.cells_figure({"greedy": [0.5, 0.2], "alone": [0.6, 0.4]}, [1, 2], random, 0.9)
    found = lines_of(figure.axes[0])
    np.testing.assert_allclose(found["greedy"].get_ydata(), [50, 20])
    mean = found["random cells: mean, 5 to 95 %"].get_ydata()
    np.testing.assert_allclose(mean, 100 * random.mean(1))
    figure = plots.yield_figure([1e-3, 1e-2], random, 0.5 * random)
    found = lines_of(figure.axes[0])
    solved = found["solved exactly: mean, 5 to 95 %"]
    np.testing.assert_allclose(solved.get_xdata(), [0.1, 1])
    np.testing.assert_allclose(solved.get_ydata(), 50 * random.mean(1))


def test_places_and_correctors_mark_the_worst_beside_the_average():
    worst = [{"random": 0.5, "grid": 0.3, "ascent": 0.4}, {"random": 0.6, "grid": 0.6, "ascent": 1}]
    figure = plots.places_figure([RNG.uniform(size=9)] * 2, worst)
    marks = lines_of(figure.axes[0])
    for way in ("random", "grid", "ascent"):
        np.testing.assert_allclose(marks[f"worst, {way}"].get_xdata(), 100 * worst[0][way])
    average = {"uncorrected": np.array([0.7, 0.9]), "trained": np.array([0.8, 0.8])}
    figure = plots.correctors_figure(average, {"uncorrected": 0.3, "trained": 0.75})
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["80.0 %", "30.0 %", "80.0 %", "75.0 %"]


def test_errors_and_line_faults_are_drawn_for_each_layer():
    errors = {1: [[0.1, 1.0], [0.2, 1.0]], 2: [[0.01, 0.5], [0.02, 0.6]]}
    axes = plots.growth_figure([0.01, 1.0], errors).axes[0]
    found = lines_of(axes)
    np.testing.assert_allclose(found["second order, layer 1"].get_ydata(), [0.02, 0.6])
    np.testing.assert_allclose(found["first order, layer 0"].get_xdata(), [1, 100])
    kinds = {"stuck-on": np.array([1.0, 2.0]), "stuck-off": np.array([0.0, 0.5])}
    figure = plots.lines_figure([kinds, kinds], [kinds, kinds], "change [nat]")
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        f"layer {k}: {name} lines" for k in range(2) for name in ("word", "bit")
    ]
    np.testing.assert_array_equal(lines_of(figure.axes[3])["stuck-on"].get_ydata(), [1, 2])
