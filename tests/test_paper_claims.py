"""Verdicts follow from intervals by the stated rule; the report from tables alone."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbar.paper.claims import Claim, judge, names
from xbar.paper.experiment import TEXTS, filled, sentences
from xbar.paper.experiments import EXPERIMENTS, devices, severity, sizes, stuck, transfer
from xbar.paper.report import judge_again, verdicts
from xbar.paper.tables import (
    cells,
    interval,
    labelled,
    long,
    per_seed,
    percent,
    points,
    read_csv,
    summary,
)
from xbar.run.study.tables import ROUGH
from xbar.statistics import Interval, t_interval

KEPT = Path(__file__).parents[1] / "benchmarks" / "paper"
numbers = st.floats(-50, 50)


def conditions(*found, name="layer"):
    """Intervals of eight seeds by number of a layer."""
    return labelled({k: Interval(mean, half, 8) for k, (mean, half) in enumerate(found)}, name)


@given(numbers, st.floats(0, 50), numbers, st.floats(0, 50))
def test_a_condition_supports_a_claim_if_its_whole_interval_does(mean, half, low, width):
    claim = Claim("c", "c", "", "", low, low + width)
    found = judge(claim, conditions((mean, half)))
    inside = low <= mean - half and mean + half <= low + width
    outside = mean + half < low or mean - half > low + width
    assert found.conditions["supports"].item() == ("yes" if inside else "no" if outside else "open")
    assert (found.kind == "holds") == inside


def test_an_unknown_interval_supports_nothing_and_speaks_against_nothing():
    found = judge(Claim("c", "c", "", "", low=0), conditions((0.5, float("nan"))))
    assert found.conditions["supports"].item() == "open"
    with pytest.raises(ValueError, match="c: got no condition"):
        judge(Claim("c", "c", "", ""), conditions()[:0])


@pytest.mark.parametrize(
    ("found", "kind", "verdict"),
    [
        ([(5, 1), (6, 1), (7, 1)], "holds", "holds for layers 0 to 2"),
        ([(-5, 1), (-6, 1)], "does not hold", "does not hold: not for layers 0 and 1"),
        (
            [(5, 1), (-5, 1), (0, 1)],
            "in part",
            "holds for layer 0; not for layer 1; open for layer 2",
        ),
        ([(5, 1)], "holds", "holds"),
        ([(0, 1)], "does not hold", "open"),
    ],
)
def test_a_verdict_names_its_conditions(found, kind, verdict):
    got = judge(Claim("c", "c", "", "", low=0), conditions(*found))
    assert (got.kind, got.verdict) == (kind, verdict)


def test_conditions_that_go_together_are_one_phrase():
    index = pd.MultiIndex.from_tuples(product((0, 1, 2, 3), (2, 6)), names=["layer", "pool"])
    assert names(index, index) == "layers 0 to 3"
    assert names(index[:5], index) == "layers 0 and 1, layer 2 (2 circuits)"
    many = pd.MultiIndex.from_product([[f"a long name {k}" for k in range(40)]], names=["x"])
    assert names(many, many) == "40 of 40 conditions"


def test_intervals_are_over_the_means_of_seeds_and_comparisons_are_paired():
    table = pd.DataFrame({"seed": [0, 0, 0, 1, 1], "place": list("abcab")})
    table["share"] = [0.1, 0.2, 0.6, 0.5, 0.7]
    expected = t_interval([30, 60])
    assert np.allclose(interval(per_seed(table, "share"))[:2], expected[:2], rtol=1e-12)
    by = per_seed(table, "share", "place").unstack("place")
    assert np.allclose(interval(by["b"] - by["a"])[:2], t_interval([10, 20])[:2])
    assert summary(per_seed(table, "share", "place"))["seeds"].tolist() == [2, 2, 1]
    assert percent(Interval(50, 1, 3)) == "50.0 ± 1.0 %"
    assert points(per_seed(table, "share", minus="share")) == "+0.0 ± 0.0 points"
    assert (
        cells(labelled({("x", 1): Interval(1, float("nan"), 1)}, "a", "b"), "b").iloc[0, 0]
        == "+1.0"
    )


def test_arrays_with_named_axes_become_rows():
    table = long({"v": np.arange(6).reshape(2, 3)}, seed=range(2), shape=list("abc"))
    assert table[table["seed"].eq(1) & table["shape"].eq("b")]["v"].tolist() == [4]


def test_a_sentence_whose_fact_is_missing_is_left_out():
    assert filled("{a} and {b}", {"a": "1", "b": "2"}) == "1 and 2"
    assert sentences(["{a}", "{c}"], {"a": "1"}) == ["1"]


# --- the committed run ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept():
    return read_csv(KEPT, [e.name for e in EXPERIMENTS])


def test_no_claim_has_the_name_of_another():
    """The summary has them by name."""
    names = [name for texts in TEXTS.values() for name in texts.get("claims", ())]
    assert len(names) == len(set(names)) > 20


def test_the_committed_claims_follow_from_the_committed_tables(kept):
    """Every figure and verdict of summary.json, from the tables with six digits."""
    old = json.loads((KEPT / "summary.json").read_text())["claims"]
    found = [
        j for e in EXPERIMENTS if e.name in kept for j in verdicts(e.name, e.find(kept[e.name]))
    ]
    assert [judged.claim.name for judged in found] == list(old)
    for judged in found:
        known, claim = old[judged.claim.name], judged.as_dict()
        assert claim["verdict"] == known["verdict"]
        assert claim["values"].keys() == known["values"].keys()
        for condition, value in claim["values"].items():
            was = known["values"][condition]
            assert value["supports"] == was["supports"]
            pair = value["mean"], value["ci95"]
            assert pair == pytest.approx((was["mean"], was["ci95"]), abs=1e-3)


def test_circuits_whose_currents_are_not_known_do_not_count(kept):
    """Whatever corrected transfer matrices made of their accuracy."""
    table = kept["devices"]["circuits"]
    unknown = table["current_error"] > ROUGH
    assert 0 < unknown.sum() < 20
    changed = table.assign(defective=table["defective"].where(~unknown, 1.0))
    found, other = (devices.find({"circuits": t}) for t in (table, changed))
    assert found.facts == other.facts
    assert found.facts["left_out"] == str(unknown.sum())
    for name, claim in found.claims.items():
        pd.testing.assert_frame_equal(claim, other.claims[name])


@pytest.mark.slow
def test_the_page_is_written_anew_from_tables_alone(tmp_path):
    summary = judge_again(KEPT, tmp_path)
    report = (tmp_path / "report.html").read_text()
    assert all(claim["ours"] in report for claim in summary["claims"].values())
    assert report.count("data:image/png;base64,") == len(summary["figures"]) + 2
    assert all((tmp_path / name).stat().st_size > 5_000 for name in summary["figures"])


# --- what other tables would say --------------------------------------------------------------


def kinds(name, tables):
    module = {"sizes": sizes, "transfer": transfer, "stuck": stuck, "severity": severity}[name]
    return {j.claim.name: j.kind for j in verdicts(name, module.find(tables))}


def size_tables(**changes):
    """Circuits of eight seeds that start at 85 %, every corrector changing them by some points."""
    rng, n = np.random.default_rng(0), 16
    known = sizes.recipes(10, 10)
    table = pd.DataFrame({"seed": np.arange(n) % 8, "layer": np.repeat([2, 3], 8)})
    table = table.assign(shape="circle", coverage=0.126, healthy=0.97)
    table["defective"] = 0.85 + 0.01 * rng.normal(size=n)
    for name in (*known, "nearest neighbours"):
        points = changes.get(name, 10)
        table[name] = table["defective"] + points / 100 + 0.002 * rng.normal(size=n)
    rows = [(k, r.parameters(10), k in ("bias only", "linear"), r.brief) for k, r in known.items()]
    columns = ["corrector", "parameters", "linear", "brief"]
    return {"circuits": table, "correctors": pd.DataFrame(rows, columns=columns)}


@pytest.mark.parametrize(
    ("change", "claim", "kind"),
    [
        ({"10-1-10": -30}, "parameters_31", "holds"),
        ({"10-1-10": -19.9}, "parameters_31", "does not hold"),
        ({}, "parameters_178", "holds"),
        ({"10-8-10, brief": -8}, "parameters_178", "in part"),
        ({"10-8-10": -1, "10-8-10, brief": -1}, "parameters_178", "does not hold"),
        ({"10-143-10": 11}, "parameters_3013", "holds"),
        ({"10-143-10": 15}, "parameters_3013", "in part"),
        ({"10-1-10": -30}, "capacity_floor", "in part"),
        (
            dict.fromkeys(
                ("bias only", "diagonal", "rank 1", "10-1-10 with a skip", "10-1-10"), -5
            ),
            "capacity_floor",
            "holds",
        ),
    ],
)
def test_verdicts_about_size(change, claim, kind):
    assert kinds("sizes", size_tables(**change))[claim] == kind


def test_sizes_count_their_parameters():
    known = {name: recipe.parameters(10) for name, recipe in sizes.recipes(10, 10).items()}
    assert (known["bias only"], known["diagonal"], known["linear"]) == (10, 20, 110)
    assert (known["10-1-10"], known["10-1-10 with a skip"]) == (31, 32)
    assert (known["10-8-10"], known["10-6-6-10"], known["10-14-10"]) == (178, 178, 304)
    assert known["10-143-10"] == 3013


def transfer_tables(gains):
    """Six seeds, one layer, pools of six; the gain in points by training set and tested shape."""
    shapes = ("circle", "ring", "row", "checkerboard", "circle-complement", "column")
    rows = [
        (0, 0.35, 6, trained, 36 if trained == "all" else 6, tested, seed,
         0.5 + gains(trained, tested) / 100 + 1e-4 * seed, 0.5)
        for trained in (*shapes, "all", "all, equal number")
        for tested in shapes
        for seed in range(6)
    ]  # fmt: skip
    names = ["layer", "coverage", "pool", "trained", "circuits", "tested", "seed", "corrected"]
    return {"accuracy": pd.DataFrame(rows, columns=[*names, "defective"])}


@pytest.mark.parametrize(
    ("gains", "kind"),
    [
        (
            lambda a, b: 30 if "all" in a else -20 if "checker" in b or "compl" in a + b else 20,
            "holds",
        ),
        (
            lambda a, b: -5 if (a, b) == ("ring", "circle") else 5 if "all" in a else 10,
            "does not hold",
        ),
    ],
    ids=["as published", "otherwise"],
)
def test_verdicts_about_transfer(gains, kind):
    found = kinds("transfer", transfer_tables(gains))
    assert set(found) == set(TEXTS["transfer"]["claims"])
    assert set(found.values()) == {kind}


@pytest.mark.parametrize(
    ("columns", "off", "alike", "worse"),
    [(40, 21, "holds", "holds"), (21, 40, "does not hold", "does not hold")],
)
def test_verdicts_about_stuck_values(columns, off, alike, worse):
    lost = {"unequal-columns random": columns, "pair off": off}
    rows = [
        (layer, seed, "unipolar", *word.split(" "), 0.9 - lost.get(word, 20) / 100)
        for layer, seed, word in product((0, 1), range(5), stuck.WORDS)
    ]
    names = ["layer", "seed", "mapping", "fault", "stuck", "defective"]
    table = pd.DataFrame(rows, columns=names).assign(healthy=0.9, corrected=0.8)
    checks = [(1, "here", "x", 1.0, 2.0, True, True), (2, "there", "y", 2.0, 1.0, True, False)]
    names = ["check", "condition", "quantity", "left", "right", "required", "holds"]
    tables = {"circuits": table, "checks": pd.DataFrame(checks, columns=names)}
    assert kinds("stuck", tables) == {"on_off": alike, "columns": worse}
    found = stuck.find(tables)
    text = sentences(TEXTS["stuck"]["sentences"], found.facts)[0]
    assert text.startswith("1 of 2 checks of the physics hold (not: 2 in there).")
    assert found.tables["checks"]["holds"].tolist() == ["yes", "no"]
