"""What a run stores comes back as the same objects."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xbar as xb
from xbar.devices.mapping import Window
from xbar.io.circuits import (
    corrector_fields,
    corrector_from,
    mlp_fields,
    mlp_from,
    network_fields,
    network_from,
)
from xbar.io.runs import load_run
from xbar.io.store import Field, StoreError, read_results, write_results
from xbar.learn.corrector import Corrector, train_correctors
from xbar.learn.mlp import MLP
from xbar.nn import Network


def network(seed):
    """Nothing of it is at its default."""
    rng = np.random.default_rng(seed)
    return Network.from_weights(
        [rng.normal(size=(4, 3)), rng.normal(size=(3, 2))],
        [rng.normal(size=3), rng.normal(size=2)],
        activation="tanh",
        window=[Window.preset("chip"), Window.preset("neurosim")],
        wires=[
            xb.Wires(rng.random((5, 6)), rng.random((1, 6)), rng.random(5), rng.random(6)),
            xb.Wires(1.0, 2.0, 3.0, 4.0),
        ],
        mapping="balanced",
        v_bias=0.1,
        k=[0.1, 0.2, 0.3],
        open_loop_gain=1e3,
        v_min=-0.3,
        v_max=0.4,
    )


def stack(items):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *items)


def through_a_file(tmp_path, fields):
    write_results(tmp_path / "results.h5", {"it": fields}, {})
    return read_results(tmp_path / "results.h5")[0]["it"]


def test_networks_come_back_equal(tmp_path):
    networks = [network(0), network(1)]
    group = through_a_file(tmp_path, network_fields(stack(networks)))
    for circuit in range(2):
        assert eqx.tree_equal(network_from(group, circuit), networks[circuit])


@pytest.mark.parametrize("hidden", [None, (), (3, 2)])
def test_correctors_come_back_equal(tmp_path, hidden):
    rng = np.random.default_rng(0)
    volts, labels = (
        jnp.asarray(rng.normal(size=(2, 30, 3))),
        jnp.asarray(rng.integers(3, size=(2, 30))),
    )
    keys = jax.random.split(jax.random.key(0), 2)
    correctors = train_correctors(volts, labels, keys, hidden=hidden, steps=2)
    group = through_a_file(tmp_path, corrector_fields(correctors))
    found = corrector_from(group, 1)
    assert isinstance(found, Corrector)
    assert eqx.tree_equal(found, jax.tree.map(lambda leaf: leaf[1], correctors))


def test_software_networks_come_back_equal(tmp_path):
    models = [MLP.init(jax.random.key(i), (4, 3, 2), "sigmoid") for i in range(2)]
    group = through_a_file(tmp_path, mlp_fields(stack(models), "test"))
    assert eqx.tree_equal(mlp_from(group, 1), models[1])


COLUMNS = ("seed", "healthy", "layer")


@pytest.fixture
def run_folder(tmp_path):
    """A folder that looks like a finished run, with next to nothing in it."""
    row = {name: Field(np.zeros(1, int), "1", ("circuit",), name) for name in COLUMNS}
    groups = {"healthy": network_fields(stack([network(0)])), "circuits": row}
    write_results(tmp_path / "results.h5", groups, {})
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "summary.json").write_text(json.dumps({}))
    return tmp_path


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (["run.json", "summary.json", "results.h5"], "a folder that no xbar run made"),
        (["summary.json"], "an unfinished run"),
        (["results.h5"], "missing or damaged"),
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
        (lambda run: run.network("defective"), "nothing named 'arrays/layer_0'"),
        (lambda run: run.corrector(), "nothing named 'correctors'"),
        (lambda run: run.images, "nothing named 'data'"),
        (lambda run: run.rows(colour="red"), "rows: got 'colour', needs one of"),
        (lambda run: run.voltages([0]), "nothing named 'voltages/images'"),
    ],
)
def test_what_a_run_does_not_hold_is_named(run_folder, call, message):
    with pytest.raises(ValueError, match=message):
        call(load_run(run_folder))


def test_a_group_that_lacks_something_is_named(run_folder):
    run = load_run(run_folder)
    del run.read("healthy")["layer_1"]["v_max"]
    with pytest.raises(StoreError, match="healthy lacks 'v_max'"):
        run.network("healthy")
