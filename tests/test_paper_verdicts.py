"""Verdicts follow from intervals by the stated rule; sentences from tables alone."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbar.paper import sizes, stuck_findings, transfer_findings
from xbar.paper.tables import difference, groups, over_seeds, share, where
from xbar.paper.verdicts import Verdict, decide, inside
from xbar.statistics import Interval, t_interval

numbers = st.floats(-1, 1)
widths = st.floats(0, 1)


@given(numbers, widths, numbers, widths)
def test_inside_is_the_whole_interval(mean, half, low, size):
    found = Interval(mean, half, 8)
    assert inside(found, low, low + size) == (low <= mean - half and mean + half <= low + size)
    assert inside(found)
    if inside(found, low, low + size):  # a narrower interval is inside, too
        assert inside(Interval(mean, half / 2, 8), low, low + size)


def test_an_unknown_interval_supports_nothing():
    assert not inside(t_interval([0.5]), low=0)
    assert not inside(Interval(float("nan"), float("nan"), 0))


@given(st.lists(st.booleans(), min_size=1))
def test_the_verdict_counts_conditions(supported):
    expected = {0: Verdict.FAILS, len(supported): Verdict.HOLDS}
    assert decide(supported) == expected.get(sum(supported), Verdict.CONDITIONS)


def test_no_condition_is_an_error():
    with pytest.raises(ValueError, match="supported: got no condition"):
        decide([])


def test_intervals_are_over_the_means_of_seeds():
    table = {"seed": np.array([0, 0, 0, 1, 1]), "place": np.array(list("abcab"))}
    values = np.array([0.1, 0.2, 0.6, 0.5, 0.7])
    expected = t_interval([0.3, 0.6])
    found = over_seeds(table, values)
    assert np.allclose(found[:2], expected[:2], rtol=1e-12)
    assert found.n == 2
    assert over_seeds(table, values, where(table, place="c")).n == 1
    assert [key for key, _ in groups(table, "place")] == [("a",), ("b",), ("c",)]
    assert share(Interval(0.5, 0.01, 3)) == "50.0 ± 1.0 %"
    assert difference(Interval(-0.5, 0.01, 3)) == "-50.0 ± 1.0 points"


def size_table(**changes):
    """Circuits of eight seeds at 60 %, every corrector changing them by so many points."""
    rng = np.random.default_rng(0)
    n = 16
    table = {"seed": np.arange(n) % 8, "layer": np.repeat([2, 3], 8), "healthy": np.full(n, 0.97)}
    table["defective"] = 0.6 + 0.01 * rng.normal(size=n)
    names = [c.label for c in sizes.correctors(10)]
    for name in (*names, "nearest neighbours"):
        points = changes.get(name, 30)
        table[name] = table["defective"] + points / 100 + 0.002 * rng.normal(size=n)
    counts = [10, 20, 110, 31, 52, 94, 31, 52, 94, 178, 178, 304, 682, 3013]
    known = {"name": np.array(names), "parameters": np.array(counts)}
    known["linear"] = np.array([k < 6 for k in range(len(names))])
    return {"circuits": table, "correctors": known}


@pytest.mark.parametrize(
    ("change", "claim", "verdict"),
    [
        ({"10-1-10": -30}, "parameters_31", Verdict.HOLDS),
        ({"10-1-10": -10}, "parameters_31", Verdict.FAILS),
        ({"10-1-10": -19.9}, "parameters_31", Verdict.FAILS),
        ({"10-8-10": 29.5}, "parameters_178", Verdict.HOLDS),
        ({"10-8-10": 20}, "parameters_178", Verdict.FAILS),
        ({"10-8-10": -1, "10-14-10": -1}, "parameters_178", Verdict.FAILS),
        ({"10-143-10": 31}, "parameters_3013", Verdict.HOLDS),
        ({"10-143-10": 35}, "parameters_3013", Verdict.FAILS),
        ({"10-1-10": -30, "bias only": -40, "diagonal": -40}, "capacity_floor", Verdict.HOLDS),
        ({"10-1-10": -30, "bias only": -40}, "capacity_floor", Verdict.CONDITIONS),
        ({"10-1-10": -30}, "capacity_floor", Verdict.FAILS),
    ],
)
def test_verdicts_about_size(change, claim, verdict):
    found = sizes.find(size_table(**change))
    assert {c.name: c.verdict for c in found.claims}[claim] == verdict


def test_only_circuits_with_something_to_repair_count():
    read = size_table()
    read["circuits"]["defective"][:] = 0.9
    assert sizes.find(read).claims == ()
    assert sizes.draw(read) == []


def transfer_table(gains):
    """Six seeds, one layer, one pool; the gain in points by training set and tested shape."""
    shapes = ("circle", "ring", "row", "checkerboard", "circle-complement")
    rows = [
        (0, 3, trained, 3, tested, seed, 0.5 + gains(trained, tested) / 100 + 1e-4 * seed, 0.5)
        for trained in (*shapes, "all")
        for tested in shapes
        for seed in range(6)
    ]
    names = ("layer", "pool", "trained", "circuits", "tested", "seed", "corrected", "defective")
    return {
        "accuracy": {n: np.array(c) for n, c in zip(names, zip(*rows, strict=True), strict=True)}
    }


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        (
            lambda a, b: {"all": 30}.get(a, -20 if "checker" in b or "compl" in a + b else 20),
            {
                "ring_to_circle": Verdict.HOLDS,
                "complement_to_circle": Verdict.HOLDS,
                "poor_tests": Verdict.HOLDS,
                "all_shapes": Verdict.HOLDS,
            },
        ),
        (
            lambda a, b: -5 if (a, b) == ("ring", "circle") else {"all": 5}.get(a, 10),
            {
                "ring_to_circle": Verdict.FAILS,
                "complement_to_circle": Verdict.FAILS,
                "poor_tests": Verdict.FAILS,
                "all_shapes": Verdict.FAILS,
            },
        ),
    ],
    ids=["as published", "otherwise"],
)
def test_verdicts_about_transfer(gains, expected):
    found = transfer_findings.find(transfer_table(gains))
    assert {c.name: c.verdict for c in found.claims} == expected


def stuck_table(columns, off):
    """Losses in points by kind; the others lose 20."""
    kinds = stuck_findings.KINDS
    lost = {"unequal, by column": columns, "pair off": off}
    rows = [
        (layer, seed, "unipolar", "circle", 0, fault, stuck, 0.9 - lost.get(word, 20) / 100)
        for layer, seed, (fault, stuck, word) in product((0, 1), range(5), kinds)
    ]
    names = ("layer", "seed", "mapping", "shape", "placement", "fault", "stuck", "defective")
    table = {n: np.array(c) for n, c in zip(names, zip(*rows, strict=True), strict=True)}
    table |= {"healthy": np.full(len(rows), 0.9), "corrected": np.full(len(rows), 0.8)}
    checks = {
        "check": np.array(["1", "2"]),
        "condition": np.array(["here", "there"]),
        "quantity": np.array(["x", "y"]),
        "left": np.array([1.0, 2.0]),
        "right": np.array([2.0, 1.0]),
        "holds": np.array([True, False]),
    }
    return {"circuits": table, "checks": checks}


@pytest.mark.parametrize(
    ("columns", "off", "alike", "worse"),
    [
        (40, 21, Verdict.HOLDS, Verdict.HOLDS),
        (21, 40, Verdict.FAILS, Verdict.FAILS),
    ],
)
def test_verdicts_about_stuck_values(columns, off, alike, worse):
    found = stuck_findings.find(stuck_table(columns, off))
    assert {c.name: c.verdict for c in found.claims} == {"on_off": alike, "columns": worse}
    assert "check 1: 1 of 1 hold; check 2: 0 of 1 hold" in found.sentences[0]
    assert found.sentences[0].endswith("Not so: 2 in there.")
    assert found.tables[0].rows[1] == ("2", "there", "y", "2", "1", "no")
