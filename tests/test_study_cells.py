"""Studies of cells that are not resistors: their laws swept, stored, read back."""

import json
import tomllib
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from study_cases import quiet_console, write_tiny

from xbar import cells
from xbar.devices import Everywhere, random_mask
from xbar.io.maps import load_map
from xbar.io.runs import load_run
from xbar.io.store import StoreError, read_results
from xbar.run import (
    CellSettings,
    CircuitSettings,
    Study,
    StudyError,
    labelled,
    read_study,
    run_study,
    write_study,
)
from xbar.run.settings.faults import make_fault
from xbar.run.settings.files import checked, settings_from
from xbar.run.study import nonlinear
from xbar.run.study.plan import Plan, row_keys
from xbar.run.study.tables import headline

TEXT = """
name = "bent"
seeds = 1
data.file = "data.npz"
network.hidden = []
circuit.wire_ohm = 20.0
circuit.device = "programming=0.05"
defects = {shape = "row", coverage = 0.4, fault = ["pair", "plus"]}
store = {voltages = "labelled", arrays = true}
cells.v_0 = [inf, 0.1]
"""
WIDE = """
name = "laws"
seeds = 1
references = ["retrained"]
data.file = "data.npz"
network.hidden = [4]
circuit.wire_ohm = 20.0
defects = {shape = "row", coverage = 0.4, layer = 1, fault = ["pair", "minus"]}
store = {voltages = "labelled", arrays = true}
run.chunk = 3

[cells]
law = ["sinh", "ohmic"]
v_0 = [0.2, inf]
"""


def run(file, out, **changes):
    study = replace(read_study(file), **changes)
    return run_study(study, out, quiet_console(), beside=file.parent)


@pytest.fixture(scope="module")
def bent(tmp_path_factory):
    """A study of 36 images, which are read 16 at a time."""
    folder = tmp_path_factory.mktemp("bent")
    file = write_tiny(folder, TEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nonlinear, "AT_ONCE", 16)
        run(file, folder / "out")
    return file, folder / "out"


def assert_as_the_package_has_it(file, out, circuits, sizes=(4, 3), atol=1e-9):
    """Stored voltages of some circuits, by the public functions from the stored networks."""
    found = load_run(out)
    plan, images = Plan(read_study(file), sizes), jnp.asarray(found.images)
    seen = found.read("voltages/images")
    for circuit in map(int, circuits):
        row = {name: column[circuit : circuit + 1] for name, column in found.table.items()}
        layer, x = int(row["layer"][0]), images[seen[row["seed"][0]]]
        healthy = found.network("healthy", circuit)
        stored = found.read("voltages/defective")[circuit]
        at = atol * np.abs(stored).max()
        read_back = found.network("defective", circuit)
        np.testing.assert_allclose(stored, read_back(x), rtol=0, atol=at)
        if "open" in row["fault"][0]:
            continue
        key = row_keys(plan, "defect", row)[0]
        mask = random_mask(str(row["shape"][0]), key, row["coverage"][0])
        hit = mask.mask(healthy.layers[layer].pairs.shape)
        fault = make_fault(str(row["fault"][0]), str(row["stuck"][0]))
        broken = healthy.with_fault(layer, hit, fault)
        np.testing.assert_allclose(stored, broken(x), rtol=0, atol=at)


def test_the_law_s_parameters_are_axes(bent):
    _, out = bent
    summary = json.loads((out / "summary.json").read_text())
    assert summary["status"] == {"solved": 4}
    assert summary["axes"] == {"v_0": [0.1, "inf"], "fault": ["pair", "plus"]}
    found = load_run(out)
    assert labelled(found, "defective").sel(v_0=np.inf).shape == (2, 1, 1)
    assert found.table["law"].tolist() == ["sinh"] * 4
    assert found.table["device"].tolist() == ["programming=0.05"] * 4  # a chip, whatever its law
    assert read_results(out / "results.h5", ("circuits",))[0]["circuits"]["v_0"].tolist() == [
        *(np.inf, np.inf, 0.1, 0.1)
    ]
    assert "current_error" not in found.table


def test_circuits_that_corrected_matrices_miss_are_counted_and_said(bent):
    """Beyond 5 %, or without a number; those that failed have their own words."""
    arrays, circuits = read_results(bent[1] / "results.h5")[0], {}
    for errors, rough in (([0.01, 0.04, 0.05, 0.0], 0), ([0.06, np.inf, np.nan, 7.0], 3)):
        status = np.array([0, 0, 0, int(rough > 0)])
        circuits = arrays["circuits"] | {"current_error": np.array(errors), "status": status}
        found = headline(arrays | {"circuits": circuits})
        assert found["rough"] == rough
    assert found["current_error"] == 0.06


