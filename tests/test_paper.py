"""The skeleton of `xbar paper`: folders, going on, results.h5 as the only source of the report."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from paper_cases import TINY, tiny_data
from study_cases import finish as finished
from study_cases import quiet_console, xbar

from xbar.io.store import checksum, read_results
from xbar.paper.experiment import Experiment, Findings
from xbar.paper.experiments import severity
from xbar.paper.report import write_paper
from xbar.paper.run import run
from xbar.paper.settings import FULL, QUICK
from xbar.run.errors import UsageError

ONE = pd.DataFrame({"seed": [0, 1], "reason": ["", ""], "version": ["", ""]})


class Counted:
    """An experiment that counts how often it is computed, and may fail once."""

    def __init__(self, name="simulator", fails=False):
        self.name, self.calls, self.owned, self.fails = name, 0, 0, fails

    def experiment(self):
        def compute(work):
            self.calls += 1
            kept = work.kept(f"{self.name}-own", self.own)
            if self.fails:
                self.fails = False
                raise KeyboardInterrupt
            return {"program": ONE.assign(volts=kept["volts"])}

        return Experiment(self.name, compute, lambda tables: Findings({}))

    def own(self):
        self.owned += 1
        return {"volts": np.array([0.25, 0.5])}


def test_a_stopped_run_goes_on_and_computes_nothing_twice(tmp_path):
    out, first, second = tmp_path / "out", Counted("first"), Counted(fails=True)
    experiments = [first.experiment(), second.experiment()]
    with pytest.raises(KeyboardInterrupt):
        run(TINY, out, quiet_console(), experiments=experiments)
    assert not (out / "summary.json").exists()
    summary = run(TINY, out, quiet_console(), experiments=experiments)
    assert (first.calls, second.calls, second.owned) == (1, 2, 1)
    console = quiet_console()
    assert run(TINY, out, console, experiments=experiments) == summary
    assert (first.calls, second.calls) == (1, 2)
    assert "No reference" in console.export_text()
    assert not (out / "shards").exists()
    assert (out / "tables" / "first_program.csv").read_text().splitlines()[1] == "0,,,0.25"


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
    assert [f.name for f in (out / "tables").iterdir()] == ["two_program.csv"]
    assert (out / "studies" / "old").exists()  # which no run has made


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A tiny run of the experiment on the sweep over severities."""
    out = tmp_path_factory.mktemp("paper") / "out"
    experiments = [severity.EXPERIMENT]
    return out, run(TINY, out, quiet_console(), dataset=tiny_data(), experiments=experiments)


def test_the_folder_holds_tables_figures_report_and_summary(tiny):
    out, summary = tiny
    assert summary == json.loads((out / "summary.json").read_text())
    assert set(summary["claims"]) <= {"recovery_study", "recovery_predecessor", "layers"}
    report = (out / "report.html").read_text()
    assert report.count("data:image/png;base64,") == len(summary["figures"]) + 2
    assert all((out / name).is_file() for name in summary["figures"])
    assert [f.name for f in (out / "tables").iterdir()] == ["severity_circuits.csv"]


def test_tables_are_what_the_sweep_found(tiny):
    """Rows and shares against the stored sweep and plain NumPy."""
    out = tiny[0]
    table = read_results(out / "results.h5")[0]["severity"]["circuits"]
    sweep = read_results(out / "studies" / "severities" / "results.h5")[0]
    assert len(table["seed"]) == len(TINY.shapes) * 2 * TINY.seeds
    assert np.array_equal(table["defective"], sweep["accuracy"]["defective"])
    healthy = sweep["accuracy"]["healthy"][sweep["circuits"]["healthy"]]
    assert np.array_equal(table["healthy"], healthy)
    pairs = np.array([5 * 4, 5 * 3])[table["layer"]]
    assert np.allclose(table["hit_share"] * pairs, sweep["circuits"]["pairs_hit"], rtol=1e-12)
    found = severity.last_over_others(pd.DataFrame(table), "shape")
    loss = table["healthy"] - table["defective"]
    for (layer, shape), mean in found["mean"].items():
        rows = table["shape"] == shape
        expected = loss[rows & (table["layer"] == 1)] - loss[rows & (table["layer"] == layer)]
        assert np.isclose(mean, 100 * expected.mean(), atol=1e-9)


def test_every_number_of_the_report_comes_from_results_h5(tiny, tmp_path):
    """Written anew from a changed file, the report has the changed numbers."""
    (tmp_path / "results.h5").write_bytes((tiny[0] / "results.h5").read_bytes())
    again = write_paper(tmp_path)
    assert (tmp_path / "report.html").read_text() == (tiny[0] / "report.html").read_text()
    with h5py.File(tmp_path / "results.h5", "r+") as file:
        for name, value in (("corrected", 0.123), ("defective", 0.55)):
            dataset = file[f"severity/circuits/{name}"]
            dataset[...] = value
            dataset.attrs["sha256"] = checksum(dataset[...]).hexdigest()  # or it is refused
    changed = write_paper(tmp_path)
    assert "12.3 ± 0.0 %" in changed["claims"]["recovery_study"]["ours"]
    assert changed["claims"] != again["claims"]
    assert "12.3 ± 0.0 %" in (tmp_path / "report.html").read_text()


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
    assert (FULL.seeds, QUICK.seeds) == (20, 8)
    for name in ("coverages", "wires", "label_counts", "side_images", "radii", "option_defects"):
        assert set(getattr(QUICK, name)) <= set(getattr(FULL, name))
    for asked in (FULL, QUICK):  # masks for the checks of the physics
        assert asked.seeds * asked.stuck_placements >= 20
        assert max(asked.pool_sizes) <= asked.pool_places * len(asked.shapes)
        assert asked.side_pool <= asked.pool_places * len(asked.shapes)
    assert FULL.fitting("checkerboard") == (0.5,)
    assert FULL.fitting("circle-complement") == (0.25, 0.35, 0.5, 0.7, 0.874)
    assert FULL.coverage_of("circle-complement", 0.35) == 1 - FULL.coverage_of("circle", 0.35)


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
    assert all(claim["verdict"] in text for claim in tiny[1]["claims"].values())
    assert {f.suffix for f in kept.iterdir()} == {".csv", ".png", ".json"}
    readme.write_text("no marks")
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "got no lines" in refused.stderr
    assert readme.read_text() == "no marks"
