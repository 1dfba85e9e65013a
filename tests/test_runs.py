"""What a run stores comes back as the same objects."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_cases import network

from xbar.io.runs import load_run
from xbar.io.store import Field, StoreError, write_results
from xbar.io.tree import encode


def stack(items):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *items)


COLUMNS = ("seed", "healthy", "layer")


@pytest.fixture
def run_folder(tmp_path):
    """A folder that looks like a finished run, with next to nothing in it."""
    row = {name: Field(np.zeros(1, int), "1", ("circuit",), name) for name in COLUMNS}
    groups = {"healthy": encode(stack([network(0)]), ("healthy",)), "circuits": row}
    write_results(tmp_path / "results.h5", groups, {})
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "summary.json").write_text(json.dumps({}))
    return tmp_path


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (["run.json", "summary.json", "results.h5"], "a folder that no xbar run made"),
        (["summary.json"], "an unfinished run"),
        (["results.h5"], "results.h5: got no file, needs a file"),
    ],
)
def test_folders_without_a_finished_run(run_folder, missing, message):
    for name in missing:
        (run_folder / name).unlink()
    with pytest.raises(StoreError, match=message) as error:
        load_run(run_folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: load_run(run.path / "nowhere"), "got no such folder"),
        (lambda run: run.network("sick"), "network: got 'sick', needs one of"),
        (lambda run: run.network("healthy", 1), "circuit: got 1, needs 0..0"),
        (lambda run: run.network("healthy", -1), "circuit: got -1"),
        (lambda run: run.network("defective"), "nothing named 'arrays/layer_0/g_plus'"),
        (lambda run: run.corrector(), "nothing named 'correctors'"),
        (lambda run: run.images, "nothing named 'data/images'"),
        (lambda run: run.rows(colour="red"), "rows: got 'colour', needs one of"),
        (lambda run: run.voltages([0]), "nothing named 'voltages/images'"),
    ],
)
def test_what_a_run_does_not_hold_is_named(run_folder, call, message):
    with pytest.raises(ValueError, match=message):
        call(load_run(run_folder))


def test_a_group_that_lacks_something_is_named(run_folder):
    run = load_run(run_folder)
    del run.read("healthy")["layers"]["1"]["readout"]["steps"]["2"]["v_max"]
    with pytest.raises(StoreError, match="healthy/layers/1/readout/steps/2 lacks 'v_max'"):
        run.network("healthy")
