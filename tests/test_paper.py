"""The skeleton of `xbar paper`: folders, going on, results.h5 as the only source of the report."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from paper_cases import TINY, tiny_data
from study_cases import finish as finished
from study_cases import quiet_console, xbar

from xbar.io.store import read_results
from xbar.paper import recovery, sensitivity
from xbar.paper.experiment import Claim, Experiment, Findings, column
from xbar.paper.report import write_paper
from xbar.paper.run import run
from xbar.paper.settings import FULL, QUICK
from xbar.paper.tables import over_seeds
from xbar.run.errors import UsageError


class Counted:
    """An experiment that counts how often it is computed, and may fail once."""

    def __init__(self, name, fails=False):
        self.name, self.calls, self.fails = name, 0, fails

    def experiment(self):
        def compute(lab):
            self.calls += 1
            kept = lab.kept(f"{self.name}-own", self.own)
            if self.fails:
                self.fails = False
                raise KeyboardInterrupt
            return {"numbers": {"seed": column([0, 1]), "volts": column(kept["volts"], "V", "v")}}

        def find(read):
            mean = over_seeds(read["numbers"], read["numbers"]["volts"])
            words = f"{self.name} {mean.mean:.4f}"
            claim = Claim(self.name, "a claim", "one", words, "holds", "a rule", {"v": (1.0, 2.0)})
            return Findings([f"found {words}"], [claim])

        return Experiment(self.name, self.name, "why?", "so", compute, lambda read: [], find)

    def own(self):
        self.owned = getattr(self, "owned", 0) + 1
        return {"volts": np.array([0.25, 0.5])}


def test_a_stopped_run_goes_on_and_computes_nothing_twice(tmp_path):
    first, second = Counted("first"), Counted("second", fails=True)
    experiments = [first.experiment(), second.experiment()]
    with pytest.raises(KeyboardInterrupt):
        run(TINY, tmp_path / "out", quiet_console(), experiments=experiments)
    assert not (tmp_path / "out" / "summary.json").exists()
    summary = run(TINY, tmp_path / "out", quiet_console(), experiments=experiments)
    assert (first.calls, second.calls, second.owned) == (1, 2, 1)
    assert summary["claims"]["first"]["verdict"] == "holds"
    assert summary["claims"]["first"]["values"]["v"] == {"mean": 1.0, "ci95": 2.0}
    console = quiet_console()
    assert run(TINY, tmp_path / "out", console, experiments=experiments) == summary
    assert (first.calls, second.calls) == (1, 2)
    assert "a claim" in console.export_text()
    assert not (tmp_path / "out" / "shards").exists()


def test_another_configuration_and_a_foreign_folder_are_refused(tmp_path):
    out, one = tmp_path / "out", Counted("one")
    run(TINY, out, quiet_console(), experiments=[one.experiment()])
    before = {f.name: f.read_bytes() for f in out.iterdir() if f.is_file()}
    with pytest.raises(UsageError, match="other settings"):
        run(FULL, out, quiet_console(), experiments=[one.experiment()])
    with pytest.raises(UsageError, match="other settings"):
        run(TINY, out, quiet_console(), experiments=[Counted("two").experiment()])
    with pytest.raises(UsageError, match="other settings"):  # other images are other numbers
        run(TINY, out, quiet_console(), experiments=[one.experiment()], dataset=tiny_data())
    assert {f.name: f.read_bytes() for f in out.iterdir() if f.is_file()} == before
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="no xbar run made"):
        run(TINY, foreign, quiet_console(), experiments=[one.experiment()])
    assert [f.name for f in foreign.iterdir()] == ["mine.txt"]


def test_overwrite_starts_anew_and_leaves_no_old_table(tmp_path):
    out, one, two = tmp_path / "out", Counted("one"), Counted("two")
    run(TINY, out, quiet_console(), experiments=[one.experiment()])
    (out / "studies").mkdir()
    (out / "studies" / "old").touch()
    run(TINY, out, quiet_console(), experiments=[two.experiment()], overwrite=True)
    assert [f.name for f in (out / "tables").iterdir()] == ["two_numbers.csv"]
    assert (out / "studies" / "old").exists()  # which no run has made


def test_columns_of_unequal_length_are_an_error(tmp_path):
    bad = Experiment(
        "bad",
        "bad",
        "?",
        "",
        lambda lab: {"t": {"a": column([1]), "b": column([1, 2])}},
        lambda read: [],
        lambda read: Findings([]),
    )
    with pytest.raises(ValueError, match="bad/t: got columns of"):
        run(TINY, tmp_path / "out", quiet_console(), experiments=[bad])
    with pytest.raises(ValueError, match=r"column: got shape \(\)"):
        column(1.0)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A tiny run of the two experiments on the sweep over severities."""
    out = tmp_path_factory.mktemp("paper") / "out"
    experiments = [recovery.EXPERIMENT, sensitivity.EXPERIMENT]
    summary = run(TINY, out, quiet_console(), dataset=tiny_data(), experiments=experiments)
    return out, summary, experiments


