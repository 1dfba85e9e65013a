"""What a study reports: names as they are, units as they are, intervals within 0 and 100 %."""

import csv
import io

import numpy as np
import pytest
from study_cases import quiet_console

from xbar import plots
from xbar.run.folders.runner import Runner
from xbar.run.reports.page import literal
from xbar.run.reports.study import draw, show, table_csv
from xbar.run.settings.faults import window_of
from xbar.run.study.plan import AXES
from xbar.run.study.scores import SHOWN, bounds, share
from xbar.run.study.tables import as_csv, headline, means
from xbar.statistics import Interval, share_bounds, t_interval

# Names that spoil a formula, a page, a table, a terminal.
NAMES = (r"$\zz{$", "<script>alert(1)</script>", '=HYPERLINK("x")', "[bold]b[/x]", "a $ b")


@pytest.fixture
def arrays():
    """Accuracies of three seeds at two wire resistances and two shapes."""
    rng = np.random.default_rng(0)
    wires, shapes, seeds = (
        grid.ravel() for grid in np.meshgrid([0.0, 5.0], ["row", "ring"], range(3), indexing="ij")
    )
    count = len(seeds)
    circuits = {name: np.full(count, "x") for name in AXES}
    circuits |= {"wire_ohm": wires, "shape": shapes, "seed": seeds, "healthy": np.arange(count)}
    circuits["status"] = np.zeros(count, int)
    accuracy = {"software": np.ones(3), "healthy": np.full(count, 0.995)}
    accuracy |= {name: rng.uniform(0.9, 1, count) for name in ("defective", *NAMES)}
    return {"circuits": circuits, "accuracy": accuracy}


def test_names_are_drawn_as_they_are(arrays, tmp_path):
    drawn = list(draw(arrays, NAMES, "inputs"))
    files = ["accuracy.png", "by_wire_ohm.png", "by_shape.png", "map_wire_ohm_shape.png"]
    assert [entry.file for _, entry in drawn] == files
    for figure, entry in drawn:
        plots.save(figure, tmp_path / entry.file)
    labels = [text.get_text() for text in drawn[0][0].axes[0].get_yticklabels()]
    assert labels == ["software", "healthy", "defective", *map(literal, NAMES)]
    legend = drawn[1][0].legends[0].get_texts()
    assert [text.get_text() for text in legend][3:] == list(map(literal, NAMES))


def test_ohm_stays_ohm(arrays):
    entries = [entry for _, entry in draw(arrays, (), "inputs")]
    assert entries[1].title == "Accuracy by wire resistance per segment [Ω]"
    assert entries[3].title == "Wire resistance per segment [Ω] and shape of the defect"
    assert all("ω" not in entry.title + entry.caption for entry in entries)
    assert "test inputs are read right" in entries[3].caption


def test_captions_say_which_interval(arrays):
    entries = [entry for _, entry in draw(arrays, NAMES, "inputs")]
    for entry in entries[:2]:
        assert SHOWN["accuracy"].by in entry.caption


def test_a_table_holds_no_formula(arrays):
    rows = list(csv.reader(io.StringIO(table_csv(arrays))))
    assert len(rows) == 13
    cells = [cell for row in rows for cell in row]
    assert not any(cell.startswith(("=", "+", "@")) for cell in cells)
    text = as_csv({"=a": ["-x", "@y"], "b": ["-1.5x", "z"]})
    assert list(csv.reader(io.StringIO(text))) == [["'=a", "b"], ["'-x", "'-1.5x"], ["'@y", "z"]]


def test_names_are_printed_as_they_are(arrays, tmp_path):
    console = quiet_console()
    summary = headline(arrays) | {
        "name": "[red]n[/x]",
        "network": "4-3",
        "seeds": 3,
        "test_images": 18,
        "inputs": "inputs",
        "wall_s": 1,
        "figures": ["a.png"],
    }
    arrays["converged"] = dict.fromkeys(NAMES[1:], arrays["circuits"]["wire_ohm"] > 0)
    arrays["accuracy"][NAMES[2]][:2] = np.nan  # two of six that are no longer counted
    summary["unconverged"] = headline(arrays)["unconverged"]
    show(summary, Runner(tmp_path / "[o]", {}, "study", console=console))
    text = console.export_text()
    for name in (*NAMES, "[red]n[/x]: 12 circuits", "[o]/report.html", "18 test inputs"):
        assert name in text
    for name in NAMES[1:]:
        stopped = 4 if name == NAMES[2] else 6
        assert f"{stopped} correctors were stopped before they had converged: {name}" in text


def test_intervals_stay_within_0_and_100_percent():
    rng = np.random.default_rng(1)
    for shares in ([0.99, 1.0, 0.97], [0.0, 0.3], [0.5, 0.5], [1.0, 1.0, 1.0], rng.random(5)):
        found = t_interval(shares)
        low, high = share_bounds(found)
        assert 0 <= low <= found.mean <= high <= 1
    narrow = t_interval(0.8 + 1e-4 * rng.normal(size=20))
    low, high = share_bounds(narrow)  # where it is narrow, the same as Student's
    np.testing.assert_allclose(high - low, 2 * narrow.half_width, rtol=1e-6)
    wide = share_bounds(t_interval([0.99, 1.0, 0.97]))
    assert wide[1] - 0.98667 < 0.0134  # Student's own would end at 102.5 %
    assert np.isnan(share_bounds(t_interval([0.5]))).all()
    assert np.isnan(share_bounds(Interval(float("nan"), float("nan"), 0))).all()


def test_the_interval_covers_the_true_mean_at_its_level():
    rng = np.random.default_rng(2)
    inside = 0
    for _ in range(2000):
        low, high = share_bounds(t_interval(rng.beta(18, 2, 8)))
        inside += low <= 0.9 <= high
    assert 0.93 < inside / 2000 < 0.98


def test_words_of_accuracies():
    assert share(0.931) == "93.1 %"
    assert share(None) == share(float("nan")) == "-"
    assert bounds((0.25, 0.5)) == "25.0 to 50.0 %"
    assert bounds(None) == bounds((None, 1)) == bounds((float("nan"), 1)) == "-"
    with_bounds = SHOWN["accuracy"].with_bounds
    assert with_bounds(Interval(0.5, float("nan"), 1)) == "50.0 %"
    assert with_bounds(Interval(0.5, 0.1, 3)) == "50.0 % (40.1 to 59.9 %)"


def test_the_table_of_combinations(arrays):
    found = means(arrays)
    assert found["axes"] == ["wire resistance per segment [Ω]", "shape of the defect"]
    assert [row["key"] for row in found["rows"]] == [
        *((0.0, "row"), (0.0, "ring"), (5.0, "row"), (5.0, "ring"))
    ]
    assert len(means(arrays, 3)["rows"]) == 3


@pytest.mark.parametrize("name", ["1e4:1e6", "10k:1M", "10000:1e6", "0.01M:0.001G"])
def test_windows_in_every_way_to_write_them(name):
    window = window_of(name)
    np.testing.assert_allclose([window.g_min, window.g_max], [1e-6, 1e-4], rtol=1e-12)