def test_every_number_is_what_the_package_gives_for_that_circuit(bent):
    """One with its plus cells stuck: resistors among cells that bend."""
    file, out = bent
    assert_as_the_package_has_it(file, out, load_run(out).rows(v_0=0.1, fault="plus"))


@pytest.mark.slow
@pytest.mark.parametrize("read", ["exact", "corrected"])
def test_laws_stand_on_tiles_too(tmp_path, read):
    file = write_tiny(tmp_path, TEXT)
    circuit = replace(read_study(file).circuit, tile=(3, 4))
    laws = replace(read_study(file).cells, read=read)
    run(file, tmp_path / "out", circuit=circuit, cells=laws)
    found = load_run(tmp_path / "out")
    assert "tiles of 3 x 4" in str(found.network("defective", 0))
    if read == "exact":
        assert_as_the_package_has_it(file, tmp_path / "out", found.rows(v_0=0.1))
    else:
        assert float(np.nanmax(found.table["current_error"])) < 0.1


def test_cells_without_bend_are_computed_as_resistors(bent):
    file, out = bent
    found = load_run(out)
    plan = Plan(read_study(file), (4, 3))
    assert [chunk.law for chunk in plan.of_kind("circuits")] == ["ohmic", "sinh"]
    ohmic, other = (int(found.rows(v_0=v_0)[0]) for v_0 in (np.inf, 0.1))
    assert found.network("healthy", ohmic).layers[0].cells is None
    assert found.network("defective", ohmic).layers[0].cells is None
    law = found.network("healthy", other).layers[0].array().cells
    assert isinstance(law, cells.Sinh)
    assert float(law.v_0) == 0.1
    volts = found.voltages([ohmic, other])[0]
    assert np.abs(volts[0] - volts[1]).max() > 1e-3 * np.abs(volts).max()


def test_laws_that_a_file_names_have_to_be_known(bent, monkeypatch):
    found = load_run(bent[1])
    monkeypatch.setitem(found.table, "law", np.full(4, "tunnel"))
    with pytest.raises(StoreError, match="circuits/law: 'tunnel'"):
        found.network("healthy", 0)


def test_a_study_s_laws_in_its_table():
    cells_ = CellSettings(("sinh", "ohmic", "selector"), (0.5, np.inf), 1e-6, (0.05, 0.1))
    study = Study(seeds=2, circuit=CircuitSettings(mapping=("unipolar", "balanced")), cells=cells_)
    plan = Plan(checked(study), (8, 7, 6))
    assert plan.circuits == study.circuits == 2 * 2 * (2 + 1 + 2)
    assert list(plan.table)[4:9] == ["mapping", "law", "v_0", "i_s", "v_s"]
    assert set(plan.table["v_s"][plan.table["law"] != "selector"]) == {np.inf}
    for chunk in plan.chunks[1:]:
        table = plan.healthy if chunk.kind == "healthy" else plan.table
        laws = {"ohmic"} if chunk.law == "ohmic" else {chunk.law}
        bends = np.where(table["v_0"] == np.inf, table["law"] == "selector", True)[chunk.rows]
        assert set(np.where(bends, table["law"][chunk.rows], "ohmic")) == laws
    for name in ("seed", "mapping", "law", "v_0", "v_s"):
        expected = plan.healthy[name][plan.table["healthy"]]
        np.testing.assert_array_equal(plan.table[name], expected)
    plain = Plan(checked(replace(study, cells=None)), (8, 7, 6))
    assert "law" not in plain.table
    assert "cells" not in plain.study.as_dict()


