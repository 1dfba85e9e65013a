"""What the demo's settings mean: faults, descriptions, references."""

import tomllib

import numpy as np
import pytest

from xbar.devices import StuckMinus, StuckPair, StuckPlus, StuckUnequal
from xbar.run.demo import _defect, demo_study
from xbar.run.reports.demo_figures import REFERENCES, _against, beside_the_corrector
from xbar.run.settings.faults import make_fault, stuck_value
from xbar.run.settings.files import checked, settings_from, write_study
from xbar.run.settings.study import Study
from xbar.run.study.plan import Plan
from xbar.run.study.readers import corrector_parameters
from xbar.run.study.software import compute_software, load


def planned(*changes):
    """The demo's plan with some settings changed."""
    return Plan(demo_study(changes), (64, 50, 20, 8, 10))


@pytest.mark.parametrize(
    ("settings", "kind", "value", "words"),
    [
        ({}, StuckPair, "on", "both cells of a pair stuck-on"),
        ({"fault": "plus", "stuck": "off"}, StuckPlus, "off", "the plus cell of a pair stuck-off"),
        ({"fault": "minus", "stuck": "random"}, StuckMinus, "random", "drawn randomly"),
        ({"stuck": "2e3"}, StuckPair, "value", "stuck at 2000 ohm"),
        ({"fault": "unequal"}, StuckUnequal, "random", "unequally stuck at values drawn randomly"),
        ({"fault": "unequal-columns", "stuck": "uniform"}, StuckUnequal, "uniform", "alike down"),
    ],
)
def test_settings_name_their_fault(settings, kind, value, words):
    plan = planned(*(f"defects.{name}={value}" for name, value in settings.items()))
    row = {name: column[0].item() for name, column in plan.table.items()}
    fault = make_fault(row["fault"], stuck_value(row["fault"], row["stuck"]))
    assert type(fault) is kind
    assert fault.value.mode == value
    assert words in _defect(plan)
    if value == "value":
        assert float(fault.value.g) == 1 / 2e3
    if kind is StuckUnequal:
        assert fault.per == ("column" if "columns" in settings["fault"] else "cell")


def test_stuck_cells_may_lie_outside_the_devices_window():
    plan = planned("circuit.window=chip", "defects.stuck_window=chip-stuck")
    assert "(window chip-stuck)" in _defect(plan)


def test_the_table_pairs_by_seed_and_counts_parameters():
    corrected = np.array([0.9, 0.7])
    found = {name: corrected - [0.2, 0.1] for name in REFERENCES}
    settings = demo_study().correctors
    counts = {c.label: corrector_parameters(c, 10) for c in settings}
    counts |= {"nearest neighbours": None, "retrained network": 4528}
    table = beside_the_corrector(found | {"corrected": corrected}, counts)
    assert {name: row["parameters"] for name, row in table.items()} == {
        "corrector": 304,
        "bias only": 10,
        "linear": 110,
        "large": 3013,
        "nearest neighbours": None,
        "trained on healthy": 304,
        "retrained network": 4528,
    }
    row = table["linear"]
    np.testing.assert_allclose((row["accuracy"], row["difference"]), (0.65, -0.15))
    # Two seeds: t = 12.706, standard error of the difference 0.05; unpaired it would be larger.
    np.testing.assert_allclose(row["difference_ci95"], 12.706 * 0.05, rtol=1e-4)
    assert table["corrector"]["difference"] == table["corrector"]["difference_ci95"] == 0


@pytest.mark.parametrize(
    ("difference", "half", "words"),
    [
        (-0.02, 0.01, "is 2.0 ± 1.0 points below the corrector"),
        (0.03, 0.01, "is 3.0 ± 1.0 points above the corrector"),
        (0.01, 0.02, "cannot be told apart from the corrector (+1.0 ± 2.0 points)"),
    ],
)
def test_a_difference_is_claimed_only_outside_its_interval(difference, half, words):
    assert _against({"difference": difference, "difference_ci95": half}) == words


def test_retraining_starts_from_the_networks():
    study = demo_study(["seeds=2", "network.hidden=[4]"])
    given = load(study, None, None, None)
    plan = Plan(study, given.sizes(study))
    found = compute_software(plan, given, plan.chunks[0])
    w, again = (np.ravel(found[name].weights[1]) for name in ("software", "retrained"))
    assert 0.5 < np.corrcoef(w, again)[0, 1] < 1  # further, not anew


def test_the_demo_is_a_study_that_can_be_written_down():
    study = demo_study(["circuit.gain=1000", "circuit.rail=0.5", "defects.stuck=5e3", "seeds=2"])
    assert settings_from(Study, tomllib.loads(write_study(study))) == checked(study)