def test_the_folder_holds_tables_figures_report_and_summary(tiny):
    out, summary, _ = tiny
    assert summary == json.loads((out / "summary.json").read_text())
    assert set(summary["claims"]) == {"recovery_study", "recovery_predecessor", "layers"}
    report = (out / "report.html").read_text()
    assert report.count("data:image/png;base64,") == len(summary["figures"]) == 4
    assert all((out / name).is_file() for name in summary["figures"])
    tables = {f.name for f in (out / "tables").iterdir()}
    assert tables == {
        "recovery_circuits.csv",
        "recovery_settings.csv",
        "sensitivity_circuits.csv",
    }


def test_tables_are_what_the_sweep_found(tiny):
    """Rows, means and shares against the stored sweep and plain NumPy."""
    out = tiny[0]
    results = read_results(out / "results.h5")[0]
    sweep = read_results(out / "studies" / "severities" / "results.h5")[0]
    table = results["sensitivity"]["circuits"]
    assert len(table["seed"]) == len(TINY.shapes) * 2 * TINY.seeds
    assert np.array_equal(table["defective"], sweep["accuracy"]["defective"])
    healthy = sweep["accuracy"]["healthy"][sweep["circuits"]["healthy"]]
    assert np.array_equal(table["healthy"], healthy)
    pairs = np.array([5 * 4, 5 * 3])[table["layer"]]
    assert np.allclose(table["hit_share"] * pairs, sweep["circuits"]["pairs_hit"], rtol=1e-12)
    settings = results["recovery"]["settings"]
    for row in range(len(settings["layer"])):
        chosen = np.ones(len(table["seed"]), bool)
        for name in ("layer", "shape", "coverage"):
            chosen &= table[name] == settings[name][row]
        values = table["corrected"][chosen]
        assert np.isclose(settings["corrected"][row], values.mean(), rtol=1e-12)
    loss = table["healthy"] - table["defective"]
    found = sensitivity.contrasts(table)
    for (shape, _, layer), interval in found.items():
        rows = table["shape"] == shape
        expected = loss[rows & (table["layer"] == 1)] - loss[rows & (table["layer"] == layer)]
        assert np.isclose(interval.mean, expected.mean(), atol=1e-12)


def test_every_number_of_the_report_comes_from_results_h5(tiny, tmp_path):
    """Written anew from a changed file, the report has the changed numbers."""
    out, _, experiments = tiny
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "results.h5").write_bytes((out / "results.h5").read_bytes())
    again = write_paper(copy, experiments)
    assert (copy / "report.html").read_text() == (out / "report.html").read_text()
    with h5py.File(copy / "results.h5", "r+") as file:
        for name in ("recovery/settings/corrected", "recovery/settings/defective"):
            file[name][...] = 0.123
    changed = write_paper(copy, experiments)
    assert "12.3 " in changed["claims"]["recovery_study"]["ours"]
    assert changed["claims"]["layers"] == again["claims"]["layers"]
    assert "12.3 " in (copy / "report.html").read_text()


def test_the_command_line_says_what_is_wrong_in_one_line(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for arguments, words in (
        (("paper",), "--out"),
        (("paper", "--out", tmp_path), "no xbar run made"),
    ):
        status, _, error = finished(xbar(*arguments))
        assert status == 2
        assert words in error
        assert len(error.splitlines()) == 1
    assert [f.name for f in tmp_path.iterdir()] == ["mine.txt"]


def test_quick_is_the_same_study_with_fewer_settings():
    assert FULL.seeds == 20
    assert QUICK.seeds == 8
    assert set(QUICK.coverages) <= set(FULL.coverages)
    assert set(QUICK.wires) <= set(FULL.wires)
    assert QUICK.seeds * QUICK.stuck_placements >= 20  # masks for the checks of the physics
    assert FULL.seeds * FULL.stuck_placements >= 20
    assert FULL.fitting("checkerboard") == (0.5,)
    assert FULL.fitting("circle-complement") == (0.25, 0.35, 0.5, 0.7, 0.874)
    assert FULL.transfer_coverage("circle-complement") == 1 - FULL.transfer_coverage("circle")


def test_the_claims_go_into_a_readme_and_tables_are_kept(tiny, tmp_path):
    readme, kept = tmp_path / "README.md", tmp_path / "kept"
    readme.write_text(
        "above\n<!-- paper table -->\n| outdated |\n<!-- end of paper table -->\nbelow\n"
    )
    script = Path(__file__).parents[1] / "benchmarks" / "paper_table.py"
    command = [sys.executable, str(script), str(tiny[0]), str(readme), "--keep", str(kept)]
    subprocess.run(command, check=True, capture_output=True)
    text = readme.read_text()
    assert text.startswith("above\n<!-- paper table -->\n| claim |")
    assert text.endswith("<!-- end of paper table -->\nbelow\n")
    assert "outdated" not in text
    assert all(claim["ours"] in text for claim in tiny[1]["claims"].values())
    assert (tmp_path / "benchmarks" / "figures" / "paper_recovery.png").is_file()
    assert {f.suffix for f in kept.iterdir()} == {".csv", ".png", ".json"}
    readme.write_text("no marks")
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "got no lines" in refused.stderr
    assert readme.read_text() == "no marks"