def test_settings_of_cells_survive_being_written_and_read(tmp_path):
    study = Study(cells=CellSettings(("sinh", "transistor"), (np.inf, 1), beta=1e-4, v_ov=0.4))
    (tmp_path / "study.toml").write_text(write_study(study))
    assert read_study(tmp_path / "study.toml") == checked(study)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("law = 'tunnel'", "cells.law[0]: got 'tunnel', needs one of ohmic, sinh, selector, tran"),
        ("law = []", "cells.law: got an empty list, needs at least one value"),
        ("", "cells.v_0: got none, needs at least one value for sinh cells"),
        ("v_0 = 0", "cells.v_0[0]: got 0, needs a finite value > 0 [V]"),
        ("v_0 = [0.1, -inf]", "cells.v_0[1]: got -inf, needs a finite value > 0 [V]"),
        ("v_0 = nan", "cells.v_0[0]: got nan, needs a finite value > 0 [V]"),
        ("v_0 = [0.1, 0.1]", "cells.v_0: got 0.1 twice, needs each once"),
        ("v_0 = 'small'", 'cells.v_0[0]: got "small", needs a valid'),
        ("v_0 = 0.1\nv_s = 0.1", "cells.v_s: got [0.1], needs selector among cells.law"),
        ("v_0 = 0.1\nread = 'fast'", "cells.read: got \"fast\", needs 'exact' or 'corrected'"),
        (
            "law = 'selector'\ni_s = inf\nv_s = 1",
            "cells.i_s[0]: got inf, needs a finite value >= 0 [A]",
        ),
        (
            "v_0 = 0.1\n[circuit]\ntile = [8, 8]\n[defects]\nfault = 'open-bit-lines'",
            "circuit.tile: got (8, 8), needs none beside open-bit-lines",
        ),
        (
            "v_0 = 0.1\nread = 'corrected'\n[defects]\nfault = 'open-bit-lines'",
            "cells.read: got corrected, needs exact beside faults of lines (open-bit-lines)",
        ),
    ],
)
def test_impossible_cells_get_a_sentence(text, sentence):
    with pytest.raises(StudyError) as error:
        settings_from(Study, tomllib.loads("[cells]\n" + text))
    assert len(error.value.problems) == 1
    assert error.value.problems[0].startswith(sentence)


@pytest.mark.slow
def test_several_laws_at_once(tmp_path):
    """Also what enters a layer behind the first, and a retrained network."""
    file = write_tiny(tmp_path, WIDE)
    summary = run(file, tmp_path / "out")
    assert summary["status"] == {"solved": 3 * 2}
    assert summary["axes"]["law"] == ["sinh", "ohmic"]
    rows = load_run(tmp_path / "out").rows(law="sinh", v_0=0.2, fault="minus")
    assert len(rows) == 1
    assert_as_the_package_has_it(file, tmp_path / "out", rows, (4, 4, 3))


@pytest.mark.slow
def test_measured_cells_among_cells_that_bend(tmp_path):
    """Of a pair of which one cell is measured, the other keeps its law."""
    (tmp_path / "chip.csv").write_text("row,col,ohm\n0,0,on\n3,5,20000\n2,1,300000\n")
    text = TEXT.replace(
        'shape = "row", coverage = 0.4, fault = ["pair", "plus"]', 'map = "chip.csv"'
    )
    file = write_tiny(tmp_path, text.replace("[inf, 0.1]", "0.1"))
    assert run(file, tmp_path / "out")["status"] == {"solved": 1}
    found, chip = load_run(tmp_path / "out"), load_map(tmp_path / "chip.csv", shape=(5, 6))
    mine = found.network("healthy").with_fault(0, Everywhere(), chip)
    volts = found.read("voltages/defective")[0]
    for expected in (mine, found.network("defective")):
        x = jnp.asarray(found.images[found.read("voltages/images")[0]])
        np.testing.assert_allclose(volts, expected(x), rtol=0, atol=1e-9 * np.abs(volts).max())


@pytest.mark.slow
def test_broken_lines_among_cells_that_bend(tmp_path):
    text = TEXT.replace('["pair", "plus"]', '"open-bit-lines"').replace("[inf, 0.1]", "0.1")
    file = write_tiny(tmp_path, text)
    assert run(file, tmp_path / "out")["status"] == {"solved": 1}
    assert_as_the_package_has_it(file, tmp_path / "out", [0])


@pytest.mark.slow
def test_corrected_matrices_bring_their_error(tmp_path):
    file = write_tiny(tmp_path, TEXT)
    exact, near = (tmp_path / name for name in ("exact", "near"))
    run(file, exact)
    summary = run(file, near, cells=CellSettings(v_0=(np.inf, 0.1), read="corrected"))
    a, b = load_run(exact), load_run(near)
    told = b.table["current_error"]
    assert summary["current_error"] == told.max()
    assert summary["rough"] == 0
    np.testing.assert_array_equal(told[b.rows(v_0=np.inf)], 0)
    bent = told[b.rows(v_0=0.1)]
    assert np.all((bent > 1e-9) & (bent < 0.05))
    for circuit in range(4):
        ours, right = (r.voltages([circuit])[0] for r in (b, a))
        off = np.abs(ours - right).max() / np.abs(right).max()
        # Errors of currents, seen through differences of two columns and the layers behind.
        assert off <= 30 * told[circuit] + 1e-12
    assert b.read("healthy_circuits/current_error").shape == (2,)
