"""Figures from plain arrays: what they compute before they draw, and that odd inputs draw."""

import numpy as np
import pytest
from matplotlib import image

from xbar import plots
from xbar.plots.accuracy import confusion, plane
from xbar.plots.arrays import drop

RNG = np.random.default_rng(0)
Y = np.arange(60) % 4
VOLTS = 5 * np.eye(4)[Y] + RNG.normal(size=(60, 4))


def test_confusion_is_the_share_of_each_true_class():
    found = confusion([0, 0, 0, 0, 2], [0, 0, 0, 2, 2], 3)
    np.testing.assert_allclose(found, [[0.75, 0, 0.25], [0, 0, 0], [0, 0, 1]])


def test_drop_is_what_the_row_has_more_than_the_cell():
    np.testing.assert_allclose(drop([3.0, 1.0], [[2.0, 3.0], [1.0, 0.5]]), [[1, 0], [0, 0.5]])


def test_the_plane_of_a_circuit_parts_its_classes():
    points = plane(VOLTS, Y)[0](VOLTS)
    centres = np.stack([points[k == Y].mean(0) for k in range(4)])
    nearest = np.linalg.norm(points[:, None] - centres, axis=-1).argmin(1)
    assert np.mean(nearest == Y) > 0.9  # three axes part four classes fully; two do nearly


@pytest.mark.parametrize(
    ("volts", "labels"),
    [
        (VOLTS[:, :2], Y % 2),
        (VOLTS * [1, 1, 1, 0], Y),
        (np.zeros((60, 4)), Y),
        (VOLTS[:1], Y[:1]),
        (VOLTS[:4], Y[:4]),
    ],
    ids=["two classes", "a dead output", "all dead", "one image", "one image per class"],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")  # PCA of no variance
def test_poor_voltages_still_give_a_figure(volts, labels, tmp_path):
    figure = plots.outputs_figure(labels, {"healthy": volts, "defective": 0.5 * volts})
    plots.save(figure, tmp_path / "a.png")
    assert image.imread(tmp_path / "a.png").shape[1] == 850


def test_open_cells_and_a_stuck_corner(tmp_path):
    g = [RNG.random((5, 6)) * 1e-4, np.zeros((2, 4))]
    hit = np.zeros((2, 2), bool)
    hit[0, 0] = True
    figure = plots.arrays_figure(g, hit, 1)
    lines = figure.axes[1].collections
    assert sum(len(group.get_segments()) for group in lines) == 6  # around two cells side by side
    plots.save(figure, tmp_path / "a.png")


def test_every_seed_is_drawn():
    shares = {"healthy": [0.9, 0.8, 1.0], "linear": [0.5, 0.6, 0.7]}
    axes = plots.accuracy_figure(shares, {"healthy": 0.1, "linear": 0.2}).axes[0]
    drawn = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 3]
    np.testing.assert_allclose(drawn, 100 * np.array(list(shares.values())))
    assert [text.get_text() for text in axes.texts] == ["90.0 %", "60.0 %"]


def test_an_axis_of_words_and_one_of_numbers(tmp_path):
    curves = {"healthy": ([0.9, 0.9], [0.01, np.nan]), "mine": ([0.4, np.nan], [0.1, np.nan])}
    for values in (["ring", "row"], [0.1, 0.4]):
        axes = plots.axis_figure(values, "what", curves).axes[0]
        assert axes.get_xlabel() == "what"
        assert axes.get_ylabel() == "test accuracy [%]"
        drawn = [group.lines[0].get_ydata() for group in axes.containers]
        np.testing.assert_array_equal(drawn, [[90, 90], [40, np.nan]])
        colours = {group.lines[0].get_color() for group in axes.containers}
        assert len(colours) == 2


def test_a_map_says_its_numbers_and_leaves_blanks():
    shares = np.array([[0.5, np.nan], [0.25, 1.0]])
    rows, columns = ("layer", [0, 1]), ("coverage", [0.1, 0.2])
    axes = plots.map_figure(rows, columns, {"defective": shares}).axes[0]
    assert [text.get_text() for text in axes.texts] == ["50", "25", "100"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.1", "0.2"]
